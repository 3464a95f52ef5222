"""Kill, stop and damage real runs at drawn places; each must end as the run that never stopped.

    python -m tests.attacks.kills count=100 seed=0

A case repeats one command line with `resume=auto`, as a scheduler would. It is ended once or more on its way, its files
are damaged or its disk is full, and then it is left to finish. Judged are the iterations that each end cost, the files
that remain, the rows of metrics.csv, and the bits of the last checkpoint.
"""

from __future__ import annotations

import itertools
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ganlab.config.cli import errors_in_one_line
from ganlab.config.recipe import compose
from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError
from ganlab.files import durable
from ganlab.files.metrics_file import read_rows
from ganlab.files.run_folder import RunFolder
from ganlab.runs.training import train
from tests.attacks.forked import end_with, speak_into
from tests.attacks.tally import Tally, drawn, finish

ITERATIONS = 22
LIMIT = 120.0  # seconds of the clock for one run
WORDS = (
    *("recipe=ring", f"trainer.max_steps={ITERATIONS}", "trainer.log_every_n_steps=1", "batch_size=8", "resume=auto"),
    *("network.generator.width=16", "network.discriminator.width=16", "data.held_out_count=100", "data.count=500"),
    *("callbacks.quality=null", "callbacks.collapse=null", "callbacks.pictures=null", "callbacks.game=null"),
)
KINDS = ("moment", "writing", "signal", "torn", "disk")
DEFECTS = frozenset({"traceback", "hang", "lost more", "other weights", "rows lost", "files left", "wrong exit code"})
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129, signal.SIGUSR1: 138}


# One run in a child -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code (negative: the signal), what it said, and the iterations it had completed."""

    code: int
    text: str
    iterations: int


@dataclass
class Place:
    """Where a case happens: the run's folder, what a child says, and a word of memory for its iterations."""

    root: Path
    every: int
    counter: mmap.mmap = field(default_factory=lambda: mmap.mmap(-1, 8))

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.root / "run")

    @property
    def words(self) -> list[str]:
        return [*WORDS, f"run_dir={self.run.path}", f"callbacks.checkpoints.every={self.every}"]

    def play(
        self,
        before: Callable[[], None] = lambda: None,
        meanwhile: Callable[[int], None] | None = None,
        words: Sequence[str] = (),
    ) -> Ended:
        """Run a command line in a forked child. `before` runs in the child, `meanwhile` here, with its process."""
        self.counter[:] = struct.pack("q", 0)
        said = self.root / "said"
        process = os.fork()
        if not process:
            self._child(said, before, words or self.words)
        if meanwhile:
            meanwhile(process)
        code = _wait(process)
        return Ended(code, said.read_text(errors="replace"), struct.unpack("q", self.counter[:])[0])

    def _child(self, said: Path, before: Callable[[], None], words: Sequence[str]) -> None:
        speak_into(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC))

        def command() -> None:
            sys.argv[1:] = words
            self._count_iterations()
            before()
            with errors_in_one_line():
                train(compose(*words))

        end_with(command)

    def _count_iterations(self) -> None:
        original = GenerativeModule._count_iteration

        def count(module: GenerativeModule) -> None:
            original(module)
            self.counter[:] = struct.pack("q", module.iteration)

        GenerativeModule._count_iteration = count  # type: ignore[method-assign]


