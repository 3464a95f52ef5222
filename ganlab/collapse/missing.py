"""The missing parts of the data in a sample, in words and in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from ganlab.collapse.bins import Bins, LabelRegions, missing_bins
from ganlab.collapse.feature_sample import FeatureSample
from ganlab.collapse.indicators import DroppedLabels, Indicator, UnevenBins
from ganlab.collapse.messages import describe_missing
from ganlab.collapse.sampler import SampleSource
from ganlab.collapse.variety import PerCondition
from ganlab.loggers.sheet import Exhibit, grid, picture, scatter

LITTLE = 0.5  # a condition with less than this share of its variety is named
SHOWN, IMAGES_EACH = 6, 4  # missing parts, and real images of each, on the sheet


class MissingBin(NamedTuple):
    """A bin with its shares of the data and of the samples."""

    number: int
    expected: float
    found: float


class MissingParts(NamedTuple):
    """The missing bins of `total`, the missing labels by their codes, and the conditions with little variety."""

    bins: list[MissingBin]
    total: int
    labels: dict[int, str]
    conditions: list[str]

    @property
    def words(self) -> str:
        """Return the parts in words; empty if nothing is missing."""
        shares = [(bin.expected, bin.found) for bin in self.bins]
        return describe_missing(shares, self.total, [*self.labels.values()], self.conditions)


def find_missing(indicators: Sequence[Indicator], sample: FeatureSample) -> MissingParts:
    """Return the missing parts of the sample, according to the partitions and conditions of the indicators."""
    bins = _bins(indicators)
    found = bins.shares(sample.points)
    numbers = missing_bins(bins.expected, found)
    missing = [MissingBin(number, float(bins.expected[number]), float(found[number])) for number in numbers]
    codes = {code: of.names[code] for of in _labels(indicators) for code in of.missing(sample.points)}
    kept = next((one.kept(sample) for one in indicators if isinstance(one, PerCondition)), {})
    poor = sorted((share, str(name)) for name, share in kept.items() if share < LITTLE)
    return MissingParts(missing, len(bins.centers), codes, [name for _, name in poor])


def exhibit(
    source: SampleSource, indicators: Sequence[Indicator], sample: FeatureSample, missing: MissingParts
) -> Exhibit | None:
    """Return real images of the missing labels and bins, or None if nothing is missing.

    For points, return a scatter plot of the sample over the reals.
    """
    if len(source.pictures.shape) != 3:
        return Exhibit(scatter(source.baseline.features, sample.features), [], None)
    labels = [_of_label(source, of, code) for of in _labels(indicators) for code in missing.labels]
    chosen = [*labels, *(_of_bin(source, _bins(indicators), bin) for bin in missing.bins)][:SHOWN]
    if not chosen:
        return None
    images = torch.cat([source.pictures.get(rows) for rows, _ in chosen])
    texts = [text for _, text in chosen for _ in range(IMAGES_EACH)]
    return Exhibit(grid(images, texts, IMAGES_EACH), [picture(image) for image in images], texts)


def _of_label(source: SampleSource, regions: LabelRegions, code: int) -> tuple[np.ndarray, str]:
    """Return rows of real images of the label, and its name."""
    return source.rows[(regions.codes == code).nonzero()[:IMAGES_EACH, 0].numpy()], regions.names[code]


def _of_bin(source: SampleSource, bins: Bins, bin: MissingBin) -> tuple[np.ndarray, str]:
    """Return rows of the real images nearest to the center of the bin, and its shares."""
    distances = (source.baseline.features.double() - bins.centers[bin.number]).norm(dim=1)
    rows = source.rows[distances.topk(IMAGES_EACH, largest=False).indices.numpy()]
    return rows, f"{bin.expected:.1%} of data, {bin.found:.1%} drawn"


def _bins(indicators: Sequence[Indicator]) -> Bins:
    return next(one.partition for one in indicators if isinstance(one, UnevenBins))


def _labels(indicators: Sequence[Indicator]) -> list[LabelRegions]:
    """Return the regions of labels: one, or none if the data have no labels."""
    return [one.partition for one in indicators if isinstance(one, DroppedLabels)]
