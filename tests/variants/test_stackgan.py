"""Two stages: what each sees and moves, that the first stands still once it is finished, and going on from anywhere."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

import ganlab.data.batch
from ganlab.config.recipe import compose
from ganlab.core.averaging import MovingAverage
from ganlab.core.randomness import seed_per_rank
from ganlab.core.sides import Side
from ganlab.core.starting import warm_start
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, to_float
from ganlab.data.stream import Stream
from ganlab.errors import UserError
from ganlab.networks import dcgan
from ganlab.networks.architecture import Architecture
from ganlab.networks.conditioning import ClassEmbedding
from ganlab.networks.heads import JointHead, SeparateHead
from ganlab.networks.stack import Refiner, enlarge
from ganlab.networks.text import WordEncoder
from ganlab.objectives import NonSaturating, RelativisticPairing
from ganlab.regularizers import R1
from ganlab.runs.training import train
from ganlab.schedules import PerStage
from ganlab.variants import StackGAN

Make = Callable[..., Any]
SHAPE, CAPTIONS, Z, DIM = (1, 64, 64), 4, 3, 2


@pytest.fixture
def data(noise: Make) -> Any:
    """Pictures of noise of 64 x 64, four captions, 4 of them an iteration."""
    pictures = noise(shape=SHAPE, captions=CAPTIONS, count=12)
    pictures.reals_per_iteration = 4
    return pictures


@pytest.fixture
def stack(data: Any, adam: Side) -> Callable[..., StackGAN]:
    """stack(...): two stages with batch statistics, both 4 channels wide; three iterations of the first."""

    def make(seed: int = 0, width: int = 4, **kwargs: Any) -> StackGAN:
        torch.manual_seed(seed)
        spec = kwargs.pop("spec", data.spec)
        trunk = partial(dcgan.Trunk, width=2)
        defaults: dict[str, Any] = {
            "network": Architecture(partial(dcgan.Generator, width=width), trunk),
            "stage_two": Architecture(partial(Refiner, width=2, blocks=1), trunk),
            "condition": partial(WordEncoder, spec.vocabulary, 4, width=8, buckets=16),
            "head": partial(SeparateHead, match_weight=0.5),
            "objective": NonSaturating(),
            "generator": adam,
            "discriminator": adam,
            "average": MovingAverage(half_life=8, ramp=1.0),
            "stage_one_iterations": 3,
            "augmented_dim": DIM,
            "latent_dim": Z,
        }
        return StackGAN(spec, **{**defaults, **kwargs})

    return make


@pytest.fixture
def fit(trainer: Make, data: Any) -> Callable[..., pl.Trainer]:
    """fit(module, iterations, ...)."""

    def run(module: StackGAN, iterations: int, resume: Path | None = None, **kwargs: Any) -> pl.Trainer:
        running = trainer(iterations, **kwargs)
        if resume is None:
            warm_start(module)
        running.fit(module, data, ckpt_path=resume, weights_only=True)
        return running

    return run


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything that is made inside is of float64, pictures too."""
    monkeypatch.setattr(ganlab.data.batch, "to_float", lambda images: to_float(images).double())
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """The stages, as side.stage, of which anything has changed."""
    changed = {name for name, tensor in after.items() if not torch.equal(before[name], tensor)}
    return {".".join(name.split(".")[:2]) for name in changed}


# One stage at a time -------------------------------------------------------------------------------------------------


def test_each_stage_moves_its_own_networks_alone(stack: Make, fit: Make, snapshot: Make) -> None:
    """Weight decay and all: whatever has no gradient is left alone, and has no moments in the optimizer either."""
    decaying = Side(partial(torch.optim.AdamW, lr=1e-2, weight_decay=0.5), clip=1.0, regularizers={"r1": R1(1.0)})
    module = stack(generator=replace(decaying, regularizers={}), discriminator=decaying)
    start = snapshot(module)
    running = fit(module, 3)
    middle = snapshot(module)
    assert moved(start, middle) == {"generator.stage_one", "discriminator.stage_one", "average.stage_one"}
    for side, optimizer in zip(("discriminator", "generator"), running.strategy.optimizers, strict=True):
        known = set(map(id, optimizer.state))
        assert known == set(map(id, module.player(side).get_submodule("stage_one").parameters()))
    module = stack(generator=replace(decaying, regularizers={}), discriminator=decaying, stage_one_iterations=1)
    module.load_state_dict(middle)
    module.finish_stage_one()
    switched = snapshot(module)
    module.stage_one_iterations = 0
    fit(module, 2)
    assert moved(switched, snapshot(module)) == {
        "generator.stage_two",
        "discriminator.stage_two",
        "average.stage_two",
    }


