"""A published model: what it holds, that it gives the same pictures, and that a stranger's is opened safely."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import ganlab
from ganlab.core.checkpoints import load_module, read_checkpoint
from ganlab.core.density_ratio import as_ratio_game
from ganlab.errors import UserError
from ganlab.export import ExportSettings, checked, export
from ganlab.files.addresses import Address, hub_folder
from ganlab.files.published import CARD_FILE, CONFIG_FILE, MODEL_FILE, SAMPLES_FILE, read_config
from ganlab.files.run_folder import RunFolder, find_checkpoint, find_last
from ganlab.publishing.publish import without_paths
from ganlab.sample import SampleSettings, sample

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def digits(checkpoint: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a published model with two classes, without its discriminator."""
    folder = tmp_path_factory.mktemp("digits") / "model"
    export(checked(ExportSettings(checkpoint=str(checkpoint("recipe=cgan_class")), out=str(folder))))
    return folder


@pytest.fixture
def copied(digits: Path, tmp_path: Path) -> Path:
    """A copy of the folder, to damage."""
    return Path(shutil.copytree(digits, tmp_path / "copy"))


def pictures(file: Path) -> torch.Tensor:
    module = load_module(file)
    latent = module.draw_latent(4, torch.Generator().manual_seed(3))
    return module.sample(latent, torch.tensor([0, 1, 0, 1]) if module.spec.kind == "class" else None)


# The same model ----------------------------------------------------------------------------------------------------


def test_the_same_pictures_by_every_name(checkpoint: Make, digits: Path) -> None:
    own = pictures(checkpoint("recipe=cgan_class"))
    assert find_checkpoint(digits) == find_checkpoint(digits / MODEL_FILE) == digits / MODEL_FILE
    assert torch.equal(pictures(digits / MODEL_FILE), own)
    module = ganlab.load(digits)
    latent = module.draw_latent(4, torch.Generator().manual_seed(3))
    assert torch.equal(module.sample(latent, torch.tensor([0, 1, 0, 1])), own)
    assert (module.images_seen, module.spec.classes) == (64, ("cat", "dog"))


def test_it_holds_the_average_alone(checkpoint: Make, digits: Path) -> None:
    tensors = load_file(digits / MODEL_FILE)
    whole = read_checkpoint(checkpoint("recipe=cgan_class"))["state_dict"]
    average = {name.removeprefix("average."): value for name, value in whole.items() if name.startswith("average.")}
    assert {name.removeprefix("generator.") for name in tensors} == set(average)
    assert all(torch.equal(tensors[f"generator.{name}"], value) for name, value in average.items())


def test_half_precision_halves_the_file_and_states_its_difference(
    checkpoint: Make, digits: Path, tmp_path: Path
) -> None:
    file = checkpoint("recipe=cgan_class")
    export(ExportSettings(checkpoint=str(file), out=str(tmp_path), dtype="float16"))
    stated = read_config(tmp_path)["files"]["safetensors"]["largest_difference_of_7"]
    assert 0 < stated < 0.05
    assert (pictures(tmp_path / MODEL_FILE) - pictures(file)).abs().max() < 2 * stated
    sizes = [(folder / MODEL_FILE).stat().st_size for folder in (tmp_path, digits)]
    assert sizes[0] < 0.6 * sizes[1]


def test_the_discriminator_is_published_on_demand(checkpoint: Make, tmp_path: Path) -> None:
    file = checkpoint("recipe=cgan_class")
    export(ExportSettings(checkpoint=str(file), out=str(tmp_path), discriminator=True))
    module, own = load_module(tmp_path / MODEL_FILE), load_module(file)
    images, classes = torch.rand(3, 3, 32, 32), torch.tensor([0, 1, 1])
    assert torch.equal(module.critic(images, classes), own.critic(images, classes))


@pytest.mark.parametrize("recipe", ["cgan_class", "stackgan", "vanilla"])
def test_what_needs_the_discriminator_says_so(checkpoint: Make, tmp_path: Path, recipe: str) -> None:
    export(ExportSettings(checkpoint=str(checkpoint(f"recipe={recipe}")), out=str(tmp_path)))
    module: Any = load_module(tmp_path / MODEL_FILE)
    condition = {"class": torch.tensor([0]), "text": ["a"]}.get(module.spec.kind)
    with pytest.raises(UserError, match="published without its discriminator"):
        module.critic(torch.rand(1, *module.spec.shape), condition)
    if recipe != "stackgan":
        with pytest.raises(UserError, match="published without its discriminator"):
            as_ratio_game(module, condition)


