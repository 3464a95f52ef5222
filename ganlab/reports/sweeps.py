"""The end of a sweep: a table of its runs, their curves, and a page that compares them."""

from __future__ import annotations

from ganlab.console import from_here, say
from ganlab.errors import UserError
from ganlab.files.durable import atomic_write
from ganlab.files.sweep_folder import SweepFolder
from ganlab.reports.curves import draw
from ganlab.reports.forms import as_csv, as_markdown, show
from ganlab.reports.page import write_report
from ganlab.reports.stored import find_runs
from ganlab.reports.tables import make_table, quality_numbers

MOST_IN_PAGE = 40


def conclude(sweep: SweepFolder) -> None:
    """Print the table of a sweep's runs. Write it with the curves and a page into the sweep's folder."""
    try:
        runs = find_runs([str(sweep.path)])
    except UserError:  # its jobs were no training runs
        return
    table = make_table(runs)
    show(table)
    atomic_write(sweep.path / "table.md", as_markdown(table))
    atomic_write(sweep.path / "table.csv", as_csv(table))
    if (picture := draw(runs, quality_numbers(runs))) is not None:
        atomic_write(sweep.path / "curves.png", picture)
    if len(runs) <= MOST_IN_PAGE:
        write_report(runs, sweep.path / "report.html")
    say(f"ganlab: {len(runs)} runs in {from_here(sweep.path)}: table.md, table.csv, curves.png, report.html")
