"""Hostile checkpoints and run folders, drawn from a seed, tried on resume, sample and evaluate.

    python -m tests.attacks.hostile count=200 seed=0

Each case starts from a real run and applies one to three mutations to its recipe, its checkpoint or its folder. Nothing
may run, nothing may be read from the environment, nothing may be written outside the run's folder, and the command ends
within seconds in a result or in one line.
"""

from __future__ import annotations

import copy
import io
import os
import random
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from tests.attacks.sandbox import DEFECTS, Sandbox, run, verdict
from tests.attacks.tally import Tally, drawn, finish

SEPARATE = 25
"""Every so many cases one runs in a Python of its own."""
BASES = {
    "points": ["recipe=ring", "data.count=500", "data.held_out_count=200"],
    "pictures": [
        "recipe=cgan_text2img",
        "data=shapes",
        "data.count=64",
        "data.held_out_count=16",
        "data.size=32",
        "network.generator.width=4",
    ],
}
BRIEF = [
    *("trainer.max_steps=4", "trainer.accelerator=cpu", "batch_size=8", "callbacks.quality=null"),
    *("callbacks.collapse=null", "callbacks.pictures=null"),
]


@dataclass
class Case:
    """A run that is being spoiled: its recipe, its checkpoint's content, and what else becomes of its folder."""

    rng: random.Random
    content: dict[str, Any]
    recipe: dict[str, Any]
    box: Sandbox
    words: list[str] = field(default_factory=list)
    spoil: list[Callable[[Path], None]] = field(default_factory=list)
    late: dict[str, str] = field(default_factory=dict)

    def put(self, place: str, value: Any) -> None:
        """Set a dotted place of the recipe."""
        *parents, name = place.split(".")
        node = self.recipe
        for parent in parents:
            node = node.setdefault(parent, {}) if isinstance(node.get(parent, {}), dict) else {}
        node[name] = value
        self.words.append(f"{place}={type(value).__name__ if isinstance(value, list) else str(value)[:60]}")


