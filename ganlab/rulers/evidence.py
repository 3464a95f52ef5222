"""What measurements compare: features of real pictures, kept on disk, and pictures of the averaged generator.

Draws from generators of its own. Points are their own features.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from ganlab.batch import take, to_uint8
from ganlab.console import say
from ganlab.data.base import GanData
from ganlab.data.cache import cached_array
from ganlab.data.pictures import Pictures
from ganlab.errors import UserError
from ganlab.generative import GenerativeModule
from ganlab.grammar.catalog import suggestion
from ganlab.metrics.features import Choice, Classifier, Inception, Small, best_available
from ganlab.sampling import told

BATCH = 250  # pictures generated, and looked at, at once
SPLITS = ("reference", "train")
EXTRACTORS: dict[str, Callable[[], Choice]] = {
    "auto": best_available,
    "inception": lambda: Choice(Inception(), None),
    "small": lambda: Choice(Small(), None),
}


def checked_extractor(name: str) -> str:
    """`name`; `UserError` unless it is one of `EXTRACTORS`."""
    if name not in EXTRACTORS:
        raise UserError(f"`extractor` {name!r} is unknown: {suggestion(name, list(EXTRACTORS), 'extractor=')}")
    return name


def checked_split(name: str) -> str:
    """`name`; `UserError` unless it is one of `SPLITS`."""
    if name not in SPLITS:
        raise UserError(f"`split` must be reference or train, got {name!r}")
    return name


@lru_cache
def extractor_named(name: str) -> Classifier:
    """The network, made once a process; says why it is not the standard one."""
    choice: Choice = EXTRACTORS[name]()
    if choice.reason:
        say(f"ganlab: {choice.reason}")
    return choice.extractor


def split_of(data: GanData, name: str) -> Pictures:
    return data.train if name == "train" else data.reference


def some_rows(total: int, count: int, seed: int) -> np.ndarray:
    """At most `count` different rows of `total`, always the same ones, in order."""
    return np.sort(np.random.default_rng(seed).permutation(total)[:count])


def many_rows(total: int, count: int, seed: int) -> np.ndarray:
    """Exactly `count` rows of `total`, each as often as any other or once more."""
    random = np.random.default_rng(seed)
    rounds = -(-count // total)
    return np.concatenate([random.permutation(total) for _ in range(rounds)])[:count]


def real_features(extractor: Classifier, pictures: Pictures, rows: np.ndarray) -> Tensor:
    """Features (len(rows), dim), from the cache if these very pictures went through this very extractor before."""
    images = pictures.get(rows)
    facts = [sha256(images.numpy().tobytes()).hexdigest(), list(images.shape), extractor.protocol]

    def make() -> np.ndarray:
        device = next(extractor.parameters()).device
        return torch.cat([extractor(part.to(device)).cpu() for part in torch.split(images, BATCH)]).numpy()

    try:
        return torch.from_numpy(np.array(cached_array(f"features-{extractor.name}", facts, make)))
    except (UserError, OSError):  # a cache that cannot be written only costs time
        return torch.from_numpy(make())


def generated(module: GenerativeModule, pictures: Pictures, count: int, seed: int) -> Iterator[Tensor]:
    """Batches of `count` generated pictures in all, uint8 (points: float32), for conditions of `pictures`.

    The same latents and conditions for the same seed: what differs between two measurements is the generator.
    """
    noise = torch.Generator().manual_seed(seed)
    for rows in torch.split(torch.from_numpy(many_rows(len(pictures), count, seed)), BATCH):
        condition = told(take(pictures.condition, rows), module.device)
        images = module.sample(module.draw_latent(len(rows), noise), condition)
        yield to_uint8(images) if images.dim() == 4 else images.float()
