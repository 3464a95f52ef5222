"""The same pictures and the same weights give what torch-fidelity, torchmetrics and scipy say.

Inception is initialised at random, saved, and read by all.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor, nn
from torch.utils.data import Dataset
from torch_fidelity import calculate_metrics
from torchmetrics.image.fid import FrechetInceptionDistance

from ganlab.metrics.fidelity import inception_score, members
from ganlab.metrics.frechet import frechet
from ganlab.metrics.gathering import Sample
from ganlab.metrics.inception import Inception
from ganlab.metrics.kernels import kernel_distance
from ganlab.metrics.moments import Moments, frechet_distance_of_sets

COUNT = 10
FLOAT32 = 2e-6
"""KID is a small difference of mean kernels of about 2.3, and torch-fidelity has these in float32: four steps of it."""
NAMES = {"fid": "frechet_inception_distance", "kid": "kernel_inception_distance_mean", "is": "inception_score_mean"}


class Uint8(Dataset):
    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, row: int) -> Tensor:
        return self.images[row]


def pictures(seed: int, contrast: float) -> Tensor:
    """Smooth random pictures, 32 x 32: noise alone would look the same everywhere."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.randn(COUNT, 3, 4, 4, generator=random) * contrast + 0.7 * seed
    fine = nn.functional.interpolate(coarse, (32, 32), mode="bicubic") * 60 + 128
    return (fine + 8 * torch.randn(COUNT, 3, 32, 32, generator=random)).clamp(0, 255).to(torch.uint8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    benchmarks = Path(__file__).parents[2] / "benchmarks"
    save = runpy.run_path(str(benchmarks / "random_inception.py"))["save"]
    return save(tmp_path_factory.mktemp("weights") / "inception.pth")


@pytest.fixture(scope="module")
def both() -> tuple[Tensor, Tensor]:
    """Real and generated pictures."""
    return pictures(0, 1.0), pictures(1, 0.5)


@pytest.fixture(scope="module")
def seen(weights: Path, both: tuple[Tensor, Tensor]) -> dict[str, tuple[tuple[Tensor, Tensor], ...]]:
    """By resizer, features and logits of both kinds by our Inception."""
    return {way: tuple(map(Inception(weights, way).both, both)) for way in ("tf1", "antialias")}


@pytest.fixture(scope="module")
def theirs(weights: Path, both: tuple[Tensor, Tensor]) -> dict[str, float]:
    """torch-fidelity's numbers: KID of everything at once, IS of one split, precision and recall with k = 3."""
    settings = {
        "cuda": False,
        "isc": True,
        "fid": True,
        "kid": True,
        "prc": True,
        "verbose": False,
        "save_cpu_ram": True,
        "feature_extractor": "inception-v3-compat",
        "feature_extractor_weights_path": str(weights),
        "kid_subsets": 1,
        "kid_subset_size": COUNT,
        "isc_splits": 1,
        "batch_size": 8,
        "cache": False,
    }
    return calculate_metrics(input1=Uint8(both[1]), input2=Uint8(both[0]), **settings)


def test_torch_fidelity(seen, theirs):
    (real, _), (fake, logits) = seen["tf1"]
    assert frechet(Sample.of(real), Sample.of(fake)).value == pytest.approx(theirs[NAMES["fid"]], rel=1e-4)
    assert kernel_distance(real, fake) == pytest.approx(theirs[NAMES["kid"]], abs=FLOAT32)
    assert inception_score(logits, 1)[0] == pytest.approx(theirs[NAMES["is"]], rel=1e-4)
    precision, recall = (part.mean().item() for part in members(real, fake, 3)[:2])
    assert (precision, recall) == pytest.approx((theirs["precision"], theirs["recall"]), rel=1e-4)
    assert 0 < precision < 1 or 0 < recall < 1  # else any mistake would pass


@pytest.mark.parametrize("antialias", [True, False])
def test_torchmetrics(weights, both, seen, antialias: bool):
    metric = FrechetInceptionDistance(feature_extractor_weights_path=str(weights), antialias=antialias)
    for images, real in zip(both, (True, False), strict=True):
        metric.update(images, real=real)
    assert fid(seen["antialias" if antialias else "tf1"]) == pytest.approx(float(metric.compute()), rel=1e-4)


def fid(sides: tuple[tuple[Tensor, Tensor], ...]) -> float:
    return frechet_distance_of_sets(sides[0][0], sides[1][0])


def test_the_resizers_do_not_say_the_same(weights, seen):
    """Or neither of the tests above could tell which was used; and each has a name of its own."""
    assert abs(fid(seen["antialias"]) / fid(seen["tf1"]) - 1) > 1e-3
    names = [Inception(weights, way).metric("fid") for way in ("tf1", "antialias", "pil-bicubic")]
    assert names == ["fid_inception_tf1", "fid_inception_antialias", "fid_inception_pil-bicubic"]


def test_bfloat16_says_so_and_stays_near(weights, both, seen):
    fast = Inception(weights, precision="bfloat16")
    assert fast.protocol["precision"] == "bfloat16" and "precision" not in Inception(weights).protocol
    assert fid(tuple(map(fast.both, both))) == pytest.approx(fid(seen["tf1"]), rel=0.01)


def test_identical_sets_are_at_no_distance(seen):
    real = seen["tf1"][0][0]
    assert abs(frechet(Sample.of(real), Sample.of(real.flip(0))).value) < 1e-6


def sqrtm_distance(x: Tensor, y: Tensor) -> float:
    means, covariances = [z.mean(0).numpy() for z in (x, y)], [np.cov(z.numpy(), rowvar=False) for z in (x, y)]
    root = scipy.linalg.sqrtm(covariances[0] @ covariances[1])
    return ((means[0] - means[1]) ** 2).sum() + np.trace(covariances[0] + covariances[1] - 2 * root.real)


@pytest.mark.parametrize(("reals", "fakes"), [(300, 200), (300, 30), (30, 300)])
def test_scipy_in_float64(reals: int, fakes: int):
    """Above and below the number of features, 24, plus a little noise so that sqrtm can be trusted."""
    random = torch.Generator().manual_seed(0)
    mix = torch.randn(24, 24, generator=random, dtype=torch.float64)
    x = torch.randn(reals, 24, generator=random, dtype=torch.float64) @ mix
    y = torch.randn(fakes, 24, generator=random, dtype=torch.float64) @ mix.T + 0.3
    expected = sqrtm_distance(x, y)
    assert frechet_distance_of_sets(x, y) == pytest.approx(expected, rel=1e-8)
    assert frechet(Sample.of(x), Sample.of(y)).value == pytest.approx(expected, rel=1e-8)
    assert Moments.of(x).gaussian().distance(Moments.of(y).gaussian()) == pytest.approx(expected, rel=1e-8)
