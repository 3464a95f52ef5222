"""report.html: one run, or several beside each other, on a page that needs neither a server nor a network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

import ganlab
from ganlab.console import from_here
from ganlab.files.durable import atomic_write
from ganlab.reports.charts import Chart, Line, Section, charts_of_run, charts_of_runs
from ganlab.reports.commands import next_commands
from ganlab.reports.differences import grouped
from ganlab.reports.pictures import BUDGET, data_uri, sheets
from ganlab.reports.recipe_lines import recipe_lines
from ganlab.reports.stored import Curve, StoredRun
from ganlab.reports.tables import device_of, make_table, peak_memory

WHAT = {"sample": "draw pictures", "evaluate": "measure", "resume": "train on"}
MOST_ALARMS = 12  # with pictures, of all runs together


def write_report(runs: Sequence[StoredRun], file: Path) -> Path:
    """Write the page of these runs. The file is replaced whole."""
    return atomic_write(file, page(runs))


def page(runs: Sequence[StoredRun]) -> str:
    """Return the page as text."""
    return _rendered(_content(runs))


def chart_page(title: str, curves: Mapping[str, Curve]) -> str:
    """Return a page with one chart: lines by their labels, over images seen."""
    chart = Chart(title, [Line(name, i, curve) for i, (name, curve) in enumerate(curves.items())])
    end = max((curve[-1][0] for curve in curves.values() if curve), default=1)
    section = {"title": "", "charts": [{"title": title, "number": 0}], "open": True}
    data = {"runs": [], "charts": [_plain(chart)], "end": end}
    return _rendered({"single": True, "runs": [], "sections": [section], "data": data, "bare": True})


def _rendered(content: Mapping[str, Any]) -> str:
    """Return the template's page. All that runs say is escaped."""
    from jinja2 import Environment
    from markupsafe import Markup

    folder = files("ganlab.reports") / "template"
    text = {name: (folder / name).read_text(encoding="utf-8") for name in ("report.html.j2", "report.css", "report.js")}
    template = Environment(autoescape=True, trim_blocks=True).from_string(text["report.html.j2"])
    fixed = {"css": Markup(text["report.css"]), "js": Markup(text["report.js"]), "version": ganlab.__version__}
    return template.render(**fixed, **content)


