"""A visitor's request of a model, within bounds. The browser is not trusted: every number is checked here."""

from __future__ import annotations

import base64
import binascii
import re
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError
from ganlab.sampling.gallery import WORDS, Request, opened_picture

MOST_PICTURES = 32
MOST_LETTERS = 300  # of a caption
MOST_SEED = 2**32 - 1
MOST_BYTES = 5_000_000  # of a picture that is dropped
MOST_WAITING = 16  # requests in the queue
STEPS = (20, 300)  # of a search for a picture
TRUNCATION = (0.0, 2.0)
PICTURE = re.compile(r"data:image/[\w.+-]{1,40};base64,")


def number(name: str, value: Any, least: float, most: float) -> float:
    """Return a number. Raise `UserError` if it is none, or out of bounds."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise UserError(f"{name} must be a number from {least:,} to {most:,}")
    return value


def whole(name: str, value: Any, least: int, most: int) -> int:
    """Return a whole number. Raise `UserError` if it is none, or out of bounds."""
    found = number(name, value, least, most)
    if found != int(found):
        raise UserError(f"{name} must be a whole number")
    return int(found)


def seed_of(value: Any) -> int:
    """Return a seed that leaves room for the seeds after it. Raise `UserError`."""
    return whole("seed", value, 0, MOST_SEED - MOST_PICTURES)


def caption(value: Any) -> str:
    """Return a caption, or a class by its name. Raise `UserError` if it is empty or too long."""
    if not isinstance(value, str) or not value.strip():
        raise UserError("write a caption first")
    if len(value) > MOST_LETTERS:
        raise UserError(f"a caption has {MOST_LETTERS} letters at most, this one has {len(value)}")
    return value.strip()


def request(module: GenerativeModule, said: Sequence[Any], count: Any, seed: Any) -> Request:
    """Return the request for `count` pictures of each caption or class in `said`; for none, of the data's own prompts.

    Raise `UserError` if it is out of bounds.
    """
    count = whole("the number of pictures", count, 1, MOST_PICTURES)
    return Request.of(module.spec, _words(module, said), count, seed_of(seed))


def _words(module: GenerativeModule, said: Sequence[Any]) -> Mapping[str, list[str]]:
    name = WORDS.get(module.spec.kind)
    return {name: [caption(one) for one in said]} if name in ("text", "label") else {}


def picture(module: GenerativeModule, value: Any) -> Tensor:
    """Return a dropped or drawn picture in the model's form: uint8 (C, size, size). Raise `UserError`.

    value: the picture's file as a data URL. It is decoded like a picture of the data (`ganlab.data.decode`), which
    bounds its pixels.
    """
    start = PICTURE.match(value) if isinstance(value, str) else None
    if start is None:
        raise UserError("drop a picture first")
    if len(value) > MOST_BYTES * 4 / 3 + start.end() + 4:
        raise UserError(f"a picture has {MOST_BYTES / 1e6:.0f} MB at most")
    try:
        content = base64.b64decode(value[start.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise UserError("this is no picture that can be opened") from error
    with tempfile.NamedTemporaryFile(prefix="ganlab-") as file:
        file.write(content)
        file.flush()
        try:
            return opened_picture("picture", file.name, module.spec.shape)
        except UserError as error:
            raise UserError(f"this is no picture that can be opened: {error.__cause__}") from error
