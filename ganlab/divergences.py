"""The f-divergences of Nowozin et al. 2016 (tables 1 and 2, and its supplement), which f-GAN estimates and minimizes.

For a convex f, D_f(p || q) = E_q f(p / q), with p the data and q the model. It is the maximum over functions T of E_p T
- E_q f*(T), where f*(t) = sup_u ut - f(u) is the conjugate of f. A discriminator's logit v gives T = g(v). The
activation g is increasing and keeps T where f* is finite, so any logits give a lower bound. The bound is tight at T =
f'(p / q).

Training uses the composite f*(g(v)), in a form whose values and slopes are finite at any logit. Where it grows like
exp(v), `tamed` first bends the logit, in both T and f*(T). T is then another function of v that stays where f* is
finite, so the bound still holds. Plain torch. The result has the dtype of the input (objectives pass float32).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn.functional import softplus

from ganlab.errors import UserError

# Numerics ---------------------------------------------------------------------------------------------------------


def tamed(x: Tensor) -> Tensor:
    """Return x up to a bound c, and c + log(1 + x - c) above it.

    exp(tamed(x)) is exp(x) up to exp(c), and its tangent above. exp(c) is the fourth root of the dtype's largest number
    (c = 22.2 in float32), because squared slopes, which Adam stores, must be finite too. The function is increasing,
    with a continuous slope that is never zero.
    """
    bound = math.log(torch.finfo(x.dtype).max) / 4
    return x.clamp(max=bound) + torch.log1p((x - bound).relu())


def log_softplus(x: Tensor) -> Tensor:
    """Return log log(1 + exp(x)), which is x if exp(x) is negligible."""
    return torch.where(x < -30, x, softplus(x.clamp(min=-30)).log())


def log_one_minus_exp(y: Tensor) -> Tensor:
    """Return log(1 - exp(-y)) for y > 0, by the form that is accurate at y."""
    half = math.log(2)
    small, large = y.clamp(max=half), y.clamp(min=half)
    return torch.where(y < half, (-torch.expm1(-small)).log(), torch.log1p(-torch.exp(-large)))


def inverse_softplus(y: float) -> float:
    """Return the x with softplus(x) = y > 0."""
    return y + math.log(-math.expm1(-y))


class _LogWrightOmega(Function):
    """Newton's method on the convex exp(w) + w - z. It starts to the right of the root, where it cannot overshoot."""

    @staticmethod
    def forward(ctx: Any, z: Tensor) -> Tensor:
        w = torch.where(z > 1, z.clamp(min=1).log(), z)
        for _ in range(6):  # five reach the last digit of float64 from anywhere
            e = w.exp()
            w = w - (e + w - z) / (e + 1)
        ctx.save_for_backward(w)
        return w

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (w,) = ctx.saved_tensors
        return gradients[0] * torch.sigmoid(-w)  # 1 / (1 + omega)


def log_wright_omega(z: Tensor) -> Tensor:
    """Return log omega(z), where omega + log omega = z. omega(z) is Lambert's W(exp(z)), computed without exp(z).

    >>> log_wright_omega(torch.tensor([1 + math.e, -1e4]))  # e + log e, and where only the logarithm is left
    tensor([ 1.0000e+00, -1.0000e+04])
    """
    return _LogWrightOmega.apply(z)


# Divergences ------------------------------------------------------------------------------------------------------


