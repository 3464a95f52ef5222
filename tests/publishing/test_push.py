"""Publishing on a local server that speaks the Hub's calls, and fetching from it, as a person types it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ganlab
from ganlab.files.published import CARD_FILE, CONFIG_FILE, MODEL_FILE, SAMPLES_FILE
from ganlab.push import PushSettings, checked, push
from tests.publishing.hub import Hub, serving

Command = Callable[..., subprocess.CompletedProcess[str]]
ROOT = Path(ganlab.__file__).parent.parent


@pytest.fixture(scope="module")
def hub() -> Iterator[Hub]:
    with serving() as one:
        yield one


@pytest.fixture(scope="module")
def type_in(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """type_in(command, *words, **environment): run a command against the server, from a folder of its own."""
    folder = tmp_path_factory.mktemp("work")

    def run(command: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        own = {"HF_ENDPOINT": hub.endpoint, "HF_HOME": str(folder / "cache"), "HF_TOKEN": "hf_x", **more}
        own |= {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_XET": "1"}
        started = [sys.executable, "-m", f"ganlab.{command}", *words]
        environment = {**os.environ, **own}
        return subprocess.run(started, capture_output=True, text=True, cwd=folder, env=environment, timeout=240)

    return run


def test_there_and_back(checkpoint: Callable[..., Path], hub: Hub, type_in: Command, tmp_path: Path) -> None:
    """What was pushed draws the same pictures, online and then from the cache; only two files are fetched."""
    file = checkpoint("recipe=cgan_class")
    done = type_in("push", f"checkpoint={file}", "to=someone/cats", "private=true")
    assert done.returncode == 0, done.stderr
    assert set(hub.files("someone/cats")) == {MODEL_FILE, CONFIG_FILE, CARD_FILE, SAMPLES_FILE}
    assert hub.private["someone/cats"] and str(file.parent) not in hub.files("someone/cats")[CONFIG_FILE].decode()
    assert b"checkpoint=hf:someone/cats" in hub.files("someone/cats")[CARD_FILE]

    hub.calls.clear()
    commit = hub.sha("someone/cats", 1)
    names = {
        "own": str(file),
        "hub": "hf:someone/cats",
        "commit": f"hf:someone/cats@{commit}",
        "cache": "hf:someone/cats",
    }
    for name, place in names.items():
        offline = {"GANLAB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"} if name == "cache" else {}
        words = (f"checkpoint={place}", "label=dog", "count=2", f"out={tmp_path / name}")
        done = type_in("sample", *words, **offline)
        assert done.returncode == 0, done.stderr
    own, *others = (np.asarray(Image.open(tmp_path / name / "dog-00001.png")) for name in names)
    assert all(np.array_equal(other, own) for other in others)
    fetched = {call.rpartition("/")[2] for call in hub.calls if "/resolve/" in call}
    assert fetched == {MODEL_FILE, CONFIG_FILE}


def test_what_is_not_there_is_one_line(type_in: Command) -> None:
    for words, said, more in (
        (("sample", "checkpoint=hf:someone/nothing"), "does not exist on the Hub", {}),
        (("sample", "checkpoint=hf:someone/other"), "may not be fetched offline", {"GANLAB_OFFLINE": "1"}),
        (("sample", "checkpoint=hf:someone/far"), "the Hub does not answer", {"HF_ENDPOINT": "http://127.0.0.1:9"}),
    ):
        done = type_in(*words, **more)
        assert done.returncode == 2 and said in done.stderr, done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_a_folder_takes_the_place_of_the_hub(checkpoint: Callable[..., Path], tmp_path: Path) -> None:
    push(checked(PushSettings(checkpoint=str(checkpoint("recipe=cgan_class")), to=str(tmp_path / "model"))))
    assert {file.name for file in (tmp_path / "model").iterdir()} == {MODEL_FILE, CONFIG_FILE, CARD_FILE, SAMPLES_FILE}
