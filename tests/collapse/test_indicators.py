"""Indicators of samples whose losses are known."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor

from ganlab.collapse.baseline import PER_CONDITION, Baseline, fit_indicators
from ganlab.collapse.bins import bin_js, dropped_share, js_of_missing, missing_bins, missing_share
from ganlab.collapse.feature_sample import FeatureSample, duplicates, recalled, spread
from ganlab.collapse.indicators import Indicator

COUNT = 400


def ten_gaussians(modes: int, seed: int, count: int = COUNT, deviation: float = 1.0) -> Tensor:
    """Samples of the first `modes` of ten Gaussians far apart, in eight dimensions, mode after mode."""
    centers = 4 * torch.randn(10, 8, generator=torch.Generator().manual_seed(0))
    noise = torch.randn(count, 8, generator=torch.Generator().manual_seed(seed))
    return centers[torch.arange(count) % modes] + deviation * noise


def conditional(deviations: list[float], seed: int) -> FeatureSample:
    """`PER_CONDITION` samples of each of ten conditions, a Gaussian each, of these deviations."""
    few = [ten_gaussians(10, seed + i, 10 * PER_CONDITION, d)[i::10] for i, d in enumerate(deviations)]
    return FeatureSample(ten_gaussians(10, seed), torch.cat(few), [i for i in range(10) for _ in range(PER_CONDITION)])


@pytest.fixture(scope="module")
def fitted() -> dict[str, Indicator]:
    real = ten_gaussians(10, 1, 2000)
    groups = {i: real[i::10] for i in range(10)}
    labels = [f"mode {i % 10}" for i in range(2000)]
    return {one.name: one for one in fit_indicators(Baseline(real, groups, labels), COUNT, seed=0)}


def losses(fitted: dict[str, Indicator], sample: FeatureSample) -> dict[str, float]:
    return {
        name: one.loss(one.value(sample))
        for name, one in fitted.items()
        if sample.conditions or "condition" not in name
    }


# Shares ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.9, 1.0])
def test_a_divergence_says_which_share_is_missing(share: float) -> None:
    """Ten bins, of which a tenth of the mass is in each but the first, which has `share` and is never drawn."""
    expected = torch.tensor([share, *[(1 - share) / 9] * 9], dtype=torch.float64)
    found = torch.tensor([0.0, *[1 / 9] * 9], dtype=torch.float64)
    if share < 1:
        assert bin_js(expected, found) == pytest.approx(js_of_missing(share), abs=1e-12)
    assert missing_share(js_of_missing(share)) == pytest.approx(share, abs=3e-4)


def test_all_missing_is_log_two() -> None:
    assert js_of_missing(1.0) == pytest.approx(log(2), abs=1e-12)


def test_missing_bins_are_those_with_less_than_a_fifth_the_largest_first() -> None:
    expected, found = torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0.0, 0.03, 0.07, 0.9])
    assert missing_bins(expected, found) == [1, 0]


def test_a_bin_drops_out_by_degrees() -> None:
    """A fifth of what is expected, 0.08 of 0.4, is enough; a tenth counts as half of the bin gone."""
    expected = torch.tensor([0.6, 0.4], dtype=torch.float64)
    parts = [dropped_share(expected, torch.tensor([1 - part, part])) for part in (0.4, 0.08, 0.04, 0.0)]
    assert parts == pytest.approx([0.0, 0.0, 0.2, 0.4], abs=1e-7)


# Neighbours --------------------------------------------------------------------------------------------------------


def line(*points: float) -> Tensor:
    return torch.tensor(points)[:, None]


def test_neighbours_on_a_line() -> None:
    """Points 0, 1, ..., 9: the ends have their fifth neighbour at 5, the next ones at 4, the six in the middle at 3."""
    sample = FeatureSample(line(*range(10)))
    assert sample.neighbours[:, -1].tolist() == [5, 4, 3, 3, 3, 3, 3, 3, 4, 5]
    assert sample.neighbours[:, 0].tolist() == [1] * 10
    assert spread(sample) == 3


def test_recall_counts_what_balls_reach() -> None:
    """The balls of 0, ..., 9 reach from -5 to 14; none larger than 2, from -2 to 11."""
    reference = line(-6, -5, -3, -2, 4.5, 11, 12, 14, 15)
    sample = FeatureSample(line(*range(10)))
    assert recalled(reference, sample, 100).tolist() == [False, True, True, True, True, True, True, True, False]
    assert recalled(reference, sample, 2).tolist() == [False, False, False, True, True, True, False, False, False]


def test_duplicates_are_those_nearer_than_allowed() -> None:
    assert duplicates(FeatureSample(line(0, 0, 1, 5, 5.05, 9, 20)), 0.1) == pytest.approx(4 / 7)


# Indicators ---------------------------------------------------------------------------------------------------------


def test_real_samples_have_lost_nothing(fitted: dict[str, Indicator]) -> None:
    """Fresh ones, within five standard deviations and half of what counts; they cover less than draws of the reals."""
    found = losses(fitted, conditional([1.0] * 10, 50))
    unconditional = {"bins", "dropped", "dropped_labels", "recall", "covered", "vendi", "spread", "duplicates"}
    assert found.keys() == unconditional | {"within_conditions", "worst_condition"}
    assert found.pop("covered") < 0.2
    for name, loss in found.items():
        assert loss < min(5 * fitted[name].noise + 1e-9, fitted[name].min_loss), name


@pytest.mark.parametrize("gone", [1, 5])
def test_modes_that_are_gone_are_missing_in_bins_and_recall(fitted: dict[str, Indicator], gone: int) -> None:
    """A tenth of the data each. The loss of recall is a little smaller, because balls reach into modes nearby."""
    found = losses(fitted, FeatureSample(ten_gaussians(10 - gone, 50)))
    assert found["bins"] == pytest.approx(gone / 10, abs=0.03)
    assert found["dropped"] == pytest.approx(gone / 10, abs=0.01)
    assert found["dropped_labels"] == pytest.approx(gone / 10, abs=0.01)
    assert found["recall"] == pytest.approx(gone / 10, abs=0.04)
    assert found["spread"] < fitted["spread"].min_loss


def test_uneven_modes_have_not_dropped_out(fitted: dict[str, Indicator]) -> None:
    """Nine modes three times as often as the tenth: the divergence counts it, what dropped out is none."""
    often = ten_gaussians(10, 50, 4 * COUNT)
    rows = torch.arange(len(often))
    sample = FeatureSample(often[(rows % 10 > 0) | (rows % 30 == 0)][:COUNT])
    found = losses(fitted, sample)
    assert found["bins"] > 2 * fitted["bins"].noise
    assert found["dropped"] < fitted["dropped"].min_loss / 3
    assert found["dropped_labels"] == 0


def test_shrunken_modes_are_seen_in_spread_and_recall_but_not_in_bins(fitted: dict[str, Indicator]) -> None:
    found = losses(fitted, FeatureSample(ten_gaussians(10, 50, deviation=0.5)))
    assert found["spread"] == pytest.approx(0.5, abs=0.04)
    assert found["recall"] > 0.5
    assert found["bins"] < fitted["bins"].min_loss


def test_fifty_points_over_and_over_are_duplicates(fitted: dict[str, Indicator]) -> None:
    found = losses(fitted, FeatureSample(ten_gaussians(10, 50, 50).repeat(8, 1)))
    assert found["duplicates"] == found["spread"] == 1
    assert found["recall"] > 0.8


def test_one_condition_without_variety_is_the_worst_and_a_tenth_of_them(fitted: dict[str, Indicator]) -> None:
    """A deviation of 1/100 in one of ten: 99 % of that one's variety is lost, 9.9 % of the mean of all ten."""
    found = losses(fitted, conditional([1.0] * 3 + [0.01] + [1.0] * 6, 50))
    assert found["worst_condition"] == pytest.approx(0.99, abs=0.01)
    assert found["within_conditions"] == pytest.approx(0.099, abs=0.03)


