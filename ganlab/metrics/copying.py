"""Memorization of the training set: distances to training pictures, and duplicates among samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from ganlab.metrics.feature_sets import FeatureSets
from ganlab.metrics.fidelity import CHUNK, neighbour_distances
from ganlab.metrics.metric import LOWER, REAL_FEATURES, FeatureMetric, Result
from ganlab.metrics.moments import precise
from ganlab.metrics.needs import TRAINING_FEATURES
from ganlab.metrics.spread import jackknife, standard_error
from ganlab.processes import Divide, alone

NEAR = 0.5  # of the median distance between a real and its nearest real: at most that far apart, two samples are twins


def nearest_distances(samples: Tensor, pool: Tensor, divide: Divide = alone) -> Tensor:
    """Return each sample's distance to the nearest of the pool, (N,) float64; features (N, D), (M, D).

    divide: who computes which rows.
    """
    return divide(len(samples), lambda which: nearest(samples[which], pool)[0])


def nearest(samples: Tensor, pool: Tensor) -> tuple[Tensor, Tensor]:
    """Return each sample's distance to the nearest of the pool, (N,) float64, and the row of that one, (N,)."""
    x = precise(pool)
    found = [torch.cdist(rows, x).min(1) for rows in torch.split(precise(samples), CHUNK)]
    return torch.cat([one.values for one in found]), torch.cat([one.indices for one in found])


@dataclass(frozen=True)
class Distances:
    """Distances of fakes to training samples, compared with those between training samples.

    probability: that a fake is nearer to its nearest training sample than a training sample is to its own. ratio: of
    the two medians. spread, ratio_spread: their standard errors. Fresh samples of the data's distribution have 1/2 and
    1; copies have 1 and 0.
    """

    probability: float
    spread: float
    ratio: float
    ratio_spread: float


def copying(fake: Tensor, train: Tensor, divide: Divide = alone) -> Distances:
    """Compare distances to the training set (Meehan et al. 2020, without their cells); features (N, D), (M, D).

    The distance of a fresh picture is estimated by leaving one training picture out. The probability is the
    Mann-Whitney statistic, ties half; its error is DeLong's (1988), from each side's share of the other. divide: who
    computes which distances.
    """
    own, found = neighbour_distances(train, 1, divide), nearest_distances(fake, train, divide)
    above, below = _shares(own, found), _shares(found, own)
    spread = (standard_error(above) ** 2 + standard_error(below) ** 2) ** 0.5
    middle = own.median()

    def ratio(distances: Tensor) -> float:
        return float(distances.median() / middle)

    return Distances(float(above.mean()), spread, ratio(found), jackknife(ratio, found))


def _shares(others: Tensor, values: Tensor) -> Tensor:
    """Return the share of `others` above each value, a tie counting half: (len(values),)."""
    order = others.sort().values
    right, left = (torch.searchsorted(order, values, right=side) for side in (True, False))
    return 1 - (right + left).double() / (2 * len(order))


def have_twins(nearest: Tensor, near: float) -> Tensor:
    """Return 1 for each sample that has another one within `near`, else 0: (N,) float64 (after Arora & Zhang 2018).

    `nearest`: (N,) each sample's distance to its nearest other. Small numbers do not mean that the data are covered.
    """
    return (nearest <= near).double()


def twin_distance(real: Tensor) -> float:
    """Return the threshold for twins: `NEAR` of the median distance of a real to its nearest real.

    Pass as many reals as there are fakes.
    """
    return NEAR * float(neighbour_distances(real, 1).median())


class Twins(NamedTuple):
    """Whether each real and each fake has a twin, (N,) float64 each, and the distance that twins may have."""

    real: Tensor
    fake: Tensor
    near: float


def twins(real: Tensor, fake: Tensor, divide: Divide = alone) -> Twins:
    """Return the twins among reals and among fakes; features (N, D) each. divide: who computes which distances."""
    reals, fakes = (neighbour_distances(each, 1, divide) for each in (real, fake))
    near = NEAR * float(reals.median())
    return Twins(have_twins(reals, near), have_twins(fakes, near), near)


def copying_of(sets: FeatureSets, divide: Divide) -> Distances:
    """Return the comparison with the training features."""
    assert sets.train is not None
    return copying(sets.fake.features, sets.train.features, divide)


def twins_of(sets: FeatureSets, divide: Divide) -> Twins:
    """Return the twins among as many reals as fakes."""
    return twins(*sets.alike, divide)


class Copying(FeatureMetric):
    """Probability that a fake is nearer to a training picture than training pictures to one another; 1/2 if perfect."""

    name = "copying"
    better = LOWER
    needs = (TRAINING_FEATURES,)

    def compute(self) -> Result:
        """Return the probability with its standard error; beside it the ratio of the median distances."""
        train = self.sets.train
        assert train is not None
        found = self.sets.once(copying_of)
        protocol = {"trained_on": train.count, "compared_reals": len(train.features)}
        nearest = Result(found.ratio, found.ratio_spread, protocol)
        return Result(found.probability, found.spread, protocol, {"nearest": nearest})

    def prepare(self, divide: Divide) -> None:
        """Compute the distances."""
        self.sets.once(copying_of, divide)


class Duplicates(FeatureMetric):
    """Share of samples that come twice; beside it that of as many reals."""

    name = "duplicates"
    better = LOWER
    needs = (REAL_FEATURES,)

    def compute(self) -> Result:
        """Return the share with its standard error; beside it that of reals, because data have twins too."""
        found = self.sets.once(twins_of)
        protocol = {"twin": f"{NEAR} of the median nearest distance", "threshold": found.near}
        fake, real = (Result.mean(each, **protocol, compared=self.sets.pairs) for each in (found.fake, found.real))
        fake.beside = {"duplicates_of_reals": real}
        return fake

    def prepare(self, divide: Divide) -> None:
        """Compute the distances."""
        self.sets.once(twins_of, divide)
