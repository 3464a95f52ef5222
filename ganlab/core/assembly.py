"""Construction of a run's objects from a checked recipe: data module, variant, trainer.

A variant's constructor names the components that it needs (`network`, `objective`, `head`, ...), and the recipe has a
node of that name. Two kinds of facts are not settings of a component, and are added here. A condition encoder gets the
facts of the data that its `needs` names. An architecture gets the layers that the recipe puts around every
discriminator.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException
from torch import nn

from ganlab.config.building import build, locate
from ganlab.config.described import described, path_of
from ganlab.config.preflight import SCALED, check_parts
from ganlab.config.ranges import sides
from ganlab.core.generative import GenerativeModule
from ganlab.core.launchers import launcher
from ganlab.core.strategies import STRATEGIES
from ganlab.core.trial import check_objective, check_players, check_trunk
from ganlab.data.base import DataSpec, GanData, wrong_kind
from ganlab.errors import UserError
from ganlab.networks.architecture import Architecture, with_feature_shape
from ganlab.networks.conditioning import ConditionEncoder

Recipe = Mapping[str, Any]


def make_data(recipe: Recipe) -> GanData:
    """Return the loaded data module: its images are in memory (or memory mapped) and its `spec` is known.

    Raise `UserError` if networks, condition and data do not fit. If the recipe states `data.size`, the discriminator is
    tried before any image is decoded. `make_module` tries it in any case.
    """
    check_parts(recipe)
    _check_condition(recipe)
    _check_comparisons(recipe)
    _check_generator(recipe)
    _check_objective(recipe)
    if size := recipe["data"].get("size"):
        _check_discriminator(recipe, (3, *sides(size)))
    data: GanData = build(recipe["data"])
    data.reals_per_iteration = recipe["batch_size"] * recipe["discriminator"].get("turns", 1)
    data.setup()
    return data


def _check_condition(recipe: Recipe) -> None:
    """Raise `UserError` if the data cannot have the condition that the variant, or its condition encoder, reads."""
    reads = _reads(recipe)
    has = locate(recipe["data"]["_target_"]).kinds
    if reads is not None and reads not in has:
        raise wrong_kind(reads, " or ".join(map(repr, has)))


def _reads(recipe: Recipe) -> str | None:
    """Return the kind of condition that the game reads, None if it reads none."""
    encoder = recipe.get("condition")
    return locate(encoder["_target_"]).kind if encoder else locate(recipe["variant"]["_target_"]).reads


def _check_comparisons(recipe: Recipe) -> None:
    """Raise `UserError` if a penalty compares pictures of one condition, and the game reads none."""
    if _reads(recipe) is None:
        for side in ("generator", "discriminator"):
            for name, node in (recipe.get(side, {}).get("regularizers") or {}).items():
                if node and _kind(node).needs_condition:
                    raise UserError(
                        f"`{side}.regularizers.{name}` compares pictures of one condition, which this recipe does not "
                        f"read: pass ~{side}.regularizers.{name}, or a recipe with conditions"
                    )


def _check_generator(recipe: Recipe) -> None:
    """Raise `UserError` if the generator takes a code but the variant gives a picture, or the reverse.

    A network's attribute `draws_from` is "code" or "image". A network without the attribute takes a code.
    """
    network, variant = _kind(node := recipe["network"]["generator"]), locate(recipe["variant"]["_target_"])
    source, given = getattr(network, "draws_from", "code"), "image" if variant.reads == "image" else "code"
    if source != given:
        what, use = {"code": ("a code", "network=pix2pix"), "image": ("a picture", "recipe=patchgan")}[source]
        raise UserError(f"`network`'s generator draws from {what}, which this recipe does not give it: use {use}")
    if _is_ready(node):
        return
    taken = inspect.signature(network).parameters.values()
    if given == "code" and not any(p.name == "code_dim" or p.kind is p.VAR_KEYWORD for p in taken):
        raise UserError(
            f"`network.generator` {path_of(network)} must take `code_dim`, the size of the latent that it maps to "
            'images; one that maps images to images says `draws_from = "image"`'
        )


def _check_objective(recipe: Recipe) -> None:
    """Raise `UserError` if the losses of the recipe's objective, if it has one, are not one number a sample."""
    if recipe.get("objective"):
        check_objective(build(recipe["objective"]))


def _kind(node: Any) -> Any:
    """Return the class or function that a node names. A constructor or an object may be there instead of a node."""
    if isinstance(node, Mapping):
        return locate(node["_target_"])
    node = getattr(node, "func", node)  # of a functools.partial
    return node if callable(node) and not isinstance(node, nn.Module) else type(node)


