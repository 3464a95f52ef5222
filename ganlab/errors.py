"""The error for bad input: one line, no traceback, exit code 2."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence


class UserError(ValueError):
    """Bad input. The message is one line: the setting, the place, the allowed values, the remedy."""


def nearest(word: str, words: Iterable[str]) -> str:
    """Return the word most similar to `word`, or an empty string if none is similar.

    >>> nearest("devcies", ["devices", "strategy"])
    'devices'
    """
    return next(iter(difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)), "")


def suggestion(word: str, words: Sequence[str], prefix: str = "") -> str:
    """Return the end of a message about a wrong word: the nearest right one, and all right ones.

    >>> suggestion("hinj", ["hinge", "minimax"], "objective=")
    'did you mean `objective=hinge`? (there are hinge, minimax)'
    """
    right = nearest(word, words)
    everything = ", ".join(words) if words else "none"
    return f"did you mean `{prefix}{right}`? (there are {everything})" if right else f"there are {everything}"
