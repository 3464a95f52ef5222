"""Attention as a setting of every generator and trunk of blocks: where it sits, what it reads, and how it starts."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_module
from ganlab.data.base import DataSpec
from ganlab.errors import UserError
from ganlab.networks import dcgan, fastgan, r3gan, resnet, stylegan2
from ganlab.networks.architecture import Architecture
from ganlab.networks.attention import SelfAttention, WordAttention, reading, word_layers
from ganlab.networks.blocks import NoNorm, grid, map_sides
from ganlab.networks.conditional import ConditionalGenerator, blended
from ganlab.networks.cost import Cost, costs
from ganlab.networks.text import WordEncoder
from ganlab.sampling.drawing import draw, latents
from tests.components import networks

CODE, WIDTH = 6, 10  # numbers of a code, and of a word's state
Make = Callable[..., nn.Module]
GENERATORS: dict[str, Make] = {
    "dcgan": partial(dcgan.Generator, width=8),
    "resnet": partial(resnet.Generator, width=8),
    "r3gan": partial(r3gan.Generator, width=8, group=4),
    "stylegan2": partial(stylegan2.Generator, width=8, style_dim=8, depth=2),
    "stylegan2-residual": partial(stylegan2.Generator, width=8, style_dim=8, depth=2, residual=True),
    "fastgan": partial(fastgan.Generator, width=8, limit=8),
}
TRUNKS: dict[str, Make] = {
    "dcgan": partial(dcgan.Trunk, width=8, normalization=NoNorm()),
    "resnet": partial(resnet.Trunk, width=8),
    "r3gan": partial(r3gan.Trunk, width=8, group=4),
    "stylegan2": partial(stylegan2.Trunk, width=8, deviation=0),
    "stylegan2-skip": partial(stylegan2.Trunk, width=8, deviation=0, residual=False, dense=False),
    "fastgan": partial(fastgan.Trunk, width=8, limit=8),
}
ANY_ASPECT = ("r3gan", "stylegan2", "fastgan")
NAMED_ALIKE = ("dcgan", "stylegan2", "fastgan")
"""Networks whose layers have the same names in checkpoints with and without attention."""
every_generator = pytest.mark.parametrize("make", GENERATORS.values(), ids=GENERATORS)
every_network = pytest.mark.parametrize(
    ("make", "generates"),
    [*((make, True) for make in GENERATORS.values()), *((make, False) for make in TRUNKS.values())],
    ids=[*(f"{name}-generator" for name in GENERATORS), *(f"{name}-trunk" for name in TRUNKS)],
)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def made(make: Make, generates: bool, shape: tuple[int, ...] = (3, 32, 32), **settings: object) -> nn.Module:
    return make(shape, CODE, **settings) if generates else make(shape, **settings)


def given(generates: bool, shape: tuple[int, ...] = (3, 32, 32), count: int = 2) -> Tensor:
    return torch.randn(count, CODE) if generates else torch.randn(count, *shape)


def attentive(network: nn.Module) -> list[nn.Module]:
    return [layer for layer in network.modules() if isinstance(layer, SelfAttention | WordAttention)]


def awake(network: nn.Module, gamma: float = 1.0) -> nn.Module:
    """The attention as it is after training: its weight starts at 0."""
    for layer in attentive(network):
        nn.init.constant_(layer.gamma, gamma)
    return network


@contextmanager
def seen(network: nn.Module) -> Iterator[dict[str, tuple[Tensor, Tensor]]]:
    """The first input and the output of each module in the pass inside the block."""
    found: dict[str, tuple[Tensor, Tensor]] = {}
    hooks = [
        part.register_forward_hook(lambda part, inputs, made, name=name: found.__setitem__(name, (*inputs[:1], made)))
        for name, part in network.named_modules()
    ]
    yield found
    for hook in hooks:
        hook.remove()


def test_no_network_of_blocks_is_left_out() -> None:
    """Those with attention are those here. Fully connected and frozen networks have no maps of their own."""
    found = {kind for kind in (*networks("code_dim"), *networks()) if "attention" in inspect.signature(kind).parameters}
    assert {make.func for make in (*GENERATORS.values(), *TRUNKS.values())} == found  # type: ignore[attr-defined]
    words = {kind for kind in found if "word_attention" in inspect.signature(kind).parameters}
    assert {make.func for make in GENERATORS.values()} == words  # type: ignore[attr-defined]
    lists = (inspect.signature(kind).parameters["attention"].default for kind in found)
    assert all(default == () for default in lists)


# Where it sits --------------------------------------------------------------------------------------------------------


@every_network
def test_it_sees_the_maps_of_the_sides_that_are_named(make: Make, generates: bool) -> None:
    """A generator's grow and a trunk's shrink; attention to words follows self-attention."""
    words = {"word_attention": [16], "word_dim": WIDTH} if generates else {}
    network, sides = made(make, generates, attention=[8, 16], **words), []
    for layer in attentive(network):
        layer.register_forward_hook(lambda part, inputs, y: sides.append((type(part).__name__, *y.shape[2:])))
    with reading(network, (torch.randn(2, 3, WIDTH), torch.ones(2, 3, dtype=torch.bool))):
        network(given(generates))
    both = [("SelfAttention", 8, 8), ("SelfAttention", 16, 16)]
    assert sides == ([*both, ("WordAttention", 16, 16)] if generates else both[::-1])


@pytest.mark.parametrize(("shape", "map_"), [((3, 64, 96), (8, 12)), ((1, 56, 48), (14, 12)), ((2, 40, 20), (20, 10))])
@pytest.mark.parametrize(("kinds", "generates"), [(GENERATORS, True), (TRUNKS, False)], ids=["generators", "trunks"])
@pytest.mark.parametrize("name", ANY_ASPECT)
def test_a_side_is_the_shorter_one(
    name: str, kinds: dict[str, Make], generates: bool, shape: tuple[int, ...], map_: tuple[int, int]
) -> None:
    network = made(kinds[name], generates, shape, attention=[min(map_)])
    (layer,) = attentive(network)
    with seen(layer) as found:
        network(given(generates, shape))
    assert found[""][1].shape[2:] == map_


@every_network
def test_every_side_can_be_named_and_no_other(make: Make, generates: bool) -> None:
    """The message lists those that there are. All of them at once work."""
    with pytest.raises(
        UserError, match=r"^`attention` must be sides of the network's maps, ([\d, ]+), got 12$"
    ) as told:
        made(make, generates, attention=[8, 12])
    sides = [int(side) for side in str(told.value).partition("maps, ")[2].partition(", got")[0].split(", ")]
    assert {8, 16} <= set(sides) <= set(map_sides(*grid((3, 32, 32))))
    network = awake(made(make, generates, attention=sides))
    assert len(attentive(network)) == len(sides) and network(given(generates)).isfinite().all()


@every_generator
def test_a_side_without_words_is_refused_in_the_same_line(make: Make) -> None:
    with pytest.raises(UserError, match=r"^`word_attention` must be sides of the network's maps, [\d, ]+, got 9$"):
        make((3, 32, 32), CODE, word_attention=[9])


@pytest.mark.parametrize("residual", [False, True])
def test_a_picture_of_stylegan2_is_made_from_the_map_after_attention(residual: bool) -> None:
    """At each resolution the next block and the layer to the picture see what attention returns."""
    sides = [4, 8, 16, 32]
    network = awake(stylegan2.Generator((3, 32, 32), CODE, 8, style_dim=8, residual=residual, attention=sides))
    with seen(network) as found:
        network(given(True))
    blocks = ["start", *(f"blocks.{i}" for i in range(3))]
    for level, block in enumerate(blocks):
        before, after = found[f"attention.{level}"]
        assert before is found[block][1] and not torch.equal(before, after)
        if level < 3:
            assert found[blocks[level + 1]][0] is after
        if not residual:
            assert found[f"to_images.{level}"][0] is after
    assert found[f"to_images.{0 if residual else 3}"][0] is found["attention.3"][1]


def test_input_skips_are_added_before_attention() -> None:
    """What attention sees is the block's map plus the rectified map of the picture; the next layer sees its result."""
    network = awake(TRUNKS["stylegan2-skip"]((3, 32, 32), attention=[16, 8, 4]))
    with seen(network) as found, torch.no_grad():
        network(given(False))
    for level in range(3):
        picture = stylegan2.rectify(found[f"from_images.{level + 1}"][1])
        before, after = found[f"attention.{level}"]
        assert torch.equal(before, found[f"blocks.{level}"][1] + picture)
        assert found["epilogue" if level == 2 else f"blocks.{level + 1}"][0] is after


