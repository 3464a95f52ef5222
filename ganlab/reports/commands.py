"""The commands that go on with a run. They work as they are printed: with `allow=` if the run needs it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from ganlab.config.trust import allowances

EXAMPLES = {"text": ' text="a red apple"', "class": " label=0"}


def next_commands(path: str, recipe: Mapping[str, Any], kind: str, iterations: int) -> dict[str, str]:
    """Return the commands that draw from a run, measure it, and go on with it.

    kind: of the data's condition. iterations: those that the run has taken.
    """
    run = shlex.quote(path)
    needed = allowances(recipe)
    allow = f" allow={shlex.quote('[' + ','.join(needed) + ']')}" if needed else ""
    return {
        "sample": f"python -m ganlab.sample checkpoint={run}{EXAMPLES.get(kind, '')} count=16{allow}",
        "evaluate": f"python -m ganlab.evaluate checkpoint={run}{allow}",
        "resume": f"python -m ganlab.fit resume={run} trainer.max_steps={2 * max(1, iterations)}{allow}",
    }
