"""The game of the page "Play the game" is ganlab's: its first steps are those of PyTorch, and it runs in a browser."""

from __future__ import annotations

import json
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ganlab.core.sides import Side
from ganlab.data.toy import ToyData, mixture
from ganlab.lecture.play import fully_connected, game
from ganlab.networks.architecture import Architecture
from ganlab.objectives import Hinge, LeastSquares, Minimax, NonSaturating, Objective
from tests.docs.pages import DOCS

BUNDLE = DOCS / "javascripts" / "play.js"
ITERATIONS, BATCH, LATENT = 5, 16, 4
RATES = {"generator": 1e-3, "discriminator": 2e-3}
OBJECTIVES: dict[str, Objective] = {
    "nonsaturating": NonSaturating(),
    "minimax": Minimax(),
    "least_squares": LeastSquares(),
    "hinge": Hinge(),
}


class Noisy(nn.Module):
    """A trunk that adds stored noise to its input."""

    def __init__(self, trunk: Any, noise: list[Tensor], sigma: float) -> None:
        super().__init__()
        self.trunk, self.noise, self.sigma, self.feature_shape = trunk, list(noise), sigma, trunk.feature_shape

    def forward(self, points: Tensor) -> Tensor:
        return self.trunk(points + self.sigma * self.noise.pop(0)) if self.sigma else self.trunk(points)


def layers(network: nn.Module) -> list[dict[str, Any]]:
    linear = [part for part in network.modules() if isinstance(part, nn.Linear)]
    return [{"weight": one.weight.tolist(), "bias": one.bias.tolist()} for one in linear]


class Watch(pl.Callback):
    """Keeps the reals of each turn."""

    def __init__(self) -> None:
        self.reals: list[Tensor] = []

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.reals += batch.images.split(BATCH)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(("turns", "sigma"), [((1, 1), 0.0), ((2, 3), 0.0), ((1, 1), 0.3)])
@pytest.mark.parametrize("dims", [1, 2])
def test_the_first_steps_are_pytorchs(
    objective: str, turns: tuple[int, int], sigma: float, dims: int, record: Any, trainer: Any
) -> None:
    """The same weights, reals, latents and noise: after five iterations all weights agree to 1e-4."""
    if (node := shutil.which("node")) is None:
        pytest.skip("node is not installed")
    torch.manual_seed(0)
    noise = [torch.randn(BATCH, dims) for _ in range(8 * ITERATIONS)] if sigma else []
    plain = fully_connected(width=8)
    network = Architecture(plain.generator, lambda **asked: Noisy(plain.discriminator(**asked), noise, sigma))
    adam = {
        name: Side(partial(torch.optim.Adam, lr=rate, betas=(0.0, 0.99)), turns=count)
        for (name, rate), count in zip(RATES.items(), turns, strict=True)
    }
    data = ToyData(mixture([[-2.0] * dims, [2.0] * dims], sigma=0.5), count=1_000)
    module = game(data, network, OBJECTIVES[objective], adam["generator"], adam["discriminator"], LATENT)
    given = {"generator": layers(module.generator), "discriminator": layers(module.discriminator)}
    latents, watch = record(module), Watch()
    data.reals_per_iteration = BATCH * turns[1]
    trainer(ITERATIONS, callbacks=[watch], enable_checkpointing=False).fit(module, datamodule=data)
    settings = {
        "objective": objective,
        "rates": RATES,
        "turns": {"generator": turns[0], "discriminator": turns[1]},
        "noise": sigma,
        "batch": BATCH,
    }
    found = played(
        node,
        settings=settings,
        iterations=ITERATIONS,
        reals=[part.tolist() for part in watch.reals],
        latents=[part.tolist() for part in latents],
        noise=[part.tolist() for part in noise],
        **given,
    )
    for side in RATES:
        before, after = flat(given[side]), flat(layers(module.player(side)))
        ours = torch.cat([torch.tensor(part).flatten() for part in found[side]])
        torch.testing.assert_close(ours, after, rtol=0, atol=1e-4)
        assert (after - before).abs().max() > 2e-3  # twenty times what may differ


def flat(network: list[dict[str, Any]]) -> Tensor:
    """All weights of a network in one row."""
    return torch.cat([torch.tensor(layer[name]).flatten() for layer in network for name in ("weight", "bias")])


def played(node: str, **given: Any) -> dict[str, Any]:
    """Return the losses and weights of the bundle's game."""
    script = Path(__file__).parent / "play.mjs"
    done = subprocess.run(
        [node, str(script), str(BUNDLE)], input=json.dumps(given), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_bundle_is_small_and_fetches_nothing() -> None:
    text = BUNDLE.read_text(encoding="utf-8")
    assert len(text) < 600_000 and "Apache License 2.0" in text[:300]
    assert "Apache License" in (BUNDLE.parent / "play.LICENSE.txt").read_text(encoding="utf-8")
    page = (DOCS / "lecture" / "play.md").read_text(encoding="utf-8")
    assert 'src="../../javascripts/play.js"' in page and "http" not in page
