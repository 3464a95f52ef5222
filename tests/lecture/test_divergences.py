"""The f-GAN experiment's exact values, its reading of them, and what the committed numbers must bear out."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch

from ganlab.lecture import divergences
from ganlab.objectives import FGAN

NUMBERS = Path(__file__).parent.parent.parent / "docs" / "lecture" / "pictures" / "divergences.json"


def test_exact_values_are_the_closed_forms():
    """KL(N(0,1) || N(m, s^2)) = log s + (1 + m^2) / 2 s^2 - 1/2; squared Hellinger 2 - 2 exp(-m^2 / 8) at s = 1."""
    kl = math.log(1.3) + (1 + 0.7**2) / (2 * 1.3**2) - 0.5
    assert divergences.exact(FGAN("kl").f, 0.7, 1.3) == pytest.approx(kl, abs=1e-9)
    hellinger = divergences.exact(FGAN("squared_hellinger").f, 2.0, 1.0)
    assert hellinger == pytest.approx(2 - 2 * math.exp(-0.5), abs=1e-9)


def test_neymans_tail():
    """q^2 / p is a Gaussian of mean 0.7 / (2 - 1.69) x 2 = 4.516 and variance 1.69 / (2 - 1.69) = 5.45."""
    center, scale = 2 * 0.7 / (2 - 1.69), math.sqrt(1.69 / (2 - 1.69))
    above, below = (0.5 * math.erfc(d / scale / math.sqrt(2)) for d in (5 - center, 5 + center))
    assert divergences.beyond(5.0) == pytest.approx(above + below, abs=1e-4)


def test_a_short_training_reads_the_curve(monkeypatch):
    """One number a look, and the last from all held-out samples: near 2 JSD = 0.6737 after 200 turns."""
    torch.manual_seed(0)
    monkeypatch.setattr(divergences, "LOOKS", (50, 200))
    monkeypatch.setattr(divergences, "HELD_OUT", 200_000)
    curve = divergences.readings(FGAN("js"), divergences.normal(0.0, 1.0), divergences.normal(2.0, 1.0))
    assert len(curve) == 2 and curve[-1] == pytest.approx(0.6737, rel=0.05)


@pytest.mark.parametrize("name", ["total variation", "KL", "reverse KL", "Pearson", "squared Hellinger"])
def test_committed_readings_are_exact_to_five_percent(name):
    row = json.loads(NUMBERS.read_text())["numbers"]["p_and_q"][name]
    assert abs(row["held_out"] / row["exact"] - 1) < 0.05


@pytest.mark.parametrize("name", ["JS", "GAN"])
def test_committed_readings_of_shifted_gaussians_are_exact_to_five_percent(name):
    """2 JSD, and 2 JSD - log 4, of which the error is that of JSD."""
    shifted = json.loads(NUMBERS.read_text())["numbers"]["shifted"][name]
    for distance, jsd in (("0.5", 0.030311), ("1", 0.111421), ("2", 0.336831), ("4", 0.632720)):
        row = shifted[distance]
        least = -math.log(4) if name == "GAN" else 0.0
        assert row["exact"] == pytest.approx(2 * jsd + least, abs=3e-6)
        assert (row["held_out"] - least) / 2 == pytest.approx(jsd, rel=0.05)
        assert row["held_out"] == pytest.approx(row["exact"], rel=0.05)
