"""Weights & Biases with a fixed layout: sections by prefix, images seen as the x axis, charts of related numbers.

A chart is a small page of its own, a file of the run. W&B's own line charts would keep a table as an artifact for each
drawing. The run is online if the user is logged in, otherwise offline. The logger never asks, and never stops a run.

A section is the part of a name before the slash: `overview/` (the charts), `samples/`, `quality/`, `held_out/`,
`collapse/`, `discriminator/`, `generator/`, `throughput/`.
"""

from __future__ import annotations

import netrc
import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple
from urllib.parse import urlparse

from lightning_fabric.loggers.logger import rank_zero_experiment
from pytorch_lightning.loggers import WandbLogger
from pytorch_lightning.utilities import rank_zero_only

from ganlab.config.ranges import PositiveInt
from ganlab.config.words import label, settings, stored
from ganlab.console import from_here, say
from ganlab.files.durable import atomic_write
from ganlab.files.metrics_file import Row, read_rows
from ganlab.files.run_folder import RunFolder
from ganlab.files.sweep_folder import SweepFolder
from ganlab.loggers.sheet import Exhibit

Point = tuple[float, float]
X = "images_seen"
MOST_NAME, MOST_TAG = 128, 64  # characters that W&B takes
MOST_POINTS = 400  # of a line in a chart: beyond that, every second one is dropped
LOWER = ("quality/fid*", "quality/kid*", "quality/mode_kl")


class Chart(NamedTuple):
    """A chart of several lines: its title, and the numbers on it."""

    title: str
    wanted: Callable[[str], bool]


def _is_term(name: str) -> bool:
    side, _, term = name.partition("/")
    return side in ("discriminator", "generator") and not term.startswith("gradient")


CHARTS = {
    "overview/1_losses": Chart("Both sides' losses, by term", _is_term),
    "overview/2_divergence": Chart("Divergence estimate on held-out pictures, nats", lambda name: "divergence" in name),
    "overview/3_accuracy": Chart("Realism and match accuracy on held-out pictures", lambda name: "accuracy" in name),
    "overview/4_fid": Chart("FID over images seen", lambda name: name.startswith("quality/fid")),
    "overview/5_collapse": Chart("Collapse indicators", lambda name: name.startswith("collapse/")),
    "overview/6_throughput": Chart("Images per second", lambda name: name.startswith("throughput/")),
}


class Lines:
    """The values of all numbers on a chart, over images seen."""

    def __init__(self) -> None:
        self._points: dict[str, list[Point]] = {}

    def add(self, values: Mapping[str, float], x: float) -> None:
        """Add one point at `x` to the line of each number."""
        for name in values:
            if any(chart.wanted(name) for chart in CHARTS.values()):
                line = self._points.setdefault(name, [])
                line.append((x, float(values[name])))
                if len(line) > MOST_POINTS:
                    del line[1:-1:2]

    def start(self, rows: list[Row], x: float) -> None:
        """Continue the lines of a resumed run with the rows of its file before `x`."""
        for row in rows:
            if X in row and float(row[X]) < x:
                self.add({name: float(cell) for name, cell in row.items()}, float(row[X]))

    def of(self, chart: Chart) -> dict[str, list[Point]]:
        """Return the lines of a chart."""
        return {name: line for name, line in self._points.items() if chart.wanted(name)}


