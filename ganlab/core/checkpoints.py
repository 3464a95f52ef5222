"""Safe reading of checkpoints, also of unknown origin: none of their code runs, and sizes are checked first.

`read_checkpoint` returns the plain content. `load_module` builds the variant of the stored recipe, first on the meta
device, and compares it with the stored weights before it allocates memory for them.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.config.trust import admitted, plain
from ganlab.core.assembly import make_module
from ganlab.core.contents import check_content
from ganlab.core.generative import GenerativeModule
from ganlab.core.likeness import check_like
from ganlab.core.published import LEFT_OUT, Absent, read_published
from ganlab.core.randomness import random_states, restore_random_states
from ganlab.core.running_means import RunningMeans
from ganlab.data.base import DataSpec
from ganlab.errors import UserError
from ganlab.files.archive import check_archive
from ganlab.files.published import MODEL_FILE

TRAINING = ("trainer", "logger", "callbacks")
"""The parts of a recipe that only training uses."""
MOST_LEFT_OUT = 2**30
"""The most bytes that a recipe may make for a discriminator that was not published."""


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the plain content of a checkpoint or of a published model's `model.safetensors`.

    Raise `UserError` if it is not ganlab's, or holds other objects.
    """
    if path.name == MODEL_FILE:
        content = read_published(path)
        check_content(content, path)
        return content
    check_archive(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(f"{path} is no checkpoint that can be opened safely: {first_line(error)}") from error
    except Exception as error:
        raise UserError(f"{path} is no checkpoint: {type(error).__name__} while reading it") from error
    if not isinstance(content, dict) or not isinstance(content.get("ganlab"), dict):
        raise UserError(f"{path} was not written by ganlab.fit: it has no recipe in it")
    check_content(content, path)
    return content


@dataclass(frozen=True)
class StoredModel:
    """A model in a file: its weights by name, the description of its data, and its recipe, all of them checked.

    `recipe` contains only the parts that a model is built from. `images_seen`: of the training so far.
    """

    file: Path
    state: Mapping[str, Tensor]
    spec: DataSpec
    recipe: dict[str, Any]
    images_seen: int


def read_model(path: Path, allow: Sequence[str] = (), data: bool = True) -> StoredModel:
    """Return the model in a file. Raise `UserError` if its recipe names something that is not admitted.

    allow: packages whose classes the recipe may name. data: whether the data's part of the recipe is needed too.
    """
    content = read_checkpoint(path)
    saved = content["ganlab"]
    dropped = (*TRAINING, "derived", "overrides", *(() if data else ("data",)))
    wanted = {key: value for key, value in saved["recipe"].items() if key not in dropped}
    recipe = admitted(plain(wanted, "the checkpoint's recipe"), allow)
    spec = DataSpec.from_plain(saved["spec"])
    return StoredModel(path, content["state_dict"], spec, recipe, saved["images_seen"])


def load_module(path: Path, allow: Sequence[str] = (), data: bool = True) -> GenerativeModule:
    """Return the variant that the checkpoint's recipe describes, with its weights and counters, in eval mode.

    data: whether the data's part of the recipe is needed too. `module.recipe` contains only the parts that were
    checked.
    Raise `UserError` if the recipe names something that is not from ganlab, torch or one of the packages in `allow`.
    """
    stored = read_model(path, allow, data)
    partial = _is_partial(path, stored.state)
    module = make_fitting(stored.recipe, stored.spec, stored.state, path, LEFT_OUT if partial else ())
    with stored_content(path):
        module.load_state_dict(stored.state, strict=not partial)
    if partial and "discriminator" in module.sides:
        module.discriminator = Absent()
    module.images_seen = stored.images_seen
    return module.eval()


def _is_partial(path: Path, state: Mapping[str, Tensor]) -> bool:
    """Return whether this is a published model without its discriminator."""
    return path.name == MODEL_FILE and not any(name.startswith("discriminator.") for name in state)


@contextmanager
def stored_content(where: object) -> Iterator[None]:
    """Convert errors about the content of a file into a `UserError` that names the file."""
    try:
        yield
    except (UserError, OSError):
        raise
    except Exception as error:
        raise UserError(f"{where} holds what does not work: {type(error).__name__}: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, printable and short."""
    lines = str(error).strip().splitlines() or ["no reason given"]
    return "".join(sign for sign in lines[0] if sign.isprintable())[:200]


# Comparison with the recipe ---------------------------------------------------------------------------------------


def make_fitting(
    recipe: Mapping[str, Any],
    spec: DataSpec,
    state: Mapping[str, Tensor],
    where: object,
    left_out: tuple[str, ...] = (),
) -> Any:
    """Return the recipe's module, after comparing a copy on the meta device with the stored weights.

    left_out: starts of names that the stored weights lack on purpose. Such tensors may have `MOST_LEFT_OUT` bytes.
    """
    with stored_content(where):
        trial = make_sketch(recipe, spec, state, where)
        check_fit(trial, state, where, left_out)
        unstored = sum(value.nbytes for name, value in trial.state_dict().items() if name.startswith(left_out))
        if unstored > MOST_LEFT_OUT:
            raise UserError(f"{where}: the discriminator that it lacks would have {unstored:,} bytes: publish it too")
    with stored_content(where):
        return make_module(recipe, spec)


def make_sketch(recipe: Mapping[str, Any], spec: DataSpec, state: Mapping[str, Tensor], where: object) -> Any:
    """Return the recipe's module on the meta device. It has shapes and no memory, and few more tensors than `state`."""
    with stored_content(where), torch.device("meta"), at_most(2 * len(state) + 1_000):
        return make_module(recipe, spec)


def check_fit(module: nn.Module, state: Mapping[str, Tensor], where: object, left_out: tuple[str, ...] = ()) -> None:
    """Raise `UserError` for the first tensor whose shape differs between the module and the stored weights.

    left_out: starts of names that are not compared.
    """
    own = {name: value for name, value in module.state_dict().items() if not name.startswith(left_out)}
    for name in [*own, *(name for name in state if name not in own)]:
        shapes = [tuple(each[name].shape) if name in each else None for each in (own, state)]
        if shapes[0] != shapes[1]:
            asked, stored = ("nothing" if shape is None else shape for shape in shapes)
            raise UserError(
                f"{where} does not fit its recipe: {ascii(name)[1:-1]} is {stored} in the file, {asked} here"
            )


@contextmanager
def at_most(tensors: int) -> Iterator[None]:
    """Raise `UserError` if more than this number of parameters, buffers and submodules is created inside the block."""
    left = [tensors]

    def count(module: nn.Module, name: str, _: Any) -> None:
        if name in module._buffers or name in module._parameters or name in module._modules:
            return  # replaced, not created: each power iteration replaces two buffers
        left[0] -= 1
        if left[0] < 0:
            raise UserError(f"the recipe makes more than {tensors} tensors, and the checkpoint does not have as many")

    hooks = [
        nn.modules.module.register_module_parameter_registration_hook(count),
        nn.modules.module.register_module_buffer_registration_hook(count),
        nn.modules.module.register_module_module_registration_hook(count),
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def rehearse(trainer: Any, module: GenerativeModule, content: Mapping[str, Any], where: object) -> None:
    """Load a checkpoint's state into copies, and raise `UserError` if it is malformed. Change nothing."""
    with stored_content(where):
        check_fit(module, content["state_dict"], where)
        for fresh, state in zip(_fresh(module), [content["optimizer_states"], content["lr_schedulers"]], strict=True):
            _rehearse_all(fresh, state, where)
        for callback in trainer.callbacks:
            if callback.state_key in content["callbacks"]:
                copy.deepcopy(callback).load_state_dict(copy.deepcopy(content["callbacks"][callback.state_key]))
        other = type(trainer)(accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False)
        check_like(other.fit_loop.state_dict(), content["loops"]["fit_loop"], f"{where}: loops")
        other.fit_loop.load_state_dict(copy.deepcopy(content["loops"]["fit_loop"]))
        logged = RunningMeans(**copy.deepcopy(content["ganlab"]["logged"]))
        check_like(dict.fromkeys(logged.sums, 0.0), {k: v.item() for k, v in logged.read().items()}, f"{where}: logged")
        _rehearse_random(content["ganlab"])


def _fresh(module: GenerativeModule) -> tuple[list[Any], list[Any]]:
    """Return new optimizers and schedulers, as at the start of training."""
    optimizers, schedulers = module.configure_optimizers()
    return optimizers, schedulers


def _rehearse_all(fresh: Sequence[Any], stored: Sequence[Mapping[str, Any]], where: object) -> None:
    for one, state in zip(fresh, stored, strict=True):
        template = one.state_dict()
        if extra := state.keys() - template.keys():
            raise UserError(f"{where}: {type(one).__name__} has no {ascii(extra.pop())[:60]}")
        check_like(template, {**state, "state": {}}, f"{where}: {type(one).__name__}")
        one.load_state_dict(copy.deepcopy(state))
        if isinstance(one, torch.optim.Optimizer):
            _check_moments(one, where)


def _check_moments(optimizer: torch.optim.Optimizer, where: object) -> None:
    """Raise `UserError` if the state of an optimizer does not fit its parameters, or differs between them."""
    names = [state.keys() for state in optimizer.state.values() if state]
    for parameter, state in optimizer.state.items():
        fitting = {one for one in state if _fits(one, state[one], parameter)}
        if state and not (state.keys() == fitting == names[0]):
            raise UserError(f"{where}: the state of {type(optimizer).__name__} does not belong to its parameters")


def _fits(name: str, value: Any, parameter: Tensor) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 or value.shape == parameter.shape
    return (name, type(value)) in (("momentum_buffer", type(None)), ("step", int), ("step", float))


def _rehearse_random(saved: Mapping[str, Any]) -> None:
    before = random_states()
    try:
        for states in saved["random"]:
            restore_random_states(states)
    finally:
        restore_random_states(before)
