"""Discriminators of several scales: a logit, or a whole head, at each of them. Plain torch.

A trunk of S scales says `feature_scales`. Its features (N, S F, h, w) are the maps of all scales, side by side. Logits
are then (N, S). An objective takes them as they are: its loss is the mean of the scales' losses. The verdict on a
picture is the mean of its logits. Without `feature_scales` a trunk has one scale, and logits are (N,).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.networks.logits import OneLogit, RealismLogit


def feature_scales(trunk: Any) -> int:
    """Return the number of scales of a trunk's features; 1 if it does not say it."""
    return getattr(trunk, "feature_scales", 1)


def verdict(logits: Tensor) -> Tensor:
    """Return the mean logit of each picture: (N,) for logits (N,) or (N, S).

    >>> verdict(torch.tensor([[1.0, 3.0], [0.0, -1.0]]))
    tensor([ 2.0000, -0.5000])
    """
    return logits.flatten(1).mean(1) if logits.dim() > 1 else logits


def verdicts(logits: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the mean logit of each picture for each question."""
    return {question: verdict(values) for question, values in logits.items()}


class Scales(nn.Module):
    """One judge for each of S scales: features (N, S F, h, w) -> logits (N, S).

    judges: modules that map the features (N, F, h, w) of one scale to logits (N,), or to named logits, each (N,).
    """

    def __init__(self, judges: list[nn.Module]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(judges)

    def forward(self, features: Tensor, *asked: Tensor) -> Any:
        """Return the logits of all scales, in their order. asked: what each judge gets beside its features."""
        parts = features.chunk(len(self.scales), 1)
        logits = [judge(part, *asked) for judge, part in zip(self.scales, parts, strict=True)]
        if isinstance(logits[0], Tensor):
            return torch.stack(logits, 1)
        return {question: torch.stack([each[question] for each in logits], 1) for question in logits[0]}


def at_each_scale(trunk: Any, judge: Callable[..., nn.Module], **settings: Any) -> nn.Module:
    """Return the judge of a trunk's features, or `Scales` with one for each scale if there are several.

    judge: is called with `feature_shape`, that of one scale's features, and the settings.
    """
    scales, (features, *sides) = feature_scales(trunk), trunk.feature_shape
    judges = [judge(feature_shape=(features // scales, *sides), **settings) for _ in range(scales)]
    return judges[0] if scales == 1 else Scales(judges)


def one_logit(network: nn.Module) -> nn.Module:
    """Return a network with one logit an image at each scale: a linear map on a trunk's features, or its own logit.

    A trunk has a `feature_shape`. A network without one must return logits.
    """
    if getattr(network, "feature_shape", None) is None:
        return nn.Sequential(network, OneLogit(type(network).__name__))
    return nn.Sequential(network, at_each_scale(network, RealismLogit))
