"""Words of captions. Vocabularies are plain lists of words, which a checkpoint can store."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain, islice

WORD = re.compile(r"[^\W_]+")


def tokenize(caption: str) -> list[str]:
    """Return the caption's words in lower case: runs of letters and digits of any script.

    >>> tokenize("A red-haired Woman, 3 ÉCLAIRS!")
    ['a', 'red', 'haired', 'woman', '3', 'éclairs']
    """
    return WORD.findall(unicodedata.normalize("NFKC", caption).lower())


def distinct(captions: Iterable[str]) -> list[str]:
    """Return each caption once, the most frequent first, then in the order given.

    >>> distinct(["an apple", "a pear", "a pear"])
    ['a pear', 'an apple']
    """
    return [caption for caption, _ in Counter(captions).most_common()]


def members(wordings: Iterable[Sequence[str]], captions: Sequence[str], limit: int) -> dict[str, list[int]]:
    """Return, for at most `limit` captions that several pictures share, the places in `captions` of their first ones.

    wordings: all captions of each picture. Those that are in `captions` themselves are left out.

    >>> members([["an apple", "a fruit"], ["a pear", "a fruit"], ["a car"]], ["an apple", "a car", "a pear"], 10)
    {'a fruit': [0, 2]}
    """
    place = {caption: number for number, caption in enumerate(captions)}
    pictures: dict[str, list[int]] = {}
    for first, *others in wordings:
        for caption in dict.fromkeys(others):
            if caption not in place and first in place:
                pictures.setdefault(caption, []).append(place[first])
    several = ((caption, found) for caption, found in pictures.items() if len(found) > 1)
    return {caption: sorted(set(found)) for caption, found in islice(several, limit)}


def vocabulary(captions: Iterable[str], limit: int = 10_000) -> list[str]:
    """Return the `limit` most frequent words, most frequent first, then in alphabetical order.

    >>> vocabulary(["a red apple", "a green apple"])
    ['a', 'apple', 'green', 'red']
    """
    counts = Counter(chain.from_iterable(map(tokenize, captions)))
    return sorted(counts, key=lambda word: (-counts[word], word))[:limit]
