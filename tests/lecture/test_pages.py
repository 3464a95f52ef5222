"""The lecture's pages: they name what there is, and the committed numbers bear out what the claims need."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest

from ganlab.lecture.catalog import experiments

PAGES = Path(__file__).parent.parent.parent / "docs" / "lecture"
PICTURES = PAGES / "pictures"
pages = pytest.mark.parametrize("page", sorted(PAGES.glob("*.md")), ids=lambda page: page.stem)
numbers = pytest.mark.parametrize("file", sorted(PICTURES.glob("*.json")), ids=lambda file: file.stem)


@pages
def test_a_page_shows_pictures_and_links_pages_that_there_are(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)|<img[^>]* src=\"([^\"]+)\"", page.read_text())
    local = [a or b for a, b in links if not (a or b).startswith("http")]
    scripts = re.findall(r"<script src=\"([^\"]+)\"", page.read_text())  # from the built page, a folder deeper
    missing = [link for link in local if not (page.parent / link).is_file()]
    missing += [link for link in scripts if not (page.parent / page.stem / link).resolve().is_file()]
    assert missing == []


@pages
def test_a_page_names_experiments_that_there_are(page):
    lines = re.findall(r"python -m ganlab\.lecture([^`\n|]*)", page.read_text())
    named = {word for line in lines for word in line.partition("#")[0].split() if re.fullmatch("[a-z_]+", word)}
    assert named <= set(experiments())


def test_every_page_is_in_the_table():
    table = (PAGES / "index.md").read_text()
    assert [page.name for page in PAGES.glob("*.md") if page.stem != "index" and f"({page.name})" not in table] == []


@numbers
def test_numbers_say_how_they_were_measured(file):
    content = json.loads(file.read_text())
    assert content["experiment"] == file.stem and file.stem in experiments()
    assert content["command"] == f"python -m ganlab.lecture {file.stem} seed={content['seed']}"
    assert content["seconds"] > 0 and content["versions"]["torch"] and content["numbers"]
    assert list(PICTURES.glob(f"{file.stem}.*g*")), "a picture of the same name"


def test_pictures_are_of_reasonable_size():
    limits = {".png": 150_000, ".svg": 150_000, ".gif": 1_000_000, ".json": 100_000}
    assert [file.name for file in PICTURES.iterdir() if file.stat().st_size > limits[file.suffix]] == []


# The claims, by their committed numbers ---------------------------------------------------------------------------


def measured(name):
    return json.loads((PICTURES / f"{name}.json").read_text())["numbers"]


def test_gradients():
    """sigmoid(-10) = 4.5398e-5 and 1 - sigmoid(-10) = 0.9999546."""
    slopes = measured("gradients")["slope_at_logit_-10"]
    assert slopes["minimax"] == pytest.approx(4.5398e-5, rel=1e-3)
    assert slopes["nonsaturating"] == pytest.approx(0.9999546, abs=1e-6)


@pytest.mark.parametrize("distance", ["0.5", "1", "2", "4"])
def test_meter_is_exact_to_five_percent(distance):
    row = measured("meter")["gaussians"][distance]
    assert abs(row["held_out"] / row["exact"] - 1) < 0.05


def test_jsd_stays_and_w1_grows():
    """Lines at distance theta: log 2 at any but zero, and theta, which a critic reads to 3 %."""
    for theta, row in measured("wasserstein")["lines"].items():
        assert row["jsd_read"] == pytest.approx(math.log(2) if float(theta) else 0, abs=1e-3)
        assert row["w1_read"]["normalized"] == pytest.approx(float(theta), rel=0.03, abs=0.01)


def test_a_penalized_critic_reads_what_is_predicted_of_it():
    for row in measured("wasserstein")["penalty_weight_at_shift_2"].values():
        assert row["read"] == pytest.approx(row["predicted"], rel=0.04)


def test_too_many_generator_turns():
    """Each seed of 1:20 ends at twice the divergence of any seed of 1:1 or 5:1."""
    seeds = {name: row["true_by_seed"] for name, row in measured("turns")["last_quarter"].items()}
    best = max(seeds["discriminator 1, generator 1"] + seeds["discriminator 5, generator 1"])
    assert min(seeds["discriminator 1, generator 20"]) > 2 * best


@pytest.mark.parametrize(
    ("fit", "mean", "deviation"),
    [("kl, from 1", 0, 4.25**0.5), ("reverse_kl, from 1", 2, 0.5), ("reverse_kl, from -1", -2, 0.5)],
)
@pytest.mark.parametrize("way", ["direct", "game"])
def test_one_gaussian_covers_or_chooses(fit, mean, deviation, way):
    found = measured("covering")["one_gaussian"][fit][way]
    assert found["mean"] == pytest.approx(mean, abs=0.1) and found["deviation"] == pytest.approx(deviation, rel=0.05)


def test_the_animated_game_gets_there():
    divergence = list(measured("animation")["true_jsd"].values())
    assert divergence == sorted(divergence, reverse=True) and divergence[-1] < 0.03


def test_smooth_games_find_the_ring_and_minimax_without_a_penalty_does_not():
    """All but Neyman's divergence, which the page names."""
    ring = {name: row["modes"] for name, row in measured("modes")["ring"].items()}
    smooth = [name for name in ring if "no penalty" not in name and "neyman" not in name]
    assert len(smooth) == 13 and all(ring[name] == [8, 8, 8] for name in smooth)
    assert max(ring["minimax, no penalty"]) <= 2


