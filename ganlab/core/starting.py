"""Start a new run from a trained model: its weights, with fresh optimizers, counters and schedules.

`init=RUN` starts the players and the average of any game. A variant may instead take a part that it chooses
(`starts_from`). Both read the model in the same way, and both leave its name and hash in the recipe of the new run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from ganlab.config.checking import definition_of
from ganlab.core.checkpoints import StoredModel, make_sketch, read_model
from ganlab.core.generative import GenerativeModule
from ganlab.core.transfer import Difference, Tensors, differences, take
from ganlab.data.base import DataSpec
from ganlab.errors import UserError
from ganlab.files.run_folder import find_checkpoint
from ganlab.networks.players import NETWORK, inputs_of, labelled_rows, network_of, places
from ganlab.networks.resolutions import names_by_resolution

Recipe = Mapping[str, Any]

PARTS = ("generator", "discriminator", "average")
INSTEAD = {"generator": "average", "average": "generator"}
"""The part of a file that takes the place of one that it lacks."""
ANEW = "begins anew"
POWER_ITERATION = ("._u", "._v")
"""Ends of the names of spectral normalization's vectors. They follow the weights if the file has none."""
POWER_ITERATIONS = 15  # as many as torch makes for a new layer


@dataclass(frozen=True)
class Start:
    """The parts that a new run takes from a model.

    origin: the model, for the recipe of the run. taken: (tensors taken, tensors here) of each part. differences: the
    tensors that are not taken as a whole. remarks: further facts, a sentence each.
    """

    origin: dict[str, Any]
    taken: dict[str, tuple[int, int]] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def model_to_start_from(recipe: Recipe) -> StoredModel | None:
    """Return the model that `init` names, or None. It is read and judged before any picture is decoded.

    Raise `UserError` if it does not exist, or if it has other networks than the recipe.
    """
    if not recipe.get("init"):
        if recipe.get("init_parts"):
            raise UserError("`init_parts` are parts of a model: name it by init=RUN")
        return None
    try:
        file = find_checkpoint(recipe["init"])
    except UserError as error:
        raise UserError(str(error).replace("`checkpoint`", "`init`")) from error
    model = read_model(file, recipe.get("allow") or (), data=False)
    asked = {"generator" if part == "average" else part for part in _asked(recipe.get("init_parts"))}
    players = [name for name in ("generator", "discriminator") if name in asked and has_part(model, name)]
    _check_networks(players, recipe, model)
    return model


def has_part(model: StoredModel, part: str) -> bool:
    """Return whether a model's file has weights of a part, or of the part that takes its place."""
    return any(name.startswith((f"{part}.", f"{INSTEAD.get(part, part)}.")) for name in model.state)


def _asked(parts: Sequence[str] | None) -> Sequence[str]:
    return parts or PARTS


def _check_networks(players: Sequence[str], recipe: Recipe, model: StoredModel) -> None:
    """Raise `UserError` if a player of the recipe is another network than in the file, with a remedy that works."""
    pairs = {player: (_network(recipe, player), _network(model.recipe, player)) for player in players}
    unlike = [player for player, (here, there) in pairs.items() if here != there]
    if not unlike:
        return
    here, there = pairs[unlike[0]]
    named = str(model.recipe.get("recipe"))
    remedy = "take the same `network`" + (f" (recipe={named} made the model)" if named.isidentifier() else "")
    if len(unlike) < len(players):
        parts = ",".join(part for part in PARTS if part not in (unlike[0], INSTEAD.get(unlike[0])))
        remedy += f", or leave it out by init_parts=[{parts}]"
    raise UserError(
        f"`init`: the {unlike[0]} in {model.file} is {there}, and that of this recipe is {here}"
        f"{', and the discriminator is another one too' if len(unlike) > 1 else ''}: {remedy}"
    )


def _network(recipe: Recipe, player: str) -> str:
    """Return the dotted path of a network's definition."""
    target = ((recipe.get("network") or {}).get(player) or {}).get("_target_", "missing")
    found = definition_of(target, f"network.{player}._target_") if "." in target else None
    return found.name if found else target


