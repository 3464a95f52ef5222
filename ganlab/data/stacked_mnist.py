"""Stacked MNIST: three random digits are the channels of a picture, so that 1,000 modes can be counted.

Metz et al. 2017 (unrolled GANs), Srivastava et al. 2017 (VEEGAN, section 5.2), Lin et al. 2018 (PacGAN), whose code
draws from all 70,000 digits. Here the reference is made of the 10,000 test digits, which training never shows.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from ganlab.config.ranges import Count, Seed, Side, Workers
from ganlab.data.base import DataSpec, GanData
from ganlab.data.pictures import Pictures
from ganlab.data.shapes import check_counts
from ganlab.data.stacks import DIGITS, Stacks, drawn_parts, modes_of
from ganlab.data.torchvision import TorchvisionData

CHANNELS = 3
NAMES = tuple(f"{mode:0{CHANNELS}d}" for mode in range(DIGITS**CHANNELS))
"""Class k is the mode whose digits, red first, spell k."""


class StackedMnistData(GanData):
    """`count` stacks of training digits, `held_out_count` of test digits, drawn from the seed, as in the literature.

    `root`: torchvision's folder, as for data=mnist. `size`: 28 pixels get a border of two for 32; others are resized.
    Digits are as frequent as in MNIST, so modes are nearly uniform: a generator of exactly these data has a KL to
    uniform of 0.0043 nats, plus the effect of counting.
    """

    kinds: ClassVar[tuple[str, ...]] = ("class",)

    def __init__(
        self,
        root: str | Path | None = None,
        size: Side = 32,
        count: Count = 128_000,
        held_out_count: Count = 26_000,
        workers: Workers = 0,
        seed: Seed = 0,
        download: bool = True,
    ) -> None:
        super().__init__(workers, seed)
        check_counts(count, held_out_count)
        self.source = TorchvisionData("MNIST", root, size, download=download)
        self.count, self.held_out_count = count, held_out_count

    @property
    def digits(self) -> int:
        """Return the number of digits in a picture, one for each channel."""
        return CHANNELS

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        train, reference, _ = self.source.load()
        stacked = self._stacked(train, self.count, 0)
        return stacked, self._stacked(reference, self.held_out_count, 1), self._spec(stacked)

    def _stacked(self, digits: Pictures, count: int, split: int) -> Pictures:
        parts = drawn_parts(count, CHANNELS, len(digits), self.seed, split)
        shown = np.asarray(digits.condition)[parts]
        return Pictures(Stacks(np.asarray(digits.images)[:, 0], parts), modes_of(torch.from_numpy(shown)))

    def _spec(self, train: Pictures) -> DataSpec:
        return DataSpec(train.shape, "class", NAMES, prompts=NAMES[:: len(NAMES) // 9])