def test_more_variety_than_real_is_no_loss_and_hides_none(fitted: dict[str, Indicator]) -> None:
    """Nine conditions twice as varied do not make up for one that is not varied at all."""
    found = losses(fitted, conditional([2.0] * 9 + [0.01], 50))
    assert found["worst_condition"] == pytest.approx(0.99, abs=0.01)
    assert found["within_conditions"] > 0.07


def test_samples_far_from_the_data_recall_nothing(fitted: dict[str, Indicator]) -> None:
    """Their own balls would reach over all of it: that is what a generator that has not learned yet looks like."""
    scattered = 100 * torch.randn(COUNT, 8, generator=torch.Generator().manual_seed(3))
    assert losses(fitted, FeatureSample(scattered))["recall"] > 0.95


def test_few_real_samples_say_less_surely_what_is_healthy() -> None:
    """Draws of 3/4 of 260 overlap; their spread is put right, so that the noise is that of as many fresh samples."""
    few, many = ten_gaussians(10, 1, 260), ten_gaussians(10, 2, 4000)
    baseline = Baseline(few, {})
    assert baseline.sample_size(1000) == 195
    noise = [
        {one.name: one.noise for one in fit_indicators(r, 195, 0)}["vendi"] for r in (baseline, Baseline(many, {}))
    ]
    assert noise[0] == pytest.approx(noise[1], rel=0.6)


