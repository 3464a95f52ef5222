"""What is kept of a run, and how Ctrl-C ends one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from ganlab.callbacks.checkpoints import Checkpoints
from ganlab.callbacks.quality import Quality
from ganlab.errors import UserError

Make = Callable[..., Any]


def iteration_of(path: Path) -> int:
    return int(torch.load(path, weights_only=True)["ganlab"]["iteration"])


class At(pl.Callback):
    """Does something after an iteration."""

    def __init__(self, iteration: int, do: Callable[[], Any]) -> None:
        self.iteration, self.do = iteration, do

    def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
        if trainer.global_step == self.iteration:
            self.do()


class During(pl.Callback):
    """Does something in the middle of an iteration, before the first of its two steps."""

    def __init__(self, iteration: int, do: Callable[[], Any]) -> None:
        self.iteration, self.do = iteration, do

    def on_before_optimizer_step(self, trainer: pl.Trainer, module: Any, optimizer: Any) -> None:
        if trainer.global_step == self.iteration - 1 and optimizer is trainer.strategy.optimizers[0]:
            self.do()


def ctrl_c() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_last_now_and_then_and_at_the_end(vanilla: Make, noise: Make, run: Make, tmp_path: Path) -> None:
    last, seen = tmp_path / "run/checkpoints/last.ckpt", []
    run(
        vanilla(),
        noise(),
        7,
        Checkpoints(every=3),
        *(At(i, lambda: seen.append(iteration_of(last))) for i in (3, 5, 6)),
    )
    assert [*seen, iteration_of(last)] == [3, 3, 6, 7]
    assert sorted(path.name for path in last.parent.iterdir()) == ["last.ckpt", "previous.ckpt"]


def test_best_is_the_iteration_with_the_best_quality(vanilla: Make, noise: Make, run: Make, tmp_path: Path) -> None:
    quality = Quality(every=16, count=30, extractor="small", metrics=("fid",))
    run(vanilla(), noise(), 12, quality, Checkpoints())
    assert quality.best is not None
    assert iteration_of(tmp_path / "run/checkpoints/best.ckpt") == quality.best.iteration


def test_a_judge_comes_before(vanilla: Make, noise: Make, run: Make) -> None:
    with pytest.raises(UserError, match="Quality after Checkpoints"):
        run(vanilla(), noise(), 1, Checkpoints(), Quality())


@pytest.mark.parametrize("kind", [At, During])
def test_ctrl_c_and_resuming_is_the_run_that_never_stopped(
    vanilla: Make,
    noise: Make,
    run: Make,
    snapshot: Make,
    same: Make,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: Callable[..., pl.Callback],
) -> None:
    """Pressed after, and in the middle of, the fifth iteration of nine: either way five are done, and then the rest."""
    before = signal.getsignal(signal.SIGINT)
    keeper = Checkpoints()
    stopped = run(vanilla(), noise(), 9, kind(5, ctrl_c), keeper)
    assert keeper.interrupted
    assert stopped.global_step == 5
    assert f"python -m ganlab.fit resume={tmp_path / 'run'}" in capsys.readouterr().err
    assert signal.getsignal(signal.SIGINT) is before
    resumed = vanilla(seed=1)
    again = Checkpoints()
    path = tmp_path / "run/checkpoints/last.ckpt"
    trainer = run(resumed, noise(), 9, again, ckpt_path=path, weights_only=True)
    assert trainer.global_step == 9
    assert not again.interrupted
    straight = vanilla()
    run(straight, noise(), 9)
    assert same(snapshot(resumed), snapshot(straight))


@pytest.mark.parametrize(
    ("number", "notice", "done", "code"),
    [
        (signal.SIGTERM, "save", 5, 15),
        (signal.SIGUSR1, "stop", 5, 10),
        (signal.SIGHUP, "stop", 5, 1),
        (signal.SIGUSR1, "save", 9, 0),
    ],
)
def test_signals_save_and_end_the_run_or_let_it_go_on(
    vanilla: Make, noise: Make, run: Make, tmp_path: Path, number: int, notice: str, done: int, code: int
) -> None:
    seen: list[int] = []
    last = tmp_path / "run/checkpoints/last.ckpt"
    keeper = Checkpoints(notice=notice)
    send, look = At(5, lambda: os.kill(os.getpid(), number)), At(6, lambda: seen.append(iteration_of(last)))
    trainer = run(vanilla(), noise(), 9, send, look, keeper)
    assert (trainer.global_step, keeper.stopped_by, iteration_of(last)) == (done, code, done)
    assert seen == ([5] if done == 9 else [])
    assert signal.getsignal(number) is signal.SIG_DFL


def poison(module: Any) -> None:
    next(module.discriminator.parameters()).data.fill_(float("nan"))


def test_weights_that_are_not_finite_replace_nothing(vanilla: Make, noise: Make, run: Make, tmp_path: Path) -> None:
    """Neither in the run in which they appear, nor after it was resumed."""
    last = tmp_path / "run/checkpoints/last.ckpt"
    module = vanilla()
    run(module, noise(), 6, At(5, lambda: poison(module)), Checkpoints(every=4))
    assert iteration_of(last) == 4
    module = vanilla()
    resumed = {"ckpt_path": last, "weights_only": True}
    run(module, noise(), 9, At(5, lambda: poison(module)), Checkpoints(every=2), **resumed)
    assert iteration_of(last) == 4
    assert all(value.isfinite().all() for value in torch.load(last, weights_only=True)["state_dict"].values())


def test_a_run_that_was_never_finite_ends_and_says_so(vanilla: Make, noise: Make, run: Make, tmp_path: Path) -> None:
    module = vanilla()
    with pytest.raises(UserError, match="the weights of the discriminator are not finite at iteration 3"):
        run(module, noise(), 9, At(1, lambda: poison(module)), Checkpoints(every=3))
    assert not list((tmp_path / "run").rglob("*.ckpt"))


def test_an_error_between_iterations_saves_what_there_is(vanilla: Make, noise: Make, run: Make, tmp_path: Path) -> None:
    def fail() -> None:
        raise RuntimeError("no more")

    class Failing(pl.Callback):
        def on_train_batch_start(self, trainer: pl.Trainer, *args: Any) -> None:
            if trainer.global_step == 4:
                fail()

    with pytest.raises(RuntimeError, match="no more"):
        run(vanilla(), noise(), 9, Failing(), Checkpoints())
    assert iteration_of(tmp_path / "run/checkpoints/last.ckpt") == 4


def test_an_error_within_an_iteration_keeps_the_last_whole_one(
    vanilla: Make, noise: Make, run: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        run(vanilla(), noise(), 9, During(6, fail), Checkpoints(every=4))
    assert iteration_of(tmp_path / "run/checkpoints/last.ckpt") == 4
    assert "saved at 4; to go on" in capsys.readouterr().err


SCRIPT = """
import sys
import pytorch_lightning as pl
sys.path.insert(0, {tests!r})
from conftest import *
from ganlab.callbacks.checkpoints import Checkpoints
from ganlab.callbacks.progress import IterationBar

