"""Both generators of a run: the averaged one, which is shown and measured, and the live one, which plays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ganlab.generative import GenerativeModule


@contextmanager
def live(module: GenerativeModule) -> Iterator[None]:
    """Inside, `module.sample` draws from the generator that plays, in evaluation mode. Outside, all is as it was.

    Every part's mode is put back by itself: some parts of a generator may have stopped learning.
    """
    average, modes = module.average, [(part, part.training) for part in module.generator.modules()]
    module.average = module.generator.eval()
    try:
        yield
    finally:
        module.average = average
        for part, training in modes:
            part.training = training


@contextmanager
def averaged(module: GenerativeModule) -> Iterator[None]:
    """Inside, `module.sample` draws from the average, as always."""
    yield


GENERATORS = {"averaged": averaged, "live": live}
"""By the names that series have."""
