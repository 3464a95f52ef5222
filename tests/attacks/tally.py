"""Counts of what became of drawn cases, and the command line that the long form of every attack shares.

An attack is a module beside this one with a generator of cases. Its short form is a test; its long form is

    python -m tests.attacks.NAME count=1000 seed=0
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass, field

from ganlab.config.cli import read_settings, setting

EXAMPLES = 5


@dataclass(frozen=True)
class Draw:
    """How many cases are drawn, and from which seed."""

    count: int = setting(100, "cases to draw")
    seed: int = setting(0, "case i is a function of seed and i")


@dataclass
class Tally:
    """Outcomes by name. `defects` are the outcomes that must not occur; each of their cases is kept."""

    defects: frozenset[str]
    counts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    cases: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, outcome: str, case: str) -> None:
        """Count one case. A defect's case is printed at once, so that a run that is cut short has shown it."""
        self.counts[outcome] += 1
        self.cases[outcome].append(case)
        if outcome in self.defects:
            print(f"{outcome}: {case}", file=sys.stderr, flush=True)

    @property
    def failed(self) -> list[str]:
        """The cases with an outcome that must not occur."""
        return [f"{outcome}: {case}" for outcome in sorted(self.defects) for case in self.cases[outcome]]

    def table(self) -> str:
        """One line an outcome: its count, its name, a few of its cases."""
        rows = sorted(self.counts.items(), key=lambda row: -row[1])
        return "\n".join(
            f"{count:6d}  {name:<24} {'; '.join(self.cases[name][:EXAMPLES])}"[:200] for name, count in rows
        )


def drawn() -> Draw:
    """Return the settings of the long form, read from the command line."""
    return read_settings(Draw, sys.argv[1:])


def finish(tally: Tally) -> None:
    """Print the table. Exit with 1 if a defect was found."""
    print(tally.table())
    raise SystemExit(1 if tally.failed else 0)
