"""Every network of this decade in every game and with every head: one iteration each, from the recipes as they are."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_module
from ganlab.data.base import DataSpec

TINY = {
    "stylegan2": ("style_dim=8",),
    "r3gan": ("group=4",),
    "fastgan": (),
    "projected": (),
}
GAMES = {
    "vanilla": ("recipe=vanilla",),
    "stackgan": ("recipe=stackgan", "variant.augmented_dim=4", "variant.stage_two.generator.width=4"),
    "vaegan": ("recipe=vaegan",),
    "infogan": ("recipe=infogan",),
    **{head: ("recipe=cgan_text2img", f"head={head}") for head in ("separate", "joint", "projection", "blind")},
}


@pytest.mark.parametrize("game", GAMES)
@pytest.mark.parametrize("network", TINY)
def test_it_plays(network: str, game: str, trainer: Callable, noise: Callable) -> None:
    """All that is trained stays finite, and some of both players moves."""
    torch.manual_seed(0)
    tiny = [f"network.generator.{setting}" for setting in TINY[network]]
    tiny += [f"network.{player}.width=4" for player in ("generator", "discriminator")]
    tiny += ["network.discriminator.group=4"] if network == "r3gan" else []
    tiny += ["network.discriminator.side=32", "network.discriminator.mixed=4"] if network == "projected" else []
    side = 64 if game == "stackgan" else 16
    recipe = compose(*GAMES[game], f"network={network}", *tiny, "latent_dim=4", "batch_size=4", "average.ramp=1")
    module = make_module(
        recipe, DataSpec((3, side, side), "text", vocabulary=("thing", "0", "1"), captions=("thing 0",))
    )
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    trainer(1).fit(module, datamodule=noise(shape=(3, side, side), captions=2, count=8))
    after = module.state_dict()
    assert all(torch.isfinite(tensor).all() for tensor in after.values() if tensor.is_floating_point())
    moved = {name.partition(".")[0] for name, tensor in after.items() if not torch.equal(tensor, before[name])}
    assert {"generator", "discriminator"} <= moved
