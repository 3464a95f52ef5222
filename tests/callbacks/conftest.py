"""Shared by the tests of callbacks: a logger that keeps what it is told, a run with callbacks, nothing from the net."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
from pytorch_lightning.loggers import Logger

Make = Callable[..., Any]


class Kept(Logger):
    """rows: {step: values}, all that was logged at a step together."""

    name = "kept"
    version = ""

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[int, dict[str, float]] = {}

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        pass

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        assert step is not None
        self.rows.setdefault(step, {}).update(metrics)

    def steps(self, name: str) -> list[int]:
        return [step for step, row in self.rows.items() if name in row]


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No net, and a cache of its own."""
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def run(trainer: Make, kept: Kept, tmp_path: Path) -> Callable[..., pl.Trainer]:
    """run(module, data, iterations, *callbacks, **fit): 8 images an iteration, in tmp_path / "run"."""

    def train(module: Any, data: Any, iterations: int, *callbacks: pl.Callback, **fit: Any) -> pl.Trainer:
        options = {"callbacks": list(callbacks), "logger": kept, "default_root_dir": tmp_path / "run"}
        running: pl.Trainer = trainer(iterations, enable_checkpointing=False, log_every_n_steps=5, **options)
        running.fit(module, data, **fit)
        return running

    return train
