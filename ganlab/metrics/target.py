"""The target of a measurement: the data to compare with, and the conditions of the samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ganlab.data.batch import take
from ganlab.data.pictures import Pictures
from ganlab.data.rows import many_rows
from ganlab.metrics.feature_sets import FeatureSets, RealSide

if TYPE_CHECKING:
    from ganlab.data.base import Modes


def no_real_side() -> RealSide:
    """Raise `ValueError`: this target has no real pictures."""
    raise ValueError("the target has no real pictures to compare features with")


@dataclass(frozen=True, eq=False)
class Target:
    """The data that `count` generated samples are compared with. `seed`: of latents, and of random choices.

    pictures: The real pictures whose conditions the generator gets; None for folders.
    split: Their name.
    train: The pictures that the generator learned from.
    kind: Of condition, as `DataSpec.kind`.
    points: Whether samples are points.
    modes: The known modes of points.
    digits: How many digits a picture shows; 0 for other pictures.
    checkable: Pictures of captions that an oracle can check, by split.
    chosen: (count,) rows of `pictures`, in place of each equally often.
    make_real: Returns the features of real pictures.
    """

    count: int
    seed: int = 0
    split: str | None = None
    pictures: Pictures | None = None
    train: Pictures | None = None
    kind: str = "none"
    points: bool = False
    modes: Modes | None = None
    digits: int = 0
    checkable: Mapping[str, Pictures] = field(default_factory=dict)
    chosen: np.ndarray | None = None
    make_real: Callable[[], RealSide] = no_real_side

    @cached_property
    def rows(self) -> np.ndarray:
        """Return the row of `pictures` (count,) whose condition each sample gets."""
        return many_rows(len(self.real), self.count, self.seed) if self.chosen is None else self.chosen

    @property
    def real(self) -> Pictures:
        """Return `pictures`; raise `ValueError` for a folder."""
        if self.pictures is None:
            raise ValueError("the target has no data set")
        return self.pictures

    @cached_property
    def features(self) -> FeatureSets:
        """Return the features of both kinds, which all metrics of this target share."""
        return FeatureSets(self.make_real(), self.count, self.seed)

    def truth(self, places: Tensor) -> Tensor:
        """Return the real pictures (N, ...) whose conditions the samples at these places got."""
        return self.real.get(self.rows[places.numpy()])

    def captions(self, places: Tensor) -> list[str]:
        """Return the captions that the samples at these places were made from."""
        return captions_of(self.real, self.rows[places.numpy()])


def captions_of(pictures: Pictures, rows: np.ndarray) -> list[str]:
    """Return the captions of these rows. Raise `ValueError` if the pictures have none."""
    if not isinstance(pictures.condition, list):
        raise ValueError("the pictures have no captions")
    return [str(caption) for caption in take(pictures.condition, rows)]  # type: ignore[arg-type, union-attr]
