"""The command's words: help and mistakes are answered in one line, before torch and gradio are loaded."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ganlab.errors import UserError
from ganlab.page.__main__ import checked, read
from ganlab.page.server import is_loopback, listen
from tests.docs.pages import DOCS, blocks

ROOT = Path(__file__).parent.parent.parent


def type_in(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the command, and print the heavy packages that it loaded."""
    program = (
        "import runpy, sys\n"
        f"sys.argv = {['ganlab.page', *words]!r}\n"
        "try:\n    runpy.run_module('ganlab.page', run_name='__main__', alter_sys=True)\n"
        "finally:\n    print(sorted({'torch', 'gradio', 'numpy'} & set(sys.modules)))\n"
    )
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=120)


def test_help_is_answered_before_anything_heavy() -> None:
    done = type_in("--help")
    assert done.returncode == 0 and "python -m ganlab.page checkpoint=zoo:mnist" in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "`checkpoint` is needed"),
        (["checkpont=zoo:mnist"], "did you mean `checkpoint=...`?"),
        (["checkpoint=zoo:mnist", "port=70000"], "`port` must be a whole number from 0 to 65,535"),
        (["checkpoint=zoo:mnist", "port=x"], "`port` must be a whole number"),
        ([f"checkpoint=[{','.join('abcdefg')}]"], "`checkpoint` takes 6 at most, got 7"),
        (["checkpoint=zoo:mnist", "port=0", "host=256.1.1.1"], "`host` 256.1.1.1 with port 0 cannot be used"),
    ],
)
def test_a_mistake_is_one_line(words: list[str], said: str) -> None:
    done = type_in(*words)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert said in done.stderr and done.stdout.strip() == "[]"


def test_words_without_a_key_are_further_checkpoints() -> None:
    assert read(["checkpoint=runs/a", "runs/b", "port=0", "zoo:mnist"]).checkpoint == ["runs/a", "runs/b", "zoo:mnist"]


def test_the_commands_of_the_documentation_are_read() -> None:
    page = DOCS / "howto/page.md"
    commands = [words for block in blocks(page) for words in block.commands() if "ganlab.page" in words]
    assert len(commands) == 3
    for words in commands:
        assert checked(read(words[words.index("ganlab.page") + 1 :])).checkpoint


def test_a_missing_package_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    with pytest.raises(UserError, match=r'pip install "ganlab\[page\]"'):
        checked(read(["checkpoint=zoo:mnist"]))


def test_a_port_in_use_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"`port` {port} is in use"):
            listen("127.0.0.1", port)


def test_only_the_loopback_address_listens_by_default() -> None:
    host = read(["checkpoint=zoo:mnist"]).host
    assert is_loopback(host)
    with listen(host, 0) as own:
        assert own.getsockname()[0] == "127.0.0.1"


def test_points_are_no_pictures(tmp_path: Path) -> None:
    from ganlab.config.recipe import compose
    from ganlab.page.model import Model
    from ganlab.runs.training import train
    from tests.page.conftest import QUIET

    ring = train(
        compose("recipe=ring", *QUIET, "data.count=100", "trainer.max_steps=2", f"run_dir={tmp_path / 'ring'}")
    )
    with pytest.raises(UserError, match="draws points, not pictures"):
        Model.open(str(ring))
