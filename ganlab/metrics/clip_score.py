"""CLIPScore: how well pictures fit their captions, by torchmetrics and a CLIP of transformers.

torchmetrics 1.9 cuts the mean off at zero; the paper cuts every score (Hessel et al. 2021). Here torchmetrics is asked
pair by pair, which is the paper's. Its scale is 100 cos, not the paper's 2.5 cos.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.metrics.features import as_colour
from ganlab.metrics.frechet import Estimate
from ganlab.metrics.spread import standard_error
from ganlab.networks.weights import UnavailableError, refuse_silence

MODEL = "openai/clip-vit-large-patch14"


class PlainFeatures(nn.Module):
    """A transformers CLIP whose features are tensors, as torchmetrics expects; transformers 5 wraps them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def get_image_features(self, *args: Any) -> Tensor:
        return _tensor(self.model.get_image_features(*args))

    def get_text_features(self, *args: Any) -> Tensor:
        return _tensor(self.model.get_text_features(*args))


def _tensor(found: Any) -> Tensor:
    return found if isinstance(found, Tensor) else found.pooler_output


def clip_score(images: Tensor, captions: Sequence[str], model: Any, processor: Any) -> Estimate:
    """Mean of max(100 cos, 0) over pictures uint8 (N, C, H, W) and the captions they were to show, and its error.

    `model`, `processor`: transformers' CLIPModel and CLIPProcessor, or of their kind. 0 to 100; captions end at the
    model's longest (77 tokens). `ValueError` unless there is a caption a picture.
    """
    from torchmetrics.functional.multimodal import clip_score as of_pair

    if len(images) != len(captions):
        raise ValueError(f"a CLIPScore needs a caption a picture, got {len(images)} and {len(captions)}")
    plain = PlainFeatures(model).eval()
    with torch.no_grad():
        pairs = zip(as_colour(images), captions, strict=True)
        scores = torch.stack([of_pair(*pair, lambda: (plain, processor)).cpu() for pair in pairs])  # type: ignore
    return Estimate(float(scores.mean()), standard_error(scores))


def clip_model(name: str = MODEL) -> tuple[Any, Any]:
    """The model and its processor, from the hub's cache or the net; `UnavailableError` where there is neither."""
    try:
        from transformers import CLIPModel, CLIPProcessor
    except ImportError as error:
        raise UnavailableError(f"CLIPScore needs transformers ({error}): pip install ganlab[text]") from error
    for cached in (True, False):
        if not cached:
            refuse_silence("CLIP", f"https://huggingface.co/{name}")
        try:
            parts = (CLIPModel, CLIPProcessor)
            model, processor = (part.from_pretrained(name, local_files_only=cached) for part in parts)
            return model, processor
        except OSError as error:
            complaint = str(error).splitlines()[0]
    raise UnavailableError(f"the CLIP weights cannot be had ({complaint})")
