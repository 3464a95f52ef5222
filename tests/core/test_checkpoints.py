"""Opening somebody else's checkpoint: what it may hold, and that nothing larger than the file is allocated."""

from __future__ import annotations

import pickle
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from ganlab.config.building import locate
from ganlab.config.catalog import catalog
from ganlab.config.recipe import Recipe, compose
from ganlab.core.assembly import make_module
from ganlab.core.checkpoints import check_fit, load_module, read_checkpoint
from ganlab.data.base import DataSpec
from ganlab.errors import UserError
from ganlab.files.archive import check_archive

SPECS = {
    "none": DataSpec((3, 32, 32)),
    "class": DataSpec((3, 32, 32), "class", ("cat", "dog")),
    "text": DataSpec(
        (3, 32, 32), "text", vocabulary=("a", "cat"), captions=("a cat", "cat"), shared={"an animal": [0, 1]}
    ),
    "image": DataSpec((3, 64, 64), "image"),
    "points": DataSpec((2,)),
}


def spec_of(recipe: Recipe) -> DataSpec:
    if "mixture" in recipe["data"]:
        return SPECS["points"]
    condition = recipe.get("condition")
    kind = locate(condition["_target_"]).kind if condition else locate(recipe["variant"]["_target_"]).reads
    spec = SPECS[kind or "none"]
    return replace(spec, shape=(3, 64, 64)) if recipe["recipe"] == "stackgan" else spec


def written(path: Path, recipe: Recipe, state: dict[str, Any], **changes: Any) -> Path:
    saved = {"recipe": recipe, "spec": spec_of(recipe).plain(), "iteration": 1, "images_seen": 64}
    torch.save({"ganlab": saved | changes, "state_dict": state}, path)
    return path


@pytest.fixture(scope="module")
def ring() -> Recipe:
    return compose("recipe=ring")


@pytest.fixture(scope="module")
def weights(ring: Recipe) -> dict[str, Any]:
    return make_module(ring, SPECS["points"]).state_dict()


@pytest.mark.parametrize("name", sorted(catalog().recipes()))
def test_a_model_made_without_memory_has_the_shapes_of_the_real_one(name: str, tmp_path: Path) -> None:
    recipe = compose(f"recipe={name}")
    state = make_module(recipe, spec_of(recipe)).state_dict()
    file = written(tmp_path / "x.ckpt", recipe, state)
    loaded = load_module(file).state_dict()
    assert all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.parametrize(
    "setting",
    [
        {"width": 10**9},
        {"depth": 10**9},
        {"width": 129},
        {"depth": 4},
    ],
)
def test_a_network_that_the_weights_do_not_back_is_never_allocated(
    ring: Recipe, weights: dict[str, Any], tmp_path: Path, setting: dict[str, int]
) -> None:
    network = {**ring["network"], "generator": {**ring["network"]["generator"], **setting}}
    file = written(tmp_path / "x.ckpt", {**ring, "network": network}, weights)
    with pytest.raises(UserError, match=r"does not fit its recipe|more than \d+ tensors|at most"):
        load_module(file)


def test_the_line_says_which_tensor_differs() -> None:
    with pytest.raises(UserError, match=r"x does not fit its recipe: weight is \(2, 2\) in the file, \(3, 2\) here"):
        check_fit(nn.Linear(2, 3), nn.Linear(2, 2).state_dict(), "x")
    with pytest.raises(UserError, match=r"bias is \(3,\) in the file, nothing here"):
        check_fit(nn.Linear(2, 3, bias=False), nn.Linear(2, 3).state_dict(), "x")


def test_a_tensor_that_only_looks_large_is_refused(ring: Recipe, weights: dict[str, Any], tmp_path: Path) -> None:
    one = torch.zeros(1_000)
    for name, state in {
        "repeated": {**weights, "x": torch.zeros(1).expand(10**6, 10**6)},
        "shared": {**weights, "x": one, "y": one},
        "sparse": {**weights, "x": torch.zeros(3).to_sparse()},
    }.items():
        file = written(tmp_path / f"{name}.ckpt", ring, state)
        with pytest.raises(UserError):
            read_checkpoint(file)


@pytest.mark.parametrize(
    "changes",
    [
        *({"iteration": -1}, {"iteration": "3"}, {"images_seen": None}, {"images_seen": 2**60}, {"iteration": True}),
        *({"spec": None}, {"spec": {}}, {"spec": {"shape": [10**9] * 3}}, {"spec": {"shape": [2], "extra": 1}}),
        *({"spec": {"shape": [2], "kind": "sound"}}, {"spec": {"shape": [2], "classes": [1]}}),
        *({"spec": {"shape": [3, 3]}}, {"spec": {"shape": "abc"}}, {"spec": {"shape": [2.0]}}),
        *(
            {"spec": {"shape": [2], "captions": ["a"], "shared": said}}
            for said in (["b"], {"b": [1]}, {"b": []}, {1: [0]})
        ),
    ],
)
def test_counters_and_descriptions_are_checked(
    ring: Recipe, weights: dict[str, Any], tmp_path: Path, changes: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match=r"x\.ckpt"):
        read_checkpoint(written(tmp_path / "x.ckpt", ring, weights, **changes))


# The archive ---------------------------------------------------------------------------------------------------------


def test_an_archive_that_unpacks_to_more_than_its_size(tmp_path: Path) -> None:
    torch.save({"ganlab": torch.zeros(10**6)}, tmp_path / "whole.ckpt")
    check_archive(tmp_path / "whole.ckpt")
    with (
        zipfile.ZipFile(tmp_path / "whole.ckpt") as source,
        zipfile.ZipFile(tmp_path / "small.ckpt", "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.namelist():
            target.writestr(entry, source.read(entry))
    with pytest.raises(UserError, match="compressed"):
        check_archive(tmp_path / "small.ckpt")


class Large:
    def __reduce__(self) -> tuple[Any, ...]:
        return bytearray, (10**12,)


@pytest.mark.parametrize("value", [Large(), print, Path("x")])
def test_a_pickle_of_more_than_plain_values_and_tensors(tmp_path: Path, value: Any) -> None:
    torch.save({"ganlab": value}, tmp_path / "x.ckpt")
    with pytest.raises(UserError, match="pickle names"):
        check_archive(tmp_path / "x.ckpt")


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + b"\0" * 18, b"x" * 100, pickle.dumps({"a": 1})])
def test_what_is_no_archive(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=r"x\.ckpt is no checkpoint"):
        read_checkpoint(tmp_path / "x.ckpt")
    with pytest.raises(UserError, match="regular file"):
        check_archive(Path("/dev/zero"))
