"""How well generated pictures fit their captions: by a matcher that learned from real ones, or by the data's oracle."""

from __future__ import annotations

from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.console import say
from ganlab.core.checkpoint_io import save
from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import take
from ganlab.data.cache import cached_path, digest
from ganlab.data.pictures import Pictures
from ganlab.data.rows import many_rows, some_rows
from ganlab.errors import UserError
from ganlab.evaluation.base import Ruler
from ganlab.evaluation.evidence import generated
from ganlab.metrics.caption_accuracy import caption_accuracy
from ganlab.metrics.clip_score import MODEL, clip_model, clip_score
from ganlab.metrics.matching import Matcher, train_matcher
from ganlab.metrics.result import Result
from ganlab.metrics.spread import share_error
from ganlab.networks.weights import UnavailableError

CANDIDATES = 100


def captions_of(pictures: Pictures, rows: np.ndarray) -> list[str]:
    chosen = take(pictures.condition, torch.from_numpy(rows))
    assert isinstance(chosen, list)
    return chosen


def matcher_for(train: Pictures, seed: int = 0) -> Matcher:
    """The matcher of these training pictures, from the cache or trained now (about a minute)."""
    pixels = sha256(train.get(slice(None)).numpy().tobytes()).hexdigest()
    name = f"matcher-{digest(pixels, train.condition, seed)}.pt"

    def make(part: Path) -> None:
        say("ganlab: training the matcher that R-precision needs, on real pictures (once; about a minute)")
        save(train_matcher(train, seed=seed).stored(), part)

    return Matcher.restored(torch.load(cached_path(name, make), weights_only=True))


class MatchRuler(Ruler):
    """R-precision of generated pictures among captions of the split, and of the split's own real pictures beside it.

    Chance is 1 in `CANDIDATES`. Real training pictures score high because the matcher learned from them.
    """

    leading, better = "r_precision", 1

    def __init__(self, train: Pictures, pictures: Pictures, split: str, count: int, seed: int) -> None:
        self.matcher, self.pictures, self.count, self.seed = matcher_for(train), pictures, count, seed
        self.protocol: dict[str, Any] = {"matcher": "trained on real training pictures", "split": split, "seed": seed}

    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        drawn = many_rows(len(self.pictures), self.count, self.seed)
        fake = torch.cat([part.cpu() for part in generated(module, self.pictures, self.count, self.seed)])
        rows = some_rows(len(self.pictures), self.count, self.seed)
        real = self.pictures.get(rows)
        return {"r_precision": self._score(fake, drawn), "r_precision_of_reals": self._score(real, rows)}

    def _score(self, images: Tensor, rows: np.ndarray) -> Result:
        captions = captions_of(self.pictures, rows)
        keys = [self.pictures.keys[row] for row in rows] if self.pictures.keys else None
        candidates = min(CANDIDATES, len(set(keys or captions)))
        result = self.matcher.r_precision(images, captions, keys, candidates)
        return Result(result.value, result.spread, {**self.protocol, **result.protocol})


class ClipRuler(Ruler):
    """CLIPScore of generated pictures and the captions that they were made from. `UserError` without CLIP's weights."""

    leading, better = "clip_score", 1

    def __init__(self, pictures: Pictures, split: str, count: int, seed: int) -> None:
        self.pictures, self.count, self.seed = pictures, count, seed
        self.protocol: dict[str, Any] = {"clip": MODEL, "cut": "each score at 0", "split": split, "seed": seed}
        try:
            self.model, self.processor = clip_model()
        except UnavailableError as error:
            raise UserError(f"`metrics`: clip_score cannot be measured: {error}") from error

    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        images = torch.cat([part.cpu() for part in generated(module, self.pictures, self.count, self.seed)])
        captions = captions_of(self.pictures, many_rows(len(self.pictures), self.count, self.seed))
        found = clip_score(images, captions, self.model, self.processor)
        return {"clip_score": Result(found.value, found.spread, {**self.protocol, "fakes": len(images)})}


class OracleRuler(Ruler):
    """`data=shapes`: the share of generated pictures that are all their caption says, and by attribute."""

    leading, better = "caption_accuracy", 1

    def __init__(self, splits: dict[str, Pictures], count: int, seed: int) -> None:
        self.splits, self.count, self.seed = splits, count, seed

    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        results: dict[str, Result] = {}
        for split, pictures in self.splits.items():
            suffix = "" if split == "reference" else f"_{split}"
            results |= {f"{name}{suffix}": result for name, result in self._of(module, pictures, split).items()}
        return results

    def _of(self, module: GenerativeModule, pictures: Pictures, split: str) -> dict[str, Result]:
        images = torch.cat([part.cpu() for part in generated(module, pictures, self.count, self.seed)])
        found = asdict(caption_accuracy(images, captions_of(pictures, many_rows(len(pictures), self.count, self.seed))))
        protocol = {"split": split, "fakes": found.pop("pictures"), "seed": self.seed}
        names = {name: "caption_accuracy" if name == "all" else f"caption_{name}" for name in found}
        return {
            names[name]: Result(value, _error(name, value, protocol["fakes"]), protocol)
            for name, value in found.items()
        }


def _error(attribute: str, share: float, pictures: int) -> float | None:
    """The standard error of a share of the pictures; few captions tell a relation, and how many is not known here."""
    return None if attribute == "relation" else share_error(share, pictures)
