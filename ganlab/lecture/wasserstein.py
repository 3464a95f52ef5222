"""Between disjoint supports the Jensen-Shannon divergence stays at log 2 while W1 keeps growing.

Arjovsky et al. 2017, example 1 (two parallel lines at distance theta) and shifted Gaussians, whose W1 is the shift. W1
is estimated by critics under the gradient penalty (two-sided and one-sided) and under weight clipping. A critic's
estimate is at most W1 times its Lipschitz constant, so that constant is measured, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.constraints import WeightClipping
from ganlab.core.sides import Side
from ganlab.data.batch import Condition
from ganlab.lecture import drawing
from ganlab.lecture.line import gaussian_jsd
from ganlab.lecture.play import Source, discriminator, falling, learn, reading
from ganlab.objectives import NonSaturating, Wasserstein
from ganlab.regularizers import GradientPenalty, OneSidedGradientPenalty, squared_gradient_norm

STEPS = 1000
HELD_OUT = 50_000
THETAS = (0.0, 0.125, 0.25, 0.5, 1.0, 1.5, 2.0)
SHIFTS = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
WEIGHTS = (0.1, 1.0, 10.0, 100.0)  # of the penalty, at a shift of 2

Pair = tuple[Source, Source]
Reading = dict[str, float]


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    torch.manual_seed(seed)
    lines = {theta: on_lines(theta) for theta in THETAS}
    gaussians = {
        shift: {name: by_critic(gaussian_pair(shift), 1, side()) for name, side in SIDES.items()} for shift in SHIFTS
    }
    weights = {weight: by_critic(gaussian_pair(2.0), 1, penalized(GradientPenalty, weight)) for weight in WEIGHTS}
    _draw(folder / "wasserstein.png", lines, gaussians)
    return {
        "lines": {f"{theta:g}": row for theta, row in lines.items()},
        "gaussians": {f"{shift:g}": row for shift, row in gaussians.items()},
        "penalty_weight_at_shift_2": {
            f"{weight:g}": {**row, "predicted": predicted(2.0, weight)} for weight, row in weights.items()
        },
    }


# The critics ------------------------------------------------------------------------------------------------------


def penalized(penalty: type[GradientPenalty] | type[OneSidedGradientPenalty], weight: float = 10.0) -> Side:
    """Return WGAN-GP's critic with its weight for pictures (Gulrajani et al. 2017)."""
    return falling(1e-2, STEPS, regularizers={"gradient_penalty": penalty(weight)})


def clipped(limit: float) -> Side:
    """Return WGAN's critic (Arjovsky et al. 2017, algorithm 1).

    RMSprop has the rate 5e-5 for a limit of 0.01, and a proportional rate for other limits.
    """
    return Side(partial(torch.optim.RMSprop, lr=5e-3 * limit), constraint=WeightClipping(limit))


SIDES: dict[str, Callable[[], Side]] = {
    "two_sided": partial(penalized, GradientPenalty),
    "one_sided": partial(penalized, OneSidedGradientPenalty),
    "clipped_0.01": partial(clipped, 0.01),
    "clipped_0.1": partial(clipped, 0.1),
}


def by_critic(pair: Pair, dims: int, side: Side) -> Reading:
    """Return a critic's estimate on fresh samples, its Lipschitz constant, and their quotient, a lower bound of W1."""
    network = discriminator(dims)
    learn(network, Wasserstein(), side, *pair, STEPS)
    real, fake = (source(HELD_OUT) for source in pair)
    read, steepest = reading(network, Wasserstein(), real, fake), lipschitz(network, real, fake)
    return {"read": read, "lipschitz": steepest, "normalized": read / steepest}


def lipschitz(network: nn.Module, real: Tensor, fake: Tensor) -> float:
    """Return the steepest slope found on real points, generated points and the lines between them."""

    def critic(points: Tensor, condition: Condition) -> Tensor:
        return network(points)

    between = torch.lerp(real, fake, torch.rand(len(real), 1))
    return float(squared_gradient_norm(critic, torch.cat([real, fake, between]), None).detach().max().sqrt())


