"""The same numbers gathered batch by batch, on any number of processes: thin `torchmetrics.Metric`s.

They take features, not pictures: one pass of an extractor feeds all of them. `protocol` (`extractor.protocol`, the
split, the seed) is stamped on every result together with the number of samples of each kind. Call `update` and
`compute`, in any batches and order.

torch's and Lightning's distributed samplers hand every process the same number of samples and repeat some for that.
Told how many there are (`reals`, `fakes`), a metric counts each once: the sampler deals its shuffled list out like
cards, sample i of a process being number i * processes + rank, and what lies beyond the list's end is a repetition.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from ganlab.metrics.bins import BINS, LEVEL, bin_report
from ganlab.metrics.copying import copying
from ganlab.metrics.diversity import vendi
from ganlab.metrics.fidelity import inception_score, members
from ganlab.metrics.kernels import cmmd, kid
from ganlab.metrics.moments import Gaussian, Moments
from ganlab.metrics.result import Result
from ganlab.metrics.spread import jackknife, standard_error


class Counted(Metric):
    """What all have in common: a protocol, and counting no sample twice. Abstract."""

    full_state_update = False

    def __init__(
        self, protocol: Mapping[str, Any] | None = None, reals: int | None = None, fakes: int | None = None
    ) -> None:
        super().__init__()
        self.protocol = dict(protocol or {})
        self.totals = {"real": reals, "fake": fakes}
        self.came = {"real": 0, "fake": 0}

    def new(self, rows: Tensor, kind: str) -> Tensor:
        """The rows (N, ...) that are no repetition."""
        first, total = self.came[kind], self.totals[kind]
        self.came[kind] += len(rows)
        if total is None:
            return rows
        apart = dist.is_available() and dist.is_initialized()
        rank, world = (dist.get_rank(), dist.get_world_size()) if apart else (0, 1)
        numbers = torch.arange(first, first + len(rows), device=rows.device) * world + rank
        return rows[numbers < total]

    def reset(self) -> None:
        super().reset()
        self.came = {"real": 0, "fake": 0}


class FrechetDistance(Counted):
    """Fréchet distance of everything seen. Keeps sums only: exact over processes, memory of two (D, D) matrices.

    Sums do not know how far they would have moved: no spread (`frechet.frechet` has one, from features).
    """

    real_count: Tensor
    fake_count: Tensor

    def __init__(
        self,
        dim: int,
        protocol: Mapping[str, Any] | None = None,
        reference: Gaussian | None = None,
        reals: int | None = None,
        fakes: int | None = None,
    ) -> None:
        super().__init__(protocol, reals, fakes)
        self.reference = reference
        for kind in ("real", "fake"):
            empty = Moments.empty(dim)
            for part, value in (("count", empty.count), ("total", empty.total), ("outer", empty.outer)):
                self.add_state(f"{kind}_{part}", value, dist_reduce_fx="sum")

    def update(self, features: Tensor, real: bool) -> None:
        """Features (N, D) of real or of generated pictures."""
        kind = "real" if real else "fake"
        total = self._moments(kind) + Moments.of(self.new(features, kind))
        for part in ("count", "total", "outer"):
            setattr(self, f"{kind}_{part}", getattr(total, part))

    def compute(self) -> Result:
        real = self.reference or self._moments("real").gaussian()
        fake = self._moments("fake").gaussian()
        protocol = {**self.protocol, "reals": real.count, "fakes": fake.count}
        return Result(real.distance(fake), None, protocol)

    def _moments(self, kind: str) -> Moments:
        return Moments(*(getattr(self, f"{kind}_{part}") for part in ("count", "total", "outer")))


class _Kept(Counted):
    """Keeps features of both kinds, of each at most `most`: for numbers that compare samples with one another.

    Which ones is decided by what is in them, as if at random, so that it depends neither on batches nor on processes.
    """

    real: list[Tensor]
    fake: list[Tensor]

    def __init__(
        self,
        protocol: Mapping[str, Any] | None = None,
        reals: int | None = None,
        fakes: int | None = None,
        most: int | None = None,
    ) -> None:
        super().__init__(protocol, reals, fakes)
        self.most = most
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("fake", [], dist_reduce_fx="cat")

    def update(self, features: Tensor, real: bool) -> None:
        """Features (N, D) of real or of generated pictures."""
        kind = "real" if real else "fake"
        kept = [*getattr(self, kind), self.new(features, kind)]
        if self.most is not None and sum(map(len, kept)) > 2 * self.most:
            kept = [shuffled(torch.cat(kept), self.most)]
        setattr(self, kind, kept)

    def compute(self) -> Any:
        real, fake = (shuffled(dim_zero_cat(rows), self.most) for rows in (self.real, self.fake))
        kept = {} if self.most is None else {"kept": self.most}
        return self.measure(real, fake, {**self.protocol, "reals": len(real), "fakes": len(fake), **kept})

    @abstractmethod
    def measure(self, real: Tensor, fake: Tensor, protocol: dict[str, Any]) -> Any:
        """The result, from features of all processes in an order that does not depend on how they came."""


class KernelDistance(_Kept):
    """KID over random subsets; with fewer samples than `subset_size`, subsets of half of what there is."""

    def __init__(
        self,
        subsets: int = 100,
        subset_size: int = 1000,
        seed: int = 0,
        protocol: Mapping[str, Any] | None = None,
        **counts: int | None,
    ) -> None:
        super().__init__(protocol, **counts)
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed

    def measure(self, real: Tensor, fake: Tensor, protocol: dict[str, Any]) -> Result:
        fewest = min(len(real), len(fake))
        size = self.subset_size if fewest >= self.subset_size else max(2, fewest // 2)
        mean, deviation = kid(real, fake, self.subsets, size, torch.Generator().manual_seed(self.seed))
        return Result(mean, deviation, {**protocol, "subsets": self.subsets, "subset_size": size, "seed": self.seed})


class MeanDiscrepancy(_Kept):
    """CMMD, if the features are CLIP's."""

    def measure(self, real: Tensor, fake: Tensor, protocol: dict[str, Any]) -> Result:
        return Result(*cmmd(real, fake), protocol)


