"""VAE/GAN: who hears what. Larsen et al. 2016, algorithm 1."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from ganlab.core.averaging import MovingAverage
from ganlab.core.members import Members
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, to_float
from ganlab.data.stream import Stream
from ganlab.errors import UserError
from ganlab.networks import dcgan, mlp, resnet
from ganlab.networks.architecture import Architecture
from ganlab.networks.encoder import DiagonalGaussian
from ganlab.networks.minibatch import MinibatchDeviation
from ganlab.objectives import Hinge, NonSaturating, RelativisticPairing
from ganlab.perturbations.noise import InstanceNoise
from ganlab.regularizers import R1
from ganlab.variants import VAEGAN
from ganlab.variants.vaegan import heard, layer_of

Make = Callable[..., Any]
SHAPE = (1, 16, 16)
GAMMA = 0.25


@pytest.fixture
def make(plain: Architecture, sgd: Side) -> Make:
    """make(...): a VAE/GAN of 16 x 16 pictures whose networks look at each picture alone."""

    def build(**kwargs: Any) -> VAEGAN:
        torch.manual_seed(0)
        defaults: dict[str, Any] = {
            "network": plain,
            "objective": NonSaturating(),
            "generator": sgd,
            "discriminator": sgd,
            "average": MovingAverage(half_life=50, ramp=1.0),
            "latent_dim": 4,
            "reconstruction_weight": GAMMA,
            "detail": 1,
        }
        return VAEGAN(DataSpec(SHAPE, "text"), **{**defaults, **kwargs})

    return build


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The standard normal numbers that codes are drawn with from now on, in order."""
    taken: list[Tensor] = []

    def draw(self: DiagonalGaussian) -> Tensor:
        taken.append(torch.randn_like(self.mean))
        return self.mean + (self.log_variance / 2).exp() * taken[-1]

    monkeypatch.setattr(DiagonalGaussian, "draw", draw)
    return taken


@pytest.fixture
def batch() -> Batch:
    return Batch(torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(3)) * 2 - 1)


# Who hears what ------------------------------------------------------------------------------------------------------


def listeners(module: VAEGAN, term: Tensor) -> set[str]:
    """The networks in which this term's gradient is not zero."""
    parts = {
        "encoder": module.generator.encoder,
        "decoder": module.generator.decoder,
        "discriminator": module.discriminator,
    }
    module.zero_grad(set_to_none=True)
    term.mean().backward(retain_graph=True)
    return {
        name
        for name, part in parts.items()
        if any(p.grad is not None and p.grad.abs().max() > 0 for p in part.parameters())
    }


def test_who_hears_which_of_the_generators_terms(make: Make, batch: Batch) -> None:
    module = make()
    with Members(module.discriminator).frozen():
        terms = module.generator_terms(batch, module.generate(batch))
        heard_by = {name: listeners(module, term) for name, term in terms.items()}
    assert heard_by == {
        "kl": {"encoder"},
        "reconstruction": {"encoder", "decoder"},
        "realism": {"decoder"},
        "realism_again": {"decoder"},
    }


def test_the_discriminator_hears_the_game_alone(make: Make, batch: Batch, sgd: Side) -> None:
    """On its turn nothing reaches encoder and decoder, frozen or not; reconstruction is none of its terms."""
    module = make()
    terms = module.discriminator_terms(batch, module.generate(batch).detach())
    assert {name: listeners(module, term) for name, term in terms.items()} == {
        "realism": {"discriminator"},
        "realism_again": {"discriminator"},
    }


def gradients(loss: Tensor, network: nn.Module) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(network.parameters()), retain_graph=True))


def test_reconstruction_counts_fully_for_the_encoder_and_gamma_times_for_the_decoder(
    make: Make, batch: Batch, drawn: list[Tensor]
) -> None:
    """Against L = |f(x) - f(decoded)|^2 / 2 in one graph: the encoder's gradient of L, gamma times the decoder's."""
    module = make()
    with Members(module.discriminator).frozen():
        ours = module.generator_terms(batch, module.generate(batch))["reconstruction"].mean()
    coder, trunk = module.generator, module.discriminator[0]
    mean, log_variance = coder.encoder(batch.images).chunk(2, 1)
    decoded = coder.decoder(mean + (log_variance / 2).exp() * drawn[-1])
    loss = (trunk(batch.images) - trunk(decoded)).flatten(1).square().sum(1).mean() / 2
    torch.testing.assert_close(ours, GAMMA * loss)
    torch.testing.assert_close(gradients(ours, coder.encoder), gradients(loss, coder.encoder), rtol=1e-4, atol=1e-7)
    torch.testing.assert_close(
        gradients(ours, coder.decoder), [GAMMA * g for g in gradients(loss, coder.decoder)], rtol=1e-4, atol=1e-7
    )