def test_stage_one_is_its_average_for_good(stack: Make, fit: Make, snapshot: Make, same: Make, tmp_path: Path) -> None:
    """Parameters and buffers, bit for bit, although everything is told to train, and in the average too."""
    module = stack()
    fit(module, 3).save_checkpoint(tmp_path / "switch.ckpt")
    expected = snapshot(module.average.stage_one)
    assert any("running_mean" in name for name in expected)
    assert not same(expected, dict(module.generator.stage_one.state_dict()))
    fit(module, 6, tmp_path / "switch.ckpt")
    for stages in (module.generator, module.average):
        assert same(expected, dict(stages.stage_one.state_dict()))
    module.train()
    module.generate(Batch(torch.zeros(4, *SHAPE), ["thing 1"] * 4))
    assert same(expected, dict(module.generator.stage_one.state_dict()))
    assert all(parameter.grad is None for parameter in module.generator.stage_one.parameters())


def test_processes_do_not_average_what_stands_still(stack: Make) -> None:
    """The mean of three equal numbers may differ from them in the last bit."""
    module = stack(stage_one_iterations=1).train()
    buffers = {name: set(map(id, part.buffers())) for name, part in module.generator.named_children()}
    assert buffers["stage_one"] and set(map(id, module.members("generator").moving())) >= buffers["stage_one"]
    module.finish_stage_one()
    module.generate(Batch(torch.zeros(4, *SHAPE), ["thing 1"] * 4))
    averaged = set(map(id, module.members("generator").moving()))
    assert averaged >= buffers["stage_two"] and not averaged & buffers["stage_one"]


@pytest.mark.parametrize("stopped", [1, 3, 4])
def test_resumed_is_uninterrupted(stack: Make, fit: Make, same: Make, tmp_path: Path, stopped: int) -> None:
    """Stopped within Stage I, at the switch and within Stage II: the same weights, moments and rates bit for bit."""
    file = tmp_path / "stopped.ckpt"
    side = Side(partial(torch.optim.Adam, lr=1e-2), scheduler=partial(PerStage, ends=[3, 6]))

    def run(seed: int, iterations: int, resume: Path | None = None) -> tuple[pl.Trainer, dict[str, Any]]:
        seed_per_rank(seed, 0)
        module = stack(seed=seed, generator=side, discriminator=side)
        running = fit(module, iterations, resume)
        states = [optimizer.state_dict() for optimizer in running.strategy.optimizers]
        return running, {"weights": dict(module.state_dict()), "optimizers": states}

    _, whole = run(5, 6)
    run(5, stopped)[0].save_checkpoint(file)
    assert same(whole, run(9, 6, file)[1])


def test_the_same_game_written_out(double: None, stack: Make, data: Any, fit: Make, record: Make) -> None:
    """Two iterations of each stage against what anybody would write; the joint head, gradient descent, in float64.

    A fresh Stage I draws grey on grey, which Stage II's batch statistics blow up, and float32's rounding with it.
    """
    side = Side(partial(torch.optim.SGD, lr=0.005))
    module = stack(head=JointHead, generator=side, discriminator=side, stage_one_iterations=2, kl_weight=3.0)
    twin, latents = copy.deepcopy(module), record(module)
    fit(module, 4)
    batches = [Stream(data.train, 4).at(i) for i in range(4)]
    written_out(twin, batches, latents)
    torch.testing.assert_close(dict(module.state_dict()), dict(twin.state_dict()), rtol=0, atol=1e-9)


def written_out(module: StackGAN, batches: list[Batch], latents: list[Tensor]) -> None:
    """What anybody would write: two iterations of each stage, each player against a copy of the other."""
    generator, judges = module.generator, module.discriminator
    for i, (batch, latent) in enumerate(zip(batches, latents, strict=True)):
        z, first, second = latent.split([Z, DIM, DIM], 1)
        reals = batch.ready().images
        if i < 2:
            draw, divergence = drawn(generator.stage_one, batch, first)
            fake = generator.stage_one.network(torch.cat([z, draw], 1))
            small = reals.unflatten(3, (16, 4)).unflatten(2, (16, 4)).mean((3, 5))
            turns(judges["stage_one"], generator.stage_one, replace(batch, images=small), fake, divergence)
        else:
            finished = module.average.stage_one
            with torch.no_grad():
                start = finished.network(torch.cat([z, drawn(finished, batch, first)[0]], 1))
            draw, divergence = drawn(generator.stage_two, batch, second)
            fake = generator.stage_two.network(start, draw)
            turns(judges["stage_two"], generator.stage_two, replace(batch, images=reals), fake, divergence)
        if i == 2:
            generator.stage_one.load_state_dict(finished.state_dict())
        beta = 0.5 ** (4 / min(8, 4 * (i + 1)))
        for old, new in zip(module.average.state_dict().values(), generator.state_dict().values(), strict=True):
            old.copy_(beta * old + (1 - beta) * new if old.is_floating_point() else new)
    for stages in (generator, module.average):
        stages.mark(True)


