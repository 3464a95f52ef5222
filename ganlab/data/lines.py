"""Outlines and their colored pictures: OpenMoji's line layer as the condition (CC BY-SA 4.0).

Each drawing has its black lines in a layer of their own, so the two pictures are aligned to the pixel.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import torch

from ganlab.config.ranges import ProperFraction, Seed, Side, Workers
from ganlab.data.base import DataSpec, GanData
from ganlab.data.emoji import EmojiData
from ganlab.data.openmoji import emoji_list, line_rasters
from ganlab.data.pictures import Pictures


class LinesData(GanData):
    """The pictures of `data=emoji` with the same options and the same split, and their outlines as the condition.

    Both are (3, size, size), cropped in the same way and mirrored together. Any pair may be mirrored, because there is
    no name that would not fit.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(
        self,
        size: Side = 64,
        skin_tones: bool = False,
        flags: bool = False,
        signs: bool = False,
        held_out: ProperFraction = 0.1,
        flip: bool = True,
        workers: Workers = 0,
        seed: Seed = 0,
    ) -> None:
        super().__init__(workers, seed)
        self.emoji = EmojiData(size, skin_tones, flags, signs, held_out)
        self.flip = flip

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        train, reference, _ = self.emoji.load()
        return self._outlined(train, self.flip), self._outlined(reference, False), DataSpec(train.shape, "image")

    def _outlined(self, pictures: Pictures, flip: bool) -> Pictures:
        """Return the same pictures with their outlines as conditions. Their names become their keys."""
        names = pictures.condition
        assert isinstance(names, list)
        named = {one.caption: one for one in emoji_list()}
        lines = line_rasters([named[name] for name in names], self.emoji.size)
        return Pictures(pictures.images, torch.from_numpy(np.array(lines)), names, flip)
