"""Both generators of a run: the averaged one, which is shown and measured, and the live one, which plays."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

from ganlab.core.generative import GenerativeModule


@contextmanager
def live(module: GenerativeModule) -> Iterator[None]:
    """Inside, `module.sample` draws from a copy of the generator that plays, in evaluation mode and in float32."""
    average = module.average
    module.average = copy.deepcopy(module.generator).float().eval()
    try:
        yield
    finally:
        module.average = average


@contextmanager
def averaged(module: GenerativeModule) -> Iterator[None]:
    """Inside, `module.sample` draws from the average, as always."""
    yield


GENERATORS = {"averaged": averaged, "live": live}
"""By the names that series have."""
