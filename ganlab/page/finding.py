"""The tab that finds the latent of a picture that the visitor drops, and shows the approach."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from ganlab.latents.projection import Search, State, project
from ganlab.page import figures
from ganlab.page.easel import easel
from ganlab.page.events import on, told
from ganlab.page.fields import condition_field
from ganlab.page.model import Model
from ganlab.page.wish import STEPS, picture, request, whole

TRIES, STARTS = 100, 4  # random latents, and those of them from which descent starts
SHOWN_EVERY = 10  # steps
LARGE = 180  # CSS pixels of a picture


def tab(models: Sequence[Model], page: gr.Blocks) -> None:
    """Add the square for the picture, the form and the approach."""
    spec = models[0].module.spec
    with gr.Row(elem_classes="page-form"):
        with gr.Column(scale=1, min_width=300):
            gr.Markdown("Drop a picture. The model looks for the latent of the nearest one.")
            goal = easel("goal", spec.shape[-1], draws=False)
            said = condition_field(spec, "find-said", empty=True)
            steps = gr.Slider(*STEPS, 100, step=10, label="steps")
            go = gr.Button("Find", variant="primary", elem_classes="find-go")
        with gr.Column(scale=3, min_width=300):
            shown = gr.HTML(elem_classes="found")
    on([go.click], told(lambda *values: found(models, *values)), [goal, said, steps], shown)


def found(models: Sequence[Model], goal: Any, said: Any, steps: Any) -> Iterator[str]:
    """Yield the goal beside the best picture so far as HTML, for one model after the other. Raise `UserError`."""
    search = Search(TRIES, STARTS, whole("steps", steps, *STEPS))
    shown: dict[str, str] = {}
    for model in models:
        wanted = picture(model.module, goal)
        asked = request(model.module, [said] if said else [], 1, 0)
        for state in project(model.module, wanted, asked.condition, search):
            if state.step % SHOWN_EVERY == 0 or state.step == state.steps:
                shown[model.name] = approach(model, wanted, state)
                yield figures.columns(shown)


def approach(model: Model, wanted: Any, state: State) -> str:
    """Return the goal and the best picture so far, with their distance and the discriminator's opinion of both."""
    condition = state.point.condition
    words = f"step {state.step} of {state.steps}: distance {state.distance:.3f}"
    each = {"your picture": wanted, words: state.picture}
    found = [
        figures.figure(one, said, figures.rows(model.opinion(one[None], condition), 1)[0]) for said, one in each.items()
    ]
    return figures.grid(found, LARGE)
