"""LPIPS of pairs, with a backbone initialised at random where torchvision looks for its weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchvision.models import squeezenet1_1

from ganlab.metrics.lpips import BACKBONES, for_lpips, pairwise_lpips, random_pairs
from ganlab.networks.weights import UnavailableError


@pytest.fixture
def squeeze(hub: Path) -> Path:
    torch.manual_seed(0)
    BACKBONES["squeeze"].path.parent.mkdir()
    torch.save(squeezenet1_1().state_dict(), BACKBONES["squeeze"].path)
    return hub


def looks(count: int, side: int = 32, channels: int = 3) -> torch.Tensor:
    shape = (count, channels, side, side)
    return for_lpips(torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8))


def random() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def test_pictures_of_any_size_and_colour_become_alike():
    assert looks(2).shape == looks(2, 100, 1).shape == (2, 3, 64, 64)
    assert -1 <= looks(2).min() < -0.5 and 0.5 < looks(2).max() <= 1


def test_copies_are_at_no_distance_and_others_are(squeeze: Path):
    assert pairwise_lpips(looks(1).expand(4, -1, -1, -1), 10, "squeeze").value == pytest.approx(0, abs=1e-7)
    found = pairwise_lpips(looks(6), 40, "squeeze", random())
    assert found.value > 0 and found.spread is not None and 0 < found.spread < found.value


def test_pairs_are_of_two_and_seeded(squeeze: Path):
    pairs = random_pairs(3, 500, random())
    assert (pairs[:, 0] != pairs[:, 1]).all() and pairs.unique().tolist() == [0, 1, 2]
    values = [pairwise_lpips(looks(6), 10, "squeeze", random()).value for _ in range(2)]
    assert values[0] == values[1]
    with pytest.raises(ValueError, match="a pair needs 2"):
        random_pairs(1, 5)


def test_without_weights_it_says_so(hub: Path):
    with pytest.raises(UnavailableError, match=r"no LPIPS \(alex\) weights here, and GANLAB_OFFLINE"):
        pairwise_lpips(looks(2))
