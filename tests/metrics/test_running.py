"""Metrics that gather batch by batch give what the functions give, in any order and on any number of processes."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist

from ganlab.metrics.fidelity import manifold
from ganlab.metrics.moments import Moments, frechet_distance_of_sets
from ganlab.metrics.result import Result
from ganlab.metrics.running import FrechetDistance, InceptionScore, KernelDistance, PrecisionRecall

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


@pytest.mark.parametrize("make", [lambda: KernelDistance(10, 50), PrecisionRecall])
def test_order_and_batches_change_nothing(make):
    shuffled = features(1)[torch.randperm(101, generator=torch.Generator().manual_seed(5))]
    first = fill(make(), features(0), features(1), 101).compute()
    assert fill(make(), features(0).flip(0), shuffled, 13).compute() == first


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


def measured(rows: slice) -> list:
    metrics = FrechetDistance(6), KernelDistance(10, 50), PrecisionRecall()
    return [fill(metric, features(0)[rows], features(1)[rows], 16).compute() for metric in metrics]


def one_of_two(rank: int, folder: Path) -> None:
    """What each process of the test below runs: 60 samples on the first, 41 on the second."""
    dist.init_process_group("gloo", f"file://{folder / 'meet'}", rank=rank, world_size=2)
    found = measured((slice(0, 60), slice(60, 101))[rank])
    (folder / f"{rank}").write_bytes(pickle.dumps(found))
    dist.destroy_process_group()


def test_two_processes_count_like_one(tmp_path):
    """60 and 41 samples on two processes are the 101 of one."""
    processes = [subprocess.Popen([sys.executable, __file__, str(rank), str(tmp_path)]) for rank in (0, 1)]
    assert [process.wait(60) for process in processes] == [0, 0]
    one = measured(slice(0, 101))
    for rank in (0, 1):
        both = pickle.loads((tmp_path / f"{rank}").read_bytes())
        assert both[0].value == pytest.approx(one[0].value, rel=1e-9) and both[0].protocol == one[0].protocol
        assert both[1:] == one[1:]


if __name__ == "__main__":
    one_of_two(int(sys.argv[1]), Path(sys.argv[2]))
