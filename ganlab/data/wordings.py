"""Captions of an emoji: its Unicode name in a few sentences, its aliases and keywords, and the kind of thing it is.

Aliases come from the package emoji, keywords from Unicode's CLDR (keywords.tsv). A phrase counts as another name of a
concept only if no other concept has it, so training never names a held-out concept. The templates differ from those
of `benchmarks/wordings.py`, except for "a ...". A kind, such as "an animal", is a caption of many drawings, and the
only one that several concepts share: what a generator draws for it should vary.
"""

from __future__ import annotations

import random
import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from ganlab.data.openmoji import SIDED, Emoji, emoji_list

KEYWORDS = Path(__file__).with_name("keywords.tsv")
MODIFIERS = re.compile("[\ufe0f\U0001f3fb-\U0001f3ff]")  # variation selectors and skin tones
PHRASE = re.compile(r"[A-Za-z][A-Za-z' -]{2,}")  # no emoticons, abbreviations of two letters or numbers
PLURAL = re.compile(r"[^siu]s$")  # matches grapes, but not glass, cactus or tennis
COLOURS = "light blue|red|orange|yellow|green|blue|purple|brown|black|white|grey|pink"
COLOURED = re.compile(rf"({COLOURS}) ((?:\w+ )*\w+)")
NAMES, RELATED = 3, 3  # the most phrases of a concept's own, and the most shared keywords beside its name
ASKED, TINTED = 4, 4  # the number of sentences of each of the next two lists that a name gets

KINDS: Mapping[str, Collection[str]] = {
    "an animal": ("animal",),
    "an insect": ("insect",),
    "a plant": ("plant",),
    "a fruit": ("fruit",),
    "a vegetable": ("vegetable",),
    "something to eat": ("food", "dessert", "restaurant"),
    "something to drink": ("drink", "beverage"),
    "a vehicle": ("vehicle",),
    "a building": ("building",),
    "a piece of clothing": ("clothing", "clothes"),
    "a musical instrument": ("instrument",),
    "the weather": ("weather",),
}
"""Kinds, and the words among a drawing's keywords that mark them. No kind is the name of a drawing."""

NAMED: Mapping[str, Collection[str]] = {
    "a face": ("face",),
    "people": ("man", "woman", "person", "boy", "girl", "men", "women", "people", "couple", "family"),
    "a hand": ("hand", "hands", "fist", "finger", "thumbs"),
    "a heart": ("heart", "hearts"),
}
"""Kinds, and the words of a drawing's name that mark them. A drawing is of the first that fits, and of no other kind.

Keywords do not tell: those of a house name hearts, as home is where the heart is.
"""

REQUESTS = (
    "{a}{name} on its own",
    "an emoji of {a}{name}",
    "an icon that shows {a}{name}",
    "an image of {a}{name}",
    "can I have {a}{name}?",
    "could you make {a}{name}",
    "give us {a}{name}",
    "here is {a}{name}",
    "I want {a}{name}",
    "just {a}{name}",
    "let me see {a}{name}",
    "look at the {name}",
    "make {a}{name} now",
    "one {name}",
    "paint {a}{name} for me",
    "show {a}{name}",
    "some {name}",
    "there is {a}{name} here",
    "this is {a}{name}",
    "we see {a}{name}",
)
"""Sentences about any name. Each name gets `ASKED` of them, which its letters choose."""

TINTS = (
    "{a}{noun} coloured {colour}",
    "{a}{noun} painted {colour}",
    "{a}{noun} whose colour is {colour}",
    "{a}{noun} with {colour} colour",
    "{colour}, the {noun}",
    "show the {noun} as {colour}",
    "the {noun} is {colour}",
    "the {noun} looks {colour}",
    "this {noun} should be {colour}",
    "{noun} ({colour})",
)
"""Sentences about a name that begins with a colour. Each name gets `TINTED` of them."""