@pytest.mark.parametrize("generates", [True, False])
def test_excitations_of_fastgan_read_maps_after_attention(generates: bool) -> None:
    """At 128 pixels two maps excite others: attention follows the excitation, and the coarse maps have had theirs."""
    kind, shape = (GENERATORS if generates else TRUNKS)["fastgan"], (1, 128, 128)
    sides = [4, 8, 64] if generates else [64, 8, 4]
    network, coarse = awake(made(kind, generates, shape, attention=sides)), []
    for excitation in network.excitations:
        excitation.register_forward_hook(lambda part, inputs, y: coarse.append((inputs[1], y)))
    with seen(network) as found:
        network(given(generates, shape))
    assert len(coarse) == 2
    if generates:
        assert all(coarse[i][0] is found[f"attention.{i}"][1] for i in range(2))
        assert found["attention.4"][0] is coarse[0][1]
    else:
        assert coarse[1][0] is found["attention.0"][1]
        assert all(found[f"attention.{i + 3}"][0] is coarse[i][1] for i in range(2))
        assert not torch.equal(*found["attention.3"]) and not torch.equal(*found["attention.4"])


def test_weights_of_dcgan_are_drawn_by_its_rule_and_those_of_attention_by_their_own() -> None:
    """N(0, 0.02) is that of the convolutions: a projection of 256 maps starts with a deviation of 1 / 16."""
    trunk = dcgan.Trunk((3, 16, 16), width=256, limit=1, attention=[8])
    (layer,) = attentive(trunk)
    assert layer.value.weight.std().item() == pytest.approx(1 / 16, rel=0.05)
    assert trunk.layers[-3].weight.std().item() == pytest.approx(0.02, rel=0.05)