@pytest.mark.parametrize("recipe", ["vae", "patchgan", "text2shapes", "ring", "infogan"])
def test_every_kind_of_model(checkpoint: Make, tmp_path: Path, recipe: str) -> None:
    file = checkpoint(f"recipe={recipe}")
    export(ExportSettings(checkpoint=str(file), out=str(tmp_path)))
    one, other = load_module(file), load_module(tmp_path / MODEL_FILE)
    latent = one.draw_latent(2, torch.Generator().manual_seed(0))
    image = torch.rand(2, *one.spec.shape)
    condition = {"text": ["a", "cat"], "image": image}.get(one.spec.kind)
    assert torch.equal(one.sample(latent, condition), other.sample(latent, condition))
    assert (tmp_path / CARD_FILE).read_text().startswith("---\nlicense: ")


def test_a_published_model_is_exported_again(digits: Path, tmp_path: Path) -> None:
    """The card keeps where the model came from."""
    export(ExportSettings(checkpoint=str(digits), out=str(tmp_path), faults="none known"))
    before, after = read_config(digits), read_config(tmp_path)
    assert after["from"] == before["from"] and after["faults"] == "none known"
    assert torch.equal(pictures(tmp_path / MODEL_FILE), pictures(digits / MODEL_FILE))


def test_samples_and_a_grid_lie_beside(digits: Path, tmp_path: Path) -> None:
    sheet = Image.open(digits / SAMPLES_FILE)
    assert sheet.width > 8 * 96 and len(np.unique(np.asarray(sheet))) > 50
    sample(SampleSettings(checkpoint=str(digits), label=["dog"], count=2, out=str(tmp_path)))
    assert sorted(file.name for file in tmp_path.glob("*.png")) == ["dog-00000.png", "dog-00001.png", "grid.png"]


# The card ----------------------------------------------------------------------------------------------------------


def test_the_card_has_what_a_reader_asks(checkpoint: Make, tmp_path: Path) -> None:
    """Front matter of the Hub, command, licence of the data, numbers with their protocol and the command for them."""
    numbers = tmp_path / "numbers.json"
    protocol = {"measure": "fid", "extractor": "imagenet", "fakes": 500, "reals": 100, "split": "reference", "seed": 3}
    one = {"value": 12.5, "spread": 0.25, "protocol": {**protocol, "origin": {"init": "/home/me/runs/mine"}}}
    numbers.write_text(json.dumps({"of": "x", "metrics": {"fid_imagenet": one}}))
    words = {"numbers": str(numbers), "machine": "one core", "faults": "Tails are thin.", "address": "zoo:cats"}
    export(ExportSettings(checkpoint=str(checkpoint("recipe=cgan_class")), out=str(tmp_path), **words))
    card, config = (tmp_path / CARD_FILE).read_text(), read_config(tmp_path)
    assert card.startswith("---\nlicense: mit\npipeline_tag: unconditional-image-generation\nlibrary_name: ganlab\n")
    for said in (
        "# cats\n",
        "python -m ganlab.fit recipe=cgan_class",
        "one core",
        "Tails are thin.",
        "| `fid_imagenet` | 12.5 ± 0.25 | fakes 500, reals 100, split reference, extractor imagenet, seed 3 |",
        "python -m ganlab.evaluate checkpoint=zoo:cats metrics=[fid] count=500 reals=100 split=reference "
        "extractor=imagenet seed=3",
        "python -m ganlab.sample checkpoint=zoo:cats label=0 count=16",
        config["from"]["sha256"],
    ):
        assert said in card
    assert config["numbers"]["fid_imagenet"] == {**one, "protocol": {**protocol, "origin": {"init": "mine"}}}


def test_paths_of_the_machine_stay_there() -> None:
    recipe = {"data": {"root": "/home/me/photos/", "size": 64}, "stage_one": "C:\\runs\\0", "model": "a/b", "x": "~/y"}
    assert without_paths(recipe) == {
        "data": {"root": "photos", "size": 64},
        "stage_one": "0",
        "model": "a/b",
        "x": "y",
    }