def test_a_mean_is_the_best_answer_by_pixels_and_no_answer_at_all():
    """E[x | caption] has half the squared error of a right answer, whose error is twice the variance."""
    answers = measured("correlation")["answers"]
    assert answers["pixel loss"]["pixel_error"] == pytest.approx(
        answers["mean of right answers"]["pixel_error"], rel=0.05
    )
    assert answers["pixel loss"]["pixel_error"] < answers["another right answer"]["pixel_error"] / 2
    assert answers["pixel loss"]["all"] == 0 and answers["adversarial"]["all"] > 0.7


@pytest.mark.parametrize("objective", ["least squares", "minimax"])
def test_a_run_that_went_back_ends_near_its_best(objective):
    runs = measured("collapse")
    left_alone = next(row for name, row in runs.items() if name.startswith(f"{objective}, rate"))
    back = runs[f"{objective}, going back"]
    assert back["fid_last"] < 1.5 * back["fid_best"] and left_alone["fid_last"] > 10 * left_alone["fid_best"]


def test_every_collapse_is_noticed_and_nothing_else():
    for name, row in measured("collapse").items():
        assert bool(row["alarms"]) == (row["fid_doubled_at"] is not None), name


def test_two_stages_beat_one_that_had_more_time():
    two, one = (measured("stages")[name] for name in ("two stages", "one stage"))
    assert two["processor_seconds"] < one["processor_seconds"]
    assert two["fid_small"] < one["fid_small"] and two["r_precision"] > 3 * one["r_precision"]


def test_adversarial_losses_draw_sharper_pictures_and_pixel_losses_copy_better():
    found = measured("autoencoders")
    drawn = {name.partition(":")[0]: row["steepness"] for name, row in found.items() if name.endswith("drawn")}
    assert min(drawn["GAN"], drawn["VAE-GAN"]) > 1.5 * max(
        drawn["autoencoder"], drawn["VAE"], drawn["VAE with KL x 16"]
    )
    assert found["VAE: again"]["pixel_error"] < found["VAE-GAN: again"]["pixel_error"] / 10


def test_a_blind_discriminator_is_not_obeyed_and_separate_questions_are():
    """In every seed; 36 captions make chance 3 %."""
    obeyed = {name: row["caption_accuracy"] for name, row in measured("heads").items()}
    assert max(obeyed["blind"]) < 0.1
    assert min(obeyed["separate"]) > max(obeyed["joint"]) > 5 * max(obeyed["blind"])


def test_patches_of_34_are_as_good_as_the_whole_picture():
    found = {name: row["fid_small"] for name, row in measured("patches").items() if name not in ("held_out", "runs")}
    assert found["patch of 34"] == pytest.approx(found["whole picture"], rel=0.05)
    assert found["patch of 34"] < 0.85 * min(found["L1 alone"], found["pixel"])
