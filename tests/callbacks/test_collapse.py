"""The monitor in a run: what it logs, says and keeps, and what it does about an alarm. Losses are scripted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from ganlab.callbacks.checkpoints import Checkpoints
from ganlab.callbacks.collapse import CollapseMonitor
from ganlab.collapse.detector import LossEvaluator
from ganlab.collapse.sampler import SampleSource
from ganlab.config.recipe import compose
from ganlab.core.finite import broken, is_finite
from ganlab.data.pictures import Pictures
from ganlab.data.toy import ToyData, ring
from ganlab.errors import UserError
from ganlab.files.run_folder import RunFolder
from ganlab.metrics.diversity import nearest
from ganlab.runs.training import train

Make = Callable[..., Any]
NAMES = ("bins", "recall", "covered", "vendi", "spread", "duplicates")
SERIES = ("averaged/dropped", *(f"{who}/{name}" for who in ("averaged", "live") for name in NAMES))


def monitor(**kwargs: Any) -> CollapseMonitor:
    """A look every 2 iterations of 8 images."""
    return CollapseMonitor(**{"every": 16, "count": 150, "patience": 0, **kwargs})


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], float]], None]:
    """script(loss): every loss at a look is `loss(iteration)`, whatever the generators do."""

    def write(loss: Callable[[int], float]) -> None:
        evaluate = LossEvaluator.evaluate

        def scripted(self: LossEvaluator, module: Any, samples: Any) -> dict[str, float]:
            if not self.samples:
                evaluate(self, module, samples)
            return {name: loss(module.iteration) for name in SERIES}

        monkeypatch.setattr(LossEvaluator, "evaluate", scripted)

    return write


def collapsing(iteration: int) -> float:
    """Well until the sixteenth iteration, a tenth missing; then nearly all."""
    return 0.1 + 0.001 * (iteration % 4) if iteration <= 16 else 0.95


def lines(captured: Any) -> list[str]:
    return [line for line in captured.readouterr().err.splitlines() if line.startswith("ganlab: ")]


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


def test_every_series_is_logged_on_schedule(vanilla: Make, noise: Make, run: Make, kept: Any) -> None:
    watcher = monitor()
    run(vanilla(), noise(count=400), 8, watcher)
    for name in SERIES:
        assert kept.steps(f"collapse/{name}") == [2, 4, 6, 8]
        assert 0 <= kept.rows[8][f"collapse/{name}"] <= 1
    assert kept.steps("collapse/live/dropped") == []
    assert {"collapse/evidence", "collapse/alarm", "held_out/overfitting", "held_out/separation"} <= kept.rows[8].keys()
    assert watcher.looks == 4 and watcher.seconds > 0


def test_warns_once_says_since_when_and_lets_the_run_go_on(
    vanilla: Make, noise: Make, run: Make, kept: Any, script: Make, capsys: Any, tmp_path: Path
) -> None:
    """The first bad look is that after iteration 18, 144 images; one look later it is an alarm."""
    script(collapsing)
    watcher = monitor()
    trainer = run(vanilla(), noise(count=400), 40, watcher)
    (alarm,) = watcher.alarms
    assert (alarm.since, alarm.iteration, trainer.global_step) == (144, 20, 40)
    (said,) = [line for line in lines(capsys) if "mode collapse" in line]
    assert "since 144 images seen" in said and "what helps: " in said and "healthy run" in said
    assert alarm.chance is not None and alarm.chance < 0.01
    assert (tmp_path / "run/samples/collapse_0000000160.png").exists() == ("see " in said)
    assert [kept.rows[step]["collapse/alarm"] for step in (18, 20, 40)] == [0, 1, 1]
    assert json.loads(json.dumps(watcher.summary()))["alarms"][0]["since"] == 144


def test_silent_while_all_is_well(vanilla: Make, noise: Make, run: Make, script: Make, capsys: Any) -> None:
    script(lambda iteration: 0.5 - iteration / 200 + 0.02 * (iteration % 6))
    watcher = monitor()
    run(vanilla(), noise(count=400), 40, watcher)
    assert watcher.alarms == [] and not [line for line in lines(capsys) if "collapse" in line]


def test_a_generator_that_never_covered_much_is_an_alarm_late_only(
    vanilla: Make, noise: Make, run: Make, script: Make
) -> None:
    """Half of 20 iterations are grace: the look after the tenth."""
    script(lambda iteration: 0.97)
    watcher = monitor()
    run(vanilla(), noise(count=400), 20, watcher)
    assert [(alarm.kind, alarm.iteration, alarm.since) for alarm in watcher.alarms] == [("lacking", 10, 16)]
    patient = monitor(patience=10_000)
    run(vanilla(), noise(count=400), 20, patient)
    assert patient.alarms == []


def test_stops_if_asked_to(vanilla: Make, noise: Make, run: Make, script: Make, tmp_path: Path) -> None:
    script(collapsing)
    trainer = run(vanilla(), noise(count=400), 40, monitor(on_collapse="stop"), Checkpoints())
    assert trainer.global_step == 20
    assert load(tmp_path / "run/checkpoints/last.ckpt")["ganlab"]["iteration"] == 20


@pytest.fixture
def once(script: Make) -> None:
    """Collapses at iteration 18 the first time that it gets there, and never again."""
    looks: list[int] = []

    def loss(iteration: int) -> float:
        looks.append(iteration)
        first = looks.count(16) <= len(SERIES) and max(looks) <= 20
        return 0.95 if iteration > 16 and first and looks.count(iteration) <= len(SERIES) else 0.1

    script(loss)


def test_rolls_back_to_the_last_healthy_state_and_goes_on(
    vanilla: Make, noise: Make, run: Make, once: None, capsys: Any, tmp_path: Path
) -> None:
    watcher, module = monitor(on_collapse="rollback", rates=0.5), vanilla()
    trainer = run(module, noise(count=400), 40, watcher, Checkpoints())
    (alarm,) = watcher.alarms
    (back,) = watcher.summary()["rollbacks"]
    assert (back["from_iteration"], back["to_iteration"]) == (20, 16)
    assert (trainer.global_step, module.images_seen) == (40, 320)
    assert "back at iteration 16" in alarm.done and alarm.done in "".join(lines(capsys))
    assert trainer.strategy.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.005)
    states = load(tmp_path / "run/checkpoints/last.ckpt")["callbacks"]
    (kept,) = [state for state in states.values() if "policy" in state]
    assert kept["policy"]["rollbacks"] == [back] and len(kept["alarms"]) == 1


def test_gives_up_after_so_many_returns(vanilla: Make, noise: Make, run: Make, script: Make) -> None:
    """Collapses at the same place every time; rates are halved with every return to the same state."""
    script(collapsing)
    watcher = monitor(on_collapse="rollback", max_rollbacks=2)
    trainer = run(vanilla(), noise(count=400), 40, watcher)
    assert trainer.global_step == 20
    assert [back["rates"] for back in watcher.summary()["rollbacks"]] == [0.5, 0.25]
    assert "2 times already" in watcher.alarms[-1].done


class Poison(pl.Callback):
    """Makes a weight NaN once, before the monitor looks."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, *args: Any) -> None:
        if trainer.global_step == self.iteration:
            self.iteration = -1
            with torch.no_grad():
                next(module.generator.parameters()).fill_(float("nan"))


