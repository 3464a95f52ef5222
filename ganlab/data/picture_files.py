"""The settings that all data from picture files share: how pictures are cut and resized, and how they are split."""

from __future__ import annotations

from ganlab.config.ranges import Channels, ProperFraction, Seed, Size, Workers
from ganlab.data.base import GanData
from ganlab.data.checks import check_channels, check_fraction, check_size
from ganlab.data.decode import Form, preparation


class PictureFiles(GanData):
    """Pictures of any size in files, brought to one form. Abstract.

    `size`: a side, or height and width. `crop`: cut the middle of this aspect out, else squeeze. `channels`: 3, or 1
    for grey. `held_out`: the fraction kept for reference. `flip`: mirror at random.
    """

    def __init__(
        self,
        size: Size,
        crop: bool,
        channels: Channels,
        held_out: ProperFraction,
        flip: bool,
        workers: Workers,
        seed: Seed,
    ) -> None:
        super().__init__(workers, seed)
        check_size(size)
        check_channels(channels)
        check_fraction(held_out)
        self.form, self.held_out, self.flip = Form(size, crop, channels), held_out, flip

    @property
    def preparation(self) -> str:
        """Return in words how pictures are cut and resized."""
        return preparation(self.form)
