"""`python -m ganlab.fit`: compose a recipe, build what it names, train, print the results."""

from __future__ import annotations

import sys
from typing import Any

import ganlab.config.before_imports  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.files.run_folder import RunFolder, is_first_process


def main() -> None:
    """Run the command line. Help and mistakes in the words are answered before torch is loaded."""
    words = sys.argv[1:]
    with cli.errors_in_one_line():
        if cli.asks_for_help(words):
            from ganlab.config.helptext import fit_help

            return print(fit_help(words))
        from ganlab.config.recipe import launch

        if (sweep := launch(train, words)) is not None:
            from ganlab.reports.sweeps import conclude

            conclude(sweep)
        return None


def train(recipe: dict[str, Any]) -> float | None:
    """Train one run, from its composed and checked recipe to its summary.

    Return, for sweepers that search, the best value of the metric that chooses the best checkpoint. It is as measured
    (FID: less is better; `modes_and_quality`: more is). None if no metric chooses the checkpoint.
    """
    from ganlab.config.preflight import check_machine, check_parts

    check_parts(recipe)
    check_machine(recipe)
    from torch import distributed

    from ganlab.runs import training

    try:
        folder = training.train(recipe)
    finally:
        if distributed.is_available() and distributed.is_initialized():
            distributed.destroy_process_group()  # otherwise a sweep's next job waits for the processes of this one
    return RunFolder(folder).leading_number() if is_first_process() else None


if __name__ == "__main__":
    main()
