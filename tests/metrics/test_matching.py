"""R-precision's ties, keys and chance level; a matcher that learns, and comes back from disk."""

import math

import pytest
import torch

from ganlab.data.pictures import Pictures
from ganlab.metrics.matching import Matcher, contrast, hit_probability, r_precision, train_matcher


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_perfect_encoder_always_hits():
    vectors = torch.randn(150, 32, generator=random())
    assert r_precision(vectors, vectors, range(150)).value == 1


def test_a_constant_encoder_never_hits():
    """All ties: counted as hits they would make it perfect."""
    assert r_precision(torch.randn(150, 8, generator=random()), torch.ones(150, 8), range(150)).value == 0


def test_guessing_hits_one_time_in_a_hundred():
    found = [
        r_precision(torch.randn(400, 8, generator=random(s)), torch.randn(400, 8, generator=random(99 + s)), range(400))
        for s in range(10)
    ]
    assert sum(one.value for one in found) / 10 == pytest.approx(0.01, abs=0.005)


def test_it_is_the_mean_over_all_draws_of_candidates():
    """Beaten by 2 of 5 others, 3 drawn: C(3, 3) / C(5, 3) = 1/10; by 3 of 5: impossible; by none: certain."""
    found = hit_probability(torch.tensor([2, 3, 0]), 5, 3)
    torch.testing.assert_close(found, torch.tensor([0.1, 0.0, 1.0], dtype=torch.float64))


def test_captions_of_the_same_key_are_no_rivals():
    """Two pictures of each concept with equal captions: both captions fit both, and both pictures hit."""
    vectors = torch.randn(120, 16, generator=random()).repeat(2, 1)
    result = r_precision(vectors, vectors, [*range(120), *range(120)])
    assert result.value == 1 and result.protocol["captions"] == 120 and result.protocol["images"] == 240


def test_too_few_captions_are_refused():
    with pytest.raises(ValueError, match="at most 2"):
        r_precision(torch.eye(3), torch.eye(3), ["a", "a", "b"])


def test_contrast_of_knowing_nothing_is_log_of_the_batch():
    """Equal similarities of 4 pictures: log 4; where two share a caption, each of theirs has 3 rivals left: log 3."""
    assert contrast(torch.zeros(4, 4), torch.arange(4)).item() == pytest.approx(math.log(4))
    expected = (math.log(4) + math.log(3)) / 2
    assert contrast(torch.zeros(4, 4), torch.tensor([0, 0, 1, 2])).item() == pytest.approx(expected)


def coloured(count: int) -> tuple[torch.Tensor, list[str]]:
    """Plain pictures of eight colours, a little noisy, with the names of the channels that are on."""
    codes = torch.arange(count) % 8
    on = torch.stack([(codes >> bit) & 1 for bit in range(3)], 1)
    noise = torch.randint(0, 40, (count, 3, 16, 16), generator=random())
    names = [" ".join(w for w, bit in zip(("red", "green", "blue"), row, strict=True) if bit) for row in on.tolist()]
    return (on[:, :, None, None] * 200 + noise).to(torch.uint8), names


@pytest.fixture(scope="module")
def trained() -> tuple[Matcher, torch.Tensor]:
    before = torch.random.get_rng_state()
    images, captions = coloured(64)
    matcher = train_matcher(Pictures(images, captions), steps=40, batch=16)
    return matcher, before


def test_a_matcher_learns_and_leaves_the_global_random_state(trained):
    matcher, before = trained
    images, captions = coloured(80)
    assert matcher.r_precision(images[:64], captions[:64], candidates=8).value > 0.9
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_matcher_comes_back_from_disk_without_running_code(trained, tmp_path):
    matcher, _ = trained
    torch.save(matcher.stored(), tmp_path / "matcher.pt")
    back = Matcher.restored(torch.load(tmp_path / "matcher.pt", weights_only=True))
    images, captions = coloured(8)
    torch.testing.assert_close(back.images(images), matcher.images(images))
    torch.testing.assert_close(back.texts(captions), matcher.texts(captions))


def test_training_a_matcher_says_how_far_it_is(monkeypatch, capsys):
    monkeypatch.setattr("ganlab.data.progress.QUIET", 0.0)
    images, captions = coloured(16)
    train_matcher(Pictures(images, captions), steps=3, batch=8)
    assert "training the matcher, steps: 1/3" in capsys.readouterr().err


def test_a_matcher_without_captions_is_refused():
    with pytest.raises(ValueError, match="captioned pictures, got Tensor"):
        train_matcher(Pictures(coloured(8)[0], torch.arange(8)))
