"""Numbers on disk: all that a number needs beside it, and a comparison that refuses what cannot be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ganlab.errors import UserError
from ganlab.evaluation.report import compare, read_report, report, show, show_comparison, write_report
from ganlab.metrics.result import Result


def fid(value: float, **protocol: Any) -> dict[str, Result]:
    shared = {"measure": "fid", "extractor": "inception", "resizer": "tf1 299x299", "fakes": 5, **protocol}
    return {f"fid_inception_{shared['resizer'].split()[0]}": Result(value, 0.3, shared)}


def written(path: Path, results: dict[str, Result]) -> Path:
    write_report(path, report(results, "something"))
    return path


def test_every_number_says_how_it_was_made(tmp_path: Path):
    file = written(tmp_path / "a.json", fid(3.0))
    one = json.loads(file.read_text())["metrics"]["fid_inception_tf1"]
    assert (one["value"], one["spread"], one["protocol"]["fakes"]) == (3.0, 0.3, 5)
    assert {"ganlab", "torch", "torch-fidelity"} <= one["versions"].keys()
    assert read_report(file) == fid(3.0)


def test_numbers_that_were_measured_alike_are_compared(tmp_path: Path, capsys):
    """5 - 3 = 2, over sqrt(0.3^2 + 0.3^2) = 0.42 that is 4.7 deviations."""
    files = written(tmp_path / "a.json", fid(3.0)), written(tmp_path / "b.json", fid(5.0))
    (found,) = compare(*files)
    assert found.difference == 2 and found.deviations == pytest.approx(2 / 0.18**0.5)
    show_comparison([found], *files)
    assert "+2 (+4.7 sd)" in capsys.readouterr().out


def test_what_has_no_spread_has_no_deviations(tmp_path: Path):
    files = [written(tmp_path / f"{i}.json", {"psnr": Result(20.0 + i, None, {})}) for i in (0, 1)]
    (found,) = compare(*files)
    assert found.difference == 1 and found.deviations is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"resizer": "antialias 299x299"}, "resizer is tf1 299x299 in one and antialias 299x299 in the other"),
        ({"fakes": 6}, "fakes is 5 in one and 6 in the other"),
        ({"precision": "bfloat16"}, "precision is None in one and bfloat16 in the other"),
    ],
)
def test_numbers_that_were_not_are_refused_by_the_field(tmp_path: Path, changed: dict[str, Any], said: str):
    files = written(tmp_path / "a.json", fid(3.0)), written(tmp_path / "b.json", fid(5.0, **changed))
    with pytest.raises(UserError, match=f"measured differently: {said}"):
        compare(*files)


def test_one_number_measured_otherwise_is_enough(tmp_path: Path):
    kid = {"kid_inception_tf1": Result(0.1, 0.01, {"measure": "kid", "subsets": 50})}
    other = {"kid_inception_tf1": Result(0.1, 0.01, {"measure": "kid", "subsets": 100})}
    files = written(tmp_path / "a.json", fid(3.0) | kid), written(tmp_path / "b.json", fid(5.0) | other)
    with pytest.raises(UserError, match="subsets is 50 in one and 100"):
        compare(*files)


def test_files_that_cannot_be_compared_say_why(tmp_path: Path):
    a = written(tmp_path / "a.json", fid(3.0))
    b = written(tmp_path / "b.json", {"l1": Result(0.1, None, {})})
    (tmp_path / "c.json").write_text("[1, 2]")
    with pytest.raises(UserError, match=r"nothing was measured in both: .*a\.json has fid.* and .*b\.json has l1"):
        compare(a, b)
    with pytest.raises(UserError, match=r"c\.json was not written by ganlab\.evaluate"):
        compare(a, tmp_path / "c.json")
    with pytest.raises(UserError, match="cannot be read"):
        compare(a, tmp_path / "missing.json")


def test_the_table_shows_value_spread_and_counts(capsys):
    show(fid(3.0), "a run")
    shown = capsys.readouterr().out
    assert "fid_inception_tf1" in shown and "3 ± 0.3" in shown and "5 fakes" in shown
