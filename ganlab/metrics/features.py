"""Feature extractors: uint8 pictures -> feature vectors. The name and the protocol of each identify it exactly.

A name stands for one network and one way of resizing, so `fid_small`, `fid_inception_tf1` and `fid_inception_antialias`
cannot be confused. The protocol adds the hash of the weights. Nothing here trains or uses the network connection.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from ganlab.metrics.resizers import Resizer
from ganlab.metrics.small import DIM, SIZE, SmallNet

SMALL_WEIGHTS = Path(__file__).with_name("small.pt")


def as_colour(images: Tensor) -> Tensor:
    """Return pictures uint8 (N, C, H, W) as (N, 3, H, W): grey repeated, alpha (C = 2 or 4) laid on white.

    Raise `ValueError` for another type or number of channels.
    """
    if images.dtype != torch.uint8 or images.dim() != 4 or not 1 <= images.shape[1] <= 4:
        raise ValueError(
            f"`images` must be uint8 of shape (N, 1..4, H, W), got {images.dtype} {tuple(images.shape)}: "
            "ganlab.data.batch.to_uint8 converts from [-1, 1]"
        )
    if images.shape[1] in (2, 4):
        alpha = images[:, -1:].float() / 255
        images = (images[:, :-1] * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
    return images if images.shape[1] == 3 else images.expand(-1, 3, -1, -1)


class Resizing(Protocol):
    """uint8 (N, 3, H, W) -> the network's input. `way` is its name, `str()` its full description."""

    @property
    def way(self) -> str:
        """Return the name of the way of resizing."""

    def __call__(self, images: Tensor) -> Tensor:
        """Return resized pictures."""


class Extractor(nn.Module, ABC):
    """A map from uint8 pictures (N, C, H, W) of any size to features (N, dim) in float32. Frozen, always in eval mode.

    resizer_chosen: whether the resizer was a choice, so that the name of a number must contain it. batch: the number of
    pictures in one pass, which bounds the memory and changes nothing else.
    """

    name: str
    dim: int
    classes: int
    protocol: dict[str, str]

    def __init__(
        self,
        name: str,
        dim: int,
        weights: str,
        resizer: Resizing,
        resizer_chosen: bool = False,
        classes: int = 0,
        batch: int = 64,
    ) -> None:
        super().__init__()
        self.name, self.dim, self.classes, self.resizer, self.batch = name, dim, classes, resizer, batch
        self.label = f"{name}_{resizer.way}" if resizer_chosen else name
        self.protocol = {"extractor": name, "weights": weights, "resizer": str(resizer)}

    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, dim) of uint8 pictures (N, C, H, W)."""
        return self.both(images)[0]

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, dim) and class logits (N, classes) from one pass; without classes, no columns."""
        parts = [self.look(self.prepare(part)) for part in torch.split(images, self.batch)]
        features, logits = zip(*parts, strict=True)
        return torch.cat(features), torch.cat(logits)

    def prepare(self, images: Tensor) -> Tensor:
        """Return pictures uint8 (N, C, H, W) as `look` takes them: all of one size if there is a resizer."""
        return self.resizer(as_colour(images))

    @torch.no_grad()
    def look(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and logits of prepared pictures, in one batch."""
        features, logits = self.features_and_logits(prepared)
        return features.float(), logits.float()

    @abstractmethod
    def features_and_logits(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, dim) and logits (N, classes) of prepared pictures."""

    def train(self, mode: bool = True) -> Extractor:
        """Stay in evaluation mode."""
        return super().train(False)

    def frozen(self) -> None:
        """Freeze the network. Call this at the end of a constructor."""
        self.eval().requires_grad_(False)

    def metric(self, measure: str) -> str:
        """Return the full name of a number measured with these features: `metric("fid")` may be `fid_small`."""
        return f"{measure}_{self.label}"


class Small(Extractor):
    """The built-in network (`small.py`): 64 features of 32 x 32 pictures, from emoji, CIFAR-10 and MNIST."""

    def __init__(self, weights: Path = SMALL_WEIGHTS) -> None:
        stored = torch.load(weights, map_location="cpu", weights_only=True)
        names: list[str] = stored["classes"]
        super().__init__("small", DIM, digest_of(weights), Resizer("antialias", SIZE), False, len(names), 100)
        self.class_names = names
        self.net = SmallNet(self.classes)
        self.net.load_state_dict(stored["state"])
        self.net.to(memory_format=torch.channels_last)
        self.frozen()

    def features_and_logits(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, 64) and logits of prepared pictures."""
        features, logits = self.net((prepared / 127.5 - 1).contiguous(memory_format=torch.channels_last))
        return features, logits


@lru_cache
def digest_of(path: Path) -> str:
    """Return the first 16 hexadecimal digits of a file's SHA-256."""
    with Path(path).open("rb") as file:
        hashed = sha256()
        while piece := file.read(1 << 20):
            hashed.update(piece)
    return hashed.hexdigest()[:16]


def digest_of_state(module: nn.Module) -> str:
    """Return the first 16 digits of a SHA-256 of a module's parameters and buffers, by name, type and content."""
    hashed = sha256()
    for name, tensor in sorted(module.state_dict().items()):
        hashed.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        hashed.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
    return hashed.hexdigest()[:16]
