"""A checkpoint that was opened for the page: what it draws, what its discriminator thinks, how it may be guided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ganlab.core.assembly import make_data
from ganlab.core.checkpoints import stored_content
from ganlab.core.density_ratio import RatioGame, as_ratio_game
from ganlab.core.generative import GenerativeModule
from ganlab.core.portable import open_run
from ganlab.data.base import GanData
from ganlab.data.batch import Condition
from ganlab.errors import UserError
from ganlab.latents.points import check_pictures
from ganlab.page.opinion import Answer, opinion, silent
from ganlab.sampling.choosing import GuidanceSettings, prepared
from ganlab.sampling.drawing import check_truncation, draw, latents
from ganlab.sampling.gallery import Request
from ganlab.sampling.guides import Guide
from ganlab.sampling.outcome import Outcome

GUIDANCE = GuidanceSettings("rejection", "platt", 500, 200, None, 100, 0.01)
"""Rejection among 200 candidates for a picture at most, calibrated on 500 held-out pictures."""


@dataclass
class Model:
    """A model of the page. name: as the user wrote it. silent: why it has no opinion of its pictures, or "".

    data: None if they are missing. unguided: why the discriminator cannot choose among pictures, or "".
    """

    name: str
    module: GenerativeModule
    silent: str
    unguided: str
    data: GanData | None = field(repr=False)

    @classmethod
    def open(cls, name: str, allow: Sequence[str] = (), data: Mapping[str, str] | None = None) -> Model:
        """Open a checkpoint, and its data if guided sampling needs them. Raise `UserError` if it draws no pictures."""
        module, file = open_run(name, allow, data, needs_data=False)
        check_pictures(module)
        with stored_content(file):
            why = unguided(module)
        held = None if why else _data(name, allow, data)
        return cls(name, module, silent(module), why or ("" if held else "The run's data are missing."), held)

    @property
    def kind(self) -> tuple[Any, ...]:
        """Return what the model asks for: models of one kind share a form."""
        spec = self.module.spec
        return spec.kind, tuple(spec.classes)

    @cached_property
    def guide(self) -> Guide:
        """Return the method of guided sampling. It is calibrated at its first use."""
        assert isinstance(self.module, RatioGame) and self.data is not None
        return prepared(self.module, self.data.reference, GUIDANCE)

    def choose(self, request: Request) -> Outcome:
        """Return the latents that the discriminator chooses."""
        return self.guide.choose(request.condition, request.seeds)

    def draw(self, request: Request, truncation: float = 1.0, latent: Tensor | None = None) -> Tensor:
        """Return the pictures uint8 (N, C, H, W) that `ganlab.sample` draws for this request. Raise `UserError`.

        latent: (N, latent_dim), by default that of the seeds.
        """
        check_truncation(self.module, truncation)
        latent = latents(self.module, request.seeds) if latent is None else latent
        return torch.cat(list(draw(self.module, request.condition, latent, truncation=truncation)))

    def opinion(self, images: Tensor, condition: Condition) -> list[Answer]:
        """Return the discriminator's answers; none if it is silent."""
        return [] if self.silent else opinion(self.module, images, condition)


def unguided(module: GenerativeModule) -> str:
    """Return why the model's discriminator gives no density ratio that could guide sampling; "" if it gives one."""
    if module.spec.kind == "image":
        return "A discriminator of patches cannot choose."
    try:
        as_ratio_game(module, Request.of(module.spec, {}, 1, 0).part(slice(1)).condition)
    except UserError as error:
        return f"Not for this model: {str(error).replace('`method`', 'it').replace('`', '').partition(': leave')[0]}."
    return ""


def _data(name: str, allow: Sequence[str], data: Mapping[str, str] | None) -> GanData | None:
    """Return the run's data, or None if they are missing. Raise `UserError` if the user named them."""
    try:
        return make_data(open_run(name, allow, data)[0].recipe)
    except (UserError, OSError, KeyError):
        if data:
            raise
        return None
