"""Measuring on demand: a checkpoint on its data, or one folder against another. The body of `ganlab.evaluate`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ganlab.core.assembly import make_data
from ganlab.core.checkpoints import load_module, stored_content
from ganlab.data.base import DataSpec, GanData
from ganlab.data.cache import digest
from ganlab.errors import UserError, suggestion
from ganlab.evaluation.base import Ruler
from ganlab.evaluation.captions import ClipRuler, MatchRuler, OracleRuler
from ganlab.evaluation.digits import StackRuler
from ganlab.evaluation.evidence import extractor_named, gather, split_of
from ganlab.evaluation.looks import MEASURES as OF_LOOKS
from ganlab.evaluation.looks import LookRuler
from ganlab.evaluation.measures import MEASURES, Evidence, check_needs
from ganlab.evaluation.pairs import MEASURES as OF_PAIRS
from ganlab.evaluation.pairs import PairRuler
from ganlab.evaluation.pictures import PictureRuler, compared
from ganlab.evaluation.points import ModeRuler
from ganlab.evaluation.sources import Folder
from ganlab.metrics.features import Extractor
from ganlab.metrics.gathering import MOST, Sample
from ganlab.metrics.reference import load_reference, save_reference
from ganlab.metrics.result import Result

OF_CAPTIONS = ("r_precision", "clip_score", "caption_accuracy")
OF_MODES = ("modes",)
ALL = (*MEASURES, *OF_LOOKS, *OF_CAPTIONS, *OF_PAIRS, *OF_MODES)
FIRST = ("fid", "kid", "precision", "recall")
GENERATED = 1000

Known = tuple[Sample, dict[str, Any]]


@dataclass(frozen=True)
class Terms:
    """What is measured and how: `count` generated pictures (None: 1,000, or all of a folder) against at most `reals`
    real ones, or against a `reference` folder or file of statistics, which `save_reference` writes."""

    metrics: Sequence[str] = ()
    split: str = "reference"
    count: int | None = None
    reals: int = MOST
    seed: int = 0
    extractor: str = "auto"
    resizer: str = "auto"
    precision: str = "float32"
    weights: Path | None = None
    side: int = 299
    reference: Path | None = None
    save_reference: Path | None = None

    def network(self) -> Extractor:
        return extractor_named(self.extractor, self.resizer, self.precision, self.weights, self.side)


def of_checkpoint(file: Path, terms: Terms, allow: Sequence[str] = ()) -> dict[str, Result]:
    """The metrics of a checkpoint's averaged generator on its own data; those that fit the data when none are named."""
    module = load_module(file, allow).to("cuda" if torch.cuda.is_available() else "cpu")
    with stored_content(file):
        data = make_data(module.recipe)
    if data.spec.shape != module.spec.shape or module.spec.kind not in ("none", data.spec.kind):
        raise UserError(f"{file} was trained on {_told(module.spec)}, and its data are {_told(data.spec)} now")
    wanted = checked(terms.metrics or fitting(data), fitting(data, every=True))
    _check_used(wanted, terms)
    results: dict[str, Result] = {}
    for ruler in rulers(data, wanted, terms):
        results |= ruler.measure(module)
    return results


def _check_used(metrics: Sequence[str], terms: Terms) -> None:
    """Raise `UserError` for a setting of the feature extractor if nothing that is measured uses one."""
    given = {"reference": terms.reference, "save_reference": terms.save_reference, "weights": terms.weights}
    idle = [name for name, value in given.items() if value]
    if idle and not set(metrics) & set(MEASURES):
        raise UserError(
            f"`{idle[0]}` is for {', '.join(FIRST)} and the like, and only {', '.join(metrics)} is measured"
        )


def _told(spec: DataSpec) -> str:
    return f"{' x '.join(map(str, spec.shape))} with condition {spec.kind}"


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
        return list(OF_MODES)
    names = [*MEASURES, *OF_LOOKS] if every else list(FIRST)
    names += {"text": ["r_precision"], "image": list(OF_PAIRS)}.get(data.spec.kind, [])
    names += ["clip_score"] if every and data.spec.kind == "text" else []
    names += list(OF_MODES) if data.digits else []
    return names + (["caption_accuracy"] if data.checkable else [])


def rulers(data: GanData, metrics: Sequence[str], terms: Terms) -> Iterator[Ruler]:
    """What measures the metrics, in a sensible order, each made when its turn comes."""
    pictures, split, seed = split_of(data, terms.split), terms.split, terms.seed
    count = terms.count or GENERATED
    if names := [name for name in metrics if name in MEASURES]:
        yield picture_ruler(names, data, terms, count)
    for name in OF_LOOKS:
        if name in metrics:
            yield LookRuler(name, pictures, split, count, seed)
    if names := [name for name in metrics if name in OF_PAIRS]:
        yield PairRuler(names, pictures, split, count, seed)
    if "r_precision" in metrics:
        yield MatchRuler(data.train, pictures, split, count, seed)
    if "clip_score" in metrics:
        yield ClipRuler(pictures, split, count, seed)
    if "caption_accuracy" in metrics:
        yield OracleRuler(data.checkable, count, seed)
    if "modes" in metrics and data.digits:
        yield StackRuler(pictures, split, count, seed)
    if "modes" in metrics and data.modes is not None:
        yield ModeRuler(data.modes, pictures, count, seed)


def picture_ruler(names: Sequence[str], data: GanData, terms: Terms, count: int) -> PictureRuler:
    """The one that compares features; it writes the reference's statistics where that is asked for."""
    network = terms.network()
    known = real_side(terms.reference, network, terms) if terms.reference else None
    pictures = split_of(data, terms.split)
    ruler = PictureRuler(names, network, pictures, terms.split, count, terms.seed, terms.reals, data.train, known)
    if terms.save_reference and not known:
        facts = {name: value for name, value in ruler.protocol.items() if name != "seed"}
        save_reference(terms.save_reference, ruler.real, {**network.protocol, **facts})
    return ruler


def of_folders(generated: Path, reference: Path, terms: Terms) -> dict[str, Result]:
    """The metrics of one folder's pictures against another's, of any size and kind, or against a statistics file.

    The reference counts as what the generator was trained on.
    """
    names = checked(terms.metrics or FIRST, [*MEASURES, *OF_LOOKS])
    fakes = Folder(generated, terms.count or 10**9, terms.seed)
    results: dict[str, Result] = {}
    if of_features := [name for name in names if name in MEASURES]:
        network = terms.network()
        real, facts = real_side(reference, network, terms)
        train = real if len(real.features) else None
        check_needs(of_features, network.classes, real, train)
        seen = Evidence(real, gather(network, fakes, MOST, terms.seed), terms.seed, train)
        results = compared(of_features, network, seen, {"split": "folder", **facts, "seed": terms.seed})
    for name, look in OF_LOOKS.items():
        results |= look(fakes, terms.seed) if name in names else {}
    return results


def real_side(reference: Path, network: Extractor, terms: Terms) -> Known:
    """A folder's pictures, or what a file says of them; written to `save_reference` where that is asked for."""
    if not reference.is_dir():
        return load_reference(reference, network)
    folder = Folder(reference, terms.reals, terms.seed)
    real, facts = gather(network, folder, MOST, terms.seed), {"reference": digest(folder.facts())}
    if terms.save_reference:
        save_reference(terms.save_reference, real, {**network.protocol, **facts})
    return real, facts