def warm_start(
    module: GenerativeModule, model: StoredModel | None = None, parts: Sequence[str] | None = None
) -> Start | None:
    """Load weights into a new module: those of `model`, or the part of the model that the module `starts_from`.

    parts: of `PARTS`; None for all. Return None if there is no model. Raise `UserError` if nothing fits, or if the
    part that a variant chooses does not fit as a whole. A resumed module has its weights already.
    """
    if module.starts_from is None:
        return None if model is None else _start(module, model, parts)
    if model is not None:
        raise UserError(f"`init` cannot be beside {module.starts_from}, which this run starts from: pass one of them")
    model = read_model(find_checkpoint(module.starts_from), module.recipe.get("allow") or (), data=False)
    try:
        module.take_over(model.state, model.spec)
    except UserError as error:
        raise UserError(f"{model.file}: {error}") from error
    return Start(_origin(model, module.starts_from, ["part"]))


def _origin(model: StoredModel, name: str, parts: Sequence[str]) -> dict[str, Any]:
    """Return plain values that identify a model: the name that the user gave, and the hash of its file."""
    shown = "".join(sign for sign in name if sign.isprintable()).replace("${", "")[-500:]
    return {
        "init": shown,
        "sha256": sha256(model.file),
        "recipe": str(model.recipe.get("recipe") or "unknown"),
        "images_seen": model.images_seen,
        "parts": list(parts),
    }


def sha256(file: Path) -> str:
    """Return the hash of a file's content."""
    hashed = hashlib.sha256()
    with file.open("rb") as content:
        while part := content.read(2**20):
            hashed.update(part)
    return hashed.hexdigest()


# The parts of a game ----------------------------------------------------------------------------------------------


def _start(module: GenerativeModule, model: StoredModel, parts: Sequence[str] | None) -> Start:
    sketch = make_sketch(model.recipe, model.spec, model.state, model.file)
    chosen = list(_chosen(module, model, parts))
    start = Start(_origin(model, str(module.recipe.get("init") or model.file), chosen))
    for part in chosen:
        _start_part(part, module, model, sketch, start)
    if "generator" in chosen and "average" not in chosen:
        module.average.load_state_dict(module.generator.state_dict())
    if "average" in chosen and "generator" not in chosen:
        module.generator.load_state_dict(module.average.state_dict())
    for name, side in module.sides.items():
        side.constraint.enforce(module.player(name))
    if parts is None and "discriminator" in module.sides and "discriminator" not in chosen:
        start.remarks.append("the file has no discriminator: a new one begins")
    return start


def _chosen(module: GenerativeModule, model: StoredModel, parts: Sequence[str] | None) -> Iterator[str]:
    """Yield the parts to start. Raise `UserError` for one that was asked for and is not there."""
    for part in _asked(parts):
        here = part == "average" or part in module.sides
        if here and has_part(model, part):
            yield part
        elif parts is not None:
            raise UserError(f"`init_parts`: {'this recipe' if not here else model.file} has no {part}")


def _start_part(part: str, module: GenerativeModule, model: StoredModel, sketch: Any, start: Start) -> None:
    """Take what fits of one part, and add the rest to the report. Raise `UserError` if no layer of its network fits."""
    own, stored = _own(part, module), _stored(part, model, sketch)
    if module.spec.shape[1:] != model.spec.shape[1:]:
        own = _renamed(own, part, module, module.spec)
        stored = _renamed(stored, part, sketch, model.spec)
    missing = differences(own, stored)
    anew = {one.place for one in missing if one.done == ANEW}
    taken = [place for place in own.by_place if place not in anew]
    if not any(place.startswith(NETWORK) for place in taken):
        raise UserError(f"`init`: no layer of the {part} in {model.file} fits here{_hint(module, model)}")
    take(own, stored)
    _iterate(module.get_submodule(part), [own.by_place[place] for place in anew])
    missing = [one for one in missing if one.stored is not None or not one.place.endswith(POWER_ITERATION)]
    start.taken[part] = len(taken), len(own.by_place)
    listed = {one._replace(place=one.place.partition(".")[2]) for one in start.differences} if part == "average" else {}
    start.differences.extend(one._replace(place=f"{part}.{one.place}") for one in missing if one not in listed)
    if part == "generator" and anew and (hint := _hint(module, model)):
        start.remarks.append(hint.lstrip(": "))


