"""Going back in the middle of a run: to the bit, but for the seed, and on to the end with the right counts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from ganlab.callbacks.checkpoints import Checkpoints
from ganlab.callbacks.quality import Best, BestTracker
from ganlab.collapse.policies import Policy, Warn, make_policy
from ganlab.collapse.rewind import FadingNoise, derived_seed, rewind, scale_rates
from ganlab.collapse.rollback import RollbackSettings
from ganlab.core.checkpoint_io import save_checkpoint
from ganlab.core.sides import Side
from ganlab.data.stream import Stream
from ganlab.errors import UserError
from ganlab.regularizers import R1
from ganlab.schedules import ConstantThenLinear

Make = Callable[..., Any]
SAVED, LEFT, LAST = 7, 11, 15


class GoBack(pl.Callback):
    """Saves after iteration 7, goes back there once after iteration 11, and keeps what it finds on the way."""

    def __init__(self, seed: int = 123) -> None:
        self.seed, self.batches, self.latest = seed, [], {}

    def on_train_batch_start(self, trainer: pl.Trainer, module: Any, batch: Any, batch_idx: int) -> None:
        self.batches.append((trainer.global_step, batch_idx, batch))

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, *args: Any) -> None:
        folder = Path(trainer.default_root_dir) / "checkpoints"
        if trainer.global_step == SAVED and not (folder / "healthy.ckpt").exists():
            save_checkpoint(trainer, "healthy.ckpt")
        if trainer.global_step == LEFT and not (folder / "after.ckpt").exists():
            rewind(trainer, module, trainer.datamodule, folder / "healthy.ckpt", self.seed)  # type: ignore[attr-defined]
            save_checkpoint(trainer, "after.ckpt")
            self.latents = module.draw_latent(3)


@pytest.fixture
def game(vanilla: Make, adam: Side) -> Callable[[], Any]:
    """With a schedule, a lazy penalty and several turns: everything that a checkpoint has to keep."""
    schedule = partial(ConstantThenLinear, end=LAST, hold=0.2)
    sides = replace(adam, scheduler=schedule, turns=2, regularizers={"r1": R1(0.1, every=3)})
    return lambda: vanilla(discriminator=sides, generator=replace(adam, scheduler=schedule))


def load(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content


@pytest.fixture
def went(game: Make, noise: Make, run: Make, tmp_path: Path) -> tuple[GoBack, pl.Trainer, Any, Path]:
    back, module, data = GoBack(), game(), noise(workers=0, seed=3)
    data.reals_per_iteration = 16
    trainer = run(module, data, LAST, back)
    return back, trainer, module, tmp_path / "run/checkpoints"


def test_the_state_is_the_checkpoints_to_the_bit_but_for_random_numbers(went: Any, same: Make) -> None:
    *_, folder = went
    healthy, after = load(folder / "healthy.ckpt"), load(folder / "after.ckpt")
    random, other = healthy["ganlab"].pop("random"), after["ganlab"].pop("random")
    assert healthy.keys() == after.keys()
    for name, value in healthy.items():
        assert same(value, after[name]), f"{name} differ"
    assert not same(random, other)


def test_counts_go_on_from_there_to_the_end(went: Any) -> None:
    """4 iterations are played twice: 19 batches, whose numbers go back to 8; 15 iterations, 15 x 16 images."""
    back, trainer, module, _ = went
    steps = [step for step, _, _ in back.batches]
    assert steps == [*range(LEFT), *range(SAVED, LAST)]
    assert [number for _, number, _ in back.batches] == steps
    assert trainer.global_step == module.iteration == LAST
    assert module.images_seen == LAST * 16
    assert trainer.fit_loop.epoch_loop.batch_progress.total.completed == LAST
    assert [config.scheduler.last_epoch for config in trainer.lr_scheduler_configs] == [LAST, LAST]


def test_data_go_on_at_the_same_place_of_another_order(went: Any, noise: Make) -> None:
    back, *_ = went
    stream = Stream(noise().train, 16, seed=back.seed)
    for step, _, batch in back.batches[LEFT:]:
        assert torch.equal(batch.images, stream.at(step).images)
    first, again = (batch.images for step, _, batch in back.batches if step == SAVED)
    assert not torch.equal(first, again)


def test_the_same_seed_is_the_same_branch_and_another_is_another(
    game: Make, noise: Make, run: Make, tmp_path: Path, same: Make
) -> None:
    ends = []
    for seed in (1, 1, 2):
        module = game()
        run(module, noise(), LAST, GoBack(seed), Checkpoints())
        ends.append({name: value.clone() for name, value in module.state_dict().items()})
        for file in (tmp_path / "run/checkpoints").iterdir():
            file.unlink()
    assert same(ends[0], ends[1])
    assert not same(ends[0], ends[2])


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_start_over_at_the_right_place(game: Make, noise: Make, run: Make, workers: int) -> None:
    back, data = GoBack(), noise(workers=workers)
    data.reals_per_iteration = 16
    run(game(), data, LAST, back)
    stream = Stream(data.train, 16, seed=back.seed)
    assert all(torch.equal(batch.images, stream.at(step).images) for step, _, batch in back.batches[LEFT:])


def test_a_seed_of_its_own_for_every_return() -> None:
    seeds = [derived_seed(5, number) for number in range(4)]
    assert seeds[0] == 5
    assert len(set(seeds)) == 4


class Excited(BestTracker):
    """Finds iteration 9 the best, whatever is measured."""

    what = "excitement"

    def __init__(self) -> None:
        pass

    def on_train_start(self, trainer: pl.Trainer, module: Any) -> None:
        pass

    def measure(self, trainer: pl.Trainer, module: Any) -> dict[str, float]:
        return {}

    def on_train_batch_end(self, trainer: pl.Trainer, module: Any, *args: Any) -> None:
        if trainer.global_step == 9 and self.best is None:
            self.best = Best("quality/fid", 1.0, 9, module.images_seen)


def test_the_best_of_what_was_left_behind_stays_what_it_was(game: Make, noise: Make, run: Make, tmp_path: Path) -> None:
    """Iteration 9 comes twice; the second one is not what was found the best."""
    best, kept = tmp_path / "run/checkpoints/best.ckpt", []

    class Keep(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
            if trainer.global_step == 10:
                kept.append(best.read_bytes())

    run(game(), noise(), LAST, Excited(), GoBack(), Checkpoints(), Keep())
    assert len(kept) == 2 and kept[0] == kept[1] == best.read_bytes()


# Changes -----------------------------------------------------------------------------------------------------------


def test_slower_rates_now_and_on_the_schedule(game: Make, noise: Make, run: Make) -> None:
    """Adam's 0.01, held for 3 of 15 iterations: after the 9th, (15 - 9) / 12 of it, and a quarter of that."""
    seen = []

    class Slow(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, *args: Any) -> None:
            if trainer.global_step == 8:
                scale_rates(trainer, 0.25)
            seen.append(trainer.strategy.optimizers[0].param_groups[0]["lr"])

    run(game(), noise(), 10, Slow())
    assert seen[6] == pytest.approx(0.01 * 8 / 12)
    assert seen[7:9] == pytest.approx([0.01 * 7 / 12 / 4, 0.01 * 6 / 12 / 4])


