"""Constraints on the weights of a player, independent of its loss. Plain torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.parametrizations import spectral_norm

from ganlab.config.ranges import Positive
from ganlab.errors import UserError

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class Constraint(ABC):
    """The set of weights that a player may have. `acts`: whether a step may leave it, so that `enforce` is called."""

    acts: ClassVar[bool] = True

    @abstractmethod
    def start(self, network: nn.Module) -> None:
        """Prepare the network, once, before optimizers and copies are made. It may replace layers."""

    @abstractmethod
    def enforce(self, network: nn.Module) -> None:
        """Project the weights back into the set, after each step of the player."""


class Unconstrained(Constraint):
    """No constraint."""

    acts = False

    def start(self, network: nn.Module) -> None:
        """Do nothing."""

    def enforce(self, network: nn.Module) -> None:
        """Do nothing."""


class WeightClipping(Constraint):
    """Every parameter is in [-limit, limit], from the start: Arjovsky et al. 2017, algorithm 1, line 7.

    It makes a critic Lipschitz with an unknown constant, by which its estimate of W1 is multiplied.
    """

    def __init__(self, limit: Positive = 0.01) -> None:
        if not limit > 0:
            raise UserError(f"`limit` must be greater than 0, got {limit}")
        self.limit = limit

    def start(self, network: nn.Module) -> None:
        """Clip the weights."""
        self.enforce(network)

    @torch.no_grad()
    def enforce(self, network: nn.Module) -> None:
        """Clip the weights."""
        for parameter in network.parameters():
            if parameter.requires_grad:  # a frozen layer stays as it is
                parameter.clamp_(-self.limit, self.limit)


class SpectralNormalization(Constraint):
    """W / sigma(W) in every convolution and linear layer, sigma the largest singular value: Miyato et al. 2018, eq. 8.

    Each forward pass in training mode makes one power iteration; evaluation mode makes none (section 2.1, appendix A).
    The W of a convolution, also of a transposed one, is its kernel flattened to (channels out, the rest). So the norm
    of the layer itself is at most sigma times the root of the kernel's size. Embeddings and recurrent layers keep their
    weights. Raise `UserError` if weights are already parametrized, or all zero.
    """

    acts = False

    def start(self, network: nn.Module) -> None:
        """Normalize every convolution and linear layer. Raise `UserError` if that is impossible."""
        kinds = (*CONVOLUTIONS, nn.Linear)
        layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, kinds)}
        for name, layer in layers.items():
            _refuse(name, layer)
        for layer in layers.values():
            spectral_norm(layer, n_power_iterations=1, eps=1e-12)  # of dim 1 in transposed convolutions, else 0

    def enforce(self, network: nn.Module) -> None:
        """Do nothing: layers divide by sigma when they are used."""


def _refuse(name: str, layer: nn.Module) -> None:
    """Raise `UserError` if the layer's weight cannot be divided by its largest singular value."""
    if parametrize.is_parametrized(layer, "weight"):
        reason = "is parametrized already"
    elif not (weight := layer.get_parameter("weight")).is_meta and not weight.any():
        reason = "starts at zero, which has no largest singular value to divide by"
    else:
        return
    raise UserError(f"`constraint=spectral_norm` cannot be: {name or 'the layer'} {reason}; pass constraint=none")
