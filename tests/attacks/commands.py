"""Odd command lines of fit, sample and evaluate, drawn from a seed, and what became of each.

    python -m tests.attacks.commands count=1000 seed=0

A case takes settings from a composed recipe, and from the signatures of its components, and spoils one to four of them.
Each runs in a fork of a process that has imported everything: a process of its own would import torch for 5 s.
`ALLOWED` says what a setting may be, by its meaning. It is independent of the annotations that the package checks.
"""

from __future__ import annotations

import io
import math
import os
import random
import re
import select
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from ganlab.config.catalog import catalog
from ganlab.config.checking import signature_of
from ganlab.config.derived import leaves
from ganlab.config.recipe import compose
from ganlab.errors import UserError
from ganlab.evaluate import EvaluateSettings
from ganlab.sample import SampleSettings
from tests.attacks.forked import end_with, speak_into
from tests.attacks.tally import Tally, drawn, finish

SILENCE = 10.0  # CPU seconds without a word that count as a hang
LONG = 12.0  # CPU seconds after which a command that speaks is left to itself
PATIENCE = 90.0  # seconds of the clock: other work on the machine must not look like a hang

QUIET = tuple(f"callbacks.{name}=null" for name in ("pictures", "quality", "collapse", "game"))
THIN = ("network.generator.width=4", "network.discriminator.width=4")
SHORT = ("trainer.max_steps=2", "batch_size=8")
BASES: tuple[tuple[str, ...], ...] = (
    ("recipe=ring", "callbacks.quality.count=64", "callbacks.collapse.count=64", "data.count=500", *SHORT),
    ("recipe=hinge", "data=toy", *SHORT, *QUIET),
    ("recipe=vanilla", "data=shape_classes", "data.count=40", "data.held_out_count=20", *SHORT, *THIN, *QUIET),
    ("recipe=cgan_text2img", "data=shapes", "data.count=40", "data.held_out_count=20", *SHORT, *THIN, *QUIET),
    ("recipe=vanilla", "data=folder", "data.root=pictures", "data.size=16", *SHORT, *THIN, *QUIET),
    ("recipe=vae", "data=folder", "data.root=pictures", "data.size=16", *SHORT, *THIN, *QUIET),
    ("recipe=wgan_gp", "data=folder", "data.root=pictures", "data.size=16", *SHORT, *THIN, *QUIET),
)
RUNS = {"points": BASES[0], "captions": BASES[3]}
"""Runs that sample and evaluate read."""

NUMBERS = ("-1", "0", "1", "2", "3", "1.5", "-0.0", "1e-30", "1e30", "nan", "inf", "-inf", "1000000000", "9" * 20)
WORDS = (
    *("''", "null", "true", "banana", "ü", "名前", "[", "]", "{", "[1,2]", "[]", "{}", "{a:1}", "[[1]]", "'", '"'),
    *("'a,b'", "a b", "${seed}", "${nothing}", "???", "../nosuch", "/dev/null", "a=b", "\\", "-", "1,2", "_target_"),
    "x" * 300,
)
PLAUSIBLE = ("1", "2", "3", "4", "0.5", "0.1", "10", "64", "true", "false", "[0.1,0.9]", "auto", "null")
OPTIONS = (["--cfg", "job"], ["--resolve"], ["--cfg", "job", "--resolve"], ["-m"], ["--info"], ["--nope"], ["-x"], [])

SAMPLE = tuple(entry.name for entry in fields(SampleSettings) if entry.name != "checkpoint")
EVALUATE = tuple(entry.name for entry in fields(EvaluateSettings) if entry.name != "checkpoint")
CHOICES = ("rejection", "mh", "langevin", "fid", "modes", "kid", "small", "inception", "train", "reference", "points")

