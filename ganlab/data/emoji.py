"""The emoji data set that is installed with ganlab: OpenMoji's drawings with their names, CC BY-SA 4.0.

The drawings are rasterised once, with all options, and kept in the cache. The options select among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ganlab.config.ranges import Fraction, PositiveInt, ProperFraction, Seed, Side, Workers
from ganlab.data.base import DataSpec, GanData
from ganlab.data.checks import check_fraction, check_size
from ganlab.data.neighbours import Neighbours
from ganlab.data.openmoji import Emoji, emoji_list, rasters
from ganlab.data.pictures import Pictures
from ganlab.data.split import held_out_rows
from ganlab.data.splits import text_spec
from ganlab.data.wordings import KINDS, NAMED, kinds_of, wordings
from ganlab.errors import UserError, suggestion

PROMPTS = (
    "red apple",
    "grinning face",
    "red heart",
    "dog face",
    "cat face",
    "pizza",
    "evergreen tree",
    "sunflower",
    "house",
    "automobile",
    "soccer ball",
    "blue circle",
    "banana",
    "crescent moon",
    "tropical fish",
    "woman astronaut",
    "green book",
    "birthday cake",
    "rocket",
    "umbrella",
)
SHOWN = 12  # the most prompts: no more than the training split has, and no more than fit one grid


class EmojiData(GanData):
    """OpenMoji at `size` x `size` pixels, captioned by the Unicode names and other wordings.

    `skin_tones`, `flags`, `signs` (letters, digits, arrows, buttons) keep those that are dropped otherwise. `held_out`:
    the fraction of concepts that are kept for reference; a concept is a name without its skin tone. `flip`: mirror
    pictures at random if the mirrored one still fits its name. `wordings`: the largest number of captions of a picture,
    of which a batch draws one: its Unicode name, then sentences with it, aliases and keywords. 1: the name only.
    `near_misses`: the share of mismatched captions that are of a picture whose name shares a word with the own one.
    `kind`: "a face", "an animal", ... (`ganlab.data.wordings`) keeps the drawings of that kind. Raise `UserError` if
    there is no such kind.
    """

    kinds: ClassVar[tuple[str, ...]] = ("text",)

    def __init__(
        self,
        size: Side = 32,
        skin_tones: bool = False,
        flags: bool = False,
        signs: bool = False,
        held_out: ProperFraction = 0.1,
        flip: bool = True,
        wordings: PositiveInt = 1,
        near_misses: Fraction = 0.0,
        kind: str | None = None,
        workers: Workers = 0,
        seed: Seed = 0,
    ) -> None:
        super().__init__(workers, seed)
        check_fraction(held_out)
        check_size(size)
        every = [*NAMED, *KINDS]
        if kind is not None and kind not in every:
            raise UserError(f"`data.kind` {kind!r} is no kind of emoji: {suggestion(kind, every)}")
        self.size, self.held_out, self.flip = size, held_out, flip
        self.skin_tones, self.flags, self.signs, self.wordings = skin_tones, flags, signs, wordings
        self.near_misses, self.kind = near_misses, kind

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        emoji = emoji_list()
        images = rasters(emoji, self.size)
        chosen = np.array([i for i, one in enumerate(emoji) if self._wanted(one)])
        held = held_out_rows([emoji[i].concept for i in chosen], self.held_out)
        train = self._pictures(images, emoji, chosen[~held], self.flip)
        reference = self._pictures(images, emoji, chosen[held], False) if held.any() else train
        return train, reference, self._spec(train)

    def _wanted(self, one: Emoji) -> bool:
        tone, flag, sign = self.skin_tones or not one.toned, self.flags or not one.flag, self.signs or not one.sign
        return tone and flag and (sign or one.flag) and (self.kind is None or self.kind in kinds_of(one))

    def _pictures(self, images: np.ndarray, emoji: Sequence[Emoji], rows: np.ndarray, flip: bool) -> Pictures:
        chosen = [emoji[i] for i in rows]
        mirrors = np.array([flip and one.mirrors for one in chosen])
        captions, concepts = [one.caption for one in chosen], [one.concept for one in chosen]
        said = [wordings(one, self.wordings) for one in chosen] if self.wordings > 1 else None
        near = Neighbours.of(concepts, self.near_misses) if self.near_misses else None
        return Pictures(images[rows], captions, concepts, mirrors, said, near)

    def _spec(self, train: Pictures) -> DataSpec:
        captions = train.condition
        assert isinstance(captions, list)
        own = set(captions)
        known = [prompt for prompt in PROMPTS if prompt in own]
        others = captions[:: max(1, len(captions) // SHOWN)]
        return text_spec(train, list(dict.fromkeys([*known, *others]))[:SHOWN])