class PrecisionRecall(_Kept):
    """Precision, recall, density and coverage as a dictionary of results."""

    def __init__(self, k: int = 5, protocol: Mapping[str, Any] | None = None, **counts: int | None) -> None:
        super().__init__(protocol, **counts)
        self.k = k

    def measure(self, real: Tensor, fake: Tensor, protocol: dict[str, Any]) -> dict[str, Result]:
        parts = members(real, fake, self.k)._asdict()
        stamp = {**protocol, "k": self.k}
        return {name: Result(float(part.mean()), standard_error(part), stamp) for name, part in parts.items()}


class Bins(_Kept):
    """NDB / K and the JS divergence over bins of the reals as a dictionary of results."""

    def __init__(
        self, bins: int = BINS, seed: int = 0, protocol: Mapping[str, Any] | None = None, **counts: int | None
    ) -> None:
        super().__init__(protocol, **counts)
        self.bins, self.seed = bins, seed

    def measure(self, real: Tensor, fake: Tensor, protocol: dict[str, Any]) -> dict[str, Result]:
        found = bin_report(real, fake, self.bins, LEVEL, torch.Generator().manual_seed(self.seed))
        protocol |= {"bins": found.bins, "level": LEVEL, "seed": self.seed}
        return {"ndb": Result(found.different, None, protocol), "bin_js": Result(found.js, found.js_spread, protocol)}


class VendiScore(_Kept):
    """The effective number of different fakes."""

    def measure(self, real: Tensor, fake: Tensor, protocol: dict[str, Any]) -> Result:
        return Result(vendi(fake), jackknife(vendi, fake), protocol)


class Copies(_Kept):
    """How often fakes lie nearer to training pictures, the reals here, than those to one another."""

    def measure(self, real: Tensor, fake: Tensor, protocol: dict[str, Any]) -> Result:
        found = copying(fake, real)
        return Result(found.probability, found.spread, protocol)


class InceptionScore(Counted):
    """Inception score of generated pictures, from their class logits (N, K)."""

    logits: list[Tensor]

    def __init__(
        self,
        splits: int = 10,
        seed: int = 0,
        protocol: Mapping[str, Any] | None = None,
        fakes: int | None = None,
    ) -> None:
        super().__init__(protocol, None, fakes)
        self.splits, self.seed = splits, seed
        self.add_state("logits", [], dist_reduce_fx="cat")

    def update(self, logits: Tensor) -> None:
        self.logits.append(self.new(logits, "fake"))

    def compute(self) -> Result:
        logits = shuffled(dim_zero_cat(self.logits))
        mean, deviation = inception_score(logits, self.splits, torch.Generator().manual_seed(self.seed))
        protocol = {**self.protocol, "fakes": len(logits), "splits": self.splits, "seed": self.seed}
        return Result(mean, deviation, protocol)


def shuffled(rows: Tensor, most: int | None = None) -> Tensor:
    """Rows (N, D) in an order that is as good as random and depends on their content alone; at most the first `most`.

    They are sorted by a hash of their float32 bits, in integers, which add up to the same in any order.
    """
    bits = rows.detach().float().contiguous().view(torch.int32).long()
    random = torch.Generator().manual_seed(0)
    factors = torch.randint(-(2**62), 2**62, (rows.shape[1],), generator=random).to(rows.device) | 1
    keys = (bits * factors).sum(1)
    keys = (keys ^ (keys >> 29)) * 0x2545F4914F6CDD1D
    return rows[keys.sort(stable=True).indices[:most]]
