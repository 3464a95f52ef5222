"""A new run starts from a model: what goes over, by which name, what does not, and what is refused."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_module
from ganlab.core.checkpoints import StoredModel, read_model
from ganlab.core.generative import GenerativeModule
from ganlab.core.starting import Start, model_to_start_from, sha256, warm_start
from ganlab.data.base import DataSpec
from ganlab.errors import UserError
from ganlab.networks.attention import SelfAttention, WordAttention
from ganlab.networks.players import places
from ganlab.networks.text import CaptionEncoder

Same = Callable[[Any, Any], bool]
WORDS = ("recipe=cgan_text2img", "condition=words", "condition.dim=4", "latent_dim=3", "perturbation=[]")
CAPTIONS = ("recipe=cgan_text2img", "condition.dim=4", "latent_dim=3", "perturbation=[]")
NARROW = ("network.generator.width=4", "network.discriminator.width=4")
TEXT = DataSpec((3, 16, 16), "text", vocabulary=("a", "red", "cat", "dog"))
PARTS = ("generator", "discriminator", "average")


def made(spec: DataSpec, *words: str, seed: int = 0) -> GenerativeModule:
    """A module with weights drawn from the seed; the average's differ from the generator's."""
    torch.manual_seed(seed)
    module = make_module(compose(*words), spec)
    with torch.no_grad():
        for tensor in (*module.average.parameters(), *module.average.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.5)
    return module


def stored(module: GenerativeModule, *left_out: str) -> StoredModel:
    """The model as if it was read from a file."""
    state = {k: v.clone() for k, v in module.state_dict().items() if not k.startswith(left_out or ("nothing",))}
    return StoredModel(Path(__file__), state, module.spec, module.recipe, 640)


def begin(module: GenerativeModule, model: StoredModel, parts: list[str] | None = None) -> Start:
    start = warm_start(module, model, parts)
    assert start is not None
    return start


def floats(player: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in player.state_dict().items() if tensor.is_floating_point()}


def shapes(start: Start) -> dict[str, tuple[Any, ...]]:
    return {one.place: (one.stored, one.here) for one in start.differences}


# The same settings ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("network", ["light", "dcgan", "resnet", "stylegan2", "fastgan", "r3gan", "projected"])
def test_all_weights_of_the_same_networks_go_over(network: str, same: Same) -> None:
    words = (
        "recipe=vanilla",
        f"network={network}",
        *NARROW,
        "regularizer=[]",
        "latent_dim=4",
        *GROUPS.get(network, ()),
    )
    spec = DataSpec((3, 16, 16))
    model, module = made(spec, *words), made(spec, *words, seed=1)
    start = begin(module, stored(model))
    assert start.differences == []
    assert all(taken == total > 0 for taken, total in start.taken.values())
    for part in PARTS:
        assert same(floats(module.get_submodule(part)), floats(model.get_submodule(part)))
    assert not same(floats(module.generator), floats(module.average))
    assert (start.origin["sha256"], start.origin["images_seen"]) == (sha256(Path(__file__)), 640)


GROUPS = {"r3gan": ("network.generator.group=4", "network.discriminator.group=4")}


def test_layers_around_the_discriminator_change_no_place(same: Same) -> None:
    """Perturbations wrap the trunk, and spectral normalization renames weights. A perturbation's state begins anew."""
    plain = made(TEXT, *WORDS, *NARROW)
    wrapped = made(TEXT, *WORDS[:-1], "perturbation=[adaptive]", "constraint=spectral_norm", *NARROW, seed=1)
    start = begin(wrapped, stored(plain))
    assert start.differences == []
    ours, theirs = places(wrapped.discriminator), places(plain.discriminator)
    found, expected = floats(wrapped.discriminator), floats(plain.discriminator)
    assert theirs.keys() < ours.keys()
    assert all(torch.equal(found[ours[place]], expected[name]) for place, name in theirs.items())
    wrapped.discriminator.trunk.perturbations["adaptive"].p.fill_(0.7)
    other = made(TEXT, *WORDS[:-1], "perturbation=[adaptive]", *NARROW, seed=2)
    begin(other, stored(wrapped))
    assert float(other.discriminator.trunk.perturbations["adaptive"].p) == 0.0