# Strangers' files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        *({"format": 2}, {"recipe": None}, {"spec": {"shape": [10**9] * 3}}, {"iteration": -1}, {"images_seen": "9"}),
        *({"recipe": {"variant": {"_target_": "os.system"}}}, {"spec": {"shape": [3, 64, 64], "kind": "class"}}),
    ],
)
def test_a_description_is_checked(copied: Path, change: dict[str, Any]) -> None:
    (copied / CONFIG_FILE).write_text(json.dumps(read_config(copied) | change))
    with pytest.raises(UserError, match=r"copy|checkpoint's recipe"):
        load_module(copied / MODEL_FILE)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"[" * 100_000, b"\xff\xfe"])
def test_a_description_that_is_none(copied: Path, content: bytes) -> None:
    (copied / CONFIG_FILE).write_bytes(content)
    with pytest.raises(UserError, match=r"config\.json"):
        load_module(copied / MODEL_FILE)


@pytest.mark.parametrize(
    "content", [b"", b"x" * 100, struct.pack("<Q", 2**62) + b"{}", struct.pack("<Q", 9) + b'{"a":1}  ']
)
def test_weights_that_are_none(copied: Path, content: bytes) -> None:
    (copied / MODEL_FILE).write_bytes(content)
    with pytest.raises(UserError, match="cannot be opened as safetensors"):
        load_module(copied / MODEL_FILE)


def test_weights_that_reach_beyond_the_file(copied: Path) -> None:
    """A header that promises a gigabyte is refused by its length, before anything is allocated."""
    header = json.dumps({"generator.x": {"dtype": "F32", "shape": [2**28], "data_offsets": [0, 2**30]}}).encode()
    (copied / MODEL_FILE).write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 64)
    with pytest.raises(UserError, match="cannot be opened as safetensors"):
        load_module(copied / MODEL_FILE)


def test_weights_of_another_network(copied: Path) -> None:
    tensors = load_file(copied / MODEL_FILE)
    name = next(iter(tensors))
    save_file({**tensors, name: torch.zeros(3)}, copied / MODEL_FILE)
    with pytest.raises(UserError, match="does not fit its recipe"):
        load_module(copied / MODEL_FILE)
    save_file({key: value for key, value in tensors.items() if key != name}, copied / MODEL_FILE)
    with pytest.raises(UserError, match="does not fit its recipe"):
        load_module(copied / MODEL_FILE)


def test_a_discriminator_that_no_file_backs_is_not_made(copied: Path) -> None:
    """Its weights would have terabytes; the recipe alone must not be able to ask for them."""
    config = read_config(copied)
    config["recipe"]["network"]["discriminator"]["width"] = 2**13
    (copied / CONFIG_FILE).write_text(json.dumps(config))
    with pytest.raises(UserError, match="the discriminator that it lacks would have"):
        load_module(copied / MODEL_FILE)


def test_it_is_not_resumed(digits: Path) -> None:
    for name in (str(digits), str(digits / MODEL_FILE), "zoo:mnist"):
        with pytest.raises(UserError, match="published model, without optimizers"):
            find_last(name)


# Addresses ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "zoo:",
        "zoo:../x",
        "zoo:a/b",
        "hf:name",
        "hf:a/b/c",
        "hf:../x",
        "hf:a/b@",
        "hf:a/b@../c d",
        "hf:a/b\n",
        "hf:.a/b",
    ],
)
def test_a_malformed_address_is_one_line(text: str) -> None:
    with pytest.raises(UserError, match="is no address"):
        find_checkpoint(text)


def test_what_is_drawn_from_an_address_lies_here() -> None:
    """Nothing is written into the package, or into the cache of the Hub."""
    assert RunFolder.of("zoo:mnist").samples == Path("runs/zoo/mnist/samples")
    assert RunFolder.of(find_checkpoint("zoo:mnist")).path == Path("runs/zoo/mnist")
    cached = "/cache/hub/models--someone--digits/snapshots/0a1b/model.safetensors"
    assert RunFolder.of(cached).path == Path("runs/hf/someone/digits")
    assert Address.read("hf:someone/digits@v2") == ("hf", "someone/digits", "v2")
    assert Address.read("runs/x") is None


def test_an_unknown_model_of_the_zoo() -> None:
    with pytest.raises(UserError, match="did you mean `zoo:mnist`"):
        find_checkpoint("zoo:mnits")


def test_nothing_is_fetched_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    with pytest.raises(
        UserError, match="hf:nobody/nothing is not in the local cache, and it may not be fetched offline"
    ):
        hub_folder("nobody/nothing")