def test_a_nan_is_undone_like_a_collapse(vanilla: Make, noise: Make, run: Make) -> None:
    """Seen when losses are next logged, every fifth iteration here."""
    watcher, module = monitor(on_collapse="rollback", every=10_000), vanilla()
    trainer = run(module, noise(count=400), 12, Poison(6), watcher, Checkpoints())
    assert [(alarm.kind, alarm.iteration) for alarm in watcher.alarms] == [("nan", 10)]
    assert trainer.global_step == 12
    assert is_finite(module.generator) and is_finite(module.average) and is_finite(module.discriminator)


def test_a_run_that_went_back_resumes_as_if_it_had_never_stopped(
    vanilla: Make, noise: Make, run: Make, same: Make, snapshot: Make, tmp_path: Path
) -> None:
    """With the order of data, the rates and the noise that it has had since."""
    states = []
    for last in (16, 12):
        module, changed = vanilla(), {"on_collapse": "rollback", "patience": 10_000, "noise": 0.1}
        run(module, noise(count=400), last, Poison(6), monitor(**changed), Checkpoints())
        states.append(snapshot(module))
    resumed = vanilla(seed=5)
    file = tmp_path / "run/checkpoints/last.ckpt"
    again = monitor(**changed)
    run(resumed, noise(count=400), 16, again, Checkpoints(), ckpt_path=file, weights_only=True)
    assert same(snapshot(resumed), states[0])
    assert not same(states[0], states[1])
    assert len(again.summary()["rollbacks"]) == 1