def test_spectral_norms_follow_weights_without_vectors() -> None:
    """Fifteen power iterations bring the largest singular value of each divided weight near 1."""
    module = made(TEXT, *WORDS, "constraint=spectral_norm", *NARROW, seed=1)
    begin(module, stored(made(TEXT, *WORDS, *NARROW)))
    module.eval()
    for layer in module.discriminator.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.shape[0] > 1:
            assert torch.linalg.matrix_norm(layer.weight.flatten(1), 2).item() == pytest.approx(1.0, abs=0.05)


def test_an_unconditional_game_starts_from_a_conditional_one() -> None:
    """Trunk and realism logit go over. The generator's code is smaller, so the layers that read it begin anew."""
    model = made(TEXT, *WORDS, *NARROW)
    module = made(TEXT, "recipe=vanilla", "network=light", *NARROW, "latent_dim=3", seed=1)
    start = begin(module, stored(model))
    trunk, theirs = module.discriminator[0].state_dict(), model.discriminator.trunk.state_dict()
    assert all(torch.equal(trunk[name], theirs[name]) for name in theirs)
    assert torch.equal(module.discriminator[1].linear.weight, model.discriminator.head.realism.linear.weight)
    assert torch.equal(module.generator.to_image.weight, model.generator.network.to_image.weight)
    table = shapes(start)
    assert (
        table["generator.network.start.0.weight"] == ((32, 7), (32, 3))
        or (256, 7) in table["generator.network.start.0.weight"]
    )
    assert table["discriminator.encoder.linear.weight"] == ((4, 128), None)


def test_the_realism_logit_of_each_scale_goes_over() -> None:
    """A trunk of several scales has a head at each in a conditional game, and a logit at each in another."""
    network = ("network=projected", "network.discriminator.side=32", *NARROW)
    model = made(TEXT, *WORDS, *network)
    module = made(TEXT, "recipe=vanilla", *network, "latent_dim=3", seed=1)
    begin(module, stored(model))
    for one, head in zip(module.discriminator[1].scales, model.discriminator.head.scales, strict=True):
        assert torch.equal(one.linear.weight, head.realism.linear.weight)
        assert torch.equal(one.linear.bias, head.realism.linear.bias)


# Words and classes ---------------------------------------------------------------------------------------------------


def test_words_go_over_by_word() -> None:
    model = made(TEXT, *WORDS, *NARROW)
    spec = DataSpec((3, 16, 16), "text", vocabulary=("dog", "blue", "a"))
    module = made(spec, *WORDS, *NARROW, seed=1)
    before = module.generator.encoder.table.own.weight.detach().clone()
    start = begin(module, stored(model))
    ours, theirs = (one.generator.encoder.table for one in (module, model))
    for word in ("dog", "a", ""):
        assert torch.equal(ours.own.weight[ours.rows[word]], theirs.own.weight[theirs.rows[word]])
    assert torch.equal(ours.own.weight[ours.rows["blue"]], before[ours.rows["blue"]])
    assert torch.equal(ours.pieces.weight, theirs.pieces.weight)
    (generator, _) = [one for one in start.differences if one.place.endswith("encoder.table.own.weight")]
    assert generator.done.startswith("4 of 5 rows taken")


def test_captions_of_training_go_over_by_caption_and_word() -> None:
    model = made(replace(TEXT, captions=("a cat", "a red dog")), *CAPTIONS, *NARROW)
    spec = DataSpec((3, 16, 16), "text", captions=("an owl", "a cat"))
    module = made(spec, *CAPTIONS, *NARROW, seed=1)
    before = module.generator.encoder.values.table.weight.detach().clone()
    begin(module, stored(model))
    ours, theirs = (one.generator.encoder for one in (module, model))
    for word in ("a", "cat"):
        found, kept = (one.values.table.weight[one.values.words.index(word)] for one in (ours, theirs))
        assert torch.equal(found, kept)
    owl = ours.values.words.index("owl")
    assert torch.equal(ours.values.table.weight[owl], before[owl])
    torch.testing.assert_close(ours.keys, CaptionEncoder(spec.captions, 4).keys)


