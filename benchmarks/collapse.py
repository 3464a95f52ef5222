"""How often the monitor of collapse cries wolf, how often and how soon it sees what was broken on purpose.

    python benchmarks/collapse.py data=ring                      # or grid, emoji, shape_classes
    python benchmarks/collapse.py data=mnist root=FOLDER         # torchvision's folder

Generators are made of real features, with faults that become fewer as a run goes on: noise on top, as wide as the
modes are at first, and modes drawn unevenly, by weights whose logarithms are normal.
`draws` samples of 1,000 are measured at each of `LEVELS` qualities and of each damage; a run takes one of them at each
look. So runs share samples, and differences between runs are those of the draws, not of training. Half way through, in
runs that are not healthy, something is broken for good.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ganlab.assembly import make_data
from ganlab.callbacks.alarm.inspection import healthy_runs
from ganlab.data.toy import grid, ring
from ganlab.metrics.diversity import k_means, nearest
from ganlab.metrics.features import Small
from ganlab.monitor.crowd import Crowd
from ganlab.monitor.indicators import Indicator
from ganlab.monitor.null import Healthy
from ganlab.monitor.rule import SHORTEST, noise, scan
from ganlab.monitor.yardstick import EACH, Reals, indicators
from ganlab.recipe import compose
from ganlab.rulers.evidence import real_features, some_rows

MOST, COUNT, LOOKS, BROKEN, LEVELS, MODES = 5_000, 1_000, 30, 15, 6, 10
CHANCES = (0.001, 0.01, 0.05)
GENERATORS = 2  # averaged and live: two samples a look


class World:
    """Real features with ten modes (classes, or clusters), and imperfect generators of them."""

    def __init__(self, real: Tensor, modes: Tensor, told: bool, seed: int) -> None:
        self.real, self.modes, self.told = real, modes, told
        self.random = torch.Generator().manual_seed(seed)
        self.middles = torch.stack([real[modes == mode].mean(0) for mode in range(MODES)])
        self.deviation = (real - self.middles[modes]).std(0)
        self.uneven = torch.randn(MODES, generator=self.random)

    def reals(self) -> Reals:
        groups = {mode: self.real[self.modes == mode] for mode in range(MODES)} if self.told else {}
        return Reals(self.real, groups)

    def rows(self, allowed: Tensor, count: int, faults: float) -> Tensor:
        """Real samples, as often as their modes are drawn."""
        weights = allowed * (faults * self.uneven).exp()[self.modes]
        return torch.multinomial(weights, count, replacement=True, generator=self.random)

    def crowd(self, size: int, faults: float, damage: str = "none") -> Crowd:
        """`faults`: from 1, hardly learned, to 0, real samples."""
        allowed = self.modes >= {"1 of 10 modes gone": 1, "5 of 10 modes gone": 5}.get(damage, 0)
        rows = self.rows(allowed, size, faults)
        if damage == "50 points over and over":
            rows = rows[:50].repeat(size // 50 + 1)[:size]
        if damage == "copies of 500":
            rows = torch.randperm(len(self.real), generator=torch.Generator().manual_seed(0))[:500]
            rows = rows[torch.randint(500, (size,), generator=self.random)]
        everyone = torch.arange(MODES).repeat_interleave(EACH)
        few = torch.cat([self.rows(self.modes == mode, EACH, 0.0) for mode in range(MODES)]) if self.told else rows[:0]
        conditions = everyone.tolist() if self.told else []
        return Crowd(self._made(rows, faults, damage), self._made(few, faults, damage), conditions)

    def _made(self, rows: Tensor, faults: float, damage: str) -> Tensor:
        points, middles = self.real[rows], self.middles[self.modes[rows]]
        shaken = self.deviation * torch.randn(points.shape, generator=self.random)
        if damage == "50 points over and over":
            shaken = shaken[:50].repeat(len(rows) // 50 + 1, 1)[: len(rows)]
        made = points + faults * shaken
        if damage == "spread halved":
            made = middles + 0.5 * (made - middles)
        if damage == "1 of 10 conditions collapsed":
            made = torch.where((self.modes[rows] == 0)[:, None], middles, made)
        return made


def world(name: str, root: str | None, seed: int = 0) -> World:
    """The data of that name as `World`; captioned data have clusters in place of classes, and no condition to break."""
    if name in ("ring", "grid"):
        density = ring(modes=MODES) if name == "ring" else grid()
        points = density.sample(MOST, torch.Generator().manual_seed(seed))
        modes = nearest(points, density.centers)[1]
        return (
            World(points, modes, True, seed) if name == "ring" else World(points, _clusters(points, seed), False, seed)
        )
    words = ["recipe=vanilla", f"data={name}", *([f"data.root={root}"] if root else [])]
    data = make_data(compose(*words))
    rows = some_rows(len(data.train), MOST, seed)
    features = real_features(Small(), data.train, rows)
    classes = data.train.condition
    if isinstance(classes, Tensor) and len(data.spec.classes) == MODES:
        return World(features, classes[torch.from_numpy(rows)], True, seed)
    return World(features, _clusters(features, seed), False, seed)


def _clusters(points: Tensor, seed: int) -> Tensor:
    return nearest(points, k_means(points, MODES, torch.Generator().manual_seed(seed)))[1]


def bank(measured: list[Indicator], make: Callable[[], Crowd], draws: int) -> np.ndarray:
    """(draws, indicators): losses of so many samples."""
    crowds = [make() for _ in range(draws)]
    return np.array([[one.loss(one.value(crowd)) for one in measured] for crowd in crowds])


def courses(stages: list[np.ndarray], runs: int, random: np.random.Generator) -> np.ndarray:
    """(indicators x generators, runs, looks): at each look one draw from that look's bank."""
    looks = [stage[random.integers(len(stage), size=(GENERATORS, runs))] for stage in stages]
    return np.stack(looks, axis=-1).transpose(0, 2, 1, 3).reshape(-1, runs, len(stages))