def test_weights_that_are_none_never_replace_those_that_were(
    vanilla: Make, noise: Make, run: Make, capsys: Any, tmp_path: Path
) -> None:
    run(vanilla(), noise(count=400), 20, Poison(6), monitor(every=10_000), Checkpoints(every=4))
    assert load(tmp_path / "run/checkpoints/last.ckpt")["ganlab"]["iteration"] == 4
    assert len([line for line in lines(capsys) if line.startswith("ganlab: NaN in ")]) == 1


def test_what_is_no_number(vanilla: Make) -> None:
    """A gradient's norm may be infinite for a moment."""
    module, one = vanilla(), torch.tensor(1.0)
    assert broken(module, {"generator/realism": one, "generator/gradient_norm": one / 0}) is None
    assert broken(module, {"generator/realism": one / 0}) == "the loss generator/realism"
    with torch.no_grad():
        next(module.discriminator.parameters()).view(-1)[0] = float("inf")
    assert broken(module, {}) == "the weights of the discriminator"


def test_the_live_generator_is_sampled_without_a_trace(vanilla: Make, same: Make, snapshot: Make) -> None:
    module = vanilla().train()
    before, modes = snapshot(module), [part.training for part in module.modules()]
    latent = module.draw_latent(4)
    averaged = module.sample(latent)
    with torch.no_grad():
        next(module.generator.parameters()).add_(1)
        moved = snapshot(module)
        with module.sampling_live():
            assert not torch.equal(module.sample(latent), averaged)
    assert torch.equal(module.sample(latent), averaged)
    assert same(snapshot(module), moved) and not same(before, moved)
    assert [part.training for part in module.modules()] == modes


def test_state_goes_through_a_checkpoint(vanilla: Make, noise: Make, run: Make, script: Make) -> None:
    script(collapsing)
    watcher, again = monitor(), monitor()
    run(vanilla(), noise(count=400), 24, watcher)
    again.load_state_dict(watcher.state_dict())
    assert json.dumps(again.state_dict()) == json.dumps(watcher.state_dict())
    assert again.alarms == watcher.alarms


class RingPoints:
    """A module whose samples are the points of `density`, real ones of the ring to begin with."""

    device, images_seen = torch.device("cpu"), 0

    def __init__(self, data: ToyData) -> None:
        self.spec, self.density = data.spec, ring()

    @contextmanager
    def sampling_live(self) -> Iterator[None]:
        yield

    def draw_latent(self, count: int, generator: torch.Generator) -> torch.Tensor:
        return self.density.sample(count, generator)

    def sample(self, latent: torch.Tensor, condition: Any = None) -> torch.Tensor:
        return latent


@pytest.fixture
def ring_data() -> ToyData:
    data = ToyData(ring(), count=3_000, held_out_count=300)
    data.setup()
    return data


def losses_of(evaluator: LossEvaluator, module: Any) -> dict[str, float]:
    return evaluator.evaluate(module, evaluator.source.draw(module))