# How it starts, and what it reads -------------------------------------------------------------------------------------


@every_network
def test_a_network_starts_as_without_it_and_then_differs(make: Make, generates: bool) -> None:
    """To the bit at the start. Removing the layers from the pass gives the network without attention."""
    network, x = made(make, generates, attention=[8, 16]).eval(), given(generates)
    without = copy.deepcopy(network)
    for layer in attentive(without):
        layer.forward = lambda x: x  # type: ignore[method-assign]
    assert torch.equal(network(x), without(x))
    awake(network)
    assert (network(x) - without(x)).abs().max() > 1e-5


@pytest.mark.parametrize("name", [name for name in GENERATORS if name.startswith(NAMED_ALIKE)])
def test_a_generator_takes_the_weights_of_one_without_it(name: str) -> None:
    """All names of the plain network are there, those of attention come to them, and the pictures are the same."""
    settings = {"attention": [8], "word_attention": [16], "word_dim": WIDTH}
    plain, network = GENERATORS[name]((3, 32, 32), CODE), GENERATORS[name]((3, 32, 32), CODE, **settings)
    told = network.load_state_dict(plain.state_dict(), strict=False)
    assert not told.unexpected_keys and len(told.missing_keys) == 10
    assert all("attention" in key for key in told.missing_keys)
    code = given(True)
    with reading(network, (torch.randn(2, 3, WIDTH), torch.ones(2, 3, dtype=torch.bool))):
        assert torch.equal(network.eval()(code), plain.eval()(code))


@pytest.mark.parametrize("name", [name for name in TRUNKS if name.startswith(NAMED_ALIKE)])
def test_a_trunk_takes_the_weights_of_one_without_it(name: str) -> None:
    plain, network = TRUNKS[name]((3, 32, 32)), TRUNKS[name]((3, 32, 32), attention=[8])
    told = network.load_state_dict(plain.state_dict(), strict=False)
    assert not told.unexpected_keys and len(told.missing_keys) == 5
    images = given(False)
    assert torch.equal(network.eval()(images), plain.eval()(images))


CAPTIONS = ["apple", "a red apple", "", "red red red apple a"]


def listener(make: Make, **settings: object) -> ConditionalGenerator:
    """A generator in evaluation mode with attention to words of a weight that makes a difference."""
    encoder = WordEncoder(["a", "red", "blue", "apple"], 4, width=WIDTH)
    network = make((3, 16, 16), CODE, word_attention=[8], word_dim=WIDTH, **settings)
    warm(network)
    return ConditionalGenerator(encoder, awake(network)).eval()


def warm(network: nn.Module) -> None:
    """Give batch normalization the moments of a batch, so that maps keep their deviation in evaluation mode."""
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = 1.0
    with reading(network, (torch.zeros(16, 1, WIDTH), torch.ones(16, 1, dtype=torch.bool))):
        network(torch.randn(16, CODE))


