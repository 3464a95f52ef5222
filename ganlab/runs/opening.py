"""The first lines of a run: the training pictures, and the cost of the networks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ganlab.config.building import build
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import GanData
from ganlab.networks.cost import costs

MOST_CLASSES = 12  # that are named


def opening(recipe: Mapping[str, Any], data: GanData, module: GenerativeModule) -> Iterator[str]:
    """Yield one line on the data and one on the players: trained parameters, operations for one picture."""
    shape = " x ".join(map(str, data.spec.shape))
    what = "pictures" if len(data.spec.shape) == 3 else "points"
    yield f"{len(data.train):,} {what} of {shape}{_condition(data)}, {len(data.reference):,} held out"
    flop = _flop(recipe, data)
    for name in module.sides:
        trained = sum(each.numel() for each in module.player(name).parameters() if each.requires_grad)
        yield f"{name}: {trained / 1e6:.3g} M parameters{flop.get(name, '')}"


def details(recipe: Mapping[str, Any], data: GanData) -> Iterator[str]:
    """Yield lines on what was found: captions or classes, what reads them, and how pictures were cut."""
    if data.spec.kind == "text":
        wordings = data.train.all_wordings()
        count = sum(map(len, wordings))
        yield f"{count:,} captions, {count / len(wordings):.3g} of each picture; the first: {wordings[0][0]!r}"
    if data.spec.kind == "class":
        more = ", ..." if len(data.spec.classes) > MOST_CLASSES else ""
        yield f"classes: {', '.join(data.spec.classes[:MOST_CLASSES])}{more}"
    if node := recipe.get("condition"):
        yield f"read by {_component(node)}"
    if data.preparation:
        yield data.preparation


def _component(node: Mapping[str, Any]) -> str:
    """Return a component and its plain settings in words."""
    settings = (
        f"{key} {value}" for key, value in node.items() if key[0] != "_" and isinstance(value, int | float | str)
    )
    return ", ".join([str(node["_target_"]).rpartition(".")[2], *settings])


def _condition(data: GanData) -> str:
    spec = data.spec
    return {
        "class": f" in {len(spec.classes):,} classes",
        "text": f" with captions of {len(spec.vocabulary):,} words",
        "image": " with the pictures that they are made from",
    }.get(spec.kind, "")


def _flop(recipe: Mapping[str, Any], data: GanData) -> dict[str, str]:
    """Return the operations of each network, heads and encoders of conditions not included.

    Empty if a network cannot be traced without memory, as one of a user's may not.
    """
    code = recipe["latent_dim"] + (recipe.get("condition") or {}).get("dim", 0)
    try:
        found = costs(build(recipe["network"]), data.spec.shape, code)
    except Exception:  # of the user's code
        return {}
    return {name: f", {cost.flop / 1e9:.3g} GFLOP a picture" for name, cost in found.items()}
