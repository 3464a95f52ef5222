"""A caption that several pictures share: the latent chooses one of theirs, any of them about as often."""

from __future__ import annotations

import pytest
import torch

from ganlab.networks.choice import Choice
from ganlab.networks.text import CaptionEncoder

MEMBERS = [[0, 2, 3], [1, 4]]
CAPTIONS = ["red heart", "dog face", "blue heart", "green heart", "cat face"]
SHARED = {"a heart": MEMBERS[0], "an animal": MEMBERS[1]}


def weights(count: int, *rows: list[float]) -> torch.Tensor:
    return torch.tensor(rows).repeat(count, 1)


def test_the_weight_of_a_shared_caption_goes_to_one_of_its_members() -> None:
    chosen = Choice(5, MEMBERS)(weights(1000, [0, 0, 0, 0, 0, 1, 0]), torch.randn(1000, 100))
    torch.testing.assert_close(chosen.sum(1), torch.ones(1000))
    assert chosen[:, [1, 4, 5, 6]].abs().max() == 0
    shares = torch.bincount(chosen.argmax(1), minlength=7)[MEMBERS[0]] / 1000
    assert (shares - 1 / 3).abs().max() < 0.1
    assert (chosen.amax(1) > 0.9).float().mean() > 0.7


@pytest.mark.parametrize("latent_dim", [2, 64, 100])
def test_own_captions_keep_their_weights(latent_dim: int) -> None:
    given = weights(50, [0.3, 0.1, 0.2, 0, 0, 0.1, 0.3])
    chosen = Choice(5, MEMBERS)(given, torch.randn(50, latent_dim))
    torch.testing.assert_close(chosen[:, [0, 2, 3]], given[:, [0, 2, 3]])
    torch.testing.assert_close(chosen[:, [1, 4]].sum(1), torch.full((50,), 0.1 + 0.4))


def test_a_small_step_of_the_latent_is_a_small_step_of_the_weights() -> None:
    choice, (a, b) = Choice(5, MEMBERS), torch.randn(2, 1, 64)
    path = torch.lerp(a, b, torch.linspace(0, 1, 2001)[:, None])
    chosen = choice(weights(2001, [0, 0, 0, 0, 0, 1, 0]), path)
    assert chosen.diff(dim=0).abs().max() < 0.2


def test_each_encoder_of_a_shared_caption_makes_the_same_choice() -> None:
    """Two stages that are asked for an animal must draw the same one."""
    assert torch.equal(Choice(5, MEMBERS).directions, Choice(5, MEMBERS).directions)


def test_a_generator_reads_one_of_the_captions_and_a_discriminator_the_shared_one() -> None:
    encoder = CaptionEncoder(CAPTIONS, dim=8, shared=SHARED, sharpness=300.0)
    latent = torch.randn(40, 32)
    own = encoder(CAPTIONS)
    found = encoder(["an animal"] * 40, latent)
    nearest = torch.cdist(found, own).argmin(1)
    assert set(nearest.tolist()) == {1, 4}
    torch.testing.assert_close(encoder(CAPTIONS, latent[:5]), own, atol=1e-4, rtol=0)
    (judged,) = encoder(["an animal"])
    assert torch.cdist(judged[None], own).min() > 0.1
    torch.testing.assert_close(encoder(["an animal"] * 40), judged.expand(40, -1), atol=1e-6, rtol=0)
