"""The parameters at a recipe's top, and ranges that other packages do not write beside their parameters.

This file is only read as source, like a .pyi file. A stub's annotation takes precedence over the package's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from ganlab.config.ranges import (
    BatchSize,
    Dim,
    Fraction,
    Group,
    NonNegative,
    NonNegativeInt,
    Pack,
    PositiveInt,
    ProperFraction,
    Range,
    Seed,
)

STUBS = {
    "pytorch_lightning.Trainer": "ganlab.config.stubs.Trainer",
    "torch.optim.": "ganlab.config.stubs.Optimizer",
}
"""The stub of a target, or of all targets that start with a prefix."""


class Component:
    """A mapping with a `_target_`."""


@dataclass
class Recipe:
    """The top of a recipe. A field without a default is needed. Groups and other parts may be beside it."""

    variant: Component
    data: Component
    network: Component
    generator: Component
    discriminator: Component
    average: Component
    callbacks: Mapping[str, Any]
    trainer: Mapping[str, Any]
    seed: Seed
    batch_size: BatchSize
    latent_dim: Dim
    pack: Pack
    minibatch_deviation: Group
    gamma: NonNegative | Component
    penalty_every: PositiveInt
    wordings: PositiveInt
    flip: bool
    near_misses: Fraction
    match_weight: NonNegative
    betas: tuple[ProperFraction, ProperFraction]
    fused: bool | None
    matmul_precision: Literal["highest", "high", "medium"] = "high"
    compile: bool | Literal["reduce-overhead", "max-autotune"] = False
    logger: Mapping[str, Any] | None = None
    perturbations: Mapping[str, Any] | None = None
    ganlab: Mapping[str, Any] | None = None
    objective: Component | None = None
    condition: Component | None = None
    head: Component | None = None
    normalization: Component | None = None
    run_dir: str | None = None
    resume: str | None = None
    init: str | None = None
    init_parts: list[Literal["generator", "discriminator", "average"]] | None = None
    origin: Mapping[str, Any] | None = None
    derived: Mapping[str, str] | None = None
    overrides: list[str] | None = None
    recipe: str | None = None
    allow: list[str] | None = None


@dataclass
class Ganlab:
    """The settings of ganlab itself."""

    debug: bool = False


@dataclass
class Trainer:
    """Some settings of Lightning's Trainer."""

    accelerator: Literal["auto", "cpu", "gpu", "cuda", "mps", "tpu", "hpu"] | Component
    strategy: Literal["auto", "ddp", "zero1", "fsdp"] | Component
    devices: Annotated[int, Range(least=1)] | Literal[-1] | list[NonNegativeInt] | str
    num_nodes: Annotated[int, Range(least=1, most=10_000)]
    max_steps: PositiveInt | Literal[-1]  # -1: no end, as for Lightning
    max_epochs: PositiveInt | Literal[-1] | None
    log_every_n_steps: PositiveInt | None
    accumulate_grad_batches: PositiveInt


@dataclass
class Optimizer:
    """The settings of torch's optimizers."""

    lr: Annotated[float, Range(least=0, most=1_000)]
    betas: tuple[ProperFraction, ProperFraction]
    momentum: ProperFraction
    alpha: Fraction
    dampening: Fraction
    rho: Fraction
    eps: NonNegative
    weight_decay: NonNegative
    lr_decay: NonNegative
    momentum_decay: NonNegative
    nesterov: bool
    lambd: NonNegative
    t0: NonNegativeInt
