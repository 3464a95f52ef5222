"""Quality during training: which numbers, against what, the best of them, and what happens where there is none."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from ganlab.callbacks.quality import Best, Quality
from ganlab.config.recipe import compose
from ganlab.console import say_once
from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.data.base import DataSpec, GanData, Modes
from ganlab.data.pictures import Pictures
from ganlab.data.rows import many_rows, some_rows
from ganlab.errors import UserError
from ganlab.evaluation.extract import real_features
from ganlab.evaluation.sources import generated
from ganlab.files.run_folder import RunFolder
from ganlab.metrics.extractors import extractor_named
from ganlab.metrics.moments import frechet_distance_of_sets
from ganlab.networks import mlp
from ganlab.networks.architecture import Architecture
from ganlab.objectives import NonSaturating
from ganlab.runs.training import train
from ganlab.variants import VanillaGAN

Make = Callable[..., Any]
METRICS = ("fid", "kid", "is", "precision", "recall", "density", "coverage")


def small(**kwargs: Any) -> Quality:
    return Quality(**{"every": 40, "count": 30, "extractor": "small", **kwargs})


def test_logged_on_schedule_under_names_that_carry_the_extractor(
    vanilla: Make, noise: Make, run: Make, kept: Any
) -> None:
    quality = small(metrics=METRICS)
    trainer = run(vanilla(), noise(), 11, quality)
    for name in METRICS:
        assert kept.steps(f"quality/{name}_small") == [5, 10, 11]
        assert f"quality/{name}_small" in trainer.callback_metrics
    assert kept.rows[10]["images_seen"] == 80
    protocol = quality.results["fid_small"].protocol
    assert {**protocol, "weights": "", "reference": ""} == {
        "measure": "fid",
        "extractor": "small",
        "weights": "",
        "resizer": "antialias 32x32",
        "split": "reference",
        "reference": "",
        "reals": 40,
        "fakes": 30,
        "kept": 10_000,
        "seed": 0,
    }
    assert all(one.spread is not None for one in quality.results.values())


def test_fid_is_that_of_the_same_pictures_compared_directly(vanilla: Make, noise: Make, run: Make) -> None:
    module, data, quality = vanilla(), noise(), small(metrics=("fid",))
    run(module, data, 2, quality)
    extractor = extractor_named("small")
    fake = torch.cat([extractor(images) for images in generated(module, data.reference, 30, 0)])
    expected = frechet_distance_of_sets(extractor(data.reference.get(slice(None))), fake)
    assert quality.results["fid_small"].value == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_the_best_is_the_least_distance_and_travels_with_the_checkpoint(
    vanilla: Make, noise: Make, run: Make, kept: Any
) -> None:
    quality = small()
    run(vanilla(), noise(), 20, quality)
    values = {step: kept.rows[step]["quality/fid_small"] for step in kept.steps("quality/fid_small")}
    step = min(values, key=values.__getitem__)
    assert quality.best == Best("quality/fid_small", values[step], step, 8 * step)
    again = small()
    again.load_state_dict(quality.state_dict())
    assert again.best == quality.best


def test_more_is_better_for_a_score(vanilla: Make, noise: Make, run: Make, kept: Any) -> None:
    quality = small(metrics=("is", "fid"))
    run(vanilla(), noise(), 20, quality)
    assert quality.best is not None
    assert quality.best.value == max(row["quality/is_small"] for row in kept.rows.values() if "quality/is_small" in row)


def test_real_features_are_computed_once(noise: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time they come from the disk, bit for bit; other pictures are computed."""
    pictures, calls = noise().reference, []
    extractor = extractor_named("small")
    forward = type(extractor).forward
    monkeypatch.setattr(type(extractor), "forward", lambda self, x: calls.append(len(x)) or forward(self, x))
    first, second = (real_features(extractor, pictures, some_rows(40, 40, 0)) for _ in range(2))
    assert torch.equal(first, second)
    assert calls == [40]
    real_features(extractor, pictures, some_rows(40, 39, 0))
    assert calls == [40, 39]


def test_a_cache_that_cannot_be_written_costs_time_only(
    noise: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "file" / "cache"))
    assert real_features(extractor_named("small"), noise().reference, some_rows(40, 40, 0)).shape == (40, 64)


def test_conditions_are_those_of_the_split_each_as_often_as_another() -> None:
    counts = torch.from_numpy(many_rows(7, 25, 0)).bincount(minlength=7)
    assert counts.sum() == 25
    assert set(counts.tolist()) == {3, 4}


