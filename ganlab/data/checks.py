"""Checks of the settings that all sources of pictures share. They run before slow work begins."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganlab.errors import UserError

SIDES = range(8, 1025)  # below 8 nothing can be recognised; above 1024 no network here could be trained


def check_size(size: int | Sequence[int]) -> None:
    """Raise `UserError` unless `size` can be a picture's side in pixels, or its height and width.

    Networks that need a power of two, or a square, check that themselves.
    """
    both = [size, size] if isinstance(size, int) else list(size)
    if len(both) != 2 or not all(side in SIDES for side in both):
        raise UserError(
            f"`size` must be a whole number of pixels from 8 to 1024, or [height,width], got {size!r}: "
            "pass data.size=64"
        )


def check_fraction(held_out: float) -> None:
    """Raise `UserError` unless `held_out` is a fraction that leaves training data."""
    if not 0 <= held_out < 1:
        raise UserError(f"`held_out` must be a fraction, 0 <= held_out < 1, got {held_out}: pass data.held_out=0.1")


def check_channels(channels: int) -> None:
    """Raise `UserError` unless `channels` is 1 (grey) or 3 (RGB)."""
    if channels not in (1, 3):
        raise UserError(f"`channels` must be 1 (grey) or 3 (colour), got {channels!r}: pass data.channels=3")


def check_root(root: str | Path) -> Path:
    """Return a folder's path, with `~` expanded.

    Raise `UserError` unless it is a path: not empty, UTF-8, without NUL.
    """
    text = str(root)
    if not text.strip():
        raise UserError("`root` is empty: pass data.root=FOLDER")
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise UserError(f"`root` must be a path in UTF-8, got {text!r}: rename the folder")
    return Path(root).expanduser()
