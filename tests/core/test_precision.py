"""Games in other number formats: float16 with a loss scale, half and double precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_lightning import Callback
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.plugins.precision import MixedPrecision
from torch import nn
from torch.amp import GradScaler

from ganlab.core.assembly import make_strategy
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side, clip_gradients, gradient_norm
from ganlab.data.batch import Fake
from ganlab.errors import UserError
from ganlab.networks.architecture import Architecture
from ganlab.perturbations import AdaptiveAugmentation, InstanceNoise
from ganlab.regularizers import R1, R2, LeCam

Make = Callable[..., Any]


# Clipping ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "share"), [(10.0, 1.0), (2.5, 0.5)])
def test_clipping_scales_to_the_limit(limit: float, share: float) -> None:
    """The norm of (3) and (0, 4) is 5."""
    gradients = [torch.tensor([3.0]), torch.tensor([0.0, 4.0])]
    norm = gradient_norm(gradients)
    assert norm == 5
    clip_gradients(gradients, norm, limit)
    torch.testing.assert_close(gradients, [torch.tensor([3.0 * share]), torch.tensor([0.0, 4.0 * share])])


@pytest.mark.parametrize("bad", [float("inf"), float("nan")])
def test_what_is_not_finite_spoils_nothing_else(bad: float) -> None:
    gradients = [torch.tensor([3.0, bad]), torch.tensor([4.0])]
    norm = gradient_norm(gradients)
    assert not norm.isfinite()
    clip_gradients(gradients, norm, 1.0)
    torch.testing.assert_close(gradients, [torch.tensor([3.0, bad]), torch.tensor([4.0])], equal_nan=True)


# A loss scale --------------------------------------------------------------------------------------------------------


class Norms(Callback):
    """The logged norms of the discriminator's gradient, and its weights after every iteration."""

    def __init__(self) -> None:
        self.norms: list[float] = []
        self.weights: list[torch.Tensor] = []

    def on_train_batch_end(self, trainer: Any, module: Any, *_: Any) -> None:
        self.norms.append(float(trainer.callback_metrics["discriminator/gradient_norm"]))
        self.weights.append(nn.utils.parameters_to_vector(module.discriminator.parameters()).detach().clone())


@pytest.fixture
def scaled(vanilla: Make, plain: Architecture, trainer: Make, noise: Make) -> Callable[..., Norms]:
    """scaled(scale, fused): three iterations of float16 on the CPU, clipped to 0.01, at rate 1."""

    def run(scale: float, fused: bool, clip: float | None = 0.01) -> Norms:
        side = Side(partial(torch.optim.SGD, lr=1.0, fused=fused))
        module = vanilla(network=plain, discriminator=replace(side, clip=clip), generator=side)
        watch = Norms()
        precision = MixedPrecision("16-mixed", "cpu", GradScaler("cpu", init_scale=scale))
        kwargs = {"callbacks": [watch], "enable_checkpointing": False, "log_every_n_steps": 1}
        trainer(3, plugins=[precision], **kwargs).fit(module, noise(seed=2))
        return watch

    return run


@pytest.mark.parametrize("fused", [False, True])
def test_clip_and_norm_see_no_loss_scale(scaled: Callable[..., Norms], fused: bool) -> None:
    """Powers of two change no digit of a float16, so that a scale of 1 is the truth."""
    truth, found = scaled(1.0, fused=False), scaled(1024.0, fused=fused)
    assert min(truth.norms) > 0.01  # what is clipped
    assert found.norms == pytest.approx(truth.norms, rel=1e-3)
    for one, other in zip(found.weights, truth.weights, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)
    assert (found.weights[1] - found.weights[0]).norm() == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("clip", [None, 0.01])
@pytest.mark.parametrize("fused", [False, True])
def test_an_overflow_skips_the_step(scaled: Callable[..., Norms], fused: bool, clip: float | None) -> None:
    """A scale of 2^40 is out of float16's range: it is halved while the weights stay as they are."""
    found = scaled(2.0**40, fused=fused, clip=clip)
    assert not any(torch.tensor(found.norms).isfinite())
    assert all(torch.equal(found.weights[0], later) for later in found.weights)
    assert found.weights[0].isfinite().all()


# Other number formats ------------------------------------------------------------------------------------------------


