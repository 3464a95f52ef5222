"""Measuring on demand: a checkpoint on its data, or one folder against another. The body of `ganlab.evaluate`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import ganlab
from ganlab.assembly import make_data
from ganlab.checkpoints import load_module
from ganlab.console import say
from ganlab.data.base import GanData
from ganlab.data.decode import read_picture
from ganlab.data.files import find_pictures
from ganlab.data.progress import progress
from ganlab.errors import UserError
from ganlab.grammar.catalog import suggestion
from ganlab.metrics.moments import Moments
from ganlab.metrics.result import Result
from ganlab.rulers.base import Ruler
from ganlab.rulers.captions import MatchRuler, OracleRuler
from ganlab.rulers.evidence import extractor_named, split_of
from ganlab.rulers.pairs import MEASURES as OF_PAIRS
from ganlab.rulers.pairs import PairRuler
from ganlab.rulers.pictures import MEASURES, Evidence, PictureRuler
from ganlab.rulers.points import ModeRuler
from ganlab.run import atomic_write

OF_CAPTIONS = ("r_precision", "caption_accuracy")
OF_POINTS = ("modes",)
ALL = (*MEASURES, *OF_CAPTIONS, *OF_PAIRS, *OF_POINTS)


def of_checkpoint(
    file: Path, metrics: Sequence[str], split: str, count: int, seed: int, extractor: str, allow: Sequence[str] = ()
) -> dict[str, Result]:
    """The metrics of a checkpoint's averaged generator on its own data; those that fit the data when none are named."""
    module = load_module(file, allow).to("cuda" if torch.cuda.is_available() else "cpu")
    data = make_data(module.recipe)
    wanted = checked(metrics or fitting(data), fitting(data, every=True))
    results: dict[str, Result] = {}
    for ruler in rulers(data, wanted, split, count, seed, extractor):
        results |= ruler.measure(module)
    return results


def checked(metrics: Sequence[str], possible: Sequence[str]) -> list[str]:
    """`metrics`; `UserError` for one that there is not, or that this data cannot have."""
    for name in metrics:
        if name not in ALL:
            raise UserError(f"`metrics` has {name!r} in it, which is no metric: {suggestion(name, ALL)}")
        if name not in possible:
            raise UserError(f"`metrics`: {name} cannot be measured on this data, only {', '.join(possible)}")
    return list(metrics)


def fitting(data: GanData, every: bool = False) -> list[str]:
    """What can be measured on this data; without `every`, what one would want to see first."""
    if len(data.spec.shape) != 3:
        return list(OF_POINTS)
    names = list(MEASURES) if every else ["fid", "kid", "precision", "recall"]
    names += {"text": ["r_precision"], "image": list(OF_PAIRS)}.get(data.spec.kind, [])
    return names + (["caption_accuracy"] if data.checkable else [])


def rulers(data: GanData, metrics: Sequence[str], split: str, count: int, seed: int, extractor: str) -> Iterator[Ruler]:
    """What measures the metrics, in a sensible order, each made when its turn comes."""
    pictures = split_of(data, split)
    if names := [name for name in metrics if name in MEASURES]:
        yield PictureRuler(names, extractor, pictures, split, count, seed)
    if names := [name for name in metrics if name in OF_PAIRS]:
        yield PairRuler(names, pictures, split, count, seed)
    if "r_precision" in metrics:
        yield MatchRuler(data.train, pictures, split, count, seed)
    if "caption_accuracy" in metrics:
        yield OracleRuler(data.checkable, count, seed)
    if "modes" in metrics and data.modes is not None:
        yield ModeRuler(data.modes, pictures, count, seed)


def of_folders(
    generated: Path, reference: Path, metrics: Sequence[str], count: int, seed: int, extractor: str
) -> dict[str, Result]:
    """The metrics of one folder's pictures against another's: at most `count` of each, of any size and kind."""
    names = checked(metrics or ["fid", "kid", "precision", "recall"], list(MEASURES))
    files = {folder: some_files(folder, count, seed) for folder in (generated, reference)}
    network = extractor_named(extractor)
    looked = {folder: look(network, folder, files[folder]) for folder in files}
    (fake, logits), (real, _) = looked[generated], looked[reference]
    seen = Evidence(real, Moments.of(real).gaussian(), fake, logits, seed)
    stamp = {**network.protocol, "reals": len(real), "fakes": len(fake), "seed": seed}
    results = {network.metric(name): MEASURES[name].compute(seen) for name in names}
    return {name: Result(one.value, one.spread, {**stamp, **one.protocol}) for name, one in results.items()}


def some_files(folder: Path, count: int, seed: int) -> list[str]:
    """At most `count` of the folder's pictures, always the same. `UserError` if there are fewer than two."""
    found = find_pictures(folder)
    if len(found) < 2:
        raise UserError(f"{folder} has {len(found)} picture: at least 2 are needed")
    return [found[i] for i in np.sort(np.random.default_rng(seed).permutation(len(found))[:count])]


def look(network: Any, folder: Path, files: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Features and logits of the files, read one by one, so that memory does not grow with their size or number."""
    seen = []
    for file in progress(files, len(files), f"looking at {folder}:"):
        try:
            pixels = np.array(read_picture(folder / file).convert("RGB"))
        except Exception as error:  # a broken file makes Pillow's plug-ins raise nearly anything
            say(f"ganlab: {folder / file} is left out: {error}")
            continue
        seen.append(network.both(torch.from_numpy(pixels).permute(2, 0, 1)[None]))
    if not seen:
        raise UserError(f"{folder} has no picture that can be read")
    features, logits = zip(*seen, strict=True)
    return torch.cat(features), torch.cat(logits)


def report(results: dict[str, Result], subject: str) -> dict[str, Any]:
    """Numbers with all it takes to know what they mean, as plain values."""
    versions = {"ganlab": ganlab.__version__, "torch": torch.__version__, "lightning": version("pytorch-lightning")}
    return {"of": subject, "versions": versions, "metrics": {name: asdict(one) for name, one in results.items()}}


def write_report(path: Path, content: dict[str, Any]) -> None:
    atomic_write(path, json.dumps(content, indent=2, default=str) + "\n")


def show(results: dict[str, Result], subject: str) -> None:
    """A table for people."""
    from rich.console import Console
    from rich.table import Table

    table = Table("measured", "value", "of", title=subject)
    for name, result in results.items():
        counts = ", ".join(f"{v} {k}" for k, v in result.protocol.items() if k in ("reals", "fakes", "images", "split"))
        table.add_row(name, str(result), counts)
    Console(soft_wrap=True).print(table)
