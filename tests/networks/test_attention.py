"""Attention against sums written out; padding is not attended to; nothing at the start."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganlab.errors import UserError
from ganlab.networks import r3gan, resnet
from ganlab.networks.attention import SelfAttention, WordAttention, Words, attend, reading, word_layers
from ganlab.networks.conditional import ConditionalGenerator
from ganlab.networks.conditioning import ClassEmbedding
from ganlab.networks.text import WordEncoder


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def test_against_torch_and_by_hand() -> None:
    """torch divides the scores by sqrt(d); with one key to attend to, its value is what comes out."""
    q, k, v = torch.randn(2, 5, 4), torch.randn(2, 3, 4), torch.randn(2, 3, 6)
    torch.testing.assert_close(attend(2 * q, k, v), F.scaled_dot_product_attention(4 * q, k, v))
    mask = torch.tensor([[False, True, False], [True, False, False]])
    expected = torch.stack([v[0, 1], v[1, 0]])[:, None].expand(-1, 5, -1)
    torch.testing.assert_close(attend(q, k, v, mask), expected)


@pytest.mark.parametrize("layer", [SelfAttention(8), WordAttention(8, 5)], ids=["self", "words"])
def test_it_starts_as_the_identity_and_its_weight_learns(layer: nn.Module) -> None:
    x, words = torch.randn(2, 8, 4, 6), (torch.randn(2, 3, 5), torch.ones(2, 3, dtype=torch.bool))
    with reading(layer, words):
        y = layer(x)
    assert torch.equal(y, x)
    (y * torch.randn_like(y)).sum().backward()
    assert layer.gamma.grad.abs() > 0


def test_a_place_sees_every_other() -> None:
    """With gamma 1 a change of a corner reaches the opposite one; x's own part is elsewhere zero."""
    layer, x = SelfAttention(8), torch.randn(1, 8, 6, 6)
    nn.init.ones_(layer.gamma)
    other = x.clone()
    other[:, :, 0, 0] += 10
    assert (layer(other) - layer(x))[:, :, -1, -1].abs().max() > 1e-4


def test_padding_changes_nothing() -> None:
    """Neither what stands there nor how much of it there is, in values and in gradients. An empty caption is a word."""
    encoder, layer = WordEncoder(["a", "red", "apple"], 4, width=6), WordAttention(8, 6)
    nn.init.ones_(layer.gamma)
    captions, x = ["apple", "a red apple", ""], torch.randn(3, 8, 4, 4)

    def read(x: Tensor, words: Words) -> Tensor:
        with reading(layer, words):
            return layer(x)

    states, mask = encoder.words(captions)
    together = read(x, (states, mask))
    alone = torch.cat([read(x[i : i + 1], encoder.words([caption])) for i, caption in enumerate(captions)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    filled = states.masked_fill(~mask[:, :, None], 1e3).detach().requires_grad_(True)
    y = read(x, (filled, mask))
    torch.testing.assert_close(y, together)
    y.square().sum().backward()
    assert filled.grad is not None
    assert torch.equal(filled.grad[~mask], torch.zeros_like(filled.grad[~mask]))


def test_second_derivatives() -> None:
    layer, x = SelfAttention(8).double(), torch.randn(1, 8, 2, 4, dtype=torch.float64, requires_grad=True)
    nn.init.ones_(layer.gamma)
    assert torch.autograd.gradgradcheck(layer, x)


@pytest.mark.parametrize("make", [resnet.Generator, r3gan.Generator])
def test_networks_have_it_where_they_are_told(make: type[nn.Module]) -> None:
    network = make((3, 32, 32), 6, width=8, attention=[8, 16])
    assert [layer.out.out_channels for layer in network.modules() if isinstance(layer, SelfAttention)] == [32, 16]


@pytest.mark.parametrize("make", [resnet.Trunk, r3gan.Trunk])
def test_a_map_that_there_is_not_is_refused(make: type[nn.Module]) -> None:
    with pytest.raises(UserError, match=r"^`attention` must be sides of the network's maps, .*, got 12$"):
        make((3, 32, 32), width=8, attention=[8, 12])


@pytest.mark.parametrize("make", [resnet.Generator, r3gan.Generator])
def test_a_conditional_generator_reads_words(make: type[nn.Module]) -> None:
    """Other words with the same embedding give another picture, and what attends to them gets a gradient."""
    encoder = WordEncoder(["red", "blue", "apple"], 4, width=6)
    network = make((1, 16, 16), 6, width=8, word_attention=[8], word_dim=6)
    generator, latent = ConditionalGenerator(encoder, network).eval(), torch.randn(2, 2)
    (layer,) = word_layers(network)
    nn.init.ones_(layer.gamma)
    captions = ["red apple", "apple"]
    generator(latent, captions).square().sum().backward()
    assert layer.key.weight.grad.abs().sum() > 0 and layer.value.weight.grad.abs().sum() > 0
    code = torch.cat([latent, encoder(captions)], 1)
    with reading(network, encoder.words(["blue apple", "apple"])):
        other = network(code)
    same = generator(latent, captions)
    assert not torch.equal(other[0], same[0])
    torch.testing.assert_close(other[1], same[1])


def test_words_that_are_not_there_are_refused() -> None:
    network = resnet.Generator((1, 16, 16), 6, width=4, word_attention=[8], word_dim=6)
    with pytest.raises(UserError, match="6 numbers, got one without words: pass condition=words"):
        ConditionalGenerator(ClassEmbedding(3, 4), network)
    with pytest.raises(UserError, match="6 numbers, got 8"):
        ConditionalGenerator(WordEncoder(["a"], 4, width=8), network)
    with pytest.raises(UserError, match=r"^`word_attention` has no words here"):
        network(torch.randn(2, 6))
