"""What measurements compare: pictures as an extractor sees them, of a data set (kept on disk) and of a generator.

Draws from generators of its own. Points are their own features.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.console import say
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import GanData
from ganlab.data.cache import cached_path, digest, remembered_array
from ganlab.data.pictures import Pictures
from ganlab.data.rows import many_rows, some_rows
from ganlab.errors import UserError, suggestion
from ganlab.evaluation.sources import BATCH, Generated, Source
from ganlab.metrics.extractors import choose
from ganlab.metrics.features import Extractor
from ganlab.metrics.gathering import MOST, Gathering, Sample
from ganlab.metrics.names import EXTRACTORS, RESIZERS, is_file
from ganlab.metrics.reference import load_reference, save_reference
from ganlab.networks.weights import UnavailableError

SPLITS = ("reference", "train")

__all__ = [
    "SPLITS",
    "checked_extractor",
    "checked_resizer",
    "checked_split",
    "extractor_named",
    "gather",
    "generated",
    "many_rows",
    "real_features",
    "reference_of",
    "some_rows",
    "split_of",
]


def checked_extractor(name: str) -> str:
    """`name`; `UserError` unless it is one of `EXTRACTORS`. A file of one's own is for `ganlab.evaluate` only, because
    a checkpoint's recipe, which may be somebody else's, must not be able to name one."""
    if is_file(name):
        raise UserError(
            f"`extractor` {name} is a file, which runs its author's program: only ganlab.evaluate takes one"
        )
    if name not in EXTRACTORS:
        raise UserError(f"`extractor` {name!r} is unknown: {suggestion(name, list(EXTRACTORS), 'extractor=')}")
    return name


def checked_resizer(name: str) -> str:
    """`name`; `UserError` unless it is one of `RESIZERS`."""
    if name not in RESIZERS:
        raise UserError(f"`resizer` {name!r} is unknown: {suggestion(name, list(RESIZERS), 'resizer=')}")
    return name


def checked_split(name: str) -> str:
    """`name`; `UserError` unless it is one of `SPLITS`."""
    if name not in SPLITS:
        raise UserError(f"`split` must be reference or train, got {name!r}")
    return name


@lru_cache
def extractor_named(
    name: str, resizer: str = "auto", precision: str = "float32", weights: Path | None = None, side: int = 299
) -> Extractor:
    """The network, made once a process; says why it is not the standard one. `UserError` where it cannot be had."""
    try:
        choice = choose(name, resizer, precision, weights, side)
    except UnavailableError as error:
        raise UserError(f"`extractor` {name} cannot be used: {error}") from error
    if choice.reason:
        say(f"ganlab: {choice.reason}")
    return choice.extractor


def split_of(data: GanData, name: str) -> Pictures:
    return data.train if name == "train" else data.reference


def gather(extractor: Extractor, source: Source, most: int = MOST, seed: int = 0) -> Sample:
    """All pictures of the source, in batches of the extractor's size whatever sizes they come in."""
    gathering = Gathering(extractor.dim, source.total, extractor.classes, most, seed)
    for prepared, labels in _prepared(extractor, source):
        gathering.add(*extractor.look(prepared), labels)
    if gathering.seen < 2:
        raise UserError(f"at least 2 pictures that can be read are needed, got {gathering.seen}")
    return gathering.sample()


def _prepared(extractor: Extractor, source: Source) -> Iterator[tuple[Tensor, list[Hashable]]]:
    """Prepared pictures, as many at once as the extractor takes, as long as they are of one size."""
    held: list[Tensor] = []
    labels: list[Hashable] = []
    for images, names in _pieces(extractor, source):
        if held and (held[0].shape[1:] != images.shape[1:] or sum(map(len, held)) + len(images) > extractor.batch):
            yield torch.cat(held), labels
            held, labels = [], []
        held.append(images)
        labels += names
    if held:
        yield torch.cat(held), labels


def _pieces(extractor: Extractor, source: Source) -> Iterator[tuple[Tensor, Sequence[Hashable]]]:
    device = next(extractor.parameters(), torch.empty(0)).device
    for images, labels in source.batches():
        for start in range(0, len(images), extractor.batch):
            part = slice(start, start + extractor.batch)
            yield extractor.prepare(images[part].to(device)), labels[part]


def reference_of(extractor: Extractor, source: Source, seed: int = 0) -> tuple[Sample, dict[str, Any]]:
    """The sample of real pictures, and what tells them from others; from the cache if this extractor knows them."""
    facts = {"reference": digest(source.facts())}
    name = f"reference-{extractor.label}-{digest(facts, extractor.protocol, MOST, seed)}.npz"
    try:
        path = cached_path(name, lambda part: _make_reference(part, extractor, source, seed))
        return load_reference(path, extractor)[0], facts
    except (UserError, OSError):  # a cache that cannot be written only costs time
        return gather(extractor, source, MOST, seed), facts


def _make_reference(path: Path, extractor: Extractor, source: Source, seed: int) -> None:
    save_reference(path, gather(extractor, source, MOST, seed), extractor.protocol)


def real_features(extractor: Extractor, pictures: Pictures, rows: np.ndarray) -> Tensor:
    """Features (len(rows), dim), from the cache if these very pictures went through this very extractor before."""
    images = pictures.get(rows)
    facts = [sha256(images.numpy().tobytes()).hexdigest(), list(images.shape), extractor.protocol]

    def make() -> np.ndarray:
        device = next(extractor.parameters()).device
        return torch.cat([extractor(part.to(device)).cpu() for part in torch.split(images, BATCH)]).numpy()

    return torch.from_numpy(remembered_array(f"features-{extractor.label}", facts, make))


def generated(module: GenerativeModule, pictures: Pictures, count: int, seed: int) -> Iterator[Tensor]:
    """Batches of `count` generated pictures in all, uint8 (points: float32), for conditions of `pictures`."""
    return (images for images, _ in Generated(module, pictures, count, seed).batches())
