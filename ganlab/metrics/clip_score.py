"""CLIPScore: the agreement of pictures with their captions, by torchmetrics and a CLIP of transformers.

torchmetrics 1.9 clips the mean at zero; the paper clips each score (Hessel et al. 2021). This file calls torchmetrics
pair by pair, as in the paper. Its scale is 100 cos; the paper's is 2.5 cos.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from ganlab.metrics.features import as_colour
from ganlab.metrics.metric import CAPTIONS, HIGHER, Result, SampleMetric, Samples, Target
from ganlab.metrics.spread import Estimate, mean_estimate
from ganlab.networks.weights import UnavailableError, refuse_silence

MODEL = "openai/clip-vit-large-patch14"


class PlainFeatures(nn.Module):
    """A transformers CLIP whose features are tensors, as torchmetrics expects; transformers 5 wraps them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.config = model, model.config

    def get_image_features(self, *args: Any) -> Tensor:
        """Return picture features (N, D)."""
        return _tensor(self.model.get_image_features(*args))

    def get_text_features(self, *args: Any) -> Tensor:
        """Return caption features (N, D)."""
        return _tensor(self.model.get_text_features(*args))


def _tensor(found: Any) -> Tensor:
    return found if isinstance(found, Tensor) else found.pooler_output


def clip_score(images: Tensor, captions: Sequence[str], model: Any, processor: Any) -> Estimate:
    """Return the mean of max(100 cos, 0) over pictures uint8 (N, C, H, W) and their captions, and its standard error.

    `model`, `processor`: transformers' CLIPModel and CLIPProcessor, or of their kind. 0 to 100; captions are cut at the
    model's longest (77 tokens). Raise `ValueError` unless there is a caption for each picture.
    """
    return mean_estimate(clip_scores(images, captions, model, processor))


def clip_scores(images: Tensor, captions: Sequence[str], model: Any, processor: Any) -> Tensor:
    """Return max(100 cos, 0) of each picture and its caption (N,)."""
    from torchmetrics.functional.multimodal import clip_score as of_pair

    if len(images) != len(captions):
        raise ValueError(f"a CLIPScore needs a caption a picture, got {len(images)} and {len(captions)}")
    plain = PlainFeatures(model).eval()
    with torch.no_grad():
        pairs = zip(as_colour(images), captions, strict=True)
        return torch.stack([of_pair(*pair, lambda: (plain, processor)).cpu() for pair in pairs])  # type: ignore


def clip_model(name: str = MODEL) -> tuple[Any, Any]:
    """Return the model and its processor, from the hub's cache or the net. Raise `UnavailableError` if both fail."""
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


class ClipScore(SampleMetric):
    """CLIPScore of the samples and their captions, 0 to 100; needs a download of 1.7 GB."""

    name = "clip_score"
    better = HIGHER
    needs = (CAPTIONS,)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.model, self.processor = clip_model()

    def look(self, samples: Samples) -> Tensor:
        """Keep the score of each picture (N,)."""
        return clip_scores(samples.images, self.target.captions(samples.places), self.model, self.processor)

    def compute(self) -> Result:
        """Return the mean with its standard error."""
        scores = self.rows.values
        return Result.mean(scores, clip=MODEL, cut="each score at 0", fakes=len(scores))
