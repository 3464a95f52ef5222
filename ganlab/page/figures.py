"""Pictures with captions as HTML. Every picture is inside it as a data URL, so the page reads no file."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from torch import Tensor

from ganlab.page.opinion import Answer
from ganlab.sampling.writing import encoded, native

QUESTIONS = {"realism": "real", "pair": "real pair", "match": "match"}
"""The words for the head's questions on the page."""


def image(picture: Tensor, words: str) -> str:
    """Return the <img> of a picture uint8 (C, H, W). Its bytes are those of the PNG that `ganlab.sample` writes."""
    content = base64.b64encode(encoded(native(picture))).decode()
    return f'<img src="data:image/png;base64,{content}" alt="{escape(words)}">'


def figure(picture: Tensor, words: str, answers: Sequence[tuple[str, float, bool]] = ()) -> str:
    """Return a picture, the words under it, and a line for each answer: its name, its value, if it is a probability."""
    lines = "".join(_line(*one) for one in answers)
    asked = f'<span class="answers">{lines}</span>' if answers else ""
    return f"<figure>{image(picture, words)}<figcaption>{escape(words)}{asked}</figcaption></figure>"


def _line(name: str, value: float, chance: bool) -> str:
    said = f"{value:.0%}" if chance else f"{value:+.1f}"
    bar = f'<i style="--share: {value:.1%}"></i>' if chance else "<s></s>"
    return f"<b>{escape(name)}</b>{bar}<em>{said}</em>"


def rows(answers: Sequence[Answer], count: int) -> list[list[tuple[str, float, bool]]]:
    """Return the answers of each of `count` pictures."""
    return [
        [(QUESTIONS.get(one.question, one.question), float(one.values[row]), one.chance) for one in answers]
        for row in range(count)
    ]


def grid(figures: Iterable[str], shown: int = 128) -> str:
    """Return figures as a grid. shown: the side of a picture on the page, in CSS pixels at least."""
    return f'<div class="pictures" style="--side: {shown}px">{"".join(figures)}</div>'


def note(words: str) -> str:
    """Return a line of words under the pictures; nothing for none."""
    return f'<p class="note">{escape(words)}</p>' if words else ""


def columns(shown: Mapping[str, str]) -> str:
    """Return the content of each model under its name, side by side. One model needs no name."""
    if len(shown) == 1:
        return f'<div class="models">{"".join(f"<section>{content}</section>" for content in shown.values())}</div>'
    parts = (f"<section><h3>{escape(name)}</h3>{content}</section>" for name, content in shown.items())
    return f'<div class="models">{"".join(parts)}</div>'
