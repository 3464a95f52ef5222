"""What makes no sense together is refused before any picture is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module, make_strategy
from ganlab.core.strategies import FullyShardedStrategy, Zero1Strategy
from ganlab.data.base import DataSpec, GanData
from ganlab.errors import UserError


@pytest.fixture(autouse=True)
def _nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(self: GanData, stage: Any = None) -> None:
        raise AssertionError("data were loaded")

    monkeypatch.setattr(GanData, "setup", load)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["recipe=cgan_text2img", "data=mnist"], r"reads captions.*'class'.*condition=classes"),
        (["recipe=cgan_text2img", "data=toy"], r"reads captions.*'none'.*recipe=vanilla"),
        (["recipe=vanilla", "generator_regularizer=l1"], r"^`generator.regularizers.l1` compares.* pass ~generator"),
        (["recipe=cgan_class", "data=emoji"], r"reads classes.*'text'.*condition=words"),
        (["recipe=vanilla", "network=dcgan"], r"`discriminator.regularizers.r1`.*normalizes over the batch"),
        (["recipe=vanilla", "pack=3"], r"`pack` must divide `batch_size`, 64, got 3: pass batch_size=96"),
        (["recipe=cgan_text2img", "pack=2"], r"`pack` must be 1 with a condition, got 2.*minibatch_deviation"),
        (["recipe=cgan_text2img", "data.size=48"], r"side of 16, 32, 64, 128, 256.*data.size=64"),
    ],
)
def test_refuses_in_one_line(words: list[str], says: str) -> None:
    with pytest.raises(UserError, match=says) as error:
        make_data(compose(*words))
    assert "\n" not in str(error.value)


MINE = """
from ganlab.objectives import NonSaturating

class NoDiscriminator(NonSaturating):
    def discriminator(self, real, fake):
        super().discriminator(real, fake)

class OneNumber(NonSaturating):
    def generator(self, fake, real=None):
        return float(super().generator(fake, real).mean())

class NoDivergence(NonSaturating):
    def divergence(self, real, fake):
        super().divergence(real, fake)
"""
"""A user's objectives, each with one method that does not return what it must."""


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("NoDiscriminator", r"`NoDiscriminator.discriminator` must be one number a sample.*\(N,\), got None"),
        ("OneNumber", r"`OneNumber.generator` must be one number a sample.*\(N,\), got a float"),
        ("NoDivergence", r"`NoDivergence.divergence` must be a tensor with one number.*, got None"),
    ],
)
def test_an_objective_that_returns_no_loss_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, says: str
) -> None:
    (tmp_path / "my_objectives.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=says):
        make_data(compose("recipe=ring", f"objective._target_=my_objectives.{name}"))


def test_a_folder_may_have_any_condition() -> None:
    with pytest.raises(AssertionError, match="data were loaded"):
        make_data(compose("recipe=cgan_text2img", "data=folder", "data.root=somewhere"))


@pytest.mark.parametrize("condition", ["caption", "sentence", "words"])
def test_a_folder_without_captions_has_a_recipe_of_its_own(condition: str) -> None:
    """What a folder has is known only when it is read; every reader of captions then gives the same answer."""
    recipe = compose("recipe=cgan_text2img", "data=folder", "data.root=somewhere", f"condition={condition}")
    with pytest.raises(
        UserError, match=r"reads captions \(text\), and the data's condition is 'none': .*recipe=few_shot"
    ):
        make_module(recipe, DataSpec((3, 64, 64)))


def test_a_penalty_without_gradients_may_share_a_batch() -> None:
    with pytest.raises(AssertionError, match="data were loaded"):
        make_data(compose("recipe=vanilla", "network=dcgan", "regularizer=[lecam]"))


def test_synchronized_batch_normalization_needs_gpus() -> None:
    with pytest.raises(UserError, match=r"`trainer.sync_batchnorm` needs GPUs.*network=resnet"):
        make_strategy({"sync_batchnorm": True, "accelerator": "cpu", "devices": 2})


@pytest.mark.parametrize("accelerator", ["gpu", "cuda", "mps"])
def test_a_machine_without_a_gpu_says_so_before_anything_is_made(accelerator: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"`trainer.accelerator`={accelerator} needs a GPU.*trainer.accelerator=cpu"):
        make_strategy({"accelerator": accelerator, "devices": 2})
    assert make_strategy({"accelerator": "auto"}) == make_strategy({"accelerator": "cpu"}) == "auto"


def test_states_are_divided_only_among_several() -> None:
    two = {"accelerator": "cpu", "devices": 2}
    for name, kind in (("zero1", Zero1Strategy), ("fsdp", FullyShardedStrategy)):
        assert make_strategy({"strategy": name, "devices": 1}) == "auto"
        assert type(make_strategy({"strategy": name, **two})) is kind
    with pytest.raises(UserError, match=r"`trainer.strategy` must be auto, ddp, zero1, fsdp with several.*, got 'tp'"):
        make_strategy({"strategy": "tp", **two})
