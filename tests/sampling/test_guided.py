"""Guided sampling: with the optimal discriminator every method draws from the data exactly, whatever the generator is.

Two generators whose densities are known: a table of five kinds, read off a normal latent by its quantiles, and a line
x = a z + b, which draws from N(b, a^2). Statistics are compared with both tails of their distributions.
"""

from __future__ import annotations

import math
from collections import deque
from functools import partial
from pathlib import Path

import pytest
import torch
from scipy import optimize, stats
from torch import Tensor, nn

from ganlab import sample as command
from ganlab.config.cli import read_settings
from ganlab.config.recipe import compose
from ganlab.core.averaging import MovingAverage
from ganlab.core.density_ratio import RatioGame, as_ratio_game
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Condition
from ganlab.errors import UserError
from ganlab.networks import mlp
from ganlab.networks.architecture import Architecture
from ganlab.networks.conditioning import ClassEmbedding
from ganlab.networks.heads import Head, JointHead, ProjectionHead, SeparateHead
from ganlab.objectives import Hinge, LeastSquares, NonSaturating, Objective, RelativisticPairing, Wasserstein
from ganlab.perturbations import InstanceNoise
from ganlab.runs.training import train
from ganlab.sampling.calibration import (
    Calibration,
    Isotonic,
    Platt,
    Unchanged,
    brier,
    fit_line,
    pooled,
    tempered,
    z_statistic,
)
from ganlab.sampling.drawing import latents
from ganlab.sampling.evidence import CALIBRATIONS, Evidence, Verdict
from ganlab.sampling.guides import Guide, Langevin, Metropolis, Rejection, Target
from ganlab.sampling.langevin import Place, langevin
from ganlab.sampling.metropolis import chain, metropolis
from ganlab.sampling.outcome import LogRatio, Outcome
from ganlab.sampling.rejection import acceptance, rejection
from ganlab.variants import ConditionalGAN, VanillaGAN

RARE = 5e-4  # of either tail of a statistic


def unsurprising(share: float) -> bool:
    """A p-value, or a place in a distribution, in neither tail."""
    return RARE < share < 1 - RARE


