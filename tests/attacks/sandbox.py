"""Run one command of ganlab in a process of its own, in a folder of its own, and say what it did there.

A child is forked, so that libraries are loaded once. It has a limit on processor seconds and on memory, a secret in its
environment, and modules in its working folder that leave a proof if they are ever imported or called.
"""

from __future__ import annotations

import importlib
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.attacks.forked import end_with, speak_into

SECRET = "hunter2-a7f3"
SECONDS, PATIENCE, BYTES = 10, 60, 2**30
PROOF = "PROOF"
EVIL = "import os\nopen(os.environ['ATTACK_PROOF'], 'w').close()\nfrom torch.nn import *\n"
SHADOWS = ("torch/__init__.py", "yaml.py", "numpy/__init__.py", "hydra/__init__.py", "evil.py", "stranger/__init__.py")
MODELS = '[{"idx": 0, "name": "0", "path": "", "type": "evil.LayerNorm"}]'


@dataclass(frozen=True)
class Sandbox:
    """`work` is the working folder, `run` the stranger's run in it; all else under `root` is out of bounds."""

    root: Path

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def run(self) -> Path:
        return self.work / "stranger"

    @property
    def outside(self) -> Path:
        return self.root / "outside"

    def prepare(self) -> None:
        """Make the folders and the modules that shadow packages."""
        for folder in (self.run / "checkpoints", self.outside, self.root / "home"):
            folder.mkdir(parents=True)
        (self.outside / "kept.txt").write_text("kept\n")
        for name in SHADOWS:
            (self.work / name).parent.mkdir(parents=True, exist_ok=True)
            (self.work / name).write_text(EVIL)
        (self.run / "evil.py").write_text(EVIL)
        (self.run / "modules.json").write_text(MODELS)

    def environment(self) -> dict[str, str]:
        own = {"HOME": self.root / "home", "ATTACK_PROOF": self.root / PROOF, "ATTACK_SECRET": SECRET}
        return {
            **os.environ,
            **{name: str(value) for name, value in own.items()},
            "HF_HUB_OFFLINE": "1",
            "GANLAB_CACHE": str(self.root.parent / "cache"),
        }

    def files(self) -> dict[Path, tuple[int, int]]:
        """Return each file and folder under the root with its size and its time; caches of bytecode left out."""
        found = (path for path in self.root.rglob("*") if "__pycache__" not in path.parts)
        stats = ((path, path.lstat()) for path in found)
        return {path: (0, 0) if path.is_dir() else (stat.st_size, stat.st_mtime_ns) for path, stat in stats}


@dataclass(frozen=True)
class Result:
    """What a command did: its exit code or signal, its words, its memory, and the paths that it made or changed."""

    code: int
    text: str
    bytes: int
    changed: tuple[Path, ...]
    seconds: float


def run(box: Sandbox, module: str, words: Sequence[str], separate: bool = False) -> Result:
    """Run `python -m MODULE WORDS`: in a forked child, or separately in a Python of its own."""
    before, started = box.files(), time.monotonic()
    log = box.root / "log.txt"
    if separate:
        with log.open("wb") as file:
            job = [sys.executable, "-m", module, *words]
            code = subprocess.run(job, cwd=box.work, env=box.environment(), stdout=file, stderr=file).returncode
        used = 0
    else:
        code, used = _wait(_fork(box, module, words, log))
    changed = [path for path, state in box.files().items() if before.get(path) != state and path != log]
    changed += [path for path in before if not path.is_symlink() and not path.exists()]
    return Result(code, log.read_text(errors="replace"), used, tuple(changed), time.monotonic() - started)


def _fork(box: Sandbox, module: str, words: Sequence[str], log: Path) -> int:
    sys.stdout.flush()
    sys.stderr.flush()

    def command() -> None:
        _confine(box, log)
        sys.argv = [module, *words]
        importlib.import_module(module).main()

    return os.fork() or end_with(command)


def _confine(box: Sandbox, log: Path) -> None:
    speak_into(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    os.chdir(box.work)
    os.environ.clear()
    os.environ.update(box.environment())
    sys.path.append(str(box.work))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS + 2))
    resource.setrlimit(resource.RLIMIT_AS, (_mapped() + 4 * BYTES,) * 2)


def _mapped() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _wait(child: int) -> tuple[int, int]:
    """Return the child's exit code (a signal is negative) and how far its memory rose above this process's."""
    end = time.monotonic() + PATIENCE
    while True:
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            here = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return os.waitstatus_to_exitcode(status), max(0, usage.ru_maxrss - here) * 1024
        if time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def verdict(box: Sandbox, result: Result, allowed: Sequence[Path]) -> str:
    """Name the worst thing that happened, or how the command ended."""
    if (box.root / PROOF).exists():
        return "code ran"
    if SECRET in result.text or any(_holds_secret(path) for path in result.changed):
        return "environment leaked"
    if any(not any(path == place or place in path.parents for place in allowed) for path in result.changed):
        return "written outside"
    if "Traceback (most recent call last)" in result.text:
        return "traceback"
    if result.code in (-signal.SIGXCPU, -signal.SIGKILL):
        return "too long"
    if result.code < 0 or result.code == 70:
        return "crash"
    if result.bytes > BYTES:
        return "memory"
    return {0: "ran, unharmed", 2: "refused in one line"}.get(result.code, "refused by the system")


def _holds_secret(path: Path) -> bool:
    if SECRET in str(path):
        return True
    return path.is_file() and SECRET.encode() in path.read_bytes()


DEFECTS = frozenset({"code ran", "environment leaked", "written outside", "traceback", "too long", "crash", "memory"})
