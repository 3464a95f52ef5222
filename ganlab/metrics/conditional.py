"""Per condition: how real the pictures of each are, and how varied."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor

from ganlab.metrics.fidelity import neighbour_distances
from ganlab.metrics.frechet import rows_of
from ganlab.metrics.moments import precise


def realism_per_condition(
    real: Tensor, real_labels: Sequence[Hashable], fake: Tensor, fake_labels: Sequence[Hashable], k: int = 3
) -> dict[Hashable, float]:
    """For each condition, precision among its own: the share of its fakes within the balls of its own reals.

    Balls reach to a real's k-th nearest of its condition (Kynkäänniemi et al. 2019, condition by condition). A picture
    that is real but shows something else counts against it. Conditions with at most `k` reals are left out;
    `ValueError` where that leaves none. For equal distributions it is below 1, as precision is: compare with reals.
    """
    reals, fakes = rows_of(real_labels), rows_of(fake_labels)
    known = [one for one in reals if len(reals[one]) > k and one in fakes]
    if not known:
        raise ValueError(f"realism per condition needs conditions with more than {k} real pictures and a generated one")
    return {one: _precision(precise(real[reals[one]]), precise(fake[fakes[one]]), k) for one in known}


def _precision(real: Tensor, fake: Tensor, k: int) -> float:
    within = torch.cdist(fake, real) <= neighbour_distances(real, k)
    return float(within.any(1).double().mean())


def variety_per_condition(features: Tensor, labels: Sequence[Hashable]) -> dict[Hashable, float]:
    """For each condition with two samples, the mean distance between two of them; features (N, D).

    Their mean is `diversity.within_conditions`. `ValueError` where no condition has two.
    """
    rows = {one: group for one, group in rows_of(labels).items() if len(group) > 1}
    if not rows:
        raise ValueError("variety per condition needs a condition with two samples")
    return {one: float(torch.pdist(precise(features[group])).mean()) for one, group in rows.items()}
