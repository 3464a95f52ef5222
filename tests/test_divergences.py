"""Every row of f-GAN's tables against closed forms and quadrature: values, conjugates, bounds, logits that overflow."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest
import torch
from scipy.special import wrightomega
from torch import Tensor

from ganlab.divergences import (
    GAN,
    KL,
    PLAIN,
    AlphaAboveOne,
    AlphaBelowOne,
    Divergence,
    JensenShannon,
    Name,
    Neyman,
    Pearson,
    ReverseKL,
    SquaredHellinger,
    TotalVariation,
    WeightedJensenShannon,
    log_one_minus_exp,
    log_softplus,
    log_wright_omega,
    named,
    tamed,
)
from ganlab.errors import UserError

# P = N(0, 1), Q = N(0.7, 1.3^2) ---------------------------------------------------------------------------------------

MEANS, SCALES = (0.0, 0.7), (1.0, 1.3)


def densities(reach: float) -> tuple[Tensor, Tensor]:
    """log p and log q on equally spaced nodes, the log of the spacing added: sums of exp are integrals.

    The trapezoidal rule on a Gaussian is exact to many digits; where |p - q| has kinks, its error is spacing^2.
    """
    x = torch.linspace(-reach, reach, 60_001, dtype=torch.float64)
    nodes = math.log(x[1] - x[0])
    p, q = (
        -(((x - mean) / scale) ** 2) / 2 - math.log(scale * math.sqrt(2 * math.pi)) + nodes
        for mean, scale in zip(MEANS, SCALES, strict=True)
    )
    return p, q


def alpha_exact(a: float) -> float:
    """(int p^a q^(1 - a) - 1) / (a (a - 1)): the integrand is a Gaussian of precision l and mean m, times a number.

    Exponents: a x^2 / 2 s0^2 + (1 - a) (x - m1)^2 / 2 s1^2 = l (x - m)^2 / 2 + rest.
    """
    m1, s1 = MEANS[1], SCALES[1]
    precision = a + (1 - a) / s1**2
    mean = (1 - a) * m1 / s1**2 / precision
    rest = ((1 - a) * m1**2 / s1**2 - precision * mean**2) / 2
    return (s1 ** (a - 1) * precision**-0.5 * math.exp(-rest) - 1) / (a * (a - 1))


def weighted_exact(pi: float) -> float:
    """pi KL(p || m) + (1 - pi) KL(q || m), m = pi p + (1 - pi) q."""
    p, q = densities(12)
    m = torch.logaddexp(p + math.log(pi), q + math.log(1 - pi))
    return float(pi * (p.exp() * (p - m)).sum() + (1 - pi) * (q.exp() * (q - m)).sum())


KNOWN = {
    "total_variation": 0.2591017475,
    "kl": 0.2031926668,
    "reverse_kl": 0.3276357355,
    "pearson": 0.3458969095,
    "neyman": 5.7118350104,  # the integral needs nodes out to 20: its integrand q^2 / p lies around 4.5, 2.3 wide
    "squared_hellinger": 0.1212751549,
    "jeffrey": 0.5308284024,
    "js": 0.1138469083,
    "gan": -1.2724474528,
}
ALPHAS = (-1.0, -0.5, 0.3, 0.5, 0.9, 1.1, 1.5, 2.0, 3.0)
WEIGHTS = (0.3, 0.5, 0.8)
ROWS: list[tuple[Divergence, float]] = [
    *((PLAIN[name](), value) for name, value in KNOWN.items()),
    *((WeightedJensenShannon(pi), weighted_exact(pi)) for pi in WEIGHTS),
    *((named("alpha", alpha), alpha_exact(alpha)) for alpha in ALPHAS),
]
ALL = [row for row, _ in ROWS]
SMOOTH = [row for row in ALL if not isinstance(row, TotalVariation)]


def label(row: object) -> str:
    return row.measures.partition(" (nats")[0] if isinstance(row, Divergence) else ""


rows = pytest.mark.parametrize("row", ALL, ids=label)
smooth = pytest.mark.parametrize("row", SMOOTH, ids=label)
valued = pytest.mark.parametrize(("row", "exact"), ROWS, ids=label)


def reach(row: Divergence) -> float:
    """How far out the integrals go: q^2 / p is a Gaussian of scale 2.33 around 4.5, the others end before 11."""
    heavy = isinstance(row, Neyman) or getattr(row, "alpha", 1) < 0
    return 22.0 if heavy else 11.0


def slope(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    at = at.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(function(at).sum(), at)
    return gradient


def test_known_values_are_each_others() -> None:
    """Alpha 2 and -1 are half of Pearson's and Neyman's, 1/2 is twice Hellinger's; KL both ways is Jeffreys'."""
    assert alpha_exact(2) == pytest.approx(KNOWN["pearson"] / 2, abs=1e-9)
    assert alpha_exact(-1) == pytest.approx(KNOWN["neyman"] / 2, abs=1e-9)
    assert alpha_exact(0.5) == pytest.approx(KNOWN["squared_hellinger"] * 2, abs=1e-9)
    assert KNOWN["kl"] + KNOWN["reverse_kl"] == pytest.approx(KNOWN["jeffrey"], abs=1e-9)
    assert weighted_exact(0.5) == pytest.approx(KNOWN["js"] / 2, abs=1e-9)
    assert KNOWN["gan"] == pytest.approx(KNOWN["js"] - math.log(4), abs=1e-9)
    assert alpha_exact(1 + 1e-6) == pytest.approx(KNOWN["kl"], abs=1e-5)
    assert alpha_exact(1e-6) == pytest.approx(KNOWN["reverse_kl"], abs=1e-5)


@valued
def test_f_integrates_to_its_divergence(row: Divergence, exact: float) -> None:
    """int q f(p / q)."""
    p, q = densities(reach(row))
    assert (q.exp() * row.f((p - q).exp())).sum().item() == pytest.approx(exact, abs=1e-7)


@valued
def test_bound_is_tight_at_the_slope_of_f(row: Divergence, exact: float) -> None:
    """E_p T - E_q f*(T) at T = f'(p / q) (Nowozin et al. 2016, eq. 5)."""
    p, q = densities(reach(row))
    best = slope(row.f, (p - q).exp())
    assert (p.exp() * best - q.exp() * row.conjugate(best)).sum().item() == pytest.approx(exact, abs=1e-6)