@pytest.fixture
def play(vanilla: Make, plain: Architecture, trainer: Make, noise: Make, tmp_path: Path) -> Callable[..., Any]:
    """play(precision, iterations=4, resume=None): R1, LeCam, augmentation and noise; a checkpoint every iteration."""
    seen = {"adaptive": AdaptiveAugmentation(target=-0.9, speed=80_000, every=1), "noise": InstanceNoise(0.1, 1000)}

    def run(precision: str, iterations: int = 4, resume: Path | None = None) -> Any:
        adam = Side(partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.99)))
        penalized = replace(adam, regularizers={"r1": R1(0.1), "lecam": LeCam()}, clip=1.0)
        module = vanilla(
            network=replace(plain, perturbations=seen),
            generator=adam,
            discriminator=penalized,
            average=MovingAverage(half_life=10_000, ramp=100.0),
        )
        saving = ModelCheckpoint(tmp_path, "{step}", every_n_train_steps=1, save_top_k=-1)
        running = trainer(iterations, precision=precision, callbacks=[saving], log_every_n_steps=1)
        running.fit(module, noise(seed=2), ckpt_path=resume, weights_only=True)
        return module

    return run


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [
        ("32-true", torch.float32),
        ("bf16-mixed", torch.float32),
        ("bf16-true", torch.bfloat16),
        ("64-true", torch.float64),
    ],
)
def test_trains_in_every_precision(play: Callable[..., Any], noise: Make, precision: str, dtype: torch.dtype) -> None:
    """Players in that format, what remembers in float32; measuring is in float32 too, whatever the players are in."""
    module = play(precision)
    players = [p for name in module.sides for p in module.player(name).parameters()]
    assert {p.dtype for p in players} == {dtype}
    assert {p.dtype for p in module.average.parameters()} == {torch.float32}
    assert all(tensor.isfinite().all() for tensor in module.state_dict().values())
    assert module.sample(module.draw_latent(4)).dtype == torch.float32
    with module.sampling_live():
        assert module.sample(module.draw_latent(4)).isfinite().all()
    batch = noise().train.batch(np.arange(8), np.random.default_rng(0))
    assert all(value.isfinite() for value in module.held_out_report(batch).values())


def test_averages_move_by_less_than_bfloat16_can_tell(play: Callable[..., Any]) -> None:
    """A half-life of 10,000 images moves the average by 1 / 1800 of the way; p rises by 8 / 80,000 a time."""
    module = play("bf16-true")
    moved = [(p != p.bfloat16()).any() for p in module.average.parameters()]
    assert all(moved)
    assert module.discriminator[0].perturbations["adaptive"].p == pytest.approx(4 * 8 / 80_000)


@pytest.mark.parametrize("precision", ["bf16-true", "64-true"])
def test_resumes_exactly(play: Callable[..., Any], tmp_path: Path, same: Make, precision: str) -> None:
    whole = play(precision).state_dict()
    (tmp_path / "step=2.ckpt").rename(tmp_path / "here.ckpt")
    assert same(dict(play(precision, resume=tmp_path / "here.ckpt").state_dict()), dict(whole))


@pytest.mark.parametrize("precision", [16, "16-mixed"])
def test_mixed_float16_is_refused_on_a_cpu(precision: str | int) -> None:
    """Lightning would train in bfloat16 instead."""
    with pytest.raises(UserError, match="16-mixed needs a GPU"):
        make_strategy({"precision": precision, "accelerator": "cpu"})


# Penalties -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("penalty_precision", "least", "most"), [("same", 1e-3, 1.0), ("float32", 0.0, 1e-6)])
def test_penalties_in_float32_are_those_of_a_run_in_float32(
    vanilla: Make, plain: Architecture, noise: Make, penalty_precision: Any, least: float, most: float
) -> None:
    """R1 in bfloat16 is wrong by 0.5 % in the median, and by half where a rectifier changes its side.

    The generated images are bfloat16 in a mixed run.
    """
    side = Side(partial(torch.optim.SGD, lr=1.0), regularizers={"r1": R1(1.0), "r2": R2(1.0)})
    module = vanilla(network=plain, discriminator=replace(side, penalty_precision=penalty_precision))
    batch = noise().train.batch(np.arange(8), np.random.default_rng(0)).ready()
    fake = Fake(torch.rand(8, 1, 16, 16).bfloat16(), torch.zeros(8, 4))
    exact = module.penalties("discriminator", batch, Fake(fake.images.float(), fake.latent))
    with torch.autocast("cpu", torch.bfloat16):
        found = module.penalties("discriminator", batch, fake)
    for name, values in exact.items():
        assert least <= (found[name] / values - 1).abs().max() <= most, name


def test_a_mixed_run_with_penalties_in_float32(vanilla: Make, trainer: Make, noise: Make) -> None:
    side = Side(partial(torch.optim.Adam, lr=1e-3), regularizers={"r2": R2(1.0)}, penalty_precision="float32")
    module = vanilla(discriminator=side)
    trainer(2, precision="bf16-mixed").fit(module, noise())
    assert all(tensor.isfinite().all() for tensor in module.state_dict().values())


def test_pure_float16_is_refused() -> None:
    with pytest.raises(UserError, match="must not be 16-true"):
        make_strategy({"precision": "16-true"})
