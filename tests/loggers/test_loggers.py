"""What is in the files: of metrics.csv and of an offline W&B run, read back as W&B's own tools would."""

from __future__ import annotations

import contextlib
import io
import json
import re
import struct
import time
from collections import defaultdict
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch

from ganlab.callbacks.checkpoints import Checkpoints
from ganlab.callbacks.game import HeldOut
from ganlab.callbacks.pictures import SampleGrid
from ganlab.callbacks.progress import IterationBar
from ganlab.callbacks.quality import Quality
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec, GanData
from ganlab.data.pictures import Pictures
from ganlab.files.metrics_file import read_rows
from ganlab.files.sweep_folder import SweepFolder
from ganlab.loggers import CsvLogger, TensorBoard
from ganlab.loggers.dashboard import CHARTS, MOST_POINTS, Dashboard, Lines, logged_in
from ganlab.networks import dcgan
from ganlab.networks.architecture import Architecture
from ganlab.networks.heads import SeparateHead
from ganlab.networks.text import WordEncoder
from ganlab.objectives import NonSaturating
from ganlab.variants import ConditionalGAN

# metrics.csv ---------------------------------------------------------------------------------------------------------


def test_one_row_an_iteration_with_what_came_apart_put_together(tmp_path: Path) -> None:
    logger = CsvLogger(tmp_path)
    logger.log_metrics({"a": 1.5, "images_seen": 80.0, "epoch": 0}, 5)
    logger.log_metrics({"b": 2.0}, 5)
    logger.log_metrics({"a": 1 / 3}, 10)
    logger.finalize("success")
    text = (tmp_path / "metrics.csv").read_text()
    assert text == "iteration,images_seen,a,b\n5,80,1.5,2\n10,,0.3333333,\n"


def test_new_columns_keep_the_rows_before_them(tmp_path: Path) -> None:
    logger = CsvLogger(tmp_path)
    for step in range(1, 4):
        logger.log_metrics({"a": step, **({"late": 0.5} if step == 3 else {})}, step)
    logger.finalize("success")
    assert read_rows(tmp_path / "metrics.csv") == [
        {"iteration": "1", "a": "1"},
        {"iteration": "2", "a": "2"},
        {"iteration": "3", "a": "3", "late": "0.5"},
    ]


def test_a_resumed_run_goes_on_where_its_checkpoint_was(tmp_path: Path) -> None:
    """Killed after 40, resumed from 20: the rows after 20 are logged again, and only once."""
    for start, end in ((10, 50), (30, 60)):
        logger = CsvLogger(tmp_path)
        for step in range(start, end, 10):
            logger.log_metrics({"a": start + step}, step)
        logger.finalize("success")
    rows = [(int(row["iteration"]), int(row["a"])) for row in read_rows(tmp_path / "metrics.csv")]
    assert rows == [(10, 20), (20, 30), (30, 60), (40, 70), (50, 80)]


def test_what_is_in_the_file_at_any_time_is_whole(tmp_path: Path) -> None:
    logger = CsvLogger(tmp_path)
    for step in range(1, 5):
        logger.log_metrics({"a": step}, step)
        assert [int(row["a"]) for row in read_rows(tmp_path / "metrics.csv")] == list(range(1, step))


def test_numbers_of_every_kind_are_told_apart_from_none(tmp_path: Path) -> None:
    logger = CsvLogger(tmp_path)
    logger.log_metrics({"a": float("nan"), "b": float("inf"), "c": 1e-9}, 1)
    logger.finalize("success")
    assert read_rows(tmp_path / "metrics.csv") == [{"iteration": "1", "a": "nan", "b": "inf", "c": "1e-09"}]


# W&B -----------------------------------------------------------------------------------------------------------------

BLOCK = 32768  # of the log format that .wandb files are in (LevelDB's): records in pieces that do not cross a block


