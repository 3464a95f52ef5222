"""Requirements of metrics on their target. A need is an object, so a new kind of need is one more constant."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ganlab.metrics.target import Target


def _nothing(target: Target) -> str:
    return ""


@dataclass(frozen=True)
class Need:
    """A requirement. applies: whether such data can meet it.

    missing: the reason why it is not met once the real features are known; else "".
    """

    applies: Callable[[Target], bool]
    missing: Callable[[Target], str] = _nothing


def _no_features(target: Target) -> str:
    known = len(target.features.real.features) > 0
    return (
        "" if known else "the reference file has mean and covariance only; pass a folder, or a file of save_reference"
    )


def _no_classes(target: Target) -> str:
    named = target.features.extractor.classes > 0
    return "" if named else "the extractor names no classes; inception, imagenet and small do"


def _no_labels(target: Target) -> str:
    missing = (
        "" if target.features.real.labels else "pictures have no classes or captions (in folders: a folder a class)"
    )
    return _no_features(target) or missing


def _no_training(target: Target) -> str:
    return "" if target.features.train is not None else "what the generator was trained on is not known"


def _are_pictures(target: Target) -> bool:
    return not target.points


PICTURES = Need(_are_pictures)
REAL_FEATURES = Need(_are_pictures, _no_features)
"""Features of single real pictures, in addition to their mean and covariance."""
CLASSES = Need(_are_pictures, _no_classes)
"""Class probabilities of the extractor."""
LABELS = Need(_are_pictures, _no_labels)
"""The class, key or caption of each picture."""
TRAINING_FEATURES = Need(_are_pictures, _no_training)
CAPTIONS = Need(lambda target: target.kind == "text")
TRUE_PICTURES = Need(lambda target: target.kind == "image")
"""The picture that each sample should be: the condition is a picture."""
CHECKABLE_CAPTIONS = Need(lambda target: bool(target.checkable))
"""Captions that an oracle can check on any picture."""
KNOWN_MODES = Need(lambda target: target.modes is not None)
DIGITS = Need(lambda target: target.digits > 0)
"""Stacks of digits, whose modes a classifier reads."""