def _wait(process: int) -> int:
    """Return the child's exit code, or -1000 if it had to be killed because it hung."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    return -1000


# Ways to end it ---------------------------------------------------------------------------------------------------


def at_iteration(place: Place, iteration: int, number: int, delay: float) -> Callable[[int], None]:
    """Send a signal once the child has completed so many iterations, and some milliseconds more."""

    def send(process: int) -> None:
        end = time.monotonic() + LIMIT
        while struct.unpack("q", place.counter[:])[0] < iteration and time.monotonic() < end:
            if os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                return
            time.sleep(0.001)
        time.sleep(delay)
        os.kill(process, number)

    return send


class Counted:
    """A file whose writes are counted."""

    def __init__(self, file: Any, step: Callable[[], None]) -> None:
        self._file, self._step = file, step

    def write(self, content: Any) -> int:
        self._step()
        half = len(content) // 2
        self._file.write(content[:half])
        self._file.flush()
        self._step()
        return half + int(self._file.write(content[half:]))

    def __enter__(self) -> Counted:
        return self

    def __exit__(self, *error: Any) -> None:
        self._file.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def count_writing(step: Callable[[], None]) -> None:
    """Call `step` at each write, sync, link and rename with which a file is replaced."""

    def stepping(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            step()
            return original(*args, **kwargs)

        return call

    fdopen = os.fdopen
    os.fdopen = lambda *args, **kwargs: Counted(fdopen(*args, **kwargs), step)  # type: ignore[assignment]
    os.fsync, os.link = stepping(os.fsync), stepping(os.link)
    durable.Path.replace = stepping(Path.replace)  # type: ignore[method-assign]


def killed_at_write(number: int) -> Callable[[], None]:
    """Return what makes a process kill itself at its write `number`."""
    counter = itertools.count()

    def step() -> None:
        if next(counter) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    return lambda: count_writing(step)


def damage(file: Path, rng: random.Random) -> str:
    """Damage a file as a power cut or a bad disk does, and say how."""
    content = file.read_bytes()
    kinds = ["emptied", "cut", "cut and filled with zeros", *(["flipped"] if file.suffix != ".csv" else [])]
    kind = rng.choice(kinds)
    at = rng.randrange(len(content)) if content else 0
    bit = bytes(byte ^ (1 << rng.randrange(8)) for byte in content[at : at + 1])
    changed = {
        "emptied": b"",
        "cut": content[:at],
        "cut and filled with zeros": content[:at] + bytes(len(content) - at),
        "flipped": content[:at] + bit + content[at + 1 :],
    }[kind]
    file.write_bytes(changed)
    return f"{file.name} {kind} at {at}"


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """Put a file system of so many bytes at the folder. Raise `OSError` if this process may not."""
    folder.mkdir(parents=True, exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=False, capture_output=True)


def _mount(*words: str) -> None:
    if subprocess.run(["mount", *words], check=False, capture_output=True).returncode:
        raise OSError("no file system may be mounted here")


# Cases ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Straight:
    """The run that never stopped: its last checkpoint, how often it wrote, and the bytes of a checkpoint."""

    content: dict[str, Any]
    writes: dict[int, int]
    size: int


def straight(root: Path) -> Straight:
    """Train without an end, and count the writes for each interval between checkpoints."""
    writes = {}
    for every in (1, 3, 7):
        place = Place(_made(root / f"straight{every}"), every)
        tally = mmap.mmap(-1, 8)

        def step(tally: mmap.mmap = tally) -> None:
            tally[:] = struct.pack("q", struct.unpack("q", tally[:])[0] + 1)

        ended = place.play(lambda step=step: count_writing(step))  # type: ignore[misc]
        if ended.code:
            raise RuntimeError(ended.text)
        writes[every] = struct.unpack("q", tally[:])[0]
    file = place.run.last_file
    return Straight(torch.load(file, weights_only=True), writes, file.stat().st_size)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def attempt(root: Path, kind: str, rng: random.Random, truth: Straight) -> tuple[str, str]:
    """Play one case to its end, and return what became of it with its words."""
    place = Place(_made(root), rng.choice([1, 3, 7]))
    story = [kind, f"every={place.every}"]
    outcome = {"disk": _full_disk}.get(kind, _ended)(place, kind, rng, truth, story)
    return outcome, " ".join(story)


def _ended(place: Place, kind: str, rng: random.Random, truth: Straight, story: list[str]) -> str:
    for _ in range(rng.choice([1, 1, 2])):
        if fault := _end_once(place, kind, rng, truth, story):
            return fault
    if kind == "torn" and (files := _files(place.run)):
        story.append(damage(rng.choice(files), rng))
    if rng.random() < 0.5 and place.run.has_checkpoint() and _saved(place.run) < ITERATIONS:
        story.append("resume=RUN")
        return _finish(place, truth, story, [f"resume={place.run.path}"])
    return _finish(place, truth, story)


def _files(run: RunFolder) -> list[Path]:
    """Return a run's files, of the kinds of which damage to one must cost nothing more than an interval."""
    files = (run.last_file, run.previous_file, run.recipe_file, run.metrics_file, run.summary_file)
    return [file for file in files if file.exists() and (file != run.last_file or run.previous_file.exists())]