@every_generator
def test_captions_together_are_captions_alone(make: Make) -> None:
    """Against a loop over captions, which have no padding alone. What stands in the padding changes nothing."""
    generator, latent = listener(make), torch.randn(len(CAPTIONS), 2)
    with torch.no_grad():
        together = generator(latent, CAPTIONS)
        alone = torch.cat([generator(latent[i : i + 1], CAPTIONS[i : i + 1]) for i in range(len(CAPTIONS))])
        torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
        states, mask = generator.encoder.words(CAPTIONS)
        assert not mask.all()
        code = generator.code(latent, CAPTIONS)
        with reading(generator.network, (states.masked_fill(~mask[:, :, None], 1e3), mask)):
            torch.testing.assert_close(generator.network(code), together)
        with reading(generator.network, (states, torch.ones_like(mask))):  # the loop can fail: unmasked, padding counts
            assert (generator.network(code) - together).abs().max() > 1e-4


@every_generator
def test_other_words_give_another_picture_with_the_same_code(make: Make) -> None:
    """Only of the caption whose words change; keys and values learn."""
    generator, latent = listener(make), torch.randn(2, 2)
    captions = ["red apple", "apple"]
    picture = generator(latent, captions)
    (picture * torch.randn_like(picture)).sum().backward()
    (layer,) = word_layers(generator)
    assert layer.key.weight.grad.abs().sum() > 0 and layer.value.weight.grad.abs().sum() > 0
    with reading(generator.network, generator.encoder.words(["blue apple", "apple"])):
        other = generator.network(generator.code(latent, captions))
    assert (other[0] - picture[0]).abs().max() > 1e-4
    torch.testing.assert_close(other[1], picture[1])


class Between(nn.Module):
    """The mean of attention to two captions' words, written out."""

    def __init__(self, layer: WordAttention, *both: tuple[Tensor, Tensor]) -> None:
        super().__init__()
        self.layer, self.both = layer, both

    def forward(self, x: Tensor) -> Tensor:
        results = []
        for words in self.both:
            self.layer.words = words
            results.append(self.layer(x))
        self.layer.words = None
        return (results[0] + results[1]) / 2


@every_generator
def test_half_the_way_between_captions(make: Make) -> None:
    """The mean embedding, and at each map the mean of what attention to either caption's words gives."""
    generator, latent = listener(make), torch.randn(2, 2)
    own, other = ["a red apple", "apple"], ["blue", "a red red apple"]
    with torch.no_grad():
        for share, captions in ((0.0, own), (1.0, other)):
            with blended(generator, other, share):
                torch.testing.assert_close(generator(latent, own), generator(latent, captions))
        with blended(generator, other, 0.5):
            found = generator(latent, own)
        assert all(not layer._forward_hooks for layer in word_layers(generator))
        code = (generator.code(latent, own) + generator.code(latent, other)) / 2
        both = [generator.encoder.words(captions) for captions in (own, other)]
        network = copy.deepcopy(generator.network)
        for name, layer in [*network.named_modules()]:
            if isinstance(layer, WordAttention):
                network.set_submodule(name, Between(layer, *both))
        torch.testing.assert_close(found, network(code), rtol=1e-4, atol=1e-5)
        with reading(generator.network, both[0]):  # words that are not blended give another picture
            assert (generator.network(code) - found).abs().max() > 1e-4


def test_mixed_styles_keep_the_words() -> None:
    """In training with two styles a sample, a change of one caption's words changes its own picture only."""
    network = awake(stylegan2.Generator((1, 16, 16), CODE, 8, style_dim=8, mixing=1.0, word_attention=[8], word_dim=10))
    code, states, mask = given(True), torch.randn(2, 3, WIDTH), torch.ones(2, 3, dtype=torch.bool)
    pictures = []
    for words in (states, torch.cat([states[:1] + 1, states[1:]])):
        torch.manual_seed(1)
        with reading(network, (words, mask)):
            pictures.append(network(code))
    assert (pictures[0][0] - pictures[1][0]).abs().max() > 1e-4
    torch.testing.assert_close(pictures[0][1], pictures[1][1])


