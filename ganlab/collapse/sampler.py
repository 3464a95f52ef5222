"""Features of real images and of the samples of both generators of a run.

Images go through a feature extractor; points are their own features. Real features are computed once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence

import numpy as np
import torch
from torch import Tensor

from ganlab.collapse.baseline import MIN_REALS, PER_CONDITION, Baseline
from ganlab.collapse.feature_sample import FeatureSample
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import GanData
from ganlab.data.batch import take, to_uint8
from ganlab.data.cache import digest, remembered_array
from ganlab.data.rows import some_rows
from ganlab.errors import UserError
from ganlab.evaluation.extract import real_features, split_of
from ganlab.evaluation.sources import Generated, labels_of
from ganlab.metrics.extractors import extractor_named
from ganlab.processes import Divide, Share, alone
from ganlab.sampling.drawing import on_device

MAX_REALS = 5_000
MAX_CONDITIONS = 20
AVERAGED, LIVE = "averaged", "live"
"""The generators, by the names of their series."""


def check_reals(data: GanData, split: str) -> None:
    """Raise `UserError` if a split has too few real samples for a null distribution."""
    if (count := len(split_of(data, split))) < MIN_REALS:
        raise UserError(f"the {split} split has {count} samples, and {MIN_REALS} are needed to know what is healthy")


class SampleSource:
    """Draws samples of both generators, and holds the real ones as `baseline`.

    count: samples of each generator at a look. split: train or reference, of the data. extractor: by its name.
    size: samples that are evaluated together. It is below `count` if the data have too few reals.
    rows: the rows of the real images among `pictures`.
    """

    def __init__(
        self, data: GanData, module: GenerativeModule, count: int, split: str, extractor: str, seed: int
    ) -> None:
        self.pictures, self.seed = split_of(data, split), seed
        self.rows = some_rows(len(self.pictures), MAX_REALS, seed)
        check_reals(data, split)
        self._extract, real = self._extractor(extractor, module)
        labels = labels_of(self.pictures, torch.from_numpy(self.rows))
        self._groups = _common_groups(labels) if module.spec.kind in ("class", "text") else {}
        per_condition: dict[Hashable, Tensor] = {
            name: real[torch.from_numpy(places)] for name, places in self._groups.items()
        }
        self.baseline = Baseline(real, per_condition, self._named(labels, data.spec.classes))
        self.size = self.baseline.sample_size(count)
        self.chunks = -(-count // self.size)

    def draw(self, module: GenerativeModule, divide: Divide = alone) -> dict[str, list[FeatureSample]]:
        """Draw `chunks` samples of `size` of each generator. Looks have independent latents.

        The samples of the averaged generator also have those per condition. divide: who draws which samples.
        """
        averaged, per_condition, conditions = self._sample(module, divide)
        with module.sampling_live():
            live = self._features(module, self._generated(module), divide)
        return {
            AVERAGED: [FeatureSample(part, per_condition, conditions) for part in averaged.split(self.size)],
            LIVE: [FeatureSample(part) for part in live.split(self.size)],
        }

    def remember(self, name: str, make: Callable[[], list[float]]) -> list[float]:
        """Return make() from the cache if it was computed before for these features and labels."""
        real, groups = self.baseline.features, self.baseline.groups(self.size)
        content = [real.sum(dtype=torch.float64).item(), real.square().sum(dtype=torch.float64).item()]
        facts = [*content, list(real.shape), self.size, self.seed, list(self._groups), digest(groups)]
        return [float(x) for x in remembered_array(f"healthy-{name}", facts, lambda: np.array(make()))]

    # Real images ---------------------------------------------------------------------------------------------------

    def _extractor(self, name: str, module: GenerativeModule) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """Return the function from images to features, and the features of the reals."""
        if len(module.spec.shape) != 3:
            return lambda points: points.float().cpu(), self.pictures.get(self.rows).float()
        extractor = extractor_named(name).to(module.device)
        real = real_features(extractor, self.pictures, self.rows)
        return lambda images: extractor(to_uint8(images) if images.is_floating_point() else images).cpu(), real

    def _named(self, labels: list[str], classes: Sequence[str]) -> list[str]:
        """Replace the numbers of classes by their names."""
        numbered = self.pictures.keys is None and isinstance(self.pictures.condition, Tensor) and len(classes) > 0
        return [classes[int(label)] for label in labels] if numbered else labels

    # Generated images ----------------------------------------------------------------------------------------------

    def _generated(self, module: GenerativeModule) -> Generated:
        """Return the samples of this look, which are those of `module.sample`."""
        return Generated(module, self.pictures, self.chunks * self.size, self.seed + module.images_seen)

    def _features(self, module: GenerativeModule, source: Generated, divide: Divide) -> Tensor:
        """Return the features (N, D) of all samples."""

        def drawn(which: slice) -> Tensor:
            share = Share(which.start or 0, which.step or 1)
            own = Generated(module, self.pictures, source.rows, source.seed, share)
            return torch.cat([self._extract(images) for images, _ in own.batches()])

        return divide(source.total, drawn)

    def _sample(self, module: GenerativeModule, divide: Divide) -> tuple[Tensor, Tensor, list[Hashable]]:
        """Return features of samples, of samples per condition, and the conditions of the latter."""
        source = self._generated(module)
        features = self._features(module, source, divide)
        if not self._groups:
            return features, torch.empty(0, 0), []
        if module.spec.kind == "class":
            labels = labels_of(self.pictures, torch.from_numpy(source.rows))
            rows = [row for row, label in enumerate(labels) if label in self._groups]
            return features, features[rows], [labels[row] for row in rows]
        names: list[Hashable] = [name for name in self._groups for _ in range(PER_CONDITION)]
        return features, self._per_caption(module, source.seed + 1, divide), names

    def _per_caption(self, module: GenerativeModule, seed: int, divide: Divide) -> Tensor:
        """Return features of `PER_CONDITION` new samples of each group, with the captions of its real images.

        Classes need no new samples, because the drawn ones repeat them often enough.
        """
        places = np.concatenate([group[:PER_CONDITION] for group in self._groups.values()])
        rows = torch.from_numpy(self.rows[places])
        latent = module.draw_latent(len(places), torch.Generator().manual_seed(seed))

        def drawn(which: slice) -> Tensor:
            condition = on_device(take(self.pictures.condition, rows[which]), module.device)
            return self._extract(module.sample(latent[which], condition))

        return divide(len(places), drawn)


def _common_groups(labels: list[str]) -> dict[str, np.ndarray]:
    """Return the rows of each of the commonest labels with at least `PER_CONDITION` rows, in descending order."""
    names, counts = np.unique(np.array(labels), return_counts=True)
    common = names[np.argsort(-counts, kind="stable")]
    common = common[: min(MAX_CONDITIONS, int((counts >= PER_CONDITION).sum()))]
    return {str(name): np.flatnonzero(np.array(labels) == name) for name in common}
