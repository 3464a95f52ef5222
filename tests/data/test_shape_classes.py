"""Shapes by class: the picture shows what the class says, and nothing else."""

from __future__ import annotations

import torch

from ganlab.data.shape_classes import ShapeClassesData
from ganlab.metrics.sightings import look


def test_pictures_show_their_class() -> None:
    data = ShapeClassesData(count=200, held_out_count=100)
    data.setup()
    assert data.spec.kind == "class" and len(data.spec.classes) == 18
    labels = data.reference.condition
    assert isinstance(labels, torch.Tensor) and set(labels.tolist()) == set(range(18))
    for view, label in zip(look(data.reference.get(slice(0, 100))), labels, strict=True):
        (thing,) = view.things
        assert f"{thing.colour} {thing.shape}" == data.spec.classes[label]


def test_splits_and_seeds_differ() -> None:
    first, again, other = (ShapeClassesData(count=20, held_out_count=20, seed=seed) for seed in (0, 0, 1))
    for data in (first, again, other):
        data.setup()
    rows = slice(0, 20)
    assert torch.equal(first.train.get(rows), again.train.get(rows))
    assert not torch.equal(first.train.get(rows), other.train.get(rows))
    assert not torch.equal(first.train.get(rows), first.reference.get(rows))