def drawn(*shape: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Latents (*shape, 1) and uniform numbers (*shape)."""
    noise = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, 1, generator=noise), torch.rand(*shape, generator=noise)


# Five kinds ---------------------------------------------------------------------------------------------------------

DATA = torch.tensor([0.10, 0.20, 0.20, 0.30, 0.20], dtype=torch.float64)
MODEL = torch.tensor([0.30, 0.25, 0.20, 0.15, 0.10], dtype=torch.float64)
RATIO = DATA / MODEL  # up to 2
EDGES = torch.special.ndtri(MODEL.cumsum(0)[:-1])


def kind(latent: Tensor) -> Tensor:
    """Latents (..., 1) -> which of the five the generator makes of them: kind k with probability MODEL[k]."""
    return torch.bucketize(latent[..., 0].double(), EDGES)


def known(latent: Tensor) -> Tensor:
    """The optimal discriminator."""
    return RATIO.log()[kind(latent)]


def place(latent: Tensor) -> float:
    """Where the chi-square statistic of the kinds against DATA lies in its distribution (4 degrees of freedom)."""
    counts = kind(latent).bincount(minlength=5).double()
    expected = DATA * counts.sum()
    return float(stats.chi2.cdf(float(((counts - expected) ** 2 / expected).sum()), df=4))


def rejected(log_ratio: LogRatio, bound: float, count: int = 8000) -> Outcome:
    return rejection(*drawn(count, 40), log_ratio, bound)


def walked(log_ratio: LogRatio, count: int = 8000, steps: int = 40) -> Outcome:
    """Chains from real samples' own scores."""
    noise = torch.Generator().manual_seed(1)
    real = torch.multinomial(DATA, count, replacement=True, generator=noise)
    inverse = torch.cat([EDGES[:1] - 1, EDGES + 1e-6])[real]  # a latent of that kind
    return metropolis(*drawn(count, steps), log_ratio, log_ratio(inverse[:, None]))


def test_the_generator_alone_is_far_from_the_data() -> None:
    assert place(drawn(8000)[0]) > 1 - 1e-12


def test_rejection_draws_from_the_data_and_accepts_one_in_the_largest_ratio() -> None:
    """P(accept) = sum_k q_k r_k / M = 1 / M = 1/2; M = 2. Of the geometric number of trials the deviation is sqrt 2."""
    outcome = rejected(known, math.log(2))
    assert unsurprising(place(outcome.latents))
    assert outcome.stuck == 0
    assert float(outcome.proposed.double().mean()) == pytest.approx(2, abs=4 * math.sqrt(2 / 8000))


def test_chances_are_ratios_over_the_largest() -> None:
    torch.testing.assert_close(acceptance(RATIO.log(), math.log(2)), RATIO / 2, atol=2e-6, rtol=0)
    assert acceptance(torch.tensor([5.0]), 1.0).item() == pytest.approx(1, abs=2e-6)  # above the bound


def test_a_shift_divides_the_odds() -> None:
    """odds = e^(F - gamma) and e^F = r / (M - r): 1/3 where r = 1 and M = 4."""
    chance = acceptance(torch.zeros(1), math.log(4), shift=math.log(5))
    assert (chance / (1 - chance)).item() == pytest.approx(1 / 15, rel=1e-5)


def test_without_luck_rejection_shows_the_likeliest_candidate() -> None:
    candidates = torch.tensor([[[0.1], [2.0], [-1.0]]])
    outcome = rejection(candidates, torch.ones(1, 3), lambda z: z[:, 0], bound=3.0)
    assert (outcome.latents.item(), outcome.accepted.item(), outcome.proposed.item()) == (2.0, 0, 3)
    assert outcome.stuck == 1


def test_metropolis_draws_from_the_data() -> None:
    outcome = walked(known)
    assert unsurprising(place(outcome.latents))
    assert outcome.stuck == 0


def test_a_chain_among_the_data_stays_there_from_its_first_step() -> None:
    """The data's law is stationary for r(x') / r(x): one step from real kinds leaves it exact, the start counted."""
    latent, uniform = drawn(20_000, 1)
    real = torch.multinomial(DATA, 20_000, replacement=True, generator=torch.Generator().manual_seed(3))
    where, accepted = chain(known(latent), uniform, RATIO.log()[real])
    kinds = torch.where(where < 0, real, kind(latent[:, 0]))
    expected = DATA * 20_000
    statistic = float(((kinds.bincount(minlength=5) - expected) ** 2 / expected).sum())
    assert unsurprising(stats.chi2.cdf(statistic, df=4))
    assert torch.equal(accepted, (where == 0).long())


def test_a_chain_by_hand() -> None:
    """Start 1; candidate 0 has chance e^-1 = 0.368 > 0.3: taken; 2 is higher: taken; -3 has chance e^-5: refused."""
    where, accepted = chain(torch.tensor([[0.0, 2.0, -3.0]]), torch.tensor([[0.3, 0.999, 0.5]]), torch.tensor([1.0]))
    assert (where.item(), accepted.item()) == (1, 2)


def test_a_chain_that_never_moved_runs_again_from_its_first_candidate() -> None:
    candidates, uniform = torch.tensor([[[0.0], [-9.0], [1.0]]]), torch.full((1, 3), 0.9)
    outcome = metropolis(candidates, uniform, lambda z: z[:, 0], start=torch.tensor([50.0]))
    assert (outcome.latents.item(), outcome.accepted.item(), outcome.stuck) == (1.0, 0, 1)


# A line -------------------------------------------------------------------------------------------------------------

GAIN, OFFSET = 1.5, 0.5  # the generator's N(0.5, 1.5^2)
MEAN, SPREAD = -0.4, 0.6  # the data's


def optimal(latent: Tensor) -> Tensor:
    """log N(x; MEAN, SPREAD^2) - log N(x; OFFSET, GAIN^2) at x = GAIN z + OFFSET."""
    x = GAIN * latent[:, 0] + OFFSET
    data, model = (torch.distributions.Normal(*pair) for pair in ((MEAN, SPREAD), (OFFSET, GAIN)))
    return data.log_prob(x) - model.log_prob(x)


def fit(latent: Tensor) -> float:
    """The p-value of Kolmogorov and Smirnov's test that GAIN z + OFFSET is drawn from the data."""
    return float(stats.kstest((GAIN * latent[:, 0] + OFFSET).numpy(), stats.norm(MEAN, SPREAD).cdf).pvalue)


def largest() -> float:
    """Of all log ratios: (x - m) / s^2 = (x - b) / a^2 where the slope is 0, x = (m a^2 - b s^2) / (a^2 - s^2)."""
    x = (MEAN * GAIN**2 - OFFSET * SPREAD**2) / (GAIN**2 - SPREAD**2)
    return float(optimal(torch.tensor([[(x - OFFSET) / GAIN]])))


def driven(step: float, steps: int, count: int = 3000) -> Outcome:
    noise = torch.Generator().manual_seed(2)
    normals = ((torch.randn(count, 1, generator=noise), torch.rand(count, generator=noise)) for _ in range(steps))
    start = torch.randn(count, 1, generator=noise)
    return deque(langevin(start, normals, optimal, step), maxlen=1)[0]


def test_rejection_on_a_line() -> None:
    assert unsurprising(fit(rejection(*drawn(3000, 40), optimal, largest()).latents))


def test_metropolis_on_a_line() -> None:
    real = torch.distributions.Normal(MEAN, SPREAD)
    torch.manual_seed(0)
    start = optimal((real.sample((3000, 1)) - OFFSET) / GAIN)
    assert unsurprising(fit(metropolis(*drawn(3000, 60), optimal, start).latents))


@pytest.mark.parametrize("step", [0.05, 0.3])
def test_langevin_on_a_line_whatever_the_step(step: float) -> None:
    """The target is N((m - b) / a, v), v = (s / a)^2 = 0.16. Without the Metropolis test the variance would be
    v / (1 - step / 4v): 9 % too large at 0.05, 88 % at 0.3."""
    outcome = driven(step, steps=int(8 / step))
    assert unsurprising(fit(outcome.latents))
    assert 0 < outcome.rate < 1


def test_langevin_accepts_less_the_longer_its_steps() -> None:
    rates = [driven(step, 50, count=500).rate for step in (0.001, 0.1, 0.5)]
    assert rates[0] > 0.99 and rates[0] > rates[1] > rates[2] > 0.05


def test_the_energy_and_its_slope() -> None:
    """E(z) = z^2 / 2 - d(G(z)), up to constants (z - u)^2 / 2v with u = (m - b) / a, v = (s / a)^2."""
    z = torch.tensor([[0.3], [-2.0]], dtype=torch.float64)
    found = Place.at(z, optimal)
    u, v = (MEAN - OFFSET) / GAIN, (SPREAD / GAIN) ** 2
    torch.testing.assert_close(found.slope, (z - u) / v)
    exact = ((z - u) ** 2 / (2 * v))[:, 0]
    torch.testing.assert_close(found.energy.diff(), exact.diff())


# Calibration --------------------------------------------------------------------------------------------------------


def judged(sureness: float, count: int, seed: int = 5) -> tuple[Tensor, Tensor]:
    """Scores `sureness` times the true log ratio, of `count` of either kind, and labels."""
    noise = torch.Generator().manual_seed(seed)
    kinds = torch.cat([torch.multinomial(p, count, replacement=True, generator=noise) for p in (DATA, MODEL)])
    return sureness * RATIO.log()[kinds], torch.cat([torch.ones(count), torch.zeros(count)])


@pytest.mark.parametrize("sureness", [3.0, 0.25])
@pytest.mark.parametrize("make", [Platt.fit, Isotonic.fit])
def test_calibration_mends_a_discriminator_that_is_too_sure_or_not_sure_enough(make, sureness: float) -> None:
    """Uncalibrated, kind 3 gets weight q r^3 in place of q r, or q r^(1/4)."""

    def claimed(latent: Tensor) -> Tensor:
        return sureness * known(latent)

    assert place(rejected(claimed, sureness * math.log(2)).latents) > 1 - 1e-12
    assert place(walked(claimed).latents) > 1 - 1e-12
    mend: Calibration = make(*judged(sureness, 400_000))
    bound = float(mend(sureness * RATIO.log()).max())
    assert unsurprising(place(rejected(lambda z: mend(claimed(z)), bound).latents))
    assert unsurprising(place(walked(lambda z: mend(claimed(z))).latents))


def test_the_line_and_its_error() -> None:
    """Slope 1/3 and intercept 0 for scores three times too large; over 200 sets the slope deviates by its error."""
    lines = [fit_line(*judged(3.0, 300, seed)) for seed in range(200)]
    deviations = torch.tensor([(line.slope - 1 / 3) / line.error for line in lines])
    assert abs(float(deviations.mean())) < 3.3 / math.sqrt(200)
    assert float(deviations.std()) == pytest.approx(1, abs=3.3 / math.sqrt(400))
    assert abs(sum(line.intercept for line in lines)) / 200 < 0.03


def test_the_line_is_where_the_loss_is_level() -> None:
    """Newton's zero against scipy's minimizer, on Platt's targets."""
    scores, labels = judged(1.0, 50)
    targets = torch.where(labels > 0, 51 / 52, 1 / 52)

    def loss(weights: Tensor) -> float:
        logits = weights[0] * scores + weights[1]
        return float((nn.functional.softplus(logits) - targets * logits).sum())

    found = optimize.minimize(loss, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10})
    line = fit_line(scores, labels)
    assert (line.slope, line.intercept) == pytest.approx(tuple(found.x), abs=1e-4)


