"""CLIPScore: torchmetrics' number, each score cut off at zero, with any CLIP of transformers' kind."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganlab.metrics.clip_score import PlainFeatures, clip_model, clip_score
from ganlab.networks.weights import UnavailableError


class Clip(nn.Module):
    """A picture's direction is its mean colour less grey, a text's the colour that it names; as transformers 5 gives
    them."""

    config = SimpleNamespace()

    def get_image_features(self, pixels: Tensor) -> Any:
        return SimpleNamespace(pooler_output=pixels.mean((2, 3)) - 127.5)

    def get_text_features(self, ids: Tensor, mask: Tensor) -> Any:
        return SimpleNamespace(pooler_output=2.0 * torch.eye(3)[ids[:, 0]] - 1)


def processor(text: Any = None, images: Any = None, **_: Any) -> Any:
    if images is not None:
        return {"pixel_values": torch.stack(list(images)).float()}
    ids = torch.tensor([[("red", "green", "blue").index(one)] for one in text])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids)}


def colour(*levels: int) -> Tensor:
    return torch.tensor(levels, dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 8, 8)


def test_scores_are_cut_off_one_by_one():
    """Red against "red": cos 1, 100. Cyan against "red": cos -1, cut to 0, so the mean is 50 and not max(0, 0) = 0."""
    images = torch.cat([colour(255, 0, 0), colour(0, 255, 255)])
    found = clip_score(images, ["red", "red"], Clip(), processor)
    assert found.value == pytest.approx(50, abs=1e-4) and found.spread == pytest.approx(50, abs=1e-4)


def test_a_third_of_the_way():
    """Red (1, -1, -1) and "blue" (-1, -1, 1): cos = -1/3; white and "red": (1 - 1 - 1) / 3 = -1/3; yellow and "red":
    (1 - 1 + 1) / 3 = 1/3."""
    found = clip_score(colour(255, 255, 0), ["red"], Clip(), processor)
    assert found.value == pytest.approx(100 / 3, abs=1e-3)
    assert clip_score(colour(255, 255, 255), ["red"], Clip(), processor).value == 0


def test_grey_pictures_and_tensors_pass_too():
    assert PlainFeatures(Clip()).get_image_features(torch.zeros(1, 3, 4, 4)).shape == (1, 3)
    assert clip_score(torch.full((2, 1, 8, 8), 255, dtype=torch.uint8), ["red", "blue"], Clip(), processor).value == 0


def test_a_caption_a_picture():
    with pytest.raises(ValueError, match="got 1 and 2"):
        clip_score(colour(0, 0, 0), ["red", "blue"], Clip(), processor)


def test_without_weights_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path):
    pytest.importorskip("transformers", reason="CLIPScore needs transformers")
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    with pytest.raises(UnavailableError, match="no CLIP weights here, and GANLAB_OFFLINE"):
        clip_model(str(tmp_path / "nowhere"))
