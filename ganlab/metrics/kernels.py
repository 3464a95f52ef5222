"""Maximum mean discrepancies: KID has a cubic kernel, CMMD a Gaussian one."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.metrics.feature_sets import FeatureSets
from ganlab.metrics.metric import LOWER, REAL_FEATURES, FeatureMetric, Result
from ganlab.metrics.moments import precise
from ganlab.metrics.spread import Estimate, standard_error
from ganlab.processes import Divide, alone

CHUNK = 1024  # rows of a kernel matrix held at once
SUBSETS, SUBSET_SIZE = 50, 1000  # KID's; of fewer samples, half of them make a subset
SIGMA, SCALE = (
    10.0,
    1000.0,
)  # CMMD's: the kernel's width for features of unit length, and the factor that makes it readable


def _kernel(x: Tensor, y: Tensor) -> Tensor:
    """Return (x.y / D + 1)^3 of each pair (Bińkowski et al. 2018, section 4)."""
    return (x @ y.T / x.shape[1] + 1) ** 3


def _kernel_diagonal(x: Tensor) -> Tensor:
    return (x.square().sum(1) / x.shape[1] + 1) ** 3


def kernel_distance(real: Tensor, fake: Tensor) -> float:
    """Return the unbiased squared MMD with the cubic kernel (Bińkowski et al. 2018); it is often negative if P = Q.

    Features (M, D) and (N, D), at least two of each; float64 inside.
    """
    x, y = precise(real), precise(fake)
    if min(len(x), len(y)) < 2:
        raise ValueError(f"the kernel distance needs at least 2 samples of each kind, got {len(x)} and {len(y)}")
    within = [(_kernel(z, z).sum() - _kernel_diagonal(z).sum()) / (len(z) * (len(z) - 1)) for z in (x, y)]
    return float(within[0] + within[1] - 2 * _kernel(x, y).mean())


def kid(
    real: Tensor,
    fake: Tensor,
    subsets: int = 100,
    subset_size: int = 1000,
    generator: torch.Generator | None = None,
    divide: Divide = alone,
) -> Estimate:
    """Return mean and standard deviation (over `subsets`, not `subsets` - 1) of the kernel distance of random subsets.

    divide: who computes which subset. Raise `ValueError` if there are fewer samples than `subset_size`.
    """
    if min(len(real), len(fake)) < subset_size:
        raise ValueError(f"`subset_size` must be at most {min(len(real), len(fake))}, the samples there are")
    chosen = [[_some(x, subset_size, generator) for x in (real, fake)] for _ in range(subsets)]

    def distances(which: slice) -> Tensor:
        found = [kernel_distance(real[ours], fake[theirs]) for ours, theirs in chosen[which]]
        return torch.tensor(found, dtype=torch.float64)

    draws = divide(subsets, distances)
    return Estimate(float(draws.mean()), float(draws.std(correction=0)))


def _some(x: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """Return `count` rows of x, by number."""
    return torch.randperm(len(x), generator=generator)[:count].to(x.device)


def cmmd(real: Tensor, fake: Tensor, divide: Divide = alone) -> Estimate:
    """Return 1000 MMD^2 with a Gaussian kernel of width 10 on unit features (Jayasumana et al. 2024), biased.

    mean k(x, x') + mean k(y, y') - 2 mean k(x, y), pairs of a sample with itself included, as in the paper's code, so
    that equal sets score exactly 0 and a perfect generator about 1000 (1/M + 1/N)(1 - mean k). Made for CLIP's
    features (M, D), (N, D); defined for any. The spread is the standard error over fakes, reals held fixed.
    divide: who computes which rows.
    """
    x, y = (F.normalize(precise(z), dim=1) for z in (real, fake))
    own, across = _means(y, y, divide), _means(y, x, divide)
    value = _means(x, x, divide).mean() + own.mean() - 2 * across.mean()
    return Estimate(SCALE * float(value), SCALE * 2 * standard_error(own - across))


def _means(x: Tensor, y: Tensor, divide: Divide) -> Tensor:
    """Return each row's mean kernel with all of y (len(x),), exp(-|x - y|^2 / 2 sigma^2) with |x| = |y| = 1."""

    def rows(which: slice) -> Tensor:
        parts = torch.split(x[which], CHUNK)
        return torch.cat([torch.exp((part @ y.T - 1) / SIGMA**2).mean(1) for part in parts])

    return divide(len(x), rows)


def subset_size(sets: FeatureSets) -> int:
    """Return the size of KID's subsets."""
    return min(SUBSET_SIZE, sets.pairs // 2)


def kid_of(sets: FeatureSets, divide: Divide) -> Estimate:
    """Return the kernel distance of `SUBSETS` subsets."""
    return kid(sets.real.features, sets.fake.features, SUBSETS, subset_size(sets), sets.random, divide)


class KernelDistance(FeatureMetric):
    """Kernel distance: unbiased squared MMD with a cubic kernel, mean over random subsets (KID)."""

    name = "kid"
    better = LOWER
    needs = (REAL_FEATURES,)
    standard = True

    def compute(self) -> Result:
        """Return the mean over `SUBSETS` subsets with its deviation over subsets."""
        return Result.of(self.sets.once(kid_of), subsets=SUBSETS, subset_size=subset_size(self.sets))

    def prepare(self, divide: Divide) -> None:
        """Compute the distances of the subsets."""
        self.sets.once(kid_of, divide)


def cmmd_of(sets: FeatureSets, divide: Divide) -> Estimate:
    """Return the discrepancy of all features that were kept."""
    return cmmd(sets.real.features, sets.fake.features, divide)


class MeanDiscrepancy(FeatureMetric):
    """Squared MMD with a Gaussian kernel, times 1000; meant for CLIP's features (CMMD)."""

    name = "cmmd"
    better = LOWER
    needs = (REAL_FEATURES,)

    def compute(self) -> Result:
        """Return the discrepancy with its standard error over fakes."""
        real, fake = self.sets.real.features, self.sets.fake.features
        return Result.of(self.sets.once(cmmd_of), sigma=SIGMA, compared_reals=len(real), compared=len(fake))

    def prepare(self, divide: Divide) -> None:
        """Compute the means of kernels."""
        self.sets.once(cmmd_of, divide)
