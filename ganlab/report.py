"""The command `python -m ganlab.report`: write the page of a run anew, or one page that compares several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ganlab.config.before_imports  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.errors import UserError

MOST_RUNS = 40


@dataclass(frozen=True)
class ReportSettings:
    """The settings of the command line of report."""

    out: str | None = cli.setting(None, "the page [one run: report.html in its folder; several: comparison.html here]")


HELP = f"""\
The page of a run: python -m ganlab.report RUN [RUN ...] [setting=VALUE ...]

RUN is a run's folder, a folder of runs, or a pattern in quotes. One run: its curves with the samples, alarms, the best
point, the recipe, numbers with their protocols, and commands. Several: a table, and each number's curves on one chart.
The page is one file. It needs no network and can be sent to anybody.

Settings
{cli.settings_table(ReportSettings)}

Examples
  python -m ganlab.report runs/ring/0
  python -m ganlab.report runs/hinge/0 runs/lsgan/0 out=losses.html
  python -m ganlab.report runs/ring/sweep-0"""


def main() -> None:
    """Run the command line. torch is never loaded."""
    cli.run(HELP, lambda words: report(*understood(words)))


def understood(words: Sequence[str]) -> tuple[list[str], ReportSettings]:
    """Return the named runs and the settings. Raise `UserError` if they cannot be right."""
    runs, settings = cli.apart(words)
    return runs, cli.read_settings(ReportSettings, settings)


def report(words: Sequence[str], settings: ReportSettings) -> None:
    """Read the runs, write the page, and print where it is."""
    from ganlab.files.run_folder import check_links
    from ganlab.reports.page import write_report
    from ganlab.reports.stored import find_runs

    if not words:
        raise UserError("a run is needed: python -m ganlab.report runs/ring/0")
    runs = find_runs(words)
    if len(runs) > MOST_RUNS:
        raise UserError(f"{len(runs)} runs are too many for one page: name at most {MOST_RUNS}")
    for run in runs:
        check_links(run.folder.path)
    single = runs[0].folder.report_file if len(runs) == 1 else Path("comparison.html")
    print(write_report(runs, Path(settings.out) if settings.out else single))


if __name__ == "__main__":
    main()