def test_classes_go_over_by_name(same: Same) -> None:
    words = ("recipe=cgan_class", "condition.dim=4", "latent_dim=3", *NARROW)
    model = made(DataSpec((3, 16, 16), "class", classes=("cat", "dog", "owl")), *words)
    module = made(DataSpec((3, 16, 16), "class", classes=("owl", "cat")), *words, seed=1)
    assert begin(module, stored(model)).differences == [
        one for one in begin(module, stored(model)).differences if "encoder.table" in one.place
    ]
    for player in ("generator", "discriminator", "average"):
        ours, theirs = (one.get_submodule(player).encoder.table.weight for one in (module, model))
        assert torch.equal(ours, theirs[[2, 0]])
    assert same(floats(module.discriminator.head), floats(model.discriminator.head))


# Parts ---------------------------------------------------------------------------------------------------------------


def test_a_generator_alone(same: Same) -> None:
    model, module = made(TEXT, *WORDS, *NARROW), made(TEXT, *WORDS, *NARROW, seed=1)
    fresh = floats(module.discriminator)
    assert begin(module, stored(model), ["generator"]).origin["parts"] == ["generator"]
    assert same(floats(module.generator), floats(model.generator))
    assert same(floats(module.average), floats(model.generator))
    assert same(floats(module.discriminator), fresh)


def test_the_average_of_a_short_run_leaves_the_old_model(
    trainer: Callable[..., Any], noise: Callable[..., Any]
) -> None:
    """Its half-life begins short, whatever the old model has seen: after few iterations it is near the live weights."""
    module = made(TEXT, *WORDS, *NARROW, "average.half_life=1000000", seed=1)
    module.recipe["origin"] = begin(module, stored(made(TEXT, *WORDS, *NARROW))).origin
    before = torch.cat([p.flatten() for p in module.average.parameters()]).clone()
    data = noise(shape=TEXT.shape, captions=2)
    trainer(12).fit(module, data)
    live, average = (
        torch.cat([p.detach().flatten() for p in one.parameters()]) for one in (module.generator, module.average)
    )
    assert (average - live).norm() < 0.2 * (live - before).norm()


def test_an_average_alone_starts_both(same: Same) -> None:
    model, module = made(TEXT, *WORDS, *NARROW), made(TEXT, *WORDS, *NARROW, seed=1)
    begin(module, stored(model), ["average"])
    assert same(floats(module.generator), floats(model.average))
    assert same(floats(module.average), floats(model.average))


def test_a_published_average_starts_the_generator_too(same: Same) -> None:
    """A file without a discriminator is said to have none; asked for, it is refused."""
    model, module = made(TEXT, *WORDS, *NARROW), made(TEXT, *WORDS, *NARROW, seed=1)
    published = stored(model, "discriminator", "generator", "remembering")
    fresh = floats(module.discriminator)
    assert begin(module, published).remarks == ["the file has no discriminator: a new one begins"]
    assert same(floats(module.generator), floats(model.average))
    assert same(floats(module.discriminator), fresh)
    with pytest.raises(UserError, match=r"`init_parts`: .* has no discriminator"):
        warm_start(module, published, ["discriminator"])


def test_widths_that_differ_come_with_the_settings_that_make_them_equal() -> None:
    """Of players of the same class only: another class may have no such settings."""
    model, module = made(TEXT, *WORDS, *NARROW), made(TEXT, *WORDS, "network.generator.width=8", seed=1)
    module.recipe["network"]["discriminator"]["_target_"] = "ganlab.networks.projected.Trunk"
    (remark,) = begin(module, stored(model), ["generator", "average"]).remarks
    assert remark.startswith("widths are equal at equal resolutions with network.generator.width=4")
    assert "discriminator" not in remark
    assert begin(made(TEXT, *WORDS, *NARROW, seed=1), stored(model)).remarks == []


