"""Each way of resizing is its reference's, pixel by pixel."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from ganlab.metrics.resizers import WAYS, AsTheyAre, Resizer


def pictures(height: int, width: int, seed: int = 0) -> torch.Tensor:
    shape = (2, 3, height, width)
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.mark.parametrize("size", [(32, 32), (40, 17), (400, 350)])
def test_tf1_is_torch_fidelitys(size: tuple[int, int]):
    x = pictures(*size)
    theirs = interpolate_bilinear_2d_like_tensorflow1x(x.float(), size=(299, 299), align_corners=False)
    torch.testing.assert_close(Resizer("tf1", 299)(x), theirs, rtol=0, atol=2e-4)


def test_tf1_has_its_corner_at_zero():
    """Doubling 0, 100: places 0, 1/2, 1, 3/2 and nothing beyond the last pixel, so 0, 50, 100, 100."""
    row = torch.tensor([0, 100], dtype=torch.uint8).expand(1, 1, 2, 2)
    assert Resizer("tf1", 4)(row)[0, 0, 0].tolist() == [0, 50, 100, 100]


@pytest.mark.parametrize("size", [(32, 32), (64, 21), (500, 480)])
def test_pil_bicubic_is_pillows_on_float_channels(size: tuple[int, int]):
    x = pictures(*size)
    channels = [Image.fromarray(c.numpy().astype(np.float32)) for c in x[0]]
    theirs = np.stack([np.asarray(c.resize((299, 299), Image.Resampling.BICUBIC)) for c in channels]).clip(0, 255)
    np.testing.assert_allclose(Resizer("pil-bicubic", 299)(x)[0].numpy(), theirs, atol=0.01)


def test_antialiasing_makes_a_fine_checkerboard_grey_and_tf1_does_not():
    """A checkerboard of single pixels, 64 to 16: its mean 127.5 everywhere, or every fourth pixel as it was."""
    board = ((torch.arange(64)[:, None] + torch.arange(64)) % 2 * 255).to(torch.uint8).expand(1, 3, 64, 64)
    inner = Resizer("antialias", 16)(board)[..., 2:-2, 2:-2]
    torch.testing.assert_close(inner, torch.full_like(inner, 127.5), rtol=0, atol=0.01)
    assert Resizer("tf1", 16)(board).unique().tolist() == [0.0]


@pytest.mark.parametrize("way", list(WAYS))
def test_pictures_of_the_right_size_are_left_alone(way: str):
    assert torch.equal(Resizer(way, 32)(pictures(32, 32)), pictures(32, 32).float())


def test_what_they_call_themselves():
    assert str(Resizer("pil-bicubic", 224)) == "pil-bicubic 224x224"
    assert str(AsTheyAre()) == "none" and torch.equal(AsTheyAre()(pictures(4, 5)), pictures(4, 5))
