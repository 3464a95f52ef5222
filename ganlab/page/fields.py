"""Fields that several forms have."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ganlab.data.base import DataSpec
from ganlab.page.wish import MOST_LETTERS, MOST_PICTURES, MOST_SEED, TRUNCATION

ANY = "empty: any of the data's own"


def condition_field(spec: DataSpec, name: str, label: str = "", nth: int = 0, empty: bool = False) -> Any:
    """Return the field for a caption or a class. It is hidden if the model takes neither.

    nth: the number of the prompt that it shows. empty: whether it may be empty, which it then is at first.
    """
    prompts = list(spec.prompts) or [""]
    first = prompts[nth % len(prompts)]
    if spec.kind == "class":
        value = spec.classes[nth % len(spec.classes)]
        choices = [(ANY, ""), *((one, one) for one in spec.classes)] if empty else list(spec.classes)
        return gr.Dropdown(choices, value="" if empty else value, label=label or "class", elem_classes=name)
    return gr.Textbox(
        first if spec.kind == "text" and not empty else "",
        placeholder=ANY if empty else None,
        label=label or "caption",
        max_length=MOST_LETTERS,
        visible=spec.kind == "text",
        elem_classes=name,
    )


def seed_field(name: str, label: str = "first seed", value: int = 0) -> Any:
    """Return the field for a seed."""
    return gr.Number(
        value, label=label, precision=0, min_width=110, minimum=0, maximum=MOST_SEED - MOST_PICTURES, elem_classes=name
    )


def truncation_field() -> Any:
    """Return the field for truncation."""
    return gr.Slider(*TRUNCATION, 1.0, step=0.05, label="truncation", info="1: none; less: more typical, less varied")
