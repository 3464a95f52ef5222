"""Every objective against closed forms: values, slopes, and the divergence that the best discriminator measures."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import pytest
import torch
from torch import Tensor

from ganlab.divergences import Name
from ganlab.errors import UserError
from ganlab.objectives import (
    FGAN,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    NonSaturatingFGAN,
    Objective,
    RelativisticPairing,
    Wasserstein,
)
from tests.components import every

PI = {"weighted_js": 0.3}  # a weight that is not that of js
LOGISTIC = [Minimax(), NonSaturating()]
F_DIVERGENCES: list[FGAN | NonSaturatingFGAN] = [
    *(kind(name, pi=PI.get(name)) for kind in (FGAN, NonSaturatingFGAN) for name in get_args(Name)),
    FGAN("alpha", alpha=1.5),
]
SMOOTHED = [kind(smoothing=0.1) for kind in (Minimax, NonSaturating, LeastSquares)]
FOUND = [one for one in every(Objective) if not isinstance(one, FGAN | NonSaturatingFGAN)]
ALL: list[Objective] = [*FOUND, *F_DIVERGENCES, *SMOOTHED]
"""Every objective that the package defines, and those with other settings than their own."""


def label(objective: Objective) -> str:
    return f"{type(objective).__name__} {objective.measures.partition(' (')[0]} {getattr(objective, 'smoothing', '')}"


names = pytest.mark.parametrize("objective", ALL, ids=label)


def slope(objective: Objective, logit: float) -> float:
    """d(generator's loss) / d(logit)."""
    fake = torch.tensor([logit], requires_grad=True)
    objective.generator(fake).sum().backward()
    assert fake.grad is not None
    return fake.grad.item()


@pytest.mark.parametrize("logit", [-10.0, -1.0, 0.0, 2.0, 10.0])
def test_minimax_slope_vanishes_where_the_discriminator_is_sure(logit: float) -> None:
    """d/dv log(1 - sigmoid(v)) = -sigmoid(v): 4.54e-5 at v = -10."""
    assert slope(Minimax(), logit) == pytest.approx(-1 / (1 + math.exp(-logit)), rel=1e-5)


def test_slopes_at_minus_ten() -> None:
    assert slope(Minimax(), -10.0) == pytest.approx(-4.5398e-5, rel=1e-4)
    assert slope(NonSaturating(), -10.0) == pytest.approx(-0.9999546, rel=1e-6)


@pytest.mark.parametrize("logit", [-10.0, -1.0, 0.0, 2.0, 10.0])
def test_non_saturating_slope(logit: float) -> None:
    """d/dv -log sigmoid(v) = -(1 - sigmoid(v))."""
    assert slope(NonSaturating(), logit) == pytest.approx(-1 / (1 + math.exp(logit)), rel=1e-5)


def test_values_at_known_logits() -> None:
    """Real 2, generated -1, by hand. softplus(-2) = 0.126928, softplus(-1) = 0.313262, softplus(1) = 1.313262."""
    real, fake = torch.tensor([2.0]), torch.tensor([-1.0])
    expected = {
        Minimax: (0.126928 + 0.313262, -0.313262),
        NonSaturating: (0.126928 + 0.313262, 1.313262),
        LeastSquares: (((2 - 1) ** 2 + 1) / 2, (-1 - 1) ** 2 / 2),
        Hinge: (0.0, 1.0),
        Wasserstein: (-1 - 2, 1.0),
        RelativisticPairing: (math.log1p(math.exp(-3)), math.log1p(math.exp(3))),
    }
    for kind, (discriminator, generator) in expected.items():
        objective = kind()
        assert objective.discriminator(real, fake).item() == pytest.approx(discriminator, abs=1e-6)
        assert objective.generator(fake, real).item() == pytest.approx(generator, abs=1e-6)


def test_hinge_inside_the_margin() -> None:
    """1 - 0.25 on real, 1 + 0.5 on generated."""
    assert Hinge().discriminator(torch.tensor([0.25]), torch.tensor([0.5])).item() == pytest.approx(2.25, abs=1e-6)


@names
def test_no_logit_overflows(objective: Objective) -> None:
    real, fake = torch.tensor([1e4, -1e4], requires_grad=True), torch.tensor([-1e4, 1e4], requires_grad=True)
    loss = objective.discriminator(real, fake).sum() + objective.generator(fake, real).sum()
    loss.backward()
    assert all(torch.isfinite(tensor).all() for tensor in (loss, real.grad, fake.grad) if tensor is not None)


@names
def test_patch_logits_count_as_their_mean(objective: Objective) -> None:
    """A map (N, 1, h, w) costs the mean of what its entries cost, and there is one loss a sample."""
    real, fake = torch.randn(2, 5, 1, 3, 4).unbind()
    for loss in (objective.discriminator, lambda r, f: objective.generator(f, r)):
        maps = loss(real, fake)
        entries = loss(real.flatten(), fake.flatten()).reshape(5, 12)
        assert maps.shape == (5,)
        torch.testing.assert_close(maps, entries.mean(1), rtol=1e-5, atol=1e-6)


@names
def test_half_precision_logits_give_single_precision_losses(objective: Objective) -> None:
    """Adding 0.003 to a loss of 8 is lost in bfloat16 (8 bits): the losses are computed in float32."""
    real, fake = torch.randn(2, 64).to(torch.bfloat16).unbind()
    for loss in (objective.discriminator, lambda r, f: objective.generator(f, r)):
        assert loss(real, fake).dtype == torch.float32
        torch.testing.assert_close(loss(real, fake), loss(real.float(), fake.float()), rtol=0, atol=0)
    assert objective.divergence(real, fake).dtype == torch.float32


@names
def test_divergence_is_a_scalar_without_evidence_zero(objective: Objective) -> None:
    """What a discriminator that cannot tell says: f(1), which is zero but for f-GAN's GAN (-log 4).

    One that learned smoothed targets says less: it takes all for a little likelier to be generated.
    """
    undecided = torch.full((7,), objective.undecided)
    estimate = objective.divergence(undecided, undecided)
    assert estimate.shape == ()
    if getattr(objective, "smoothing", 0):
        assert -0.02 < estimate.item() < 0
    else:
        assert estimate.item() == pytest.approx(-math.log(4) if "log 4 (" in objective.measures else 0.0, abs=1e-6)


@names
def test_undecided_is_best_where_nothing_differs(objective: Objective) -> None:
    """Where p = q, the discriminator's loss has no slope at the logit of one that cannot tell."""
    v = torch.full((1,), objective.undecided, requires_grad=True)
    (gradient,) = torch.autograd.grad(objective.discriminator(v, v).sum(), v)
    assert gradient.item() == pytest.approx(0.0, abs=1e-6)


# The divergence at the best discriminator -----------------------------------------------------------------------------


class Cells:
    """Two distributions on a few cells, as samples: every cell repeated as often as it is likely, out of 1000."""

    p = torch.tensor([0.5, 0.3, 0.2])
    q = torch.tensor([0.2, 0.2, 0.6])

    @classmethod
    def logits(cls, best: Tensor) -> tuple[Tensor, Tensor]:
        """The logits that `best`, one a cell, gives for samples of p and of q."""
        real, fake = ((share * 1000).round().long() for share in (cls.p, cls.q))
        return best.repeat_interleave(real), best.repeat_interleave(fake)


def test_logistic_divergence_is_jensen_shannon() -> None:
    """JSD = (KL(p || m) + KL(q || m)) / 2 with m = (p + q) / 2, at D* = log p / q."""
    p, q = Cells.p, Cells.q
    middle = (p + q) / 2
    expected = ((p * (p / middle).log()).sum() + (q * (q / middle).log()).sum()) / 2
    for objective in LOGISTIC:
        assert objective.divergence(*Cells.logits((p / q).log())).item() == pytest.approx(expected.item(), abs=1e-6)


def test_least_squares_divergence_is_le_cam() -> None:
    """sum (p - q)^2 / (p + q) / 2, in 0..1, at D* = p / (p + q)."""
    p, q = Cells.p, Cells.q
    expected = ((p - q) ** 2 / (p + q)).sum() / 2
    estimate = LeastSquares().divergence(*Cells.logits(p / (p + q)))
    assert estimate.item() == pytest.approx(expected.item(), abs=1e-6)


def test_hinge_divergence_is_total_variation() -> None:
    """sum |p - q| / 2 = 0.4, at D* = sign(p - q)."""
    estimate = Hinge().divergence(*Cells.logits((Cells.p - Cells.q).sign()))
    assert estimate.item() == pytest.approx(0.4, abs=1e-6)


def test_wasserstein_divergence_is_the_earth_movers_distance() -> None:
    """N(0, 1) against N(m, 1): every point moves by m. The best 1-Lipschitz critic is -x."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(20_000, generator=generator)
    assert Wasserstein().divergence(-x, -(x + 1.7)).item() == pytest.approx(1.7, abs=1e-5)


@pytest.mark.parametrize("objective", [Minimax(), NonSaturating(), LeastSquares(), Hinge()], ids=label)
def test_a_worse_discriminator_measures_less(objective: Objective) -> None:
    """The estimate is a lower bound: moving the best logits in any direction lowers it."""
    p, q = Cells.p, Cells.q
    best = {LeastSquares: p / (p + q), Hinge: (p - q).sign()}.get(type(objective), (p / q).log())
    peak = objective.divergence(*Cells.logits(best))
    for direction in torch.randn(20, 3, generator=torch.Generator().manual_seed(1)):
        assert objective.divergence(*Cells.logits(best + 0.3 * direction)) < peak


@pytest.mark.parametrize(
    ("ratio", "jensen_shannon", "cross_entropy", "accuracy"),
    [(1.0, 0.11142148, 1.16345140, 0.691462), (2.0, 0.33683082, 0.71263272, 0.841345)],
)
def test_two_gaussians_by_quadrature(
    ratio: float, jensen_shannon: float, cross_entropy: float, accuracy: float
) -> None:
    """N(0, 1) against N(d, 1): D*(x) = d (d / 2 - x), its summed cross-entropy log 4 - 2 JSD.

    The expectations are sums over 4001 equally spaced quantile-free nodes, weighted by each density; the errors of
    the trapezoidal rule on a Gaussian are far below float32's.
    """
    x = torch.linspace(-12, 12 + ratio, 4001, dtype=torch.float64)
    step = x[1] - x[0]
    p, q = (torch.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi) * step for mean in (0.0, ratio))
    logits = ratio * (ratio / 2 - x)
    far = torch.full_like(logits, 40.0)  # costs a half of the cross-entropy nothing
    objective = NonSaturating()
    real, fake = objective.discriminator(logits, -far), objective.discriminator(far, logits)
    loss = (p * real).sum() + (q * fake).sum()
    assert loss.item() == pytest.approx(cross_entropy, abs=2e-6)
    assert math.log(2) - loss.item() / 2 == pytest.approx(jensen_shannon, abs=1e-6)
    assert (p[logits > 0].sum() + q[logits <= 0].sum()).item() / 2 == pytest.approx(accuracy, abs=2e-3)


def test_two_gaussians_by_samples() -> None:
    """`divergence` itself on 200,000 samples a side; the standard error of the mean is about 0.001."""
    generator = torch.Generator().manual_seed(0)
    real, fake = torch.randn(2, 200_000, generator=generator).unbind()
    estimate = NonSaturating().divergence(0.5 - real, 0.5 - (fake + 1))
    assert estimate.item() == pytest.approx(0.11142148, abs=0.004)


# Relativistic pairing -------------------------------------------------------------------------------------------------


def test_relativistic_pairing_ignores_a_constant() -> None:
    objective = RelativisticPairing()
    real, fake = torch.randn(2, 9).unbind()
    for loss in (objective.discriminator, lambda r, f: objective.generator(f, r), objective.divergence):
        torch.testing.assert_close(loss(real + 3, fake + 3), loss(real, fake), rtol=1e-5, atol=1e-6)


def test_relativistic_pairing_needs_reals() -> None:
    assert RelativisticPairing().sees_reals
    with pytest.raises(ValueError, match="`real`"):
        RelativisticPairing().generator(torch.zeros(3))


def test_relativistic_pairing_alone_sees_reals_of_those_that_are_known() -> None:
    known = [*LOGISTIC, LeastSquares(), Hinge(), Wasserstein(), RelativisticPairing(), *F_DIVERGENCES, *SMOOTHED]
    assert [type(objective) for objective in known if objective.sees_reals] == [RelativisticPairing]


@names
def test_says_whether_it_sees_reals(objective: Objective) -> None:
    """With reals its generator's loss depends on them, and without them there is none; or it needs none."""
    fake, real, other = torch.randn(3, 5).unbind()
    if objective.sees_reals:
        assert not torch.equal(objective.generator(fake, real), objective.generator(fake, other))
        with pytest.raises(ValueError, match="`real`"):
            objective.generator(fake)
    else:
        assert torch.equal(objective.generator(fake, real), objective.generator(fake))


@names
def test_says_what_it_measures(objective: Objective) -> None:
    assert objective.measures


# f-GAN ------------------------------------------------------------------------------------------------------------


def learned(objective: Objective) -> Tensor:
    """The logits, one a cell, at which the discriminator's expected loss is least."""
    free = torch.full((3,), objective.undecided, requires_grad=True)
    solver = torch.optim.LBFGS(
        [free], max_iter=500, tolerance_grad=1e-9, tolerance_change=0, line_search_fn="strong_wolfe"
    )
    p, q = Cells.p, Cells.q

    def loss() -> Tensor:
        solver.zero_grad()
        each = objective.discriminator(free.repeat(3), free.repeat_interleave(3)).reshape(3, 3)  # (fake, real)
        value = (q[:, None] * p * each).sum()
        value.backward()
        return value

    solver.step(loss)  # type: ignore[arg-type]
    return free.detach()


def exact(f: Callable[[Tensor], Tensor]) -> float:
    return float((Cells.q * f(Cells.p / Cells.q)).sum())


@pytest.mark.parametrize("objective", F_DIVERGENCES, ids=label)
def test_the_best_discriminator_reads_the_divergence_and_the_ratio(objective: FGAN) -> None:
    """sum q f(p / q), reached by following the loss's own slopes; total variation's best logits are infinite."""
    logits = learned(objective)
    p, q = Cells.p, Cells.q
    estimate = objective.divergence(*Cells.logits(logits)).item()
    assert estimate == pytest.approx(exact(objective.f.f), abs=1e-3 if "total" in objective.measures else 2e-5)
    if "total" not in objective.measures:
        torch.testing.assert_close(objective.log_density_ratio(logits), (p / q).log(), rtol=0.02, atol=0.02)
    assert (logits > objective.undecided).tolist() == [True, True, False]


@pytest.mark.parametrize("objective", F_DIVERGENCES, ids=label)
def test_a_large_logit_says_real(objective: FGAN) -> None:
    """Each half falls as its own logit moves the right way: real up, generated down; the generator's rises to real."""
    v = torch.linspace(-5, 5, 101)
    still = torch.full_like(v, objective.undecided)
    assert (objective.discriminator(v, still).diff() <= 0).all()
    assert (objective.discriminator(still, v).diff() >= 0).all()
    assert (objective.generator(v).diff() <= 0).all()


def test_gan_is_the_minimax_game() -> None:
    """-(E log D + E log(1 - D)), D = sigmoid(V): Nowozin et al. 2016, section 2.2. The divergence is 2 JSD - log 4."""
    real, fake = torch.randn(2, 50).unbind()
    for ours, other in ((FGAN("gan"), Minimax()), (NonSaturatingFGAN("gan"), NonSaturating())):
        torch.testing.assert_close(ours.discriminator(real, fake), other.discriminator(real, fake))
        torch.testing.assert_close(ours.generator(fake), other.generator(fake))
        torch.testing.assert_close(ours.divergence(real, fake), 2 * other.divergence(real, fake) - math.log(4))
    torch.testing.assert_close(FGAN("js").divergence(real, fake), 2 * Minimax().divergence(real, fake))


@pytest.mark.parametrize("name", get_args(Name))
def test_generators_by_hand(name: Name) -> None:
    """Minimax: -f*(g(v)), what the discriminator subtracts. Section 3.2: -g(v), what it adds on reals."""
    v = torch.randn(9)
    zero = torch.zeros(9)
    saturating, other = FGAN(name), NonSaturatingFGAN(name)
    as_fake = saturating.discriminator(zero, v) - saturating.discriminator(zero, zero)
    as_real = other.discriminator(v, zero) - other.discriminator(zero, zero)
    torch.testing.assert_close(saturating.generator(v) - saturating.generator(zero), -as_fake)
    torch.testing.assert_close(other.generator(v) - other.generator(zero), as_real)


def test_reverse_kl_slopes_of_both_generators() -> None:
    """d/dv of -(v - 1) is -1 everywhere; of exp(-v) it is -exp(-v), loud where the discriminator is sure."""
    assert slope(FGAN("reverse_kl"), -5.0) == pytest.approx(-1)
    assert slope(NonSaturatingFGAN("reverse_kl"), -5.0) == pytest.approx(-math.exp(5), rel=1e-5)


# Density ratios ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", [*LOGISTIC, LeastSquares(), *SMOOTHED], ids=label)
def test_the_best_logits_identify_the_density_ratio(objective: Objective) -> None:
    """Smoothed targets shift the best logits, D* = (1 - s) p / (p + q), and the ratio is read accordingly."""
    claimed = objective.log_density_ratio(learned(objective))
    torch.testing.assert_close(claimed, (Cells.p / Cells.q).log(), rtol=0.01, atol=0.01)


@names
def test_density_ratios_are_finite_and_keep_their_shape_or_are_refused(objective: Objective) -> None:
    v = torch.tensor([[-1e4, -3.0, 0.0], [0.5, 3.0, 1e4]], dtype=torch.bfloat16).requires_grad_(True)
    if isinstance(objective, Hinge | Wasserstein | RelativisticPairing) or "total" in objective.measures:
        with pytest.raises(UserError, match="identifies no density ratio"):
            objective.log_density_ratio(v)
        return
    try:
        ratio = objective.log_density_ratio(v)
    except UserError as refusal:
        assert not isinstance(objective, Minimax | NonSaturating | LeastSquares | FGAN | NonSaturatingFGAN)
        assert "identifies no density ratio" in str(refusal)
        return
    (gradient,) = torch.autograd.grad(ratio.sum(), v)
    assert ratio.shape == v.shape and ratio.dtype == torch.float32
    assert ratio.isfinite().all() and gradient.isfinite().all()
    assert (ratio.flatten().diff() >= 0).all()


@pytest.mark.parametrize("objective", LOGISTIC, ids=label)
def test_a_logistic_logit_is_the_log_ratio(objective: Objective) -> None:
    v = torch.tensor([-1e4, -2.5, 0.0, 30.0, 1e4])
    assert torch.equal(objective.log_density_ratio(v), v)


def test_least_squares_ratio_by_hand() -> None:
    """log D / (1 - D): log 3 at 3/4; D is believed up to 1e-6 from its ends."""
    ratio = LeastSquares().log_density_ratio(torch.tensor([0.75, -2.0]))
    assert ratio[0].item() == pytest.approx(math.log(3), rel=1e-6)
    assert ratio[1].item() == pytest.approx(math.log(1e-6), rel=1e-5)


# One-sided label smoothing ----------------------------------------------------------------------------------------


def test_smoothed_losses_by_hand() -> None:
    """Logit 2: 0.9 softplus(-2) + 0.1 softplus(2) = 0.9 x 0.126928 + 0.1 x 2.126928; squares: (2 - 0.9)^2 / 2."""
    real, fake = torch.tensor([2.0]), torch.tensor([-1.0])
    for kind in (Minimax, NonSaturating):
        said = kind(smoothing=0.1).discriminator(real, fake).item()
        assert said == pytest.approx(0.9 * 0.126928 + 0.1 * 2.126928 + 0.313262, abs=1e-6)
    assert LeastSquares(smoothing=0.1).discriminator(real, fake).item() == pytest.approx((1.1**2 + 1) / 2, abs=1e-6)


@pytest.mark.parametrize("kind", [Minimax, NonSaturating, LeastSquares])
def test_smoothing_reaches_neither_generator_nor_divergence(kind: type[Minimax | NonSaturating | LeastSquares]) -> None:
    """One port of a well-known GAN reuses the smoothed target for its generator."""
    real, fake = torch.randn(2, 20).unbind()
    plain, smoothed = kind(), kind(smoothing=0.3)
    assert torch.equal(smoothed.generator(fake), plain.generator(fake))
    assert torch.equal(smoothed.divergence(real, fake), plain.divergence(real, fake))
    assert not torch.equal(smoothed.discriminator(real, fake), plain.discriminator(real, fake))


@pytest.mark.parametrize("kind", [Minimax, NonSaturating, LeastSquares])
@pytest.mark.parametrize("smoothing", [-0.1, 0.5, 1.0, math.nan])
def test_smoothing_outside_its_range_is_refused(
    kind: type[Minimax | NonSaturating | LeastSquares], smoothing: float
) -> None:
    with pytest.raises(UserError, match="`smoothing`"):
        kind(smoothing=smoothing)