@torch.no_grad()
def _iterate(player: nn.Module, anew: Sequence[Tensor]) -> None:
    """Bring vectors of spectral normalization that begin anew near the largest singular values of the weights."""
    fresh = {tensor.data_ptr() for tensor in anew}
    for layer in player.modules():
        if parametrize.is_parametrized(layer, "weight") and fresh & {each.data_ptr() for each in layer.buffers()}:
            training = layer.training
            layer.train()
            for _ in range(POWER_ITERATIONS):
                layer.weight  # noqa: B018  # each use makes one iteration
            layer.train(training)


def _own(part: str, module: GenerativeModule) -> Tensors:
    player = module.get_submodule(part)
    state, names = player.state_dict(), places(player)
    rows = labelled_rows(player, module.spec.classes)
    return Tensors(
        {place: state[name] for place, name in names.items()},
        {place: rows[name] for place, name in names.items() if name in rows},
    )


def _stored(part: str, model: StoredModel, sketch: GenerativeModule) -> Tensors:
    """Return the tensors of a part in the file, by the places that the model's own recipe gives them."""
    player = sketch.get_submodule(part)
    source = part if any(name.startswith(f"{part}.") for name in model.state) else INSTEAD.get(part, part)
    found = {place: name for place, name in places(player).items() if f"{source}.{name}" in model.state}
    rows = labelled_rows(player, model.spec.classes)
    return Tensors(
        {place: model.state[f"{source}.{name}"] for place, name in found.items()},
        {place: rows[name] for place, name in found.items() if name in rows},
    )


# Models for pictures of another size ------------------------------------------------------------------------------


def _renamed(tensors: Tensors, part: str, module: GenerativeModule, spec: DataSpec) -> Tensors:
    """Return the tensors with the layers of the network named by their resolution."""
    role = "discriminator" if part == "discriminator" else "generator"
    player = module.get_submodule(part)
    try:
        names = names_by_resolution(network_of(player)[1], inputs_of(role, player, spec.shape, module.latent_dim))
    except UserError as error:
        raise UserError(f"`init`: the model is for pictures of another size, and {error}") from error
    renamed = {place: _rename(place, names) for place in tensors.by_place}
    return Tensors(
        {renamed[place]: tensor for place, tensor in tensors.by_place.items()},
        {renamed[place]: labels for place, labels in tensors.labels.items()},
    )


def _rename(place: str, names: Mapping[str, str]) -> str:
    """Return a place with the name of its layer replaced."""
    if not place.startswith(NETWORK):
        return place
    layer = place.removeprefix(NETWORK)
    while layer and layer not in names:
        layer = layer.rpartition(".")[0]
    return f"{NETWORK}{names[layer]}{place[len(NETWORK) + len(layer) :]}" if layer else place


def _hint(module: GenerativeModule, model: StoredModel) -> str:
    """Return the settings by which the widths of the common resolutions are equal, or nothing."""
    found = [
        f"network.{player}.{name}={value}"
        for player in ("generator", "discriminator")
        if _network(module.recipe, player) == _network(model.recipe, player)
        for name, value in _equal_widths(player, module, model)
        if (module.recipe.get("network") or {}).get(player, {}).get(name) != value
    ]
    return f": widths are equal at equal resolutions with {' '.join(found)}" if found else ""


def _equal_widths(player: str, module: GenerativeModule, model: StoredModel) -> Iterator[tuple[str, int]]:
    """Yield settings of a network whose channels double with every halving, up to `limit` times `width`."""
    node = (model.recipe.get("network") or {}).get(player, {})
    ours, theirs = module.spec.shape[-1], model.spec.shape[-1]
    width, limit = node.get("width"), node.get("limit", 8)
    if isinstance(width, int) and width * theirs % ours == 0 and isinstance(limit, int) and limit * ours >= theirs:
        yield "width", width * theirs // ours
        yield "limit", limit * ours // theirs
