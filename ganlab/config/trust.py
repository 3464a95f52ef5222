"""The allowed content of a stored recipe. Somebody else may have written it, and reading it must not run their code.

A stored recipe is data. `plain` accepts only bounded plain values without interpolations. `admitted` accepts a
component only in its own slot and only if its class belongs to a closed list of kinds. A target is judged by its
definition, found in the source, and is replaced by that definition's dotted path, so that exactly this one is built.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganlab.config.sources import Definition, evaluate, find
from ganlab.errors import UserError
from ganlab.files.packaged import is_packaged

MOST_VALUES, MOST_LEVELS, MOST_CHARACTERS, MOST_NUMBER = 20_000, 24, 1_000, 2**63
KEY = re.compile(r"[A-Za-z][\w-]{0,63}")
WORDS = ("_target_", "_partial_")
"""The only keys with a leading underscore that a component may have."""


# Plain values -----------------------------------------------------------------------------------------------------


def plain(tree: Any, owner: str) -> Any:
    """Return a copy in dicts, lists, strings, numbers, bools and None. Raise `UserError` for anything else.

    Strings with `${` are refused: nothing that is read from a file is ever interpolated.
    """
    left = [MOST_VALUES]

    def copied(value: Any, place: str, level: int) -> Any:
        left[0] -= 1
        if left[0] < 0 or level > MOST_LEVELS:
            raise UserError(f"{owner} is too large: at most {MOST_VALUES} values in {MOST_LEVELS} levels")
        if isinstance(value, Mapping):
            return {_key(key, place, owner): copied(one, f"{place}.{key}", level + 1) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [copied(one, f"{place}.{index}", level + 1) for index, one in enumerate(value)]
        return _single(value, place, owner)

    return copied(tree, "", 0)


def _key(key: Any, place: str, owner: str) -> str:
    if isinstance(key, str) and (KEY.fullmatch(key) or key in WORDS):
        return key
    raise UserError(f"`{place[1:] or 'recipe'}` in {owner} has a key that is no setting's name: {_short(key)}")


def _single(value: Any, place: str, owner: str) -> Any:
    if isinstance(value, str) and len(value) <= MOST_CHARACTERS and value.isprintable() and "${" not in value:
        return value
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < MOST_NUMBER):
        return value
    raise UserError(f"`{place[1:]}` in {owner} must be a plain value without ${{...}}, got {_short(value)}")


def _short(value: Any) -> str:
    if isinstance(value, str | int) and not (isinstance(value, int) and abs(value) >= MOST_NUMBER):
        text = ascii(value)
        return text if len(text) <= 60 else f"{text[:57]}..."
    return f"a {type(value).__name__}"


# Kinds of components ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """The classes of one slot: those derived from a base and defined under a module, or single names."""

    word: str
    base: str = ""
    under: str = ""
    names: tuple[str, ...] = ()

    def holds(self, found: Definition) -> bool:
        """Return whether a definition is of this kind. Base classes and private classes are not."""
        if found.name in self.names:
            return True
        inside = bool(self.base) and f"{found.module.name}.".startswith(f"{self.under}.")
        return inside and _is_concrete(found) and self.base in ancestors(found)


def _is_concrete(found: Definition) -> bool:
    bases = found.node.bases if isinstance(found.node, ast.ClassDef) else []
    return not found.node.name.startswith("_") and "ABC" not in map(ast.unparse, bases)


def ancestors(found: Definition) -> set[str]:
    """Return the dotted names of all base classes that the source reveals.

    >>> sorted(ancestors(find("ganlab.objectives.Wasserstein")))
    ['ganlab.objectives.Objective']
    """
    names: set[str] = set()
    for base in found.node.bases if isinstance(found.node, ast.ClassDef) else []:
        try:
            parent = evaluate(found.module, base.value if isinstance(base, ast.Subscript) else base)
        except (LookupError, RecursionError):
            continue
        if isinstance(parent, Definition):
            names |= {parent.name, *ancestors(parent)}
    return names


def _named(word: str, *names: str) -> tuple[Kind]:
    return (Kind(word, names=names),)


def _of(word: str, base: str, under: str = "") -> tuple[Kind]:
    """Return the kind of the classes derived from `base` under a module. The default is the base's own module."""
    return (Kind(word, base, under or base.rpartition(".")[0]),)


MODULE, SCHEDULER = "torch.nn.modules.module.Module", "torch.optim.lr_scheduler.LRScheduler"
NORMALIZATION = _of("a normalization", "ganlab.networks.blocks.Normalization")
LAYERS = (
    *_of("one of ganlab's networks", MODULE, "ganlab.networks"),
    *_of("one of torch's layers", MODULE, "torch.nn.modules"),
    *NORMALIZATION,
    *_of("a start", "ganlab.networks.resnet.Start"),
)
METRIC = Kind("one of ganlab's metrics", "ganlab.metrics.metric.Metric", "ganlab.metrics")
LOGGERS = ("ganlab.loggers.CsvLogger", "ganlab.loggers.TensorBoard", "ganlab.loggers.dashboard.Dashboard")
MIXTURES = tuple(f"ganlab.data.toy.{name}" for name in ("mixture", "ring", "grid", "two_gaussians"))
PLANNED = r"gamma|(generator|discriminator)\.(scheduler\.\w+|regularizers\.[^.]+\.weight)|perturbations\.[^.]+\.p"
"""Numbers that may be a schedule."""

