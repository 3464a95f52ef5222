"""Two processes lend each other layers. The tests start this very file twice."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

from ganlab.core.finite import is_finite
from ganlab.core.lending import Lending
from ganlab.core.reducer import Reducer, owned_buckets
from ganlab.processes import average_across_processes
from tests.two_processes import found_by_two


class Odd(nn.Module):
    """Weights of its own beside those of parts, a weight that two parts share, a part called twice, and a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.second.weight = self.first.weight
        self.empty = nn.Parameter(torch.zeros(0))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        seen = self.attention(x[:, None], x[:, None], x[:, None])[0][:, 0]
        return {"odd": self.first(self.second(self.first(seen) * self.scale).tanh())}


class Unknown:
    """An object that hides its tensor."""

    def __init__(self, x: Tensor) -> None:
        self.x = x


class Hiding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(8, 8))

    def forward(self, x: Tensor) -> Unknown:
        return Unknown(linear(x, self.weight))


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 8, 1), nn.Flatten(2), nn.GELU())
        self.odd, self.hiding, self.end = Odd(), Hiding(), nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.hiding(self.odd(self.body(x).mean(2))["odd"]).x)


def made() -> Network:
    torch.manual_seed(0)
    return Network().to(memory_format=torch.channels_last)


def bytes_of(network: nn.Module) -> int:
    return sum(each.untyped_storage().nbytes() for each in network.parameters())


def backward(network: nn.Module, batch: Tensor, penalized: bool) -> None:
    loss = softplus(network(batch)).mean()
    if penalized:
        seen = batch.clone().requires_grad_()
        (slope,) = torch.autograd.grad(network(seen).sum(), seen, create_graph=True)
        loss = loss + slope.square().sum()
    loss.backward()


@torch.no_grad()
def finite_with_nan_in(weight: Tensor, network: nn.Module) -> bool:
    """Whether the network is found finite while the weight is NaN, where it is."""
    if not weight.untyped_storage().nbytes():
        return is_finite(network)
    before = weight.clone()
    weight.fill_(torch.nan)
    answer = is_finite(network)
    weight.copy_(before)
    return answer


def turns(lending: Lending, lent: nn.Module, plain: nn.Module, batch: Tensor) -> dict[str, Any]:
    """The own gradients' largest difference from averaged ones, the norms of all, and the bytes that stay."""
    reducer = Reducer(owned_buckets(list(lent.parameters()), lending.owner))
    found: dict[str, Any] = {}
    for kind in ("plain", "penalty"):
        backward(plain, batch, kind == "penalty")
        means = {name: each.grad for name, each in plain.named_parameters() if each.grad is not None}
        average_across_processes(means.values())
        if kind == "penalty":
            lending.hold([lent])
        reducer.arm()
        backward(lent, batch, kind == "penalty")
        reducer.finish()
        lending.drop()
        own = {name: each.grad for name, each in lent.named_parameters() if each.grad is not None}
        norms = lending.gradient_norm(list(lent.parameters())), nn.utils.get_total_norm(means.values())
        apart = {name: float((grad - means[name]).abs().max()) for name, grad in own.items() if grad.numel()}
        found[kind] = {"apart": apart, "norms": [float(norm) for norm in norms], "after": bytes_of(lent)}
        plain.zero_grad()
        lent.zero_grad()
    reducer.remove()
    return found


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    rank = int(os.environ["LOCAL_RANK"])
    dist.init_process_group("gloo", rank=rank, world_size=2)
    plain, lent = made(), made()
    lending = Lending([lent])
    found: dict[str, Any] = {"whole": bytes_of(lent)}
    lending.start()
    found["share"] = bytes_of(lent)
    batch = torch.randn(6, 1, 4, 4, generator=torch.Generator().manual_seed(rank))
    found |= turns(lending, lent, plain, batch)
    with torch.no_grad():
        found["equal"] = torch.equal(lent(batch), plain(batch))
        found["without a graph"] = bytes_of(lent)
        with lending.whole():
            found["inside"] = bytes_of(lent)
            if rank == 0:  # alone
                found["alone"] = torch.equal(lent(batch), plain(batch))
    found["behind"] = bytes_of(lent)
    try:
        [linear(torch.ones(1, 8), weight) for weight in (lent.odd.first.weight, lent.hiding.weight)]
    except RuntimeError as error:
        found["error"] = str(error)
    found["finite"] = [is_finite(lent), finite_with_nan_in(lent.end.weight, lent)]
    lending.stop()
    found["stopped"] = [bytes_of(lent), all(map(torch.equal, lent.parameters(), plain.parameters()))]
    torch.save(found, folder / f"{rank}.pt")
    dist.destroy_process_group()


# The tests -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> list[dict[str, Any]]:
    return found_by_two(__file__, tmp_path_factory.mktemp("lent"), free_port())


def test_each_weight_is_on_one_process(ranks: list[dict[str, Any]]) -> None:
    """Also after passes: with a graph, without one, and with a graph that is differentiated twice."""
    shares = [rank["share"] for rank in ranks]
    assert sum(shares) == ranks[0]["whole"] and min(shares) > 0.3 * ranks[0]["whole"]
    for rank in ranks:
        assert {rank["plain"]["after"], rank["penalty"]["after"]} == {rank["share"]}
        assert {rank["without a graph"], rank["behind"]} == {rank["share"]}


@pytest.mark.parametrize("kind", ["plain", "penalty"])
def test_gradients_are_the_means_and_on_the_owner_alone(ranks: list[dict[str, Any]], kind: str) -> None:
    first, second = (rank[kind]["apart"] for rank in ranks)
    assert not first.keys() & second.keys()
    assert {*first, *second} == {name for name, each in made().named_parameters() if each.numel()}
    assert max(*first.values(), *second.values()) < 1e-7
    for rank in ranks:
        assert rank[kind]["norms"][0] == pytest.approx(rank[kind]["norms"][1], rel=1e-6)


def test_one_process_runs_whole_networks_alone(ranks: list[dict[str, Any]]) -> None:
    assert ranks[0]["alone"] and all(rank["equal"] for rank in ranks)
    assert [rank["inside"] for rank in ranks] == [ranks[0]["whole"]] * 2


def test_a_weight_that_is_not_here_is_an_error(ranks: list[dict[str, Any]]) -> None:
    assert any("out of bounds for storage of size 0" in rank.get("error", "") for rank in ranks)


def test_only_the_owner_of_a_broken_weight_finds_it(ranks: list[dict[str, Any]]) -> None:
    assert [rank["finite"][0] for rank in ranks] == [True, True]
    assert sorted(rank["finite"][1] for rank in ranks) == [False, True]


def test_in_the_end_everything_is_everywhere(ranks: list[dict[str, Any]]) -> None:
    assert [rank["stopped"] for rank in ranks] == [[ranks[0]["whole"], True]] * 2


def test_nothing_is_lent_by_default() -> None:
    lending, network = Lending(), made()
    tensors: list[Tensor] = list(network.parameters())
    with lending.whole():
        lending.hold([network])
    lending.drop()
    assert lending.own(tensors) is tensors and bytes_of(network) > 0


if __name__ == "__main__":
    main(Path(sys.argv[1]))