def _is_ready(node: Any) -> bool:
    """Return whether a network's node gives the network itself, and not a constructor that takes the data's shape."""
    return isinstance(node, nn.Module) or (isinstance(node, Mapping) and not node.get("_partial_"))


def _check_discriminator(recipe: Recipe, shape: tuple[int, ...]) -> None:
    """Raise `UserError` if the discriminator does not fit images of this shape. The trial allocates no memory."""
    with torch.device("meta"):
        made = build(recipe["network"]["discriminator"])
        trunk = made if isinstance(made, nn.Module) else made(shape=shape)
    if locate(recipe["variant"]["_target_"]).needs_features:
        with_feature_shape(trunk)
    if isinstance(getattr(trunk, "feature_shape", None), tuple):
        check_trunk(trunk, shape)
    nodes = recipe["discriminator"].get("regularizers", {})
    penalties = [name for name, node in nodes.items() if node and _kind(node).differentiates]
    if penalties and any(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in trunk.modules()):
        raise UserError(
            f"`discriminator.regularizers.{penalties[0]}` needs each picture's own gradient, and the discriminator of "
            "`network` normalizes over the batch: pass regularizer=[], network=resnet, or "
            "network.discriminator.normalization._target_=ganlab.networks.blocks.LayerNorm"
        )


def make_module(recipe: Recipe, spec: DataSpec) -> GenerativeModule:
    """Return the variant with every component that its constructor names. Raise `UserError` if one does not fit."""
    _check_discriminator(recipe, spec.shape)
    _try_ready(recipe, spec.shape)
    variant = locate(recipe["variant"]["_target_"])
    wanted = [
        name for name in inspect.signature(variant).parameters if name != "spec" and name not in recipe["variant"]
    ]
    parts = {name: _component(name, recipe, spec) for name in wanted if recipe.get(name) is not None}
    for name in wanted:
        if name not in parts and inspect.signature(variant).parameters[name].default is inspect.Parameter.empty:
            raise UserError(
                f"`{name}` is missing: {variant.__name__} needs it; add `- {name}: ...` to the recipe's defaults"
            )
    module: GenerativeModule = build(recipe["variant"], spec=spec, **parts)
    _check_optimizers(module)
    module.recipe = described(recipe)
    return module.to(memory_format=torch.channels_last)  # what processors and tensor cores convolve fastest


def _try_ready(recipe: Recipe, shape: tuple[int, ...]) -> None:
    """Raise `UserError` if a network that is made without knowing the data does not fit them or the latent."""
    nodes = {name: recipe["network"][name] for name in ("generator", "discriminator")}
    with torch.random.fork_rng():
        ready = {name: build(node) for name, node in nodes.items() if _is_ready(node)}
    check_players(ready, shape, recipe["latent_dim"] + (recipe.get("condition") or {}).get("dim", 0))


def _check_optimizers(module: GenerativeModule) -> None:
    """Raise `UserError` if torch's optimizers and schedulers refuse their settings. Keep nothing."""
    try:
        module.configure_optimizers()
    except UserError:
        raise
    except (ValueError, TypeError, RuntimeError, ZeroDivisionError) as error:
        raise UserError(f"`generator.optimizer`, `discriminator.optimizer` or a `scheduler`: {error}") from error


def _component(name: str, recipe: Recipe, spec: DataSpec) -> Any:
    """Return the component that the recipe's node of this name describes, with the facts that are not its settings."""
    node = recipe[name]
    if not (isinstance(node, Mapping) and "_target_" in node):
        return node
    kind = locate(node["_target_"])
    if kind is Architecture:
        return build(node, **_around(recipe))
    if isinstance(kind, type) and issubclass(kind, ConditionEncoder):
        spec.check_kind(kind.kind)
        facts = vars(spec) | {"classes": len(spec.classes)}
        return build(node, **{fact: facts[fact] for fact in kind.needs})
    return build(node)


def _around(recipe: Recipe) -> dict[str, Any]:
    """Return what the recipe puts around any discriminator's trunk."""
    return {
        "perturbations": build({name: node for name, node in (recipe.get("perturbations") or {}).items() if node}),
        "pack": recipe.get("pack", 1),
        "minibatch_deviation": recipe.get("minibatch_deviation", 0),
    }