def _content(runs: Sequence[StoredRun]) -> dict[str, Any]:
    labels, colours = _labels(runs), {id(run): i for i, group in enumerate(grouped(runs)) for run in group.runs}
    shown = [
        _run(run, label, BUDGET // len(runs), MOST_ALARMS // len(runs)) for run, label in zip(runs, labels, strict=True)
    ]
    single = len(runs) == 1
    sections = charts_of_run(runs[0]) if single else charts_of_runs(runs, labels)
    for run, one in zip(runs, shown, strict=True):
        one["colour"] = colours[id(run)]
    numbers = count()
    data = {
        "runs": [{key: run[key] for key in ("sheets", "alarms", "best", "colour")} for run in shown],
        "charts": [_plain(chart) for section in sections for chart in section.charts],
        "end": max(run.images_seen for run in runs),
    }
    return {
        "single": single,
        "runs": shown,
        "data": data,
        "sections": [_section(section, numbers, single) for section in sections],
        "has_sheets": any(run["sheets"] for run in shown),
        "has_alarms": any(run["alarms"] for run in shown),
        "has_best": any(run["best"] for run in shown),
        "recipes": [_recipe(run, label) for run, label in zip(runs, labels, strict=True)],
        **(_single(runs[0]) if single else _several(runs)),
    }


def _plain(chart: Chart) -> dict[str, Any]:
    """Return a chart as the page's script reads it."""
    return {"title": chart.title, "lines": [line.plain() for line in chart.lines]}


def _labels(runs: Sequence[StoredRun]) -> list[str]:
    """Return a name for each run: what differs, and its seed if several runs share that."""
    groups = {id(run): group for group in grouped(runs) for run in group.runs}
    named = [
        f"{groups[id(run)].title} seed={run.seed}" if len(groups[id(run)].runs) > 1 else groups[id(run)].title
        for run in runs
    ]
    return [
        label if named.count(label) == 1 else f"{label} ({run.folder.path.name})"
        for label, run in zip(named, runs, strict=True)
    ]


def _run(run: StoredRun, label: str, budget: int, most_alarms: int) -> dict[str, Any]:
    """Return the run's pictures and marks for the page."""
    best = run.best
    says = best and f"best {best['name']}: {best['value']:.4g} at {best['images_seen']:,} images seen"
    return {
        "label": label,
        "sheets": [sheet._asdict() for sheet in sheets(run.sheets, budget)],
        "alarms": [_alarm(run, alarm, number < most_alarms) for number, alarm in enumerate(run.alarms)],
        "best": best and {"x": best["images_seen"], "says": says},
    }


def _alarm(run: StoredRun, alarm: Mapping[str, Any], with_picture: bool) -> dict[str, Any]:
    x = int(alarm.get("images_seen", 0))
    file = run.folder.samples / f"collapse_{x:010d}.png"
    picture = data_uri(file) if with_picture and file.is_file() and not file.is_symlink() else ""
    said = {key: str(alarm.get(key, "")) for key in ("says", "done")}
    return {"x": x, "since": int(alarm.get("since", x)), "src": picture, **said}


def _section(section: Section, numbers: Iterator[int], single: bool) -> dict[str, Any]:
    """Return a section for the page. On a page of several runs only the first two begin open."""
    charts = [{"title": chart.title, "number": next(numbers)} for chart in section.charts]
    return {"title": section.title, "charts": charts, "open": single or section.title in ("Quality", "Losses")}


def _recipe(run: StoredRun, label: str) -> dict[str, Any]:
    lines = recipe_lines(run.recipe, run.words)
    return {"label": label, "lines": lines, "overridden": any(line.set for line in lines)}


# One run ----------------------------------------------------------------------------------------------------------


def _single(run: StoredRun) -> dict[str, Any]:
    made = run.summary.get("versions") or {}
    path = from_here(run.folder.path).strip("'")
    commands = next_commands(path, run.recipe, run.summary)
    again = {"fit": str(run.summary["command"])} if "command" in run.summary else {}
    what = {**WHAT, "fit": "train the same again"}
    return {
        "title": run.name,
        "state": _state(run),
        "where": path,
        "words": [f"{key}={value}" for key, value in run.words.items() if key != "recipe"],
        "figures": list(_figures(run)),
        "numbers": list(_numbers(run)),
        "commands": [{"what": what[key], "line": line} for key, line in {**commands, **again}.items()],
        "footer": ", ".join(f"{name} {version}" for name, version in made.items()) or f"ganlab {ganlab.__version__}",
    }


def _state(run: StoredRun) -> str:
    """Return whether the run ended, was stopped, or goes on as far as its folder tells."""
    if run.ended:
        return "ended"
    told = run.summary and not run.summary.get("running")
    return f"stopped after {_iterations(run):,} iterations" if told else f"{_iterations(run):,} iterations so far"


def _iterations(run: StoredRun) -> int:
    return int(run.summary.get("iterations") or 0)


def _figures(run: StoredRun) -> Iterator[dict[str, Any]]:
    """Yield the numbers at the top of a run's page."""
    if best := run.best:
        value, name = f"{best['value']:.4g}", str(best["name"]).removeprefix("quality/")
        yield {"name": f"best {name}", "value": value, "small": f"at {best['images_seen']:,} images", "lead": True}
        last = run.last(best["name"])
        if last is not None:
            yield {"name": f"last {name}", "value": f"{last:.4g}"}
    yield {"name": "images seen", "value": f"{run.images_seen:,}", "small": f"{_iterations(run):,} iterations"}
    if seconds := run.summary.get("seconds"):
        speed = run.curves.get("throughput/images_per_second", [])
        small = f"{speed[-1][1]:,.0f} images/s" if speed else ""
        yield {"name": "time", "value": _duration(float(seconds)), "small": small}
    if parameters := run.summary.get("parameters"):
        total = " + ".join(f"{number / 1e6:.3g}" for number in parameters.values())
        yield {"name": "parameters, millions", "value": total, "small": " + ".join(parameters)}
    if (memory := peak_memory(run)) is not None:
        yield {"name": "peak memory", "value": f"{memory:.2f} GB", "small": device_of(run)}


def _duration(seconds: float) -> str:
    """Return seconds in the two largest units.

    >>> _duration(4.2), _duration(604.5), _duration(7500)
    ('4 s', '10 min 4 s', '2 h 5 min')
    """
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _numbers(run: StoredRun) -> Iterator[dict[str, str]]:
    spreads = run.summary.get("spreads") or {}
    for name in run.summary.get("metrics", {}):
        last, best = run.last(name), run.at_best(name)
        if name.count("/") > 1 or last is None:
            continue
        spread = spreads.get(name.removeprefix("quality/"))
        yield {
            "name": name,
            "last": f"{last:.4g}" + (f" ± {spread:.2g}" if isinstance(spread, float) else ""),
            "best": "" if best is None else f"{best:.4g}",
            "protocol": ", ".join(f"{key} {value}" for key, value in run.protocol(name).items()),
        }


# Several runs -----------------------------------------------------------------------------------------------------


def _several(runs: Sequence[StoredRun]) -> dict[str, Any]:
    table = make_table(runs)
    return {
        "title": f"{len(runs)} runs of {', '.join(dict.fromkeys(run.name for run in runs))}",
        "where": ", ".join(from_here(run.folder.path).strip("'") for run in runs),
        "table": {
            "header": table.header(),
            "names": len(table.keys),
            "rows": list(table.lines()),
            "notes": table.notes,
        },
        "footer": f"ganlab {ganlab.__version__}",
    }
