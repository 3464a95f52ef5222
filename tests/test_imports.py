"""Who may import whom: the maths is plain torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ganlab

PLAIN = (
    "objectives",
    "divergences",
    "regularizers",
    "constraints",
    "perturbations",
    "processes",
    "averaging",
    "batch",
    "networks",
    "metrics",
    "monitor",
)


def modules() -> list[str]:
    """The modules that must be plain torch, of those that there are."""
    root = Path(ganlab.__file__).parent
    files = [file for name in PLAIN for file in (root / f"{name}.py", *sorted((root / name).rglob("*.py")))]
    names = [file.relative_to(root.parent).with_suffix("").parts for file in files if file.exists()]
    return [".".join(name) for name in names if name[-1] not in ("__init__", "__main__")]


def test_the_maths_imports_neither_lightning_nor_hydra() -> None:
    """In a process of its own, by what has been loaded in the end. torchmetrics is none of the three."""
    imports = "\n".join(f"import {name}" for name in modules())
    check = "import sys; print(sorted({'pytorch_lightning', 'lightning', 'hydra'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", f"{imports}\n{check}"], capture_output=True, text=True, check=True)
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_all_of_it_is_looked_at() -> None:
    assert {"ganlab.objectives", "ganlab.regularizers", "ganlab.networks.heads", "ganlab.networks.text"} <= set(
        modules()
    )
