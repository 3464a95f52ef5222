"""Compose a recipe from words, check it, and build its objects.

`compose("recipe=vanilla", "seed=3")` gives the recipe as plain values, with all settings checked and nothing imported
that it names; `launch(function, words)` is the command line with all features of Hydra (sweeps, launchers, --cfg job);
`build(node)` makes the object that a node names. The words are read before Hydra is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ganlab.config.building import build, locate
from ganlab.config.command import Command, literal
from ganlab.config.stored import OWN, trusted
from ganlab.files.sweep_folder import SweepFolder

__all__ = ["OWN", "Recipe", "build", "compose", "launch", "literal", "locate", "to_yaml", "trusted"]

Recipe = dict[str, Any]
"""A composed recipe: plain values, references resolved; components are mappings with a `_target_`."""


def compose(*words: str) -> Recipe:
    """Return the checked recipe of these words, written as on the command line. Raise `UserError`."""
    command = Command.read(words)
    from ganlab.config import composing

    command = composing.prepared(command)
    return composing.composed(command, command.overrides)


def launch(function: Callable[[Recipe], Any], words: Sequence[str]) -> SweepFolder | None:
    """Run the function on the words' recipe, or on each of a sweep's. All are checked before the first starts.

    Return the folder of a sweep, else None.
    """
    command = Command.read(words)
    from ganlab.config import composing

    return composing.launch(function, composing.prepared(command))


def to_yaml(recipe: Mapping[str, Any]) -> str:
    """Return a recipe's text for a run's folder, without the command's own settings."""
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(OmegaConf.create({key: value for key, value in recipe.items() if key not in OWN}))