@pytest.mark.parametrize(("high", "low"), [(1.0, -1.0), (1e4, -1e4), (1e-6, -1e-6)])
def test_the_line_is_finite_where_the_kinds_are_apart(high: float, low: float) -> None:
    """Two scores: the line goes through both targets, log 51 and -log 51."""
    scores = torch.cat([torch.full((50,), high), torch.full((50,), low)])
    line = fit_line(scores, torch.cat([torch.ones(50), torch.zeros(50)]))
    assert line.slope * high == pytest.approx(math.log(51), rel=1e-6)
    assert line.intercept == pytest.approx(0, abs=1e-6)


def test_scores_that_say_nothing_get_slope_zero() -> None:
    _, labels = judged(1.0, 50)
    line = fit_line(torch.full((100,), 3.0), labels)
    assert line.slope * 3.0 + line.intercept == pytest.approx(0, abs=1e-9)
    scores, labels = judged(-1.0, 5000)
    assert fit_line(scores, labels).slope < 0
    assert Platt.fit(scores, labels) == Platt(0.0, 0.0)


def test_pooling_by_hand() -> None:
    """Labels by score: 0 | 1 0 | 1, where 1 then 0 falls and is pooled to 1/2."""
    edges, shares, members = pooled(torch.tensor([0.3, 0.1, 0.4, 0.2]), torch.tensor([0.0, 0.0, 1.0, 1.0]))
    torch.testing.assert_close(edges, torch.tensor([0.1, 0.2, 0.4]).double())
    torch.testing.assert_close(shares, torch.tensor([0.0, 0.5, 1.0]).double())
    assert members.tolist() == [1, 2, 1]


