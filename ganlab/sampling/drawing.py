"""Draw from a trained model with one seed for each picture, so pictures do not depend on the batch. Plain torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Condition, take, to_float, to_uint8
from ganlab.errors import UserError
from ganlab.networks.styles import changed_styles, moved, style_layers

BATCH = 64


def latents(module: GenerativeModule, seeds: Sequence[int]) -> Tensor:
    """Return (len(seeds), latent_dim). Row i depends on seeds[i] alone."""
    random = torch.Generator()
    return torch.cat([module.draw_latent(1, random.manual_seed(seed)) for seed in seeds])


@torch.no_grad()
def draw(
    module: GenerativeModule, condition: Condition, latent: Tensor, batch: int = BATCH, truncation: float = 1.0
) -> Iterator[Tensor]:
    """Yield pictures for latents (N, latent_dim) in batches: uint8 (n, C, H, W) on the CPU, or points (n, D)."""
    for start in range(0, len(latent), batch):
        rows = slice(start, start + batch)
        images = synthesize(module, latent[rows], take(condition, rows), truncation).cpu()
        yield to_uint8(images) if images.dim() == 4 else images


def synthesize(
    module: GenerativeModule,
    latent: Tensor,
    condition: Condition,
    truncation: float = 1.0,
    offset: Tensor | None = None,
) -> Tensor:
    """Return the averaged generator's images (N, *shape) in [-1, 1], with gradients if they are enabled.

    condition: N rows as the data have them. truncation: 1 for none. A network with styles moves them towards the mean
    style; any other network gets the latent times `truncation`, because the mean latent is 0. offset: a shift of the
    styles, broadcast to (N, layers, style_dim).
    """
    condition = on_device(condition, module.device)
    if not style_layers(module.average):
        latent = latent if truncation == 1 else truncation * latent
        return module.synthesize(module.average, latent, condition)
    with changed_styles(module.average, moved(truncation, offset)):
        return module.synthesize(module.average, latent, condition)


def check_truncation(module: GenerativeModule, truncation: float) -> None:
    """Raise `UserError` if the model's latent cannot be truncated."""
    if truncation != 1 and draws_masks(module):
        raise UserError(
            "`truncation` is not for this model, whose latent is a dropout mask without a mean to move to: leave it out"
        )


def draws_masks(module: GenerativeModule) -> bool:
    """Return whether the model turns pictures into pictures, so that its latent is a dropout mask."""
    return module.spec.kind == "image"


def on_device(condition: Condition, device: torch.device) -> Condition:
    """Return a condition as a generator takes it: tensors on its device, images in [-1, 1]."""
    return to_float(condition.to(device)) if isinstance(condition, Tensor) else condition
