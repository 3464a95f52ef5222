"""Variety within a caption: samples of one caption should differ as much as real pictures of one caption do."""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from ganlab.data.pictures import Pictures
from ganlab.metrics.gathering import rows_of
from ganlab.metrics.metric import CAPTIONS, HIGHER, Result, Samples, Target
from ganlab.metrics.perceptual import PerceptualMetric, embedding
from ganlab.metrics.target import captions_of

EACH = 8  # samples of each caption
MOST_CAPTIONS = 125  # 1,000 samples of 190 kB


def distance_within(embedded: Tensor) -> float:
    """Return the mean squared distance between two of the rows (R, D), over all pairs; R at least 2.

    sum_{i<j} |u_i - u_j|^2 = R sum_i |u_i - mean|^2.
    """
    count = len(embedded)
    return float(2 * (embedded - embedded.mean(0)).square().sum() / (count - 1))


def shown_alike(pictures: Pictures) -> list[list[int]]:
    """Return the rows of the pictures that share a key, or a caption if there are no keys: a list for each."""
    keys = pictures.keys if pictures.keys is not None else captions_of(pictures, np.arange(len(pictures)))
    return list(rows_of(keys).values())


class Variety(PerceptualMetric):
    """Mean perceptual distance between 8 samples of one caption; beside it that of reals that show the same."""

    name = "variety"
    better = HIGHER
    needs = (CAPTIONS,)

    @classmethod
    def targets(cls, target: Target) -> list[Target]:
        """Return a target with `EACH` samples for each of some captions.

        Captions of which there are several real pictures are chosen first, so that the two numbers compare.
        """
        groups = shown_alike(target.real)
        order = np.random.default_rng(target.seed).permutation(len(groups))
        alone_last = sorted(order.tolist(), key=lambda group: len(groups[group]) < 2)
        captions = max(1, min(MOST_CAPTIONS, target.count // EACH, len(groups)))
        rows = np.repeat([groups[group][0] for group in alone_last[:captions]], EACH)
        return [replace(target, chosen=rows, count=len(rows))]

    @torch.no_grad()
    def look(self, samples: Samples) -> Tensor:
        """Keep the embeddings (N, 47104)."""
        return embedding(self.network, samples.images)

    def compute(self) -> Result:
        """Return the mean over captions with its standard error; beside it that of reals, if any show the same."""
        shown, values = self.target.rows[self.rows.places.numpy()].tolist(), self.rows.values
        captions = {row: group for row, group in rows_of(shown).items() if len(group) > 1}
        if not captions:
            raise ValueError("variety needs two samples of one caption")
        result = self._mean([distance_within(values[group]) for group in captions.values()])
        if reals := self._of_reals(captions):
            result.beside = {"variety_of_reals": self._mean(reals)}
        return result

    def _of_reals(self, shown: Collection[Hashable]) -> list[float]:
        """Return the distance within each group of real pictures that show the same as a caption; `EACH` at most."""
        groups = [group[:EACH] for group in shown_alike(self.target.real) if group[0] in shown and len(group) > 1]
        return [self._within(np.array(group)) for group in groups]

    @torch.no_grad()
    def _within(self, rows: np.ndarray) -> float:
        return distance_within(embedding(self.network, self.target.real.get(rows)).cpu())

    @staticmethod
    def _mean(distances: list[float]) -> Result:
        return Result.mean(torch.tensor(distances, dtype=torch.float64), each=EACH, captions=len(distances))
