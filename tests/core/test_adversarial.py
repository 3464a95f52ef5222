"""The game: whose turn it is, what a turn may move, and that it is the plain loop everybody would write."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers.logger import Logger
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils.parametrizations import spectral_norm

from ganlab.core import adversarial
from ganlab.core.adversarial import AdversarialModule
from ganlab.core.members import Members
from ganlab.core.sides import Side
from ganlab.data.batch import Batch, Fake, to_float
from ganlab.data.stream import Stream
from ganlab.errors import UserError
from ganlab.networks.architecture import Architecture
from ganlab.networks.conditioning import ClassEmbedding
from ganlab.networks.heads import JointHead, ProjectionHead, SeparateHead
from ganlab.networks.text import WordEncoder
from ganlab.objectives import NonSaturating, Objective, RelativisticPairing
from ganlab.regularizers import R1, R2, Critic, GradientPenalty, Regularizer
from ganlab.variants import ConditionalGAN, VanillaGAN
from tests.components import every

Make = Callable[..., Any]
TURNS = [(1, 1), (3, 2), (1, 3)]
turns = pytest.mark.parametrize(("discriminator_turns", "generator_turns"), TURNS)


@pytest.fixture
def fit(trainer: Make, noise: Make) -> Callable[..., pl.Trainer]:
    """fit(module, iterations, ...): trains on noise, 8 reals a discriminator turn."""

    def run(module: AdversarialModule, iterations: int, **kwargs: Any) -> pl.Trainer:
        data = noise(shape=module.spec.shape, captions=4 if module.spec.kind == "text" else 0)
        data.reals_per_iteration = 8 * module.sides["discriminator"].turns
        running = trainer(iterations, **kwargs)
        running.fit(module, data)
        return running

    return run


class Lines(Logger):
    """Keeps what is logged: [(step, values)]."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, dict[str, float]]] = []

    name = "lines"
    version = 0

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        pass

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        assert step is not None
        self.lines.append((step, dict(metrics)))


# A turn moves one side only ------------------------------------------------------------------------------------------


def spectral(network: Callable[..., nn.Module], **kwargs: Any) -> nn.Module:
    """The network with all its linear layers and convolutions divided by their largest singular values."""
    made = network(**kwargs)
    for module in list(made.modules()):
        if isinstance(module, (nn.Linear, nn.Conv2d)):
            spectral_norm(module)
    return made


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, snapshot: Make, same: Make) -> Callable[[AdversarialModule], list[str]]:
    """watch(module): checks every turn from outside; gives the list of sides that stepped, filled while it trains."""

    def start(module: AdversarialModule) -> list[str]:
        steps: list[str] = []
        still: list[nn.Module] = []
        sides = {"discriminator": module.discriminator, "generator": module.generator}
        original = Members.frozen

        def state(network: nn.Module) -> list[Any]:
            index = list(sides.values()).index(network)
            optimizer = module.trainer.strategy.optimizers[index].state_dict()
            gradients = [parameter.grad is None for parameter in network.parameters()]
            flags = [parameter.requires_grad for parameter in network.parameters()]
            return [snapshot(network), copy.deepcopy(optimizer["state"]), gradients, flags]

        @contextmanager
        def observed(members: Members) -> Iterator[None]:
            network = next(side for name, side in sides.items() if members is module.members(name))
            before = state(network)
            still.append(network)
            with original(members):
                yield
            still.remove(network)
            assert same(before, state(network)), "the side whose turn it was not has changed"

        step = module.step

        def noted(name: str) -> None:
            other = {"discriminator": "generator", "generator": "discriminator"}[name]
            assert still == [sides[other]], f"the {other} was not still while the {name} moved"
            before = snapshot(sides[name])
            step(name)
            assert not same(before, snapshot(sides[name])), f"the {name} did not move"
            steps.append(name)

        monkeypatch.setattr(Members, "frozen", observed)
        monkeypatch.setattr(module, "step", noted)
        return steps

    return start


