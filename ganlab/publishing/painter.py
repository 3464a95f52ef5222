"""The averaged generator as a plain module of tensors, which other programs can run."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Condition
from ganlab.errors import UserError
from ganlab.networks.attention import word_layers
from ganlab.networks.conditioning import ConditionEncoder
from ganlab.sampling.drawing import latents

NAMES = {"class": "label", "text": "embedding", "image": "image"}
"""The name of the second input, by the kind of condition."""


class Given(nn.Module):
    """Takes the place of a condition encoder. Its condition is already an embedding, of which it returns a part."""

    def __init__(self, start: int, stop: int) -> None:
        super().__init__()
        self.start, self.stop = start, stop

    def forward(self, condition: Tensor, latent: Tensor | None = None) -> Tensor:
        """Return columns `start` to `stop` of (N, dim)."""
        return condition[:, self.start : self.stop]


class Painter(nn.Module):
    """Latents (N, latent_dim), and the condition if there is one -> pictures (N, *shape) in [-1, 1].

    The condition is a class (N,) int64, a caption's embedding (N, dim), or a picture (N, *shape) in [-1, 1]. Weights
    are a copy of the average's. Raise `UserError` for a network that attends to words.
    """

    def __init__(self, module: GenerativeModule) -> None:
        super().__init__()
        self.kind = module.spec.kind
        self.network = copy.deepcopy(module.average).cpu().float().eval().requires_grad_(False)
        if word_layers(self.network):
            raise UserError("`to`: a network that attends to words has no input for them in ONNX: use to=safetensors")
        if self.kind == "text":
            _take_embeddings(self.network)
        _settle(self.network)
        self._synthesize = module.synthesize

    def forward(self, latent: Tensor, condition: Any = None) -> Tensor:
        """Return the pictures. They equal `module.sample`."""
        return self._synthesize(self.network, latent, condition)


def encoders(network: nn.Module) -> list[tuple[str, ConditionEncoder]]:
    """Return a network's condition encoders with their names, in order."""
    found = [(name, part) for name, part in network.named_modules() if isinstance(part, ConditionEncoder)]
    return [(name, part) for name, part in found if not any(name.startswith(f"{outer}.") for outer, _ in found)]


def _take_embeddings(network: nn.Module) -> None:
    """Replace each condition encoder by a part of the embedding, in their order."""
    start = 0
    for name, encoder in encoders(network):
        network.set_submodule(name, Given(start, start + encoder.dim))
        start += encoder.dim


def _settle(network: nn.Module) -> None:
    """Replace what a program cannot hold: parametrized weights by their values, flags in buffers by plain ones."""
    for part in list(network.modules()):
        if parametrize.is_parametrized(part):
            _take_values(part)
        flags = [name for name, value in part.named_buffers(recurse=False) if value.dtype == torch.bool]
        for name in flags:
            flag = bool(part._buffers.pop(name))
            setattr(part, name, flag)


def _take_values(part: Any) -> None:
    """Replace a layer's parametrized weights by their values.

    `remove_parametrizations` would change the layer's class, which the network that this one was copied from shares.
    """
    values = {name: getattr(part, name).detach().clone() for name in part.parametrizations}
    del part.parametrizations
    part.__class__ = type(part).__bases__[0]
    for name, value in values.items():
        part.register_parameter(name, nn.Parameter(value, requires_grad=False))


@torch.no_grad()
def embedding(network: nn.Module, captions: Sequence[str], latent: Tensor) -> Tensor:
    """Return the embedding of captions (N, dim) for latents: what a network's condition encoders give, side by side."""
    return torch.cat([encoder(list(captions), latent) for _, encoder in encoders(network)], 1)


class Inputs(NamedTuple):
    """The inputs of N pictures: latents (N, latent_dim), and the condition, as ganlab and as a painter take it."""

    latent: Tensor
    condition: Condition
    given: Tensor | None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """Return the painter's inputs."""
        return (self.latent,) if self.given is None else (self.latent, self.given)


def examples(module: GenerativeModule, count: int) -> Inputs:
    """Return inputs of `count` pictures: seeds 0, 1, ... and the classes, or captions, in turn; pictures of noise."""
    spec, latent = module.spec, latents(module, range(count)).cpu()
    if spec.kind == "class":
        labels = torch.arange(count) % len(spec.classes)
        return Inputs(latent, labels, labels)
    if spec.kind == "text":
        captions = [line for line, _ in zip(_captions(module), range(count), strict=False)]
        return Inputs(latent, captions, embedding(module.average, captions, latent))
    if spec.kind == "image":
        images = torch.rand(count, *spec.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
        return Inputs(latent, images, images)
    return Inputs(latent, None, None)


def _captions(module: GenerativeModule) -> Iterator[str]:
    """Yield captions in turn: the data's prompts, or its words."""
    known = list(module.spec.prompts) or list(module.spec.vocabulary[:8]) or ["a picture"]
    while True:
        yield from known
