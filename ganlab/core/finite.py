"""Detection of NaN and infinity in weights and losses."""

from __future__ import annotations

from collections.abc import Mapping

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ganlab.core.generative import GenerativeModule


@torch.no_grad()
def is_finite(network: nn.Module) -> bool:
    """Return whether all weights are finite, with one transfer from the device. Those lent by others do not count."""
    weights: list[Tensor] = [each for each in network.parameters() if each.untyped_storage().nbytes()]
    return not weights or bool(torch.stack(torch._foreach_norm(weights, float("inf"))).isfinite().all())


def broken_side(module: pl.LightningModule) -> str | None:
    """Return the name of the first side with weights that are not finite; None if all are."""
    assert isinstance(module, GenerativeModule)
    return next((name for name in module.sides if not is_finite(module.player(name))), None)


def broken(module: GenerativeModule, logged: Mapping[str, Tensor]) -> str | None:
    """Return a description of the first non-finite value: a player's weights, or a logged loss. None if all are finite.

    Norms of gradients do not count: in half precision gradients may be infinite for a moment, and the step is then
    skipped.
    """
    if name := broken_side(module):
        return f"the weights of the {name}"
    for name, value in logged.items():
        side, _, term = name.partition("/")
        if side in module.sides and not term.startswith("gradient") and not bool(torch.as_tensor(value).isfinite()):
            return f"the loss {name}"
    return None