def evidence(losses: np.ndarray, one: Indicator, healthy: Healthy) -> np.ndarray:
    """(runs, looks): of one series."""
    found = scan(losses, noise(losses, one.noise), one.least)
    found[:, SHORTEST - 1 :] /= healthy.scale[SHORTEST - 1 : LOOKS]
    return found


def alarms(losses: np.ndarray, measured: list[Indicator], healthy: Healthy, chance: float) -> dict[str, np.ndarray]:
    """(runs,): the look of the first alarm, infinite without one; of each indicator alone, and of the rule."""
    names = [one.name for one in measured]
    both = [i for i in range(len(losses)) if i < len(names) or measured[i % len(names)].live]
    strength = np.stack([evidence(losses[i], measured[i % len(names)], healthy) for i in both])
    of = np.array([i % len(names) for i in both])
    each = {name: strength[of == i] for i, name in enumerate(names)} | {"rule": strength}
    return {name: first(series.max(0) >= healthy.threshold(chance / len(series))) for name, series in each.items()}


def first(raised: np.ndarray) -> np.ndarray:
    return np.where(raised.any(1), raised.argmax(1), np.inf)


def measure(name: str, root: str | None, runs: int, draws: int) -> dict[str, object]:
    """All rates of one data set."""
    started, here = time.monotonic(), world(name, root)
    reals = here.reals()
    size = reals.size(COUNT)
    measured, healthy = indicators(reals, size, 0), healthy_runs(LOOKS)
    faults = [1 - level / LEVELS for level in range(LEVELS)]
    levels = [bank(measured, lambda level=level: here.crowd(size, level), draws) for level in faults]
    growth = [levels[min(LEVELS - 1, look // 2)] for look in range(LOOKS)]
    random = np.random.default_rng(0)
    kinds = ["1 of 10 modes gone", "5 of 10 modes gone", "spread halved", "50 points over and over", "copies of 500"]
    kinds += ["1 of 10 conditions collapsed"] if here.told else []
    report: dict[str, object] = {"data": name, "samples": size, "runs": runs, "draws": draws, "looks": LOOKS}
    fine = courses(growth, runs, random)
    report["false alarms"] = {
        str(c): {k: float(np.isfinite(v).mean()) for k, v in alarms(fine, measured, healthy, c).items()}
        for c in CHANCES
    }
    for kind in kinds:
        broken = bank(measured, lambda kind=kind: here.crowd(size, faults[-1], kind), draws)
        ill = courses([*growth[:BROKEN], *[broken] * (LOOKS - BROKEN)], runs, random)
        report[kind] = {str(c): rates(alarms(ill, measured, healthy, c)) for c in CHANCES}
    report["seconds"] = round(time.monotonic() - started, 1)
    return report


def crying(found: dict[str, np.ndarray]) -> dict[str, float]:
    """How many runs give alarm at all."""
    return {name: float(np.isfinite(looks).mean()) for name, looks in found.items()}


def rates(found: dict[str, np.ndarray]) -> dict[str, dict[str, float | None]]:
    """How many runs give alarm after the break, and at which look since then: the median, the first bad one being 1."""
    rows: dict[str, dict[str, float | None]] = {}
    for name, looks in found.items():
        seen = looks[np.isfinite(looks) & (looks >= BROKEN)]
        delay = float(np.median(seen)) - BROKEN + 1 if len(seen) else None
        rows[name] = {"rate": len(seen) / len(looks), "delay": delay}
    return rows


def main() -> None:
    words = dict(word.split("=", 1) for word in sys.argv[1:])
    torch.manual_seed(0)
    report = measure(
        words.get("data", "ring"), words.get("root"), int(words.get("runs", 400)), int(words.get("draws", 24))
    )
    text = json.dumps(report, indent=1)
    print(text)
    if "out" in words:
        Path(words["out"]).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
