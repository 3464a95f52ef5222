"""A few odd command lines: none ends in a traceback, hangs, or trains with nonsense."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SHORT = "from pathlib import Path; from tests.attacks.commands import *; prepare(Path(sys.argv[1])); "


def test_odd_commands_end_well(tmp_path: Path) -> None:
    """In a process of its own: it is forked from, and pytest's has threads."""
    root = Path(__file__).parents[2]
    code = f"import sys; sys.path.insert(0, {str(root)!r}); {SHORT}print(attack(12, 100).failed)"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().splitlines()[-1] == "[]", done.stderr
