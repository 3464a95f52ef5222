"""Small runs, a page that the command serves, and a browser."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ganlab.config.recipe import compose
from ganlab.runs.training import train

ROOT = Path(__file__).parent.parent.parent
QUIET = tuple(f"callbacks.{name}=null" for name in ("quality", "collapse", "pictures", "game"))
SMALL = ("network.generator.width=8", "network.discriminator.width=8", "batch_size=16", "data.size=16")


@pytest.fixture(scope="session")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned emoji with captions for a moment, whose discriminator gives ratios."""
    folder = tmp_path_factory.mktemp("runs") / "captions"
    words = ("recipe=cgan_text2img", "condition=words", "perturbation=[]", "average.half_life=500")
    return train(compose(*words, *SMALL, *QUIET, "trainer.max_steps=60", f"run_dir={folder}"))


@pytest.fixture(scope="session")
def outlines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that learned to colour outlines for a moment."""
    folder = tmp_path_factory.mktemp("runs") / "outlines"
    words = ("recipe=patchgan", "network.generator.width=8", "network.discriminator.width=8", "batch_size=8")
    return train(compose(*words, *QUIET, "data.size=32", "trainer.max_steps=5", f"run_dir={folder}"))


@contextmanager
def served(*words: str) -> Iterator[str]:
    """Run the command on a free port, and return the page's address. No other host can be reached through a proxy."""
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    environment = {**os.environ, **nowhere, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GANLAB_OFFLINE": "1"}
    command = [sys.executable, "-m", "ganlab.page", "port=0", *words]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        assert running.stdout is not None
        lines = iter(running.stdout.readline, "")
        yield next(found[0] for line in lines if (found := re.search(r"http://[\w.:]+", line)))
    finally:
        running.terminate()
        running.communicate(timeout=30)


@pytest.fixture(scope="session")
def page(captions: Path) -> Iterator[str]:
    """The page of the run with captions and of the published digits."""
    with served(f"checkpoint=[{captions},zoo:mnist]") as address:
        yield address


Open = Callable[[str, int], Any]


@pytest.fixture
def visit(browser: Any) -> Iterator[Open]:
    """visit(address, width): a tab with the page. It fails on errors, refusals and requests of other hosts."""
    complaints: list[str] = []
    tabs: list[Any] = []

    def opened(address: str, width: int) -> Any:
        tab = browser.new_page(viewport={"width": width, "height": 900})
        own = (address, "data:", "blob:")
        tab.on("console", lambda one: complaints.append(one.text) if one.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda one: None if one.url.startswith(own) else complaints.append(one.url))
        tab.on("response", lambda one: complaints.append(f"{one.status} {one.url}") if one.status >= 400 else None)
        tab.set_default_timeout(60_000)
        tab.goto(address)
        tabs.append(tab)
        return tab

    yield opened
    for tab in tabs:
        tab.close()
    assert complaints == []