@turns
def test_a_turn_leaves_the_other_side_bitwise_unchanged(
    vanilla: Make, fit: Make, watch: Make, adam: Side, discriminator_turns: int, generator_turns: int
) -> None:
    """Parameters, batch statistics, optimizer state and flags; with batch normalization in both."""
    module = vanilla(
        discriminator=replace(adam, turns=discriminator_turns), generator=replace(adam, turns=generator_turns)
    )
    steps = watch(module)
    fit(module, 3)
    assert steps == (["discriminator"] * discriminator_turns + ["generator"] * generator_turns) * 3


@turns
def test_singular_vectors_stay_put_as_well(
    vanilla: Make,
    plain: Architecture,
    fit: Make,
    watch: Make,
    adam: Side,
    discriminator_turns: int,
    generator_turns: int,
) -> None:
    """Spectral normalization changes a buffer in place in every forward pass."""
    network = Architecture(partial(spectral, plain.generator), partial(spectral, plain.discriminator))
    module = vanilla(
        network=network,
        discriminator=replace(adam, turns=discriminator_turns, regularizers={"r1": R1(1.0)}),
        generator=replace(adam, turns=generator_turns),
        objective=RelativisticPairing(),
    )
    steps = watch(module)
    fit(module, 3)
    assert len(steps) == 3 * (discriminator_turns + generator_turns)


@turns
def test_batch_statistics_come_from_a_sides_own_turns(
    vanilla: Make, fit: Make, adam: Side, discriminator_turns: int, generator_turns: int
) -> None:
    """One batch of generated pictures a generator turn, a real and a generated one a discriminator turn."""
    module = vanilla(
        discriminator=replace(adam, turns=discriminator_turns), generator=replace(adam, turns=generator_turns)
    )
    fit(module, 4)
    counted = {
        name: {m.num_batches_tracked.item() for m in side.modules() if isinstance(m, nn.BatchNorm2d)}
        for name, side in (("generator", module.generator), ("discriminator", module.discriminator))
    }
    assert counted == {"generator": {4 * generator_turns}, "discriminator": {4 * 2 * discriminator_turns}}


# The plain loop ------------------------------------------------------------------------------------------------------


def plain_loop(
    module: VanillaGAN, batches: list[Tensor], latents: list[Tensor], turns: tuple[int, int], shared: bool
) -> None:
    """What anybody would write. Each side plays against a copy of the other, so that only its own buffers move."""
    d, g, latent = module.discriminator, module.generator, iter(latents)
    d_step = torch.optim.Adam(d.parameters(), lr=1e-2, betas=(0.5, 0.99))
    g_step = torch.optim.Adam(g.parameters(), lr=1e-2, betas=(0.5, 0.99))
    for i, images in enumerate(batches, 1):
        generated = g(next(latent)) if shared else None
        for real in images.chunk(turns[0]):
            fake = copy.deepcopy(g)(next(latent)).detach() if generated is None else generated.detach()
            d_step.zero_grad()
            (softplus(-d(real)).mean() + softplus(d(fake)).mean()).backward()
            d_step.step()
        for _ in range(turns[1]):
            g_step.zero_grad()
            fake = g(next(latent)) if generated is None else generated
            softplus(-copy.deepcopy(d)(fake)).mean().backward()
            g_step.step()
        beta = 0.5 ** (len(images) / min(50, i * len(images)))
        for old, new in zip(module.average.state_dict().values(), g.state_dict().values(), strict=True):
            old.copy_(beta * old + (1 - beta) * new if old.is_floating_point() else new)