@pytest.mark.parametrize(
    ("shares", "members", "kept"),
    [
        ([0.0, 0.5, 1.0], [8, 2, 1], [0.1, 0.5, 2 / 3]),
        ([0.0, 0.2, 0.9, 1.0], [1, 5, 10, 2], [0.2, 0.2, 0.9, 0.9]),  # 1/3 and 3/4 would be past their neighbours
        ([0.25, 0.75], [4, 4], [0.25, 0.75]),
        ([0.0, 1.0], [1, 1], [1 / 3, 2 / 3]),
        ([0.5], [6], [0.5]),
    ],
)
def test_a_few_scores_of_one_kind_prove_little(shares, members, kept) -> None:
    found = tempered(torch.tensor(shares), torch.tensor(members, dtype=torch.float32))
    torch.testing.assert_close(found, torch.tensor(kept))


def test_pooling_is_isotonic_regression() -> None:
    noise = torch.Generator().manual_seed(0)
    scores = torch.randn(300, generator=noise).sort().values
    labels = (torch.rand(300, generator=noise) < torch.sigmoid(scores)).float()
    edges, shares, _ = pooled(scores, labels)
    own = shares[torch.bucketize(scores.double(), edges, right=True) - 1]
    torch.testing.assert_close(own, torch.from_numpy(optimize.isotonic_regression(labels.numpy()).x).double())