def pieces(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each piece of a record: whether it is whole (1), first (2), middle (3) or last (4), and its bytes."""
    at = 7  # the file's own header
    while at + 7 <= len(data):
        if BLOCK - at % BLOCK < 7:
            at += BLOCK - at % BLOCK
            continue
        _, size, kind = struct.unpack("<IHB", data[at : at + 7])
        yield kind, data[at + 7 : at + 7 + size]
        at += 7 + size


def records(path: Path) -> Iterator[Any]:
    from wandb.proto.wandb_internal_pb2 import Record

    whole = b""
    for kind, piece in pieces(path.read_bytes()):
        whole += piece
        if kind in (1, 4):
            record = Record()
            record.ParseFromString(whole)
            whole = b""
            yield record


def wait_for_the_end(file: Path) -> None:
    """W&B's own process writes the last records after the run has been finished for us."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and not any(r.WhichOneof("record_type") == "exit" for r in records(file)):
        time.sleep(0.05)


def key_of(item: Any) -> str:
    return "/".join(item.nested_key) if item.nested_key else item.key


class Contents:
    """An offline run's file: its config, its metrics' definitions, its history, its artifacts."""

    def __init__(self, file: Path) -> None:
        self.folder = file.parent
        self.config: dict[str, Any] = {}
        self.defined: dict[str, Any] = {}
        self.history: dict[str, list[tuple[float, Any]]] = defaultdict(list)
        self.artifacts: list[Any] = []
        self.run: Any = None
        for record in records(file):
            self._take(record)

    def _take(self, record: Any) -> None:
        kind = record.WhichOneof("record_type")
        if kind == "run":
            self.run = record.run
            self.config.update({key_of(item): json.loads(item.value_json) for item in record.run.config.update})
        elif kind == "config":
            self.config.update({key_of(item): json.loads(item.value_json) for item in record.config.update})
        elif kind == "metric":
            self.defined[record.metric.name or record.metric.glob_name] = record.metric
        elif kind == "artifact":
            self.artifacts.append(record.artifact)
        elif kind == "history":
            row = {key_of(item): json.loads(item.value_json) for item in record.history.item}
            for name, value in row.items():
                self.history[name].append((row.get("images_seen", float("nan")), value))

    def chart(self, key: str) -> dict[str, Any]:
        """The data of a chart's last page."""
        page = (self.folder / "files" / self.history[f"{key}/path"][-1][1]).read_text()
        (data,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page)
        (found,) = json.loads(data)["charts"]
        return found

    def table(self, key: str) -> list[list[Any]]:
        """The points of a chart's last page: x, line, y."""
        lines = self.chart(key)["lines"]
        return [[x, line["label"], y] for line in lines for x, y in zip(line["x"], line["y"], strict=True)]


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Contents, str]]:
    """A short conditional run with everything on, not logged in: its folder, what it wrote, what it said."""
    folder = tmp_path_factory.mktemp("wandb") / "runs" / "tiny" / "3"
    said = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stderr(said):
        for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT"):
            patch.delenv(name, raising=False)
        patch.setenv("NETRC", str(folder / "none"))
        patch.setenv("GANLAB_CACHE", str(folder / "cache"))
        for name in ("CACHE", "CONFIG", "DATA"):
            patch.setenv(f"WANDB_{name}_DIR", str(folder / "elsewhere"))
        train(folder)
    (file,) = folder.glob("wandb/offline-run-*/*.wandb")
    wait_for_the_end(file)
    yield folder, Contents(file), said.getvalue()


SPEC = DataSpec((3, 16, 16), "text", vocabulary=("thing", "0", "1"), captions=("a thing",), prompts=("a thing",))