@turns
def test_equals_the_plain_loop(
    vanilla: Make, noise: Make, fit: Make, record: Make, adam: Side, discriminator_turns: int, generator_turns: int
) -> None:
    """Same weights, batches and latents, five iterations, batch normalization: the same game to 1e-6."""
    module = vanilla(
        discriminator=replace(adam, turns=discriminator_turns), generator=replace(adam, turns=generator_turns)
    )
    twin = copy.deepcopy(module)
    latents = record(module)
    fit(module, 5)
    shared = (discriminator_turns, generator_turns) == (1, 1)
    assert len(latents) == 5 * (1 if shared else discriminator_turns + generator_turns)
    stream = Stream(noise().train, 8 * discriminator_turns)
    batches = [to_float(stream.at(i).images) for i in range(5)]
    plain_loop(twin, batches, latents, (discriminator_turns, generator_turns), shared)
    torch.testing.assert_close(dict(module.state_dict()), dict(twin.state_dict()), rtol=0, atol=1e-6)


def test_a_generator_that_shares_no_images_draws_its_own(
    vanilla: Make, noise: Make, fit: Make, record: Make, adam: Side
) -> None:
    """The game of two turns with one batch: the discriminator's images are drawn without a graph."""
    module = vanilla(discriminator=adam, generator=replace(adam, share_images=False))
    twin = copy.deepcopy(module)
    latents = record(module)
    fit(module, 5)
    assert len(latents) == 10
    stream = Stream(noise().train, 8)
    batches = [to_float(stream.at(i).images) for i in range(5)]
    plain_loop(twin, batches, latents, (1, 1), False)
    torch.testing.assert_close(dict(module.state_dict()), dict(twin.state_dict()), rtol=0, atol=1e-6)


@turns
def test_no_network_runs_more_often_than_it_must(
    vanilla: Make, fit: Make, adam: Side, discriminator_turns: int, generator_turns: int
) -> None:
    """The generator once a turn, and only once an iteration when there is one turn each."""
    module = vanilla(
        discriminator=replace(adam, turns=discriminator_turns), generator=replace(adam, turns=generator_turns)
    )
    calls = {"generator": 0, "discriminator": 0}

    def count(name: str, *_: Any) -> None:
        calls[name] += 1

    module.generator.register_forward_hook(partial(count, "generator"))
    module.discriminator.register_forward_hook(partial(count, "discriminator"))
    fit(module, 4)
    both = discriminator_turns + generator_turns
    assert calls == {
        "generator": 4 * (1 if both == 2 else both),
        "discriminator": 4 * (2 * discriminator_turns + generator_turns),
    }


def test_discriminator_turns_have_reals_of_their_own(vanilla: Make, fit: Make, adam: Side, noise: Make) -> None:
    module = vanilla(discriminator=replace(adam, turns=3))
    seen: list[Tensor] = []
    terms = module.discriminator_terms

    def watched(batch: Batch, fake: Fake) -> dict[str, Tensor]:
        seen.append(batch.images)
        return terms(batch, fake)

    module.discriminator_terms = watched
    fit(module, 2)
    expected = [to_float(Stream(noise().train, 24).at(i).images) for i in range(2)]
    assert torch.equal(torch.cat(seen), torch.cat(expected))
    assert [len(images) for images in seen] == [8] * 6


# Sides' settings -----------------------------------------------------------------------------------------------------


def feed(module: AdversarialModule) -> None:
    """Latents from one long list, however many are taken at a time."""
    pool = torch.randn(10_000, module.latent_dim, generator=torch.Generator().manual_seed(7))
    taken = 0

    def draw(count: int, generator: torch.Generator | None = None) -> Tensor:
        nonlocal taken
        taken += count
        return pool[taken - count : taken]

    module.draw_latent = draw  # type: ignore[method-assign]


def test_accumulation_changes_nothing(vanilla: Make, plain: Architecture, fit: Make, sgd: Side) -> None:
    """Four parts of 2 give the step of one batch of 8, where samples do not look at each other."""
    states = []
    for parts in (1, 4):
        module = vanilla(
            network=plain,
            discriminator=replace(sgd, turns=2, accumulate=parts, regularizers={"r1": R1(1.0), "r2": R2(0.5, every=2)}),
            generator=replace(sgd, accumulate=parts),
        )
        feed(module)
        fit(module, 4)
        states.append(dict(module.state_dict()))
    torch.testing.assert_close(states[0], states[1], rtol=1e-5, atol=1e-6)