def test_noise_fades(vanilla: Make) -> None:
    """Standard deviation 0.5 at its start, half of that half way, none at its end; it replaces earlier noise."""
    module, noise, seen = vanilla(), FadingNoise(), []
    (judge,) = module.discriminators
    noise.attach(module, 9.0, 0, 10)
    noise.attach(module, 0.5, 100, 40)
    judge.register_forward_pre_hook(lambda part, given: seen.append(given[0].std().item()))
    for images_seen in (100, 120, 140, 500):
        module.images_seen = images_seen
        judge(torch.zeros(64, 1, 16, 16))
    assert seen[:2] == pytest.approx([0.5, 0.25], rel=0.03)
    assert seen[2:] == [0, 0]


def test_a_policy_without_rollback_makes_none() -> None:
    def rollback() -> Policy:
        raise AssertionError

    assert isinstance(make_policy("warn", rollback), Warn)
    with pytest.raises(AssertionError):
        make_policy("rollback", rollback)


def test_bad_settings() -> None:
    with pytest.raises(UserError, match="`rates` must be"):
        RollbackSettings(1, 1.5, 0.0, 10)
    with pytest.raises(UserError, match="`max_rollbacks` must be"):
        RollbackSettings(0, 1.0, 0.0, 10)
    with pytest.raises(UserError, match="`on_collapse` must be warn, stop or rollback, got 'panic'"):
        make_policy("panic", Warn)