def test_isotonic_never_falls_and_is_finite() -> None:
    calibration = Isotonic.fit(*judged(3.0, 40))
    values = calibration(torch.linspace(-20, 20, 101))
    assert torch.isfinite(values).all() and (values.diff() >= 0).all()
    assert values.abs().max() <= math.log(41) + 1e-9


def test_brier_and_z_by_hand() -> None:
    """D = 1/2, 3/4 for labels 1, 0: squares 1/4 and 9/16; sum (y - D) = -1/4 over sqrt(1/4 + 3/16)."""
    scores, labels = torch.tensor([0.0, math.log(3)]), torch.tensor([1.0, 0.0])
    assert brier(scores, labels) == pytest.approx(13 / 32)
    assert z_statistic(scores, labels) == pytest.approx(-0.25 / math.sqrt(7 / 16))


def test_z_is_standard_normal_for_labels_drawn_by_the_score() -> None:
    noise = torch.Generator().manual_seed(0)
    scores = torch.randn(400, 200, generator=noise)
    labels = (torch.rand(400, 200, generator=noise) < torch.sigmoid(scores)).float()
    values = [z_statistic(*pair) for pair in zip(scores, labels, strict=True)]
    assert unsurprising(float(stats.kstest(values, stats.norm.cdf).pvalue))


def test_a_verdict_is_measured_on_the_other_half() -> None:
    """Too sure by three: the line is 1/3, and calibration lowers Brier's score."""
    scores, labels = judged(3.0, 4000)
    evidence = Evidence(scores[labels > 0], scores[labels == 0], None)
    verdict = Verdict.on(evidence, Platt.fit(*evidence.half(0)))
    assert verdict.slope == pytest.approx(1 / 3, abs=4 * verdict.error) and verdict.generalizes
    assert verdict.brier[1] < verdict.brier[0] and abs(verdict.z[1]) < 3.3


def test_a_judge_of_noise_is_seldom_believed() -> None:
    """The slope is two standard errors above 0 in 2.3 % of sets: 9.1 of 400, with a deviation of 3.0."""
    noise = torch.randn(400, 2, 100, generator=torch.Generator().manual_seed(0))
    believed = sum(Verdict.on(Evidence(real, fake, None), Unchanged()).generalizes for real, fake in noise)
    assert 0 < believed < 9.1 + 3.3 * 3.0


# Models that can be asked -------------------------------------------------------------------------------------------


def points(objective: Objective | None = None, **network) -> VanillaGAN:
    """An unconditional game of points in the plane, untrained."""
    torch.manual_seed(0)
    parts = (partial(mlp.Generator, width=8, depth=2), partial(mlp.Trunk, width=8, depth=2))
    side = Side(partial(torch.optim.SGD, lr=0.1))
    game = (objective or NonSaturating(), side, side, MovingAverage(), 3)
    return VanillaGAN(DataSpec((2,)), Architecture(*parts, **network), *game).eval()


def classes(head: type[Head] = SeparateHead) -> ConditionalGAN:
    """The same, told one of three classes."""
    torch.manual_seed(0)
    network = Architecture(partial(mlp.Generator, width=8, depth=2), partial(mlp.Trunk, width=8, depth=2))
    side = Side(partial(torch.optim.SGD, lr=0.1))
    spec = DataSpec((2,), "class", classes=("a", "b", "c"))
    embedding = partial(ClassEmbedding, 3, 4)
    return ConditionalGAN(spec, network, embedding, head, NonSaturating(), side, side, MovingAverage(), 3).eval()


@pytest.mark.parametrize("head", [SeparateHead, ProjectionHead])
def test_what_is_drawn_for_a_condition_is_judged_by_the_pair(head: type[Head]) -> None:
    module = classes(head)
    images, told = torch.randn(3, 2), torch.arange(3)
    (logits,) = module.discriminator(images, module.discriminator.encode(told))
    torch.testing.assert_close(as_ratio_game(module, told).log_density_ratio(images, told), logits["pair"])