def test_a_batch_must_divide(vanilla: Make, fit: Make, adam: Side) -> None:
    with pytest.raises(ValueError, match="8 images does not divide into 3"):
        fit(vanilla(discriminator=replace(adam, accumulate=3)), 1)


def test_clipping_is_of_the_whole_sides_gradient(vanilla: Make, fit: Make) -> None:
    """With plain gradient descent at rate 1 a clipped step is `clip` long; the other side's steps are not."""
    side = Side(partial(torch.optim.SGD, lr=1.0))
    module = vanilla(discriminator=replace(side, clip=0.01), generator=side)
    lengths: dict[str, list[float]] = {"discriminator": [], "generator": []}
    step = module.step

    def measured(name: str) -> None:
        before = nn.utils.parameters_to_vector(module.player(name).parameters()).detach()
        step(name)
        after = nn.utils.parameters_to_vector(module.player(name).parameters()).detach()
        lengths[name].append((after - before).norm().item())

    module.step = measured  # type: ignore[method-assign]
    lines = Lines()
    fit(module, 3, logger=lines, log_every_n_steps=1)
    logged = {
        name: [values[f"{name}/gradient_norm"] for _, values in lines.lines] for name in ("discriminator", "generator")
    }
    assert lengths["discriminator"] == pytest.approx([0.01] * 3, rel=1e-3)
    assert min(logged["discriminator"]) > 0.02
    assert lengths["generator"] == pytest.approx(logged["generator"], rel=1e-3)


def test_schedules_count_iterations(vanilla: Make, fit: Make) -> None:
    """Halved every iteration, whatever the turns: 0.1 / 2^4."""
    halve = partial(torch.optim.lr_scheduler.StepLR, step_size=1, gamma=0.5)
    side = Side(partial(torch.optim.SGD, lr=0.1), scheduler=halve)
    module = vanilla(discriminator=replace(side, turns=3), generator=replace(side, turns=2, scheduler=None))
    running = fit(module, 4)
    rates = [optimizer.param_groups[0]["lr"] for optimizer in running.strategy.optimizers]
    assert rates == pytest.approx([0.1 / 16, 0.1])


@turns
def test_iterations_are_what_is_counted(
    vanilla: Make, fit: Make, adam: Side, discriminator_turns: int, generator_turns: int
) -> None:
    module = vanilla(
        discriminator=replace(adam, turns=discriminator_turns), generator=replace(adam, turns=generator_turns)
    )
    running = fit(module, 7)
    assert running.global_step == module.iteration == running.max_steps == 7
    assert module.images_seen == 7 * 8 * discriminator_turns


def test_lazy_penalties_are_due_every_so_often(vanilla: Make, plain: Architecture, fit: Make, adam: Side) -> None:
    module = vanilla(network=plain, discriminator=replace(adam, regularizers={"r1": R1(2.0, every=3)}))
    lines = Lines()
    fit(module, 8, logger=lines, log_every_n_steps=1)
    assert ["discriminator/r1" in values for _, values in lines.lines] == [i % 3 == 0 for i in range(8)]


class Squares(Regularizer):
    """D(x)^2 in another shape than (N,)."""

    differentiates = False

    def __init__(self, make: Callable[[Tensor], Any]) -> None:
        super().__init__(1.0)
        self.make = make

    def penalty(self, critic: Critic, batch: Batch, fake: Fake) -> Any:
        return self.make(critic(batch.images, batch.condition).square())