class Things(GanData):
    """Forty pictures of noise with two captions."""

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        images = torch.randint(256, (40, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
        pictures = Pictures(images, [f"thing {i % 2}" for i in range(40)])
        return pictures, pictures, SPEC


def train(folder: Path) -> None:
    """Twenty iterations with everything that logs."""
    data = Things()
    data.setup()
    data.reals_per_iteration = 8
    side = Side(partial(torch.optim.Adam, lr=1e-3))
    networks = Architecture(partial(dcgan.Generator, width=4), partial(dcgan.Trunk, width=4))
    words = partial(WordEncoder, SPEC.vocabulary, 8)
    head = partial(SeparateHead, match_weight=0.1)
    module = ConditionalGAN(SPEC, networks, words, head, NonSaturating(), side, side, MovingAverage(), 4)
    quality = Quality(every=40, count=20, extractor="small", metrics=("fid",))
    callbacks = [SampleGrid(every=40, count=3), quality, HeldOut(every=5, count=20), IterationBar(), Checkpoints()]
    recipe = {"recipe": "tiny", "generator": {"turns": 1}, "seed": 7}
    dashboard = Dashboard(folder, recipe, artifact=True, charts_every=4)
    quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
    where = {"logger": [CsvLogger(folder), dashboard], "callbacks": callbacks, "default_root_dir": folder}
    trainer = pl.Trainer(max_steps=20, max_epochs=-1, accelerator="cpu", log_every_n_steps=5, **quiet, **where)
    trainer.fit(module, data)


Logged = tuple[Path, Contents, str]


def test_offline_without_a_question_and_the_line_to_upload_it(logged: Logged) -> None:
    folder, contents, said = logged
    (line,) = [line for line in said.splitlines() if "wandb sync" in line]
    assert line.endswith(str(contents.folder))
    assert contents.run.project == "ganlab"
    assert contents.run.display_name == "tiny/3"
    assert contents.run.run_id == (folder / "wandb" / "id").read_text()


def test_the_recipe_is_the_config(logged: Logged) -> None:
    config = logged[1].config
    assert (config["recipe"], config["generator"], config["seed"]) == ("tiny", {"turns": 1}, 7)


def test_images_seen_are_the_x_axis_of_everything(logged: Logged) -> None:
    defined = logged[1].defined
    assert defined["*"].step_metric == "images_seen"
    assert defined["images_seen"].options.hidden
    assert defined["quality/fid*"].summary.min


def test_every_number_is_there_with_its_images_seen(logged: Logged) -> None:
    """The same numbers as in metrics.csv, at the same places."""
    folder, contents, _ = logged
    rows = read_rows(folder / "metrics.csv")
    names = {name for row in rows for name in row} - {"iteration", "images_seen"}
    assert {"discriminator/realism", "generator/match", "held_out/divergence", "quality/fid_small"} <= names
    for name in names:
        there = [(float(row["images_seen"]), float(row[name])) for row in rows if name in row]
        assert [(x, pytest.approx(y, rel=1e-6, nan_ok=True)) for x, y in there] == contents.history[name]


def test_both_sides_losses_by_term_are_on_one_chart(logged: Logged) -> None:
    contents = logged[1]
    table = contents.table("overview/1_losses")
    terms = {f"{side}/{term}" for side in ("discriminator", "generator") for term in ("realism", "pair", "match")}
    assert {line for _, line, _ in table} == terms
    last = {line: (x, y) for x, line, y in table}
    x, y = contents.history["generator/pair"][-1]
    assert last["generator/pair"] == (x, pytest.approx(y, rel=1e-5))


@pytest.mark.parametrize("key", [key for key in CHARTS if "collapse" not in key])
def test_the_overview_is_laid_out(logged: Logged, key: str) -> None:
    assert logged[1].history[f"{key}/_type"][-1][1] == "html-file"
    assert logged[1].chart(key)["title"] == CHARTS[key].title
    assert logged[1].table(key)


def test_charts_cost_no_artifact(logged: Logged) -> None:
    """Several drawings of six charts: the only artifact is the checkpoint."""
    assert len(logged[1].history["overview/1_losses/path"]) > 1
    assert {artifact.type for artifact in logged[1].artifacts} == {"model"}


def test_pictures_come_with_captions(logged: Logged) -> None:
    _, contents, _ = logged
    captions = contents.history["samples/pictures/captions"]
    assert [x for x, _ in captions] == [0, 40, 80, 120, 160]
    assert captions[0][1][0] == "a thing"
    assert all(caption.startswith("thing") for caption in captions[0][1][1:])
    for path in contents.history["samples/pictures/filenames"][-1][1]:
        assert (contents.folder / "files" / path).is_file()


def test_the_best_checkpoint_is_an_artifact(logged: Logged) -> None:
    models = [artifact for artifact in logged[1].artifacts if artifact.type == "model"]
    assert [entry.path for artifact in models for entry in artifact.manifest.contents] == ["best.ckpt"]


def test_logged_in_by_key_or_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    assert not logged_in()
    (tmp_path / "netrc").write_text("machine elsewhere.org login user password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    assert not logged_in()
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password secret\n")
    assert logged_in()
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("WANDB_API_KEY", "x")
    assert logged_in()


def offline(folder: Path, recipe: dict[str, Any], monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Any:
    """The record of a run of W&B that was begun and ended."""
    monkeypatch.setenv("NETRC", str(folder / "none"))
    for name in ("CACHE", "CONFIG", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(folder / "elsewhere"))
    dashboard = Dashboard(folder, recipe, **settings)
    dashboard.log_metrics({"a": 1.0, "images_seen": 8.0}, 1)
    dashboard.finalize("success")
    file = max(folder.glob("wandb/offline-run-*/*.wandb"))
    wait_for_the_end(file)
    return Contents(file).run


WORDS = ["recipe=ring", "objective=hinge", "trainer.max_steps=4", "logger=wandb", "seed=2"]


def test_a_job_of_a_sweep_is_named_grouped_and_tagged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    sweep = SweepFolder.start("ring", str(tmp_path / "ring" / "sweep-3"), ["-m"], ["objective", "seed"])
    run = offline(sweep.job("objective-hinge_seed-2", False), {"recipe": "ring", "overrides": WORDS}, monkeypatch)
    assert run.display_name == "ring objective=hinge seed=2"
    assert (run.run_group, list(run.tags)) == ("ring/sweep-3", ["objective=hinge", "seed=2"])


def test_settings_of_wandb_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)  # logged in, and offline all the same
    monkeypatch.delenv("WANDB_MODE", raising=False)
    own = {"entity": "us", "group": "first", "tags": ["a", "b"], "mode": "offline"}
    run = offline(tmp_path / "ring" / "0", {"recipe": "ring", "overrides": WORDS}, monkeypatch, **own)
    assert run.display_name == "ring objective=hinge max_steps=4 seed=2"
    assert (run.entity, run.run_group, sorted(run.tags)) == ("us", "first", ["a", "b"])


def test_the_parts_of_a_resumed_run_are_uploaded_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """W&B offline writes a file for each part, with steps from 0. The second says that it resumes the first.

    `wandb sync` then appends its steps. Without that word it replaced the first part.
    """
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    first = offline(tmp_path, {"recipe": "ring"}, monkeypatch)
    time.sleep(1.1)  # W&B names a part by the second
    second = offline(tmp_path, {"recipe": "ring"}, monkeypatch)
    assert (second.run_id, second.resume) == (first.run_id, True)
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.endswith(" ".join(map(str, sorted(tmp_path.glob("wandb/offline-run-*")))))
    assert line.count("offline-run-") == 2


# TensorBoard ---------------------------------------------------------------------------------------------------------


def test_tensorboard_has_the_hyper_parameters(tmp_path: Path) -> None:
    event_accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    recipe = {"recipe": "ring", "seed": 3, "objective": {"_target_": "ganlab.objectives.Hinge"}, "logger": {"csv": {}}}
    logger = TensorBoard(tmp_path, recipe)
    logger.log_metrics({"quality/fid": 2.5}, 10)
    logger.finalize("success")
    read = event_accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    read.Reload()
    content = read.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    found = HParamsPluginData.FromString(content).session_start_info.hparams
    assert found["seed"].number_value == 3 and len(found) == 3
    assert (found["recipe"].string_value, found["objective"].string_value) == ("ring", "Hinge")
    assert [(one.step, one.value) for one in read.Scalars("quality/fid")] == [(10, 2.5)]


# Charts --------------------------------------------------------------------------------------------------------------


def test_lines_of_a_long_run_stay_short_and_keep_both_ends() -> None:
    lines = Lines()
    for i in range(10_000):
        lines.add({"generator/realism": float(i), "unknown": 1.0}, 10.0 * i)
    (line,) = lines.of(CHARTS["overview/1_losses"]).values()
    assert MOST_POINTS / 2 <= len(line) <= MOST_POINTS
    assert (line[0], line[-1]) == ((0.0, 0.0), (99_990.0, 9_999.0))


def test_lines_of_a_resumed_run_go_on() -> None:
    lines = Lines()
    lines.start([{"images_seen": "10", "generator/realism": "1"}, {"images_seen": "20", "generator/realism": "2"}], 20)
    lines.add({"generator/realism": 3.0}, 20)
    assert lines.of(CHARTS["overview/1_losses"]) == {"generator/realism": [(10.0, 1.0), (20.0, 3.0)]}
