"""The experiment `collapse`: when a distance has doubled, and what is read of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganlab.files.run_folder import RunFolder
from ganlab.lecture.collapse import Course, _row, course, doubled


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ([8.0, 4.0, 8.0], 2),
        ([8.0, 4.0, 7.9], None),
        ([5.0], None),
        ([1.0, 2.0, 4.0], 1),
        ([3.0, 9.0, 2.0, 3.9], None),
    ],
)
def test_doubled_against_the_best(values: list[float], place: int | None) -> None:
    assert doubled(values) == place


def test_a_course_is_read_off_the_looks(tmp_path: Path) -> None:
    """Rows that hold losses only are passed over."""
    rows = ["images_seen,loss,quality/fid_small,collapse/evidence", "10,1,,", "20,1,40.5,0", "30,,,", "40,1,20,1.5"]
    (tmp_path / "metrics.csv").write_text("\n".join(rows) + "\n")
    assert course(RunFolder(tmp_path)) == Course([20, 40], [40.5, 20.0], [0.0, 1.5])


def test_a_row_says_when() -> None:
    alarm = {"kind": "recall", "since": 3, "images_seen": 4, "done": "", "says": "", "chance": 0.1, "iteration": 1}
    row = _row(Course([1, 2, 3, 4], [9.0, 5.0, 50.0, 60.0], [0, 0, 0, 2]), [alarm])
    assert (row["fid_doubled_at"], row["fid_best"], row["fid_best_at"], row["fid_last"]) == (3, 5.0, 2, 60.0)
    assert row["alarms"] == [{"kind": "recall", "since": 3, "images_seen": 4, "done": ""}]
    json.dumps(row)
