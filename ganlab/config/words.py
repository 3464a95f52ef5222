"""The words of a command line as names: of a run, of its folder, of a row in a table. Plain Python."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ganlab.config.command import split

OVERRIDES = "overrides"
"""The key of a composed recipe that lists the words of its command, `recipe=ring` first."""

ORIGIN = "origin"
"""The key of a recipe, and the field of a protocol, that says which model a run started from.

It is no condition of a measurement, so two numbers compare if their origins differ.
"""

NOT_SETTINGS = ("run_dir", "resume", "allow", "ganlab", "hydra")
"""The first parts of keys that say how a command runs, and not which run it is."""

LONGEST_NAME = 80  # characters of a folder's name
MOST_WORDS, LONGEST_WORD = 200, 1_000


def settings(words: Iterable[str]) -> dict[str, str]:
    """Return the values of settings by their keys, as they were typed, without Hydra's signs. Later ones count.

    >>> settings(["recipe=ring", "++trainer.max_steps=3", "run_dir=x", "seed=1", "seed=2"])
    {'recipe': 'ring', 'trainer.max_steps': '3', 'seed': '2'}
    """
    pairs = (split(word.lstrip("+")) for word in words)
    return {key: value for key, value in pairs if re.split(r"[./@]", key.lstrip("~"))[0] not in NOT_SETTINGS}


def joined(words: Iterable[str]) -> list[str]:
    """Return words as they could be typed again: each setting once, without those that only say how it runs.

    >>> joined(["recipe=ring", "seed=1", "~objective", "++seed=2"])
    ['recipe=ring', 'seed=2', '~objective']
    """
    return [f"{key}={value}" if value or not key.startswith("~") else key for key, value in settings(words).items()]


def stored(recipe: Mapping[str, Any]) -> list[str]:
    """Return the words in a stored recipe. Drop those that are none: somebody else may have written the recipe."""
    words = recipe.get(OVERRIDES)
    given = words[:MOST_WORDS] if isinstance(words, list) else []
    return [word for word in given if isinstance(word, str) and _is_safe(word)]


def _is_safe(word: str) -> bool:
    return len(word) <= LONGEST_WORD and word.isprintable() and "${" not in word


def short_keys(keys: Iterable[str]) -> dict[str, str]:
    """Return the shortest end of each dotted key that no other key has.

    >>> short_keys(["trainer.max_steps", "generator.optimizer.lr", "discriminator.optimizer.lr"])
    {'trainer.max_steps': 'max_steps', 'generator.optimizer.lr': 'generator.optimizer.lr', \
'discriminator.optimizer.lr': 'discriminator.optimizer.lr'}
    """
    parts = {key: key.split(".") for key in keys}

    def ends(key: str, length: int) -> str:
        return ".".join(parts[key][-length:])

    def shortest(key: str) -> str:
        lengths = range(1, len(parts[key]))
        unique = (n for n in lengths if all(ends(key, n) != ends(other, n) for other in parts if other != key))
        return ends(key, next(unique, len(parts[key])))

    return {key: shortest(key) for key in parts}


def label(said: Mapping[str, str], keys: Sequence[str] | None = None) -> str:
    """Return settings as one readable line, their keys as short as they can be.

    >>> label({"objective": "hinge", "trainer.max_steps": "300"})
    'objective=hinge max_steps=300'
    """
    chosen = list(said) if keys is None else [key for key in keys if key in said]
    short = short_keys(chosen)
    return " ".join(f"{short[key]}={said[key]}" for key in chosen)


def folder_name(said: Mapping[str, str]) -> str:
    """Return settings as the name of a folder: letters, digits, `_`, `-` and `.` only, and not too long.

    >>> folder_name({"objective": "hinge", "trainer.max_steps": "300"}), folder_name({"regularizer": "[r1,r2]"})
    ('objective-hinge_max_steps-300', 'regularizer-r1-r2')
    """
    short = short_keys(said)
    parts = (f"{short[key]}-{re.sub(r'[^A-Za-z0-9.]+', '-', value).strip('-.')}" for key, value in said.items())
    name = "_".join(re.sub(r"[^\w.-]+", "-", part).strip("-~") for part in parts)
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"
