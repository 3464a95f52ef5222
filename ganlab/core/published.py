"""Published models: the averaged generator's weights in safetensors, and beside them what builds it, in JSON.

    folder/{model.safetensors, config.json, README.md, samples.png}

`model.safetensors` has the average's tensors as `generator.*`; the discriminator's as `discriminator.*` if it is
published too. Floating tensors are float32 or float16. Reading gives the same content as a checkpoint has, and
`checkpoints.read_checkpoint` checks it in the same way. The other two files are never read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError
from ganlab.files.durable import atomic_write
from ganlab.files.published import CONFIG_FILE, FORMAT, MODEL_FILE, is_regular, read_config
from ganlab.networks.conditioning import ConditionEncoder

DTYPES = {"float32": torch.float32, "float16": torch.float16}
LEFT_OUT = ("discriminator.", "remembering.")
"""The starts of the names of tensors that a model without its discriminator lacks."""


class Absent(nn.Module):
    """The place of a discriminator that was not published. Raise `UserError` if anything of it is used."""

    def forward(self, *_: Any) -> Any:
        """Raise `UserError`."""
        raise UserError(
            "this model was published without its discriminator, which is needed here: leave `method` out, or publish "
            "it with ganlab.export discriminator=true"
        )

    def __getitem__(self, name: Any) -> Any:
        """Raise `UserError`."""
        return self.forward()

    def __getattr__(self, name: str) -> Any:
        """Raise `UserError` for a part of the discriminator."""
        if name.startswith("_"):
            raise AttributeError(name)
        return self.forward()


# Writing ----------------------------------------------------------------------------------------------------------


def weights(module: GenerativeModule, dtype: str = "float32", discriminator: bool = False) -> dict[str, Tensor]:
    """Return the tensors to publish by name. dtype: "float32" or "float16", for the parameters of networks.

    Buffers keep their dtype, and so does what reads the generator's conditions: a rounded embedding changes every layer
    that it modulates.
    """
    state = module.state_dict()
    chosen = {f"generator.{name}": value for name, value in module.average.state_dict().items()}
    if discriminator:
        chosen |= {name: value for name, value in state.items() if not name.startswith(("generator.", "average."))}
    readers = tuple(
        f"generator.{name}." for name, part in module.average.named_modules() if isinstance(part, ConditionEncoder)
    )
    kept = {name for name, _ in module.named_buffers()}
    kept |= {f"generator.{name}" for name, _ in module.average.named_buffers()}
    kept |= {name for name in chosen if name.startswith(readers)}
    return {name: _stored(value, None if name in kept else DTYPES[dtype]) for name, value in chosen.items()}


def _stored(value: Tensor, dtype: torch.dtype | None) -> Tensor:
    """Return a copy on the CPU with the elements in the usual order, of this dtype or its own."""
    return value.detach().to("cpu", dtype).clone(memory_format=torch.contiguous_format)


def write_weights(folder: Path, tensors: Mapping[str, Tensor]) -> Path:
    """Write `model.safetensors`, and return its path."""
    return atomic_write(folder / MODEL_FILE, save(dict(tensors), {"format": "pt"}))


def write_config(folder: Path, config: Mapping[str, Any]) -> Path:
    """Write `config.json`, and return its path. It must have `recipe`, `spec`, `iteration` and `images_seen`."""
    return atomic_write(folder / CONFIG_FILE, json.dumps({"format": FORMAT, **config}, indent=2) + "\n")


# Reading ----------------------------------------------------------------------------------------------------------


def read_published(file: Path) -> dict[str, Any]:
    """Return the content of a published model in the form of a checkpoint. It is not checked yet.

    The average's tensors are `average.*` and, once more, `generator.*`. Floating tensors become float32. Raise
    `UserError` if the file is not in safetensors, or `config.json` is missing.
    """
    config = read_config(file.parent)
    if not is_regular(file):
        raise UserError(f"{file} is no published model: it is not a regular file")
    try:
        tensors = {name: _widened(value) for name, value in load_file(file).items()}
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"{file} cannot be opened as safetensors: {' '.join(str(error).split())[:200]}") from error
    average = {f"average.{n.removeprefix('generator.')}": v for n, v in tensors.items() if n.startswith("generator.")}
    copies = {name: value.clone() for name, value in tensors.items() if name.startswith("generator.")}
    facts = {name: config.get(name) for name in ("recipe", "spec", "iteration", "images_seen")}
    return {"ganlab": facts, "state_dict": {**tensors, **copies, **average}}


def _widened(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value
