"""What several test files share: tiny pictures, a tiny game, a trainer that says nothing."""

from __future__ import annotations

import os
import shutil
import socket
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import nn

from ganlab.core.adversarial import AdversarialModule
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec, GanData
from ganlab.data.pictures import Pictures
from ganlab.networks import dcgan, mlp
from ganlab.networks.architecture import Architecture
from ganlab.objectives import NonSaturating
from ganlab.variants import VanillaGAN


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Tiny networks are fastest, and sums always in the same order, on one thread."""
    torch.set_num_threads(1)


class Noise(GanData):
    """Pictures of noise with as many captions as asked for; without captions, unconditional."""

    def __init__(self, shape: tuple[int, ...] = (1, 16, 16), captions: int = 0, count: int = 40, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.shape, self.captions, self.count = shape, captions, count
        self.reals_per_iteration = 8

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        random = np.random.default_rng(0)
        images = random.integers(0, 256, (self.count, *self.shape), dtype=np.uint8)
        captions = [f"thing {i % self.captions}" for i in range(self.count)] if self.captions else None
        words = ("thing", *(str(i) for i in range(self.captions)))
        said = tuple(dict.fromkeys(captions or ()))
        spec = DataSpec(self.shape, "text" if captions else "none", vocabulary=words, captions=said)
        return Pictures(images, captions), Pictures(images, captions), spec


@pytest.fixture
def noise() -> Callable[..., Noise]:
    """noise(shape=, captions=, count=, workers=, seed=): a data module that is set up."""

    def make(**kwargs: Any) -> Noise:
        data = Noise(**kwargs)
        data.setup()
        return data

    return make


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as torchvision has it, with 30 training and 10 test digits: picture i is a plane of 100 + i, class i."""
    root = tmp_path_factory.mktemp("mnist")
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, count in (("train", 30), ("t10k", 10)):
        images = np.arange(count, dtype=np.uint8)[:, None, None].repeat(28, 1).repeat(28, 2) + 100
        _write_idx(raw / f"{name}-images-idx3-ubyte", images)
        _write_idx(raw / f"{name}-labels-idx1-ubyte", np.arange(count, dtype=np.uint8) % 10)
    return root


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 24 plain pictures of 16 x 16, of three colours, with captions beside them."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(24):
        colour = ("red", "green", "blue")[i % 3]
        pixels = np.full((16, 16, 3), 8 * i, np.uint8)
        pixels[..., i % 3] = 255
        Image.fromarray(pixels).save(folder / f"{i:02d}.png")
        (folder / f"{i:02d}.txt").write_text(f"a {colour} picture")
    return folder


def _write_idx(path: Path, array: np.ndarray) -> None:
    """MNIST's own format: two zero bytes, 8 (unsigned byte), the number of dimensions, the sizes, the bytes."""
    path.write_bytes(struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes())


@pytest.fixture
def sgd() -> Side:
    """A side whose step is its gradient, times a rate."""
    return Side(partial(torch.optim.SGD, lr=0.1))


@pytest.fixture
def adam() -> Side:
    return Side(partial(torch.optim.Adam, lr=1e-2, betas=(0.5, 0.99)))


@pytest.fixture
def vanilla(adam: Side) -> Callable[..., VanillaGAN]:
    """vanilla(...): an unconditional game of 16 x 16 pictures; the networks of `batch_norm`, or of `plain`."""

    def make(seed: int = 0, network: Architecture | None = None, **kwargs: Any) -> VanillaGAN:
        torch.manual_seed(seed)
        defaults: dict[str, Any] = {
            "objective": NonSaturating(),
            "generator": adam,
            "discriminator": adam,
            "average": MovingAverage(half_life=50, ramp=1.0),
            "latent_dim": 4,
        }
        return VanillaGAN(DataSpec((1, 16, 16)), network or batch_norm(), **{**defaults, **kwargs})

    return make


def batch_norm() -> Architecture:
    return Architecture(partial(dcgan.Generator, width=4), partial(dcgan.Trunk, width=4))


@pytest.fixture
def plain() -> Architecture:
    """Networks in which a sample's output does not depend on its batch."""
    return Architecture(partial(mlp.Generator, width=8, depth=2), partial(mlp.Trunk, width=8, depth=2))


@pytest.fixture
def trainer() -> Callable[..., pl.Trainer]:
    """trainer(max_steps, ...): on the CPU, silent, and leaving no files unless told to."""

    def make(max_steps: int, **kwargs: Any) -> pl.Trainer:
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        defaults = {**quiet, "enable_checkpointing": "callbacks" in kwargs, "accelerator": "cpu", "devices": 1}
        return pl.Trainer(max_steps=max_steps, max_epochs=-1, **{**defaults, **kwargs})

    return make


@pytest.fixture
def snapshot() -> Callable[[nn.Module], dict[str, torch.Tensor]]:
    """snapshot(module): a copy of all its parameters and buffers by name."""
    return lambda module: {name: tensor.clone() for name, tensor in module.state_dict().items()}


@pytest.fixture
def same() -> Callable[[Any, Any], bool]:
    """same(a, b): whether two nested values are equal bit for bit."""
    return _same


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return isinstance(b, (list, tuple)) and len(a) == len(b) and all(map(_same, a, b))
    return bool(a == b)


@pytest.fixture
def record() -> Callable[[AdversarialModule], list[torch.Tensor]]:
    """record(module): a list that the latents it draws from now on are added to."""

    def start(module: AdversarialModule) -> list[torch.Tensor]:
        drawn: list[torch.Tensor] = []
        draw = module.draw_latent

        def keep(count: int, generator: torch.Generator | None = None) -> torch.Tensor:
            drawn.append(draw(count, generator))
            return drawn[-1]

        module.draw_latent = keep  # type: ignore[method-assign]
        return drawn

    return start


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """free_port(): a port of this machine that nobody listens on."""

    def find() -> int:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return int(listener.getsockname()[1])

    return find


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, if the machine has one. It reaches no host but the loopback address."""
    playwright = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on this machine")
    with playwright.sync_playwright() as started:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        arguments.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        running = started.chromium.launch(executable_path=program, args=arguments)
        yield running
        running.close()
