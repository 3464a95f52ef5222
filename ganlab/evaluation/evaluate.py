"""Measure on demand: a checkpoint on its data, or one folder against another. `ganlab.evaluate` calls it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from ganlab.console import say
from ganlab.core.assembly import make_data
from ganlab.core.checkpoints import stored_content
from ganlab.core.generative import GenerativeModule
from ganlab.core.portable import open_run
from ganlab.data.base import DataSpec, GanData
from ganlab.data.cache import digest
from ganlab.errors import UserError
from ganlab.evaluation.evaluator import Evaluator, check_needs, measured, plans, real_side, target_of, training_features
from ganlab.evaluation.extract import gather
from ganlab.evaluation.sources import Folder
from ganlab.metrics.extractors import extractor_named
from ganlab.metrics.feature_sets import RealSide
from ganlab.metrics.features import Extractor
from ganlab.metrics.gathering import MOST, Sample
from ganlab.metrics.metric import FeatureMetric, Metric
from ganlab.metrics.reference import load_reference, save_reference
from ganlab.metrics.registry import chosen, fitting
from ganlab.metrics.result import Result
from ganlab.metrics.target import Target

GENERATED = 1000


@dataclass(frozen=True)
class Settings:
    """The settings of a measurement.

    `metrics`: names or dotted paths; empty for the standard ones. `count`: generated pictures; None for 1,000, or all
    of a folder. `reals`: the largest number of real pictures. `reference`: a folder or a file of statistics in place of
    the data's real pictures. `save_reference`: where to write such a file. `side`: of pictures for a TorchScript
    extractor.
    """

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
        """Return the extractor. Raise `UserError` if it is not available."""
        return extractor_named(self.extractor, self.resizer, self.precision, self.weights, self.side)


def of_checkpoint(
    file: Path, settings: Settings, allow: Sequence[str] = (), where: Mapping[str, str] | None = None
) -> dict[str, Result]:
    """Measure a checkpoint's averaged generator on its own data. Return the numbers by their full names.

    `allow`: packages whose classes the checkpoint, or `settings.metrics`, may name. `where`: settings of the data that
    replace the recipe's, as `{"root": "/other/place"}`. Warn if there are too few pictures for a number's meaning.
    """
    module, _ = open_run(str(file), allow, where)
    module.to("cuda" if torch.cuda.is_available() else "cpu")
    with stored_content(file):
        data = make_data(module.recipe)
    if data.spec.shape != module.spec.shape or module.spec.kind not in ("none", data.spec.kind):
        raise UserError(f"{file} was trained on {_words(module.spec)}, and its data are {_words(data.spec)} now")
    return of_module(module, data, settings, allow)


def of_module(
    module: GenerativeModule, data: GanData, settings: Settings, allow: Sequence[str] | None = None
) -> dict[str, Result]:
    """Measure a model's averaged generator on data that are loaded. Return the numbers by their full names."""
    target = target_of(data, settings.split, settings.count or GENERATED, settings.seed)
    target = replace(target, make_real=cache(lambda: _real_side_of_data(target, settings)))
    metrics = metrics_for(target, settings.metrics, allow)
    _check_used(metrics, settings)
    results = Evaluator(metrics, target).measure(module)
    _say_doubts(metrics, target)
    return results


def metrics_for(target: Target, names: Sequence[str] = (), allow: Sequence[str] | None = None) -> list[type[Metric]]:
    """Return the named metrics, or the standard ones that fit the data. Raise `UserError` for one that does not fit."""
    return chosen(names, target, allow) if names else [one for one in fitting(target) if one.standard]


def _check_used(metrics: Sequence[type[Metric]], settings: Settings) -> None:
    """Raise `UserError` for a setting of the feature extractor if no metric uses one."""
    given = {
        "reference": settings.reference,
        "save_reference": settings.save_reference,
        "weights": settings.weights,
    }
    idle = [name for name, value in given.items() if value]
    if idle and not any(issubclass(metric, FeatureMetric) for metric in metrics):
        names = ", ".join(metric.name for metric in metrics)
        raise UserError(f"`{idle[0]}` is for metrics of features, like fid, and only {names} is measured")


def _words(spec: DataSpec) -> str:
    return f"{' x '.join(map(str, spec.shape))} with condition {spec.kind}"


def _real_side_of_data(target: Target, settings: Settings) -> RealSide:
    """Return the features of the split, or of `settings.reference`. Write them if the settings ask for it."""
    network = settings.network()
    if settings.reference:
        real, facts = reference_side(settings.reference, network, settings)
        train = partial(training_features, network, target, settings.reals)
        return RealSide(network, real, {"split": target.split, **facts}, train)
    own = real_side(network, target, settings.reals)
    if settings.save_reference:
        save_reference(settings.save_reference, own.real, {**network.protocol, **own.facts})
    return own


def of_folders(generated: Path, reference: Path, settings: Settings, allow: Sequence[str] = ()) -> dict[str, Result]:
    """Measure one folder's pictures against another's, of any size and format, or against a file of statistics.

    The reference counts as the generator's training data. Return the numbers by their full names.
    """
    fakes = Folder(generated, settings.count or 10**9, settings.seed)
    make_real = cache(lambda: _real_side_of_folder(reference, settings))
    target = Target(fakes.total, settings.seed, make_real=make_real)
    metrics = metrics_for(target, settings.metrics, allow)
    results: dict[str, Result] = {}
    for one, kinds in plans(metrics, target):
        check_needs(kinds, one)
        results |= measured(kinds, one, fakes)
    _say_doubts(metrics, target)
    return results


def _say_doubts(metrics: Sequence[type[Metric]], target: Target) -> None:
    for doubt in dict.fromkeys(metric.doubt(target) for metric in metrics):
        if doubt:
            say(f"ganlab: {doubt}")


def _real_side_of_folder(reference: Path, settings: Settings) -> RealSide:
    network = settings.network()
    real, facts = reference_side(reference, network, settings)
    return RealSide(network, real, {"split": "folder", **facts}, lambda: real if len(real.features) else None)


def reference_side(reference: Path, network: Extractor, settings: Settings) -> tuple[Sample, dict[str, Any]]:
    """Return the features of a folder, or those in a file of statistics, and facts that identify them.

    Those of a folder are written to a file if the settings ask for it.
    """
    if not reference.is_dir():
        return load_reference(reference, network)
    folder = Folder(reference, settings.reals, settings.seed)
    real, facts = gather(network, folder, MOST, settings.seed), {"reference": digest(folder.facts())}
    if settings.save_reference:
        save_reference(settings.save_reference, real, {**network.protocol, **facts})
    return real, facts
