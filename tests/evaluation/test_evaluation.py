"""Evaluate on folders and checkpoints: what can be measured, with what beside it, and what is refused in a line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab import evaluate
from ganlab.config.cli import read_settings
from ganlab.config.recipe import compose
from ganlab.core.checkpoints import load_module
from ganlab.errors import UserError
from ganlab.evaluate import EvaluateSettings, checked
from ganlab.evaluation.evaluate import Settings, of_checkpoint, of_folders
from ganlab.evaluation.sources import Folder
from ganlab.files.run_folder import RunFolder
from ganlab.metrics.feature_sets import Extraction
from ganlab.metrics.features import Small
from ganlab.metrics.moments import frechet_distance_of_sets
from ganlab.runs.training import train

EVERY = ("fid", "kid", "is", "precision", "recall", "density", "coverage", "cmmd", "fid_infinity", "fid_per_class")
EVERY += ("ndb", "vendi", "copying", "duplicates", "condition_diversity", "condition_realism")


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two folders of 40 blotchy pictures each, in two classes, of two sizes."""
    root, random = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for side in ("fake", "real"):
        for i in range(40):
            coarse = random.integers(0, 256, (5, 5, 3), dtype=np.uint8) // (2 if i % 2 else 1)
            folder = root / side / ("light", "dark")[i % 2]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(coarse).resize((32 + i // 20 * 8, 32)).save(folder / f"{i:02d}.png")
    return root / "fake", root / "real"


def small(**changed: Any) -> Settings:
    return Settings(**{"extractor": "small", **changed})


def test_every_number_of_two_folders_with_all_beside_it(folders: tuple[Path, Path]):
    found = of_folders(*folders, small(metrics=EVERY))
    assert {name.removesuffix("_small") for name in found} >= {*EVERY, "bin_js", "nearest", "fid_class_dark"}
    for one in found.values():
        assert one.protocol.keys() >= {"measure", "extractor", "weights", "resizer", "reference", "split", "seed"}
        assert (one.protocol["extractor"], one.protocol["resizer"]) == ("small", "antialias 32x32")
        assert np.isfinite(one.value)
    without_spread = {name.removesuffix("_small") for name, one in found.items() if one.spread is None}
    assert without_spread == {"ndb", "condition_realism_worst"}
    assert found["fid_small"].protocol["reals"] == found["fid_small"].protocol["fakes"] == 40


def test_it_is_the_function_of_the_features(folders: tuple[Path, Path]):
    extractor = Small()
    fake, real = (
        torch.cat([extractor(images) for images, _ in Folder(folder, 100, 0).batches()]) for folder in folders
    )
    found = of_folders(*folders, small(metrics=("fid",)))["fid_small"]
    assert found.value == pytest.approx(frechet_distance_of_sets(real, fake), rel=1e-4)


def test_a_folder_against_itself_is_at_no_distance(folders: tuple[Path, Path]):
    found = of_folders(folders[1], folders[1], small(metrics=("fid", "copying", "cmmd")))
    assert abs(found["fid_small"].value) < 1e-6 and abs(found["cmmd_small"].value) < 1e-6
    assert found["copying_small"].value > 0.99 and found["nearest_small"].value < 0.01


def test_saved_statistics_stand_for_the_folder(folders: tuple[Path, Path], tmp_path: Path):
    """All numbers and all protocols are the same, so that the two compare."""
    file = tmp_path / "real.npz"
    direct = of_folders(*folders, small(metrics=EVERY, save_reference=file))
    assert of_folders(folders[0], file, small(metrics=EVERY)) == direct


def test_statistics_of_others_are_good_for_the_frechet_distance_only(folders: tuple[Path, Path], tmp_path: Path):
    extractor = Small()
    real = torch.cat([extractor(images) for images, _ in Folder(folders[1], 100, 0).batches()]).double().numpy()
    np.savez(tmp_path / "theirs.npz", mu=real.mean(0), sigma=np.cov(real, rowvar=False))
    found = of_folders(folders[0], tmp_path / "theirs.npz", small(metrics=("fid", "is")))
    direct = of_folders(*folders, small(metrics=("fid",)))["fid_small"]
    assert found["fid_small"].value == pytest.approx(direct.value, rel=1e-3)
    assert found["fid_small"].protocol["reals"] == "unknown" and direct.differs(found["fid_small"])
    for name in ("kid", "copying"):
        with pytest.raises(UserError, match=f"{name} cannot be measured"):
            of_folders(folders[0], tmp_path / "theirs.npz", small(metrics=(name,)))


def test_what_pictures_do_not_have_is_refused(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for i in range(4):
        Image.new("RGB", (8, 8), (i * 60, 0, 0)).save(tmp_path / f"{i}.png")
    with pytest.raises(UserError, match="fid_per_class cannot be measured: pictures have no classes"):
        of_folders(folders[0], tmp_path, small(metrics=("fid_per_class",)))
    with pytest.raises(UserError, match="fid_per_class cannot be measured: no class has 2 real and 2 generated"):
        of_folders(tmp_path, folders[1], small(metrics=("fid_per_class",)))
    with pytest.raises(UserError, match="precision cannot be measured: each sample's 5 nearest others need more"):
        of_folders(tmp_path, folders[1], small(metrics=("precision",)))
    with pytest.raises(UserError, match="r_precision cannot be measured on this data"):
        of_folders(*folders, small(metrics=("r_precision",)))
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(UserError, match=r"lpips cannot be measured: no LPIPS .* weights here"):
        of_folders(*folders, small(metrics=("lpips",)))


def test_what_can_be_measured_is(folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Four pictures have a covariance, and no five neighbours each."""
    for i in range(4):
        Image.new("RGB", (8, 8), (i * 60, 0, 0)).save(tmp_path / f"{i}.png")
    found = of_folders(tmp_path, folders[1], small(metrics=("precision", "fid")))
    assert list(found) == ["fid_small"]
    assert "precision cannot be measured" in capsys.readouterr().err


def test_perceptual_diversity_of_a_folder_needs_no_download(folders: tuple[Path, Path]):
    (name, found), *more = of_folders(*folders, Settings(metrics=("perceptual_diversity",))).items()
    assert name == "perceptual_diversity_imagenet" and not more
    assert 0 < found.value < 4 and found.spread is not None
    assert found.protocol["fakes"] == 40 and found.protocol["resizer"] == "antialias 128x128"


def test_memory_does_not_grow_with_the_pictures(folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch):
    """Of 40 pictures the features of 10 are kept, and the protocol says so; the distance is still that of all."""
    whole = of_folders(*folders, small(metrics=("fid", "is")))
    for module in ("evaluation.evaluate", "metrics.feature_sets"):
        monkeypatch.setattr(f"ganlab.{module}.MOST", 10)
    kept = []
    sample = Extraction.sample
    monkeypatch.setattr(Extraction, "sample", lambda self: kept.append(sample(self)) or kept[-1])
    few = of_folders(*folders, small(metrics=("fid", "is", "precision")))
    assert [len(one.features) for one in kept] == [10, 10] and [one.count for one in kept] == [40, 40]
    for name in ("fid_small", "is_small"):
        assert few[name].value == pytest.approx(whole[name].value, rel=1e-5)
        assert (few[name].protocol["fakes"], few[name].protocol["kept"]) == (40, 10)
    assert few["precision_small"].protocol["compared"] == 10


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A game on shapes with captions, two iterations long."""
    folder = tmp_path_factory.mktemp("run")
    words = ("recipe=cgan_text2img", "data=shapes", "data.count=60", "data.held_out_count=30", "batch_size=8")
    narrow = ("network.generator.width=8", "network.discriminator.width=8", "trainer.max_steps=2")
    quiet = [f"callbacks.{name}=null" for name in ("pictures", "collapse", "game", "quality")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANLAB_OFFLINE", "1")
        patch.setenv("GANLAB_CACHE", str(folder / "cache"))
        run = train(compose(*words, *narrow, *quiet, f"run_dir={folder / 'run'}"))
    return RunFolder(run).checkpoint()


def test_every_number_of_a_checkpoint(checkpoint: Path):
    """But for those by caption, of which there are nearly as many as pictures."""
    metrics = [name for name in EVERY if name not in ("fid_per_class", "condition_realism")]
    found = of_checkpoint(checkpoint, small(metrics=metrics, split="train", count=60))
    assert {name.removesuffix("_small") for name in found} >= set(metrics)
    protocol = found["fid_small"].protocol
    assert (protocol["fakes"], protocol["reals"], protocol["split"]) == (60, 60, "train")
    assert found["copying_small"].protocol["trained_on"] == 60


def test_measuring_again_gives_the_same(checkpoint: Path):
    terms = small(metrics=("fid", "kid", "ndb"), count=40)
    assert of_checkpoint(checkpoint, terms) == of_checkpoint(checkpoint, terms)


def test_a_checkpoint_against_statistics(checkpoint: Path, tmp_path: Path):
    file = tmp_path / "shapes.npz"
    saved = of_checkpoint(checkpoint, small(metrics=("fid", "recall"), count=40, save_reference=file))
    assert of_checkpoint(checkpoint, small(metrics=("fid", "recall"), count=40, reference=file)) == saved


def test_measuring_does_not_depend_on_the_batch(checkpoint: Path, monkeypatch: pytest.MonkeyPatch):
    """In batches of 7 and of 64: to rounding, which convolutions do differently."""
    terms = small(metrics=("fid", "is", "vendi"), count=40)
    usual = of_checkpoint(checkpoint, terms)
    monkeypatch.setattr(terms.network(), "batch", 7)
    found = of_checkpoint(checkpoint, terms)
    for name, one in found.items():
        assert one.value == pytest.approx(usual[name].value, rel=1e-4)
        assert one.protocol == usual[name].protocol
    assert load_module(checkpoint).images_seen == 16


def typed(*words: str) -> EvaluateSettings:
    return checked(read_settings(EvaluateSettings, words))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "`checkpoint` is needed"),
        (("generated=a",), "`reference` is needed"),
        (("reference=a",), "`generated` is needed"),
        (("checkpoint=a", "generated=b", "reference=c"), "two things to measure"),
        (("checkpoint=a", "resizer=pil-bicubi"), "did you mean `resizer=pil-bicubic`"),
        (("checkpoint=a", "extractor=incepton"), "did you mean `extractor=inception`"),
        (("checkpoint=a", "precision=float16"), "`precision` 'float16' is unknown"),
        (("checkpoint=a", "split=test"), "`split` 'test' is unknown"),
        (("checkpoint=a", "count=1"), "`count` must be a whole number from 2 to .*, got 1"),
        (("checkpoint=a", "reals=0"), "`reals` must be a whole number from 2 to .*, got 0"),
        (("compare=a.json",), "`compare` must be two files"),
    ],
)
def test_bad_words_are_answered_before_anything_is_loaded(words: tuple[str, ...], said: str):
    with pytest.raises(UserError, match=said):
        typed(*words)


def test_a_file_of_ones_own_and_both_ways_to_write_a_comparison():
    assert typed("checkpoint=a", "extractor=mine.pt").extractor == "mine.pt"
    assert typed("compare=[a.json, b.json]").compare == "[a.json, b.json]"


def test_from_numbers_to_a_comparison(
    folders: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """As typed: save statistics, measure against them twice, compare; then with a seed of its own, which is refused."""

    def type_in(*words: str) -> None:
        monkeypatch.setattr(sys, "argv", ["evaluate", *words])
        evaluate.main()

    fake, real = folders
    type_in(f"reference={real}", "extractor=small", f"save_reference={tmp_path / 'real.npz'}")
    assert "statistics of 40 pictures" in capsys.readouterr().out
    subject = (f"generated={fake}", f"reference={tmp_path / 'real.npz'}", "extractor=small", "metrics=[fid,kid]")
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        type_in(*subject, f"seed={seed}", f"out={tmp_path / name}.json")
    assert json.loads((tmp_path / "a.json").read_text())["metrics"]["fid_small"]["versions"]["torch"]
    capsys.readouterr()
    type_in(f"compare={tmp_path / 'a.json'},{tmp_path / 'b.json'}")
    assert "the same protocol in both" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        type_in(f"compare={tmp_path / 'a.json'},{tmp_path / 'c.json'}")
    assert ended.value.code == 2
    assert "measured differently: seed is 0 in one and 1 in the other" in capsys.readouterr().err