def logit_of(row: Divergence, ratio: Tensor) -> Tensor:
    """The logits that claim these log ratios, by bisection from f'(0) on, or from where alpha's exp(-r) may lead."""
    lowest = {Pearson: -2.0, AlphaAboveOne: -1 / (getattr(row, "alpha", 2) - 1)}.get(type(row), -1e80)
    low, high = torch.full_like(ratio, lowest), torch.full_like(ratio, 1e3)
    for _ in range(340):
        middle = (low + high) / 2
        above = row.log_ratio(middle) > ratio
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    return (low + high) / 2


@pytest.mark.parametrize(("row", "exact"), [pair for pair in ROWS if pair[0] in SMOOTH], ids=label)
def test_bound_is_tight_at_the_logit_that_claims_the_ratio(row: Divergence, exact: float) -> None:
    """E_p g(v) - E_q f*(g(v)), as it is trained. Ties `log_ratio`, `activation` and `composite` to one another."""
    p, q = (values[::30] for values in densities(reach(row)))
    v = logit_of(row, p - q)
    estimate = 30 * (p.exp() * row.activation(v) - q.exp() * row.composite(v)).sum()
    assert estimate.item() == pytest.approx(exact, abs=1e-6)


# The tables -----------------------------------------------------------------------------------------------------------

LOGITS = torch.linspace(-12, 12, 481, dtype=torch.float64)
RATIOS = torch.linspace(-6, 6, 121, dtype=torch.float64).exp()


@rows
def test_fenchel_young(row: Divergence) -> None:
    """f(u) + f*(t) >= ut for every u >= 0 and t, with equality at t = f'(u)."""
    t = torch.cat([row.activation(LOGITS), torch.linspace(-20, 20, 81, dtype=torch.float64)])
    gap = row.f(RATIOS)[:, None] + row.conjugate(t) - RATIOS[:, None] * t
    assert (gap >= -1e-9 * (1 + RATIOS[:, None] * t.abs())).all()
    best = slope(row.f, RATIOS)
    torch.testing.assert_close(row.f(RATIOS) + row.conjugate(best), RATIOS * best, rtol=1e-7, atol=1e-7)


