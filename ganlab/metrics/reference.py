"""Reference statistics on disk: the .npz of `mu` and `sigma` that pytorch-fid and StyleGAN exchange, and some more.

ganlab adds `count`, the `features` of at most so many pictures with their `labels`, and the protocol that made them.
Other programs read the two arrays that they know; a file of theirs is good for the Fréchet distance alone. Read without
unpickling.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import torch

from ganlab.errors import UserError
from ganlab.metrics.features import Extractor, digest_of
from ganlab.metrics.gathering import Sample
from ganlab.metrics.moments import Gaussian

SAME = ("extractor", "weights", "resizer", "normalization", "precision")
"""Fields of the protocol that must agree for features to be comparable."""


def save_reference(path: Path, sample: Sample, protocol: dict[str, Any]) -> None:
    """Write the sample to `path` as an .npz, whole or not at all."""
    gaussian, part = sample.gaussian, path.with_name(f".{path.name}.part.npz")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        np.savez(
            part,
            mu=gaussian.mean.cpu().numpy(),
            sigma=gaussian.covariance.cpu().numpy(),
            count=gaussian.count,
            features=sample.features.cpu().numpy(),
            labels=json.dumps(sample.labels),
            protocol=json.dumps(protocol, default=str),
        )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def load_reference(path: Path, extractor: Extractor) -> tuple[Sample, dict[str, Any]]:
    """Return the sample and its protocol, for comparison with features of `extractor`.

    Raise `UserError` for any other file, or if its features are not the extractor's.
    """
    arrays = _arrays(path)
    gaussian = _gaussian(path, arrays)
    if len(gaussian.mean) != extractor.dim:
        raise UserError(
            f"`reference` {path} has {len(gaussian.mean)} features and extractor={extractor.name} gives {extractor.dim}"
        )
    protocol: dict[str, Any] = json.loads(str(arrays["protocol"])) if "protocol" in arrays else {}
    for name in SAME if protocol else ():
        ours, theirs = extractor.protocol.get(name), protocol.get(name)
        if ours != theirs:
            raise UserError(f"`reference` {path} was made with {name} {theirs}, and now it is {ours}")
    features = torch.from_numpy(arrays.get("features", np.zeros((0, extractor.dim), np.float32)))
    labels = json.loads(str(arrays["labels"])) if "labels" in arrays else []
    return Sample(gaussian, features, labels), protocol or {"reference": digest_of(path), "reals_resizer": "unknown"}


def _arrays(path: Path) -> dict[str, np.ndarray]:
    if not path.is_file():
        raise UserError(f"`reference` {path} does not exist: name an .npz of mu and sigma, or a folder of pictures")
    try:
        with np.load(path, allow_pickle=False) as stored:
            return dict(stored)
    except (ValueError, BadZipFile, AttributeError, TypeError, OSError) as error:
        raise UserError(f"`reference` {path} is no .npz of plain arrays ({str(error).splitlines()[0]})") from error


def _gaussian(path: Path, arrays: dict[str, np.ndarray]) -> Gaussian:
    if not {"mu", "sigma"} <= arrays.keys():
        raise UserError(f"`reference` {path} must hold the arrays mu and sigma, got {', '.join(arrays) or 'nothing'}")
    mu, sigma = (np.atleast_1d(arrays[name]).astype(np.float64) for name in ("mu", "sigma"))
    if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)) or not np.isfinite(sigma).all():
        raise UserError(f"`reference` {path}: sigma must be (D, D) for mu (D,), got {sigma.shape} and {mu.shape}")
    count = int(arrays["count"]) if "count" in arrays else 0
    return Gaussian(torch.from_numpy(mu), torch.from_numpy((sigma + sigma.T) / 2), count)
