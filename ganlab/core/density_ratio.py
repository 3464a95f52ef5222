"""Games whose discriminator estimates the density ratio of whole images."""

from __future__ import annotations

from abc import ABC

import torch
from torch import Tensor

from ganlab.core.adversarial import AdversarialModule
from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Condition, take
from ganlab.errors import UserError

TOGETHER = 60  # images of the trial, which packs of any size up to 6 divide


class RatioGame(AdversarialModule, ABC):
    """A game whose discriminator estimates the ratio of the data's and the generator's density at an image."""

    def log_density_ratio(self, images: Tensor, condition: Condition) -> Tensor:
        """Return log p_data(x | c) - log p_generator(x | c) in nats, (N,), as the discriminator estimates it.

        Raise `UserError` if the objective, or the head, does not identify it.
        """
        return self.objective.log_density_ratio(self.critic(images, condition))

    def generate_with_grad(self, latent: Tensor, condition: Condition = None) -> Tensor:
        """Return images as `sample` does, but with gradients: (N, *shape) in [-1, 1]. latent: (N, latent_dim)."""
        return self.synthesize(self.average, latent, condition)


def as_ratio_game(module: GenerativeModule, condition: Condition) -> RatioGame:
    """Return the module if its discriminator can guide samples. Raise `UserError` with the reason if not.

    condition: the conditions to be sampled, any number of rows; the first one is tried.
    """
    if not isinstance(module, RatioGame):
        raise UserError(
            "`method` needs a discriminator that compares whole real pictures with generated ones, and "
            f"{type(module).__name__} has none (but of patches, stages or reconstructions): leave `method` out"
        )
    if not _judges_alone(module, take(condition, [0] * TOGETHER)):
        raise UserError(
            "`method` needs a logit that depends on its picture alone; here it depends on chance or on the pictures "
            "beside it (perturbation, pack, minibatch_deviation): leave `method` out"
        )
    return module


@torch.no_grad()
def _judges_alone(game: RatioGame, condition: Condition) -> bool:
    """Return whether an image's ratio is the same among all images of the trial and among half of them."""
    latent = game.draw_latent(TOGETHER, torch.Generator().manual_seed(0))
    images = game.generate_with_grad(latent, condition)
    among_all = game.log_density_ratio(images, condition)
    if among_all.shape != (TOGETHER,):
        return False
    half = slice(0, TOGETHER // 2)
    among_half = game.log_density_ratio(images[half], take(condition, half))
    return torch.allclose(among_all[half], among_half, rtol=1e-3, atol=1e-3)
