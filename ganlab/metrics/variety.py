"""Variety within a caption: samples of one caption should differ as much as real pictures of one caption do."""

from __future__ import annotations

from collections.abc import Sequence
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


def rows_by_caption(pictures: Pictures) -> dict[str, list[int]]:
    """Return the rows of the pictures that have a caption, for each caption that several have; else for each caption.

    All wordings of a picture are its captions.
    """
    rows: dict[str, list[int]] = {}
    for row, wordings in enumerate(pictures.all_wordings()):
        for caption in dict.fromkeys(wordings):
            rows.setdefault(caption, []).append(row)
    return {caption: found for caption, found in rows.items() if len(found) > 1} or rows


class Variety(PerceptualMetric):
    """Mean perceptual distance between 8 samples of one caption; beside it that of reals that have the same caption."""

    name = "variety"
    better = HIGHER
    needs = (CAPTIONS,)

    @classmethod
    def targets(cls, target: Target) -> list[Target]:
        """Return a target with `EACH` samples for each of some captions that several real pictures have.

        Each caption is put in the place of another one, in a picture that has it. If no two pictures have a caption
        in common, the captions are those of single pictures, and there is no number of reals.
        """
        by_caption = list(rows_by_caption(target.real).items())
        most = max(1, min(MOST_CAPTIONS, target.count // EACH))
        placed: dict[int, str] = {}
        for number in np.random.default_rng(target.seed).permutation(len(by_caption))[:most]:
            caption, rows = by_caption[number]
            if free := [row for row in rows if row not in placed]:
                placed[free[0]] = caption
        said = [placed.get(row, own) for row, own in enumerate(captions_of(target.real, np.arange(len(target.real))))]
        chosen = np.repeat(list(placed), EACH)
        return [replace(target, pictures=replace(target.real, condition=said), chosen=chosen, count=len(chosen))]

    @torch.no_grad()
    def look(self, samples: Samples) -> Tensor:
        """Keep the embeddings (N, 47104)."""
        return embedding(self.network, samples.images)

    def compute(self) -> Result:
        """Return the mean over captions with its standard error; beside it that of reals, if several have one."""
        values, places = self.rows.values, self.rows.places
        captions = {said: rows for said, rows in rows_of(self.target.captions(places)).items() if len(rows) > 1}
        if not captions:
            raise ValueError("variety needs two samples of one caption")
        result = self._mean([distance_within(values[rows]) for rows in captions.values()])
        reals = [rows for said, rows in rows_by_caption(self.target.real).items() if said in captions and len(rows) > 1]
        if reals:
            result.beside = {"variety_of_reals": self._mean([self._within(rows) for rows in reals])}
        return result

    @torch.no_grad()
    def _within(self, rows: Sequence[int]) -> float:
        """Return the distance within `EACH` of the real pictures, or fewer, that are spread over these rows."""
        spread = np.linspace(0, len(rows) - 1, min(EACH, len(rows))).round().astype(int)
        return distance_within(embedding(self.network, self.target.real.get(np.array(rows)[spread])).cpu())

    @staticmethod
    def _mean(distances: list[float]) -> Result:
        return Result.mean(torch.tensor(distances, dtype=torch.float64), each=EACH, captions=len(distances))