class Divergence(ABC):
    """A convex f, and the functions by which a discriminator estimates its divergence."""

    measures: str
    """The name of D_f, with its unit or range. `model` is the distribution of generated samples."""
    largest: float = math.inf
    """f'(inf). f* is infinite above it."""
    undecided: float = 0.0
    """The logit at which g(v) = f'(1): the discriminator cannot distinguish. A smaller logit means generated."""

    @abstractmethod
    def f(self, u: Tensor) -> Tensor:
        """Return f at density ratios u = p / q >= 0."""

    def conjugate(self, t: Tensor) -> Tensor:
        """Return f*(t), infinite above `largest`, as the paper prints it. Tests use it; training uses `composite`."""
        return torch.where(t <= self.largest, self._conjugate(t), math.inf)

    @abstractmethod
    def _conjugate(self, t: Tensor) -> Tensor:
        """Return f*(t) for t <= `largest`."""

    @abstractmethod
    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v: increasing, at most `largest`."""

    @abstractmethod
    def composite(self, v: Tensor) -> Tensor:
        """Return f*(g(v)) of logits v."""

    @abstractmethod
    def log_ratio(self, v: Tensor) -> Tensor:
        """Return log p / q that logits imply: the logarithm of the u at which f'(u) = g(v). It is finite.

        Raise `UserError` if f' does not determine the ratio.
        """


class TotalVariation(Divergence):
    """f = |u - 1| / 2. The optimal T = sign(p - q) / 2 gives the larger density, but not the ratio."""

    measures = "total variation (0 to 1)"
    largest = 0.5

    def f(self, u: Tensor) -> Tensor:
        """Return f(u) at density ratios u >= 0."""
        return (u - 1).abs() / 2

    def _conjugate(self, t: Tensor) -> Tensor:
        return t.clamp(min=-0.5)

    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v."""
        return torch.tanh(v) / 2

    def composite(self, v: Tensor) -> Tensor:
        """Return f*(g(v)) of logits v in one stable expression."""
        return torch.tanh(v) / 2

    def log_ratio(self, v: Tensor) -> Tensor:
        """Raise `UserError`: logits do not determine the density ratio."""
        raise UserError(
            "`divergence=total_variation` identifies no density ratio, only which density is larger: use kl or js"
        )


class KL(Divergence):
    """f = u log u. T = 1 + log p / q."""

    measures = "Kullback-Leibler divergence KL(data || model) (nats)"
    undecided = 1.0

    def f(self, u: Tensor) -> Tensor:
        """Return f(u) at density ratios u >= 0."""
        return torch.xlogy(u, u)

    def _conjugate(self, t: Tensor) -> Tensor:
        return (t - 1).exp()

    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v."""
        return 1 + tamed(v - 1)

    def composite(self, v: Tensor) -> Tensor:
        """Return f*(g(v)) of logits v in one stable expression."""
        return tamed(v - 1).exp()

    def log_ratio(self, v: Tensor) -> Tensor:
        """Return the log density ratio that logits v stand for."""
        return tamed(v - 1)


class ReverseKL(Divergence):
    """f = -log u. T = -q / p."""

    measures = "reverse Kullback-Leibler divergence KL(model || data) (nats)"
    largest = 0.0

    def f(self, u: Tensor) -> Tensor:
        """Return f(u) at density ratios u >= 0."""
        return -u.log()

    def _conjugate(self, t: Tensor) -> Tensor:
        return -1 - (-t).log()

    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v."""
        return -tamed(-v).exp()

    def composite(self, v: Tensor) -> Tensor:
        """Return f*(g(v)) of logits v in one stable expression."""
        return -tamed(-v) - 1

    def log_ratio(self, v: Tensor) -> Tensor:
        """Return the log density ratio that logits v stand for."""
        return -tamed(-v)


