"""Rows by what differs, means over seeds by hand, and never two protocols in one column."""

from __future__ import annotations

import csv
import io
import json
import statistics
from pathlib import Path

import pytest

from ganlab.errors import UserError
from ganlab.reports.curves import draw, panels
from ganlab.reports.forms import as_csv, as_json, as_markdown, show
from ganlab.reports.stored import find_runs
from ganlab.reports.tables import Table, make_table
from tests.reports.conftest import PROTOCOL, MakeRun


def cells(table: Table, title: str) -> list[str]:
    place = table.header().index(title)
    return [line[place] for line in table.lines()]


def test_seeds_are_one_row_with_mean_and_sample_deviation(make_run: MakeRun, tmp_path: Path) -> None:
    """Last values 2, 4, 9: mean 5, deviation sqrt((9 + 1 + 16) / 2) = 3.606. Best values 1, 1, 1."""
    for seed, last in enumerate((2.0, 4.0, 9.0)):
        make_run(f"runs/{seed}", seed, (3.0, 1.0, last))
    table = make_table(find_runs([str(tmp_path / "runs")]))
    assert table.header() == ["recipe", "n", "fid_small best", "fid_small last", "images seen", "seconds", "peak GB"]
    assert list(table.lines()) == [["tiny", "3", "1 ± 0", "5 ± 3.6", "300 ± 0", "10 ± 0", "2 ± 0"]]
    assert not table.notes


def test_rows_are_named_by_the_words_that_differ(make_run: MakeRun, tmp_path: Path) -> None:
    hinge = {"objective": {"_target_": "ganlab.objectives.Hinge"}}
    wasserstein = {"objective": {"_target_": "ganlab.objectives.Wasserstein"}}
    for seed in (0, 1):
        make_run(f"hinge{seed}", seed, words=("objective=hinge", "batch_size=4"), recipe=hinge)
        make_run(f"w{seed}", seed, words=("objective=wasserstein", "batch_size=4"), recipe=wasserstein)
    table = make_table(find_runs([f"{tmp_path}/*"]))
    assert [line[:2] for line in table.lines()] == [["hinge", "2"], ["wasserstein", "2"]]
    assert table.header()[0] == "objective"