# Another size --------------------------------------------------------------------------------------------------------


SIZES = {
    "light": ("layers.3", "layers.0"),
    "dcgan": ("layers.2", "layers.0"),
    "resnet": ("blocks.1", "blocks.0"),
    "fastgan": ("blocks.1", "blocks.0"),
    "stylegan2": ("blocks.1", "blocks.0"),
    "r3gan": ("layers.4", "layers.1"),
}
"""A layer of the trunk at 64 pixels, and the layer at the same resolution at 32."""


@pytest.mark.parametrize("network", SIZES)
def test_layers_of_common_resolutions_go_over(network: str) -> None:
    """Channels at a resolution are equal with half the width and twice the limit. Trunks count from the other end."""
    words = ("recipe=vanilla", f"network={network}", "regularizer=[]", "latent_dim=4", *GROUPS.get(network, ()))

    def sized(side: int, width: int, limit: int, seed: int) -> GenerativeModule:
        widths = [f"network.{player}.{k}={v}" for player in PARTS[:2] for k, v in (("width", width), ("limit", limit))]
        return made(DataSpec((3, side, side)), *words, *widths, seed=seed)

    model, module = sized(32, 8, 4, 0), sized(64, 4, 8, 1)
    start = begin(module, stored(model))
    for part in PARTS:
        taken, total = start.taken[part]
        assert total / 3 < taken < total
    here, there = (one.discriminator[0] for one in (module, model))
    ours, theirs = SIZES[network]
    found, expected = here.get_submodule(ours).state_dict(), there.get_submodule(theirs).state_dict()
    same = [torch.equal(found[name], expected[name]) for name in found if found[name].is_floating_point()]
    if network in ("light", "dcgan"):  # the convolution below reads pictures there and maps here
        assert any(one.place.startswith("discriminator.network.layers@16.Conv2d.0") for one in start.differences)
    else:
        assert all(same) and same


ATTENTIVE = ("network.generator.attention=[8]", "network.generator.word_attention=[8]")
"""Attention at a resolution that pictures of 16 and 32 pixels have."""


@pytest.mark.parametrize("network", SIZES)
def test_attention_of_a_common_resolution_goes_over(network: str, same: Same) -> None:
    """Of both players, to words too, in whichever place of the network it is."""
    words = (*WORDS, f"network={network}", "regularizer=[]", *ATTENTIVE, "network.discriminator.attention=[8]")
    half = [f"network.{player}.{name}" for player in PARTS[:2] for name in ("width=2", "limit=8")]
    whole = [f"network.{player}.{name}" for player in PARTS[:2] for name in ("width=4", "limit=4")]
    groups = [word.replace("4", "2") for word in GROUPS.get(network, ())]
    model = made(TEXT, *words, *whole, *groups)
    module = made(replace(TEXT, shape=(3, 32, 32)), *words, *half, *groups, seed=1)
    begin(module, stored(model))
    for part, count in zip(PARTS, (2, 1, 2), strict=True):
        ours, theirs = (
            [layer for layer in one.get_submodule(part).modules() if isinstance(layer, SelfAttention | WordAttention)]
            for one in (module, model)
        )
        assert len(ours) == len(theirs) == count
        for here, there in zip(ours, theirs, strict=True):
            assert type(here) is type(there) and same(floats(here), floats(there))


@pytest.mark.parametrize("network", ["dcgan", "stylegan2", "fastgan"])
def test_attention_is_added_to_a_model_of_the_same_size(network: str) -> None:
    """Every other weight goes over, since its name is the same with and without attention."""
    words = (*WORDS, f"network={network}", *NARROW, "regularizer=[]")
    model = made(TEXT, *words)
    module = made(TEXT, *words, *ATTENTIVE, "network.discriminator.attention=[8]", seed=1)
    start = begin(module, stored(model))
    assert start.differences and all("attention" in one.place for one in start.differences)
    for part, added in zip(PARTS, (10, 5, 10), strict=True):
        taken, total = start.taken[part]
        assert total - taken == added