class Pearson(Divergence):
    """f = (u - 1)^2. T = 2 (p / q - 1). f* is -1 below t = -2, where the paper's t^2 / 4 + t is only a bound."""

    measures = "Pearson chi-squared divergence (0 to infinity)"

    def f(self, u: Tensor) -> Tensor:
        """Return f(u) at density ratios u >= 0."""
        return (u - 1) ** 2

    def _conjugate(self, t: Tensor) -> Tensor:
        t = t.clamp(min=-2)
        return t * (t / 4 + 1)

    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v."""
        return v

    def composite(self, v: Tensor) -> Tensor:
        """Return f*(g(v)) of logits v in one stable expression."""
        return self._conjugate(v)

    def log_ratio(self, v: Tensor) -> Tensor:
        """Return the log density ratio that logits v stand for."""
        return _log1p(v / 2)


class Neyman(Divergence):
    """f = (1 - u)^2 / u. T = 1 - (q / p)^2."""

    measures = "Neyman chi-squared divergence (0 to infinity)"
    largest = 1.0

    def f(self, u: Tensor) -> Tensor:
        """Return f(u) at density ratios u >= 0."""
        return (1 - u) ** 2 / u

    def _conjugate(self, t: Tensor) -> Tensor:
        return 2 - 2 * (1 - t).sqrt()

    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v."""
        return -torch.expm1(tamed(-v))

    def composite(self, v: Tensor) -> Tensor:
        """Return f*(g(v)) of logits v in one stable expression."""
        return -2 * torch.expm1(tamed(-v) / 2)

    def log_ratio(self, v: Tensor) -> Tensor:
        """Return the log density ratio that logits v stand for."""
        return -tamed(-v) / 2


class SquaredHellinger(Divergence):
    """f = (sqrt u - 1)^2. T = 1 - sqrt(q / p). D_f = 2 - 2 E_q sqrt(p / q), without a factor of one half."""

    measures = "squared Hellinger distance (0 to 2)"
    largest = 1.0

    def f(self, u: Tensor) -> Tensor:
        """Return f(u) at density ratios u >= 0."""
        return (u.sqrt() - 1) ** 2

    def _conjugate(self, t: Tensor) -> Tensor:
        return t / (1 - t)

    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v."""
        return -torch.expm1(-self._bent(v))

    def composite(self, v: Tensor) -> Tensor:
        """Return f*(g(v)) of logits v in one stable expression."""
        return torch.expm1(self._bent(v))

    def log_ratio(self, v: Tensor) -> Tensor:
        """Return the log density ratio that logits v stand for."""
        return 2 * self._bent(v)

    @staticmethod
    def _bent(v: Tensor) -> Tensor:
        """Bend the logit on both sides, because T grows like exp(-v) and f*(T) like exp(v)."""
        return -tamed(-tamed(v))


class Jeffrey(Divergence):
    """f = (u - 1) log u, the sum of KL in both directions.

    T = 1 + r - exp(-r) with r = log p / q, and f*(T) = exp(r) - 1 + r. The u of T is 1 / omega(1 - T), by Wright's
    omega function. The paper's W(exp(1 - t)) overflows float32 at t < -87.
    """

    measures = "Jeffreys divergence, KL(data || model) + KL(model || data) (nats)"

    def f(self, u: Tensor) -> Tensor:
        """Return f(u) at density ratios u >= 0."""
        return (u - 1) * u.log()

    def _conjugate(self, t: Tensor) -> Tensor:
        r = -log_wright_omega(1 - t)
        return torch.expm1(r) + r

    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v."""
        return 1 + tamed(v - 1)

    def composite(self, v: Tensor) -> Tensor:
        """Return f*(g(v)) of logits v in one stable expression."""
        return self._conjugate(self.activation(v))

    def log_ratio(self, v: Tensor) -> Tensor:
        """Return the log density ratio that logits v stand for."""
        return -log_wright_omega(1 - self.activation(v))


