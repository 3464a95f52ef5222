"""What may be different after a run went back: slower learning, noise on what the discriminator sees."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from ganlab.core.generative import GenerativeModule


def slow_down(trainer: pl.Trainer, factor: float) -> None:
    """Multiply every learning rate, now and as its schedule has it from now on. Checkpoints keep both."""
    for optimizer in trainer.strategy.optimizers:
        for group in optimizer.param_groups:
            for name in ("lr", "initial_lr"):
                if name in group:
                    group[name] = group[name] * factor
    for config in trainer.lr_scheduler_configs:
        scheduler: Any = config.scheduler
        scheduler.base_lrs = [rate * factor for rate in scheduler.base_lrs]
        scheduler._last_lr = [rate * factor for rate in scheduler._last_lr]


class Fog:
    """Instance noise before a discriminator that was made without: x + N(0, sigma^2), fading to nothing."""

    def __init__(self) -> None:
        self._handles: list[RemovableHandle] = []

    def settle(self, module: GenerativeModule, sigma: float, start: int, length: int) -> None:
        """From `start` images seen, falling linearly over `length` of them; replaces what there was."""
        for handle in self._handles:
            handle.remove()

        def cover(part: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
            left = max(0.0, 1 - (module.images_seen - start) / length)
            return (given[0] + sigma * left * torch.randn_like(given[0]), *given[1:]) if left else given

        self._handles = [part.register_forward_pre_hook(cover) for part in judges(module)] if sigma else []


def judges(module: GenerativeModule) -> list[nn.Module]:
    """Whatever looks at pictures on the discriminator's side: one network, or one a stage; none where nobody judges."""
    if "discriminator" not in module.sides:
        return []
    player = module.player("discriminator")
    return list(player.values()) if isinstance(player, nn.ModuleDict) else [player]