def test_other_widths_are_named_in_one_line() -> None:
    model = made(DataSpec((3, 16, 16)), "recipe=vanilla", "network=fastgan", *NARROW, "regularizer=[]", "latent_dim=4")
    words = ("recipe=vanilla", "network=fastgan", "regularizer=[]", "latent_dim=4")
    wider = ("network.generator.width=12", "network.discriminator.width=12")
    with pytest.raises(UserError, match=r"`init`: no layer of the .* fits here.*network\.generator\.width=2 network"):
        warm_start(made(DataSpec((3, 32, 32)), *words, *wider), stored(model))


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A checkpoint of a game on captions, as `fit` writes it."""
    module = made(TEXT, *WORDS, *NARROW)
    saved = {"recipe": module.recipe, "spec": TEXT.plain(), "iteration": 5, "images_seen": 160}
    torch.save({"state_dict": module.state_dict(), "ganlab": saved}, tmp_path / "model.ckpt")
    return tmp_path / "model.ckpt"


def test_another_network_is_refused_in_one_line(file: Path) -> None:
    with pytest.raises(UserError, match=r"generator in .* is ganlab\.networks\.resnet\.Generator, .*dcgan\.Generator"):
        model_to_start_from(compose("recipe=vanilla", "network=dcgan", f"init={file}"))
    with pytest.raises(UserError, match=r"leave it out by init_parts=\[generator,average\]"):
        model_to_start_from(compose("recipe=vanilla", "network=resnet", f"init={file}"))
    with pytest.raises(UserError, match=r"the discriminator is another one too: take the same `network`") as error:
        model_to_start_from(compose("recipe=vanilla", "network=fastgan", f"init={file}"))
    assert "init_parts" not in str(error.value), "each part that is left out would bring the other's refusal"
    parts = "init.parts=[generator,average]"
    assert model_to_start_from(compose("recipe=vanilla", "network=resnet", f"init={file}", parts)) is not None


def test_parts_of_nothing_are_refused() -> None:
    with pytest.raises(UserError, match=r"`init_parts` are parts of a model: name it by init=RUN"):
        model_to_start_from(compose("recipe=vanilla", "init_parts=[generator]"))


def test_an_average_is_the_generators_network(file: Path) -> None:
    with pytest.raises(UserError, match=r"the generator in .* is ganlab\.networks\.resnet"):
        model_to_start_from(compose("recipe=vanilla", "network=dcgan", f"init={file}", "init_parts=[average]"))


def test_a_model_that_is_not_there_is_named_by_its_setting(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`init` .*nothing does not exist"):
        model_to_start_from(compose("recipe=vanilla", f"init={tmp_path / 'nothing'}"))


def test_a_strangers_file_runs_nothing(file: Path, tmp_path: Path) -> None:
    """Neither its pickle nor what its recipe names."""

    class Run:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    hostile = tmp_path / "hostile.ckpt"
    content = torch.load(file, weights_only=True)
    torch.save({**content, "more": Run()}, hostile)
    with pytest.raises(UserError):
        read_model(hostile)
    hostile.write_bytes(pickle.dumps(Run()))
    with pytest.raises(UserError):
        model_to_start_from(compose("recipe=vanilla", f"init={hostile}"))
    content["ganlab"]["recipe"]["network"]["generator"]["_target_"] = "os.system"
    torch.save(content, hostile)
    with pytest.raises(UserError, match=r"`network\.generator` in the checkpoint's recipe must be"):
        model_to_start_from(compose("recipe=vanilla", f"init={hostile}"))
    assert not (tmp_path / "ran").exists()


def test_two_models_to_start_from_are_refused(file: Path) -> None:
    words = ("recipe=stackgan", "variant.stage_one_iterations=0", f"variant.stage_one={file}", "condition=words")
    module = make_module(compose(*words), DataSpec((3, 64, 64), "text", vocabulary=("a",), captions=("a",)))
    with pytest.raises(UserError, match="pass one of them"):
        warm_start(module, stored(made(TEXT, *WORDS, *NARROW)))