def _end_once(place: Place, kind: str, rng: random.Random, truth: Straight, story: list[str]) -> str | None:
    """End the run somewhere; return what was wrong with how it ended."""
    number, iteration = signal.SIGKILL, rng.randrange(1, ITERATIONS - 1)
    if kind == "signal" or (kind == "torn" and rng.random() < 0.5):
        number = rng.choice(list(CODES))
    if kind == "writing":
        write = rng.randrange(truth.writes[place.every])
        story.append(f"killed at write {write}")
        ended = place.play(killed_at_write(write))
    else:
        delay = rng.choice([0, 0.002, 0.01])
        story.append(f"{signal.Signals(number).name} after iteration {iteration}")
        ended = place.play(meanwhile=at_iteration(place, iteration, number, delay))
    return _fault(place, ended, {0, -number, CODES.get(number, -number), -signal.SIGKILL})


def _fault(place: Place, ended: Ended, codes: set[int]) -> str | None:
    if ended.code == -1000:
        return "hang"
    if "Traceback" in ended.text:
        print(ended.text, file=sys.stderr)
        return "traceback"
    if ended.code not in codes:
        return "wrong exit code"
    least = ended.iterations - place.every
    return "lost more" if least > 0 and _saved(place.run) < least else None


def _saved(run: RunFolder) -> int:
    """Return the iteration of the checkpoint that resuming would take, 0 if there is none."""
    try:
        return int(torch.load(run.last(), weights_only=True)["ganlab"]["iteration"])
    except UserError:
        return 0


def _finish(place: Place, truth: Straight, story: list[str], words: Sequence[str] = ()) -> str:
    """Let the run finish, and compare it with the one that never stopped."""
    ended = place.play(words=words)
    if ended.code or "Traceback" in ended.text:
        story.append(ended.text.strip()[-300:])
        return "traceback" if "Traceback" in ended.text else "hang" if ended.code == -1000 else "wrong exit code"
    content = torch.load(place.run.last_file, weights_only=True)
    if not _same(content["state_dict"], truth.content["state_dict"]):
        return "other weights"
    if not _same(content["optimizer_states"], truth.content["optimizer_states"]):
        return "other weights"
    if list(place.root.rglob(f".*{durable.PART}")):
        return "files left"
    rows = [int(row["iteration"]) for row in read_rows(place.run.metrics_file)]
    lost = rows != list(range(1, ITERATIONS + 1))
    if lost and any("metrics.csv" in word for word in story):  # its own damage cannot be undone, what follows is whole
        lost = rows != sorted(set(rows)) or ("is complete" not in ended.text and rows[-1] != ITERATIONS)
    return "rows lost" if lost else f"as if never stopped ({story[0]})"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


def _full_disk(place: Place, kind: str, rng: random.Random, truth: Straight, story: list[str]) -> str:
    """Fill the disk under the run, see it end in one line, give it room, and let it finish."""
    size = int(truth.size * rng.uniform(0.3, 3.5)) // 4096 * 4096
    story.append(f"{size} bytes for checkpoints of {truth.size}")
    try:
        with small_disk(place.run.path, size):
            ended = place.play()
            if fault := _fault(place, ended, {0, 1}):
                return fault
            if ended.code and "No space left" not in ended.text:
                story.append(ended.text[-300:])
                return "wrong exit code"
            _mount("-o", "remount,size=50m", str(place.run.path))
            return _finish(place, truth, story)
    except OSError:
        return "not tried: nothing may be mounted here"


def attack(count: int, seed: int, kinds: tuple[str, ...] = KINDS) -> Tally:
    """Play `count` cases, the kinds in turn."""
    tally = Tally(DEFECTS)
    with tempfile.TemporaryDirectory() as folder:
        truth = straight(Path(folder))
        for index in range(count):
            root = Path(folder) / f"case{index}"
            rng = random.Random(f"{seed}:{index}")
            outcome, story = attempt(root, kinds[index % len(kinds)], rng, truth)
            tally.add(outcome, f"{seed}:{index} {story}")
            shutil.rmtree(root, ignore_errors=True)
    return tally


if __name__ == "__main__":
    settings = drawn()
    finish(attack(settings.count, settings.seed))