PER_SAMPLE = r"must be one number a sample, a tensor of shape \(N,\), got"
NOT_PER_SAMPLE = pytest.mark.parametrize(
    ("make", "got"),
    [
        (lambda values: values.mean(), r"\(\)"),
        (lambda values: values[:, None], r"\(8, 1\)"),
        (lambda values: values + values[:, None], r"\(8, 8\)"),
        (lambda values: None, "None"),
        (lambda values: values.mean().item(), "a float"),
    ],
)
"""(8, 8) is what (8,) + (8, 1) silently becomes; its mean is a plausible number. None is a forgotten `return`."""


@NOT_PER_SAMPLE
def test_a_penalty_that_is_not_per_sample_is_refused(
    vanilla: Make, plain: Architecture, fit: Make, adam: Side, make: Make, got: str
) -> None:
    module = vanilla(network=plain, discriminator=replace(adam, regularizers={"mine": Squares(make)}))
    with pytest.raises(UserError, match=rf"^the result of `Squares.penalty` {PER_SAMPLE} {got}"):
        fit(module, 1)


@NOT_PER_SAMPLE
def test_a_term_that_is_not_per_sample_is_refused(
    vanilla: Make, plain: Architecture, fit: Make, make: Make, got: str
) -> None:
    module = vanilla(network=plain)
    module.discriminator_terms = lambda batch, fake: {"mine": make(module.critic(batch.images, None))}
    with pytest.raises(UserError, match=rf"^`discriminator/mine` {PER_SAMPLE} {got}"):
        fit(module, 1)


@pytest.mark.parametrize(("terms", "got"), [(None, "None"), (torch.zeros(8), r"\(8,\)"), ({}, "a dict")])
def test_a_side_without_named_terms_is_refused(
    vanilla: Make, plain: Architecture, fit: Make, terms: Any, got: str
) -> None:
    module = vanilla(network=plain)
    module.generator_terms = lambda batch, fake: terms
    with pytest.raises(UserError, match=rf"`VanillaGAN.generator_terms` must return the terms.* by their names.*{got}"):
        fit(module, 1)


def test_terms_without_a_gradient_are_refused(vanilla: Make, plain: Architecture, fit: Make) -> None:
    module = vanilla(network=plain)
    module.generator_terms = lambda batch, fake: {"mine": fake.images.detach().flatten(1).mean(1)}
    with pytest.raises(UserError, match=r"no term of the generator \(mine\) depends on its weights"):
        fit(module, 1)


@pytest.mark.parametrize("objective", every(Objective), ids=lambda objective: type(objective).__name__)
def test_every_objective_plays(vanilla: Make, plain: Architecture, fit: Make, adam: Side, objective: Objective) -> None:
    penalized = replace(adam, regularizers={"gradient_penalty": GradientPenalty(1.0)})
    module = vanilla(network=plain, objective=objective, discriminator=penalized)
    fit(module, 2)
    assert all(torch.isfinite(tensor).all() for tensor in module.state_dict().values())


# What is logged ------------------------------------------------------------------------------------------------------


def test_logged_values_are_means_since_the_last_line(vanilla: Make, plain: Architecture, fit: Make, adam: Side) -> None:
    """The same game logged every iteration and every third one; a lazy penalty's mean is over when it was due.

    The norm of the gradient is that of the last iteration.
    """

    def play(every: int) -> list[tuple[int, dict[str, float]]]:
        lazy = replace(adam, regularizers={"r1": R1(1.0, every=2)})
        module, lines = vanilla(network=plain, discriminator=lazy), Lines()
        fit(module, 6, logger=lines, log_every_n_steps=every)
        return lines.lines

    single, coarse = play(1), play(3)
    assert len(single) == 6
    assert len(coarse) == 2
    for block, (_, values) in enumerate(coarse):
        lines = [values for _, values in single[3 * block : 3 * block + 3]]
        for name in ("discriminator/realism", "discriminator/r1", "generator/realism"):
            known = [line[name] for line in lines if name in line]
            assert values[name] == pytest.approx(sum(known) / len(known), rel=1e-5)
        assert values["generator/gradient_norm"] == lines[-1]["generator/gradient_norm"]
        assert values["images_seen"] == 24 * (block + 1)