SLOTS: dict[str, tuple[Kind, ...]] = {
    PLANNED: _of("a schedule", "ganlab.schedules.Schedule"),
    "trainer": _named("pytorch_lightning.Trainer", "pytorch_lightning.trainer.trainer.Trainer"),
    r"callbacks\.[^.]+": _of(
        "one of ganlab's callbacks", "pytorch_lightning.callbacks.callback.Callback", "ganlab.callbacks"
    ),
    r"logger\.[^.]+": _named("one of ganlab's loggers", *LOGGERS),
    "variant": _of("one of ganlab's variants", "ganlab.core.generative.GenerativeModule", "ganlab.variants"),
    "data": _of("one of ganlab's data modules", "ganlab.data.base.GanData", "ganlab.data"),
    r"data\.mixture": _named("one of ganlab's mixtures", *MIXTURES),
    "average": _named("a moving average", "ganlab.core.averaging.MovingAverage"),
    "generator|discriminator": _named("a side", "ganlab.core.sides.Side"),
    r"(generator|discriminator)\.optimizer": _of(
        "one of torch's optimizers", "torch.optim.optimizer.Optimizer", "torch.optim"
    ),
    r"(generator|discriminator)\.scheduler": (
        *_of("one of ganlab's schedules", SCHEDULER, "ganlab.schedules"),
        *_of("one of torch's schedulers", SCHEDULER, "torch.optim"),
    ),
    r"(generator|discriminator)\.regularizers\.[^.]+": _of("a regularizer", "ganlab.regularizers.Regularizer"),
    r"(generator|discriminator)\.constraint": _of("a constraint", "ganlab.constraints.Constraint"),
    r"((network|variant\.stage_two)\.)?perturbations\.[^.]+": _of(
        "a perturbation", "ganlab.perturbations.base.Perturbation", "ganlab.perturbations"
    ),
    "objective": _of("an objective", "ganlab.objectives.Objective"),
    r"objective\.divergence": _of("a divergence", "ganlab.divergences.Divergence"),
    "condition": _of("a condition encoder", "ganlab.networks.conditioning.ConditionEncoder", "ganlab.networks"),
    "head": _of("a head", "ganlab.networks.heads.Head"),
    r"network|variant\.stage_two": _named("an architecture", "ganlab.networks.architecture.Architecture"),
    "normalization": NORMALIZATION,
    r"(network|variant\.stage_two)\..+": LAYERS,
}
"""The allowed kinds at each place of a stored recipe. The first pattern that matches the whole place counts."""

TRAINER = {
    *("_target_", "max_steps", "min_steps", "max_time", "accelerator", "devices", "num_nodes", "precision", "strategy"),
    *("log_every_n_steps", "deterministic", "benchmark", "detect_anomaly", "sync_batchnorm", "inference_mode"),
}
"""The settings of Lightning's Trainer that a stored recipe may have, as numbers and words."""

NAME = re.compile(r"[\w .:+-]{0,100}")
"""The form of a word in a stored trainer, logger or callback: it is no path and no address."""

MOST = {
    r"(network|condition|head|variant\.stage_two)\..*": 2**16,
    r"data\.mixture\..*": 1_000,
    r"data\.(?!seed).*": 10**7,
}
"""The largest whole number at each place of a stored recipe whose value costs time or memory when it is built."""

FROM_ELSEWHERE = {
    "ganlab.networks.text.SentenceEncoder": "hub",
    "ganlab.networks.text.CaptionEncoder": "hub",
    "ganlab.data.torchvision.TorchvisionData": "download",
    "ganlab.data.stacked_mnist.StackedMnistData": "download",
    "ganlab.data.hf.HfData": "download",
}
"""The setting that lets a component download what a stored recipe names. It is off unless the user allows `hub`."""

OURS = re.compile(r"(ganlab|torch|pytorch_lightning)(\.[A-Za-z_][A-Za-z0-9_]*)+")
"""The form of a stored target if no package is allowed beside ganlab, torch and Lightning."""


def admitted(recipe: Mapping[str, Any], allow: Sequence[str] = (), said: Sequence[str] = ()) -> dict[str, Any]:
    """Return a copy of a plain recipe with each target replaced by the dotted path of the definition that was judged.

    Dotted places in `said` are set by the user and become null. Raise `UserError` for the first component that is not
    of its slot's kinds and in none of the packages in `allow`.
    """
    return {key: _Judge(tuple(allow), frozenset(said)).value(one, key) for key, one in recipe.items()}