Allowed = Callable[[float], bool]
ALLOWED: tuple[tuple[str, Allowed], ...] = (
    (r"text|label|input|out|allow|(save_)?reference|generated|weights|compare|metrics", lambda x: True),  # words
    (
        r"(.*\.)?(batch_size|turns|accumulate|pack|every|penalty_every|width|depth|latent_dim|dim)",
        lambda x: 1 <= x < 1e9,
    ),
    (
        r"(.*\.)?(count|columns|modes|buckets|longest|limit|blocks|num_nodes|steps|candidates|speed)",
        lambda x: 1 <= x < 1e9,
    ),
    (r"discriminator\.constraint\.limit", lambda x: 0 < x < math.inf),
    (r"(.*\.)?lr", lambda x: 0 <= x < 1e6),
    (r"(.*\.)?betas(\.\d)?", lambda x: 0 <= x < 1),
    (r"(.*\.)?clip", lambda x: 0 < x < math.inf),
    (
        r"(.*\.)?(gamma|match_weight|weight|weight_decay|eps|kl_weight|beta|half_life|radius|k)",
        lambda x: 0 <= x < math.inf,
    ),
    (r"(.*\.)?(ramp|pairs|near_misses)", lambda x: 0 <= x <= 1),
    (r"(.*\.)?(hold|held_out|momentum|decay|dropout)", lambda x: 0 <= x < 1 or 4 <= x < 1e9),  # sample's is a count
    (r"(.*\.)?(sigma|spacing|step_size)", lambda x: 0 < x < math.inf),
    (r"(.*\.)?seed", lambda x: 0 <= x < 2**32),
    (r"(.*\.)?workers", lambda x: 0 <= x <= 4096),
    (r"(.*\.)?size", lambda x: x in (8, 16, 32, 64, 128, 256) or 8 <= x <= 1024),
    (r"minibatch_deviation", lambda x: x == 0 or 2 <= x < 1e9),
    (r".*", math.isfinite),
)
"""Setting -> what a number must be. The first pattern that fits a setting decides."""


# Cases ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A command's words, and which numbers of them are nonsense."""

    module: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.module} {' '.join(self.words)}"

    @property
    def nonsense(self) -> list[str]:
        """The settings whose last value is a number outside its range. A deleted or replaced node may not count."""
        last = {key.lstrip("+"): value for key, _, value in (word.partition("=") for word in self.words)}
        return [f"{key}={value}" for key, value in last.items() if _is_nonsense(key, value)]


def _is_nonsense(key: str, text: str) -> bool:
    try:
        value = float(text)
    except ValueError:
        return False
    allowed = next(test for pattern, test in ALLOWED if re.fullmatch(pattern, key))
    return not allowed(value)


@cache
def settings(base: tuple[str, ...]) -> list[str]:
    """Return every setting that may be typed beside a base: leaves of its recipe, parameters of its components."""
    recipe = {key: value for key, value in compose(*base).items() if key != "derived"}
    found = {place for place, _ in leaves(recipe)} | set(_parameters("", recipe))
    ours = {"run_dir", "resume", "recipe", "ganlab.debug", "trainer.max_steps", "trainer.max_epochs"}
    return sorted(place for place in found if place not in ours and not place.startswith("trainer.default_root"))


def _parameters(path: str, node: object) -> Iterator[str]:
    if not isinstance(node, dict):
        return
    if "_target_" in node:
        yield from (f"{path}.{name}" for name in signature_of(node["_target_"], path).parameters)
    for key, inner in node.items():
        yield from _parameters(f"{path}.{key}" if path else key, inner)


def case(seed: int, number: int) -> Case:
    """Return a case that is a function of the seed and its number."""
    draw = random.Random(f"{seed}:{number}")
    module = draw.choices(("fit", "sample", "evaluate"), (7, 2, 1))[0]
    return Case("fit", _fit(draw)) if module == "fit" else Case(module, _flat(draw, module))


def _fit(draw: random.Random) -> tuple[str, ...]:
    base = draw.choice(BASES)
    spoiled = [_spoiled(draw, base) for _ in range(_few(draw))]
    words = [*base, *spoiled, *(draw.choice(OPTIONS) if draw.random() < 0.1 else [])]
    if draw.random() < 0.1:
        words.append(draw.choice(spoiled))
    if draw.random() < 0.2:
        draw.shuffle(words)
    return tuple(words)


def _spoiled(draw: random.Random, base: tuple[str, ...]) -> str:
    key = draw.choice(settings(base))
    kind = draw.choices(("set", "group", "delete", "add", "misspelt"), (12, 3, 1, 1, 1))[0]
    if kind == "group":
        group, choices = draw.choice(sorted(catalog().groups().items()))
        return (
            f"{group}={draw.choice([*choices, 'null', 'nan', '[]', '[1,2]', 'nope', f'[{choices[0]},{choices[-1]}]'])}"
        )
    if kind == "delete":
        return f"~{key}"
    if kind == "misspelt":
        return f"{key[:-1]}{draw.choice('xyz')}={_value(draw)}"
    return f"{'+' if kind == 'add' else ''}{key}={_value(draw)}"


def _few(draw: random.Random) -> int:
    """One to four, mostly one: the first bad setting hides the others."""
    return draw.choices((1, 2, 3, 4), (5, 3, 1, 1))[0]


