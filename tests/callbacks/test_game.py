"""The game on held-out pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ganlab.callbacks.game import HeldOut

Make = Callable[..., Any]


def test_what_the_variant_reports_is_logged_every_few_iterations(
    vanilla: Make, noise: Make, run: Make, kept: Any
) -> None:
    module, data = vanilla(), noise()
    run(module, data, 11, HeldOut(every=5, count=40))
    assert kept.steps("held_out/divergence") == kept.steps("held_out/realism_accuracy") == [5, 10, 11]
    report = module.held_out_report(data.reference.batch(np.arange(40), np.random.default_rng(0)), 0)
    for name, value in report.items():
        assert kept.rows[11][f"held_out/{name}"] == pytest.approx(float(value))
