"""Networks as a user writes them, in a module that the tests import by name."""

from __future__ import annotations

from torch import Tensor, nn


class Drawing(nn.Module):
    """16 numbers -> a grey picture of 16 x 16."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(16, width), nn.ReLU(), nn.Linear(width, 256), nn.Tanh())

    def forward(self, latent: Tensor) -> Tensor:
        return self.layers(latent).unflatten(1, (1, 16, 16))


class Judging(nn.Module):
    """A grey picture of 16 x 16 -> a logit."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(256, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
