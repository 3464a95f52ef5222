"""Metrics that gather batch by batch give what the functions give, in any order and on any number of processes."""

import itertools
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from ganlab.metrics.fidelity import manifold
from ganlab.metrics.moments import Moments, frechet_distance_of_sets
from ganlab.metrics.result import Result
from ganlab.metrics.running import (
    Bins,
    Copies,
    FrechetDistance,
    InceptionScore,
    KernelDistance,
    MeanDiscrepancy,
    PrecisionRecall,
    VendiScore,
    shuffled,
)

PROTOCOL = {"extractor": "none"}


def features(seed: int, count: int = 101) -> torch.Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed)) + 0.2 * seed


def fill(metric, reals: torch.Tensor, fakes: torch.Tensor, size: int):
    for real, rows in ((True, reals), (False, fakes)):
        for part in rows.split(size):
            metric.update(part, real=real)
    return metric


def test_frechet_distance_is_the_functions_in_any_batches():
    reals, fakes = features(0), features(1)
    for size in (7, 101):
        found = fill(FrechetDistance(6, PROTOCOL), reals, fakes.flip(0), size).compute()
        assert found.value == pytest.approx(frechet_distance_of_sets(reals, fakes), rel=1e-9)
        assert found.protocol == {"extractor": "none", "reals": 101, "fakes": 101} and found.spread is None


def test_a_given_reference_stands_for_the_reals():
    metric = FrechetDistance(6, reference=Moments.of(features(0)).gaussian())
    metric.update(features(1), real=False)
    assert metric.compute().value == pytest.approx(frechet_distance_of_sets(features(0), features(1)), rel=1e-9)


KEPT = [lambda **k: KernelDistance(10, 50, **k), PrecisionRecall, lambda **k: Bins(10, **k)]
KEPT += [MeanDiscrepancy, VendiScore, Copies]


@pytest.mark.parametrize("make", KEPT)
def test_order_and_batches_change_nothing(make):
    shuffled = features(1)[torch.randperm(101, generator=torch.Generator().manual_seed(5))]
    first = fill(make(), features(0), features(1), 101).compute()
    assert fill(make(), features(0).flip(0), shuffled, 13).compute() == first


@pytest.mark.parametrize("make", KEPT)
def test_what_is_kept_of_many_is_the_same_in_any_order_and_batches(make):
    """At most 40 of the 101, whichever way they come; and not simply the first."""
    shuffled_fakes = features(1)[torch.randperm(101, generator=torch.Generator().manual_seed(5))]
    metrics = [make(most=40) for _ in range(2)]
    fill(metrics[0], features(0), features(1), 101)
    fill(metrics[1], features(0).flip(0), shuffled_fakes, 13)
    assert sum(map(len, metrics[1].fake)) <= 80
    found = [metric.compute() for metric in metrics]
    assert found[0] == found[1] and found[0] != fill(make(), features(0), features(1), 101).compute()


def test_an_order_of_content_alone():
    x = features(0)
    assert torch.equal(shuffled(x.flip(0)), shuffled(x)) and not torch.equal(shuffled(x), x)
    assert sorted(shuffled(x)[:, 0].tolist()) == sorted(x[:, 0].tolist())
    above = (shuffled(x)[:50].sum() - shuffled(x)[51:].sum()).abs()
    assert above < 5 * (2 * 300) ** 0.5  # no half is larger: sums of 300 standard normal numbers each


def test_kernel_distance_says_the_subsets_it_took():
    found = fill(KernelDistance(10, 1000), features(0), features(1), 50).compute()
    assert found.protocol["subset_size"] == 50 and found.spread is not None and found.spread > 0


def test_precision_recall_names_four_numbers():
    found = fill(PrecisionRecall(3), features(0), features(1), 50).compute()
    values = {name: one.value for name, one in found.items()}
    assert values == pytest.approx(manifold(features(0), features(1), 3)._asdict(), rel=1e-12)
    assert found["recall"].protocol == {"reals": 101, "fakes": 101, "k": 3}


def test_inception_score_does_not_depend_on_order():
    metrics = InceptionScore(splits=4), InceptionScore(splits=4)
    metrics[0].update(features(0))
    for part in features(0).flip(0).split(9):
        metrics[1].update(part)
    assert metrics[0].compute() == metrics[1].compute()


def test_results_that_do_not_compare_say_why():
    first, second = Result(1.0, 0.1, {"extractor": "small", "reals": 5}), Result(1.0, None, {"extractor": "inception"})
    assert first.differs(second) == ["extractor", "reals"] and first.differs(first) == []
    assert str(first) == "1 ± 0.1" and str(second) == "1"


ROWS = 1001
BATCH = 64


class Tabled(Dataset):
    """Row i of each kind's features."""

    def __init__(self) -> None:
        self.reals, self.fakes = features(0, ROWS), features(1, ROWS)

    def __len__(self) -> int:
        return ROWS

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return self.reals[row], self.fakes[row]


def every_metric() -> list:
    """As in the tests above, told how many there are of each kind; the first keep sums and single answers."""
    both = {"reals": ROWS, "fakes": ROWS}
    kept = [KernelDistance(10, 50, **both), PrecisionRecall(**both), Bins(10, **both), MeanDiscrepancy(**both)]
    return [FrechetDistance(6, **both), InceptionScore(4, fakes=ROWS), *kept]


def measured(loader: DataLoader, metrics: list) -> list:
    for reals, fakes in loader:
        for metric in metrics:
            if isinstance(metric, InceptionScore):
                metric.update(fakes)
            else:
                metric.update(reals, real=True)
                metric.update(fakes, real=False)
    return [metric.compute() for metric in metrics]


def one_of_two(rank: int, folder: Path) -> None:
    """What each process of the test below runs, with torch's own distributed sampler."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder / 'meet'}", rank=rank, world_size=2)
    data = Tabled()
    for name, shuffle, some in (("plain", False, 2), ("shuffled", True, 6)):
        loader = DataLoader(data, BATCH, sampler=DistributedSampler(data, shuffle=shuffle))
        (folder / f"{name}{rank}").write_bytes(pickle.dumps(measured(loader, every_metric()[:some])))
    (folder / f"untold{rank}").write_bytes(pickle.dumps(measured(loader, [FrechetDistance(6)])))
    dist.destroy_process_group()


def test_1001_samples_on_two_processes_are_1001(tmp_path):
    """The sampler gives each process 501 and repeats one for that: 1,002, of which a metric that is told counts 1,001.

    Sums are then equal to rounding, and what keeps features has the very same ones, in the same order.
    """
    processes = [subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)]) for rank in (0, 1)]
    assert [process.wait(120) for process in processes] == [0, 0]
    alone = measured(DataLoader(Tabled(), BATCH), every_metric())
    assert alone[0].protocol["fakes"] == ROWS
    for name, rank in itertools.product(("plain", "shuffled"), (0, 1)):
        both = pickle.loads((tmp_path / f"{name}{rank}").read_bytes())
        assert both[0].value == pytest.approx(alone[0].value, rel=1e-9) and both[0].protocol == alone[0].protocol
        assert both[1:] == alone[1 : len(both)]
    untold = pickle.loads((tmp_path / "untold0").read_bytes())
    assert untold[0].protocol["reals"] == untold[0].protocol["fakes"] == 1002


if __name__ == "__main__":
    one_of_two(int(sys.argv[1]), Path(sys.argv[2]))
