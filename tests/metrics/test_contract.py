"""What each registered metric promises, checked for all of them: a new metric is checked as soon as its file is there.

Run as a script, this file is one of the two processes of a test below.
"""

from __future__ import annotations

import importlib
import inspect
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

import ganlab.metrics
from ganlab.data.base import Modes
from ganlab.data.drawing import draw, lay_out
from ganlab.data.pictures import Pictures
from ganlab.data.scenes import parse
from ganlab.data.shapes import ShapesData
from ganlab.evaluation.evaluator import real_side
from ganlab.evaluation.sources import labels_of
from ganlab.metrics import r_precision
from ganlab.metrics.features import Small
from ganlab.metrics.lpips import BACKBONES, NET
from ganlab.metrics.matching import train_matcher
from ganlab.metrics.metric import Better, Metric, Samples, Target
from ganlab.metrics.registry import candidates, entries, lines, names
from ganlab.metrics.result import Result
from ganlab.networks.weights import UnavailableError

COUNT = 121  # samples: two processes get unequal parts
KINDS = [kind for name in names() for kind in candidates(name)]


# What is measured ------------------------------------------------------------------------------------------------


@dataclass
class World:
    """Data, and samples of a good generator and of a bad one: its few different pictures are blurred."""

    target: Target

    def good(self, one: Target) -> Tensor:
        """Draw the scenes of the captions anew."""
        scenes = [parse(caption) for caption in one.captions(torch.arange(one.count))]
        return torch.from_numpy(draw(lay_out(scenes, np.random.default_rng(7)), 32))

    def bad(self, one: Target) -> Tensor:
        """Blur three of the good pictures, and repeat them."""
        blurred = F.interpolate(F.adaptive_avg_pool2d(self.good(one)[:3].float(), 2), 32, mode="bilinear")
        return blurred.to(torch.uint8)[torch.arange(one.count) % 3]


class Copier(World):
    """A bad generator that copies training pictures."""

    def bad(self, one: Target) -> Tensor:
        assert one.train is not None
        return one.train.get(np.arange(one.count))


class Pairs(World):
    """Each sample has a picture that it should be."""

    def good(self, one: Target) -> Tensor:
        noise = torch.randint(-4, 5, (one.count, 3, 32, 32), generator=torch.Generator().manual_seed(0))
        return (one.truth(torch.arange(one.count)).int() + noise).clamp(0, 255).to(torch.uint8)


class Ring(World):
    """Points of eight modes; the bad generator knows one, and misses it half of the time."""

    def good(self, one: Target) -> Tensor:
        return one.truth(torch.arange(one.count))

    def bad(self, one: Target) -> Tensor:
        return torch.tensor([[1.0, 0.0], [3.0, 3.0]])[torch.arange(one.count) % 2]


class Stacked(World):
    """Stacks of written digits; the bad generator knows one."""

    def good(self, one: Target) -> Tensor:
        return one.truth(torch.arange(one.count))

    def bad(self, one: Target) -> Tensor:
        return self.good(one)[:1].expand(one.count, -1, -1, -1)


def by_colour(pictures: Pictures) -> Pictures:
    """Return pictures that show the same if their first things have one colour: several of each."""
    captions = list(pictures.condition or [])
    return Pictures(pictures.images, captions, [parse(str(caption)).things[0].colour for caption in captions])


def digit(number: int) -> Tensor:
    """Return a digit as Pillow writes it: uint8 (32, 32)."""
    image = Image.new("L", (32, 32))
    ImageDraw.Draw(image).text((16, 16), str(number), fill=255, font=ImageFont.load_default(24), anchor="mm")
    return torch.from_numpy(np.array(image))


@cache
def worlds() -> list[World]:
    data = ShapesData(count=2 * COUNT, held_out_count=COUNT)
    data.setup()
    real, train = by_colour(data.reference), by_colour(data.train)
    shown = Target(COUNT, split="reference", pictures=real, train=train, kind="text", checkable=data.checkable)
    shown = replace(shown, make_real=cache(lambda: real_side(Small(), shown)))
    images = torch.from_numpy(np.array(real.images))
    pairs = Target(COUNT, split="reference", pictures=Pictures(images, images), kind="image")
    angles = torch.arange(8) * torch.pi / 4
    centers = torch.stack([angles.cos(), angles.sin()], 1)
    points = centers.repeat(16, 1) + 0.01 * torch.randn(128, 2, generator=torch.Generator().manual_seed(0))
    ring = Target(COUNT, pictures=Pictures(points), points=True, modes=Modes(centers, 0.01))
    shown_digits = torch.randint(10, (COUNT, 3), generator=torch.Generator().manual_seed(0))
    stacks = Pictures(torch.stack([digit(n) for n in range(10)])[shown_digits])
    digits = Target(COUNT, split="reference", pictures=stacks, digits=3)
    return [Ring(ring), Copier(shown), World(shown), Pairs(pairs), Stacked(digits)]


def world_of(kind: type[Metric]) -> World:
    """Return the world that a metric fits; the one of copies for the metric of copying."""
    fit = [one for one in worlds() if all(need.applies(one.target) for need in kind.needs)]
    special = kind.name == "copying"
    return next(one for one in fit if isinstance(one, Copier) == special)


def measured(
    kind: type[Metric], samples: str = "good", size: int = COUNT, shuffled: bool = False, rank: int = 0, among: int = 1
) -> dict[str, Result]:
    """Feed every `among`-th sample from `rank` on, in batches of `size`, perhaps in another order."""
    world, results = world_of(kind), {}
    for one in kind.targets(world.target):
        images, metric = getattr(world, samples)(one), kind(replace(one))
        places = torch.arange(rank, one.count, among)
        if shuffled:
            places = places[torch.randperm(len(places), generator=torch.Generator().manual_seed(3))]
        for part in places.split(size):
            rows = torch.from_numpy(one.rows)[part]
            metric.update(Samples(images[part], part, labels_of(one.real, rows)))
        metric.synchronize()
        results |= metric.results()
    return results


