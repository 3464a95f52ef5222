"""The notebooks of the documentation: each is executed as a reader would, and its page has its pictures."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import DOCS, ROOT

nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
NOTEBOOKS = sorted(DOCS.rglob("*.ipynb"))


def outputs(notebook: Any) -> list[Any]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def kinds(notebook: Any) -> list[str]:
    """The kinds of all outputs that are data, in their order."""
    return [next(iter(sorted(output.data))) for output in outputs(notebook) if "data" in output]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning")
@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_a_notebook_runs_and_shows_what_it_was_saved_with(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    saved = nbformat.read(file, as_version=4)
    executed = nbformat.read(file, as_version=4)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(executed, timeout=180, kernel_name="python3", resources=where).execute()
    assert not [output for output in outputs(executed) if output.output_type == "error"]
    assert kinds(executed) == kinds(saved)
    assert kinds(executed).count("image/png") >= 2  # the live picture, and a sheet
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").is_file()


@pytest.mark.parametrize("file", NOTEBOOKS, ids=lambda file: file.stem)
def test_the_page_of_a_notebook_has_its_text_code_and_pictures(file: Path) -> None:
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "tools" / "docs" / "notebooks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = module.rendered(file)
    assert page.text.startswith("# ") and "```python" in page.text and "<progress" in page.text
    assert len(page.pictures) >= 2
    for name, content in page.pictures.items():
        assert f"pictures/{name}" in page.text and content.startswith(b"\x89PNG")
