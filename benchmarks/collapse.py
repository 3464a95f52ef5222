"""Measure the false alarms of the collapse detector, and how often and how soon it detects simulated collapses.

    python benchmarks/collapse.py data=ring                      # or grid, emoji, shape_classes
    python benchmarks/collapse.py data=mnist root=FOLDER         # torchvision's folder
    python benchmarks/collapse.py data=emoji unseen=yes          # the generator draws emoji that the detector lacks

The modes do not depend on features. They are the known modes of points, classes, or words that many captions share. A
simulated generator draws real features that the detector does not have, except on emoji, which has too few. Its faults
become fewer during a run: added noise, at first as wide as the modes, and uneven modes with log-normal weights.

`draws` samples of 800 are measured at each of `LEVELS` qualities and of each damage. A run takes one of them at each
look. So runs share samples, and runs differ by these draws, not by training. In runs that are not healthy, something
breaks permanently after half of the looks. If modes are lost, each run loses different ones.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganlab.collapse.baseline import PER_CONDITION, Baseline, fit_indicators, label_groups
from ganlab.collapse.change_point import MIN_LOOKS, noise, scan
from ganlab.collapse.detector import null_distribution
from ganlab.collapse.feature_sample import FeatureSample
from ganlab.collapse.indicators import Indicator
from ganlab.collapse.null_distribution import NullDistribution
from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data
from ganlab.data.rows import some_rows
from ganlab.data.toy import grid, ring
from ganlab.evaluation.extract import real_features
from ganlab.evaluation.sources import labels_of
from ganlab.metrics.diversity import nearest
from ganlab.metrics.features import Small

MOST, COUNT, LOOKS, BROKEN, LEVELS, WITHIN = 5_000, 800, 30, 15, 6, 10
FEWEST = 20  # samples of a mode
CHANCES = (0.001, 0.01, 0.05)
GENERATORS = 2  # averaged and live: two samples a look
COPIES = 500


class World:
    """The baseline of the detector, and imperfect generators of the same modes.

    own: the reals of the detector. pool: features that generators draw from. modes: of each row of the pool, or -1.
    """

    def __init__(self, own: Baseline, pool: Tensor, modes: Tensor, seed: int) -> None:
        self.reals, self.pool, self.modes, self.conditional = own, pool, modes, bool(own.per_condition)
        self.count = int(modes.max()) + 1
        self.random = torch.Generator().manual_seed(seed)
        self.middles = torch.stack([pool[modes == mode].mean(0) for mode in (*range(self.count), -1) if mode in modes])
        self.deviation = (pool - self.middles[modes])[modes >= 0].std(0)
        self.uneven = torch.randn(self.count + 1, generator=self.random)

    def lost(self, many: int) -> list[list[int]]:
        """Return sets of `many` modes, as many sets as there are modes, with every mode in equally many sets."""
        order = torch.randperm(self.count, generator=torch.Generator().manual_seed(0)).repeat(2).tolist()
        return [order[start : start + many] for start in range(self.count)]

    def sample(self, size: int, faults: float, damage: str = "none", lost: Sequence[int] = ()) -> FeatureSample:
        """Draw a sample. faults: from 1 (hardly learned) to 0 (real). lost: modes that are never drawn."""
        if damage == f"copies of {COPIES}":
            return FeatureSample(self._shaken(self._copies(size), faults))
        everyone = [mode for mode in range(self.count) for _ in range(PER_CONDITION)] if self.conditional else []
        few = [self._of_mode(mode) for mode in range(self.count)] if self.conditional else []
        made = [self._made(rows, faults, damage) for rows in (self._rows(size, faults, lost), *few)]
        return FeatureSample(made[0], torch.cat(made[1:]) if few else torch.empty(0, 0), everyone)

    def _rows(self, size: int, faults: float, lost: Sequence[int]) -> Tensor:
        allowed = torch.isin(self.modes, torch.tensor(lost, dtype=torch.int64), invert=True)
        weights = allowed * (faults * self.uneven).exp()[self.modes]
        return torch.multinomial(weights, size, replacement=True, generator=self.random)

    def _of_mode(self, mode: int) -> Tensor:
        rows = (self.modes == mode).nonzero()[:, 0]
        return rows[torch.randint(len(rows), (PER_CONDITION,), generator=self.random)]

    def _copies(self, size: int) -> Tensor:
        """Draw from `COPIES` reals of the detector, the same ones at every look."""
        chosen = torch.randperm(len(self.reals.features), generator=torch.Generator().manual_seed(0))[:COPIES]
        return self.reals.features[chosen[torch.randint(COPIES, (size,), generator=self.random)]]

    def _shaken(self, points: Tensor, faults: float) -> Tensor:
        return points + faults * self.deviation * torch.randn(points.shape, generator=self.random)

    def _made(self, rows: Tensor, faults: float, damage: str) -> Tensor:
        made, modes = self._shaken(self.pool[rows], faults), self.modes[rows]
        if damage == "50 points over and over":
            return made[:50].repeat(len(rows) // 50 + 1, 1)[: len(rows)]
        if damage == "spread halved":
            return self.middles[modes] + 0.5 * (made - self.middles[modes])
        if damage == "1 condition collapsed":
            return torch.where((modes == 0)[:, None], self.middles[modes], made)
        return made


def world(name: str, root: str | None, unseen: bool, seed: int = 0) -> World:
    """Return the data set as a `World`."""
    if name in ("ring", "grid"):
        density = ring(modes=10) if name == "ring" else grid()
        points = density.sample(2 * MOST, torch.Generator().manual_seed(seed))
        return split(points, nearest(points, density.centers)[1], (), name == "ring", True, seed)
    words = ["recipe=vanilla", f"data={name}", *([f"data.root={root}"] if root else [])]
    data = make_data(compose(*words))
    rows = some_rows(len(data.train), 2 * MOST, seed)
    features, labels = real_features(Small(), data.train, rows), labels_of(data.train, torch.from_numpy(rows))
    groups = label_groups(labels, FEWEST)
    names = sorted({*groups} - {""})
    modes = torch.tensor([names.index(group) if group else -1 for group in groups])
    return split(features, modes, labels, data.spec.kind == "class", unseen or len(rows) == 2 * MOST, seed)


def split(features: Tensor, modes: Tensor, labels: Sequence[str], conditional: bool, unseen: bool, seed: int) -> World:
    """Give the detector one half and the generators the other half. If not `unseen`, both have all."""
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
    own, other = order.chunk(2) if unseen else (order, order)
    groups = {mode: features[own][modes[own] == mode] for mode in range(int(modes.max()) + 1)} if conditional else {}
    reals = Baseline(features[own], groups, [labels[int(row)] for row in own] if labels else ())
    return World(reals, features[other], modes[other], seed)


def bank(measured: list[Indicator], make: Callable[[], FeatureSample], draws: int) -> np.ndarray:
    """Return (draws, indicators): the losses of `draws` samples."""
    samples = [make() for _ in range(draws)]
    return np.array([[one.loss(one.value(sample)) for one in measured] for sample in samples])


def courses(stages: list[np.ndarray], runs: int, random: np.random.Generator) -> np.ndarray:
    """Return (indicators x generators, runs, looks): at each look one draw from the bank of its stage."""
    looks = [stage[random.integers(len(stage), size=(GENERATORS, runs))] for stage in stages]
    return np.stack(looks, axis=-1).transpose(0, 2, 1, 3).reshape(-1, runs, len(stages))


def normalized(losses: np.ndarray, one: Indicator, null: NullDistribution) -> np.ndarray:
    """Return (runs, looks): the normalized statistic of one series."""
    found = scan(losses, noise(losses, one.noise), one.min_loss)
    found[:, MIN_LOOKS - 1 :] /= null.scale[MIN_LOOKS - 1 : LOOKS]
    return found


def alarms(
    losses: np.ndarray, measured: list[Indicator], null: NullDistribution, chance: float
) -> dict[str, np.ndarray]:
    """Return (runs,) the look of the first alarm, or infinity, for each indicator alone and for all together."""
    names = [one.name for one in measured]
    both = [i for i in range(len(losses)) if i < len(names) or measured[i % len(names)].on_live]
    strength = np.stack([normalized(losses[i], measured[i % len(names)], null) for i in both])
    of = np.array([i % len(names) for i in both])
    each = {name: strength[of == i] for i, name in enumerate(names)} | {"alarm": strength}
    return {name: first(series.max(0) >= null.threshold(chance / len(series))) for name, series in each.items()}


def first(raised: np.ndarray) -> np.ndarray:
    return np.where(raised.any(1), raised.argmax(1), np.inf)


def damages(here: World) -> dict[str, tuple[str, list[list[int]]]]:
    """Return each damage by name, with the sets of modes that are lost."""
    lost = {f"{many} of {here.count} modes gone": ("none", here.lost(many)) for many in (1, 3, here.count // 2)}
    kinds = ["spread halved", "50 points over and over", f"copies of {COPIES}"]
    kinds += ["1 condition collapsed"] if here.conditional else []
    return {**lost, **{kind: (kind, [[]]) for kind in kinds}}


def measure(here: World, runs: int, draws: int) -> dict[str, Any]:
    """Return all rates of one data set."""
    started, size, random = time.monotonic(), here.reals.sample_size(COUNT), np.random.default_rng(0)
    measured, null = fit_indicators(here.reals, size, 0), null_distribution(LOOKS)
    faults = [1 - level / LEVELS for level in range(LEVELS)]
    levels = [bank(measured, lambda level=level: here.sample(size, level), draws) for level in faults]
    growth = [levels[min(LEVELS - 1, look // 2)] for look in range(LOOKS)]
    report: dict[str, Any] = {"samples": size, "reals": len(here.reals.features), "modes": here.count}
    fine = courses(growth, runs, random)
    report["false alarms"] = {str(c): alarm_rates(alarms(fine, measured, null, c)) for c in CHANCES}
    report["broken"] = {}
    for name, (damage, sets) in damages(here).items():
        made = [partial(here.sample, size, faults[-1], damage, lost) for lost in sets]
        each = -(-runs // len(sets))
        ill = [
            courses([*growth[:BROKEN], *[bank(measured, one, draws)] * (LOOKS - BROKEN)], each, random) for one in made
        ]
        losses = np.concatenate(ill, axis=1)
        report["broken"][name] = {str(c): rates(alarms(losses, measured, null, c)) for c in CHANCES}
    return {**report, "runs": runs, "draws": draws, "looks": LOOKS, "seconds": round(time.monotonic() - started, 1)}


def alarm_rates(found: dict[str, np.ndarray]) -> dict[str, float]:
    """Return the share of runs with an alarm."""
    return {name: float(np.isfinite(looks).mean()) for name, looks in found.items()}


def rates(found: dict[str, np.ndarray]) -> dict[str, dict[str, float | None]]:
    """Return the share of runs with an alarm within `WITHIN` looks of the break, and the median number of bad looks."""
    rows: dict[str, dict[str, float | None]] = {}
    for name, looks in found.items():
        seen = looks[(looks >= BROKEN) & (looks < BROKEN + WITHIN)]
        delay = float(np.median(seen)) - BROKEN + 1 if len(seen) else None
        rows[name] = {"rate": len(seen) / len(looks), "delay": delay}
    return rows


def table(report: dict[str, Any], chance: float = 0.01) -> str:
    """Return the report's rates as Markdown."""
    columns = {name: found[str(chance)] for name, found in report["broken"].items()}
    rows = [f"| alarm within {WITHIN} looks, median look | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name in report["false alarms"][str(chance)]:
        cells = [
            f"{column[name]['rate']:.0%}" + (f", {column[name]['delay']:.0f}" if column[name]["delay"] else "")
            for column in columns.values()
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main() -> None:
    words = dict(word.split("=", 1) for word in sys.argv[1:])
    torch.manual_seed(0)
    here = world(words.get("data", "ring"), words.get("root"), words.get("unseen") == "yes")
    report = {**words, **measure(here, int(words.get("runs", 400)), int(words.get("draws", 24)))}
    print(json.dumps(report, indent=1), table(report), sep="\n\n")
    if "out" in words:
        Path(words["out"]).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
