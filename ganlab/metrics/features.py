"""Feature extractors: uint8 pictures -> feature vectors, each with a name and a protocol that say exactly which.

A name stands for one network, one set of weights and one way of resizing, so that `fid_small` and `fid_inception`
never look alike. Nothing here trains; only `inception.py` uses the net.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ganlab.metrics.inception import UnavailableError, cached_weights, checked, fetch
from ganlab.metrics.small import DIM, SmallNet, squeeze

SMALL_WEIGHTS = Path(__file__).with_name("small.pt")


def as_colour(images: Tensor) -> Tensor:
    """uint8 (N, C, H, W) -> (N, 3, H, W): grey repeated, alpha (C = 2 or 4) laid on white.

    `ValueError` for another type or number of channels.
    """
    if images.dtype != torch.uint8 or images.dim() != 4 or not 1 <= images.shape[1] <= 4:
        raise ValueError(
            f"`images` must be uint8 of shape (N, 1..4, H, W), got {images.dtype} {tuple(images.shape)}: "
            "ganlab.batch.to_uint8 converts from [-1, 1]"
        )
    if images.shape[1] in (2, 4):
        alpha = images[:, -1:].float() / 255
        images = (images[:, :-1] * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
    return images if images.shape[1] == 3 else images.expand(-1, 3, -1, -1)


class Extractor(nn.Module, ABC):
    """uint8 pictures (N, C, H, W) of any size -> features (N, dim) in float32. Frozen, always in eval mode."""

    name: str
    dim: int
    protocol: dict[str, str]

    def __init__(self, name: str, dim: int, weights: str, resizer: str) -> None:
        super().__init__()
        self.name, self.dim = name, dim
        self.protocol = {"extractor": name, "weights": weights, "resizer": resizer}

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return self.features(as_colour(images)).float()

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """uint8 (N, 3, H, W) -> (N, dim)."""

    def train(self, mode: bool = True) -> Extractor:
        return super().train(False)

    def metric(self, measure: str) -> str:
        """What a number measured with these features is called: `metric("fid")` is `fid_small`, say."""
        return f"{measure}_{self.name}"


class Classifier(Extractor):
    """An extractor that also names what it sees, as the Inception score needs."""

    @torch.no_grad()
    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Features (N, dim) and class logits (N, classes), from one pass."""
        features, logits = self.features_and_logits(as_colour(images))
        return features.float(), logits.float()

    def features(self, images: Tensor) -> Tensor:
        return self.features_and_logits(images)[0]

    @abstractmethod
    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (N, 3, H, W) -> (N, dim), (N, classes)."""


class Small(Classifier):
    """The built-in network (`small.py`): 64 features of 32 x 32 pictures, from emoji, CIFAR-10 and MNIST."""

    def __init__(self, weights: Path = SMALL_WEIGHTS) -> None:
        super().__init__("small", DIM, digest_of(weights), "antialiased bilinear 32x32")
        stored = torch.load(weights, map_location="cpu", weights_only=True)
        self.classes: list[str] = stored["classes"]
        self.net = SmallNet(len(self.classes))
        self.net.load_state_dict(stored["state"])
        self.net.to(memory_format=torch.channels_last)
        self.eval().requires_grad_(False)

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.net(squeeze(images))
        return features, logits


class Inception(Classifier):
    """torch-fidelity's port of the FID InceptionV3: 2048 pooled features, logits without bias.

    `weights`: its weight file; by default the one in torch's hub cache. `UnavailableError` where there is none.
    """

    def __init__(self, weights: Path | None = None) -> None:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

        path = checked(weights or cached_weights())
        super().__init__("inception", 2048, digest_of(path), "TensorFlow 1 bilinear 299x299")
        self.net = FeatureExtractorInceptionV3("inception", ["2048", "logits_unbiased"], str(path))
        self.eval().requires_grad_(False)

    def features_and_logits(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self.net(images)
        return features, logits


class Choice(NamedTuple):
    """The extractor to use, and one line on why it is not the standard one (None when it is)."""

    extractor: Classifier
    reason: str | None


def best_available(download: bool = True, seconds: float = 5.0) -> Choice:
    """Inception where its weights are in torch's hub cache or can be fetched, else the built-in network.

    `seconds`: how long the net may take to answer before it counts as absent. Never raises for want of it.
    """
    try:
        path = fetch(seconds) if download else cached_weights()
        return Choice(Inception(path), None)
    except UnavailableError as why:
        return Choice(
            Small(),
            f"{why}: measuring with ganlab's small network instead (fid_small, ...), "
            "which compares with other fid_small only, never with published FIDs",
        )


@lru_cache
def digest_of(path: Path) -> str:
    """The first 16 hexadecimal digits of a file's SHA-256."""
    return sha256(Path(path).read_bytes()).hexdigest()[:16]


def features_of(extractor: Extractor, batches: Iterable[Tensor]) -> Tensor:
    """Features (N, dim) of all the uint8 batches, in order, on the processor."""
    return torch.cat([extractor(images).cpu() for images in batches])


__all__ = [
    "Choice",
    "Classifier",
    "Extractor",
    "Inception",
    "Small",
    "UnavailableError",
    "as_colour",
    "best_available",
    "features_of",
]