class JensenShannon(Divergence):
    """f = u log u - (u + 1) log((u + 1) / 2). The logit is log p / q. D_f = 2 JSD, without a factor of one half."""

    measures = "twice the Jensen-Shannon divergence (nats, 0 to log 4)"
    largest = math.log(2)

    def f(self, u: Tensor) -> Tensor:
        """Return f(u) at density ratios u >= 0."""
        return torch.xlogy(u, u) - torch.xlogy(u + 1, (u + 1) / 2)

    def _conjugate(self, t: Tensor) -> Tensor:
        return -(2 - t.exp()).log()

    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v."""
        return math.log(2) - softplus(-v)

    def composite(self, v: Tensor) -> Tensor:
        """Return f*(g(v)) of logits v in one stable expression."""
        return softplus(v) - math.log(2)

    def log_ratio(self, v: Tensor) -> Tensor:
        """Return the log density ratio that logits v stand for."""
        return v


class WeightedJensenShannon(Divergence):
    """f = pi u log u - w log w with w = 1 - pi + pi u. D_f = pi KL(p || m) + (1 - pi) KL(q || m).

    m = pi p + (1 - pi) q. k = sigmoid(v)^(1 / pi) is the share of pi p in m that the logit implies. f*(T) = (1 - pi)
    log((1 - pi) / (1 - k)).
    """

    def __init__(self, pi: float = 0.5) -> None:
        if not 0 < pi < 1:
            raise UserError(f"`pi` must be between 0 and 1, got {pi}: 0.5 is the Jensen-Shannon divergence")
        self.pi = pi
        self.measures = f"Jensen-Shannon divergence with weight {pi:g} of the data (nats)"
        self.largest = -pi * math.log(pi)
        self.undecided = -inverse_softplus(self.largest)

    def f(self, u: Tensor) -> Tensor:
        """Return f(u) at density ratios u >= 0."""
        w = 1 - self.pi + self.pi * u
        return self.pi * torch.xlogy(u, u) - torch.xlogy(w, w)

    def _conjugate(self, t: Tensor) -> Tensor:
        return (1 - self.pi) * ((1 - self.pi) / (1 - self.pi * (t / self.pi).exp())).log()

    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v."""
        return self.largest - softplus(-v)

    def composite(self, v: Tensor) -> Tensor:
        """Return f*(g(v)) of logits v in one stable expression."""
        return (1 - self.pi) * (math.log(1 - self.pi) - self._log_rest(v))

    def log_ratio(self, v: Tensor) -> Tensor:
        """Return the log density ratio that logits v stand for."""
        return math.log((1 - self.pi) / self.pi) - softplus(-v) / self.pi - self._log_rest(v)

    def _log_rest(self, v: Tensor) -> Tensor:
        """Return log(1 - k), k = exp(-softplus(-v) / pi). If 1 - k is too small, return the limit."""
        near = log_one_minus_exp(softplus(-v.clamp(max=30)) / self.pi)
        return torch.where(v > 30, -v - math.log(self.pi), near)


class GAN(Divergence):
    """f = u log u - (u + 1) log(u + 1). The logit is log p / q. The game is minimax. D_f = 2 JSD - log 4."""

    measures = "twice the Jensen-Shannon divergence, less log 4 (nats, -log 4 to 0)"
    largest = 0.0

    def f(self, u: Tensor) -> Tensor:
        """Return f(u) at density ratios u >= 0."""
        return torch.xlogy(u, u) - torch.xlogy(u + 1, u + 1)

    def _conjugate(self, t: Tensor) -> Tensor:
        return -(-torch.expm1(t)).log()

    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v."""
        return -softplus(-v)

    def composite(self, v: Tensor) -> Tensor:
        """Return f*(g(v)) of logits v in one stable expression."""
        return softplus(v)

    def log_ratio(self, v: Tensor) -> Tensor:
        """Return the log density ratio that logits v stand for."""
        return v


class _Alpha(Divergence):
    """f = (u^a - 1 - a (u - 1)) / (a (a - 1)). T = (exp((a - 1) r) - 1) / (a - 1), f*(T) = (exp(a r) - 1) / a.

    r = log p / q. The limits KL (a = 1) and reverse KL (a = 0) are classes of their own.
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = alpha
        self.measures = f"alpha divergence of alpha = {alpha:g} (0 to infinity)"

    def f(self, u: Tensor) -> Tensor:
        """Return f(u) at density ratios u >= 0."""
        a = self.alpha
        return (torch.expm1(a * u.log()) - a * (u - 1)) / (a * (a - 1))

    def _conjugate(self, t: Tensor) -> Tensor:
        """Return f*(t). The base is clipped: (-t)^1.5 is not real, and (-t)^3, at alpha = 1.5, has no lower bound."""
        a = self.alpha
        return ((1 + (a - 1) * t).relu() ** (a / (a - 1)) - 1) / a

    def composite(self, v: Tensor) -> Tensor:
        """Return f*(g(v)) of logits v in one stable expression."""
        return torch.expm1(self.alpha * self.log_ratio(v)) / self.alpha

    def _activation(self, v: Tensor) -> Tensor:
        """Return the T whose f* is `composite`."""
        return torch.expm1((self.alpha - 1) * self.log_ratio(v)) / (self.alpha - 1)


