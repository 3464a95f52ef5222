"""`GAN`: the same run as a recipe's, to the bit; what it draws, measures and saves is what the commands do."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from PIL import Image
from torch import Tensor, nn

import ganlab.sample
from ganlab import GAN
from ganlab.config.recipe import compose
from ganlab.core.checkpoints import load_module, read_checkpoint
from ganlab.errors import UserError
from ganlab.networks import dcgan
from ganlab.objectives import Hinge
from ganlab.regularizers import R1
from ganlab.runs.training import train
from ganlab.sampling.drawing import draw, latents

QUICK: dict[str, Any] = {"callbacks": dict.fromkeys(("collapse", "game", "pictures"))}
WORDS = ("batch_size=8", *(f"callbacks.{name}=null" for name in ("quality", *QUICK["callbacks"])))


@pytest.fixture
def pictures() -> np.ndarray:
    """60 pictures of 16 x 16, uint8, channels last."""
    return np.random.default_rng(0).integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def grey(pictures: np.ndarray) -> np.ndarray:
    return pictures[..., :1]


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The user's module `my_networks`, as another program would import it."""
    spec = importlib.util.spec_from_file_location("my_networks", Path(__file__).parent / "my_networks.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "my_networks", module)
    monkeypatch.syspath_prepend(Path(__file__).parent)
    spec.loader.exec_module(module)
    return module


def trained_by_recipe(folder: Path, *words: str) -> dict[str, Tensor]:
    """The weights that a recipe's run ends with."""
    run = train(compose(*words, *WORDS, f"run_dir={folder}"))
    return dict(read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"])


# The same run -----------------------------------------------------------------------------------------------------


GIVEN: dict[str, Callable[[], GAN]] = {
    "name": lambda: GAN("dcgan", objective="hinge", regularizers=[], seed=3, batch_size=8),
    "constructors": lambda: GAN(
        partial(dcgan.Generator, width=64),
        partial(dcgan.Trunk, width=64),
        objective="hinge",
        regularizers=[],
        seed=3,
        batch_size=8,
    ),
    "objects": lambda: GAN("dcgan", "dcgan", objective=Hinge(), regularizers=[], overrides=["seed=3", "batch_size=8"]),
}


@pytest.mark.parametrize("given", GIVEN)
def test_the_weights_are_those_of_the_recipe(given: str, pictures: np.ndarray, tmp_path: Path, same: Any) -> None:
    np.savez(tmp_path / "pictures.npz", images=pictures)
    words = ("recipe=vanilla", "network=dcgan", "objective=hinge", "regularizer=[]", "seed=3", "data=arrays")
    expected = trained_by_recipe(
        tmp_path / "run", *words, f"data.images={tmp_path}/pictures.npz", "trainer.max_steps=3"
    )
    gan = GIVEN[given]().fit(pictures, 3, **QUICK)
    assert same(dict(gan.module.state_dict()), expected)


def test_the_weights_with_penalties_that_are_objects(pictures: np.ndarray, tmp_path: Path, same: Any) -> None:
    np.save(tmp_path / "pictures.npy", pictures)
    expected = trained_by_recipe(
        tmp_path / "run", "recipe=vanilla", "network=resnet", "regularizer=[r1]", "gamma=0.5", "penalty_every=2",
        "data=arrays", f"data.images={tmp_path}/pictures.npy", "trainer.max_steps=3",
    )  # fmt: skip
    gan = GAN("resnet", regularizers=[R1(weight=0.5, every=2)], batch_size=8).fit(pictures, 3, **QUICK)
    assert same(dict(gan.module.state_dict()), expected)


def test_a_named_recipe_and_data(tmp_path: Path, same: Any) -> None:
    words = ("recipe=ring", "data.count=200", "data.held_out_count=50")
    expected = trained_by_recipe(tmp_path / "run", *words, "trainer.max_steps=4")
    gan = GAN(recipe="ring", batch_size=8, overrides=words[1:]).fit(iterations=4, **QUICK)
    assert same(dict(gan.module.state_dict()), expected)


def test_a_live_picture_and_callbacks_change_nothing(grey: np.ndarray, own: Any, same: Any) -> None:
    plain = GAN(own.Drawing, own.Judging, batch_size=8).fit(grey, 4, **QUICK)
    watched = GAN(own.Drawing, own.Judging, batch_size=8).fit(grey, 4)
    assert same(dict(watched.module.state_dict()), dict(plain.module.state_dict()))


def test_another_fit_goes_on(grey: np.ndarray, own: Any, same: Any) -> None:
    """Two and three iterations are five, bit for bit."""
    whole = GAN(own.Drawing(), own.Judging(), batch_size=8)
    parts = GAN(whole._networks["generator"], whole._networks["discriminator"], batch_size=8)
    whole.fit(grey, 5, **QUICK)
    assert parts.fit(grey, 2, **QUICK).fit(iterations=3, **QUICK).iterations == 5
    assert same(dict(parts.module.state_dict()), dict(whole.module.state_dict()))


def test_modules_of_ones_own_stay_as_they_are(grey: np.ndarray, own: Any, same: Any) -> None:
    generator = own.Drawing()
    before = {name: value.clone() for name, value in generator.state_dict().items()}
    gan = GAN(generator, own.Judging(), batch_size=8).fit(grey, 2, **QUICK)
    assert same(dict(generator.state_dict()), before)
    assert not same(dict(gan.generator.state_dict()), before)


# Conditions -------------------------------------------------------------------------------------------------------


def test_labels_make_it_conditional(pictures: np.ndarray, tmp_path: Path, same: Any) -> None:
    labels = np.arange(60) % 3
    np.savez(tmp_path / "pictures.npz", images=pictures, labels=labels)
    expected = trained_by_recipe(
        tmp_path / "run", "recipe=cgan_class", "network=resnet", "data=arrays",
        f"data.images={tmp_path}/pictures.npz", "trainer.max_steps=2",
    )  # fmt: skip
    gan = GAN("resnet", batch_size=8).fit((pictures, labels), 2, **QUICK)
    assert same(dict(gan.module.state_dict()), expected)
    assert gan.module.spec.classes == ("0", "1", "2")
    one, several = gan.sample(2, label=1), gan.sample(2)
    assert list(one.captions) == ["1", "1"] and list(several.captions) == ["0", "0", "1", "1", "2", "2"]
    levels = (one.images.int() - several.images[2:4].int()).abs()
    assert levels.max() <= 1  # another batch may round a pixel differently, as `ganlab.sample` says of its `batch`


def test_captions_make_it_conditional(pictures: np.ndarray) -> None:
    captions = ["a red apple", "a blue car"] * 30
    gan = GAN("resnet", condition="words", batch_size=8).fit((pictures, captions), 2, **QUICK)
    assert gan.module.spec.kind == "text" and set(gan.module.spec.vocabulary) == {"a", "red", "apple", "blue", "car"}
    assert list(gan.sample(1, text="a red car").captions) == ["a red car"]


def test_plain_modules_leave_labels_out(grey: np.ndarray, own: Any) -> None:
    gan = GAN(own.Drawing, own.Judging, batch_size=8).fit((grey, np.arange(60) % 3), 2, **QUICK)
    assert gan.module.spec.kind == "none" and gan.data.spec.kind == "class"
    with pytest.raises(UserError, match=r"^`label` is not for this model"):
        gan.sample(label=1)


# Drawing and measuring --------------------------------------------------------------------------------------------


def test_samples_are_those_of_the_command(grey: np.ndarray, own: Any, tmp_path: Path) -> None:
    gan = GAN(own.Drawing, own.Judging, batch_size=8).fit(grey, 2, **QUICK)
    gan.save(tmp_path / "run")
    drawn = gan.sample(3, seed=5)
    assert drawn.images.shape == (3, 1, 16, 16) and drawn.images.dtype == torch.uint8
    settings = ganlab.sample.SampleSettings(
        checkpoint=str(tmp_path / "run"), count=3, seed=5, out=str(tmp_path / "out"), allow=["my_networks"]
    )
    ganlab.sample.sample(settings)
    files = [np.array(Image.open(tmp_path / "out" / f"{seed:05d}.png").convert("L")) for seed in (5, 6, 7)]
    assert np.array_equal(np.stack(files), np.asarray(drawn)[:, 0])


def test_a_sheet_is_a_picture_in_a_notebook(grey: np.ndarray, own: Any, tmp_path: Path) -> None:
    drawn = GAN(own.Drawing, own.Judging, batch_size=8).fit(grey, 1, **QUICK).sample(9)
    assert len(drawn) == 9 and drawn[2].shape == (1, 16, 16) and len(list(drawn)) == 9
    assert drawn._repr_png_().startswith(b"\x89PNG")
    with Image.open(drawn.save(tmp_path / "sheet.png")) as sheet:
        assert sheet.size == drawn.image.size
    assert repr(drawn) == "9 pictures of 1 x 16 x 16"


def test_numbers_have_their_protocol(grey: np.ndarray, own: Any) -> None:
    gan = GAN(own.Drawing, own.Judging, batch_size=8).fit(grey, 1, **QUICK)
    numbers = gan.evaluate(["fid", "vendi"], count=20, extractor="small", split="train")
    assert {name.partition("_")[0] for name in numbers} == {"fid", "vendi"}
    (fid,) = (result for name, result in numbers.items() if name.startswith("fid"))
    assert fid.protocol["fakes"] == 20 and fid.protocol["extractor"] == "small" and fid.value > 0
    assert repr(numbers).count("\n") == len(numbers) - 1
    assert gan.evaluate("fid", count=20, extractor="small", split="train")[next(iter(numbers))].value == fid.value


# Saving -----------------------------------------------------------------------------------------------------------


def test_one_penalty_needs_no_list(grey: np.ndarray) -> None:
    for one, several in (("r2", ["r2"]), (R1(weight=0.5), [R1(weight=0.5)])):
        kept = [GAN("dcgan", regularizers=given)._regularizers for given in (one, several)]
        assert [[getattr(x, "weight", x) for x in each] for each in kept] == [[getattr(one, "weight", one)]] * 2


def test_a_count_and_a_place_are_checked(grey: np.ndarray, tmp_path: Path) -> None:
    gan = GAN("dcgan", regularizers=[], batch_size=8).fit(grey, 1, **QUICK)
    with pytest.raises(UserError, match="`count` must be at least 1, got -1"):
        gan.sample(-1)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="file is a file: name a folder"):
        gan.save(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_saved_run_can_be_loaded_and_resumed(grey: np.ndarray, own: Any, tmp_path: Path, same: Any) -> None:
    """The recipe names the user's classes. The array is not stored, so that resuming needs a file of it."""
    np.save(tmp_path / "pictures.npy", grey)
    make = partial(GAN, partial(own.Drawing, width=6), own.Judging, batch_size=8)
    gan = make().fit(grey, 2, **QUICK)
    run = gan.save(tmp_path / "run")
    module = load_module(run / "checkpoints" / "last.ckpt", ["my_networks"])
    assert same(dict(module.state_dict()), dict(gan.module.state_dict()))
    words = [f"resume={run}", "allow=[my_networks]", "trainer.max_steps=4"]
    with pytest.raises(UserError, match=r"^`data.images` is needed: this run's pictures were an array"):
        train(compose(*words))
    train(compose(*words, f"data.images={tmp_path}/pictures.npy"))
    resumed = read_checkpoint(run / "checkpoints" / "last.ckpt")["state_dict"]
    assert same(dict(resumed), dict(make().fit(grey, 4, **QUICK).module.state_dict()))


def test_a_saved_run_asks_for_permission(
    grey: np.ndarray, own: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = GAN(own.Drawing(), own.Judging(), batch_size=8).fit(grey, 1, **QUICK).save(tmp_path / "run")
    assert "names classes of my_networks: pass allow=[my_networks]" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"names 'my_networks.Drawing': pass allow=\[my_networks\]"):
        load_module(run / "checkpoints" / "last.ckpt")
    assert load_module(run / "checkpoints" / "last.ckpt", ["my_networks"]).spec.shape == (1, 16, 16)


@pytest.mark.parametrize("kind", ["settings", "sequential", "local"])
def test_a_run_that_no_other_program_can_load_says_so(
    kind: str, grey: np.ndarray, own: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Local(own.Drawing):  # type: ignore[misc]
        pass

    generator = {
        "settings": lambda: own.Drawing(width=5),
        "sequential": lambda: nn.Sequential(nn.Linear(4, 256), nn.Tanh(), nn.Unflatten(1, (1, 16, 16))),
        "local": Local,
    }[kind]
    gan = GAN(generator(), own.Judging(), batch_size=8).fit(grey, 1, **QUICK)
    run = gan.save(tmp_path / "run")
    assert f"{run} cannot be loaded by other programs, which cannot make its generator:" in capsys.readouterr().err
    with pytest.raises(UserError):
        load_module(run / "checkpoints" / "last.ckpt", ["my_networks", "tests", "test_gan"])


def test_a_run_of_named_parts_needs_nothing(
    pictures: np.ndarray, tmp_path: Path, capsys: pytest.CaptureFixture[str], same: Any
) -> None:
    gan = GAN("dcgan", regularizers=[], batch_size=8).fit(pictures, 1, **QUICK)
    run = gan.save(tmp_path / "run")
    assert "allow" not in capsys.readouterr().err and gan.folder == run
    module = load_module(run / "checkpoints" / "last.ckpt")
    chosen = latents(module, range(3))
    assert torch.equal(torch.cat(list(draw(module, None, chosen))), gan.sample(3).images)
    assert gan.save(run) == run
    with pytest.raises(UserError, match="holds a run already"):
        GAN("dcgan", regularizers=[], batch_size=8).fit(pictures, 1, **QUICK).save(run)
    assert gan.fit(iterations=1, **QUICK).folder == run
    assert read_checkpoint(run / "checkpoints" / "last.ckpt")["ganlab"]["iteration"] == 2


def test_the_folder_may_be_named_at_the_start(pictures: np.ndarray, tmp_path: Path) -> None:
    gan = GAN("dcgan", regularizers=[], batch_size=8, run_dir=tmp_path / "mine").fit(pictures, 1, **QUICK)
    assert gan.folder == tmp_path / "mine" and (tmp_path / "mine" / "summary.json").is_file()


# Settings ---------------------------------------------------------------------------------------------------------


class Count(pl.Callback):
    batches = 0

    def on_train_batch_end(self, *args: Any) -> None:
        self.batches += 1


def test_callbacks_and_the_trainers_settings_pass_through(grey: np.ndarray, own: Any) -> None:
    count = Count()
    gan = GAN(own.Drawing, own.Judging, batch_size=8).fit(
        grey,
        3,
        callbacks={**QUICK["callbacks"], "count": count},
        trainer={"log_every_n_steps": 1, "accelerator": "cpu"},
    )
    assert count.batches == 3
    assert [row["iteration"] for row in gan.history] == [1, 2, 3] and "discriminator/realism" in gan.history[0]
    GAN(own.Drawing, own.Judging, batch_size=8).fit(grey, 2, callbacks=[count])
    assert count.batches == 5


def test_quality_is_measured_on_request(grey: np.ndarray, own: Any) -> None:
    quality = {"extractor": "small", "count": 20, "metrics": ["fid"], "split": "train"}
    gan = GAN(own.Drawing, own.Judging, batch_size=8).fit(grey, 2, callbacks={**QUICK["callbacks"], "quality": quality})
    assert gan.history[-1]["quality/fid_small"] > 0


# Mistakes ---------------------------------------------------------------------------------------------------------


def flat(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 1), *layers)


def drawing(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 256), *layers)


class Broken(nn.Module):
    """Gives NaN."""

    def forward(self, latent: Tensor) -> Tensor:
        return latent.new_full((len(latent), 1, 16, 16), float("nan"))


MISTAKES: dict[str, tuple[Callable[[], Any], str]] = {
    "no module": (
        lambda: GAN(3),
        r"^`generator` must be a module, what makes one, or the name of a network, got a int$",
    ),
    "network": (lambda: GAN("dcgam"), r"^`network=dcgam` does not exist: did you mean `network=dcgan`"),
    "objective": (lambda: GAN(objective="hinj"), r"^`objective=hinj` does not exist: did you mean `objective=hinge`"),
    "setting": (lambda: GAN(batchsize=3), r"^`batchsize` is not a setting of a recipe: did you mean `batch_size`"),
    "before fit": (lambda: GAN("dcgan").sample(), r"^this GAN is not trained: call fit\(data\) first$"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_name_is_said_at_once(mistake: str) -> None:
    make, message = MISTAKES[mistake]
    with pytest.raises(UserError, match=message):
        make()


GREY = nn.Unflatten(1, (1, 16, 16))
PLAYERS: dict[str, tuple[nn.Module, nn.Module, str]] = {
    "shape": (
        drawing(nn.Unflatten(1, (4, 8, 8))),
        flat(),
        r"^`generator` Sequential gives \(N, 4, 8, 8\): it must return a tensor \(N, 1, 16, 16\), the shape of",
    ),
    "range": (drawing(GREY, nn.Sigmoid()), flat(), r"^`generator` .* ends in Sigmoid, .*Tanh"),
    "NaN": (Broken(), flat(), r"^`generator` Broken gives NaN"),
    "logits": (drawing(GREY), nn.Sequential(nn.Flatten(), nn.Linear(256, 3)), r"gives \(2, 3\): .*one logit"),
    "probabilities": (drawing(GREY), flat(nn.Sigmoid()), r"^`discriminator` .* ends in Sigmoid, .* take logits"),
    "input": (drawing(GREY), nn.Linear(7, 1), r"^`discriminator` Linear fails for images \(N, 1, 16, 16\)"),
}


@pytest.mark.parametrize("mistake", PLAYERS)
def test_networks_that_do_not_fit_are_refused_before_training(mistake: str, grey: np.ndarray, tmp_path: Path) -> None:
    generator, discriminator, message = PLAYERS[mistake]
    gan = GAN(generator, discriminator, latent_dim=4, regularizers=[], run_dir=tmp_path / "run")
    with pytest.raises(UserError, match=message) as refusal:
        gan.fit(grey, 3, **QUICK)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / "run").exists() and gan.iterations == 0


def test_a_latent_of_another_size(grey: np.ndarray, own: Any) -> None:
    with pytest.raises(
        UserError, match=r"^`generator` Drawing fails for latents \(N, 9\): RuntimeError: mat1 and mat2"
    ):
        GAN(own.Drawing, own.Judging, latent_dim=9).fit(grey, 3, **QUICK)


@pytest.mark.parametrize("iterations", [0, -1, 2.5, True])
def test_iterations_are_a_positive_whole_number(iterations: Any, grey: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"^`iterations` must be a whole number of at least 1"):
        GAN("dcgan").fit(grey, iterations)


def test_several_devices_are_for_the_command(pictures: np.ndarray) -> None:
    with pytest.raises(UserError, match=r"^`trainer.devices` must be 1 in Python"):
        GAN("dcgan", regularizers=[]).fit(pictures, 3, trainer={"devices": 2, "accelerator": "cpu"})


def test_ganlab_has_no_other_names() -> None:
    with pytest.raises(AttributeError, match="no attribute 'GAM'"):
        ganlab.GAM  # type: ignore[attr-defined]  # noqa: B018