def drawn(stage: nn.Module, batch: Batch, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The draw from the condition's normal distribution, and the distribution's mean divergence from N(0, 1)."""
    listener = stage.listener
    mean, log_variance = listener.augmentation.moments(listener.encoder(batch.condition)).chunk(2, 1)
    divergence = (mean**2 + log_variance.exp() - 1 - log_variance).mean() / 2
    return mean + noise * (log_variance / 2).exp(), divergence


def turns(judge: nn.Module, stage: nn.Module, batch: Batch, fake: Tensor, divergence: Tensor) -> None:
    """The discriminator's turn with the joint head, then the generator's."""
    objective = NonSaturating()
    real, wrong = judge(batch.images, judge.encode(batch.condition), judge.encode(batch.mismatched))
    (generated,) = judge(fake.detach(), judge.encode(batch.condition))
    losses = [objective.discriminator(real["pair"], other["pair"]) for other in (generated, wrong)]
    descend(judge, (losses[0] + losses[1]).mean() / 2)
    still = copy.deepcopy(judge)
    (generated,) = still(fake, still.encode(batch.condition))
    descend(stage, objective.generator(generated["pair"]).mean() + 3.0 * divergence)


def descend(network: nn.Module, loss: Tensor) -> None:
    """One step against the gradient, 0.005 of it."""
    loss.backward()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.grad is not None:
                parameter -= 0.005 * parameter.grad
                parameter.grad = None


# What comes out ------------------------------------------------------------------------------------------------------


def latent_of(module: StackGAN, **parts: Tensor) -> Tensor:
    """Two latents, zero but for the named parts."""
    zero = {"z": torch.zeros(2, Z), "first": torch.zeros(2, DIM), "second": torch.zeros(2, DIM)}
    return torch.cat([*{**zero, **parts}.values()], 1)


def test_a_picture_is_a_function_of_latent_and_condition(stack: Make, fit: Make) -> None:
    """Of full size throughout. Stage I reads z and its own noise, Stage II its own noise beside those."""
    module, captions = stack(), ["thing 1", "thing 3"]
    assert module.latent_dim == Z + 2 * DIM == module.draw_latent(2).shape[1]
    effects = []
    for iterations in (2, 5):
        module = stack()
        fit(module, iterations)
        module.train()
        latent = module.draw_latent(2)
        pictures = module.sample(latent, captions)
        assert pictures.shape == (2, *SHAPE)
        assert pictures.abs().max() <= 1
        assert torch.equal(pictures, module.sample(latent, captions))
        alone = torch.cat([module.sample(latent[i : i + 1], captions[i : i + 1]) for i in range(2)])
        torch.testing.assert_close(pictures, alone, atol=1e-5, rtol=1e-4)
        middle = module.sample(latent_of(module), captions)
        parts = {"z": torch.ones(2, Z), "first": torch.ones(2, DIM), "second": torch.ones(2, DIM)}
        effects.append(
            [not torch.equal(middle, module.sample(latent_of(module, **{k: v}), captions)) for k, v in parts.items()]
        )
    assert effects == [[True, True, False], [True, True, True]]


def test_before_the_switch_a_sample_is_stage_one_enlarged(stack: Make, fit: Make) -> None:
    module = stack()
    fit(module, 3)
    latent = module.draw_latent(2)
    small = module.average.play(latent, ["thing 1", "thing 3"])
    assert small.shape == (2, 1, 16, 16)
    assert torch.equal(module.sample(latent, ["thing 1", "thing 3"]), enlarge(small))


def test_both_sides_see_pictures_of_the_stages_size(stack: Make, fit: Make) -> None:
    module, sizes = stack(objective=RelativisticPairing()), {"stage_one": set(), "stage_two": set()}
    for name, seen in sizes.items():
        module.discriminator[name].trunk.register_forward_hook(
            lambda _, ins, out, seen=seen: seen.add(ins[0].shape[-1])
        )
    fit(module, 5)
    assert sizes == {"stage_one": {16}, "stage_two": {64}}


@pytest.mark.parametrize(("finished", "mean", "log_variance"), [(False, 0.5, -1.0), (True, -1.5, 0.25)])
def test_the_augmentations_divergence_is_a_term(
    stack: Make, data: Any, finished: bool, mean: float, log_variance: float
) -> None:
    """With mean m and log variance v whatever the caption, 2 (m^2 + e^v - 1 - v) / 2 at a weight of 2."""
    module = stack(kl_weight=2.0)
    module.generator.mark(finished)
    moments = module.generator.playing.listener.augmentation.moments
    nn.init.zeros_(moments.weight)
    moments.bias.data = torch.tensor([mean] * DIM + [log_variance] * DIM)
    batch = next(iter(data.train_dataloader())).ready()
    batch = replace(batch, images=module.fitted(batch.images))
    expected = mean**2 + math.exp(log_variance) - 1 - log_variance
    torch.testing.assert_close(module.generator_terms(batch, module.generate(batch))["kl"], torch.full((4,), expected))


@pytest.mark.parametrize("iterations", [2, 5])
def test_the_public_face_in_both_stages(
    stack: Make, fit: Make, data: Any, snapshot: Make, same: Make, iterations: int
) -> None:
    """`held_out_report` leaves no trace; the critic takes pictures of full size in Stage I too."""
    module = stack()
    fit(module, iterations)
    batch = next(iter(data.train_dataloader()))
    before = snapshot(module)
    report = module.held_out_report(batch)
    assert {"divergence", "match_accuracy", "kl"} <= report.keys()
    assert same(before, snapshot(module))
    assert module.critic(batch.ready().images, batch.condition).shape == (4,)


def test_classes_can_be_told_too(stack: Make) -> None:
    spec = DataSpec(SHAPE, "class", classes=("a", "b", "c"))
    module = stack(spec=spec, condition=partial(ClassEmbedding, 3, 4))
    assert module.sample(module.draw_latent(2), torch.tensor([0, 2])).shape == (2, *SHAPE)


# A Stage I from elsewhere --------------------------------------------------------------------------------------------


def test_stage_two_can_start_from_a_finished_stage_one(
    stack: Make, fit: Make, snapshot: Make, same: Make, tmp_path: Path
) -> None:
    """It takes the averaged Stage I of the file; afterwards the file is not needed any more."""
    finished, file = stack(), tmp_path / "one.ckpt"
    fit(finished, 2).save_checkpoint(file)
    expected = snapshot(finished.average.stage_one)
    module = stack(seed=1, stage_one_iterations=0, stage_one=str(file))
    fit(module, 2).save_checkpoint(tmp_path / "two.ckpt")
    file.unlink()
    resumed = stack(seed=2, stage_one_iterations=0, stage_one=str(file))
    fit(resumed, 3, tmp_path / "two.ckpt")
    for stages in (module.generator, module.average, resumed.generator, resumed.average):
        assert same(expected, dict(stages.stage_one.state_dict()))
        assert bool(stages.finished)


def test_a_stage_one_that_does_not_fit_is_refused(stack: Make, fit: Make, data: Any, tmp_path: Path) -> None:
    file = str(tmp_path / "one.ckpt")
    fit(stack(), 1).save_checkpoint(file)
    with pytest.raises(UserError, match=r"network\..* is \("):
        fit(stack(width=6, stage_one_iterations=0, stage_one=file), 1)
    other = replace(data.spec, vocabulary=(*data.spec.vocabulary[:-1], "other"))
    with pytest.raises(UserError, match="another vocabulary"):
        fit(stack(spec=other, stage_one_iterations=0, stage_one=file), 1)
    with pytest.raises(UserError, match="does not exist"):
        fit(stack(stage_one_iterations=0, stage_one=str(tmp_path / "nothing")), 1)


def test_a_stage_one_that_is_not_there_is_said_before_there_is_a_run(tmp_path: Path) -> None:
    words = [
        "variant.stage_one_iterations=0",
        f"variant.stage_one={tmp_path / 'nothing'}",
        f"run_dir={tmp_path / 'run'}",
    ]
    with pytest.raises(UserError, match="nothing does not exist"):
        train(compose("recipe=stackgan", *words))
    assert not (tmp_path / "run").exists()


def test_another_variants_checkpoint_has_no_stage_one(
    stack: Make, fit: Make, vanilla: Make, noise: Make, trainer: Make, tmp_path: Path
) -> None:
    other = trainer(1)
    other.fit(vanilla(), noise())
    other.save_checkpoint(tmp_path / "other.ckpt")
    with pytest.raises(UserError, match="has no Stage I"):
        fit(stack(stage_one_iterations=0, stage_one=str(tmp_path / "other.ckpt")), 1)


@pytest.mark.parametrize(("iterations", "run"), [(0, None), (3, "runs/x"), (-1, None)])
def test_stage_one_is_either_played_or_taken(stack: Make, iterations: int, run: str | None) -> None:
    with pytest.raises(UserError, match=r"`variant.stage_one_iterations` must be 0 with"):
        stack(stage_one_iterations=iterations, stage_one=run)


def test_two_stages_need_a_quarter_that_the_networks_can_draw(stack: Make, data: Any) -> None:
    with pytest.raises(UserError, match=r"`data.size` must be 64, 128, 256 for two stages, got 32"):
        stack(spec=replace(data.spec, shape=(1, 32, 32)))