# Where -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", autouse=True)
def _place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of its own, a matcher that has learned for a short time, LPIPS with random weights, and no net."""
    folder = tmp_path_factory.mktemp("contract")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANLAB_CACHE", str(folder / "cache"))
        patch.setenv("TORCH_HOME", str(folder / "torch"))
        patch.setenv("GANLAB_OFFLINE", "1")
        patch.setattr(r_precision, "train_matcher", partial(train_matcher, steps=40))
        _random_backbone()
        worlds.cache_clear()
        yield
    worlds.cache_clear()


def _random_backbone() -> None:
    from torchvision.models import alexnet

    BACKBONES[NET].path.parent.mkdir(parents=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        torch.save(alexnet().state_dict(), BACKBONES[NET].path)


@pytest.fixture(params=KINDS, ids=lambda kind: f"{kind.name}-{kind.__name__}")
def kind(request: pytest.FixtureRequest) -> type[Metric]:
    """Every registered metric whose weights are on this machine."""
    found: type[Metric] = request.param
    try:
        found(found.targets(world_of(found).target)[0])
    except UnavailableError as error:
        pytest.skip(str(error))
    return found


# What is promised ------------------------------------------------------------------------------------------------


def agree(found: dict[str, Result], expected: dict[str, Result]) -> None:
    """Values to the rounding of convolutions in other batches; protocols exactly."""
    assert found.keys() == expected.keys()
    for name, one in expected.items():
        assert found[name].value == pytest.approx(one.value, rel=1e-4, abs=1e-5), name
        assert found[name].protocol.keys() == one.protocol.keys()
        plain = {key: value for key, value in one.protocol.items() if not isinstance(value, float)}
        assert {key: found[name].protocol[key] for key in plain} == plain


def test_better_is_the_direction_of_improvement(kind: type[Metric]) -> None:
    """Blurred pictures, few of them (copies for `copying`), are worse than fresh drawings of the same scenes."""
    good, bad = measured(kind), measured(kind, "bad")
    world = world_of(kind)
    name = kind.label(kind.targets(world.target)[0], kind.leading())
    assert (good[name].value - bad[name].value) * kind.better.value > 0


def test_neither_order_nor_batches_change_a_number(kind: type[Metric]) -> None:
    agree(measured(kind, size=7, shuffled=True), measured(kind))


def test_samples_that_come_twice_count_once(kind: type[Metric]) -> None:
    """A sampler that pads its list repeats some."""
    (one, *_), world = kind.targets(world_of(kind).target), world_of(kind)
    images, metric = world.good(one), kind(replace(one))
    for part in (torch.arange(one.count), torch.arange(5)):
        metric.update(Samples(images[part], part, labels_of(one.real, torch.from_numpy(one.rows)[part])))
    expected = measured(kind)
    agree(metric.results(), {name: expected[name] for name in metric.results()})


def test_the_protocol_says_how_it_was_measured(kind: type[Metric]) -> None:
    """The seed, the count of samples, the split unless modes are a density's, and the network if there is one."""
    for one in measured(kind).values():
        assert "seed" in one.protocol and one.protocol.keys() & {"fakes", "samples", "images", "captions"}
        assert "split" in one.protocol or world_of(kind).target.points
        assert one.protocol.keys() >= {"extractor", "weights", "resizer"} or "extractor" not in one.protocol
        assert np.isfinite(one.value)


def test_two_processes_find_what_one_finds(tmp_path: Path) -> None:
    """Each takes every second of 121 samples; after `synchronize` both have all, over gloo."""
    here = [sys.executable, "-W", "ignore", __file__]
    processes = [subprocess.Popen([*here, str(rank), str(tmp_path)], env={**os.environ}) for rank in (0, 1)]
    assert [process.wait(400) for process in processes] == [0, 0]
    for rank in (0, 1):
        found = pickle.loads((tmp_path / f"found{rank}").read_bytes())
        assert found.keys() >= {kind.__name__ for kind in KINDS} - {"ClipScore"}
        for kind in KINDS:
            if kind.__name__ in found:
                agree(found[kind.__name__], measured(kind))


def one_of_two(rank: int, folder: Path) -> None:
    """Measure all metrics on this process's part."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder / 'meet'}", rank=rank, world_size=2)
    found = {}
    for kind in KINDS:
        try:
            found[kind.__name__] = measured(kind, size=16, rank=rank, among=2)
        except UnavailableError:
            continue
    (folder / f"found{rank}").write_bytes(pickle.dumps(found))
    dist.destroy_process_group()


def test_the_registry_has_every_concrete_metric() -> None:
    """Read from the sources; found again by importing everything."""
    for file in Path(str(ganlab.metrics.__file__)).parent.glob("*.py"):
        importlib.import_module(f"ganlab.metrics.{file.stem}".removesuffix(".__init__"))

    def below(kind: type[Metric]) -> Iterator[type[Metric]]:
        for one in kind.__subclasses__():
            yield one
            yield from below(one)

    concrete = {one for one in below(Metric) if not inspect.isabstract(one) and one.__module__.startswith("ganlab.")}
    assert {f"{one.__module__}.{one.__name__}" for one in concrete} - {entry.path for entry in entries()} == set()
    for kind in KINDS:
        assert isinstance(kind.better, Better) and kind.needs and lines()[kind.name]


if __name__ == "__main__":
    one_of_two(int(sys.argv[1]), Path(sys.argv[2]))
