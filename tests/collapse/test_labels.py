"""Labels of nearest reals: how captions become groups, and which groups samples leave out."""

from __future__ import annotations

import pytest
import torch

from ganlab.collapse.baseline import label_groups
from ganlab.collapse.bins import LabelRegions, nearest_other

CAPTIONS = [f"{colour} {thing}" for colour in ("red", "blue") for thing in ("heart", "face with tears")] * 2


def test_classes_are_groups_of_their_own() -> None:
    assert label_groups(["3", "1", "3", "1"], 2) == ["3", "1", "3", "1"]


def test_captions_that_repeat_are_groups_and_function_words_are_none() -> None:
    assert label_groups(CAPTIONS, 2) == CAPTIONS
    assert label_groups(["face with tears", "cat with tears", "dog with hat"], 2) == ["tears", "tears", ""]


def test_a_group_that_rarer_ones_leave_too_small_is_none() -> None:
    """ "red" has three captions; two of them belong to the rarer "heart"."""
    assert label_groups(["red heart", "small red heart", "red cat"], 2) == ["heart", "heart", ""]


def test_the_nearest_other_point_is_never_the_point_itself() -> None:
    """Over several chunks of rows; the points of a line have a neighbour, the first of both."""
    line = torch.arange(1_200.0)[:, None]
    assert nearest_other(line).tolist() == [1, *range(1_199)]


def test_samples_count_for_their_nearest_real_one() -> None:
    """Two groups of two on a line, and one real in the midst of the other group, which the features do not show."""
    real = torch.tensor([[0.0], [1.0], [0.6], [10.0], [11.0]])
    labels = LabelRegions.fit(real, ["low", "low", "", "high", "high"])
    assert labels.names == ("", "high", "low")
    assert labels.expected.tolist() == pytest.approx([0.4, 0.4, 0.2])
    assert labels.shares(torch.tensor([[-1.0], [1.2], [9.0], [10.0]])).tolist() == [0, 0.5, 0.5]
    assert [labels.names[code] for code in labels.missing(torch.tensor([[0.0], [0.6]]))] == ["high"]
