"""The console script `ganlab`: each command is the module of its name, its own words answer before torch is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from configparser import ConfigParser
from importlib import import_module
from pathlib import Path

import pytest

import ganlab
from ganlab.__main__ import COMMANDS

ROOT = Path(ganlab.__file__).parent.parent


def entry_point() -> tuple[str, str]:
    """Return the module and the function of the console script, as declared."""
    declared = ConfigParser()
    declared.read(ROOT / "setup.cfg")
    name, _, target = declared["options.entry_points"]["console_scripts"].strip().partition(" = ")
    assert name == "ganlab"
    module, _, function = target.partition(":")
    return module, function


def type_in(folder: Path, *words: str, module: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a module by -m, or the script that pip would write for the entry point, from a folder of its own."""
    if module is None:
        package, function = entry_point()
        script = folder / "bin" / "ganlab"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"import sys\nfrom {package} import {function}\nsys.exit({function}())\n")
        start = [str(script)]
    else:
        start = ["-m", module]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *start, *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=240)


def test_help_has_a_line_for_each_command(tmp_path: Path) -> None:
    done = type_in(tmp_path, "--help")
    lines = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (0, "")
    assert [sum(line.startswith(f"  {name} ") for line in lines) for name in COMMANDS] == [1] * len(COMMANDS)
    assert type_in(tmp_path, "--help", module="ganlab").stdout == done.stdout


def test_every_command_is_a_module_with_a_main() -> None:
    for name in COMMANDS:
        module = import_module(f"ganlab.{name}.__main__" if name in ("lecture", "zoo") else f"ganlab.{name}")
        assert callable(module.main)


def test_version(tmp_path: Path) -> None:
    assert type_in(tmp_path, "--version").stdout == f"{ganlab.__version__}\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fti"], "ganlab: `fti` is no command: did you mean `fit`?"),
        ([], "ganlab: a command is needed"),
        (["fit", "recipe=vanila"], "ganlab.fit: `recipe=vanila` does not exist"),
        (["lecture", "metre"], "ganlab.lecture: `metre` is not an experiment: did you mean `meter`?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path: Path, words: list[str], said: str) -> None:
    done = type_in(tmp_path, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert said in done.stderr


@pytest.mark.parametrize(
    "words", [["fit", "recipe=vanilla", "--cfg", "job", "seed=7"], ["sample", "--help"], ["evaluate", "count=x"]]
)
def test_a_command_is_the_module_of_its_name(tmp_path: Path, words: list[str]) -> None:
    script, module = type_in(tmp_path, *words), type_in(tmp_path, *words[1:], module=f"ganlab.{words[0]}")
    assert (script.returncode, script.stdout, script.stderr) == (module.returncode, module.stdout, module.stderr)


def test_the_command_runs_as_main_with_words_that_other_processes_repeat(tmp_path: Path) -> None:
    """Lightning starts them with `-m` and the name of `__main__`, and finds a component in the working folder last."""
    (tmp_path / "torch.py").write_text("raise SystemExit('shadowed')")
    (tmp_path / "mine.py").write_text(
        "import os\nimport sys\n\n\ndef trainer(**settings):\n"
        "    print(sys.modules['__main__'].__spec__.name, sys.argv[1:], flush=True)\n    os._exit(3)\n"
    )
    words = ["fit", "recipe=ring", "trainer._target_=mine.trainer", "trainer.accelerator=cpu", "data.count=100"]
    done = type_in(tmp_path, *words, "data.held_out_count=50", "run_dir=here")
    assert done.returncode == 3, done.stderr
    name, _, repeated = done.stdout.partition(" ")
    assert name == "ganlab.fit" and repeated.startswith("['--config-name', 'ring', '++trainer._target_=mine.trainer'")