@dataclass(frozen=True)
class _Judge:
    """The user's decisions: packages to trust, and places of the recipe that the command line sets."""

    allow: tuple[str, ...]
    said: frozenset[str]

    def value(self, value: Any, place: str) -> Any:
        """Return a checked copy of the value at a place."""
        if place in self.said:
            return None
        if isinstance(value, list):
            return [self.value(one, f"{place}.{index}") for index, one in enumerate(value)]
        if isinstance(value, Mapping):
            return self.node(value, place)
        if place.rpartition(".")[2] not in WORDS:
            _check_setting(value, place)
            return judged(value, place, (METRIC,), self.allow) if _is_class(value, place) else value
        return value

    def node(self, value: Mapping[str, Any], place: str) -> dict[str, Any]:
        """Return a checked copy of a mapping, its target replaced by the definition that was judged."""
        node = {key: self.value(one, f"{place}.{key}") for key, one in value.items()}
        if not isinstance(node.get("_partial_", False), bool):
            raise UserError(f"`{place}._partial_` in the checkpoint's recipe must be true or false")
        kinds = next((kinds for pattern, kinds in SLOTS.items() if re.fullmatch(pattern, place)), ())
        required = bool(kinds) and kinds is not LAYERS
        if ("_target_" in node or required) and f"{place}._target_" not in self.said:
            node["_target_"] = judged(node.get("_target_"), place, kinds, self.allow)
        if switch := FROM_ELSEWHERE.get(str(node.get("_target_"))):
            node[switch] = "hub" in self.allow
        return node


def _is_class(value: Any, place: str) -> bool:
    """Return whether a value is the dotted path of a metric's class, which is imported to measure with it."""
    return isinstance(value, str) and "." in value and bool(re.fullmatch(r"callbacks\.[^.]+\.metrics(\.\d+)?", place))


def _check_setting(value: Any, place: str) -> None:
    """Raise `UserError` for a number that is too large, or a forbidden setting of a trainer, logger or callback."""
    most = next((most for pattern, most in MOST.items() if re.fullmatch(pattern, place)), MOST_NUMBER)
    if isinstance(value, int) and abs(value) > most:
        raise UserError(f"`{place}` in the checkpoint's recipe must be at most {most}: say {place}={value} yourself")
    slot, _, rest = place.partition(".")
    if slot == "trainer" and value is not None and rest.partition(".")[0] not in TRAINER:
        raise UserError(f"`{place}` in the checkpoint's recipe needs your word: say {place}={_short(value)} yourself")
    if slot in ("trainer", "logger", "callbacks") and isinstance(value, str) and not NAME.fullmatch(value):
        raise UserError(f"`{place}` in the checkpoint's recipe may be no path: say {place}={_short(value)} yourself")


def allowances(recipe: Mapping[str, Any]) -> list[str]:
    """Return what `allow` must name before this recipe is used as a stored one: packages, and `hub` for a model.

    >>> allowances({"network": {"generator": {"_target_": "mine.nets.G"}}, "head": {"_target_": "ganlab.networks.H"}})
    ['mine']
    >>> allowances({"condition": {"_target_": "ganlab.networks.text.SentenceEncoder", "model": "someone/model"}})
    ['hub']
    """
    return sorted({name for key, node in recipe.items() for name in _allowances(node, key)})


def _allowances(value: Any, place: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        if _fetches_model(value):
            yield "hub"
        for key, one in value.items():
            yield from _allowances(one, f"{place}.{key}")
    elif isinstance(value, list):
        for index, one in enumerate(value):
            yield from _allowances(one, f"{place}.{index}")
    elif (place.endswith("._target_") or _is_class(value, place)) and not OURS.fullmatch(str(value)):
        yield str(value).partition(".")[0]


def _fetches_model(node: Mapping[str, Any]) -> bool:
    """Return whether a component reads captions with a model that is neither installed nor a folder."""
    model = node.get("model")
    fetches = FROM_ELSEWHERE.get(str(node.get("_target_"))) == "hub" and isinstance(model, str)
    return fetches and not is_packaged(model) and not Path(str(model)).is_dir()


def judged(target: Any, place: str, kinds: Sequence[Kind], allow: Sequence[str] = ()) -> str:
    r"""Return the dotted path of the definition that a stored target means. Raise `UserError` if it is not admitted.

    >>> judged("torch.optim.Adam", "generator.optimizer", SLOTS[r"(generator|discriminator)\.optimizer"])
    'torch.optim.adam.Adam'
    """
    if isinstance(target, str) and any(target.startswith(f"{package}.") for package in allow):
        return target
    found = _definition(target)
    if found is not None and any(kind.holds(found) for kind in kinds):
        return found.name
    wanted = " or ".join(kind.word for kind in kinds) or "plain values"
    package = target.partition(".")[0] if isinstance(target, str) else ""
    hint = f": pass allow=[{package}] if you trust it" if package.isidentifier() and not OURS.match(target) else ""
    raise UserError(f"`{place}` in the checkpoint's recipe must be {wanted}, and names {_short(target)}{hint}")


def _definition(target: Any) -> Definition | None:
    """Return the definition at the top level of a module that a path of our packages means, or None."""
    if not isinstance(target, str) or not OURS.fullmatch(target):
        return None
    try:
        found = find(target)
        return found if find(found.name) == found else None
    except (LookupError, RecursionError, ValueError, OSError):
        return None