def places(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of each node of nested dicts and lists, the root left out."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from places(value, (*path, key))


def replace(tree: Any, path: tuple[Any, ...], value: Any) -> None:
    """Set, or with `...` delete, what is at a path."""
    for key in path[:-1]:
        tree = tree[key]
    if value is ...:
        del tree[path[-1]]
    else:
        tree[path[-1]] = value


# Mutations --------------------------------------------------------------------------------------------------------

CALL = "${oc.create:{_target_:os.system,command:'touch $ATTACK_PROOF'}}"
INTERPOLATIONS = [
    *(CALL, "${oc.env:ATTACK_SECRET}", "x${oc.env:ATTACK_SECRET}y", "\\${oc.env:ATTACK_SECRET}", "${oc.env:HOME}"),
    '${oc.decode:"{_target_: os.system, command: touch $ATTACK_PROOF}"}',
    *("${oc.create:${oc.decode:${oc.env:ATTACK_SECRET}}}", "${oc.select:seed,${oc.env:ATTACK_SECRET}}", "${seed}"),
    *("${hydra:runtime.cwd}", "${oc.dict.values:trainer}", "${oc.deprecated:seed}", "${", "???", "${.x}", "${now:%Y}"),
]


def interpolation(case: Case) -> None:
    """A string that OmegaConf would resolve: a value, a key, or an entry of the table of references."""
    text = case.rng.choice(INTERPOLATIONS)
    how = case.rng.choice(["value", "key", "new", "table"])
    case.words.append(f"{how}: {text}")
    if how == "table":
        pair = case.rng.choice([("seed", text[2:-1]), (text, "seed"), ("gamma", "gamma"), ("recipe", "oc.env:HOME}")])
        case.recipe["derived"] = {**case.recipe.get("derived", {}), pair[0]: pair[1]}
        return
    if how == "new":
        place = case.rng.choice([("callbacks", "x"), ("logger", "x"), ("recipe",), ("perturbations", "x"), ("seed",)])
    else:
        place = case.rng.choice(list(places(case.recipe)))
    if how == "key":
        place = (*place[:-1], text) if not isinstance(place[-1], int) else place
    replace(case.recipe, place, text)


def target(case: Case) -> None:
    """A component that is none of ours: a program, another file's writer, a private or abstract or foreign class."""
    out = str(case.box.outside / "made")
    pool: list[tuple[str, dict[str, Any]]] = [
        *(
            (name, {"command": "touch $ATTACK_PROOF"})
            for name in ("os.system", "ganlab.files.run_folder.os.system", "posix.system")
        ),
        *((name, {"args": ["touch", str(case.box.root / "PROOF")]}) for name in ("subprocess.Popen", "subprocess.run")),
        *((name, {"normalized_shape": 2}) for name in ("evil.LayerNorm", "stranger.evil.LayerNorm", "stranger.Linear")),
        *((name, {"f": "stranger/x.pkl"}) for name in ("torch.load", "torch.nn.modules.module.torch.load")),
        *(
            (name, {"path": out, "content": "x"})
            for name in ("ganlab.files.run_folder.atomic_write", "pathlib.Path.write_text")
        ),
        *((f"pytorch_lightning.profilers.{name}", {"dirpath": out, "filename": "p"}) for name in PROFILERS),
        ("pytorch_lightning.callbacks.ModelCheckpoint", {"dirpath": out, "every_n_train_steps": 1}),
        *((f"pytorch_lightning.loggers.{name}", {"save_dir": out}) for name in ("CSVLogger", "TensorBoardLogger")),
        ("logging.FileHandler", {"filename": out}),
        *((name, {}) for name in FOREIGN),
    ]
    name, settings = case.rng.choice(pool)
    nodes = [path for path in places(case.recipe) if path[-1] == "_target_"]
    if case.rng.random() < 0.5:
        path = case.rng.choice(nodes)[:-1]
        case.words.append(f"{'.'.join(map(str, path))}: {name[:60]}")
        replace(case.recipe, path, {"_target_": name, **settings})
    else:
        where = ("callbacks.x", "logger.x", "trainer.profiler", "trainer.plugins", "network.generator.x", "seed")
        case.put(case.rng.choice([*where, "discriminator.regularizers.x"]), {"_target_": name, **settings})


PROFILERS = ("AdvancedProfiler", "SimpleProfiler", "PyTorchProfiler")
FOREIGN = (
    *(
        "ganlab.objectives._Logistic",
        "ganlab.objectives.Objective",
        "ganlab.config.recipe.build",
        "ganlab",
        "torch.nn.Module",
    ),
    *("torch.nn.DataParallel", "torch.nn.functional.relu", "torch.hub.load", "torch.nn.Linear.forward", "torch.Tensor"),
    *("torch.utils.cpp_extension.load", "hydra.utils.instantiate", "builtins.breakpoint", "pdb.set_trace", "input"),
    *(
        "torch.optim.Adam",
        "torch.optim.Optimizer",
        "ganlab.core.sides.Side",
        "ganlab.variants.PatchGAN",
        "torch.nn.Linear",
    ),
    *("ganlab.data.emoji.EmojiData", "ganlab.networks./tmp/evil.Net", "../evil.Net", "", "a" * 10_000, "torch..load"),
    *(
        "ganlab.networks.mlp.Generator",
        "ganlab.core.averaging.MovingAverage",
        "ganlab.lecture.unplaced.UnplacedShapes",
        "\x1b[2Jx.y",
    ),
)


def path(case: Case) -> None:
    """A name or a setting that is a path, or a link out of the run's folder."""
    out = str(case.box.outside / "made")
    rng = case.rng
    if rng.random() < 0.3:
        name = rng.choice(["samples", "checkpoints", "metrics.csv", "recipe.yaml"])
        case.words.append(f"link {name}")
        case.spoil.append(lambda folder: link(folder / name, case.box.outside / name))
        return
    names = [
        "../../../outside/x",
        out,
        "a/b",
        ".hidden",
        "..",
        "x" * 500,
        "a\0b",
        "~/x",
        "",
        "\x1b[2J",
        "C:\\x",
        3,
        None,
    ]
    pool: list[tuple[str, Any]] = [
        *(("recipe", name) for name in names),
        *((f"trainer.{key}", out) for key in ("default_root_dir", "profiler", "logger", "accelerator", "strategy")),
        *((f"callbacks.quality.{key}", "stranger/evil.pt") for key in ("extractor", "resizer")),
        ("logger.wandb", {"_target_": "ganlab.loggers.dashboard.Dashboard", "project": "../x", "name": out}),
        ("logger.csv.folder", out),
        ("data", {"_target_": "ganlab.data.folder.FolderData", "root": rng.choice([out, "/proc", ".", "/dev/zero"])}),
        ("data", {"_target_": "ganlab.data.torchvision.TorchvisionData", "dataset": "MNIST", "root": out}),
        ("condition", {**SENTENCES, "model": rng.choice(["stranger", "somebody/model", out, "../work/stranger"])}),
        ("network.discriminator.normalization", {**SENTENCES, "model": "stranger"}),
        *((key, out) for key in ("run_dir", "resume", "allow", "hydra", "defaults")),
    ]
    case.put(*rng.choice(pool))


SENTENCES = {"_target_": "ganlab.networks.text.SentenceEncoder", "_partial_": True, "dim": 8, "hub": True}


def link(entry: Path, to: Path) -> None:
    """Move a file or folder of the run elsewhere, and leave a link to it."""
    if entry.exists():
        shutil.move(str(entry), to)
    elif entry.suffix:
        to.write_text("")
    else:
        to.mkdir()
    entry.symlink_to(to)


def bomb(case: Case) -> None:
    """A number, a tensor, a tree or an archive that would take more memory or time than there is."""
    rng = case.rng
    huge = 10 ** rng.choice([4, 6, 9, 12, 18])
    settings = [path for path in places(case.recipe) if is_number(case.recipe, path)]
    choice = rng.choice(["setting"] * 4 + ["layer", "spec", "state", "deep", "wide", "text", "yaml", "words"])
    case.words.append(f"{choice} {huge:.0e}")
    if choice == "setting":
        replace(case.recipe, rng.choice(settings), huge)
    elif choice == "layer":
        case.put("network.generator.x", {"_target_": "torch.nn.Linear", "in_features": huge, "out_features": 10**5})
    elif choice == "spec":
        case.content["ganlab"]["spec"]["shape"] = [rng.choice([1, 3, huge]), huge, huge]
    elif choice == "state":
        name = rng.choice(list(case.content["state_dict"]))
        case.content["state_dict"][name] = torch.zeros(1).expand(min(huge, 10**9), 10**5)
    elif choice in ("deep", "wide", "text"):
        case.late[rng.choice(["seed", "callbacks.x", "network.x", "recipe"])] = choice
    elif choice == "yaml":
        case.spoil.append(lambda folder: (folder / "recipe.yaml").write_text(laughs(rng.random() < 0.5)))
    else:
        case.content["ganlab"]["spec"]["vocabulary"] = ["w"] * 10**6


def is_number(tree: Any, path: tuple[Any, ...]) -> bool:
    for key in path:
        tree = tree[key]
    return isinstance(tree, int | float)


def large(kind: str) -> Any:
    """A tree of 10,000 levels, one that doubles sixty times, or ten million characters."""
    if kind == "text":
        return "x" * 10**7
    tree: list[Any] = [0]
    for _ in range(300 if kind == "deep" else 60):
        tree = [tree] if kind == "deep" else [tree, tree]
    return tree


def laughs(deep: bool) -> str:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    return "seed: " + "[" * 10_000 if deep else "\n".join([*lines, "seed: *a59"])


class Call:
    """An object whose unpickling calls something."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call


def unpickled(case: Case) -> None:
    """A file that is no checkpoint: code in its pickle, another format, compressed, torn, or with flipped bits."""
    rng, proof = case.rng, f"touch {case.box.root / 'PROOF'}"
    choice = rng.choice(["call", "legacy", "compressed", "torn", "flipped", "empty", "text"])
    case.words.append(choice)
    if choice == "call":
        calls = [Call(os.system, proof), Call(exec, "raise SystemExit(3)"), Call(bytearray, 10**12), Call(print, 1)]
        at = rng.choice([path for path in places(case.content) if path[0] != "state_dict"])
        replace(case.content, at, rng.choice(calls))
        return
    case.spoil.append(lambda folder: spoil_file(folder / "checkpoints" / "last.ckpt", choice, rng))


def spoil_file(file: Path, how: str, rng: random.Random) -> None:
    data = bytearray(file.read_bytes())
    if how == "legacy":
        torch.save({"ganlab": {}}, file, _use_new_zipfile_serialization=False)
    elif how == "compressed":
        with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
            for name in old.namelist():
                new.writestr(name, bytes(10**8) if name.endswith("/data/0") else old.read(name))
    elif how == "flipped":
        for _ in range(20):
            data[rng.randrange(min(len(data), 40_000) or 1)] ^= 1 << rng.randrange(8)
        file.write_bytes(data)
    else:
        file.write_bytes({"empty": b"", "text": b"hello\n" * 99}.get(how, data[: len(data) // 2]))


JUNK: list[Any] = [None, [], {}, -1, 10**30, "x", float("nan"), True, [[[]]], {"a": {"b": 1}}, 0, "", ..., ..., 1.5]


def wrong_type(case: Case) -> None:
    """Junk, or nothing, at a random place of the recipe or of the checkpoint."""
    tree: Any = case.rng.choice([case.recipe, case.content])
    at = case.rng.choice(list(places(tree)))
    value = case.rng.choice([*JUNK, torch.zeros(3, 3), torch.zeros(0)])
    case.words.append(f"{'.'.join(map(str, at))[:80]} = {'nothing' if value is ... else str(value)[:30]}")
    replace(tree, at, value)


MUTATIONS = (interpolation, target, path, bomb, unpickled, wrong_type, wrong_type)


# Cases ------------------------------------------------------------------------------------------------------------


def bases(folder: Path, names: tuple[str, ...] = tuple(BASES)) -> list[Path]:
    """Train the runs that cases start from, each in a process of its own: autograd does not survive a fork."""
    for name in names:
        box = Sandbox(folder / name)
        box.work.mkdir(parents=True)
        result = run(box, "ganlab.fit", [*BASES[name], *BRIEF, "run_dir=base"])
        assert result.code == 0, result.text
    return [folder / name / "work" / "base" for name in names]


def draw(base: Path, box: Sandbox, seed: str) -> Case:
    """Return a case that is a function of its seed, not yet written."""
    rng = random.Random(seed)
    content = torch.load(base / "checkpoints" / "last.ckpt", weights_only=True)
    content["state_dict"] = dict(content["state_dict"])
    case = Case(rng, content, copy.deepcopy(content["ganlab"]["recipe"]), box)
    for mutation in rng.choices(MUTATIONS, k=rng.choice([1, 1, 2, 3])):
        try:
            mutation(case)
        except (KeyError, IndexError, TypeError, AttributeError):
            case.words.append("(of nothing)")  # an earlier mutation took its place away
    return case


def write(case: Case) -> None:
    """Write the checkpoint, the run's recipe.yaml, and what the mutations do to the files."""
    run_folder = case.box.run
    for place, kind in case.late.items():
        case.put(place, large(kind))
    if isinstance(case.content.get("ganlab"), dict):
        case.content["ganlab"]["recipe"] = case.recipe
    torch.save(case.content, run_folder / "checkpoints" / "last.ckpt")
    (run_folder / "recipe.yaml").write_text(yaml.dump(case.recipe))
    (run_folder / "metrics.csv").write_text("iteration,images_seen\n2,16\n")
    for spoil in case.spoil:
        with suppress(OSError, zipfile.BadZipFile, IndexError):  # an earlier one has moved or torn the file
            spoil(run_folder)


def attempt(base: Path, root: Path, seed: str, separate: bool = False) -> tuple[str, str]:
    """Draw a case, run a command on it, and return the verdict with the case in words."""
    box = Sandbox(root)
    box.prepare()
    case = draw(base, box, seed)
    write(case)
    command = case.rng.choice(["fit", "sample", "evaluate"])
    alone = case.rng.random() < 0.4
    subject = "stranger"
    if alone and (box.run / "checkpoints" / "last.ckpt").exists():
        shutil.copy(box.run / "checkpoints" / "last.ckpt", box.work / "alone.ckpt")
        subject = "alone.ckpt"
    words = {
        "fit": [f"resume={subject}", "trainer.max_steps=6"],
        "sample": [f"checkpoint={subject}", "count=2"],
        "evaluate": [f"checkpoint={subject}", "count=8"],
    }[command]
    if command == "evaluate" and "pictures" in str(base):
        words += ["extractor=small", "metrics=[fid]"]
    result = run(box, f"ganlab.{command}", words, separate)
    allowed = [box.run, *([box.work / "runs"] if command == "fit" else [box.work / "samples"] if alone else [])]
    allowed += [box.root / "home" / ".cache", box.root / "home" / ".config"]  # what libraries keep for themselves
    told = result.text.strip().splitlines()[-1:] or [""]
    return verdict(box, result, allowed), f"{seed} {command} {subject}: {'; '.join(case.words)} -> {told[0][:200]}"


def attack(count: int, seed: int, names: tuple[str, ...] = tuple(BASES), separate: int = SEPARATE) -> Tally:
    """Try `count` cases; one of every `separate` in a Python of its own, none if it is 0."""

    tally = Tally(DEFECTS)
    with tempfile.TemporaryDirectory() as folder:
        runs = bases(Path(folder), names)
        for index in range(count):
            root = Path(folder) / f"case{index}"
            alone = bool(separate) and index % separate == separate - 1
            tally.add(*attempt(runs[index % len(runs)], root, f"{seed}:{index}", alone))
            shutil.rmtree(root, ignore_errors=True)
    return tally


if __name__ == "__main__":
    settings = drawn()
    finish(attack(settings.count, settings.seed))