def test_points_of_one_mode_have_lost_the_other_seven(ring_data: ToyData) -> None:
    """What the ring's own points and one mode's look like to the monitor's eyes."""
    module: Any = RingPoints(ring_data)
    evaluator = LossEvaluator(SampleSource(ring_data, module, 500, "train", "small", 0))
    assert losses_of(evaluator, module)["averaged/recall"] < 0.05
    assert evaluator.missing().bins == []
    module.density = ring(modes=1)
    losses = losses_of(evaluator, module)
    assert losses["averaged/bins"] == pytest.approx(7 / 8, abs=0.03)
    assert losses["averaged/dropped"] == pytest.approx(7 / 8, abs=0.02)
    assert losses["averaged/recall"] == pytest.approx(7 / 8, abs=0.05)
    assert sum(bin.expected for bin in evaluator.missing().bins) == pytest.approx(7 / 8, abs=0.03)


def test_a_lost_class_is_named_though_the_generator_is_told_no_class(ring_data: ToyData) -> None:
    """The data know a point's mode; the module has no condition. Of eight modes the first two stay."""
    modes = nearest(ring_data.train.get(slice(None)), ring().centers)[1]
    ring_data.train = Pictures(ring_data.train.get(slice(None)), modes)
    ring_data.spec = replace(ring_data.spec, classes=tuple("ABCDEFGH"))
    module: Any = RingPoints(ring_data)
    evaluator = LossEvaluator(SampleSource(ring_data, module, 500, "train", "small", 0))
    assert losses_of(evaluator, module)["averaged/dropped_labels"] == 0
    module.density = replace(ring(), weights=torch.tensor([1.0] * 2 + [0.0] * 6))
    assert losses_of(evaluator, module)["averaged/dropped_labels"] == pytest.approx(6 / 8, abs=0.03)
    assert sorted(evaluator.missing().labels.values()) == list("CDEFGH")
    assert "next to no samples of " in evaluator.missing().words


class Said(pl.Callback):
    """Keeps the lines that were printed before the first iteration."""

    def __init__(self, capsys: Any) -> None:
        self.capsys, self.before = capsys, []

    def on_train_batch_start(self, *args: Any) -> None:
        self.before = self.before or lines(self.capsys)


def test_too_few_pictures_are_said_once_before_the_first_iteration(
    vanilla: Make, noise: Make, run: Make, capsys: Any
) -> None:
    said = Said(capsys)
    trainer = run(vanilla(), noise(), 8, monitor(), said)
    assert trainer.global_step == 8
    assert [line for line in said.before if "collapse" in line] == [
        "ganlab: cannot measure collapse (the train split has 40 samples, and 200 are needed to know what is healthy); "
        "training goes on without it"
    ]
    assert not [line for line in lines(capsys) if "cannot measure collapse" in line]


def test_a_class_that_drowns_the_latent_is_said_once(tmp_path: Path, capsys: Any) -> None:
    """The averaged generator is hardly trained, and 1 latent beside 128 numbers of the class moves it little."""
    words = ("recipe=cgan_class", "data.count=800", "data.held_out_count=40", "latent_dim=1", "condition.dim=128")
    small = ("network.generator.width=4", "network.discriminator.width=4", "batch_size=4", "trainer.max_steps=5")
    looks = ("callbacks.collapse.every=4", "callbacks.collapse.count=400", "callbacks.quality=null")
    folder = RunFolder(train(compose(*words, *small, *looks, "trainer.accelerator=cpu", f"run_dir={tmp_path / 'run'}")))
    assert len([line for line in lines(capsys) if "pictures of one condition are nearly alike" in line]) == 1
    assert json.loads(folder.summary_file.read_text())["collapse"]["diagnostics"]["alike"] == 12


def test_bad_settings() -> None:
    with pytest.raises(UserError, match="`split` must be"):
        CollapseMonitor(split="all")
    with pytest.raises(UserError, match="`chance` must be"):
        CollapseMonitor(chance=1.0)
