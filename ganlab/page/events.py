"""The page's events: one runs at a time, a bounded number waits, and an error is one line for the visitor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import gradio as gr

from ganlab.errors import UserError

BOUNDED: dict[str, Any] = {
    "concurrency_limit": 1,
    "concurrency_id": "model",
    "api_visibility": "private",
    "show_progress": "minimal",
}
"""Models change while they draw between two conditions, so only one request runs at a time."""

RANDOM_SEED = "() => Math.floor(Math.random() * 1e6)"
"""JavaScript that returns a seed."""


def told(act: Callable[..., Iterator[str]]) -> Callable[..., Iterator[str]]:
    """Return the act. A `UserError` is shown to the visitor, any other error only as such."""

    def told_act(*values: Any) -> Iterator[str]:
        try:
            yield from act(*values)
        except UserError as error:
            raise gr.Error(str(error).replace("`", ""), print_exception=False) from error

    return told_act


def on(triggers: Sequence[Any], act: Callable[..., Iterator[str]], inputs: Any, shown: Any, **how: Any) -> None:
    """Let any of the triggers run the act."""
    gr.on(list(triggers), act, inputs, shown, **{**BOUNDED, **how})