@rows
def test_conjugate_is_the_supremum(row: Divergence) -> None:
    """f*(t) = sup_u ut - f(u), over a fine grid of u from 0 on: below by the grid's error, never above."""
    u = torch.cat([torch.tensor([1e-12, 1.0]), torch.linspace(-14, 9, 20_001).exp()]).double()
    t = row.activation(torch.linspace(-3, 2, 21, dtype=torch.float64))
    supremum = (t[:, None] * u - row.f(u)).amax(1)
    assert (supremum <= row.conjugate(t) + 1e-9).all()
    inside = supremum < row.conjugate(torch.tensor(row.largest - 1e-3).double()) if row.largest < 9 else t < 5
    torch.testing.assert_close(supremum[inside], row.conjugate(t)[inside], rtol=1e-5, atol=1e-5)


@rows
def test_conjugate_is_infinite_outside_its_domain(row: Divergence) -> None:
    outside = torch.tensor([row.largest + 1e-6, row.largest + 5], dtype=torch.float64)
    if row.largest < math.inf:
        assert row.conjugate(outside).tolist() == [math.inf, math.inf]
    u = torch.tensor([1e100], dtype=torch.float64)
    largest = slope(row.f, u).item()
    assert largest > 20 if row.largest == math.inf else largest == pytest.approx(row.largest, abs=1e-8)


@rows
def test_activation_increases_within_the_domain(row: Divergence) -> None:
    """A large logit says real, in every row: some published activations fall instead, which turns the score round."""
    t = row.activation(torch.linspace(-30, 30, 2001, dtype=torch.float64))
    assert (t.diff() >= 0).all() and t.max() <= row.largest
    assert (row.activation(LOGITS).diff() > 0).all()
    assert row.conjugate(row.activation(LOGITS)).isfinite().all()


@rows
def test_composite_is_the_conjugate_of_the_activation(row: Divergence) -> None:
    torch.testing.assert_close(
        row.composite(LOGITS), row.conjugate(row.activation(LOGITS)), rtol=1e-7, atol=1e-9, msg=label(row)
    )


THRESHOLDS = {KL: 1.0, ReverseKL: -1.0, GAN: -math.log(2)}


@rows
def test_undecided_is_where_f_has_its_slope_at_one(row: Divergence) -> None:
    """g(v) = f'(1): 1 for KL, -1 for reverse KL, -log 2 for GAN, 0 for the others (Nowozin et al. 2016, table 2)."""
    t = row.activation(torch.tensor(row.undecided, dtype=torch.float64))
    assert t.item() == pytest.approx(THRESHOLDS.get(type(row), 0.0), abs=1e-12)
    one = torch.ones(1, dtype=torch.float64)
    assert slope(row.f, one).item() == pytest.approx(t.item(), abs=1e-12)
    same = row.f(one).item()
    assert same == pytest.approx(-math.log(4) if isinstance(row, GAN) else 0.0, abs=1e-12)


@smooth
def test_log_ratio_inverts_the_slope_of_f(row: Divergence) -> None:
    """f'(exp(log_ratio(v))) = g(v), where some ratio has that slope: Pearson's and Alpha's has a least value."""
    v = LOGITS[(LOGITS > -3) & (LOGITS < 8)]
    if isinstance(row, Pearson | AlphaAboveOne):
        v = v[v > -0.9 / (getattr(row, "alpha", 1.5) - 1)]
    torch.testing.assert_close(slope(row.f, row.log_ratio(v).exp()), row.activation(v), rtol=1e-6, atol=1e-6)


def test_total_variation_identifies_no_ratio() -> None:
    with pytest.raises(UserError, match="total_variation"):
        TotalVariation().log_ratio(torch.zeros(1))


# Logits that overflow -------------------------------------------------------------------------------------------------

EXTREME = torch.cat([sign * torch.tensor([0.0, 1, 5, 12, 20, 25, 50, 88, 89, 104, 500, 1e4]) for sign in (-1, 1)])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize(
    "row", [*ALL, *(AlphaBelowOne(a) for a in (-50, 0.01, 0.99)), *map(AlphaAboveOne, (1.01, 50))], ids=label
)
def test_no_logit_overflows(row: Divergence, dtype: torch.dtype) -> None:
    """Values and slopes are finite and never falling, and squared slopes, which Adam keeps, are finite too."""
    v = EXTREME.sort().values.to(dtype)
    given = [row.activation, row.composite, *([] if isinstance(row, TotalVariation) else [row.log_ratio])]
    for function in given:
        values, slopes = function(v), slope(function, v)
        assert values.isfinite().all() and slopes.square().isfinite().all()
        assert (values.diff() >= 0).all() and (slopes >= 0).all()


