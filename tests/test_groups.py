"""Every file of every group: composed, built, and where points will do, trained for an iteration."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from ganlab.config.catalog import catalog
from ganlab.config.preflight import check_parts
from ganlab.config.recipe import compose
from ganlab.core.assembly import make_module
from ganlab.data.base import DataSpec
from ganlab.runs.training import train

GROUPS = catalog().groups()
POINTS = ("objective", "regularizer", "constraint", "optimizer", "mixture", "logger")
PICTURES = {
    **dict.fromkeys(("network", "head", "condition", "objective", "optimizer", "perturbation"), "cgan_text2img"),
    "regularizer": "stacked_mnist",
    "normalization": "patchgan",
}
ELSEWHERE = {"network=mlp": "ring", "network=pix2pix": "patchgan", "network=pix2pix_light": "patchgan"}
ELSEWHERE |= {"condition=classes": "cgan_class"}
"""Recipes that take what the group's usual one cannot."""
BESIDE = {"regularizer=reconstruction": ["network=fastgan"], "network=dcgan": ["regularizer=[]"]}
"""What a choice needs beside it; points have no such thing."""
QUIET = tuple(f"callbacks.{name}=null" for name in ("pictures", "quality", "collapse", "game"))
FACTS = {
    "ring": DataSpec((2,)),
    "stacked_mnist": DataSpec((3, 32, 32)),
    "patchgan": DataSpec((3, 64, 64), "image"),
    "cgan_class": DataSpec((3, 32, 32), "class", classes=("cat", "dog")),
    "cgan_text2img": DataSpec((3, 32, 32), "text", vocabulary=("a", "red", "apple"), captions=("a red apple",)),
}


def chosen(groups: list[str] | tuple[str, ...]) -> list[str]:
    return [f"{group}={choice}" for group in groups for choice in GROUPS[group] if choice != "wandb"]


@pytest.mark.parametrize("choice", [one for one in chosen(POINTS) if one not in BESIDE])
def test_plays_on_points(choice: str, tmp_path: Path) -> None:
    words = ("trainer.max_steps=1", "batch_size=8", "data.count=32", "data.held_out_count=32")
    train(compose("recipe=ring", choice, *words, *QUIET, f"run_dir={tmp_path}"))


@pytest.mark.parametrize("choice", chosen(list(PICTURES)))
def test_is_built_for_pictures(choice: str) -> None:
    name = ELSEWHERE.get(choice, PICTURES[choice.partition("=")[0]])
    recipe = compose(f"recipe={name}", choice, *BESIDE.get(choice, []))
    check_parts(recipe)
    with torch.device("meta"):
        module = make_module(recipe, FACTS[name])
    assert {"generator", "discriminator"} <= set(module.sides)


@pytest.mark.parametrize("choice", chosen(["data"]))
def test_data_compose_with_a_recipe(choice: str) -> None:
    name = "patchgan" if choice in ("data=lines", "data=pairs") else "vanilla"
    needed = ("data=folder", "data=pairs", "data=zip", "data=shards")
    root = ["data.root=nowhere"] if choice in needed else []
    file = ["data.images=nothing.npz"] if choice in ("data=arrays", "data=points") else []
    check_parts(compose(f"recipe={name}", choice, *root, *file))


@pytest.mark.parametrize("name", ["ring", "wgan_gp", "hinge", "r3gan", "wgan", "vae", "stackgan", "vaegan", "patchgan"])
@pytest.mark.parametrize("optimizer", ["sgd", "rmsprop"])
def test_optimizers_keep_nothing_of_another(name: str, optimizer: str) -> None:
    settings = compose(f"recipe={name}", f"optimizer={optimizer}")["generator"]["optimizer"]
    assert not {"betas", "fused"} & settings.keys()
