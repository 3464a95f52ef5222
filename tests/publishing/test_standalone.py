"""The how-to page's programs, where ganlab and torch cannot be imported: they draw what the checkpoint draws."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.core.checkpoints import load_module
from ganlab.data.batch import to_uint8
from ganlab.export import ExportSettings, export
from tests.docs.pages import DOCS, blocks

PAGE = DOCS / "howto" / "export.md"
WITHOUT = "import runpy, sys; sys.modules |= {'ganlab': None, 'torch': None}; runpy.run_path('draw.py')"


@pytest.mark.parametrize(
    ("recipe", "condition"),
    [
        ("vanilla", None),
        ("cgan_class", torch.arange(16) % 2),
        ("cgan_text2img", ["a cat", "cat"] * 8),
        ("patchgan", "image"),
    ],
)
def test_the_pages_program_draws_the_checkpoints_pictures(
    checkpoint: Callable[..., Path], tmp_path: Path, recipe: str, condition: Any
) -> None:
    file, module = checkpoint(f"recipe={recipe}"), None
    captions = ["a cat", "cat"] if recipe == "cgan_text2img" else []
    export(ExportSettings(checkpoint=str(file), to=["onnx"], text=captions, out=str(tmp_path / "exported")))
    (program,) = (block.text for block in blocks(PAGE) if block.title == "draw.py")
    (tmp_path / "draw.py").write_text(program)
    module = load_module(file)
    if condition == "image":
        pixels = np.random.default_rng(1).integers(0, 256, module.spec.shape, np.uint8)
        Image.fromarray(pixels.transpose(1, 2, 0)).save(tmp_path / "input.png")
        condition = (torch.from_numpy(pixels) / 127.5 - 1)[None].repeat(16, 1, 1, 1)
    subprocess.run([sys.executable, "-c", WITHOUT], cwd=tmp_path, check=True)
    latent = np.random.default_rng(0).standard_normal((16, module.latent_dim), np.float32)
    own = to_uint8(module.sample(torch.from_numpy(latent), condition)).permute(0, 2, 3, 1).numpy()
    sheet = np.asarray(Image.open(tmp_path / "drawn.png"))
    side = module.spec.shape[-1]
    drawn = sheet.reshape(4, side, 4, side, -1).transpose(0, 2, 1, 3, 4).reshape(own.shape)
    assert np.abs(own.astype(int) - drawn).max() <= 1 and len(np.unique(own)) > 20
