"""Realism and diversity of the samples of each condition."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from ganlab.metrics.fidelity import neighbour_distances, within_balls
from ganlab.metrics.gathering import rows_of
from ganlab.metrics.metric import HIGHER, LABELS, FeatureMetric, Result
from ganlab.metrics.moments import precise

NEIGHBOURS = 3


def realism_per_condition(
    real: Tensor, real_labels: Sequence[Hashable], fake: Tensor, fake_labels: Sequence[Hashable], k: int = NEIGHBOURS
) -> dict[Hashable, float]:
    """Return for each condition its precision: the share of its fakes within the balls of its own reals.

    Balls reach to a real's k-th nearest of its condition (Kynkäänniemi et al. 2019, condition by condition). A sample
    that is real but shows another condition counts as not real. For equal distributions it is below 1, as precision is:
    compare with reals. Conditions with at most `k` reals are left out. Raise `ValueError` if none is left.
    """
    reals, fakes = rows_of(real_labels), rows_of(fake_labels)
    known = [one for one in reals if len(reals[one]) > k and one in fakes]
    if not known:
        raise ValueError(f"realism per condition needs conditions with more than {k} real pictures and a generated one")
    return {one: _precision(real[reals[one]], fake[fakes[one]], k) for one in known}


def _precision(real: Tensor, fake: Tensor, k: int) -> float:
    return float(within_balls(fake, real, neighbour_distances(real, k)).double().mean())


def mean_distance(features: Tensor) -> float:
    """Return the mean Euclidean distance between two of the rows (N, D), over all pairs; N at least 2."""
    return float(torch.pdist(precise(features)).mean())


def variety_per_condition(features: Tensor, labels: Sequence[Hashable]) -> dict[Hashable, float]:
    """Return for each condition with two samples the mean distance between two of them; features (N, D).

    Raise `ValueError` if no condition has two samples.
    """
    rows = {one: group for one, group in rows_of(labels).items() if len(group) > 1}
    if not rows:
        raise ValueError("variety per condition needs a condition with two samples")
    return {one: mean_distance(features[group]) for one, group in rows.items()}


class ConditionDiversity(FeatureMetric):
    """Mean feature distance between two samples of one condition; beside it that of reals."""

    name = "condition_diversity"
    better = HIGHER
    needs = (LABELS,)

    def compute(self) -> Result:
        """Return the mean over conditions with its standard error; beside it that of reals."""
        fake, real = (
            torch.tensor(list(variety_per_condition(one.features, one.labels).values()), dtype=torch.float64)
            for one in (self.sets.fake, self.sets.real)
        )
        result = Result.mean(fake, conditions=len(fake))
        result.beside = {"condition_diversity_of_reals": Result.mean(real, conditions=len(real))}
        return result


class ConditionRealism(FeatureMetric):
    """Precision among the reals of the same condition, mean over conditions; beside it the worst condition."""

    name = "condition_realism"
    better = HIGHER
    needs = (LABELS,)

    def compute(self) -> Result:
        """Return the mean over conditions with its standard error; beside it the worst condition."""
        real, fake = self.sets.real, self.sets.fake
        found = realism_per_condition(real.features, real.labels, fake.features, fake.labels)
        values = torch.tensor(list(found.values()), dtype=torch.float64)
        result = Result.mean(values, k=NEIGHBOURS, conditions=len(found))
        result.beside = {"condition_realism_worst": Result(min(found.values()), None, dict(result.protocol))}
        return result
