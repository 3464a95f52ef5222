"""Parts that must fit: what is drawn apart, what its mean is, and what the pixel loss is told."""

from __future__ import annotations

import copy
from functools import partial
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import nn

from ganlab.core.averaging import MovingAverage
from ganlab.core.sides import Side
from ganlab.data.batch import to_float
from ganlab.data.drawing import lay_out
from ganlab.data.scenes import parse
from ganlab.data.stream import Stream
from ganlab.lecture.correlation import PixelLoss, judged, preferred
from ganlab.lecture.unplaced import (
    AND,
    UnplacedShapes,
    composed_answers,
    parse_caption,
    pictures,
    things_apart,
    with_some_relation,
)
from ganlab.networks.text import WordEncoder
from ganlab.variants import ConditionalGAN


@pytest.fixture(scope="module")
def unplaced():
    data = UnplacedShapes(count=200, held_out_count=40)
    data.setup()
    return data


def test_captions_tell_the_things_and_no_place(unplaced):
    for caption in unplaced.train.condition[:20]:
        scene = parse_caption(caption)
        assert len(scene.things) == 2 and scene.relation is None
        assert AND.join(map(str, scene.things)) == caption
    assert not {"above", "below", "left", "right"} & set(unplaced.spec.vocabulary)


def test_a_mismatched_caption_tells_other_things(unplaced):
    """In whichever order: 'A and B' is what 'B and A' is."""
    batch = unplaced.train.batch(np.arange(200), np.random.default_rng(0))
    pairs = zip(batch.condition, batch.mismatched, strict=True)
    assert all(set(parse_caption(own).things) != set(parse_caption(other).things) for own, other in pairs)


def test_pictures_show_what_the_captions_tell(unplaced):
    captions = list(unplaced.reference.condition)
    images = to_float(unplaced.reference.get(slice(0, 40)))
    found = judged(images, images, captions)
    assert found["all"] == found["count"] == found["shape"] == 1
    assert (found["steepness"], found["pixel_error"]) == (1, 0)
    wrong = judged(images, images, captions[1:] + captions[:1])
    assert wrong["all"] < 0.25 and wrong["count"] == 1


def test_relations_are_drawn_as_the_data_draw_them():
    scene = parse_caption("a large red circle and a large blue triangle")
    drawn = [with_some_relation(scene, np.random.default_rng(i)) for i in range(400)]
    assert {one.things for one in drawn} == {scene.things}
    counts = [sum(one.relation == relation for one in drawn) for relation in ("above", "below", "left of", "right of")]
    assert sum(counts) == 400 and all(70 < count < 130 for count in counts)


def test_things_apart_are_each_where_one_answer_has_them():
    scenes = [parse("a small red circle above a large blue square")] * 5
    one, other = (lay_out(scenes, np.random.default_rng(i)) for i in range(2))
    mixed = things_apart(one, other)
    assert np.array_equal(mixed.center[:, 0], one.center[:, 0])
    assert np.array_equal(mixed.center[:, 1], other.center[:, 1])
    assert np.array_equal(mixed.diameter, one.diameter)


def test_what_is_drawn_apart_does_not_fit_and_the_mean_shows_nothing(unplaced):
    """And a right answer is twice as far from another, in squares, as their mean is: E|x - y|^2 = 2 E|x - E x|^2."""
    captions = list(unplaced.reference.condition)
    true = to_float(unplaced.reference.get(slice(0, 40)))
    rows = composed_answers([parse_caption(caption) for caption in captions], seed=0)
    found = {name: judged(images, true, captions) for name, images in rows.items()}
    assert found["another right answer"]["all"] == 1
    assert found["halves drawn apart"]["all"] < 0.5 < found["things placed apart"]["all"] < 1
    assert found["mean of right answers"]["count"] < 0.1 and found["mean of right answers"]["steepness"] < 0.2
    ratio = found["another right answer"]["pixel_error"] / found["mean of right answers"]["pixel_error"]
    assert ratio == pytest.approx(2, rel=0.15)


def test_halves_are_halves():
    scenes = [parse_caption("a large red circle and a large blue triangle")] * 3
    rows = composed_answers(scenes, seed=0)
    assert torch.equal(rows["halves drawn apart"][..., :16], rows["another right answer"][..., :16])
    assert not torch.equal(rows["halves drawn apart"][..., 16:], rows["another right answer"][..., 16:])


def test_preference_is_a_share_of_pairs():
    """Judged by brightness: 2 of 4 true pictures are brighter, one is as bright; (1 + 1 + 1/2 + 0) / 4."""
    game = Mock(spec=ConditionalGAN)
    game.critic.side_effect = lambda images, captions: images.flatten(1).mean(1)
    true, images = (torch.tensor(levels).view(4, 1, 1, 1) for levels in ([0.5, 0.5, 0.5, 0.5], [0.1, 0.2, 0.5, 0.9]))
    assert preferred(game, true, images, ["a caption"] * 4) == pytest.approx(0.625)


# The pixel loss ------------------------------------------------------------------------------------------------------


def test_the_pixel_loss_is_the_plain_loop(noise, trainer, plain, record):
    """Gradient descent on the squared error of the conditional generator, four iterations by hand."""
    data = noise(captions=4)
    torch.manual_seed(0)
    listener = partial(WordEncoder, data.spec.vocabulary, 4, width=8, buckets=16)
    side = Side(partial(torch.optim.SGD, lr=0.1))
    module = PixelLoss(data.spec, plain, listener, side, MovingAverage(half_life=0), latent_dim=4)
    twin, latents = copy.deepcopy(module.generator), record(module)
    trainer(4).fit(module, data)
    for i in range(4):
        batch = Stream(noise(captions=4).train, 8).at(i)
        loss = nn.functional.mse_loss(twin(latents[i], batch.condition), to_float(batch.images))
        found = torch.autograd.grad(loss, list(twin.parameters()), allow_unused=True)
        for parameter, gradient in zip(twin.parameters(), found, strict=True):
            if gradient is not None:
                parameter.data.sub_(0.1 * gradient)
    torch.testing.assert_close(dict(module.generator.state_dict()), dict(twin.state_dict()), rtol=1e-4, atol=1e-6)
    latent = module.draw_latent(2)
    assert torch.equal(module.sample(latent, ["thing 1", "thing 2"]), module.average(latent, ["thing 1", "thing 2"]))
    assert module.held_out_report(next(iter(data.train_dataloader())))["error"] > 0


def test_its_best_answer_is_the_mean():
    """Of pictures by the hundred, the constant with the least squared error is their mean, and no one of them."""
    scenes = [parse("a small red circle")] * 100
    images = pictures(lay_out(scenes, np.random.default_rng(0)))

    def error(answer):
        return float((images - answer).square().mean())

    best = error(images.mean(0))
    assert all(error(one) > 1.5 * best for one in images[:10])
    assert error(images.mean(0) + 0.01) > best