def test_least_squares_is_asked_for_its_odds() -> None:
    module = points(LeastSquares())
    images = torch.randn(20, 2)
    share = module.discriminator(images).clamp(1e-6, 1 - 1e-6)
    torch.testing.assert_close(module.log_density_ratio(images, None), torch.logit(share), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("objective", [Hinge(), Wasserstein(), RelativisticPairing()])
def test_critics_are_not_asked(objective: Objective) -> None:
    with pytest.raises(UserError, match="`objective="):
        as_ratio_game(points(objective), None)


def test_a_joint_head_is_not_asked() -> None:
    with pytest.raises(UserError, match=r"head=joint.*head=separate"):
        as_ratio_game(classes(JointHead), torch.arange(3))


@pytest.mark.parametrize(
    "network", [{"pack": 2}, {"minibatch_deviation": 4}, {"perturbations": {"noise": InstanceNoise(0.3)}}]
)
def test_a_logit_that_depends_on_more_than_its_picture_is_not_asked(network) -> None:
    with pytest.raises(UserError, match="picture alone"):
        as_ratio_game(points(**network), None)


def test_faded_noise_is_no_obstacle() -> None:
    assert as_ratio_game(points(perturbations={"noise": InstanceNoise(0.0)}), None)


def test_pictures_have_the_gradients_that_samples_have_not() -> None:
    module, latent = points(), torch.randn(4, 3, requires_grad=True)
    assert torch.equal(module.generate_with_grad(latent), module.sample(latent))
    assert module.generate_with_grad(latent).requires_grad and not module.sample(latent).requires_grad


# Guides -------------------------------------------------------------------------------------------------------------


def guides(judge: RatioGame, condition: Condition = None, calibration: Calibration | None = None) -> list[Guide]:
    """One of each method, with evidence from noise."""
    target = Target(judge, calibration or Platt(5.0, 0.3))
    evidence = Evidence(torch.randn(12), torch.randn(12) / 10, condition)
    return [Rejection.of(target, evidence, 100, None), Metropolis(target, evidence, 7), Langevin(target, 5, 0.2)]


@pytest.mark.parametrize("told", [None, [2, 0, 1, 1]])
@pytest.mark.parametrize("method", range(3), ids=["rejection", "metropolis", "langevin"])
def test_a_picture_depends_on_its_seed_and_condition_alone(method: int, told: list[int] | None) -> None:
    judge = points() if told is None else classes()
    condition = None if told is None else torch.tensor(told)
    guide = guides(judge, None if told is None else torch.arange(12) % 3)[method]
    together = guide.choose(condition, [5, 3, 9, 3])
    alone = guide.choose(None if condition is None else condition[2:3], [9])
    torch.testing.assert_close(together.latents[2:3], alone.latents)
    assert together.latents.shape == (4, 3) and int(together.proposed[2]) == int(alone.proposed[0])
    assert told is not None or torch.equal(together.latents[1], together.latents[3])


def test_a_judge_that_says_nothing_changes_nothing() -> None:
    """Every ratio is 1: rejection takes the first candidate, which is what is drawn without a method."""
    judge = points()
    rejection_, _, langevin_ = guides(judge, calibration=Platt(0.0, 0.0))
    outcome = rejection_.choose(None, [4, 8])
    assert torch.equal(outcome.latents, latents(judge, [4, 8])) and outcome.rate == 1
    still = Langevin(langevin_.target, 3, 1e-12).choose(None, [4, 8])
    torch.testing.assert_close(still.latents, latents(judge, [4, 8]), atol=1e-5, rtol=0)


def test_guides_raise_what_the_judge_says() -> None:
    """Log ratios of the chosen are larger, on average, than those of the plain."""
    judge, seeds = points(), list(range(64))
    target = Target(judge, Platt(5.0, 0.3))
    plain = target.given(None)(latents(judge, seeds)).mean()
    for guide in guides(judge):
        assert target.given(None)(guide.choose(None, seeds).latents).mean() > plain + 0.05


def test_rejection_in_blocks_is_rejection_of_all() -> None:
    """More candidates than fit a batch: the first accepted one, and how many came before it."""
    judge = points()
    guide = Rejection(Target(judge, Platt(5.0, 0.3)), bound=7.0, shift=0.0, candidates=300)
    outcome = guide.choose(None, [1, 2, 3, 4])
    assert (outcome.proposed > 64).any() and (outcome.proposed <= 300).all()
    few = Rejection(guide.target, bound=60.0, shift=0.0, candidates=130).choose(None, [1])
    assert (few.stuck, int(few.proposed)) == (1, 130)


def test_a_percentile_accepts_more() -> None:
    target, evidence = Target(points(), Platt(5.0, 0.3)), Evidence(torch.randn(50), torch.randn(50), None)
    exact, eager = (Rejection.of(target, evidence, 100, percentile) for percentile in (None, 80.0))
    scores = target.calibration(evidence.fake)
    assert exact.shift == 0 and eager.bound == exact.bound == float(scores.max())
    assert ((acceptance(scores, eager.bound, eager.shift) > 0.5).double().mean()).item() == pytest.approx(
        0.2, abs=0.021
    )


def test_a_chain_starts_at_a_real_picture_that_is_told_the_same() -> None:
    evidence = Evidence(torch.arange(6.0), torch.zeros(6), torch.tensor([0, 1, 2, 0, 1, 2]))
    guide = Metropolis(Target(classes(), Unchanged()), evidence, 1)
    starts = {guide._start(torch.tensor([1]), uniform) for uniform in (0.0, 0.49, 0.51, 0.999)}
    assert starts == {1.0, 4.0}
    spoken = Metropolis(guide.target, Evidence(torch.arange(2.0), torch.zeros(2), ["a", "b"]), 1)
    assert {spoken._start(["unheard"], uniform) for uniform in (0.0, 0.999)} == {0.0, 1.0}


def test_evidence_is_the_same_again(noise, vanilla) -> None:
    data, judge = noise(count=30), vanilla().eval()
    first, second = (Evidence.gather(judge, data.reference, 20) for _ in range(2))
    assert torch.equal(first.real, second.real) and torch.equal(first.fake, second.fake)
    assert first.real.shape == first.fake.shape == (20,)
    halves = [first.half(i)[0] for i in (0, 1)]
    assert torch.equal(torch.cat(halves).sort().values, torch.cat([first.real, first.fake]).sort().values)


# The command --------------------------------------------------------------------------------------------------------

TINY = (
    *("recipe=vanilla", "data=toy", "trainer.max_steps=2", "data.held_out_count=200"),
    *("network.generator.width=8", "network.discriminator.width=8"),
    *(f"callbacks.{name}=null" for name in ("pictures", "quality", "collapse", "game", "progress")),
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(compose(*TINY, f"run_dir={tmp_path_factory.mktemp('guided') / 'run'}"))


@pytest.mark.parametrize("method", ["rejection", "mh", "langevin"])
def test_the_command_says_how_it_went(run: Path, tmp_path: Path, capsys, method: str) -> None:
    words = [f"checkpoint={run}", f"method={method}", "count=3", "steps=4", f"out={tmp_path}"]
    command.sample(command.checked(read_settings(command.SampleSettings, words)))
    said = capsys.readouterr().out
    assert "slope" in said and "Brier" in said and "accepted" in said
    assert (tmp_path / "grid.png").exists()


def test_a_critic_is_refused_before_its_data_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = train(compose(*TINY, "objective=hinge", f"run_dir={tmp_path / 'run'}"))
    monkeypatch.setattr("ganlab.sampling.choosing.make_data", None)
    with pytest.raises(UserError, match="hinge"):
        command.sample(command.SampleSettings(checkpoint=str(run), method="mh"))


@pytest.mark.parametrize(
    "words",
    ["method=best", "calibration=plat", "steps=0", "held_out=3", "candidates=0", "percentile=101", "step_size=0"],
)
def test_settings_that_cannot_be_right(words: str) -> None:
    with pytest.raises(UserError, match=f"`{words.partition('=')[0]}`"):
        command.checked(read_settings(command.SampleSettings, ["checkpoint=x", words]))


def test_a_staircase_has_no_slope_for_langevin() -> None:
    with pytest.raises(UserError, match="isotonic"):
        command.checked(
            read_settings(command.SampleSettings, ["checkpoint=x", "method=langevin", "calibration=isotonic"])
        )


def test_the_command_offers_what_there_is() -> None:
    from ganlab.sampling.choosing import GUIDES

    assert set(command.METHODS) == {"none", *GUIDES}
    assert set(command.CALIBRATIONS) == set(CALIBRATIONS)
