"""Measure one generator by several metrics. Samples are drawn once for all metrics that need the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

import torch

from ganlab.config.words import ORIGIN
from ganlab.console import say_once
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import GanData
from ganlab.data.pictures import Pictures
from ganlab.data.rows import some_rows
from ganlab.errors import UserError
from ganlab.evaluation.extract import reference_of, split_of
from ganlab.evaluation.sources import WHOLE, Generated, Source, Stored
from ganlab.metrics.feature_sets import RealSide
from ganlab.metrics.features import Extractor
from ganlab.metrics.gathering import MOST, Sample
from ganlab.metrics.metric import Metric
from ganlab.metrics.result import Result
from ganlab.metrics.target import Target
from ganlab.networks.weights import UnavailableError
from ganlab.processes import Share, divided

Plan = tuple[Target, list[type[Metric]]]


class Evaluator:
    """Metrics and their target. `leading`: the name of the first one's number; `better`: its direction.

    Raise `UserError` if a metric needs something that is missing, before any sample is drawn.
    """

    def __init__(self, metrics: Sequence[type[Metric]], target: Target) -> None:
        self.plans = plans(metrics, target)
        for one, kinds in self.plans:
            check_needs(kinds, one)
        first = metrics[0]
        self.leading, self.better = first.label(first.targets(target)[0], first.leading()), first.better

    def measure(self, module: GenerativeModule) -> dict[str, Result]:
        """Draw samples of the averaged generator and return all numbers by their full names."""
        return self.results(self.collect(module), module)

    def collect(self, module: GenerativeModule, share: Share = WHOLE) -> list[Metric]:
        """Draw a share of the samples of the averaged generator, and return metrics that have seen them."""
        return [
            metric
            for target, kinds in self.plans
            for metric in fed(
                kinds, target, Generated(module, target.real, target.rows, target.seed, share), module.device
            )
        ]

    @staticmethod
    def exchange(metrics: Sequence[Metric]) -> None:
        """Give all processes the samples of all, and share the work of computing. Every process must call this."""
        for metric in metrics:
            metric.synchronize()
        for metric in metrics:
            with suppress(ValueError):  # `compute` raises it again
                metric.prepare(divided)

    @staticmethod
    def results(metrics: Sequence[Metric], module: GenerativeModule) -> dict[str, Result]:
        """Return the numbers of metrics that have seen all samples of the module, by their full names."""
        results = numbers(metrics)
        if origin := getattr(module, "origin", None):  # anything that samples may be measured
            for one in results.values():
                one.protocol[ORIGIN] = origin
        return results


def plans(metrics: Sequence[type[Metric]], target: Target) -> list[Plan]:
    """Return the targets that samples are drawn for, each once, with the metrics that use its samples."""
    found: dict[Target, list[type[Metric]]] = {}
    for kind in metrics:
        for one in kind.targets(target):
            found.setdefault(one, []).append(kind)
    return list(found.items())


def check_needs(metrics: Iterable[type[Metric]], target: Target) -> None:
    """Raise `UserError` for the first metric whose needs are not met."""
    for kind in metrics:
        for need in kind.needs:
            if complaint := need.missing(target):
                raise UserError(f"`metrics`: {kind.name} cannot be measured: {complaint}")


def measured(
    metrics: Sequence[type[Metric]], target: Target, source: Source, device: torch.device | None = None
) -> dict[str, Result]:
    """Feed the source's pictures to new metrics, and return their numbers by their full names."""
    return numbers(fed(metrics, target, source, device))


def fed(
    metrics: Sequence[type[Metric]], target: Target, source: Source, device: torch.device | None = None
) -> list[Metric]:
    """Return new metrics that have seen the source's pictures."""
    fresh, made = replace(target), []
    for kind in metrics:
        with complaints(kind):
            made.append(kind(fresh))
    for one in made:
        if device is not None:
            one.to(device)
    feed(made, source)
    return made


def numbers(metrics: Sequence[Metric]) -> dict[str, Result]:
    """Return the metrics' numbers by their full names.

    Print one line, once, for each metric that is undefined for these samples. Raise its `UserError` if all of them are.
    """
    results: dict[str, Result] = {}
    failures: list[UserError] = []
    for one in metrics:
        try:
            with complaints(type(one)):
                results |= one.results()
        except UserError as error:
            failures.append(error)
    if failures and not results:
        raise failures[0]
    for failure in failures:
        say_once(f"ganlab: {failure}")
    return results


def feed(metrics: Sequence[Metric], source: Source) -> None:
    """Give the source's pictures to all metrics, as many as the metric with the largest need takes."""
    most = max(metric.most for metric in metrics)
    for samples in source.samples():
        for metric in metrics:
            metric.update(samples)
        if int(samples.places[-1]) + 1 >= most:
            break


@contextmanager
def complaints(metric: type[Metric]) -> Iterator[None]:
    """Turn an error of a metric (too few samples, missing weights) into a `UserError` that names the metric."""
    try:
        yield
    except (ValueError, UnavailableError) as error:
        raise UserError(f"`metrics`: {metric.name} cannot be measured: {error}") from error


def target_of(data: GanData, split: str, count: int, seed: int) -> Target:
    """Return a data set's split as a target for `count` samples. Its real side is set later."""
    return Target(
        count=count,
        seed=seed,
        split=split,
        pictures=split_of(data, split),
        train=data.train,
        kind=data.spec.kind,
        points=len(data.spec.shape) != 3,
        modes=data.modes,
        digits=data.digits,
        checkable=data.checkable,
    )


def real_side(extractor: Extractor, target: Target, reals: int = MOST) -> RealSide:
    """Return the features of at most `reals` pictures of the target, from the cache if they are in it."""
    real, facts = reference_of(extractor, _some(target.real, reals, target.seed), target.seed)
    train = partial(training_features, extractor, target, reals)
    return RealSide(extractor, real, {"split": target.split, **facts}, train)


def training_features(extractor: Extractor, target: Target, reals: int = MOST) -> Sample | None:
    """Return the features of the training pictures: at most `reals` if they are the target's own split, else `MOST`."""
    if target.train is None:
        return None
    count = reals if target.train is target.pictures else MOST
    return reference_of(extractor, _some(target.train, count, target.seed), target.seed)[0]


def _some(pictures: Pictures, count: int, seed: int) -> Stored:
    return Stored(pictures, some_rows(len(pictures), count, seed))
