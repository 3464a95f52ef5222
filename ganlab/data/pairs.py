"""A folder of pairs, to turn one picture into the other: side by side in one file, or in folders A and B.

Both layouts are those of pix2pix (Isola et al. 2017). The two pictures of a pair must fit pixel by pixel, so they must
have the same size. If sizes differ or a picture is missing, an error names the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch

from ganlab.config.ranges import Channels, ProperFraction, Seed, Size, Workers
from ganlab.data.base import DataSpec
from ganlab.data.checks import check_root
from ganlab.data.decode import Form, in_form, opened
from ganlab.data.files import Reader, Split, decode_all, find_pictures
from ganlab.data.picture_files import PictureFiles
from ganlab.data.pictures import Pictures
from ganlab.data.walk import some
from ganlab.errors import UserError

SIDES = ("A", "B")
DIRECTIONS = ("AtoB", "BtoA")


class PairsData(PictureFiles):
    """Pairs under `root`, each picture at `size` x `size`: the condition is A and the picture B, or `direction=BtoA`.

    `root` holds files with A on the left and B on the right, or folders A and B with the same names in them. Either may
    be in `train/` and `test/`, or contain these folders. `crop`: cut the middle square out of both, else squeeze.
    `channels`: 3, or 1 for grey. `held_out`: the fraction kept for reference, unless there are `train/` and `test/`.
    `flip`: mirror both at random. Raise `UserError` for a picture without partner, or partners of different sizes.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image",)

    def __init__(
        self,
        root: str | Path,
        direction: str = "AtoB",
        size: Size = 64,
        crop: bool = True,
        channels: Channels = 3,
        held_out: ProperFraction = 0.1,
        flip: bool = False,
        workers: Workers = 0,
        seed: Seed = 0,
    ) -> None:
        super().__init__(size, crop, channels, held_out, flip, workers, seed)
        if direction not in DIRECTIONS:
            raise UserError(f"`direction` must be AtoB or BtoA, got {direction!r}")
        self.root, self.direction = check_root(root), direction

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        """Return the training pictures, the held-out pictures and their description."""
        partners = find_partners(find_pictures(self.root))
        split = Split(list(partners), self.held_out)
        names = split.order(list(partners))
        pairs, names = self._decoded({name: partners[name] for name in names})
        border = split.border(names)
        pictures = self._pictures(pairs, names)
        train = pictures.part(slice(border, None), self.flip)
        reference = pictures.part(slice(border)) if border else train
        return train, reference, DataSpec(self.form.shape, "image")

    def _decoded(self, partners: Mapping[str, tuple[str, ...]]) -> tuple[np.ndarray, list[str]]:
        """Return both pictures of each pair, stacked along the channels: (N, 2 C, size, size), and the pairs' names."""
        names = {files[0]: name for name, files in partners.items()}
        seconds = {self.root / first: self.root / second for first, *rest in partners.values() for second in rest}
        both = replace(self.form, channels=2 * self.form.channels)
        read = in_two_files(seconds) if seconds else side_by_side
        others = [str(path.relative_to(self.root)) for path in seconds.values()]
        pairs, files = decode_all(self.root, list(names), both, read, others)
        return pairs, [names[file] for file in files]

    def _pictures(self, pairs: np.ndarray, names: Sequence[str]) -> Pictures:
        given, wanted = pairs[:, : self.form.channels], pairs[:, self.form.channels :]
        if self.direction == "BtoA":
            given, wanted = wanted, given
        return Pictures(wanted, torch.from_numpy(given), names)


# Partners ---------------------------------------------------------------------------------------------------------


def find_partners(files: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return each pair's files by its name: one file with both pictures, or A's and B's.

    Raise `UserError` for a picture without partner.
    """
    if not any(map(_side, files)):
        return {file: (file,) for file in files}
    sides: dict[str, dict[str, str]] = {side: {} for side in SIDES}
    for file in files:
        side = _side(file)
        if not side:
            raise UserError(
                f"`root` has folders A and B, and {file} lies in neither: move it, or pass another data.root"
            )
        sides[side][_name(file, side)] = file
    _check_partners(*sides.values())
    return {name: (file, sides["B"][name]) for name, file in sides["A"].items()}


def _side(file: str) -> str:
    """Return the folder A or B that a file is in, "" if it is in neither."""
    return next((part for part in file.split("/")[:-1] if part in SIDES), "")


def _name(file: str, side: str) -> str:
    """Return the part that a file and its partner have in common: the path without the side and the suffix."""
    parts = file.split("/")
    parts.remove(side)
    return Path(*parts).with_suffix("").as_posix()


def _check_partners(a: Mapping[str, str], b: Mapping[str, str]) -> None:
    alone = sorted([a[name] for name in a.keys() - b.keys()] + [b[name] for name in b.keys() - a.keys()])
    if alone:
        raise UserError(f"`root` has pictures without a partner of the same name in A and B: {some(alone)}")


# Files -> pairs ---------------------------------------------------------------------------------------------------


def side_by_side(path: Path, form: Form) -> np.ndarray:
    """Return the left and the right half of a file, (2 C, size, size).

    Raise `UserError` if it cannot be cut into two halves.
    """
    with opened(path) as picture:
        width, height = picture.size
        if width % 2 or width <= height:
            raise UserError(
                f"{path} is {width} x {height}: two pictures side by side have an even width, more than their height; "
                "or put them in folders A and B"
            )
        halves = picture.crop((0, 0, width // 2, height)), picture.crop((width // 2, 0, width, height))
        return np.concatenate([in_form(half, _half(form)) for half in halves])


def in_two_files(partners: Mapping[Path, Path]) -> Reader:
    """Return a reader of a file and its partner, (2 C, size, size). It raises `UserError` if their sizes differ."""

    def read(path: Path, form: Form) -> np.ndarray:
        first, pixels = _sized(path, _half(form))
        second, partner = _sized(partners[path], _half(form))
        if first != second:
            sizes = [f"{width} x {height}" for width, height in (first, second)]
            raise UserError(f"{path} is {sizes[0]} and {partners[path]} is {sizes[1]}: a pair must be of one size")
        return np.concatenate([pixels, partner])

    return read


def _sized(path: Path, form: Form) -> tuple[tuple[int, int], np.ndarray]:
    """Return a picture's own size, and the picture in its form.

    An error names the file, because a pair has the name of its picture A.
    """
    try:
        with opened(path) as picture:
            return picture.size, in_form(picture, form)
    except Exception as error:  # a broken file makes Pillow's plug-ins raise nearly anything
        raise ValueError(f"{path}: {error}") from error


def _half(form: Form) -> Form:
    return replace(form, channels=form.channels // 2)
