"""The experiment `stages`: what is compared differs in the stages alone, and what it counts is what it says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from ganlab.config.recipe import compose
from ganlab.files.run_folder import RunFolder
from ganlab.lecture.stages import JOBS, ONE_STAGE, cost, sizes
from ganlab.variants import VanillaGAN


def test_both_play_by_the_same_rules() -> None:
    two, one = (compose(*JOBS[name]) for name in ("two stages", "one stage"))
    for key in ("objective", "head", "condition", "batch_size", "average", "seed", "gamma", "match_weight", "data"):
        assert two[key] == one[key], key
    for side in ("generator", "discriminator"):
        assert two[side]["optimizer"] == one[side]["optimizer"]
        assert two[side]["regularizers"] == one[side]["regularizers"]
        assert two[side]["scheduler"]["hold"] == one[side]["scheduler"]["hold"]
    assert two["variant"]["stage_two"]["discriminator"] == one["network"]["discriminator"]
    assert two["variant"]["stage_two"]["generator"]["width"] == one["network"]["generator"]["width"]
    assert one["trainer"]["max_steps"] == ONE_STAGE


def test_a_recipes_stages_fill_it() -> None:
    """The rates' stages are the run's, and the discriminator's are the generator's."""
    recipe = compose("recipe=stackgan", "variant.stage_one_iterations=700", "trainer.max_steps=900")
    assert recipe["generator"]["scheduler"]["ends"] == recipe["discriminator"]["scheduler"]["ends"] == [700, 900]


def test_the_processors_time_is_that_of_all_stages(tmp_path: Path) -> None:
    """300 iterations of 0.1 s and 200 of 0.6 s: 150 s."""
    content = {"recipe": "", "iterations": 500, "images_seen": 16_000, "seconds": 99.5, "metrics": {}, "checkpoint": ""}
    (tmp_path / "summary.json").write_text(json.dumps(content))
    found = cost(RunFolder(tmp_path), [(300, 0.1), (200, 0.6)])
    assert found["processor_seconds"] == pytest.approx(150)
    assert (found["iterations"], found["seconds"]) == (500, 99.5)


def test_parameters_are_counted_by_side(vanilla) -> None:  # type: ignore[no-untyped-def]
    module: VanillaGAN = vanilla()
    found = sizes(module)
    assert found["generator_parameters"] == len(torch.nn.utils.parameters_to_vector(module.generator.parameters()))
    assert found["discriminator_parameters"] == len(
        torch.nn.utils.parameters_to_vector(module.discriminator.parameters())
    )
