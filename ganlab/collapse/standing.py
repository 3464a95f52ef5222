"""The critic's opinion of training pictures, held-out ones and generated ones, without leaving a trace."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor

from ganlab.collapse.game import Game
from ganlab.core.adversarial import AdversarialModule
from ganlab.core.precision import default_dtype
from ganlab.core.sides import frozen
from ganlab.data.base import GanData
from ganlab.data.batch import Batch
from ganlab.data.pictures import Pictures
from ganlab.data.rows import some_rows

COUNT = 240  # pictures of each kind: packs of 2 to 6 divide it


def game_of(module: AdversarialModule, data: GanData, logged: Mapping[str, Tensor], missing: float, seed: int) -> Game:
    """How the game stands, for the symptoms. `logged`: where gradient norms are; `missing`: see `Game`."""
    devices = [module.device] if module.device.type == "cuda" else []
    with torch.random.fork_rng(devices), torch.no_grad(), default_dtype(module.generator), ExitStack() as stack:
        for name in module.sides:
            stack.enter_context(frozen(module.player(name)))
        torch.manual_seed(seed)
        train, held_out = _batch(module, data.train, seed), _batch(module, data.reference, seed)
        real, other = (module.critic(batch.images, batch.condition) for batch in (train, held_out))
        fake = module.critic(module.generate(held_out).images, held_out.condition)
    names = {name: f"{name}/gradient_norm" for name in module.sides}
    norms = {side: float(logged[name]) for side, name in names.items() if name in logged}
    return Game(real.float().cpu(), other.float().cpu(), fake.float().cpu(), norms, missing)


def _batch(module: AdversarialModule, pictures: Pictures, seed: int) -> Batch:
    """Always the same rows."""
    rows = some_rows(len(pictures), COUNT, seed)
    return pictures.batch(rows, np.random.default_rng(seed)).to(module.device).ready()
