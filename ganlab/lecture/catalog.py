"""The list of experiments with their claims. It is read from their source, nothing is imported."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
SENTENCE = re.compile(r"(.+?[.!?])(?=\s+[A-Z]|\s*$)", re.DOTALL)  # "et al. 2017" does not end one


def experiments(folder: Path = HERE) -> dict[str, str]:
    """Return each experiment's name with its claim. An experiment is a module of the folder with a function `run`."""
    trees = {file.stem: ast.parse(file.read_text(encoding="utf-8")) for file in sorted(folder.glob("[!_]*.py"))}
    return {name: claim(ast.get_docstring(tree) or "") for name, tree in trees.items() if _runs(tree)}


def _runs(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body)


def claim(text: str) -> str:
    """Return a docstring's first sentence, on one line.

    >>> claim("Found by Arjovsky et al. 2017: W1 grows\\nby 0.5. The rest.")
    'Found by Arjovsky et al. 2017: W1 grows by 0.5.'
    """
    found = SENTENCE.match(" ".join(text.split()))
    return found[1] if found else ""