def test_data_without_variety_have_none_to_lose() -> None:
    """A thousand copies of three points: only the bins apply."""
    copies = line(0, 1, 2).repeat(1, 2).repeat(100, 1)
    assert {"spread", "duplicates"}.isdisjoint(one.name for one in fit_indicators(Baseline(copies, {}), 200, 0))


def test_where_all_draws_agree_there_is_still_noise() -> None:
    """Real draws that recall everything have a deviation of 0, by which nothing could be divided."""
    packed = torch.rand(600, 1, generator=torch.Generator().manual_seed(0))
    assert min(one.noise for one in fit_indicators(Baseline(packed, {}), 300, 0)) >= 1e-3


def test_levels_are_remembered() -> None:
    kept: dict[str, list[float]] = {}
    baseline = Baseline(ten_gaussians(10, 1, 600), {})

    def remember(name: str, make: object) -> list[float]:
        if name not in kept:
            kept[name] = make()  # type: ignore[operator]
        return kept[name]

    first = [one.level for one in fit_indicators(baseline, 200, 0, remember)]
    assert [one.level for one in fit_indicators(baseline, 200, 0, lambda name, make: kept[name])] == first


def test_copies_of_a_twentieth_of_the_data_cover_no_more_than_that(fitted: dict[str, Indicator]) -> None:
    """400 samples of 2,000 reals find 2,000 (1 - exp(-1/5)) = 363 of them; 400 copies of 100 find 98.2."""
    copies = ten_gaussians(10, 1, 2000)[:100]
    found = losses(fitted, FeatureSample(copies.repeat(4, 1)))
    assert found["covered"] == pytest.approx(1 - 100 / 363, abs=0.02)


def test_labels_that_hardly_any_samples_can_be_expected_of_are_no_groups() -> None:
    """Of 200 labels each has 10 of 2,000 reals, and 2 of 400 samples; of two, 1,000 and 200."""
    real = ten_gaussians(10, 1, 2000)
    for count, known in ((200, False), (2, True)):
        baseline = Baseline(real, {}, [str(i % count) for i in range(2000)])
        assert ("dropped_labels" in {one.name for one in fit_indicators(baseline, COUNT, 0)}) == known
