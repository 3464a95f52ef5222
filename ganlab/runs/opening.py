"""The first lines of a run: the training pictures, and the cost of the networks."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ganlab.config.building import build
from ganlab.console import say
from ganlab.core.generative import GenerativeModule
from ganlab.core.starting import Start
from ganlab.core.transfer import Difference
from ganlab.data.base import GanData
from ganlab.networks.cost import costs

LISTED, WIDE = 40, 160
"""The most layers that are listed; the columns of a table that goes to a file."""
MOST_CLASSES = 12  # that are named


def opening(recipe: Mapping[str, Any], data: GanData, module: GenerativeModule) -> Iterator[str]:
    """Yield one line on the data and one on the players: trained parameters, operations for one picture."""
    shape = " x ".join(map(str, data.spec.shape))
    what = "pictures" if len(data.spec.shape) == 3 else "points"
    yield f"{len(data.train):,} {what} of {shape}{_condition(data)}, {len(data.reference):,} held out"
    flop = _flop(recipe, data)
    for name in module.sides:
        parameters = list(module.player(name).parameters())
        trained = sum(each.numel() for each in parameters if each.requires_grad)
        frozen = sum(each.numel() for each in parameters) - trained
        beside = f", {frozen / 1e6:.3g} M frozen" if module.frozen[name] else ""
        yield f"{name}: {trained / 1e6:.3g} M parameters{flop.get(name, '')}{beside}"


def show_start(start: Start) -> None:
    """Print what a run takes from a model: the counts of each part, and a table of what did not fit."""
    origin = start.origin
    seen, hashed = f"{origin['images_seen']:,} images seen", origin["sha256"][:12]
    say(f"  from {origin['init']}: recipe {origin['recipe']}, {seen}, sha256 {hashed}")
    for part, (taken, total) in start.taken.items():
        say(f"  {part}: {taken} of {total} tensors taken")
    for remark in start.remarks:
        say(f"  {remark}")
    if start.differences:
        _show_differences(start.differences)


def _show_differences(found: Sequence[Difference]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    table = Table(Column("layer", overflow="fold"), "in the file", "here", "what was done", title="what did not fit")
    for one in found[:LISTED]:
        table.add_row(one.place, *("" if shape is None else str(shape) for shape in (one.stored, one.here)), one.done)
    if len(found) > LISTED:
        table.add_row(f"and {len(found) - LISTED} more", "", "", "")
    Console(stderr=True, markup=False, width=None if sys.stderr.isatty() else WIDE).print(table)


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
        "text": f" with {len(spec.captions):,} captions of {len(spec.vocabulary):,} words",
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