def test_a_word_that_says_the_default_is_the_same_row(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("a", 0)
    make_run("b", 1, words=("gamma=1.0",))
    assert [line[:2] for line in make_table(find_runs([f"{tmp_path}/*"])).lines()] == [["tiny", "2"]]


def test_runs_without_words_are_told_apart_by_their_recipes(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("a", 0, recipe={"overrides": None, "gamma": 1.0})
    make_run("b", 0, recipe={"overrides": None, "gamma": 5.0})
    table = make_table(find_runs([f"{tmp_path}/*"]))
    assert table.header()[0] == "gamma" and [line[0] for line in table.lines()] == ["1.0", "5.0"]


def test_rows_are_named_by_the_model_that_they_started_from(make_run: MakeRun, tmp_path: Path) -> None:
    origin = {"init": "zoo:emoji", "sha256": "ab", "images_seen": 9}
    make_run("a", 0, recipe={"average": 1})
    make_run("b", 0, words=("init=zoo:emoji",), recipe={"average": 1, "origin": origin})
    table = make_table(find_runs([f"{tmp_path}/*"]))
    assert table.header()[0] == "init" and [line[0] for line in table.lines()] == ["default", "zoo:emoji"]


def test_unlike_protocols_are_never_in_one_column(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("a", 0, (1.0,), words=("gamma=1",))
    make_run("b", 0, (5.0,), words=("gamma=2",), recipe={"gamma": 2.0}, protocol={**PROTOCOL, "fakes": 5000})
    table = make_table(find_runs([f"{tmp_path}/*"]), values=["last"])
    assert cells(table, "fid_small (fakes 100) last") == ["1", ""]
    assert cells(table, "fid_small (fakes 5000) last") == ["", "5"]
    assert table.notes == ["fid_small was measured differently: a column for each fakes"]
    assert [title for title, _ in panels(find_runs([f"{tmp_path}/*"]), ["quality/fid_small"])] == [
        "fid_small (fakes 100)",
        "fid_small (fakes 5000)",
    ]


def test_held_out_pictures_that_follow_the_seed_are_one_protocol(make_run: MakeRun, tmp_path: Path) -> None:
    for seed, digest in enumerate(("aaaa", "bbbb")):
        for gamma in (1.0, 2.0):
            protocol = {**PROTOCOL, "reference": digest}
            make_run(f"{gamma}-{seed}", seed, (gamma + seed,), recipe={"gamma": gamma}, protocol=protocol)
    table = make_table(find_runs([f"{tmp_path}/*"]), values=["last"])
    assert cells(table, "fid_small last") == ["1.5 ± 0.71", "2.5 ± 0.71"]


def test_runs_that_started_from_other_models_share_a_column(make_run: MakeRun, tmp_path: Path) -> None:
    """docs/howto/starting.md: an origin is no condition of a measurement."""
    make_run("scratch", 0, (3.0,))
    for i, parts in enumerate((["generator"], ["generator", "average"]), 1):
        origin = {"init": f"zoo:{i}", "sha256": f"{i}", "parts": parts}
        make_run(f"tuned-{i}", 0, (i,), recipe={"gamma": i + 1.0}, protocol={**PROTOCOL, "origin": origin})
    table = make_table(find_runs([f"{tmp_path}/*"]), values=["last"])
    assert cells(table, "fid_small last") == ["3", "1", "2"]
    assert not table.notes


def test_other_pictures_at_the_same_seed_are_another_protocol(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("a", 0, (1.0,))
    make_run("b", 0, (2.0,), recipe={"gamma": 2.0}, protocol={**PROTOCOL, "reference": "bbbb"})
    titles = make_table(find_runs([f"{tmp_path}/*"]), values=["last"]).header()
    assert {"fid_small (reference aaaa) last", "fid_small (reference bbbb) last"} <= set(titles)


def test_seconds_of_two_devices_are_two_columns(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("a", 0)
    make_run("b", 1, summary={"versions": {"device": "a GPU"}, "memory": {"process": 1, "device": 3_000_000_000}})
    table = make_table(find_runs([f"{tmp_path}/*"]))
    assert cells(table, "seconds (a processor)") == ["10 (n=1)"]
    assert cells(table, "peak GB (a GPU)") == ["3 (n=1)"]


@pytest.mark.parametrize(
    ("second", "note"),
    [
        ({"seed": 0}, "a seed occurs twice"),
        ({"seed": 1, "summary": {"iterations": 1}}, "1 of 2 runs did not take all of their iterations"),
        ({"seed": 1, "summary": {"images_seen": 150}}, "unequal length, 150 to 300 images seen"),
    ],
)
def test_a_row_that_is_no_fair_mean_says_so(make_run: MakeRun, tmp_path: Path, second: dict, note: str) -> None:
    make_run("a", 0)
    make_run("b", **second)
    assert note in " ".join(make_table(find_runs([f"{tmp_path}/*"])).notes)


def test_a_killed_run_has_its_last_row_and_no_protocol(make_run: MakeRun, tmp_path: Path) -> None:
    (make_run("a", 0) / "summary.json").unlink()
    (run,) = find_runs([str(tmp_path / "a")])
    assert (run.last("quality/fid_small"), run.best, run.images_seen, run.ended) == (2.0, None, 300, False)


def test_the_same_table_in_every_form(make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, last in enumerate((2.0, 5.0)):
        make_run(f"{seed}", seed, (1.0, last))
    table = make_table(find_runs([f"{tmp_path}/*"]), ["fid_small"], ["last"])
    (row,) = csv.DictReader(io.StringIO(as_csv(table)))
    assert (float(row["fid_small last"]), row["fid_small last n"]) == (3.5, "2")
    assert float(row["fid_small last deviation"]) == pytest.approx(statistics.stdev((2.0, 5.0)))
    (plain,) = json.loads(as_json(table))["rows"]
    assert plain["numbers"]["fid_small last"]["values"] == [2.0, 5.0] and plain["seeds"] == [0, 1]
    assert json.loads(as_json(table))["protocols"]["fid_small last"]["fakes"] == "100"
    assert "| tiny | 2 | 3.5 ± 2.1 |" in as_markdown(table)
    show(table)
    assert "3.5 ± 2.1" in capsys.readouterr().out


def test_a_picture_of_the_curves(make_run: MakeRun, tmp_path: Path) -> None:
    for seed in (0, 1):
        make_run(f"{seed}", seed)
    runs = find_runs([f"{tmp_path}/*"])
    assert draw(runs, ["quality/fid_small"])[:8] == b"\x89PNG\r\n\x1a\n"
    assert draw(runs, ["quality/none"]) is None


def test_what_is_no_run_or_no_number_is_said(make_run: MakeRun, tmp_path: Path) -> None:
    make_run("a")
    with pytest.raises(UserError, match=r"`.*nowhere` is no run"):
        find_runs([str(tmp_path / "nowhere")])
    with pytest.raises(UserError, match="no run has fid_smal:"):
        make_table(find_runs([str(tmp_path / "a")]), ["fid_smal"])
