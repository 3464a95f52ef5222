"""The commands that go on with a run. They work as they are printed: with `allow=` if the run needs it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ganlab.config.trust import allowances


def next_commands(path: str, recipe: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the commands that draw from a run, measure it, and go on with it."""
    run = shlex.quote(path)
    needed = allowances(recipe)
    further = _further(summary.get("iterations") or 1, (recipe.get("trainer") or {}).get("max_steps"))
    allow = f" allow={shlex.quote('[' + ','.join(needed) + ']')}" if needed else ""
    return {
        "sample": f"python -m ganlab.sample checkpoint={run}{_condition(summary)} count=16{allow}",
        "evaluate": f"python -m ganlab.evaluate checkpoint={run}{allow}",
        "resume": f"python -m ganlab.fit resume={run}{further}{allow}",
    }


def _further(done: int, planned: Any) -> str:
    """Return the setting that makes a run twice as long; "" if it has not ended yet, because then it goes on anyway."""
    ended = isinstance(planned, int) and 0 <= planned <= done
    return f" trainer.max_steps={2 * done}" if ended or planned is None else ""


def _condition(summary: Mapping[str, Any]) -> str:
    """Return the setting that says what to draw, with a caption that the data have."""
    caption = str(summary.get("example") or "...")
    return {"text": f" text={shlex.quote(caption)}", "class": " label=0"}.get(str(summary.get("condition")), "")
