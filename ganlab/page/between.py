"""The tab that walks between two seeds and two captions or classes: by sliders, or with the mouse on a pad."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr
import torch

from ganlab.data.batch import take
from ganlab.latents.points import Point, pictures
from ganlab.latents.walks import slerp
from ganlab.page import figures
from ganlab.page.events import on, told
from ganlab.page.fields import condition_field, seed_field, truncation_field
from ganlab.page.model import Model
from ganlab.page.opinion import MATCH, Answer
from ganlab.page.wish import TRUNCATION, number, request, seed_of
from ganlab.sampling.drawing import latents
from ganlab.sampling.gallery import Request, strange_words

LARGE = 220  # CSS pixels of the picture

PAD = """\
<div class="pad" role="img" aria-label="move here: left to right between the seeds, up and down between the conditions">
<span class="a">A</span><span class="b">B</span><span class="s">first seed</span><span class="t">second seed</span>
<i></i></div>"""

MOVING = """
const pad = element.querySelector(".pad"), dot = pad.querySelector("i");
let held = false;
const move = event => {
  const box = pad.getBoundingClientRect();
  const share = (at, from, size) => Math.min(1, Math.max(0, (at - from) / size)).toFixed(2);
  const x = share(event.clientX, box.left, box.width), y = share(event.clientY, box.top, box.height);
  dot.style.left = 100 * x + "%";
  dot.style.top = 100 * y + "%";
  props.value = x + "," + y;
  trigger("input");
};
pad.addEventListener("pointerdown", event => { held = true; pad.setPointerCapture(event.pointerId); move(event); });
pad.addEventListener("pointermove", event => { if (held) move(event); });
pad.addEventListener("pointerup", () => { held = false; });
pad.addEventListener("pointercancel", () => { held = false; });
"""


def tab(models: Sequence[Model], page: gr.Blocks) -> None:
    """Add the form, the pad and the picture."""
    spec = models[0].module.spec
    both = spec.kind != "none"
    with gr.Row(elem_classes="page-form"):
        with gr.Column(scale=1, min_width=300):
            ends = [condition_field(spec, f"between-{end}", f"{end}", nth) for nth, end in enumerate("AB")]
            towards = gr.Slider(0, 1, 0.5, step=0.01, label="from A to B", visible=both, elem_classes="towards")
            with gr.Row():
                seeds = [
                    seed_field(f"between-seed-{n}", f"{word} seed", n) for n, word in enumerate(("first", "second"))
                ]
            way = gr.Slider(0, 1, 0, step=0.01, label="from the first to the second seed", elem_classes="way")
            truncation = truncation_field()
            go = gr.Button("Draw", variant="primary", elem_classes="between-go")
        with gr.Column(scale=3, min_width=300), gr.Row():
            with gr.Column(min_width=240):
                pad = gr.HTML("0,0.5", html_template=PAD, js_on_load=MOVING, elem_classes="walk-pad", visible=both)
            with gr.Column(min_width=240, scale=2):
                shown = gr.HTML(elem_classes="walked")
    pad.input(None, pad, [way, towards], js="at => at.split(',').map(Number)", show_progress="hidden")
    inputs = [*ends, towards, *seeds, way, truncation]
    act = told(lambda *values: walked(models, *values))
    changes = [way.change, towards.change, truncation.change]
    on([page.load, go.click, *changes], act, inputs, shown, trigger_mode="always_last", show_progress="hidden")


def walked(
    models: Sequence[Model], one: Any, other: Any, towards: Any, first: Any, second: Any, way: Any, truncation: Any
) -> Iterator[str]:
    """Yield the picture between two conditions and two seeds as HTML, once for each model. Raise `UserError`.

    towards, way: shares from 0 to 1. At 0 and 1 the pictures are those of `ganlab.sample`.
    """
    shares = number("from A to B", towards, 0, 1), number("from seed to seed", way, 0, 1)
    truncated = number("truncation", truncation, *TRUNCATION)
    shown: dict[str, str] = {}
    for model in models:
        asked = request(model.module, [one, other], 1, 0)
        point = between(model, asked, [seed_of(first), seed_of(second)], *shares)
        (image,) = pictures(model.module, [point], truncated)
        found = figures.figure(image, said_of(shares), answers(model, image, asked))
        warning = strange_words(model.module, asked.titles)
        shown[model.name] = figures.grid([found], LARGE) + figures.note(warning) + figures.note(model.silent)
        yield figures.columns(shown)


def said_of(shares: tuple[float, float]) -> str:
    """Return the place between the ends in words."""
    return f"{shares[0]:.0%} from A to B, {shares[1]:.0%} from seed to seed"


def between(model: Model, ends: Request, seeds: Sequence[int], towards: float, way: float) -> Point:
    """Return the point: latents on an arc, conditions on a straight line between their embeddings."""
    first, second = latents(model.module, seeds).split(1)
    latent = slerp(first, second, way)
    if ends.condition is None:
        return Point(latent)
    one, other = take(ends.condition, [0]), take(ends.condition, [1])
    if towards in (0, 1) or ends.titles[0] == ends.titles[1]:
        return Point(latent, other if towards == 1 else one)
    return Point(latent, one, other, towards)


def answers(model: Model, image: torch.Tensor, ends: Request) -> list[tuple[str, float, bool]]:
    """Return the discriminator's answers for either end: those on the picture alone once, the others for A and B."""
    if ends.condition is None:
        return figures.rows(model.opinion(image[None], None), 1)[0]
    judged = [model.opinion(image[None], take(ends.condition, [row])) for row in (0, 1)]
    found: list[Answer] = []
    for one, other in zip(*judged, strict=True):
        if torch.equal(one.values, other.values) and one.question != MATCH:
            found.append(one)
        else:
            name = figures.QUESTIONS.get(one.question, one.question)
            found += [
                Answer(f"{name} {end}", each.values, each.chance) for end, each in zip("AB", (one, other), strict=True)
            ]
    return figures.rows(found, 1)[0]