def make_trainer(recipe: Recipe, folder: Path) -> pl.Trainer:
    """Return the Trainer with callbacks and loggers; several devices get the two-player strategy."""
    callbacks = [build(node) for node in recipe["callbacks"].values() if node]
    loggers = [
        build(node, folder=folder, recipe=described(recipe)) for node in (recipe.get("logger") or {}).values() if node
    ]
    settings = {
        "callbacks": callbacks,
        "logger": loggers,
        "default_root_dir": folder,
        "enable_checkpointing": False,  # ganlab.callbacks.checkpoints keeps last and best
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,  # the stream knows its rank
        "strategy": make_strategy(recipe["trainer"]),
    }
    try:
        trainer: pl.Trainer = build({"_target_": "pytorch_lightning.Trainer", **recipe["trainer"]}, **settings)
    except (ValueError, TypeError, RuntimeError, ImportError, MisconfigurationException) as error:
        raise UserError(f"`trainer`: {error}") from error
    return trainer


def make_strategy(trainer: Mapping[str, Any]) -> Any:
    """Return the user's `trainer.strategy`, or ganlab's own if several processes train."""
    _check_accelerator(trainer)
    _check_precision(trainer)
    _check_launcher(trainer)
    _check_sync_batchnorm(trainer)
    strategy = trainer.get("strategy", "auto")
    several = trainer.get("num_nodes", 1) > 1 or _devices(trainer) > 1
    if not several:
        return "auto" if strategy in STRATEGIES else strategy
    if strategy not in tuple(STRATEGIES):
        raise UserError(f"`trainer.strategy` must be {', '.join(STRATEGIES)} with several devices, got {strategy!r}")
    return STRATEGIES[strategy]()


def _check_accelerator(trainer: Mapping[str, Any]) -> None:
    """Raise `UserError` for a GPU on a machine without one. Lightning says so after all pictures are decoded."""
    asked = trainer.get("accelerator", "auto")
    usable = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    usable["gpu"] = usable["cuda"] or usable["mps"]
    if isinstance(asked, str) and not usable.get(asked, True):
        raise UserError(
            f"`trainer.accelerator`={asked} needs a GPU that torch can use, and this machine has none: pass "
            "trainer.accelerator=cpu, or install torch with the support of the GPU"
        )


def _check_precision(trainer: Mapping[str, Any]) -> None:
    """Raise `UserError` for a precision in which training does not work, or that Lightning would replace."""
    precision, accelerator = trainer.get("precision"), trainer.get("accelerator", "auto")
    scaled = precision in SCALED
    graphics = torch.cuda.is_available() or torch.backends.mps.is_available()
    if scaled and (accelerator == "cpu" or (accelerator == "auto" and not graphics)):
        raise UserError("`trainer.precision`=16-mixed needs a GPU: pass bf16-mixed on a CPU")
    if precision == "16-true":
        raise UserError(
            "`trainer.precision` must not be 16-true: weights in float16 have no loss scale, so that small gradients "
            "and Adam's eps become 0: pass 16-mixed on a GPU, bf16-mixed, or bf16-true"
        )


def _check_sync_batchnorm(trainer: Mapping[str, Any]) -> None:
    """Raise `UserError` for synchronized batch normalization on processors, which torch does not have."""
    if trainer.get("sync_batchnorm") and (trainer.get("accelerator") == "cpu" or not torch.cuda.is_available()):
        raise UserError(
            "`trainer.sync_batchnorm` needs GPUs, because torch's SyncBatchNorm runs on no processor: leave it out, or "
            "pass a network that does not normalize over the batch, such as network=resnet"
        )


def _check_launcher(trainer: Mapping[str, Any]) -> None:
    """Raise `UserError` if torchrun or SLURM started another number of processes than the settings say."""
    job = launcher()
    asked = _devices(trainer) * trainer.get("num_nodes", 1)
    if job is not None and job.world_size() != asked:
        raise UserError(
            f"{job.world_size()} processes were started, and `trainer.devices` x `trainer.num_nodes` is {asked}: "
            "pass the processes of a machine as trainer.devices, and the number of machines as trainer.num_nodes"
        )


def _devices(trainer: Mapping[str, Any]) -> int:
    """Return the number of devices that `trainer.devices` asks for: a number, a list, a string of either, or all."""
    devices = trainer.get("devices", 1)
    if isinstance(devices, str) and devices.strip().lstrip("-").isdigit():
        devices = int(devices)
    if isinstance(devices, str) and "," in devices:
        devices = [part for part in devices.split(",") if part.strip()]
    if isinstance(devices, int) and devices >= 0:
        return devices
    if devices in ("auto", -1):
        return max(1, torch.cuda.device_count()) if trainer.get("accelerator", "auto") != "cpu" else 1
    return len(devices)
