"""The second stage's network, and what lies between the stages."""

import pytest
import torch

from ganlab.errors import UserError
from ganlab.networks.stack import FACTOR, Refiner, enlarge, shrink, small_shape


@pytest.mark.parametrize("side", [64, 128, 256])
def test_four_times_the_side(side):
    with torch.device("meta"):
        refiner = Refiner((3, side, side), 5, width=4)
        pictures = refiner(torch.zeros(2, *small_shape((3, side, side))), torch.zeros(2, 5))
    assert pictures.shape == (2, 3, side, side)


def test_every_place_and_resolution_hears_the_code_and_sees_the_picture():
    torch.manual_seed(0)
    refiner = Refiner((3, 64, 64), 5, width=4).eval()
    small, code = torch.rand(2, 3, 16, 16) * 2 - 1, torch.randn(2, 5)
    pictures = refiner(small, code)
    assert pictures.abs().max() <= 1
    for others in ((small.flip(0), code), (small, code.flip(0))):
        assert (refiner(*others) - pictures).abs().amax((0, 1)).min() > 0


def test_without_a_correction_the_picture_is_the_small_one_enlarged():
    """tanh(atanh(0.95 x)) = 0.95 x."""
    torch.manual_seed(0)
    refiner, small = Refiner((3, 64, 64), 5, width=4), torch.rand(2, 3, 16, 16) * 2 - 1
    torch.nn.init.zeros_(refiner.to_correction.weight)
    torch.testing.assert_close(refiner(small, torch.randn(2, 5)), 0.95 * enlarge(small))


def test_what_is_seen_goes_around_the_bottleneck():
    """With nothing coming out of the bottleneck a pixel still changes the picture, and that near itself only."""
    torch.manual_seed(0)
    refiner, code = Refiner((3, 64, 64), 5, width=4).eval(), torch.randn(1, 5)
    for layer in (refiner.back[1].conv2, refiner.back[1].skip):
        torch.nn.init.zeros_(layer.weight)
    small = torch.zeros(1, 3, 16, 16)
    small[..., 8, 8] = 1
    changed = (refiner(small, code) - refiner(torch.zeros_like(small), code)).abs().amax((0, 1)) > 1e-6
    assert changed[32:36, 32:36].all()
    assert not changed[:16].any()
    assert not changed[:, 56:].any()


def test_shrinking_is_the_mean_of_each_square():
    """Rows of 0 .. 15 in fours: 1.5, 5.5, 9.5, 13.5; and nothing happens to what has the size already."""
    images = torch.arange(16.0).expand(1, 1, 16, 16)
    small = shrink(images, 4)
    assert small[0, 0].tolist() == [[1.5, 5.5, 9.5, 13.5]] * 4
    assert shrink(small, 4) is small


def test_enlarging_keeps_range_and_mean():
    """Halfway between two pixels of a row lies their mean; a constant stays one."""
    torch.manual_seed(0)
    small = torch.rand(2, 3, 16, 16) * 2 - 1
    large = enlarge(small)
    assert large.shape == (2, 3, FACTOR * 16, FACTOR * 16)
    assert small.min() <= large.min() and large.max() <= small.max()
    row = enlarge(torch.tensor([0.0, 8.0]).expand(1, 1, 2, 2))[0, 0, 0]
    assert row.tolist() == [0, 0, 1, 3, 5, 7, 8, 8]
    assert torch.equal(enlarge(torch.ones(1, 3, 4, 4)), torch.ones(1, 3, 16, 16))


@pytest.mark.parametrize("shape", [(3, 32, 32), (3, 48, 48)])
def test_sizes_that_have_no_quarter_are_refused(shape):
    with pytest.raises(UserError, match="must be"):
        Refiner(shape, 5)
