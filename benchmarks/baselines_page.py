"""The tables of docs/baselines.md, from the files below docs/baselines."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from baselines import DATA, IMAGES, METRICS, RECIPES, RESULTS, SECONDS, paces, points
from grid import between, is_done

from ganlab.errors import UserError
from ganlab.reports.differences import Group
from ganlab.reports.forms import as_markdown
from ganlab.reports.protocols import by_protocol, differing_fields
from ganlab.reports.stored import StoredRun, read_run
from ganlab.reports.tables import Column, Table, peak_memory

PAGE = RESULTS.with_suffix(".md")
START, END = "<!-- tables: python benchmarks/baselines.py page -->", "<!-- end of tables -->"
PEERS = ("peer_dcgan", "peer_sngan")
BUDGETS = {"images": f"At {IMAGES:,} images seen", "seconds": f"At {SECONDS:.0f} seconds of training"}
FOLDERS = ("split", "reference")  # fields of a protocol that differ though the real pictures are the same files
Reader = Callable[[StoredRun, str], float | None]


def draw() -> None:
    """Replace the tables in the page."""
    parts = [part for data in DATA for part in tables_of(data)]
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), START, END, "\n\n".join(parts)), encoding="utf-8")


def tables_of(data: str) -> Iterator[str]:
    """Yield the title and the tables of a data set; nothing if no cell is there."""
    groups = [Group({"recipe": name}, runs) for name in (*RECIPES, *PEERS) if (runs := runs_of(data, name))]
    if not groups:
        return
    check_protocols([run for group in groups for run in group.runs])
    yield f"## {data}"
    for budget, title in BUDGETS.items():
        yield f"### {data}: {title[0].lower()}{title[1:]}"
        yield as_markdown(Table(groups, list(columns(budget)))).strip()
    if commands := [run for group in groups for run in group.runs if run.seed == 0 and "command" in run.summary]:
        yield f"### {data}: commands, files and alarms"
        yield "\n".join(details(data, commands))


def runs_of(data: str, name: str) -> list[StoredRun]:
    """Return the runs of a row, by seed."""
    folders = sorted((RESULTS / data / name).glob("*"), key=lambda folder: int(folder.name))
    return [read_run(folder) for folder in folders if is_done(folder)]


def check_protocols(runs: Sequence[StoredRun]) -> None:
    """Raise `UserError` if two runs were measured differently."""
    for metric in METRICS:
        stamps = by_protocol(runs, f"quality/{metric}_imagenet")
        if fields := set(differing_fields(list(stamps))) - set(FOLDERS):
            raise UserError(f"{metric} was measured differently: {', '.join(sorted(fields))}")


def columns(budget: str) -> Iterator[Column]:
    """Yield a column for each number at a budget, and those of the costs."""
    for metric in METRICS:
        name = f"quality/{metric}_imagenet"
        yield Column(metric, name, {}, lambda run, name=name: dict(run.curves.get(name, [])).get(at(run, budget)))
    other = {"images": "seconds", "seconds": "images seen"}[budget]
    yield Column(other, other, {}, lambda run: at(run, "images") * pace(run) if budget == "images" else at(run, budget))
    if budget == "seconds":
        yield Column("peak GB", "memory", {}, peak_memory)


def at(run: StoredRun, budget: str) -> float:
    """Return the images that a run had seen when it had spent a budget."""
    name = run.folder.path.parent.name
    if name in RECIPES:
        return float(points(paces()[name])[budget])
    seconds = dict(run.curves["seconds"])
    near = {"images": lambda seen: seen - IMAGES, "seconds": lambda seen: seconds[seen] - SECONDS}[budget]
    return min(seconds, key=lambda seen: abs(near(seen)))


def pace(run: StoredRun) -> float:
    """Return the seconds of training an image."""
    name = run.folder.path.parent.name
    if name in RECIPES:
        return paces()[name]["seconds"] / paces()[name]["images"]
    seen, seconds = run.curves["seconds"][-1]
    return seconds / seen


def details(data: str, runs: Sequence[StoredRun]) -> Iterator[str]:
    """Yield a line for each recipe: the command of seed 0, links to the files of all seeds, and the alarms."""
    for run in runs:
        name = run.folder.path.parent.name
        seeds = runs_of(data, name)
        links = ", ".join(f"[{one.seed}](baselines/{data}/{name}/{one.seed}/metrics.csv)" for one in seeds)
        alarms = "; ".join(f"seed {one.seed}: {alarm['says']}" for one in seeds for alarm in one.alarms) or "none"
        yield f"- **{name}**: `{run.summary['command']}`. metrics.csv by seed: {links}. Alarms: {alarms}."