def test_steps_of_the_log_are_iterations_completed(vanilla: Make, plain: Architecture, fit: Make) -> None:
    lines = Lines()
    fit(vanilla(network=plain), 6, logger=lines, log_every_n_steps=3)
    assert [step for step, _ in lines.lines] == [3, 6]


# The public face -----------------------------------------------------------------------------------------------------


def test_held_out_report_leaves_no_trace(vanilla: Make, noise: Make, snapshot: Make, same: Make) -> None:
    module = vanilla()
    batch = next(iter(noise().train_dataloader()))
    before, random = snapshot(module), torch.get_rng_state()
    first, second, other = (
        module.held_out_report(batch),
        module.held_out_report(batch),
        module.held_out_report(batch, seed=1),
    )
    assert same(before, snapshot(module))
    assert torch.equal(random, torch.get_rng_state())
    assert all(parameter.requires_grad for parameter in module.generator.parameters())
    assert all(parameter.grad is None for parameter in module.parameters())
    assert same(first, second)
    assert not same(first, other)
    assert batch.images.dtype == torch.uint8
    assert first.keys() == {"divergence", "realism_accuracy"}


def test_samples_are_the_averages(vanilla: Make, fit: Make) -> None:
    """Evaluation mode although the module trains: a sample does not depend on its batch, and draws leave no graph."""
    module = vanilla()
    fit(module, 3)
    module.train()
    latent = module.draw_latent(6, torch.Generator().manual_seed(0))
    together = module.sample(latent)
    assert together.shape == (6, 1, 16, 16)
    assert together.abs().max() <= 1
    assert not together.requires_grad
    torch.testing.assert_close(together, torch.cat([module.sample(row[None]) for row in latent]), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(together, copy.deepcopy(module.average).eval()(latent))


def test_latents_of_a_generator_are_its_own(vanilla: Make) -> None:
    module = vanilla()
    state = torch.get_rng_state()
    first, again = (module.draw_latent(5, torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(state, torch.get_rng_state())
    assert first.shape == (5, 4)


@pytest.mark.parametrize("head", [JointHead, SeparateHead, ProjectionHead])
def test_conditional_game(noise: Make, trainer: Make, plain: Architecture, adam: Side, head: Make) -> None:
    """Captions on their way through both sides; each has an encoder of its own, and both learn."""
    data = noise(captions=4)
    torch.manual_seed(0)
    module = ConditionalGAN(
        data.spec,
        plain,
        partial(WordEncoder, data.spec.vocabulary, 4, width=8, buckets=16),
        head,
        NonSaturating(),
        adam,
        replace(adam, turns=2, regularizers={"r1": R1(1.0)}),
        adversarial.MovingAverage(),
        latent_dim=4,
    )
    encoders = [copy.deepcopy(side.encoder.state_dict()) for side in (module.generator, module.discriminator)]
    trainer(3).fit(module, data)
    for before, side in zip(encoders, (module.generator, module.discriminator), strict=True):
        assert any(not torch.equal(before[name], now) for name, now in side.encoder.state_dict().items())
    assert module.sample(module.draw_latent(2), ["thing 1", "thing 3"]).shape == (2, 1, 16, 16)
    assert {"divergence", "match_accuracy"} <= module.held_out_report(next(iter(data.train_dataloader()))).keys()


def test_an_encoder_must_read_what_the_data_has(noise: Make, plain: Architecture, adam: Side) -> None:
    with pytest.raises(ValueError, match="`condition`"):
        ConditionalGAN(
            noise(captions=4).spec,
            plain,
            partial(ClassEmbedding, 4, 4),
            SeparateHead,
            NonSaturating(),
            adam,
            adam,
            adversarial.MovingAverage(),
        )
