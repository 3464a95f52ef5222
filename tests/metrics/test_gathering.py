"""Gathering in batches is looking at everything at once, and keeps no more than it was told to."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from ganlab.metrics.fidelity import inception_score
from ganlab.metrics.gathering import Gathering, Sample, SplitScores


def drawn(count: int, columns: int, seed: int = 0) -> Tensor:
    return torch.randn(count, columns, generator=torch.Generator().manual_seed(seed))


def gathered(features: Tensor, logits: Tensor, size: int, most: int = 1000) -> Sample:
    gathering = Gathering(features.shape[1], len(features), logits.shape[1], most)
    labels = [str(i) for i in range(len(features))]
    for start in range(0, len(features), size):
        part = slice(start, start + size)
        gathering.add(features[part], logits[part], labels[part])
    return gathering.sample()


@pytest.mark.parametrize("size", [7, 64, 101])
def test_batches_change_nothing(size: int):
    features, logits = drawn(101, 6) + 30, drawn(101, 5, 1)
    whole = gathered(features, logits, size)
    expected = np.cov(features.double().numpy(), rowvar=False)
    np.testing.assert_allclose(whole.gaussian.covariance, expected, atol=1e-10)
    assert torch.equal(whole.features, features) and whole.whole and whole.labels[7] == "7"
    assert whole.scores is not None
    expected_scores = inception_score(logits, 10, torch.Generator().manual_seed(0))
    scores = whole.scores.scores()
    assert (float(scores.mean()), float(scores.std(correction=0))) == pytest.approx(expected_scores, rel=1e-12)


def test_what_is_kept_is_chosen_before_it_comes():
    features, logits = drawn(500, 6), drawn(500, 0)
    small, large = gathered(features, logits, 7, most=50), gathered(features, logits, 100, most=50)
    assert torch.equal(small.features, large.features) and small.labels == large.labels
    assert len(small.features) == 50 and small.count == 500 and not small.whole
    assert torch.equal(small.features, features[[int(label) for label in small.labels]])
    torch.testing.assert_close(small.gaussian.mean, features.double().mean(0))


def test_fewer_may_come_than_were_announced():
    """As when some files of a folder are broken."""
    gathering = Gathering(3, 10)
    gathering.add(drawn(4, 3), drawn(4, 0))
    assert gathering.sample().count == 4 and gathering.sample().scores is None


def test_a_score_needs_a_picture_in_every_part():
    scores = SplitScores(3, 5, splits=10)
    scores.add(drawn(5, 3), slice(0, 5))
    with pytest.raises(ValueError, match="at least 10 pictures"):
        scores.scores()
