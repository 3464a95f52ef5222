"""A discriminator measures any f-divergence of its objective, as long as samples reach the regions that dominate it.

Nowozin et al. 2016: E_p g(v) - E_q f*(g(v)) is at most D_f(p || q), with equality at the optimal logits v. One network
on a line is trained by each row of f-GAN's tables on samples of P = N(0, 1) and Q = N(0.7, 1.3^2). It is then evaluated
on a million held-out samples of each. The rows JS and GAN are also evaluated between N(0, 1) and N(d, 1).
"""

from __future__ import annotations

import math
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from ganlab.divergences import Divergence
from ganlab.lecture import drawing
from ganlab.lecture.line import gaussian_jsd
from ganlab.lecture.play import Source, discriminator, falling, learning, reading
from ganlab.objectives import FGAN

ROWS = {
    "total variation": FGAN("total_variation"),
    "KL": FGAN("kl"),
    "reverse KL": FGAN("reverse_kl"),
    "Pearson": FGAN("pearson"),
    "Neyman": FGAN("neyman"),
    "squared Hellinger": FGAN("squared_hellinger"),
    "Jeffreys": FGAN("jeffrey"),
    "JS": FGAN("js"),
    "weighted JS, pi 0.3": FGAN("weighted_js", pi=0.3),
    "GAN": FGAN("gan"),
    "alpha 0.5": FGAN("alpha", alpha=0.5),
    "alpha 1.5": FGAN("alpha", alpha=1.5),
}
CENTER, SCALE = 0.7, 1.3  # of Q
DISTANCES = (0.5, 1.0, 2.0, 4.0)
BATCH = 512
LOOKS = (10, 20, 30, 50, 75, 100, 150, 200, 300, 400, 500, 600, 700, 800, 900, 1000, 1200, 1400, 1600, 1800, 2000)
"""Turns after which the discriminator is evaluated. After the last its rate is zero."""
HELD_OUT = 1_000_000
LOOKED_AT = 100_000  # of the held-out samples, before the last evaluation


def run(folder: Path, seed: int) -> dict[str, Any]:
    """Run the experiment: draw its pictures into `folder` and return its numbers."""
    torch.manual_seed(seed)
    real, fake = normal(0.0, 1.0), normal(CENTER, SCALE)
    curves = {name: readings(objective, real, fake) for name, objective in ROWS.items()}
    rows = {name: verdict(curves[name][-1], exact(ROWS[name].f, CENTER, SCALE)) for name in ROWS}
    shifted = {name: {d: between_shifted(ROWS[name], d) for d in DISTANCES} for name in ("JS", "GAN")}
    _draw(folder / "divergences.png", rows, curves, shifted)
    return {
        "p_and_q": rows,
        "shifted": {name: {f"{d:g}": row for d, row in found.items()} for name, found in shifted.items()},
        "neyman_beyond_five": beyond(5.0),
        "turns": list(LOOKS),
        "curves": curves,
    }


# Estimates --------------------------------------------------------------------------------------------------------


def normal(center: float, scale: float) -> Source:
    """Return a source of points from N(center, scale^2)."""
    return lambda count: center + scale * torch.randn(count, 1)


def readings(objective: FGAN, real: Source, fake: Source) -> list[float]:
    """Return the estimates while a network learns. The last is that of all held-out samples."""
    network, held_out = discriminator(1), (real(HELD_OUT), fake(HELD_OUT))
    parts = list(zip(*(points.split(LOOKED_AT) for points in held_out), strict=True))
    curve = [
        reading(network, objective, *parts[0])
        for turn in learning(network, objective, falling(3e-3, LOOKS[-1]), real, fake, LOOKS[-1], BATCH)
        if turn in LOOKS
    ]
    return [*curve[:-1], mean(reading(network, objective, *part) for part in parts)]


def between_shifted(objective: FGAN, distance: float) -> dict[str, float]:
    """Return the estimate for N(0, 1) against N(distance, 1), with the error of the JSD that it implies."""
    said, truth = readings(objective, normal(0.0, 1.0), normal(distance, 1.0))[-1], exact(objective.f, distance, 1.0)
    jsd = (said - nothing(objective.f)) / 2
    return {**verdict(said, truth), "error_of_jsd": jsd / gaussian_jsd(distance) - 1}


