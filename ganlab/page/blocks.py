"""The whole page: one set of tabs for each kind of model, models of one kind side by side."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import gradio as gr

from ganlab.page import between, colouring, drawing, finding
from ganlab.page.model import Model

TITLE = "ganlab"
FORMS = {"none": "pictures", "class": "classes", "text": "captions", "image": "picture to picture"}


def build(models: Sequence[Model]) -> gr.Blocks:
    """Return the page of some models."""
    with gr.Blocks(title=TITLE, analytics_enabled=False) as page:
        gr.Markdown(f"# {TITLE}\n{', '.join(model.name for model in models)}", elem_id="head")
        groups = groups_of(models)
        if len(groups) == 1:
            tabs(groups[0], page)
            return page
        with gr.Tabs():
            for group in groups:
                with gr.Tab(title_of(group)):
                    tabs(group, page)
    return page


def groups_of(models: Sequence[Model]) -> list[list[Model]]:
    """Return the models by kind, each kind in the order of the command line."""
    kinds = list(dict.fromkeys(model.kind for model in models))
    ordered = sorted(models, key=lambda model: kinds.index(model.kind))
    return [list(group) for _, group in groupby(ordered, key=lambda model: model.kind)]


def title_of(group: Sequence[Model]) -> str:
    """Return the name of a group's tab: what its models take, and the one model or their number."""
    which = group[0].name if len(group) == 1 else f"{len(group)} models"
    return f"{FORMS[group[0].module.spec.kind]}: {which}"


def tabs(models: Sequence[Model], page: gr.Blocks) -> None:
    """Add the tabs of models of one kind."""
    if models[0].module.spec.kind == "image":
        colouring.tab(models, page)
        return
    with gr.Tabs():
        for name, part in {"Draw": drawing, "Between two": between, "Find a picture": finding}.items():
            with gr.Tab(name):
                part.tab(models, page)
