"""Refuse a recipe whose settings contradict each other or do not fit this machine. This runs before torch is loaded.

`ganlab.config` has checked each setting by itself. `check_parts` compares settings with each other, also those of a
checkpoint's recipe. `check_machine` checks packages, folders, memory and processors.
"""

from __future__ import annotations

import importlib.util
import math
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ganlab.config.annotations import accepts
from ganlab.config.checking import signature_of
from ganlab.config.ranges import sides
from ganlab.errors import UserError
from ganlab.files.packaged import is_packaged

Recipe = Mapping[str, Any]

PACKAGES = {
    "ganlab.loggers.TensorBoard": ("tensorboard", "ganlab[tensorboard]"),
    "ganlab.data.hf.HfData": ("datasets", "ganlab[hf]"),
}
"""Packages that a component imports and ganlab does not always install, with the way to install each by pip."""

PICTURES = ("ganlab.data.folder.FolderData", "ganlab.data.pairs.PairsData", "ganlab.data.shards.ShardsData")
ZIPS = ("ganlab.data.zips.ZipData",)
CLUSTERS = ("MASTER_ADDR", "SLURM_JOB_ID", "LSB_JOBID", "KUBERNETES_SERVICE_HOST", "OMPI_COMM_WORLD_RANK")
"""Data that read a folder of the user's. Data that read a file. Variables that give the other machines' addresses."""

RECTANGLES = ", or network=fastgan, stylegan2, r3gan or mlp, which take rectangles"
FLOAT = 4  # bytes
SCALED = (16, "16", "16-mixed")  # values of trainer.precision with a loss scale


def check_parts(recipe: Recipe) -> None:
    """Raise `UserError` for settings that contradict each other."""
    _check_pack(recipe)
    _check_accumulation(recipe)
    _check_checkpointed_blocks(recipe)
    _check_lent_weights(recipe)
    for player in ("generator", "discriminator"):
        if not recipe["network"].get(player):
            raise UserError(
                f"`network.{player}` is needed: choose a network=..., or name one by network.{player}._target_"
            )
        _check_network(f"network.{player}", recipe["network"].get(player), recipe)
    stage_two = recipe["variant"].get("stage_two") or {}
    _check_network("variant.stage_two.generator", stage_two.get("generator"), recipe)


def check_machine(recipe: Recipe) -> None:
    """Raise `UserError` if this machine lacks something: packages, folders, memory, processors, other machines."""
    for target in targets(recipe):
        _check_package(target, *PACKAGES.get(target, ("", "")))
    _check_reader(recipe.get("condition") or {})
    _check_folder(recipe["data"])
    _check_processes(recipe["trainer"], recipe["data"])
    _check_memory(recipe)


# Settings against each other --------------------------------------------------------------------------------------


def _check_pack(recipe: Recipe) -> None:
    pack, size = recipe.get("pack", 1), recipe["batch_size"]
    if size % pack:
        raise UserError(f"`pack` must divide `batch_size`, {size}, got {pack}: pass batch_size={32 * pack}")
    if pack > 1 and recipe.get("condition"):
        raise UserError(
            f"`pack` must be 1 with a condition, got {pack}: the discriminator judges one picture with its "
            "condition; pass minibatch_deviation=4 to let it see how much the pictures of a batch differ"
        )


def _check_accumulation(recipe: Recipe) -> None:
    size, pack = recipe["batch_size"], recipe.get("pack", 1)
    for side in ("generator", "discriminator"):
        parts = recipe[side].get("accumulate", 1)
        if size % parts or size // parts % pack:
            whole = f"`batch_size`, {size}" + (f", into whole packs of {pack}" if pack > 1 else "")
            raise UserError(f"`{side}.accumulate` must divide {whole}, got {parts}")


def _check_checkpointed_blocks(recipe: Recipe) -> None:
    """Raise `UserError` for checkpointed blocks beside compiled code, which decides itself what to compute again.

    Synchronized batch normalization would wait for the other processes in the backward pass.
    """
    trainer = recipe.get("trainer") or {}  # a stored recipe that is opened to draw comes without it
    others = {"compile": recipe.get("compile"), "trainer.sync_batchnorm": trainer.get("sync_batchnorm")}
    for side in ("generator", "discriminator"):
        if recipe.get(side, {}).get("checkpoint_blocks"):
            for name in (name for name, on in others.items() if on):
                raise UserError(f"`{side}.checkpoint_blocks` does not go with `{name}`: leave out one of them")


def _check_lent_weights(recipe: Recipe) -> None:
    """Raise `UserError` for what needs all weights, or one loss scale, where each process has weights of its own."""
    trainer = recipe.get("trainer") or {}
    if trainer.get("strategy") != "fsdp":
        return
    if recipe.get("compile"):
        raise UserError("`compile` does not go with `trainer.strategy`=fsdp: leave it out, or pass zero1")
    if trainer.get("precision") in SCALED:
        raise UserError(
            "`trainer.strategy`=fsdp does not go with `trainer.precision`=16-mixed, whose loss scale would differ "
            "between processes: pass bf16-mixed, or trainer.strategy=zero1"
        )


