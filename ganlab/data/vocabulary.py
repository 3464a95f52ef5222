"""Words of captions. Vocabularies are plain lists of words, which a checkpoint can store."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from itertools import chain

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


def shared(wordings: Iterable[Iterable[str]]) -> list[str]:
    """Return the captions that several of the pictures have, in order of appearance. wordings: those of each picture.

    >>> shared([["an apple", "a fruit"], ["a pear", "a fruit"]])
    ['a fruit']
    """
    counts = Counter(chain.from_iterable(dict.fromkeys(said) for said in wordings))
    return [caption for caption, count in counts.items() if count > 1]


def vocabulary(captions: Iterable[str], limit: int = 10_000) -> list[str]:
    """Return the `limit` most frequent words, most frequent first, then in alphabetical order.

    >>> vocabulary(["a red apple", "a green apple"])
    ['a', 'apple', 'green', 'red']
    """
    counts = Counter(chain.from_iterable(map(tokenize, captions)))
    return sorted(counts, key=lambda word: (-counts[word], word))[:limit]