def nothing(divergence: Divergence) -> float:
    """Return D_f(p || p) = f(1): zero, but -log 4 for GAN."""
    return float(divergence.f(torch.ones(())))


def verdict(said: float, truth: float) -> dict[str, float]:
    """Return the exact value, the estimate and its relative error."""
    return {"exact": truth, "held_out": said, "error": said / truth - 1}


# Exact values -----------------------------------------------------------------------------------------------------


def _log_densities(center: float, scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Return nodes x and log p, log q there. The nodes reach as far as Neyman's integrand."""
    x = torch.linspace(-25, 25, 200_001, dtype=torch.float64)
    constant = math.log(2 * math.pi) / 2
    return x, -(x**2) / 2 - constant, -(((x - center) / scale) ** 2) / 2 - constant - math.log(scale)


def exact(divergence: Divergence, center: float, scale: float) -> float:
    """Return D_f(N(0, 1) || N(center, scale^2)): the integral of q f(p / q), by the trapezoid rule."""
    x, p, q = _log_densities(center, scale)
    return float(torch.trapezoid(q.exp() * divergence.f((p - q).exp()), x))


def beyond(edge: float) -> float:
    """Return the share of Neyman's E_q q / p that is more than `edge` away from 0, where P has nearly no samples."""
    x, p, q = _log_densities(CENTER, SCALE)
    integrand = (2 * q - p).exp()
    return float(integrand[x.abs() > edge].sum() / integrand.sum())


# The picture ------------------------------------------------------------------------------------------------------


def _draw(
    file: Path,
    rows: dict[str, dict[str, float]],
    curves: dict[str, list[float]],
    shifted: dict[str, dict[float, dict[str, float]]],
) -> None:
    figure, ((first, second, third),) = drawing.panels(3, width=4.6, height=4.0)
    _draw_rows(first, rows)
    _draw_curves(second, rows, curves)
    _draw_shifted(third, shifted)
    drawing.save(figure, file)


def _above(name: str, value: float) -> float:
    """Return the value above the row's minimum. It is -log 4 for GAN and zero for the others."""
    return value - nothing(ROWS[name].f)


def _draw_rows(axis: Any, rows: dict[str, dict[str, float]]) -> None:
    """Draw the rows. The dots have the colors of the next panel's curves."""
    truth = [_above(name, row["exact"]) for name, row in rows.items()]
    axis.plot(truth, range(len(rows)), "|", color=drawing.TRUTH, markersize=18, label="exact")
    for place, (name, row) in enumerate(rows.items()):
        axis.plot(_above(name, row["held_out"]), place, "o", color=_color(place))
    axis.set_yticks(range(len(rows)), [f"{name} + log 4" if name == "GAN" else name for name in rows])
    axis.invert_yaxis()
    axis.set(xscale="log", title="read (dots) and exact, held out", xlabel="N(0, 1) against N(0.7, 1.3²)")


def _draw_curves(axis: Any, rows: dict[str, dict[str, float]], curves: dict[str, list[float]]) -> None:
    for place, (name, curve) in enumerate(curves.items()):
        truth = _above(name, rows[name]["exact"])
        axis.semilogx(LOOKS, [_above(name, value) / truth for value in curve], color=_color(place))
    axis.axhspan(0.95, 1.05, color="0.9", zorder=0)
    axis.set(xlabel="discriminator turns", title="read / exact, held out", ylim=(-0.1, 1.2))


def _color(place: int) -> str:
    return f"C{place}" if place < 10 else ("navy", "gold")[place - 10]


def _draw_shifted(axis: Any, shifted: dict[str, dict[float, dict[str, float]]]) -> None:
    grid = torch.linspace(0, 4.2, 60).tolist()
    truth = [2 * gaussian_jsd(distance) for distance in grid]
    for name, found in shifted.items():
        color = _color(list(ROWS).index(name))
        axis.plot(grid, [value + nothing(ROWS[name].f) for value in truth], color=drawing.TRUTH)
        axis.plot(list(found), [row["held_out"] for row in found.values()], "o", color=color, label=name)
    axis.set(xlabel="d", ylabel="nats", title="N(0, 1) against N(d, 1)")
    axis.legend(fontsize=8)
