"""Distances between sets of features: closed forms, independent references, and indifference to how data came."""

import itertools
import math

import numpy as np
import pytest
import scipy.linalg
import torch

from ganlab.metrics.fidelity import Members, inception_score, members, neighbour_distances
from ganlab.metrics.kernels import kernel_distance, kid
from ganlab.metrics.moments import Moments, frechet_distance, frechet_distance_of_sets


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=random(seed), dtype=torch.float64)


def manifold(real: torch.Tensor, fake: torch.Tensor, k: int = 5) -> Members:
    """The four numbers, which are means."""
    return Members(*(part.mean().item() for part in members(real, fake, k)))


def test_frechet_distance_of_commuting_gaussians_is_the_sum_over_axes():
    """Diagonal covariances commute, so it is |m1 - m2|^2 + sum (s1 - s2)^2: 9 + (1-2)^2 + (3-1)^2 + 0 = 14."""
    first, second = torch.tensor([1.0, 3.0, 2.0]), torch.tensor([2.0, 1.0, 2.0])
    found = frechet_distance(
        torch.zeros(3), first.square().diag(), torch.tensor([3.0, 0.0, 0.0]), second.square().diag()
    )
    assert found == pytest.approx(14, abs=1e-10)


def test_frechet_distance_agrees_with_scipy_sqrtm():
    a, b = normal(300, 24) @ normal(24, 24, seed=1), normal(200, 24, seed=2) + 0.3
    means, covariances = [x.mean(0).numpy() for x in (a, b)], [np.cov(x.numpy(), rowvar=False) for x in (a, b)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    expected = ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root.real)
    assert frechet_distance_of_sets(a, b) == pytest.approx(expected, rel=1e-8)


def test_fewer_samples_than_features_gives_the_same_by_the_nuclear_norm():
    a, b = normal(20, 40), normal(30, 40, seed=1) + 1
    by_moments = Moments.of(a).gaussian().distance(Moments.of(b).gaussian())
    assert frechet_distance_of_sets(a, b) == pytest.approx(by_moments, rel=1e-6)


@pytest.mark.parametrize(("count", "dim"), [(500, 16), (40, 64)])
def test_identical_sets_are_at_distance_zero(count: int, dim: int):
    x = normal(count, dim)
    assert abs(frechet_distance_of_sets(x, x.flip(0))) < 1e-6


def test_two_samples_of_one_gaussian_differ_by_the_known_bias():
    """E FID = (2d + d(d+1)/2) / n for two samples of n from N(0, I_d): (32 + 136) / 2000 = 0.084 at d = 16."""
    found = [frechet_distance_of_sets(normal(2000, 16, seed=s), normal(2000, 16, seed=50 + s)) for s in range(8)]
    assert np.mean(found) == pytest.approx(0.084, rel=0.1)


def test_moments_do_not_depend_on_batches_order_or_processes():
    x = normal(301, 8).float() * 0.3 + 50
    whole = Moments.of(x).gaussian()
    shuffled = x[torch.randperm(301, generator=random())]
    ranks = [sum((Moments.of(part) for part in half.split(17)), Moments.empty(8)) for half in shuffled.split(200)]
    merged = (ranks[0] + ranks[1]).gaussian()
    assert merged.count == 301
    torch.testing.assert_close(merged.mean, whole.mean, rtol=1e-12, atol=0)
    torch.testing.assert_close(merged.covariance, whole.covariance, rtol=1e-8, atol=1e-10)


def test_one_pass_covariance_is_numpys_even_far_from_zero():
    x = normal(1000, 8).float() * 0.3 + 50
    expected = np.cov(x.double().numpy(), rowvar=False)
    np.testing.assert_allclose(Moments.of(x).gaussian().covariance, expected, atol=1e-9)


def test_covariance_of_one_sample_is_refused():
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        Moments.of(normal(1, 3)).gaussian()


def test_kernel_distance_is_the_double_sum_without_its_diagonal():
    x, y = normal(5, 3), normal(4, 3, seed=1)

    def k(a: torch.Tensor, b: torch.Tensor) -> float:
        return float((a @ b / 3 + 1) ** 3)

    within_x = sum(k(x[i], x[j]) for i, j in itertools.permutations(range(5), 2)) / 20
    within_y = sum(k(y[i], y[j]) for i, j in itertools.permutations(range(4), 2)) / 12
    across = sum(k(a, b) for a in x for b in y) / 20
    assert kernel_distance(x, y) == pytest.approx(within_x + within_y - 2 * across, rel=1e-12)


def test_kernel_distance_is_unbiased():
    """Mean zero for equal distributions, so negative about half the time."""
    found = np.array([kernel_distance(normal(100, 16, seed=s), normal(100, 16, seed=1000 + s)) for s in range(200)])
    assert abs(found.mean()) < 4.5 * found.std() / 200**0.5
    assert 0.35 < (found < 0).mean() < 0.75


def test_kid_is_seeded_and_refuses_too_few():
    x, y = normal(60, 4), normal(50, 4, seed=1) + 1
    assert kid(x, y, 5, 40, random(3)) == kid(x, y, 5, 40, random(3))
    assert kid(x, y, 20, 50, random())[0] == pytest.approx(kernel_distance(x, y), rel=0.2)
    with pytest.raises(ValueError, match="at most 50"):
        kid(x, y, 5, 51)


