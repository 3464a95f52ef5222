"""Small checkpoints to publish."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_module
from tests.core.test_checkpoints import spec_of, written

SMALL = ("network.generator.width=8", "network.discriminator.width=8")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """checkpoint(recipe, *words): the file of a small module whose average is not the generator; one file for each."""
    known: dict[Any, Path] = {}

    def make(*words: str) -> Path:
        if words not in known:
            torch.manual_seed(0)
            recipe = compose(*words, *SMALL)
            module = make_module(recipe, spec_of(recipe))
            with torch.no_grad():
                for value in module.average.parameters():
                    value.add_(0.02 * torch.randn_like(value))
            file = tmp_path_factory.mktemp("run") / "last.ckpt"
            known[words] = written(file, recipe, module.state_dict())
        return known[words]

    return make
