"""The tab that draws pictures of a caption or a class, by seeds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from ganlab.page import figures
from ganlab.page.events import BOUNDED, RANDOM_SEED, on, told
from ganlab.page.fields import condition_field, seed_field, truncation_field
from ganlab.page.model import Model
from ganlab.page.wish import MOST_PICTURES, TRUNCATION, number, request
from ganlab.sampling.gallery import strange_words
from ganlab.sampling.outcome import Outcome


def tab(models: Sequence[Model], page: gr.Blocks) -> None:
    """Add the form and the pictures."""
    unguided = next((model.unguided for model in models if model.unguided), "")
    with gr.Row(elem_classes="page-form"):
        with gr.Column(scale=1, min_width=300):
            said = condition_field(models[0].module.spec, "draw-said")
            count = gr.Slider(1, MOST_PICTURES, 8, step=1, label="pictures")
            seed = seed_field("draw-seed")
            truncation = truncation_field()
            guided = gr.Checkbox(
                label="guided by the discriminator",
                info=unguided or "rejection: it chooses among up to 200 candidates for each picture",
                interactive=not unguided,
                elem_classes="draw-guided",
            )
            with gr.Row():
                go = gr.Button("Draw", variant="primary", min_width=110, elem_classes="draw-go")
                other = gr.Button("Other seeds", min_width=110, elem_classes="draw-other")
        with gr.Column(scale=3, min_width=300):
            shown = gr.HTML(elem_classes="drawn")
    inputs = [said, count, seed, truncation, guided]
    act = told(lambda *values: drawn(models, *values))
    on([page.load, go.click, *([said.submit] if hasattr(said, "submit") else [])], act, inputs, shown)
    other.click(None, None, seed, js=RANDOM_SEED).then(act, inputs, shown, **BOUNDED)


def drawn(
    models: Sequence[Model], said: Any, count: Any, seed: Any, truncation: Any, guided: Any = False
) -> Iterator[str]:
    """Yield the pictures as HTML, once for each model that has drawn. Raise `UserError` for a wrong request."""
    shown: dict[str, str] = {}
    for model in models:
        asked = request(model.module, [said], count, seed)
        truncated = number("truncation", truncation, *TRUNCATION)
        outcome = model.choose(asked) if guided is True and not model.unguided else None
        images = model.draw(asked, truncated, None if outcome is None else outcome.latents)
        answers = figures.rows(model.opinion(images, asked.condition), len(images))
        each = zip(images, asked.seeds, answers, strict=True)
        found = [figures.figure(image, f"seed {seed}", answer) for image, seed, answer in each]
        notes = (strange_words(model.module, asked.titles[:1]), model.silent, said_of(outcome))
        shown[model.name] = figures.grid(found) + "".join(map(figures.note, notes))
        yield figures.columns(shown)


def said_of(outcome: Outcome | None) -> str:
    """Return how the discriminator chose, in words; "" if it did not choose."""
    if outcome is None:
        return ""
    accepted, proposed = int(outcome.accepted.sum()), int(outcome.proposed.sum())
    none = ": it refuses none, because it does not distinguish held-out from generated pictures"
    return f"The discriminator accepted {accepted} of {proposed} candidates{none if accepted == proposed else ''}."