def logged_in() -> bool:
    """Return whether there is a key: `WANDB_API_KEY`, or an entry for W&B's host in the netrc file."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    host = urlparse(os.environ.get("WANDB_BASE_URL") or "https://api.wandb.ai").hostname or ""
    try:
        return netrc.netrc(os.environ.get("NETRC")).authenticators(host) is not None
    except (OSError, netrc.NetrcParseError):
        return False


def run_name(folder: Path, own: Mapping[str, str], recipe: Any) -> str:
    """Return the name of a run: its recipe and its own settings, or its folder if it has none.

    >>> run_name(Path("runs/ring/3"), {"recipe": "ring", "objective": "hinge"}, "ring")
    'ring objective=hinge'
    >>> run_name(Path("runs/ring/3"), {"recipe": "ring"}, "ring")
    'ring/3'
    """
    keys = [key for key in own if key.split(".")[0] not in ("recipe", "logger", "callbacks")]
    differing = label(own, keys)
    return f"{recipe} {differing}"[:MOST_NAME] if differing else f"{folder.parent.name}/{folder.name}"


class Dashboard(WandbLogger):
    """A W&B run in the run's folder, with its recipe as the config. A resumed run continues the same W&B run.

    `name`: null for the recipe and what differs: in a sweep, the settings of this job; else those of the command line.
    `group`, `tags`: null for the sweep and the job's settings. `mode`: online, offline or disabled; null for what
    `WANDB_MODE` says, else online if the user is logged in. `artifact`: upload the best checkpoint (else the last) at
    the end. `charts_every`: logged rows, at least, between two drawings of the overview.
    """

    def __init__(
        self,
        folder: Path | str,
        recipe: Mapping[str, Any] | None = None,
        project: str = "ganlab",
        name: str | None = None,
        artifact: bool = False,
        charts_every: PositiveInt = 40,
        entity: str | None = None,
        group: str | None = None,
        tags: list[str] | None = None,
        mode: Literal["online", "offline", "disabled"] | None = None,
    ) -> None:
        super().__init__(project=project, name=name, save_dir=str(folder))
        self.folder, self.recipe = RunFolder(Path(folder)), dict(recipe or {})
        self.entity, self.group, self.tags, self.mode = entity, group, tags, mode
        self.artifact, self.charts_every = artifact, charts_every
        self._lines, self._rows, self._draw_at = Lines(), 0, charts_every

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """Return the run of W&B. The first call begins it."""
        if self._experiment is None:
            self._experiment = self._begin()
            self._lay_out(self._experiment)
        return self._experiment

    def _begin(self) -> Any:
        import wandb

        mode = self.mode or os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
        self.folder.path.mkdir(parents=True, exist_ok=True)
        if mode == "online":
            try:
                return self._init("online")
            except Exception as error:  # no network, a wrong key: the numbers can be uploaded later
                reason = " ".join(str(error).split())
                say(f"ganlab: W&B cannot be reached ({reason}), logging offline")
                wandb.teardown()
                mode = "offline"
        return self._init(mode)

    def _init(self, mode: Any) -> Any:
        import wandb

        sweep = SweepFolder.around(self.folder.path)
        said = settings(stored(self.recipe))
        own = {key: said[key] for key in sweep.said().get("swept", ()) if key in said} if sweep else said
        own_tags = [f"{key}={value}"[:MOST_TAG] for key, value in own.items()]
        return wandb.init(
            project=self._project,
            name=self._name or run_name(self.folder.path, own, self.recipe.get("recipe")),
            entity=self.entity,
            group=self.group or (f"{sweep.path.parent.name}/{sweep.path.name}" if sweep else None),
            tags=self.tags if self.tags is not None or sweep is None else own_tags,
            id=self._same_id(),
            dir=str(self.folder.path),
            config=self.recipe,
            mode=mode,
            resume="allow",  # offline it stands in the file, and `wandb sync` then appends this part to the one before
            settings=wandb.Settings(silent=True, console="off", init_timeout=30),
        )

    def _same_id(self) -> str:
        """Return the run's id at W&B. It is kept in the run's folder, so that a resumed run continues the same one."""
        file = self.folder.path / "wandb" / "id"
        if not file.exists():
            atomic_write(file, secrets.token_hex(4))
        return file.read_text(encoding="utf-8").strip()

    def _parts(self) -> list[Path]:
        """Return the folders of this run's offline parts, one for each time that it was begun or resumed, in order."""
        return sorted((self.folder.path / "wandb").glob(f"offline-run-*-{self._same_id()}"))

    def _lay_out(self, run: Any) -> None:
        run.define_metric(X, hidden=True)
        run.define_metric("*", step_metric=X)
        for name in LOWER:
            run.define_metric(name, step_metric=X, summary="min")

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log numbers at iteration `step`, and redraw the charts if it is time."""
        values = {name: value for name, value in metrics.items() if name != "epoch"}
        self.experiment.log({**values, "iteration": step})
        if X in values:
            self._note(values, float(values[X]))

    def _note(self, values: Mapping[str, float], x: float) -> None:
        if not self._rows:
            self._lines.start(read_rows(self.folder.metrics_file), x)
        self._lines.add(values, x)
        self._rows += 1
        if self._rows >= self._draw_at:
            self._draw_at = max(self._rows + self.charts_every, int(self._rows * 1.3))
            self.draw()

    def draw(self) -> None:
        """Draw the overview's charts. The intervals grow, since each drawing is kept."""
        import wandb

        from ganlab.reports.page import chart_page

        lines = {key: self._lines.of(chart) for key, chart in CHARTS.items()}
        pages = {key: chart_page(CHARTS[key].title, found) for key, found in lines.items() if found}
        if pages:
            self.experiment.log({key: wandb.Html(page, inject=False) for key, page in pages.items()})

    def show(self, exhibit: Exhibit, step: int, images_seen: int) -> None:
        """Log the sheet, and each picture with its caption."""
        import wandb

        captions: list[Any] = exhibit.captions or [None] * len(exhibit.pictures)
        pictures = [wandb.Image(image, caption=text) for image, text in zip(exhibit.pictures, captions, strict=True)]
        shown = {"samples/sheet": wandb.Image(exhibit.sheet), **({"samples/pictures": pictures} if pictures else {})}
        self.experiment.log({**shown, X: float(images_seen), "iteration": step})

    def alert(self, kind: str, text: str, exhibit: Exhibit | None, step: int, images_seen: int) -> None:
        """Send a W&B alert, and log the picture of the missing modes."""
        import wandb

        self.experiment.alert(title=f"ganlab: {kind}", text=text, level="WARN")
        if exhibit is not None:
            shown = {"collapse/missing": wandb.Image(exhibit.sheet)}
            self.experiment.log({**shown, X: float(images_seen), "iteration": step})

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Draw the charts a last time and end the run."""
        if self._experiment is None:
            return
        self.draw()
        if self.artifact and status == "success":
            self._upload()
        self._experiment.finish(exit_code=0 if status == "success" else 1)
        parts = " ".join(map(from_here, self._parts()))
        line = f"upload it with: wandb sync {parts}" if self._experiment.settings._offline else self._experiment.url
        say(f"ganlab: W&B: {line}")
        self._experiment = None

    def _upload(self) -> None:
        import wandb

        run = self.experiment
        for file in (self.folder.best_file, self.folder.last_file):
            if file.is_file():
                artifact = wandb.Artifact(f"checkpoint-{run.id}", "model")
                artifact.add_file(str(file))
                run.log_artifact(artifact)
                return
