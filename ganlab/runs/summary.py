"""The content of `summary.json`: what ran, on what, at which cost, and what was measured by which protocol."""

from __future__ import annotations

import platform
import re
import shlex
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from ganlab.callbacks.collapse import CollapseMonitor
from ganlab.callbacks.copies import CopyReport
from ganlab.callbacks.quality import BestTracker, Quality
from ganlab.config.words import stored
from ganlab.core.generative import GenerativeModule
from ganlab.evaluation.report import versions
from ganlab.metrics.result import Result
from ganlab.runs.memory import peaks

MEASURED = ("quality/", "collapse/", "held_out/", "copies/")
"""Prefixes of the numbers in the summary: measured on held-out or generated pictures, not losses."""
FAR = 1 / 3
"""The share above which a last value is far from the best: their difference over the larger of the two."""


def summarize(
    recipe: Mapping[str, Any], checkpoint: Path | str, trainer: pl.Trainer, module: GenerativeModule, seconds: float
) -> dict[str, Any]:
    """Return the summary of a run, also of one that has not ended. checkpoint: its best, empty if there is none yet.

    It has counts, seconds, the last and the best values, alarms, protocols, and what another person needs to run it.
    """
    metrics = {name: float(v) for name, v in sorted(trainer.callback_metrics.items()) if name.startswith(MEASURED)}
    words = stored(recipe)
    return {
        "recipe": recipe["recipe"],
        "iterations": module.iteration,
        "images_seen": module.images_seen,
        "seconds": round(seconds, 1),
        "metrics": metrics,
        "checkpoint": str(checkpoint),
        **({"origin": dict(module.origin)} if module.origin else {}),
        **_story(trainer),
        "overrides": words[1:],
        "command": shlex.join(["python", "-m", "ganlab.fit", *(words or [f"recipe={recipe['recipe']}"])]),
        "seed": recipe["seed"],
        "condition": module.spec.kind,
        "example": next(iter(module.spec.prompts), ""),
        "parameters": parameters(module),
        "versions": {**versions(), "python": platform.python_version(), "device": device_name(module.device)},
        "memory": peaks(),
        "protocols": {name: one.protocol for name, one in _results(trainer).items()},
        "spreads": {name: one.spread for name, one in _results(trainer).items() if one.spread is not None},
    }


def parameters(module: GenerativeModule) -> dict[str, int]:
    """Return the trained parameters of each player."""
    players = {name: module.player(name).parameters() for name in module.sides}
    return {name: sum(each.numel() for each in found if each.requires_grad) for name, found in players.items()}


def device_name(device: torch.device) -> str:
    """Return the name of the accelerator, or of the processor."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type != "cpu":
        return device.type
    with suppress(OSError):
        if name := re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text(encoding="utf-8")):
            return " ".join(name[1].split())
    return platform.processor() or platform.machine()


def _callbacks(trainer: pl.Trainer) -> list[pl.Callback]:
    return trainer.callbacks  # type: ignore[attr-defined,no-any-return]


def _story(trainer: pl.Trainer) -> dict[str, Any]:
    """Return the best measurement and the summaries of the collapse monitor and of copies, if there are any."""
    bests = [one.best._asdict() for one in _callbacks(trainer) if isinstance(one, BestTracker) and one.best is not None]
    watched = [one.summary() for one in _callbacks(trainer) if isinstance(one, CollapseMonitor)]
    copies = [one.summary() for one in _callbacks(trainer) if isinstance(one, CopyReport) and one.found is not None]
    found = {"best": bests, "collapse": watched, "copies": copies}
    return {name: every[0] for name, every in found.items() if every}


def _results(trainer: pl.Trainer) -> dict[str, Result]:
    """Return the last numbers of the quality with their protocols, by their names without `quality/`."""
    return {
        name: one for each in _callbacks(trainer) if isinstance(each, Quality) for name, one in each.results.items()
    }


def far_from_best(summary: Mapping[str, Any]) -> str | None:
    """Return a line if the run ended far from its best measurement; None if it did not, or if there is none.

    >>> best = {"name": "quality/fid", "value": 20.0, "iteration": 500, "images_seen": 32000}
    >>> far_from_best({"best": best, "metrics": {"quality/fid": 28.0}, "checkpoint": "run/best.ckpt"})
    >>> far_from_best({"best": best, "metrics": {"quality/fid": 31.0}, "checkpoint": "run/best.ckpt"})
    'far from its best: quality/fid is 31, and was 20 at iteration 500 (32,000 images seen), which is in run/best.ckpt'
    >>> far_from_best({"best": best | {"value": 0.0}, "metrics": {"quality/fid": 0.0}, "checkpoint": "run/best.ckpt"})
    """
    best = summary.get("best")
    last = summary["metrics"].get(best["name"]) if best else None
    if best is None or last is None or abs(last - best["value"]) <= FAR * max(abs(last), abs(best["value"])):
        return None
    then = f"{best['value']:.4g} at iteration {best['iteration']} ({best['images_seen']:,} images seen)"
    return f"far from its best: {best['name']} is {last:.4g}, and was {then}, which is in {summary['checkpoint']}"