# What it costs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["dcgan", "resnet", "r3gan", "stylegan2", "fastgan"])
def test_the_cost_of_attention_by_hand(name: str) -> None:
    """C channels at 8 x 8: queries and keys have C / 8, values C / 2, 16 positions are attended to, and one word."""

    def cost(**settings: object) -> dict[str, Cost]:
        words = {"word_attention": [8], "word_dim": WIDTH} if settings else {}
        generator = partial(GENERATORS[name], **settings, **words)
        return costs(Architecture(generator, partial(TRUNKS[name], **settings)), (3, 32, 32), CODE)

    with_, plain = cost(attention=[8]), cost()
    channels = 16 if name == "dcgan" else 32
    narrow, half, places = channels // 8, channels // 2, 64
    own = 2 * channels * narrow + 2 * channels * half + 1
    work = 2 * places * (own - 1 + places // 4 * (narrow + half))
    assert with_["discriminator"].parameters - plain["discriminator"].parameters == own
    assert with_["discriminator"].flop - plain["discriminator"].flop == work
    to_words = channels * (narrow + half) + WIDTH * (narrow + half) + 1
    reads = 2 * places * (channels + 1) * (narrow + half) + 2 * WIDTH * (narrow + half)
    assert with_["generator"].parameters - plain["generator"].parameters == own + to_words
    assert with_["generator"].flop - plain["generator"].flop == work + reads


# Games ----------------------------------------------------------------------------------------------------------------

SPEC = DataSpec((3, 16, 16), "text", vocabulary=("thing", "0", "1"), captions=("thing 0", "thing 1"))
GAME = (
    *("recipe=cgan_text2img", "condition=words", "latent_dim=4", "batch_size=4", "average.ramp=1"),
    *("network.generator.width=8", "network.discriminator.width=8", "network.discriminator.attention=[8]"),
    *("network.generator.attention=[8]", "network.generator.word_attention=[8]", "network.generator.word_dim=128"),
)
GAMES = {
    "dcgan": ("network=dcgan", "regularizer=[]"),
    "light": ("network=light",),
    "resnet": ("network=resnet",),
    "r3gan": ("network=r3gan", "network.generator.group=4", "network.discriminator.group=4"),
    "stylegan2": (
        *("network=stylegan2", "network.generator.style_dim=8", "network.generator.mixing=0.9"),
        "generator_regularizer=path_length",
    ),
    "stylegan2-residual": (
        *("network=stylegan2", "network.generator.style_dim=8", "network.generator.residual=true"),
        "network.discriminator.residual=false",
    ),
    "fastgan": ("network=fastgan", "regularizer=[reconstruction]"),
}


@pytest.mark.parametrize("game", GAMES)
def test_a_composed_game_trains_attention_and_samples(game: str, trainer: Callable, noise: Callable) -> None:
    """Two iterations: the weight of each attention moves first, then its projections. Words reach the samples."""
    module = make_module(compose(*GAME, *GAMES[game], "penalty_every=1"), SPEC)
    before = {name: copy.deepcopy(layer) for name, layer in module.named_modules() if layer in attentive(module)}
    trainer(2).fit(module, datamodule=noise(shape=(3, 16, 16), captions=2, count=8))
    assert all(value.isfinite().all() for value in module.state_dict().values() if value.is_floating_point())
    players = [name for name in before if not name.startswith("average")]
    assert len(players) == 3 and len(before) == 5
    for name in players:
        old, new = before[name].state_dict(), module.get_submodule(name).state_dict()
        assert all(not torch.equal(old[key], new[key]) for key in old), name
    captions = ["thing 0", "1", "thing 1 1 0"]
    (images,) = draw(module, captions, latents(module, [0, 1, 2]))
    assert images.shape == (3, 3, 16, 16) and images.dtype == torch.uint8
    assert len(word_layers(awake(module.average, 5.0))) == 1
    (others,) = draw(module, captions, latents(module, [0, 1, 2]))
    assert not torch.equal(images, others)


@pytest.mark.parametrize("game", [name for name in GAMES if name != "light"])
def test_words_of_another_size_are_refused_before_training(game: str) -> None:
    with pytest.raises(UserError, match=r"^`word_attention` needs a condition whose words have 7 numbers, got 128"):
        make_module(compose(*GAME, *GAMES[game], "network.generator.word_dim=7"), SPEC)
    with pytest.raises(UserError, match=r"^`word_attention` must be sides of the network's maps, .*, got 5$"):
        make_module(compose(*GAME, *GAMES[game], "network.generator.word_attention=[5]"), SPEC)