data = Noise(workers=1)
data.setup()
side = Side(partial(torch.optim.SGD, lr=0.1))
module = VanillaGAN(DataSpec((1, 16, 16)), batch_norm(), NonSaturating(), side, side, MovingAverage(), 4)
keeper = Checkpoints()
trainer = pl.Trainer(
    max_steps=1_000_000, max_epochs=-1, accelerator="cpu", logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False, callbacks=[IterationBar(0), keeper],
    default_root_dir={folder!r},
)
trainer.fit(module, data)
sys.exit(128 + keeper.stopped_by if keeper.stopped_by else 0)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_all_processes_of_a_run_with_data_workers(tmp_path: Path, number: int) -> None:
    """A terminal's Ctrl-C, and a scheduler's SIGTERM, go to the whole process group, data workers included."""
    script = tmp_path / "train.py"
    script.write_text(SCRIPT.format(tests=str(Path(__file__).parents[1]), folder=str(tmp_path / "run")))
    process = subprocess.Popen(
        [sys.executable, str(script)], stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=tmp_path
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("iteration 5/"):
            os.killpg(process.pid, number)
            break
    started = time.monotonic()
    with process.stderr:
        said = process.stderr.read()
    assert process.wait(timeout=60) == 128 + number, "".join(lines) + said
    assert time.monotonic() - started < 30
    assert "to go on: python -m ganlab.fit resume=run\n" in said
    assert "Traceback" not in said
    assert iteration_of(tmp_path / "run/checkpoints/last.ckpt") >= 5