def wordings(one: Emoji, most: int) -> list[str]:
    """Return up to `most` different captions of a drawing, its Unicode name first.

    The order is: the name, its kinds, its name in other orders, phrases of its own, the name with its keywords,
    sentences.
    """
    name = one.caption
    coloured = _by_colour(name) if COLOURED.fullmatch(name) else []
    own, shared = ([], []) if name.startswith("no ") else _phrases(one)
    related = [", ".join([name, *shared[:RELATED]])] if shared else []
    kinds = [] if name.startswith("no ") else kinds_of(one)
    every = [name, f"{_article(name)}{name}", *kinds, *coloured, *own[:NAMES], *related, *_sentences(name)]
    return list(dict.fromkeys(every))[:most]


def kinds_of(one: Emoji) -> list[str]:
    """Return what a drawing is one of: keys of `NAMED` and `KINDS`."""
    name, keywords = {*one.caption.lower().split()}, {phrase.lower() for phrase in _said_of(one)}
    named = [kind for kind, words in NAMED.items() if name & {*words}]
    return named[:1] or [kind for kind, words in KINDS.items() if keywords & {*words}]


def _sentences(name: str) -> list[str]:
    asked = [sentence.format(a=_article(name), name=name) for sentence in _chosen(REQUESTS, ASKED, name)]
    return [f"the {name}", f"a picture of {_article(name)}{name}", *asked]


def _by_colour(name: str) -> list[str]:
    """Return the name with its colour at the end.

    >>> for wording in _by_colour("red heart"):
    ...     print(wording)
    heart, red
    a heart of red colour
    this heart should be red
    a heart painted red
    a heart coloured red
    a heart whose colour is red
    """
    found = COLOURED.fullmatch(name)
    assert found is not None
    colour, noun = found.groups()
    said = [each.format(a=_article(noun), noun=noun, colour=colour) for each in _chosen(TINTS, TINTED, name)]
    return [f"{noun}, {colour}", f"{_article(noun)}{noun} of {colour} colour", *said]


def _chosen(sentences: Sequence[str], count: int, name: str) -> list[str]:
    """Return `count` of the sentences. They depend on the name alone."""
    return random.Random(name).sample(sentences, count)


def _article(name: str) -> str:
    """Return "a " or "an ", or "" before plurals and proper names.

    >>> [_article(name) + name for name in ("apple", "red heart", "grapes", "Statue of Liberty", "cactus")]
    ['an apple', 'a red heart', 'grapes', 'Statue of Liberty', 'a cactus']
    """
    if name[0].isupper() or PLURAL.search(name):
        return ""
    return "an " if name[0] in "aeiou" else "a "


def _phrases(one: Emoji) -> tuple[list[str], list[str]]:
    """Return the aliases and keywords that no other concept has, and those that are shared but name no concept.

    Both lists omit the name's own words, and "left" and "right", which would not fit a mirrored picture.
    """
    owners = _owners()
    new = [phrase for phrase in _said_of(one) if not {*phrase.lower().split()} <= {*one.caption.lower().split()}]
    own = [phrase for phrase in new if owners[phrase.lower()] == {one.concept}]
    return own, [phrase for phrase in new if len(owners[phrase.lower()]) > 1 and phrase.lower() not in _names()]


def _said_of(one: Emoji) -> list[str]:
    from emoji import EMOJI_DATA

    aliases = [alias.strip(":").replace("_", " ") for alias in EMOJI_DATA[one.text].get("alias", [])]
    phrases = [*aliases, *_keywords().get(MODIFIERS.sub("", one.text), ())]
    return [phrase for phrase in dict.fromkeys(phrases) if PHRASE.fullmatch(phrase) and not SIDED.search(phrase)]


@lru_cache(maxsize=1)
def _keywords() -> dict[str, list[str]]:
    lines = KEYWORDS.read_text(encoding="utf-8").splitlines()
    pairs = [line.split("\t") for line in lines if "\t" in line]
    return {text: words.split(" | ") for text, words in pairs}


@lru_cache(maxsize=1)
def _owners() -> dict[str, set[str]]:
    """Return the concepts of each phrase, over all emoji, whatever the options keep."""
    owners: dict[str, set[str]] = defaultdict(set)
    for one in emoji_list():
        for phrase in (one.caption, one.concept, *_said_of(one)):
            owners[phrase.lower()].add(one.concept)
    return owners


@lru_cache(maxsize=1)
def _names() -> Collection[str]:
    return {one.concept.lower() for one in emoji_list()}
