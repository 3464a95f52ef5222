"""The tab of models that turn pictures into pictures: the visitor draws or drops an outline, and sees the result."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from ganlab.page import figures
from ganlab.page.easel import easel
from ganlab.page.events import BOUNDED, RANDOM_SEED, on, told
from ganlab.page.fields import seed_field
from ganlab.page.model import Model
from ganlab.page.wish import MOST_PICTURES, picture, seed_of, whole
from ganlab.sampling.gallery import Request


def tab(models: Sequence[Model], page: gr.Blocks) -> None:
    """Add the square to draw on, the form and the pictures."""
    with gr.Row(elem_classes="page-form"):
        with gr.Column(scale=1, min_width=300):
            gr.Markdown("Draw an outline, or drop a picture.")
            outline = easel("drawn-outline", models[0].module.spec.shape[-1], draws=True)
            count = gr.Slider(1, MOST_PICTURES, 2, step=1, label="pictures")
            seed = seed_field("colour-seed")
            with gr.Row():
                go = gr.Button("Draw", variant="primary", min_width=110, elem_classes="colour-go")
                other = gr.Button("Other seeds", min_width=110, elem_classes="colour-other")
        with gr.Column(scale=3, min_width=300):
            shown = gr.HTML(elem_classes="coloured")
    inputs = [outline, count, seed]
    act = told(lambda *values: coloured(models, *values))

    def at_once(*values: Any) -> Iterator[str]:
        yield from act(*values) if values[0] else [""]

    on([go.click], act, inputs, shown)
    on([outline.input], at_once, inputs, shown, trigger_mode="always_last")
    other.click(None, None, seed, js=RANDOM_SEED).then(act, inputs, shown, **BOUNDED)


def coloured(models: Sequence[Model], outline: Any, count: Any, seed: Any) -> Iterator[str]:
    """Yield the pictures made of an outline as HTML, once for each model that has drawn. Raise `UserError`."""
    count, seed = whole("the number of pictures", count, 1, MOST_PICTURES), seed_of(seed)
    shown: dict[str, str] = {}
    for model in models:
        given = picture(model.module, outline)
        asked = Request([""] * count, given.expand(count, *given.shape), [seed + i for i in range(count)])
        images = model.draw(asked)
        answers = figures.rows(model.opinion(images, asked.condition), count)
        each = zip(images, asked.seeds, answers, strict=True)
        found = [figures.figure(image, f"seed {seed}", answer) for image, seed, answer in each]
        shown[model.name] = figures.grid([figures.figure(given, "your picture"), *found]) + figures.note(model.silent)
        yield figures.columns(shown)