def test_one_line_on_why_it_is_not_the_standard_extractor(
    vanilla: Make,
    noise: Make,
    run: Make,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    extractor_named.cache_clear()
    run(vanilla(), noise(), 11, small(extractor="auto", metrics=("fid",)))
    lines = [line for line in capsys.readouterr().err.splitlines() if "fid_imagenet" in line]
    assert len(lines) == 1
    assert "never with published FIDs" in lines[0]


def test_what_cannot_be_measured_is_said_once_and_training_goes_on(
    vanilla: Make, noise: Make, run: Make, kept: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The Inception score needs ten pictures; here there are five."""
    trainer = run(vanilla(), noise(), 11, small(count=5, metrics=("is",)))
    lines = [line for line in capsys.readouterr().err.splitlines() if "cannot measure quality" in line]
    assert trainer.global_step == 11
    assert len(lines) == 1
    assert not kept.steps("quality/is_small")


def test_a_metric_that_is_undefined_takes_no_other_with_it(
    vanilla: Make, noise: Make, run: Make, kept: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Balls to the fifth neighbour need six pictures of a kind; here there are five. The best is still found."""
    say_once.cache_clear()
    quality = small(metrics=("kid", "precision", "recall"))
    run(vanilla(), noise(count=5), 11, quality)
    assert kept.steps("quality/kid_small") == [5, 10, 11] and not kept.steps("quality/precision_small")
    assert quality.best is not None and quality.best.name == "quality/kid_small"
    said = [line for line in capsys.readouterr().err.splitlines() if "cannot be measured" in line]
    assert [line.split()[2] for line in said] == ["precision", "recall"]
    assert "each sample's 5 nearest others need more than 5 samples of a kind, got 5" in said[0]


def test_without_the_leading_metric_no_checkpoint_is_best(vanilla: Make, noise: Make, run: Make, kept: Any) -> None:
    quality = small(metrics=("precision", "kid"))
    run(vanilla(), noise(count=5), 11, quality)
    assert kept.steps("quality/kid_small") and quality.best is None


class TwoModes(GanData):
    """Points of two narrow Gaussians."""

    modes = Modes(torch.tensor([[-1.0, 0.0], [1.0, 0.0]]), 0.1)

    def load(self) -> tuple[Pictures, Pictures, DataSpec]:
        points = Pictures(torch.zeros(100, 2))
        return points, points, DataSpec((2,))


class Constant(torch.nn.Module):
    """Half of the points on one mode, the others far away: one of two modes, half of high quality."""

    def __init__(self, shape: tuple[int, ...], code_dim: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, code: torch.Tensor) -> torch.Tensor:
        spots = torch.tensor([[-1.0, 0.0], [9.0, 9.0]])
        return spots[torch.arange(len(code)) % 2] + 0 * self.weight


def test_points_are_held_against_the_known_modes(adam: Side, run: Make, kept: Any) -> None:
    networks = Architecture(Constant, partial(mlp.Trunk, width=4, depth=2))
    module = VanillaGAN(DataSpec((2,)), networks, NonSaturating(), adam, adam, MovingAverage(), 4)
    data, quality = TwoModes(), Quality(count=100)
    data.setup()
    data.reals_per_iteration = 8
    run(module, data, 1, quality)
    assert kept.rows[1]["quality/modes_captured"] == 1
    assert kept.rows[1]["quality/high_quality"] == 0.5
    assert kept.rows[1]["quality/mode_kl"] == pytest.approx(torch.log(torch.tensor(2.0)).item())
    assert quality.best == Best("quality/modes_and_quality", 0.25, 1, 8)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"metrics": ("fdi",)}, "did you mean `fid`"),
        ({"metrics": ()}, "nothing"),
        ({"split": "test"}, "`split` must be reference or train, got 'test'"),
        ({"extractor": "smal"}, "did you mean `extractor=small`"),
        ({"extractor": "somebody/elses.pt"}, "only ganlab.evaluate takes one"),
        ({"resizer": "bicubic"}, "did you mean `resizer=pil-bicubic`"),
        ({"count": 0}, "`count` must be at least 1"),
    ],
)
def test_bad_settings(setting: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Quality(**setting)


def test_an_oracle_reads_pictures_of_captions_that_it_can_check(tmp_path: Path) -> None:
    """`data=shapes` knows what its captions mean: accuracy is logged for seen and for unseen combinations."""
    words = ("recipe=cgan_text2img", "data=shapes", "data.count=16", "data.held_out_count=8", "batch_size=8")
    small = ("network.generator.width=8", "network.discriminator.width=8", "callbacks.quality.extractor=small")
    quiet = [f"callbacks.{name}=null" for name in ("pictures", "collapse", "game")]
    folder = train(
        compose(
            *words, *small, *quiet, "callbacks.quality.count=20", "trainer.max_steps=2", f"run_dir={tmp_path / 'run'}"
        )
    )
    metrics = json.loads(RunFolder(folder).summary_file.read_text())["metrics"]
    assert 0 <= metrics["quality/caption_accuracy"] <= 1
    assert 0 <= metrics["quality/caption_shape_unseen"] <= 1


def test_looks_that_take_too_much_time_come_less_often(
    vanilla: Make, noise: Make, run: Make, kept: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each look takes more than a billionth of the time. 40 images are 5 iterations; the second look widens that."""
    quality = small(time_share=1e-9)
    run(vanilla(), noise(), 42, quality)
    assert kept.steps("quality/fid_small") == [5, 10, 20, 40, 42]
    told = [line for line in capsys.readouterr().err.splitlines() if "time_share" in line]
    assert [line.rsplit(" every ")[1] for line in told] == ["80 images", "160 images", "320 images", "640 images"]
    again = small()
    again.load_state_dict(quality.state_dict())
    assert again.schedule.doublings == 4
