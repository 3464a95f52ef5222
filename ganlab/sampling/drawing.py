"""Draw from a trained model with one seed for each picture, so pictures do not depend on the batch. Plain torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Condition, take, to_float, to_uint8

BATCH = 64


def latents(module: GenerativeModule, seeds: Sequence[int]) -> Tensor:
    """Return (len(seeds), latent_dim). Row i depends on seeds[i] alone."""
    rows = [module.draw_latent(1, torch.Generator().manual_seed(seed)) for seed in seeds]
    return torch.cat(rows)


def draw(module: GenerativeModule, condition: Condition, latent: Tensor) -> Iterator[Tensor]:
    """Yield pictures for latents (N, latent_dim) in batches: uint8 (n, C, H, W) on the CPU, or points (n, D)."""
    for start in range(0, len(latent), BATCH):
        rows = slice(start, start + BATCH)
        images = module.sample(latent[rows], on_device(take(condition, rows), module.device)).cpu()
        yield to_uint8(images) if images.dim() == 4 else images


def on_device(condition: Condition, device: torch.device) -> Condition:
    """Return a condition as a generator takes it: tensors on its device, images in [-1, 1]."""
    return to_float(condition.to(device)) if isinstance(condition, Tensor) else condition