@pytest.mark.parametrize("pi", [0.01, 0.99])
def test_lopsided_weights_do_not_overflow(pi: float) -> None:
    row = WeightedJensenShannon(pi)
    for function in (row.activation, row.composite, row.log_ratio):
        assert function(EXTREME).isfinite().all() and (slope(function, EXTREME) >= 0).all()


@rows
def test_bound_holds_for_any_logits(row: Divergence) -> None:
    """Three cells, a thousand random tables of logits up to 1e4: no estimate exceeds the divergence."""
    p, q = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], dtype=torch.float64)
    exact = (q * row.f(p / q)).sum()
    generator = torch.Generator().manual_seed(0)
    size = 10 ** torch.linspace(-2, 4, 1000, dtype=torch.float64)[:, None]
    v = size * torch.randn(1000, 3, generator=generator, dtype=torch.float64).clamp(-1, 1)
    for logits in (v, v.float()):
        estimate = (p * row.activation(logits) - q * row.composite(logits)).sum(1)
        assert (estimate <= exact + 1e-6).all()


@rows
def test_activation_and_composite_are_tamed_alike(row: Divergence) -> None:
    """However large the logit, what is subtracted is f* of what is added: T stays a function of v, so the bound holds.

    Checked from T in double precision, which loses f*'s digits near `largest` alone.
    """
    v = EXTREME if row.largest == math.inf else EXTREME[EXTREME <= 0]
    torch.testing.assert_close(
        row.composite(v).double(), row.conjugate(row.activation(v).double()), rtol=1e-4, atol=1e-5, check_dtype=False
    )


@pytest.mark.parametrize("pi", WEIGHTS)
def test_weighted_composite_far_out(pi: float) -> None:
    """1 - sigmoid(v)^(1 / pi) ~ exp(-v) / pi: f* ~ (1 - pi) (log(1 - pi) + v + log pi)."""
    v = torch.tensor([20.0, 29.9, 30.1, 100.0, 1e4])
    expected = (1 - pi) * (math.log(1 - pi) + v + math.log(pi))
    torch.testing.assert_close(WeightedJensenShannon(pi).composite(v), expected, rtol=1e-6, atol=1e-6)


def test_single_precision_agrees_with_double() -> None:
    v = torch.linspace(-15, 15, 301)
    for row in ALL:
        common = row.composite(v.double()).abs() < 1e6  # from exp(22.2) on, logits are tamed in float32 alone
        for function in (row.activation, row.composite):
            exact = function(v.double())
            torch.testing.assert_close(function(v).double()[common], exact[common], rtol=1e-4, atol=1e-6)


# Where the printed formulas fail --------------------------------------------------------------------------------------


def number(row: Divergence, t: float) -> float:
    return row.conjugate(torch.tensor([t])).item()


def test_pearson_below_minus_two() -> None:
    """sup_u ut - (u - 1)^2 is reached at u = 0 for t < -2: -1. t^2 / 4 + t would be -0.75 at t = -3."""
    assert number(Pearson(), -3.0) == -1.0
    assert number(Pearson(), -2.0) == -1.0
    assert number(Pearson(), -1.0) == pytest.approx(-0.75)


def test_alpha_of_one_and_a_half_has_a_bound() -> None:
    """p = 0.01, q = 0.5 in a cell, T = -1000: 0.01 T + 0.5 / 1.5 = -9.67. Unclipped, (T / 2 + 1)^3 / 1.5 gives 4e7."""
    row = AlphaAboveOne(1.5)
    assert number(row, -1000.0) == pytest.approx(-1 / 1.5)
    v = torch.tensor([-1000.0])
    assert (0.01 * row.activation(v) - 0.5 * row.composite(v)).item() == pytest.approx(-10 + 0.5 / 1.5, rel=1e-6)


def test_alpha_of_three_is_a_number() -> None:
    """(1 - 2)^1.5 is none; f*(-1) = -1 / 3, at u = 0."""
    assert number(AlphaAboveOne(3.0), -1.0) == pytest.approx(-1 / 3)


def test_total_variation_below_minus_a_half() -> None:
    assert number(TotalVariation(), -2.0) == -0.5


