"""Extract the features of pictures. Those of real pictures are kept on disk."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.data.base import GanData
from ganlab.data.cache import cached_path, digest, remembered_array
from ganlab.data.pictures import Pictures
from ganlab.errors import UserError
from ganlab.evaluation.sources import BATCH, Source
from ganlab.metrics.feature_sets import Extraction
from ganlab.metrics.features import Extractor
from ganlab.metrics.gathering import MOST, Sample
from ganlab.metrics.reference import load_reference, save_reference

SPLITS = ("reference", "train")


def checked_split(name: str) -> str:
    """Return `name`. Raise `UserError` unless it is one of `SPLITS`."""
    if name not in SPLITS:
        raise UserError(f"`split` must be reference or train, got {name!r}")
    return name


def split_of(data: GanData, name: str) -> Pictures:
    """Return the training pictures for "train", else the held-out ones."""
    return data.train if name == "train" else data.reference


def gather(extractor: Extractor, source: Source, most: int = MOST, seed: int = 0) -> Sample:
    """Extract the features of all pictures of the source. At most `most` of them are kept.

    Raise `UserError` if fewer than two pictures can be read.
    """
    extraction = Extraction(extractor, source.total, seed, most)
    for samples in source.samples():
        extraction.add(samples)
    return extraction.sample()


def reference_of(extractor: Extractor, source: Source, seed: int = 0) -> tuple[Sample, dict[str, Any]]:
    """Return the features of real pictures and a hash of the pictures, from the cache if they are in it."""
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
    """Return features (len(rows), dim), from the cache if the extractor has seen these pictures before."""
    images = pictures.get(rows)
    facts = [sha256(images.numpy().tobytes()).hexdigest(), list(images.shape), extractor.protocol]

    def make() -> np.ndarray:
        device = next(extractor.parameters()).device
        return torch.cat([extractor(part.to(device)).cpu() for part in torch.split(images, BATCH)]).numpy()

    return torch.from_numpy(remembered_array(f"features-{extractor.label}", facts, make))
