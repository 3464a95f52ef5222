"""The command `python -m ganlab.table`: a table of runs, mean and deviation over seeds, and their curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ganlab.config.before_imports  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.errors import UserError, suggestion

FORMATS = ("text", "markdown", "csv", "json")
ENDINGS = {".md": "markdown", ".csv": "csv", ".json": "json"}
PLOTS = ("png", "svg", "pdf")


@dataclass(frozen=True)
class TableSettings:
    """The settings of the command line of table."""

    numbers: list[str] = cli.setting([], "numbers of metrics.csv: fid_imagenet, held_out/divergence [all of quality]")
    values: list[str] = cli.setting(["best", "last"], "best: at the checkpoint that the leading number chose; last")
    format: str = cli.setting("", "text, markdown, csv or json [text, or by the ending of `out`]")
    out: str | None = cli.setting(None, "a file for the table: table.md, table.csv or table.json [it is printed]")
    plot: str | None = cli.setting(None, "a file for the curves with bands over seeds: .png, .svg or .pdf")


HELP = f"""\
A table of runs: python -m ganlab.table RUN RUN ... [setting=VALUE ...]

RUN is a run's folder, a folder of runs, or a pattern in quotes. Runs that differ in nothing but their seed are one row:
mean ± sample standard deviation over n seeds. Numbers of unlike protocols are in columns of their own.

Settings
{cli.settings_table(TableSettings)}

Examples
  python -m ganlab.table runs/ring/sweep-0
  python -m ganlab.table runs/hinge/0 runs/lsgan/0 numbers=[fid_imagenet,recall_imagenet] out=table.md
  python -m ganlab.table "runs/*/*" values=[best] plot=curves.png"""


def main() -> None:
    """Run the command line. torch is never loaded."""
    cli.run(HELP, lambda words: table(*understood(words)))


def understood(words: Sequence[str]) -> tuple[list[str], TableSettings]:
    """Return the named runs and the settings. Raise `UserError` if they cannot be right."""
    runs, settings = cli.apart(words)
    return runs, checked(cli.read_settings(TableSettings, settings))


def checked(settings: TableSettings) -> TableSettings:
    """Return the settings. Raise `UserError` if they cannot be right."""
    for name, known, words in (
        ("format", ("", *FORMATS), [settings.format]),
        ("values", ("best", "last"), settings.values),
    ):
        for word in words:
            if word not in known:
                raise UserError(
                    f"`{name}` {word!r} is unknown: {suggestion(word, list(filter(None, known)), f'{name}=')}"
                )
    if settings.plot and Path(settings.plot).suffix[1:] not in PLOTS:
        raise UserError(f"`plot` must end in .png, .svg or .pdf, got {settings.plot}")
    return settings


def table(words: Sequence[str], settings: TableSettings) -> None:
    """Read the runs, print or write the table, and draw the curves."""
    from ganlab.files.durable import atomic_write
    from ganlab.reports.forms import FORMS, show
    from ganlab.reports.stored import find_runs
    from ganlab.reports.tables import make_table

    if not words:
        raise UserError("runs are needed: python -m ganlab.table runs/ring/0 runs/ring/1")
    runs = find_runs(words)
    made = make_table(runs, settings.numbers, settings.values)
    form = settings.format or ENDINGS.get(Path(settings.out or "").suffix, "markdown" if settings.out else "text")
    if form == "text" and not settings.out:
        show(made)
    else:
        text = FORMS["markdown" if form == "text" else form](made)
        print(atomic_write(settings.out, text)) if settings.out else print(text, end="")
    if settings.plot:
        from ganlab.reports.curves import draw

        names = list(dict.fromkeys(column.number for column in made.columns if "/" in column.number))
        if (picture := draw(runs, names, Path(settings.plot).suffix[1:])) is None:
            raise UserError("`plot`: no run has curves of these numbers")
        print(atomic_write(settings.plot, picture))


if __name__ == "__main__":
    main()
