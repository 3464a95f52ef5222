"""Which models can say how likely a picture is: those whose discriminator gives a density ratio of whole pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from ganlab.core.adversarial import AdversarialModule
from ganlab.core.generative import GenerativeModule
from ganlab.data.batch import Condition, take
from ganlab.errors import UserError

TOGETHER = 60  # pictures of the trial, which packs of any size up to 6 divide


class RatioGame(AdversarialModule, ABC):
    """A game whose discriminator says how much likelier a picture is under the data than under the generator."""

    @abstractmethod
    def log_density_ratio(self, images: Tensor, condition: Condition) -> Tensor:
        """(N,), in nats: log p_data(x | c) - log p_generator(x | c) as the discriminator claims it.

        Raises `UserError` where the objective, or the head, does not identify it.
        """

    @abstractmethod
    def picture(self, latent: Tensor, condition: Condition = None) -> Tensor:
        """What `sample` gives, with gradients: (N, *shape) in [-1, 1]. latent: (N, latent_dim)."""


def as_ratio_game(module: GenerativeModule, condition: Condition) -> RatioGame:
    """The module, if its discriminator can guide. `UserError` with the reason if not.

    condition: what is going to be asked for, any number of rows; the first is tried.
    """
    if not isinstance(module, RatioGame):
        raise UserError(
            "`method` needs a discriminator that compares whole real pictures with generated ones, and "
            f"{type(module).__name__} has none (but of patches, stages or reconstructions): leave `method` out"
        )
    if not _minds_its_own(module, take(condition, [0] * TOGETHER)):
        raise UserError(
            "`method` needs a logit that depends on its picture alone; here it depends on chance or on the pictures "
            "beside it (perturbation, pack, minibatch_deviation): leave `method` out"
        )
    return module


@torch.no_grad()
def _minds_its_own(game: RatioGame, condition: Condition) -> bool:
    """Whether a picture's ratio is the same among all of the trial as among half of them. condition: of all rows."""
    latent = game.draw_latent(TOGETHER, torch.Generator().manual_seed(0))
    images = game.picture(latent, condition)
    among_all = game.log_density_ratio(images, condition)
    if among_all.shape != (TOGETHER,):
        return False
    half = slice(0, TOGETHER // 2)
    among_half = game.log_density_ratio(images[half], take(condition, half))
    return torch.allclose(among_all[half], among_half, rtol=1e-3, atol=1e-3)