def predicted(shift: float, weight: float) -> float:
    """Return the estimate at the optimum of the penalized objective between N(0, 1) and N(shift, 1), two-sided.

    With F and H their distribution functions and r the density of the interpolated points, the critic's slope s
    maximises the integral of s (F - H) - weight r (s - 1)^2. So s = 1 + (F - H) / (2 weight r): W1 is overestimated by
    the integral of (F - H)^2 / (2 weight r).
    """
    x = torch.linspace(-6, shift + 6, 2001, dtype=torch.float64)
    share = torch.linspace(0, 1, 2001, dtype=torch.float64)[:, None]
    spread = (share**2 + (1 - share) ** 2).sqrt()  # x + share (y - x) is N(share * shift, spread^2)
    density = torch.exp(-(((x - share * shift) / spread) ** 2) / 2) / (spread * math.sqrt(2 * math.pi))
    r = torch.trapezoid(density, share[:, 0], dim=0)
    gap = torch.special.ndtr(x) - torch.special.ndtr(x - shift)
    return shift + float(torch.trapezoid(gap**2 / (2 * weight * r), x))


# The pairs --------------------------------------------------------------------------------------------------------


def gaussian_pair(shift: float) -> Pair:
    """Return N(0, 1) and N(shift, 1)."""
    return lambda count: torch.randn(count, 1), lambda count: torch.randn(count, 1) + shift


def line_pair(theta: float) -> Pair:
    """Return (0, Z) and (theta, Z), Z uniform on [0, 1]."""

    def line(place: float) -> Source:
        return lambda count: torch.stack([torch.full((count,), place), torch.rand(count)], dim=1)

    return line(0.0), line(theta)


def on_lines(theta: float) -> dict[str, Any]:
    """Return both divergences between the lines, exact and estimated by networks."""
    judge, pair = discriminator(2), line_pair(theta)
    learn(judge, NonSaturating(), falling(3e-3, STEPS), *pair, STEPS)
    return {
        "jsd": math.log(2) if theta else 0.0,
        "w1": theta,
        "jsd_read": reading(judge, NonSaturating(), *(source(HELD_OUT) for source in pair)),
        "w1_read": by_critic(pair, 2, penalized(GradientPenalty)),
    }


# The picture ------------------------------------------------------------------------------------------------------


def _draw(file: Path, lines: dict[float, dict[str, Any]], gaussians: dict[float, dict[str, Reading]]) -> None:
    figure, ((first, second, third),) = drawing.panels(3)
    first.plot([0, *THETAS], [0, 0, *[math.log(2)] * (len(THETAS) - 1)], color=drawing.TRUTH, linestyle="--")
    first.plot(THETAS, THETAS, color=drawing.TRUTH, label="exact")
    first.plot(THETAS, [row["jsd_read"] for row in lines.values()], "s", color="tab:orange", label="JSD, read")
    w1 = [row["w1_read"]["normalized"] for row in lines.values()]
    first.plot(THETAS, w1, "o", color=drawing.JUDGED, label="W1, read / slope")
    first.set(xlabel="theta", title="two parallel lines at distance theta")
    grid = torch.linspace(0, 8, 81).tolist()
    for axis, key, title in ((second, "read", "as the critic reads it"), (third, "normalized", "divided by its slope")):
        axis.plot(grid, grid, color=drawing.TRUTH, label="W1 = m")
        axis.plot(grid, [gaussian_jsd(m) for m in grid], color=drawing.TRUTH, linestyle="--", label="JSD")
        for name, marker in zip(SIDES, "o^sD", strict=True):
            values = [row[name][key] for row in gaussians.values()]
            axis.plot(SHIFTS, values, marker, markersize=5, fillstyle="none", label=name.replace("_", " "))
        axis.set(xlabel="m", title=f"N(0, 1) and N(m, 1), {title}")
    second.plot(
        grid[::4],
        [predicted(m, 10.0) for m in grid[::4]],
        color=drawing.TRUTH,
        linestyle=":",
        label="predicted, weight 10",
    )
    for axis in (first, second, third):
        axis.legend(fontsize=8)
    drawing.save(figure, file)