def _value(draw: random.Random) -> str:
    return draw.choice(draw.choices((NUMBERS, PLAUSIBLE, WORDS), (4, 3, 3))[0])


def _flat(draw: random.Random, module: str) -> tuple[str, ...]:
    subject = draw.choice(("checkpoint=points", "checkpoint=captions", "checkpoint=captions", "checkpoint=nosuch"))
    keys = [draw.choice(SAMPLE if module == "sample" else EVALUATE) for _ in range(_few(draw))]
    spoiled = [f"{key}={_value(draw) if draw.random() < 0.7 else draw.choice(CHOICES)}" for key in keys]
    return subject, "count=4", *spoiled


# Running ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class End:
    """How a command ended: its exit code (None: it was stopped), what it said, and whether it was silent till then."""

    code: int | None
    said: str
    silent: bool = False


def run(case: Case) -> End:
    """Run a case in a fork of this process."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.setpgid(0, 0)
        _be(case, writer)
    os.close(writer)
    return _watched(child, reader)


def _be(case: Case, output: int) -> None:
    """Be the command: never returns."""
    speak_into(output)
    sys.argv = [f"ganlab.{case.module}", *case.words]
    end_with(__import__(f"ganlab.{case.module}", fromlist=["main"]).main)


def _watched(child: int, reader: int) -> End:
    said, spoke, started = b"", 0.0, time.monotonic()
    while True:
        if select.select([reader], [], [], 0.5)[0]:
            if not (part := os.read(reader, 65536)):
                break
            said, spoke = said + part, _cpu(child)
        used = _cpu(child)
        if used - spoke > SILENCE or used > LONG or time.monotonic() - started > PATIENCE:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reader)
            silent = used - spoke > SILENCE or used < LONG
            return End(None, said.decode(errors="replace"), silent)
    os.close(reader)
    return End(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.decode(errors="replace"))


def _cpu(process: int) -> float:
    """CPU seconds of a process so far."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


DEFECTS = frozenset({"traceback", "hang", "nonsense accepted", "died", "many lines"})


def verdict(case: Case, end: End) -> str:
    """Return the name of what became of a case."""
    if end.code is None:
        return "hang" if end.silent else "long"
    if "Traceback (most recent call last)" in end.said:
        return "traceback"
    if end.code == 0:
        return "nonsense accepted" if case.nonsense and not {"--cfg", "--info"} & set(case.words) else "worked"
    last = (end.said.strip().splitlines() or [""])[-1]
    if end.code in (1, 2) and re.match(r"[\w.]+: \S", last):
        return "one line" if end.code == 2 else "system"
    return "died" if end.code < 0 else "many lines"


def attack(count: int, seed: int) -> Tally:
    """Run so many cases in a folder with pictures and two runs."""
    tally = Tally(DEFECTS)
    for number in range(count):
        drawn_case = case(seed, number)
        end = run(drawn_case)
        outcome = verdict(drawn_case, end)
        last = (end.said.strip().splitlines() or [""])[-1][:160]
        if number % 100 == 99:
            print(f"{number + 1} of {count}: {dict(tally.counts)}", file=sys.stderr, flush=True)
        tally.add(outcome, f"{drawn_case}  ->  {last}" if outcome in DEFECTS else str(drawn_case))
    return tally


def prepare(folder: Path) -> None:
    """Make pictures and the two runs in a folder, and go there. Import all that the commands need."""
    os.environ |= {"GANLAB_OFFLINE": "1", "WANDB_MODE": "disabled"}
    os.chdir(folder)
    Path("pictures").mkdir()
    noise = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(noise.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(f"pictures/{i}.png")
    _import()
    for name, base in RUNS.items():
        end = run(Case("fit", (*base, f"run_dir={name}")))
        assert end.code == 0, end.said
    for base in BASES:
        with redirect_stderr(io.StringIO()):
            settings(base)  # each fork then finds the sources read


def _import() -> None:
    import torch

    import ganlab.core.assembly
    import ganlab.evaluation.evaluate
    import ganlab.fit
    import ganlab.loggers
    import ganlab.loggers.dashboard
    import ganlab.runs.training
    import ganlab.sample
    import ganlab.sampling.gallery
    import ganlab.variants  # noqa: F401

    torch.set_num_threads(1)


def main() -> None:
    """Run the long form."""
    wanted = drawn()
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        tally = attack(wanted.count, wanted.seed)
        os.chdir("/")
    finish(tally)


if __name__ == "__main__":
    try:
        main()
    except UserError as error:
        raise SystemExit(f"{error}") from error
