"""Models for the latents: every recipe with random weights, and one that was trained for a moment."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch

from ganlab.config.building import locate
from ganlab.config.catalog import Catalog, recipe_folder
from ganlab.config.recipe import compose
from ganlab.core.assembly import make_module
from ganlab.core.checkpoints import load_module
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import DataSpec
from ganlab.data.batch import Condition
from ganlab.files.run_folder import find_checkpoint
from ganlab.runs.training import train

RECIPES = sorted(Catalog((recipe_folder(),)).recipes())
QUIET = tuple(f"callbacks.{name}=null" for name in ("quality", "collapse", "pictures", "game"))
SMALL = ("network.generator.width=8", "network.discriminator.width=8")


@cache
def random_module(*words: str) -> GenerativeModule:
    """A recipe's model with random weights, for small pictures of the kind that the recipe has."""
    recipe = compose(*words, *SMALL)
    torch.manual_seed(0)
    module = make_module(recipe, spec_of(recipe)).eval()
    for part in module.average.modules():
        if isinstance(part, torch.nn.ConvTranspose2d) and float(part.weight.std()) < 0.05:
            part.weight.mul_(5)  # DCGAN starts so small that all its pictures are grey
    return module


def spec_of(recipe: dict) -> DataSpec:
    """What the recipe's data could be, at 16 pixels (64 for two stages), or points."""
    if recipe["data"]["_target_"].endswith(".ToyData"):
        return DataSpec((2,))
    variant = locate(recipe["variant"]["_target_"])
    kind = variant.reads or (locate(recipe["condition"]["_target_"]).kind if recipe.get("condition") else "none")
    side = 64 if variant.__name__ == "StackGAN" else 16
    words = ("a", "red", "apple", "blue", "car")
    captions = ("a red apple", "a blue car")
    return DataSpec((3, side, side), kind, classes=("dog", "cat", "cow"), vocabulary=words, captions=captions)


@pytest.fixture
def condition_of() -> Callable[[GenerativeModule, int], Condition]:
    """condition_of(module, count): so many different conditions."""

    def make(module: GenerativeModule, count: int) -> Condition:
        random = torch.Generator().manual_seed(0)
        pictures = torch.randint(0, 256, (count, *module.spec.shape), generator=random).to(torch.uint8)
        said = ["a red apple", "a blue car", "a red car"][:count]
        kinds: dict[str, Condition] = {"text": said, "class": torch.arange(count), "image": pictures}
        return kinds.get(module.spec.kind)

    return make


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that learned emoji at 16 pixels for a moment: pictures differ, and none is a good one."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    words = ("recipe=vanilla", "data=emoji", "data.size=16", "network=resnet", "latent_dim=32", "batch_size=32")
    return train(compose(*words, *SMALL, *QUIET, "trainer.max_steps=150", f"run_dir={folder}", "average.half_life=500"))


@pytest.fixture(scope="session")
def trained(run: Path) -> GenerativeModule:
    """The model of that run."""
    return load_module(find_checkpoint(run))
