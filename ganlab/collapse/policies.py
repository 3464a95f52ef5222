"""Policies for an alarm: continue, stop, or go back to the last healthy checkpoint (see `rollback`)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl

from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError


class Policy(ABC):
    """A policy for alarms. Every process calls each method at the same iteration.

    The state methods do nothing by default, for policies without state.
    """

    @abstractmethod
    def act(self, trainer: pl.Trainer, module: GenerativeModule, why: str) -> str:
        """Answer an alarm of the kind `why`, and return a short description of the answer."""

    def start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # noqa: B027
        """Restore the changes of earlier answers when a run starts or resumes."""

    def after_first_iteration(self, trainer: pl.Trainer) -> None:  # noqa: B027
        """Handle the first iteration after a run started or resumed."""

    def after_healthy_look(self, trainer: pl.Trainer) -> None:  # noqa: B027
        """Handle a state that is worth keeping."""

    def state(self) -> dict[str, Any]:
        """Return what a checkpoint stores."""
        return {}

    def load(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Restore what `state` returned, of this policy or of the one that the run had before."""


class Warn(Policy):
    """The policy that does nothing."""

    def act(self, trainer: pl.Trainer, module: GenerativeModule, why: str) -> str:
        """Do nothing."""
        return "the run goes on (on_collapse=stop or rollback would do something)"


class Stop(Policy):
    """The policy that ends the run after the iteration, as Ctrl-C does."""

    def act(self, trainer: pl.Trainer, module: GenerativeModule, why: str) -> str:
        """Stop the trainer."""
        trainer.should_stop = True
        return f"stopping at iteration {trainer.global_step}"


def make_policy(name: str, rollback: Callable[[], Policy]) -> Policy:
    """Return the policy warn, stop or rollback. Raise `UserError` for another name.

    rollback: makes the policy of this name. It is called only if that one is chosen.
    """
    policies: dict[str, Callable[[], Policy]] = {"warn": Warn, "stop": Stop, "rollback": rollback}
    if name not in policies:
        raise UserError(f"`on_collapse` must be warn, stop or rollback, got {name!r}")
    return policies[name]()
