"""Conditioning augmentation in the conditional GAN: a draw from the latent, and a divergence that is a term."""

from __future__ import annotations

import pytest
import torch

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_module
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch
from ganlab.variants import ConditionalGAN

WORDS = ("recipe=cgan_text2img", "network.generator.width=4", "network.discriminator.width=4", "latent_dim=3")
SPEC = DataSpec((3, 32, 32), "text", vocabulary=("a", "red", "heart"), captions=("a red heart",))
CAPTIONS = ["a red heart", "a heart"]


def made(*words: str) -> ConditionalGAN:
    torch.manual_seed(0)
    module = make_module(compose(*WORDS, *words), SPEC)
    assert isinstance(module, ConditionalGAN)
    return module.eval()


@pytest.fixture(scope="module")
def augmented() -> ConditionalGAN:
    return made("variant.augmented_dim=5", "variant.kl_weight=3")


def test_a_picture_is_a_function_of_latent_and_condition(augmented: ConditionalGAN) -> None:
    latent = augmented.draw_latent(2)
    assert latent.shape == (2, 3 + 5)
    assert torch.equal(augmented.sample(latent, CAPTIONS), augmented.sample(latent, CAPTIONS))
    other = torch.cat([latent[:, :3], -latent[:, 3:]], 1)
    assert not torch.equal(augmented.sample(latent, CAPTIONS), augmented.sample(other, CAPTIONS))


def test_the_divergence_is_a_term_of_the_generator_alone(augmented: ConditionalGAN) -> None:
    """With mean m and log variance v everywhere, KL is (m^2 + e^v - 1 - v) / 2: 0.6839 for m = 1, v = -1."""
    moments = augmented.generator.augmentation.moments
    torch.nn.init.zeros_(moments.weight)
    with torch.no_grad():
        moments.bias.copy_(torch.tensor([1.0] * 5 + [-1.0] * 5))
    batch = Batch(torch.zeros(2, 3, 32, 32), CAPTIONS, CAPTIONS[::-1])
    fake = augmented.generate(batch)
    torch.testing.assert_close(augmented.generator_terms(batch, fake)["kl"], torch.full((2,), 3 * 0.68394))
    assert "kl" not in augmented.discriminator_terms(batch, fake.detach())


def test_without_it_the_code_is_the_embedding_itself() -> None:
    plain = made()
    latent = plain.draw_latent(2)
    assert latent.shape == (2, 3)
    code = plain.generator.code(latent, CAPTIONS)
    assert torch.equal(code, torch.cat([latent, plain.generator.encoder(CAPTIONS)], 1))
    assert not any("augmentation" in name for name in plain.state_dict())


def test_a_frozen_encoder_reads_for_both_players_and_is_not_saved() -> None:
    module = made("condition=sentence", "condition.noise=0.1")
    own = {name.split(".", 2)[2] for name in module.state_dict() if ".encoder." in name}
    assert own == {"linear.weight", "linear.bias", "normalize.weight", "normalize.bias"}
    latent = module.draw_latent(2)
    assert torch.equal(module.sample(latent, CAPTIONS), module.sample(latent, CAPTIONS))
