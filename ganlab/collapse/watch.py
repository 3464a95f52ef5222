"""Looks at both generators of a run as the indicators of collapse see them, and says what of the data is missing.

Features are those of an extractor, points their own. The real side is made once, at the first look.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ganlab.collapse.course import Terms
from ganlab.collapse.crowd import Crowd
from ganlab.collapse.indicators import DroppedLabels, Indicator, PerCondition, UnevenBins
from ganlab.collapse.labels import Labels
from ganlab.collapse.players import GENERATORS
from ganlab.collapse.share import Bins, missing_bins
from ganlab.collapse.words import gone
from ganlab.collapse.yardstick import EACH, FEWEST, Reals, indicators
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import GanData
from ganlab.data.batch import take, to_uint8
from ganlab.data.cache import digest, remembered_array
from ganlab.data.rows import some_rows
from ganlab.errors import UserError
from ganlab.evaluation.evidence import extractor_named, real_features, split_of
from ganlab.evaluation.sources import Generated, labels_of
from ganlab.loggers.sheet import Exhibit, grid, picture, scatter
from ganlab.sampling.drawing import on_device

MOST_REALS = 5_000
MOST_CONDITIONS = 20
POORLY = 0.5  # of a condition's variety, below which it is named
AVERAGED = "averaged"
SHOWN, EACH_SHOWN = 6, 4  # missing bins, and real pictures of each, on the sheet


class Missing(NamedTuple):
    """Of the averaged generator: missing bins of `total` with their shares of the data and of the samples, missing
    labels by their number, poor conditions."""

    bins: list[tuple[int, float, float]]
    total: int
    labels: dict[int, str]
    conditions: list[str]

    @property
    def words(self) -> str:
        return gone([bin[1:] for bin in self.bins], self.total, [*self.labels.values()], self.conditions)


class Watch:
    """`count`: samples at a look, of each generator. `split`: train or reference."""

    def __init__(
        self, data: GanData, module: GenerativeModule, count: int, split: str, extractor: str, seed: int
    ) -> None:
        self.pictures, self.seed, self.count = split_of(data, split), seed, count
        self.rows = some_rows(len(self.pictures), MOST_REALS, seed)
        if len(self.rows) < FEWEST:
            raise UserError(f"the {split} split has {len(self.rows)}: {FEWEST} are needed to know what is healthy")
        self.features, real = self._extracted(extractor, module)
        labels = self._labels(data.spec.classes)
        self.groups = self._groups(module.spec.kind)
        reals = Reals(real, {name: real[torch.from_numpy(rows)] for name, rows in self.groups.items()}, labels)
        self.real, self.size = real, reals.size(count)
        self.indicators = indicators(reals, self.size, seed, self._remembering(reals))
        self.last: dict[str, list[Crowd]] = {}

    @property
    def terms(self) -> dict[str, Terms]:
        """What each series is held against."""
        parts = -(-self.count // self.size)
        return {
            f"{generator}/{one.name}": Terms(one.noise / parts**0.5, one.least)
            for generator in GENERATORS
            for one in self._of(generator)
        }

    @property
    def what(self) -> dict[str, str]:
        """What is lost, by indicator."""
        return {one.name: one.what for one in self.indicators}

    def look(self, module: GenerativeModule) -> dict[str, float]:
        """Every series' loss now. Each look has latents of its own, so that its chances are independent of others'."""
        losses = {}
        for generator, chosen in GENERATORS.items():
            with chosen(module):
                self.last[generator] = self._crowds(module, generator == AVERAGED)
            for one in self._of(generator):
                values = [one.value(crowd) for crowd in self.last[generator]]
                losses[f"{generator}/{one.name}"] = one.loss(sum(values) / len(values))
        return losses

    def _of(self, generator: str) -> list[Indicator]:
        """What is looked at."""
        return [one for one in self.indicators if one.live or generator == AVERAGED]

    # What is missing -----------------------------------------------------------------------------------------------

    def missing(self) -> Missing:
        """As of the last look."""
        crowd = self.last[AVERAGED][0]
        found = self.bins.shares(crowd.points)
        numbers = missing_bins(self.bins.expected, found)
        listed = [(number, float(self.bins.expected[number]), float(found[number])) for number in numbers]
        codes = {code: of.names[code] for of in self.labels for code in of.missing(crowd.points)}
        kept = [one.kept(crowd) for one in self.indicators if isinstance(one, PerCondition)][:1]
        poor = sorted((share, str(name)) for name, share in (kept[0] if kept else {}).items() if share < POORLY)
        return Missing(listed, len(self.bins.centers), codes, [name for _, name in poor])

    def exhibit(self, missing: Missing) -> Exhibit | None:
        """Real pictures of missing labels, or else the most typical of missing bins; of points, the generated over the
        real."""
        if len(self.pictures.shape) != 3:
            return Exhibit(scatter(self.real, self.last[AVERAGED][0].features), [], None)
        chosen = [*self._of_labels(missing), *self._of_bins(missing)][:SHOWN]
        if not chosen:
            return None
        images = torch.cat([self.pictures.get(rows) for rows, _ in chosen])
        texts = [text for _, text in chosen for _ in range(EACH_SHOWN)]
        return Exhibit(grid(images, texts, EACH_SHOWN), [picture(image) for image in images], texts)

    def _of_labels(self, missing: Missing) -> list[tuple[np.ndarray, str]]:
        """Rows of real pictures of each missing label, and the label."""
        return [
            (self.rows[(of.codes == code).nonzero()[:EACH_SHOWN, 0].numpy()], name)
            for of in self.labels
            for code, name in missing.labels.items()
        ]

    def _of_bins(self, missing: Missing) -> list[tuple[np.ndarray, str]]:
        """Rows of the real pictures nearest to the middle of each missing bin, and its shares."""
        return [(self._typical(bin), f"{share:.1%} of data, {drawn:.1%} drawn") for bin, share, drawn in missing.bins]

    def _typical(self, number: int) -> np.ndarray:
        distances = (self.real.double() - self.bins.centers[number]).norm(dim=1)
        return self.rows[distances.topk(EACH_SHOWN, largest=False).indices.numpy()]

    @property
    def bins(self) -> Bins:
        return next(one.partition for one in self.indicators if isinstance(one, UnevenBins))

    @property
    def labels(self) -> list[Labels]:
        """The one there is; empty if the data have no labels."""
        return [one.partition for one in self.indicators if isinstance(one, DroppedLabels)]

    # Features ------------------------------------------------------------------------------------------------------

    def _extracted(self, name: str, module: GenerativeModule) -> tuple[Callable[[Tensor], Tensor], Tensor]:
        """How pictures become features, and the real ones' features."""
        if len(module.spec.shape) != 3:
            return lambda points: points.float().cpu(), self.pictures.get(self.rows).float()
        extractor = extractor_named(name).to(module.device)
        real = real_features(extractor, self.pictures, self.rows)
        return lambda images: extractor(to_uint8(images) if images.is_floating_point() else images).cpu(), real

    def _labels(self, classes: Sequence[str]) -> list[str]:
        """Return what each real picture shows: the name of its class, its key or its caption. Empty if unknown."""
        labels = labels_of(self.pictures, torch.from_numpy(self.rows))
        numbered = self.pictures.keys is None and isinstance(self.pictures.condition, Tensor) and len(classes) > 0
        return [classes[int(label)] for label in labels] if numbered else labels

    def _groups(self, kind: str) -> dict[str, np.ndarray]:
        """Places among the real features of `EACH` pictures or more that show the same, the commonest first."""
        if kind not in ("class", "text"):
            return {}
        labels = np.array(labels_of(self.pictures, torch.from_numpy(self.rows)))
        names, counts = np.unique(labels, return_counts=True)
        common = names[np.argsort(-counts, kind="stable")][: min(MOST_CONDITIONS, int((counts >= EACH).sum()))]
        return {str(name): np.flatnonzero(labels == name) for name in common}

    def _crowds(self, module: GenerativeModule, asks: bool) -> list[Crowd]:
        """`count` samples or a few more, in parts as large as real samples can be; the first has told ones with it."""
        parts, seed = -(-self.count // self.size), self.seed + module.images_seen
        source = Generated(module, self.pictures, parts * self.size, seed)
        batches = [(self.features(images), labels) for images, labels in source.batches()]
        features = torch.cat([rows for rows, _ in batches])
        labels = [label for _, names in batches for label in names]
        few, conditions = self._told(module, features, labels, seed) if asks else (torch.empty(0, 0), [])
        return [Crowd(part, few, conditions) for part in features.split(self.size)]

    def _told(
        self, module: GenerativeModule, features: Tensor, labels: Sequence[Hashable], seed: int
    ) -> tuple[Tensor, list[Hashable]]:
        """Samples of each group: those that there are where conditions are classes, which come often; else `EACH` new
        ones, told what the group's real pictures are told."""
        if module.spec.kind == "class":
            rows = [row for row, label in enumerate(labels) if label in self.groups]
            return features[rows], [labels[row] for row in rows]
        if not self.groups:
            return torch.empty(0, 0), []
        places = np.concatenate([group[:EACH] for group in self.groups.values()])
        condition = on_device(take(self.pictures.condition, torch.from_numpy(self.rows[places])), module.device)
        latent = module.draw_latent(len(places), torch.Generator().manual_seed(seed + 1))
        return self.features(module.sample(latent, condition)), [name for name in self.groups for _ in range(EACH)]

    def _remembering(self, reals: Reals) -> Callable[[str, Callable[[], list[float]]], list[float]]:
        """Keeps what was worked out about these very features and labels."""
        real, groups = reals.features, reals.groups(self.size)
        content = [real.sum(dtype=torch.float64).item(), real.square().sum(dtype=torch.float64).item()]
        facts = [*content, list(real.shape), self.size, self.seed, list(self.groups), digest(groups)]

        def remember(name: str, make: Callable[[], list[float]]) -> list[float]:
            return [float(x) for x in remembered_array(f"healthy-{name}", facts, lambda: np.array(make()))]

        return remember