def _check_network(path: str, node: Any, recipe: Recipe) -> None:
    """Raise `UserError` unless a network's constructor takes a shape, and takes this one.

    A node without `_partial_` is a network that is ready-made, for one shape.
    """
    if not (isinstance(node, Mapping) and "_target_" in node and node.get("_partial_")):
        return
    signature = signature_of(node["_target_"], f"{path}._target_")
    if "shape" not in signature.parameters and not signature.open:
        made = "discriminator(shape=)" if path.endswith("discriminator") else "generator(shape=, code_dim=)"
        what = "says its `feature_shape`" if path.endswith("discriminator") else "returns pictures of that shape"
        raise UserError(f"`{path}` {node['_target_']} must take `shape`: ganlab calls {made}, and the network {what}")
    size = recipe["data"].get("size")
    parameter = signature.parameters.get("shape")
    if size and parameter and not accepts(parameter, (3, *sides(size))):
        fits = [side for side in (2**k for k in range(4, 11)) if accepts(parameter, (3, side, side))]
        nearest = min(fits, key=lambda side: abs(math.log(side / max(sides(size)))), default=64)
        raise UserError(
            f"`data.size` must be a side of {', '.join(map(str, fits))} for {path}={node['_target_']}, got {size}: "
            f"pass data.size={nearest}{'' if isinstance(size, int) else RECTANGLES}"
        )


# The machine ------------------------------------------------------------------------------------------------------


def targets(node: Any) -> Iterator[str]:
    """Yield every `_target_` of a tree."""
    if isinstance(node, Mapping):
        if isinstance(node.get("_target_"), str):
            yield node["_target_"]
        node = list(node.values())
    for inner in node if isinstance(node, list) else ():
        yield from targets(inner)


def _check_package(target: str, package: str, extra: str) -> None:
    if package and importlib.util.find_spec(package) is None:
        raise UserError(f'`{target}` needs the package {package}, which is not installed: pip install "{extra}"')


def _check_reader(condition: Mapping[str, Any]) -> None:
    """Raise `UserError` if a sentence encoder that is not installed needs sentence-transformers, which is missing."""
    target = str(condition.get("_target_", ""))
    if target.endswith((".SentenceEncoder", ".CaptionEncoder")) and not is_packaged(condition.get("model")):
        _check_package(target, "sentence_transformers", "ganlab[text]")


def _check_folder(data: Mapping[str, Any]) -> None:
    root = data.get("root")
    if data.get("_target_") in ZIPS and not Path(root or "").expanduser().is_file():
        raise UserError(f"`data.root` must be a zip of pictures, got {root}, which is no file: pass data.root=FILE.zip")
    if data.get("_target_") not in PICTURES:
        return
    if not root:
        raise UserError("`data.root` must be a folder of pictures, got nothing: pass data.root=FOLDER")
    if not Path(root).expanduser().is_dir():
        raise UserError(f"`data.root` must be a folder of pictures, got {root}, which is not there")


def _check_processes(trainer: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    cores = os.cpu_count() or 1
    if (workers := data.get("workers", 0)) > max(16, 8 * cores):
        raise UserError(f"`data.workers` must be at most {max(16, 8 * cores)} on {cores} cores, got {workers}")
    devices = trainer.get("devices", 1)
    if isinstance(devices, str) and not re.fullmatch(r"auto|-1|[1-9]\d*|\d+(,\s*\d+)*,?", devices.strip()):
        raise UserError(f"`trainer.devices` must be a number, a list [0,1] or auto, got {devices!r}")
    count = int(devices) if str(devices).strip().isdigit() else 1
    if count > max(16, 8 * cores):
        raise UserError(f"`trainer.devices` must be at most {max(16, 8 * cores)} on {cores} cores, got {count}")
    if trainer.get("num_nodes", 1) > 1 and not any(name in os.environ for name in CLUSTERS):
        raise UserError(
            f"`trainer.num_nodes`={trainer['num_nodes']} needs to know the other machines: start it by SLURM or "
            "torchrun, or set MASTER_ADDR, MASTER_PORT and NODE_RANK"
        )


def _check_memory(recipe: Recipe) -> None:
    """Raise `UserError` if one turn does not fit: its pictures, and the first features of the part passed at once."""
    data, discriminator = recipe["data"], recipe["discriminator"]
    size, pixels = recipe["batch_size"], math.prod(sides(data.get("size") or 1))
    reals = size * discriminator.get("turns", 1) * pixels * (3 if data.get("size") else 2 * FLOAT)
    width = _least_width(recipe["network"].get("discriminator"))
    features = size // discriminator.get("accumulate", 1) * pixels * width * FLOAT
    _refuse_more_than_memory("batch_size", size, reals + features)
    _refuse_more_than_memory("latent_dim", recipe["latent_dim"], size * recipe["latent_dim"] * FLOAT)
    drawn = data.get("count", 0) + data.get("held_out_count", 0)
    _refuse_more_than_memory("data.count", drawn, drawn * pixels * (3 if data.get("size") else 2 * FLOAT))


def _least_width(node: Any) -> int:
    width = node.get("width", 1) if isinstance(node, Mapping) else 1
    return width if isinstance(width, int) else 1


def _refuse_more_than_memory(name: str, value: int, needed: int) -> None:
    have = memory()
    if needed > have:
        most = max(1, value * have // needed)
        raise UserError(
            f"`{name}`={value} needs at least {needed / 2**30:,.1f} GiB, and this machine has {have / 2**30:,.1f}: "
            f"pass {name}={2 ** (most.bit_length() - 1)}, say"
        )


def memory() -> int:
    """Return this machine's memory in bytes, or a terabyte if the system does not tell."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 2**40