def test_inception_score_of_sure_and_balanced_classes_is_their_number():
    logits = 200 * torch.eye(10).repeat(50, 1)
    assert inception_score(logits, splits=5) == pytest.approx((10, 0), abs=1e-6)


def test_inception_score_of_one_answer_is_one():
    assert inception_score(torch.randn(10).repeat(100, 1)) == pytest.approx((1, 0), abs=1e-6)
    with pytest.raises(ValueError, match="at most 5"):
        inception_score(torch.zeros(5, 3))


def test_inception_score_deviation_is_over_all_splits():
    """Splits of sure answers score the number of their classes: 1 and 2, mean 1.5, deviation sqrt(1/2 * 1/2) = 0.5."""
    logits = 200 * torch.eye(2)[[0] * 10 + [0, 1] * 5]
    assert inception_score(logits, splits=2) == pytest.approx((1.5, 0.5), abs=1e-6)


def test_neighbour_distances_leave_the_sample_itself_out():
    points = torch.tensor([[0.0], [1.0], [3.0], [7.0]])
    assert neighbour_distances(points, 1).tolist() == pytest.approx([1, 1, 2, 4])
    assert neighbour_distances(points, 2).tolist() == pytest.approx([3, 2, 3, 6])
    with pytest.raises(ValueError, match="4 nearest others need more than 4 samples of a kind, got 4"):
        neighbour_distances(points, 4)


def test_manifold_on_a_line():
    """Reals 0, 1, 3, 7, fakes 0.5, 3.5, 100, k = 1.

    Balls of the reals: 1, 1, 2, 4. Fake 0.5 is in 2 of them, 3.5 in those of 3 and 7, 100 in none: precision 2/3,
    density 4/3, every real has a fake in its ball: coverage 1. Balls of the fakes: 3, 3, 96.5: 0, 1 and 3 are in the
    first, 3 in the second, 7 in the third (93 < 96.5): recall 1.
    """
    reals, fakes = torch.tensor([[0.0], [1.0], [3.0], [7.0]]), torch.tensor([[0.5], [3.5], [100.0]])
    assert manifold(reals, fakes, k=1) == pytest.approx((2 / 3, 1, 4 / 3, 1))


def test_the_edge_of_a_ball_counts_for_precision_and_not_for_density():
    """Fake 2 is at distance 1 of real 1, whose ball has radius 1; fake 20 is far, and its ball reaches both reals."""
    found = manifold(torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [20.0]]), k=1)
    assert found == pytest.approx((0.5, 1, 0, 0))


def test_separate_sets_have_nothing_in_common():
    assert manifold(normal(50, 3), normal(40, 3, seed=1) + 100) == (0, 0, 0, 0)


def test_collapse_to_one_point_costs_recall_not_precision():
    reals = normal(200, 2)
    found = manifold(reals, reals[:1] + 1e-3 * normal(100, 2, seed=1))
    assert found.precision == 1 and found.recall < 0.05


def test_density_and_coverage_of_equal_distributions():
    """E density = 1; E coverage = 1 - prod_{i=1..5} (N - i) / (2N - i), 0.9695 at N = 300 (0.9688 as N grows).

    Over 20 repetitions; one evaluation's deviation is about 0.07 and 0.012.
    """
    found = np.array([manifold(normal(300, 8, seed=s), normal(300, 8, seed=99 + s)) for s in range(20)])
    assert found[:, 2].mean() == pytest.approx(1, abs=4.5 * 0.07 / 20**0.5)
    assert found[:, 3].mean() == pytest.approx(1 - math.prod((300 - i) / (600 - i) for i in range(1, 6)), abs=0.012)
    assert found[:, 0].mean() < 0.98 and found[:, 1].mean() < 0.98


def test_the_same_features_give_torch_fidelitys_numbers():
    """FID, IS and precision/recall to rounding; KID of one subset of everything, where nothing is drawn."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
    from torch_fidelity.metric_isc import isc_features_to_metric
    from torch_fidelity.metric_kid import kid_features_to_metric
    from torch_fidelity.metric_prc import prc_features_to_metric

    real, fake = normal(203, 12), normal(203, 12, seed=1) * 0.8 + 0.1
    statistics = [fid_features_to_statistics(x) for x in (real, fake)]
    theirs = fid_statistics_to_metric(*statistics, verbose=False)["frechet_inception_distance"]
    assert frechet_distance_of_sets(real, fake) == pytest.approx(theirs, rel=1e-8)
    theirs = kid_features_to_metric(real, fake, kid_subsets=1, kid_subset_size=203, verbose=False)
    assert kernel_distance(real, fake) == pytest.approx(theirs["kernel_inception_distance_mean"], rel=1e-8)
    theirs = isc_features_to_metric(fake, 10, shuffle=False)
    assert inception_score(fake, 10) == pytest.approx(tuple(theirs.values()), rel=1e-8)
    theirs = prc_features_to_metric(fake, real, prc_neighborhood=3, verbose=False)
    found = manifold(real, fake, k=3)
    assert (found.precision, found.recall) == pytest.approx((theirs["precision"], theirs["recall"]), rel=1e-6)
