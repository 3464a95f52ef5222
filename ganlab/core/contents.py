"""Checks of a checkpoint's plain content: its counters, its description of the data, and its weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import UserError

MOST_COUNTED, LONGEST_SIDE, MOST_WORDS, MOST_SHARED = 2**53, 2**14, 100_000, 2**24
KINDS = ("none", "class", "text", "image")
LISTS = ("classes", "vocabulary", "captions", "prompts")
"""The fields of a description that are lists of words."""


def check_content(content: Mapping[str, Any], where: object) -> None:
    """Raise `UserError` if weights, counters or the data's description have a wrong type or are out of range."""
    saved = content["ganlab"]
    for name, absent in (("iteration", None), ("images_seen", None), ("pictures", 0)):  # older files lack the last
        if not is_whole(saved.get(name, absent), MOST_COUNTED, least=0):
            raise UserError(f"{where}: `{name}` must be a whole number of at least 0")
    if not isinstance(saved.get("recipe"), dict):
        raise UserError(f"{where}: `recipe` must be settings")
    _check_spec(saved.get("spec"), where)
    _check_weights(content.get("state_dict"), where)


def is_whole(value: Any, most: int, least: int = 1) -> bool:
    """Return whether a value is a whole number from `least` to `most`."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _check_spec(spec: Any, where: object) -> None:
    names = {"shape", "kind", *LISTS, "shared"}
    if not isinstance(spec, dict) or not {"shape"} <= spec.keys() <= names or spec.get("kind", "none") not in KINDS:
        raise UserError(f"{where}: `spec` must say {', '.join(sorted(names))}")
    shape = spec["shape"]
    if (
        not isinstance(shape, list | tuple)
        or len(shape) not in (1, 3)
        or not all(is_whole(side, LONGEST_SIDE) for side in shape)
    ):
        raise UserError(f"{where}: `spec.shape` must be 1 or 3 whole numbers from 1 to {LONGEST_SIDE}")
    for name in LISTS:
        words = spec.get(name, ())
        if not isinstance(words, list | tuple) or len(words) > MOST_WORDS or not all(map(_is_word, words)):
            raise UserError(f"{where}: `spec.{name}` must be a list of words, {MOST_WORDS} at most")
    if not _are_shared(spec.get("shared", {}), len(spec.get("captions", ()))):
        raise UserError(f"{where}: `spec.shared` must be captions, each with places of `spec.captions`")


def _are_shared(shared: Any, captions: int) -> bool:
    return (
        isinstance(shared, dict)
        and len(shared) * captions <= MOST_SHARED
        and all(map(_is_word, shared))
        and all(isinstance(places, list) and len(places) > 0 for places in shared.values())
        and all(is_whole(place, captions - 1, least=0) for places in shared.values() for place in places)
    )


def _is_word(word: Any) -> bool:
    return isinstance(word, str) and len(word) <= 10_000


def _check_weights(state: Any, where: object) -> None:
    """Raise `UserError` if weights are not dense tensors, or share memory to look larger than they are."""
    if not isinstance(state, Mapping):
        raise UserError(f"{where}: `state_dict` must be tensors by name")
    for name, value in state.items():
        if not (isinstance(name, str) and isinstance(value, Tensor) and is_backed(value)):
            raise UserError(f"{where}: `state_dict` must be dense tensors by name, and {ascii(name)[:60]} is none")
    memory = {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in state.values()}
    if sum(value.nbytes for value in state.values()) > sum(memory.values()):
        raise UserError(f"{where}: `state_dict` has tensors that share their memory")


def is_backed(tensor: Tensor) -> bool:
    """Return whether a tensor stores each of its elements."""
    if tensor.layout != torch.strided or tensor.device.type != "cpu":
        return False
    return tensor.is_contiguous() or (tensor.dim() == 4 and tensor.is_contiguous(memory_format=torch.channels_last))
