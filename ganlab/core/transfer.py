"""Take weights from another model: tensors of the same place and shape, and rows of tables by what they stand for.

It works on plain tensors by name. `starting.py` decides which tensors of two models have the same place.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

Shape = tuple[int, ...]
Labels = Mapping[str, Sequence[Hashable]]
"""The meaning of each row of a table, by the table's place."""


class Tensors(NamedTuple):
    """The tensors of one player by their places, and the meaning of the rows of those that are tables."""

    by_place: Mapping[str, Tensor]
    labels: Labels


class Difference(NamedTuple):
    """A tensor that is not taken as a whole: its place, its shape in the file and here, and what was done."""

    place: str
    stored: Shape | None
    here: Shape | None
    done: str


def differences(own: Tensors, stored: Tensors) -> list[Difference]:
    """Return what `take` does not take as a whole, first in the order of this model, then of the stored one."""
    places = dict.fromkeys([*own.by_place, *stored.by_place])
    return [one for place in places if (one := _difference(place, own, stored)) is not None]


def _difference(place: str, own: Tensors, stored: Tensors) -> Difference | None:
    here, there = (None if (one := side.by_place.get(place)) is None else tuple(one.shape) for side in (own, stored))
    if here is None or there is None:
        return Difference(place, there, here, "left out" if here is None else "begins anew")
    rows = _common_rows(place, own, stored)
    if rows is None:
        return None if here == there else Difference(place, there, here, "begins anew")
    if len(rows) == here[0]:
        return None
    return Difference(place, there, here, f"{len(rows)} of {here[0]} rows taken, by what they stand for")


def _common_rows(place: str, own: Tensors, stored: Tensors) -> list[tuple[int, int]] | None:
    """Return (row here, stored row) of each label that both tables have. None if the tensors are not such tables."""
    sides = [(side.by_place[place], side.labels.get(place)) for side in (own, stored)]
    if any(labels is None or len(labels) != len(tensor) for tensor, labels in sides):
        return None
    (here, ours), (there, theirs) = sides
    assert ours is not None and theirs is not None
    if here.shape[1:] != there.shape[1:]:
        return None
    rows = {label: row for row, label in enumerate(theirs)}
    return [(row, rows[label]) for row, label in enumerate(ours) if label in rows]


@torch.no_grad()
def take(own: Tensors, stored: Tensors) -> None:
    """Copy what fits into this model's tensors, in place: see `differences` for the rest."""
    for place, tensor in own.by_place.items():
        if place not in stored.by_place:
            continue
        rows, source = _common_rows(place, own, stored), stored.by_place[place]
        if rows:
            here, there = map(list, zip(*rows, strict=True))
            tensor[here] = source[there].to(tensor)
        elif rows is None and tensor.shape == source.shape:
            tensor.copy_(source)