def test_heard_changes_gradients_only() -> None:
    x = torch.randn(5, requires_grad=True)
    louder = heard(x, 3.0)
    assert torch.equal(louder, x)
    assert torch.equal(torch.autograd.grad(louder.sum(), x)[0], torch.full((5,), 3.0))
    assert torch.equal(torch.autograd.grad((2 * x).sum(), x)[0], torch.full((5,), 2.0))
    assert not heard(x.detach(), 3.0).requires_grad


# The algorithm -------------------------------------------------------------------------------------------------------


def algorithm_1(twin: VAEGAN, images: Tensor, latent: Tensor, noise: list[Tensor], rate: float) -> None:
    """One iteration by hand: the discriminator's step, then encoder and decoder's, each with gradients of its own."""
    coder, judge, trunk = twin.generator, twin.discriminator, twin.discriminator[0]

    def again(eps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, log_variance = coder.encoder(images).chunk(2, 1)
        return mean, log_variance, coder.decoder(mean + (log_variance / 2).exp() * eps)

    def descend(network: nn.Module, found: list[Tensor]) -> None:
        for parameter, gradient in zip(network.parameters(), found, strict=True):
            parameter.data.sub_(rate * gradient)

    fakes = torch.cat([coder.decoder(latent), again(noise[0])[2]]).detach()
    l_gan = softplus(-judge(images)).mean() + softplus(judge(fakes)).mean()  # the fakes' halves, averaged
    descend(judge, gradients(l_gan, judge))

    mean, log_variance, decoded = again(noise[1])
    l_prior = (mean.square() + log_variance.exp() - 1 - log_variance).sum() / 2 / len(images)
    l_llike = (trunk(images) - trunk(decoded)).square().sum() / 2 / len(images)
    l_adversarial = softplus(-judge(torch.cat([coder.decoder(latent), decoded]))).mean()
    encoders = gradients(l_prior + l_llike, coder.encoder)
    decoders = gradients(twin.gamma * l_llike + l_adversarial, coder.decoder)
    descend(coder.encoder, encoders)
    descend(coder.decoder, decoders)


def test_equals_algorithm_1(
    make: Make, trainer: Make, noise: Make, record: Make, drawn: list[Tensor], plain: Architecture
) -> None:
    """Five iterations of gradient descent, against a loop with three networks and three separate gradients."""
    side = Side(partial(torch.optim.SGD, lr=1e-2))
    module = make(generator=side, discriminator=side)
    twin, latents = copy.deepcopy(module), record(module)
    trainer(5).fit(module, noise())
    assert len(latents) == 5 and len(drawn) == 10
    for i in range(5):
        images = to_float(Stream(noise().train, 8).at(i).images)
        algorithm_1(twin, images, latents[i], drawn[2 * i : 2 * i + 2], 1e-2)
    for ours, theirs in ((module.generator, twin.generator), (module.discriminator, twin.discriminator)):
        torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("objective", [Hinge(), RelativisticPairing()])
def test_other_objectives_play_with_penalties_and_batch_statistics(
    make: Make, trainer: Make, noise: Make, adam: Side, objective: Any
) -> None:
    network = Architecture(partial(resnet.Generator, width=2), partial(resnet.Trunk, width=2))
    penalized = Side(adam.optimizer, regularizers={"r1": R1(0.1, every=2)}, turns=2)
    module = make(network=network, objective=objective, generator=adam, discriminator=penalized, detail=2)
    data = noise()
    data.reals_per_iteration = 16
    trainer(3).fit(module, data)
    assert all(tensor.isfinite().all() for tensor in module.state_dict().values())


# Features ------------------------------------------------------------------------------------------------------------


def test_features_are_of_the_last_layer_with_that_detail(make: Make, batch: Batch) -> None:
    """DCGAN's trunk is a chain, 8 x 8 and then 4 x 4: running its first layers by hand gives the same."""
    network = Architecture(partial(dcgan.Generator, width=4), partial(dcgan.Trunk, width=4))
    for detail, layer, parts in ((2, "layers.1", 2), (1, "", 5)):
        module = make(network=network, detail=detail).eval()
        expected = module.discriminator[0].layers[:parts](batch.images)
        assert module.layer == layer
        torch.testing.assert_close(module.features(batch.images), expected)
    assert not any(part._forward_hooks for part in module.modules())


@pytest.mark.parametrize(
    ("trunk", "layers"),
    [
        (resnet.Trunk((3, 32, 32), width=2), {1: "", 2: "blocks.1", 4: "blocks.0", 8: "from_image"}),
        (MinibatchDeviation(resnet.Trunk((3, 32, 32), width=2)), {1: "", 2: "trunk.blocks.1"}),
        (mlp.Trunk((3, 32, 32), width=2), {1: ""}),
    ],
)
def test_every_trunk_has_a_layer_for_each_of_its_resolutions(trunk: nn.Module, layers: dict[int, str]) -> None:
    found = {detail: layer_of(trunk, (4, 3, 32, 32), detail) for detail in layers}
    assert found == layers
    assert not any(part._forward_hooks for part in trunk.modules())
    assert all(parameter.device.type == "cpu" for parameter in trunk.parameters())


def test_a_detail_that_no_layer_has(make: Make) -> None:
    with pytest.raises(UserError, match=r"`variant.detail` must be one of 1 with this network, got 2"):
        make(detail=2)


def test_features_are_those_of_the_pictures_themselves(make: Make, plain: Architecture, batch: Batch) -> None:
    """However blurred what the discriminator judges: its logits change, what is compared does not."""
    noisy = make(network=replace(plain, perturbations={"noise": InstanceNoise(sigma=0.5)}))
    clear = make(network=plain)
    assert torch.equal(noisy.features(batch.images), clear.features(batch.images))
    assert torch.equal(clear.discriminator(batch.images), clear.discriminator(batch.images))
    assert not torch.equal(noisy.discriminator(batch.images), noisy.discriminator(batch.images))


def test_the_encoder_sees_the_pictures_themselves(make: Make, plain: Architecture, batch: Batch) -> None:
    """Whatever is put around the discriminator's trunk: a posterior is the same each time it is asked for."""
    module = make(network=replace(plain, perturbations={"noise": InstanceNoise(sigma=0.5)}, pack=2))
    first, again = (module.generator.posterior(batch.images) for _ in range(2))
    assert torch.equal(first.mean, again.mean) and first.mean.shape == (8, 4)


def test_the_weight_is_positive(make: Make) -> None:
    with pytest.raises(UserError, match=r"`variant.reconstruction_weight` must be more than 0, got 0"):
        make(reconstruction_weight=0)


# What is shown -------------------------------------------------------------------------------------------------------


def test_samples_and_reconstructions_are_the_averages(make: Make, trainer: Make, noise: Make) -> None:
    module = make()
    trainer(3).fit(module, noise())
    latent = module.draw_latent(3)
    images = to_float(next(iter(noise().train_dataloader())).images)
    assert torch.equal(module.sample(latent), module.average.decoder(latent))
    assert module.sample(latent).shape == (3, *SHAPE) and not module.sample(latent).requires_grad
    report = module.held_out_report(Batch(images))
    with torch.no_grad():
        expected = nn.functional.mse_loss(module.average(images), images)
    torch.testing.assert_close(report["reconstruction_error"], expected)
    assert report.keys() == {"divergence", "realism_accuracy", "reconstruction_error", "kl"}


def test_held_out_report_leaves_no_trace(make: Make, batch: Batch, snapshot: Make, same: Make) -> None:
    module = make(network=Architecture(partial(dcgan.Generator, width=4), partial(dcgan.Trunk, width=4)))
    before, random = snapshot(module), torch.get_rng_state()
    assert same(module.held_out_report(batch), module.held_out_report(batch))
    assert same(before, snapshot(module)) and torch.equal(random, torch.get_rng_state())
    assert module.spec.kind == "none"
