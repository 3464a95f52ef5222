"""Numbers whose work is divided among processes are those of one process, for any number of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganlab.metrics import copying as of_copying
from ganlab.metrics import fidelity
from ganlab.metrics.copying import copying, twins
from ganlab.metrics.fidelity import members, neighbour_distances
from ganlab.metrics.frechet import POINTS, frechet_infinity
from ganlab.metrics.gathering import Sample
from ganlab.metrics.kernels import cmmd, kid
from ganlab.processes import Divide, Work, alone, divided


def random(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(count: int, seed: int) -> Tensor:
    return torch.randn(count, 16, generator=random(seed))


def among(world: int) -> Divide:
    """The shares of `world` processes, one after the other, put together as `divided` does."""

    def divide(count: int, work: Work) -> Tensor:
        parts = [work(slice(rank, count, world)) for rank in range(world)]
        found = torch.full((count, *parts[0].shape[1:]), torch.nan, dtype=parts[0].dtype)
        for rank, part in enumerate(parts):
            found[rank::world] = part
        return found

    return divide


@pytest.mark.parametrize("world", [1, 2, 3, 70])
def test_memberships_do_not_depend_on_who_computes_them(world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 70 processes some have no row of 60. Chunks of 16 rows, so that there are several."""
    monkeypatch.setattr(fidelity, "CHUNK", 16)
    real, fake = normal(60, 0), normal(90, 1) * 0.8
    expected, found = members(real, fake), members(real, fake, divide=among(world))
    assert all(part.mean() > 0 for part in expected)
    assert all(map(torch.equal, found, expected))


@pytest.mark.parametrize("world", [2, 70])
def test_distances_to_neighbours_do_not_depend_on_it(world: int) -> None:
    torch.testing.assert_close(
        neighbour_distances(normal(60, 0), 3, among(world)), neighbour_distances(normal(60, 0), 3)
    )


@pytest.mark.parametrize("world", [2, 3, 70])
def test_copies_and_twins_do_not_depend_on_it(world: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the samples are near a training picture, and a quarter come twice. Chunks of 16 rows."""
    for module in (fidelity, of_copying):
        monkeypatch.setattr(module, "CHUNK", 16)
    train, fresh = normal(90, 0), normal(40, 1)
    fake = torch.cat([fresh, fresh[:10] + 1e-4, train[:20] + 0.01])
    assert vars(copying(fake, train, among(world))) == pytest.approx(vars(copying(fake, train)), rel=1e-12)
    expected, found = twins(train, fake), twins(train, fake, among(world))
    assert expected.fake.sum() == 20 and not expected.real.any()
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("world", [2, 3, 70])
def test_means_of_kernels_do_not_depend_on_it(world: int) -> None:
    real, fake = normal(60, 0), normal(90, 1) + 0.5
    assert cmmd(real, fake, among(world)) == pytest.approx(cmmd(real, fake), rel=1e-12)


@pytest.mark.parametrize("world", [2, 3, 12])
def test_subsets_do_not_depend_on_it(world: int) -> None:
    """Bit for bit, because each subset is drawn by every process, and computed by one."""
    real, fake = normal(200, 0), normal(300, 1) + 0.1
    assert kid(real, fake, 10, 50, random(2), among(world)) == kid(real, fake, 10, 50, random(2))
    sides = Sample.of(real), Sample.of(fake)
    assert frechet_infinity(*sides, random(2), among(world)) == frechet_infinity(*sides, random(2))


def test_one_process_does_all_the_work() -> None:
    """Without other processes `divided` is `alone`."""
    counted: list[int] = []

    def work(which: slice) -> Tensor:
        counted.append(len(range(POINTS)[which]))
        return torch.arange(POINTS)[which]

    divide: Callable[[int, Work], Tensor]
    for divide in (alone, divided):
        assert divide(POINTS, work).tolist() == list(range(POINTS))
    assert counted == [POINTS, POINTS]
