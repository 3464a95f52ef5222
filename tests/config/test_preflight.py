"""Settings that do not fit each other or the machine are refused before torch is loaded, by the name that was typed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ganlab.config.building import build
from ganlab.config.preflight import check_machine, check_parts
from ganlab.config.recipe import compose
from ganlab.errors import UserError

VANILLA, RING = "recipe=vanilla", "recipe=ring"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([VANILLA, "data.size=100"], "`data.size` must be a side of 16, 32, 64, 128, 256 .* pass data.size=128"),
        ([VANILLA, "data.size=512"], "pass data.size=256"),
        (["recipe=stackgan", "data.size=32"], "`data.size` must be a side of 64, 128, 256 for variant.stage_two"),
        ([VANILLA, "data=folder", "data.root=''"], "`data.root` must be a folder of pictures, got nothing"),
        ([VANILLA, "data=folder", "data.root=../nosuch"], "`data.root` .* got ../nosuch"),
        (
            [VANILLA, "data=folder", "data.root=.", "data.size=[64,96]"],
            r"`data.size` must be a side .* got \[64, 96\]: pass data.size=128, or network=fastgan",
        ),
        ([VANILLA, "data=folder", "data.root=.", "data.size=[64]"], "`data.size` must be .* or a list"),
        ([VANILLA, "data=zip", "data.root=."], "`data.root` must be a zip of pictures, got .*, which is no file"),
        ([VANILLA, "batch_size=1000000"], "`batch_size`=1000000 needs at least .* GiB"),
        ([VANILLA, "data=shapes", "data.count=100000000"], "`data.count`=.* needs at least"),
        ([RING, "data.workers=512"], "`data.workers` must be at most"),
        ([RING, "trainer.devices=banana"], "`trainer.devices` must be a number, a list"),
        ([RING, "trainer.num_nodes=2"], "`trainer.num_nodes`=2 needs to know the other machines"),
        ([RING, "pack=3"], "`pack` must divide `batch_size`"),
        ([VANILLA, "generator.checkpoint_blocks=true", "compile=true"], "`generator.checkpoint_blocks` .* `compile`"),
        (
            [VANILLA, "discriminator.checkpoint_blocks=true", "+trainer.sync_batchnorm=true"],
            "`discriminator.checkpoint_blocks` does not go with `trainer.sync_batchnorm`: leave out one",
        ),
        ([RING, "trainer.strategy=fsdp", "compile=true"], "`compile` does not go with `trainer.strategy`=fsdp"),
        (
            [RING, "trainer.strategy=fsdp", "+trainer.precision=16-mixed"],
            "=fsdp does not go with `trainer.precision`=16-mixed.*pass bf16-mixed",
        ),
        ([RING, "generator.accumulate=3"], "`generator.accumulate` must divide `batch_size`, 64, got 3"),
    ],
)
def test_refuses(words: list[str], said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganlab.config.preflight.os.cpu_count", lambda: 2)
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    with pytest.raises(UserError, match=said):
        recipe = compose(*words)
        check_parts(recipe)
        check_machine(recipe)


def test_says_what_a_network_must_take() -> None:
    recipe = compose(RING)
    recipe["network"]["discriminator"] = {"_target_": "torch.nn.Linear", "_partial_": True}
    with pytest.raises(
        UserError, match=r"`network.discriminator` torch.nn.Linear must take `shape`: .* `feature_shape`"
    ):
        check_parts(recipe)


def test_names_the_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = compose(RING, "logger=tensorboard")
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr("ganlab.config.preflight.importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r'pip install "ganlab\[tensorboard\]"'):
        check_machine(recipe)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("generator.turns=-1", "`generator.turns` must be a whole number from 1 to 1,000, got -1"),
        ("gamma=nan", "`gamma` must be a number of at least 0 or .*, got nan"),
        ("discriminator.optimizer.lr=1e30", "`discriminator.optimizer.lr` must be a number from 0 to 1,000"),
        ("generator.optimizer.betas=[2,2]", "`generator.optimizer.betas` must be a list"),
        ("average.ramp=1.5", "`average.ramp` must be a number from 0 to 1"),
        ("minibatch_deviation=1", "`minibatch_deviation` must be 0 or a whole number from 2"),
        ("trainer.accelerator=banana", "`trainer.accelerator` must be one of 'auto', 'cpu'"),
        ("trainer.max_steps=-1", "`generator.scheduler.end` .*it follows `trainer.max_steps`"),
        ("trainer.limit_train_batches=inf", "`trainer.limit_train_batches` must be a finite number"),
        ("data=null", "`data` is needed"),
        ("network=nan", "`network` is one of dcgan, .* got nan"),
        ("~batch_size", "`batch_size` is needed"),
        ("callbacks.x._target_=null", "`callbacks.x._target_` must be a dotted path"),
        ("betas.y=1", "the settings cannot be composed"),
    ],
)
def test_refuses_what_no_setting_can_be(setting: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        compose(RING, setting)


@pytest.mark.parametrize("steps", ["0", "-2", "null"])
def test_a_run_has_an_iteration_or_no_end(steps: str) -> None:
    """A run of no iteration ended with the words that its folder has no checkpoint."""
    assert compose(VANILLA, "trainer.max_steps=-1")["trainer"]["max_steps"] == -1
    with pytest.raises(UserError, match=r"^`trainer.max_steps` must be -1 or a whole number of at least 1, got"):
        compose(VANILLA, f"trainer.max_steps={steps}")


def test_python_callers_are_refused_too() -> None:
    with pytest.raises(UserError, match="`half_life` must be a number of at least 0, got -1"):
        build({"_target_": "ganlab.core.averaging.MovingAverage", "half_life": -1})


def test_null_leaves_a_group_out() -> None:
    assert "logger" not in compose(RING, "logger=null")
    assert (
        "regularizers" not in compose(RING, "regularizer=null")["discriminator"]
        or not (compose(RING, "regularizer=null")["discriminator"]["regularizers"])
    )


def test_loads_nothing_heavy() -> None:
    heavy = "{'torch', 'pytorch_lightning', 'hydra'}"
    code = f"import sys, ganlab.config.preflight, ganlab.fit; print({heavy} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