class AlphaBelowOne(_Alpha):
    """alpha < 1, not 0: f* is infinite from 1 / (1 - alpha) on, and g(v) = 1 / (1 - alpha) - softplus(-v)."""

    def __init__(self, alpha: float = 0.5) -> None:
        if not -math.inf < alpha < 1 or alpha == 0:
            raise UserError(f"`alpha` must be under 1 and not 0, got {alpha}: 0 would be divergence=reverse_kl")
        super().__init__(alpha)
        self.largest = 1 / (1 - alpha)
        self.undecided = -inverse_softplus(self.largest)

    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v."""
        return self._activation(v)

    def log_ratio(self, v: Tensor) -> Tensor:
        """Return the log density ratio that logits v stand for."""
        r = -(math.log(1 - self.alpha) + log_softplus(-v)) / (1 - self.alpha)
        return tamed(self.alpha * r) / self.alpha


class AlphaAboveOne(_Alpha):
    """alpha > 1: g(v) = v, and f* is -1 / alpha below t = -1 / (alpha - 1)."""

    def __init__(self, alpha: float = 2.0) -> None:
        if not 1 < alpha < math.inf:
            raise UserError(f"`alpha` must be over 1, got {alpha}: 1 would be divergence=kl")
        super().__init__(alpha)

    def activation(self, v: Tensor) -> Tensor:
        """Return T = g(v) of logits v."""
        return torch.minimum(v, self._activation(v))  # less than v where tamed, more where f* is constant

    def log_ratio(self, v: Tensor) -> Tensor:
        """Return the log density ratio that logits v stand for."""
        r = _log1p((self.alpha - 1) * v) / (self.alpha - 1)
        return tamed(self.alpha * r) / self.alpha


def _log1p(x: Tensor) -> Tensor:
    """Return log(1 + x). If a logit implies a ratio of zero or less, return a finite number with no slope."""
    return torch.log1p(x.clamp(min=torch.finfo(x.dtype).eps - 1))


# By name ----------------------------------------------------------------------------------------------------------

Name = Literal[
    "total_variation",
    "kl",
    "reverse_kl",
    "pearson",
    "neyman",
    "squared_hellinger",
    "jeffrey",
    "js",
    "weighted_js",
    "gan",
    "alpha",
]
"""The name of a divergence in recipes."""

PLAIN: dict[Name, type[Divergence]] = {
    "total_variation": TotalVariation,
    "kl": KL,
    "reverse_kl": ReverseKL,
    "pearson": Pearson,
    "neyman": Neyman,
    "squared_hellinger": SquaredHellinger,
    "jeffrey": Jeffrey,
    "js": JensenShannon,
    "gan": GAN,
}
"""The divergences without a parameter."""


def named(name: Name, alpha: float | None = None, pi: float | None = None) -> Divergence:
    """Return the divergence of a name.

    alpha, pi: the parameters of `alpha` and `weighted_js`, 0.5 by default.
    Raise `UserError` if a parameter is given that the divergence does not have.
    """
    for parameter, value, owner in (("alpha", alpha, "alpha"), ("pi", pi, "weighted_js")):
        if value is not None and name != owner:
            raise UserError(
                f"`objective.{parameter}` belongs to objective.divergence={owner}, not to {name}: leave it out"
            )
    if name == "alpha":
        return AlphaBelowOne() if alpha is None else AlphaAboveOne(alpha) if alpha >= 1 else AlphaBelowOne(alpha)
    if name == "weighted_js":
        return WeightedJensenShannon() if pi is None else WeightedJensenShannon(pi)
    return PLAIN[name]()
