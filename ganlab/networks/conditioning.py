"""Conditioning of networks: class embeddings, conditional normalization, conditioning augmentation. Plain PyTorch.

Text encoders and the discriminator's heads have files of their own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from ganlab.config.ranges import Dim
from ganlab.data.batch import Condition
from ganlab.errors import UserError
from ganlab.networks.attention import Words


class ConditionEncoder(nn.Module, ABC):
    """A map from conditions of one `kind`, "class" or "text", to vectors of `dim` numbers. Abstract.

    A generator passes its latents too. An encoder may use them to choose between meanings of a condition.
    """

    kind: ClassVar[str]
    needs: ClassVar[tuple[Literal["vocabulary", "captions", "shared", "classes"], ...]] = ()
    """The constructor's parameters that the data determine: the words or the captions, or the number of classes."""
    dim: Dim
    word_dim: int = 0
    """The size of a word's state; 0 if there are none."""

    @abstractmethod
    def forward(self, condition: Condition, latent: Tensor | None = None) -> Tensor:
        """Return vectors (N, dim) for N conditions. latent: (N, latent_dim) in a generator, None in a discriminator."""

    def words(self, condition: Condition) -> Words:
        """Return states and mask of the conditions' words. Raise `UserError` for an encoder without a `word_dim`."""
        raise UserError(f"`word_attention` needs words, which {type(self).__name__} has not: pass condition=words")


class ClassEmbedding(ConditionEncoder):
    """A learned vector for each class, initialized from N(0, 1), the distribution of the latent."""

    kind = "class"
    needs = ("classes",)

    def __init__(self, classes: int, dim: Dim) -> None:
        super().__init__()
        self.dim = dim
        self.table = nn.Embedding(classes, dim)

    def forward(self, condition: Condition, latent: Tensor | None = None) -> Tensor:
        """Return the vectors (N, dim) of classes (N,)."""
        assert isinstance(condition, Tensor)
        return self.table(condition)


class ConditionalBatchNorm2d(nn.Module):
    """Batch normalization whose scale and shift depend on a code: (1 + a(code)) (x - mean) / deviation + b(code).

    Dumoulin et al. 2017. If the code includes the latent, it is self-modulation (Chen et al. 2019), as in BigGAN (Brock
    et al. 2019). x: (N, C, H, W), code: (N, code_dim).
    """

    def __init__(self, channels: int, code_dim: int) -> None:
        super().__init__()
        self.normalize = nn.BatchNorm2d(channels, affine=False)
        self.modulate = nn.Linear(code_dim, 2 * channels)
        nn.init.normal_(self.modulate.weight, 0.0, 0.02)  # 128 unit normals then move the scale by about 0.2
        nn.init.zeros_(self.modulate.bias)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        """Return normalized maps of x's shape, scaled and shifted by the code."""
        scale, shift = self.modulate(code)[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, self.normalize(x), 1 + scale)


class ConditioningAugmentation(nn.Module):
    """A normal distribution that depends on a caption's vector (Zhang et al. 2017, section 3.2).

    forward(embedding (N, inputs), noise (N, dim) from N(0, 1)) -> the draw mean + deviation * noise (N, dim), and
    KL(N(mean, deviation^2) || N(0, 1)) (N,) in nats, averaged over the dims as in the authors' code. The noise is an
    argument, so a picture can be drawn again. The authors' PyTorch code rectifies mean and log variance, which keeps
    the deviation above 1. Neither is rectified here.
    """

    def __init__(self, inputs: int, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.moments = nn.Linear(inputs, 2 * dim)

    def forward(self, embedding: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return the draw (N, dim), and the KL divergence (N,) in nats."""
        mean, log_variance = self.moments(embedding).chunk(2, dim=1)
        draw = mean + noise * (log_variance / 2).exp()
        return draw, (mean.square() + log_variance.exp() - 1 - log_variance).mean(dim=1) / 2