def test_half_alpha_is_twice_hellinger_and_two_half_pearson() -> None:
    torch.testing.assert_close(AlphaBelowOne(0.5).f(RATIOS), 2 * SquaredHellinger().f(RATIOS))
    torch.testing.assert_close(AlphaAboveOne(2.0).f(RATIOS), Pearson().f(RATIOS) / 2)
    torch.testing.assert_close(AlphaBelowOne(-1.0).f(RATIOS), Neyman().f(RATIOS) / 2)
    torch.testing.assert_close(WeightedJensenShannon(0.5).f(RATIOS), JensenShannon().f(RATIOS) / 2)


# Numerics -------------------------------------------------------------------------------------------------------------


def test_wright_omega_is_scipys() -> None:
    near = torch.tensor([1.0, 1 + 1e-15, 1 - 1e-9, 1e4, 1e8], dtype=torch.float64)
    z = torch.cat([torch.linspace(-300, 50, 7001, dtype=torch.float64), near])
    np.testing.assert_allclose(log_wright_omega(z).exp().numpy(), wrightomega(z.numpy()), rtol=1e-13)
    single = z[z > -80].float()
    np.testing.assert_allclose(log_wright_omega(single).exp().numpy(), wrightomega(single.double().numpy()), rtol=2e-5)


def test_wright_omega_has_slopes() -> None:
    """d log omega / dz = 1 / (1 + omega), and its own slope."""
    z = torch.tensor([-40.0, -3.0, 0.5, 1.0, 2.0, 30.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(log_wright_omega, z)
    assert torch.autograd.gradgradcheck(log_wright_omega, z)
    torch.testing.assert_close(slope(log_wright_omega, z.detach()), 1 / (1 + log_wright_omega(z.detach()).exp()))


def test_tamed_exponential_goes_on_as_its_tangent() -> None:
    """exp(c + log(1 + x - c)) = exp(c) (1 + x - c), c = log(largest number) / 4 = 22.18 in float32."""
    bound = math.log(torch.finfo(torch.float32).max) / 4
    x = torch.tensor([-5.0, 3.0, bound + 1, bound + 1000])
    expected = torch.tensor([-5.0, 3.0, bound + math.log(2), bound + math.log(1001)])
    torch.testing.assert_close(tamed(x), expected)
    torch.testing.assert_close(slope(tamed, x), torch.tensor([1.0, 1.0, 1 / 2, 1 / 1001]), rtol=1e-4, atol=0)


def test_logarithms_that_are_small() -> None:
    """log log(1 + e^x) ~ x - e^x / 2 far below zero, log(1 - e^-y) ~ log y near zero and -e^-y far above."""
    x = torch.tensor([-1e4, -50.0, -29.0, 0.0, 5.0])
    torch.testing.assert_close(log_softplus(x)[:3], x[:3])
    torch.testing.assert_close(log_softplus(x)[3:], (1 + x[3:].exp()).log().log())
    y = torch.tensor([1e-12, 1e-3, 0.69, 0.70, 3.0, 60.0])
    expected = torch.tensor([math.log(1e-12), *(math.log1p(-math.exp(-n)) for n in y[1:5].tolist()), -math.exp(-60)])
    torch.testing.assert_close(log_one_minus_exp(y), expected, rtol=1e-6, atol=0)


# By name --------------------------------------------------------------------------------------------------------------


def test_every_name_names_a_class_of_its_own() -> None:
    found = [type(named(name)) for name in get_args(Name)]
    assert len(set(found)) == len(found) == 11
    assert type(named("alpha", 1.5)) is AlphaAboveOne
    assert len({named(name).measures for name in get_args(Name)}) == 11


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.inf, -math.inf, math.nan])
def test_limits_of_alpha_are_refused(alpha: float) -> None:
    with pytest.raises(UserError, match="`alpha`"):
        named("alpha", alpha)


@pytest.mark.parametrize("pi", [0.0, 1.0, -1.0, math.nan])
def test_weights_outside_are_refused(pi: float) -> None:
    with pytest.raises(UserError, match="`pi`"):
        named("weighted_js", pi=pi)


@pytest.mark.parametrize(
    ("name", "given"), [("js", {"alpha": 0.5}), ("alpha", {"pi": 0.5}), ("weighted_js", {"alpha": 2.0})]
)
def test_a_parameter_that_a_divergence_does_not_have_is_refused(name, given) -> None:
    with pytest.raises(UserError, match=f"`objective.{next(iter(given))}` belongs to"):
        named(name, **given)
