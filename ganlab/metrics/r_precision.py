"""R-precision of generated pictures, by a matcher that learned from real ones."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganlab.console import say
from ganlab.data.cache import cached_path, digest
from ganlab.data.pictures import Pictures
from ganlab.data.rows import some_rows
from ganlab.files.durable import torch_save
from ganlab.metrics.matching import Matcher, train_matcher
from ganlab.metrics.metric import CAPTIONS, HIGHER, Result, SampleMetric, Samples, Target
from ganlab.metrics.target import captions_of

CANDIDATES = 100
PRECISION = "float32"  # that matchers are trained in: others in the cache are not the same
HASHED, PART = 2**17, 2**10  # pictures that identify a training set, and those in memory at a time


def matcher_for(train: Pictures, seed: int = 0) -> Matcher:
    """Return the matcher of these training pictures, from the cache or trained now (a few minutes)."""
    name = f"matcher-{digest(_pixels(train), train.condition, seed, PRECISION)}.pt"

    def make(part: Path) -> None:
        say("ganlab: training the matcher that R-precision needs, on real pictures (once; a few minutes)")
        torch_save(train_matcher(train, seed=seed).stored(), part)

    return Matcher.restored(torch.load(cached_path(name, make), weights_only=True))


def _pixels(train: Pictures) -> str:
    """Return a hash of the pixels of all pictures, or of `HASHED` of them if there are more. They are read in parts."""
    rows, hashed = some_rows(len(train), HASHED, 0), sha256()
    for start in range(0, len(rows), PART):
        hashed.update(train.get(rows[start : start + PART]).numpy().tobytes())
    return hashed.hexdigest()


class RPrecision(SampleMetric):
    """Share of samples that match their own caption better than 99 others; beside it that of reals. Chance is 1 %.

    Real training pictures score high, because the matcher learned from them.
    """

    name = "r_precision"
    better = HIGHER
    needs = (CAPTIONS,)
    standard = True

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.matcher = matcher_for(target.train or target.real)

    @classmethod
    def doubt(cls, target: Target) -> str:
        """Return a line if there are fewer different captions than candidates."""
        there = len(set(captions_of(target.real, target.rows)))
        if there >= CANDIDATES:
            return ""
        return (
            f"r_precision chooses among {there} captions instead of {CANDIDATES}, so chance is {1 / there:.0%} instead "
            "of 1%: more count, or a split with more captions, makes it comparable"
        )

    def look(self, samples: Samples) -> Tensor:
        """Keep the pictures, uint8 (N, C, H, W)."""
        return samples.images

    def compute(self) -> Result:
        """Return the mean over samples with its standard error; beside it that of the split's real pictures."""
        target = self.target
        reals = some_rows(len(target.real), target.count, target.seed)
        result = self._score(self.rows.values, target.rows[self.rows.places.numpy()])
        result.beside = {"r_precision_of_reals": self._score(target.real.get(reals), reals)}
        return result

    def _score(self, images: Tensor, rows: np.ndarray) -> Result:
        """Return the number for pictures of the captions in these rows."""
        captions, keys = captions_of(self.target.real, rows), self.target.real.keys
        shown = [keys[row] for row in rows] if keys else None
        candidates = min(CANDIDATES, len(set(shown or captions)))
        found = self.matcher.r_precision(images, captions, shown, candidates)
        return Result(found.value, found.spread, {"matcher": "trained on real training pictures", **found.protocol})
