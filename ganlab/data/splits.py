"""The two splits of a set of pictures, and their description, from images, captions and classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ganlab.data.base import DataSpec
from ganlab.data.pictures import Pictures
from ganlab.data.source import Source

PROMPTS = 12  # captions shown by default: one grid
DESCRIBED = 4_096  # captions in the description at most


@dataclass(frozen=True)
class Found:
    """N pictures with what is known of them. The first `border` are held out.

    `captions`: all captions of each picture, at least one. `labels`: classes (N,), numbers of `classes`. Empty if there
    are none.
    """

    images: np.ndarray | Source
    border: int
    captions: Sequence[Sequence[str]] = ()
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = field(default=())

    def divided(self, flip: bool, balanced: bool) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures (those of training if there are none) and the spec."""
        pictures = self._captioned() if self.captions else Pictures(self.images, self._classes())
        train = pictures.part(slice(self.border, None), flip, balanced)
        reference = pictures.part(slice(self.border)) if self.border else train
        return train, reference, spec_of(train, self.classes if self.labels is not None else ())

    def _captioned(self) -> Pictures:
        several = max(map(len, self.captions)) > 1
        return Pictures(
            self.images, [first for first, *_ in self.captions], wordings=self.captions if several else None
        )

    def _classes(self) -> Tensor | None:
        return torch.from_numpy(self.labels.astype(np.int64)) if self.labels is not None and self.classes else None


def spec_of(train: Pictures, classes: tuple[str, ...]) -> DataSpec:
    """Return the description of training pictures with captions, with these classes, or with neither."""
    if isinstance(train.condition, list):
        return text_spec(train, tuple(dict.fromkeys(train.condition))[:PROMPTS])
    return DataSpec(train.shape, "class" if classes else "none", classes=classes, prompts=classes)


def text_spec(train: Pictures, prompts: Sequence[str]) -> DataSpec:
    """Return the description of training pictures with captions."""
    from ganlab.data.vocabulary import distinct, members, vocabulary

    said = train.all_wordings()
    words = vocabulary(caption for wordings in said for caption in wordings)
    captions = distinct(first for first, *_ in said)[:DESCRIBED]
    shared = members(said, captions, DESCRIBED - len(captions))
    return DataSpec(train.shape, "text", (), tuple(words), tuple(captions), shared, tuple(prompts))
