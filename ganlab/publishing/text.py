"""The reading of captions, beside a program of the generator: stored embeddings, and the trained part as ONNX.

captions.npz   captions, and the embedding (dim,) of each for the latent of seed 0: what generator.onnx takes
encoder.json   the sentence encoder's name
text.onnx      a sentence's vector and a latent -> the embedding
encoder.safetensors   the same weights as tensors
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from ganlab.core.generative import GenerativeModule
from ganlab.files.durable import atomic_write
from ganlab.files.packaged import is_packaged
from ganlab.networks.conditioning import ConditionEncoder
from ganlab.networks.text import CaptionEncoder, SentenceEncoder
from ganlab.publishing.painter import embedding, encoders
from ganlab.publishing.programs import quiet, write_onnx
from ganlab.sampling.drawing import latents

CAPTIONS_FILE, ENCODER_FILE, WEIGHTS_FILE, TEXT_FILE = (
    "captions.npz",
    "encoder.json",
    "encoder.safetensors",
    "text.onnx",
)
PACKAGED = "sentence-transformers/all-MiniLM-L6-v2"


class TextProjection(nn.Module):
    """Sentence vectors (N, S), latents (N, latent_dim) -> embeddings (N, dim) of the encoders, side by side."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.readers = nn.ModuleList(encoder for _, encoder in encoders(network))

    def forward(self, sentence: Tensor, latent: Tensor) -> Tensor:
        """Return the embeddings of all encoders."""
        scaled = sentence * sentence.shape[1] ** 0.5
        return torch.cat([encoder.read(scaled, latent) for encoder in self.readers], 1)  # type: ignore[operator]


def write_text(module: GenerativeModule, captions: Sequence[str], folder: Path, onnx: bool) -> dict[str, Any]:
    """Write the files of a model that reads captions. Return facts for `config.json`."""
    network, captions = module.average, list(dict.fromkeys([*module.spec.prompts, *captions]))
    parts = encoders(network)
    if captions:
        content = io.BytesIO()
        embedded = embedding(network, captions, latents(module, [0] * len(captions)))
        np.savez(content, captions=np.array(captions), embedding=embedded.cpu().numpy())
        atomic_write(folder / CAPTIONS_FILE, content.getvalue())
    tensors = {f"{name}.{key}": value for name, part in parts for key, value in part.state_dict().items()}
    atomic_write(folder / WEIGHTS_FILE, save({name: value.cpu().contiguous() for name, value in tensors.items()}))
    atomic_write(folder / ENCODER_FILE, json.dumps(_described(parts), indent=2) + "\n")
    facts = {"captions": len(captions), "embedding": sum(part.dim for _, part in parts)}
    return {**facts, **(_write_projection(module, captions or ["a picture"], folder) if onnx else {})}


def _described(parts: Sequence[tuple[str, ConditionEncoder]]) -> dict[str, Any]:
    """Return the classes of encoders, the name of the sentence encoder, and the words that a trained one knows."""
    first = parts[0][1]
    encoder = _sentence_encoder(first)
    model = encoder.sentences.model if encoder else None
    return {
        "encoders": {name: type(part).__name__ for name, part in parts},
        "sentence_encoder": (PACKAGED if is_packaged(model) else model) if encoder else None,
        "known_words": list(getattr(first, "vocabulary", ())),
    }


def _sentence_encoder(encoder: ConditionEncoder) -> SentenceEncoder | None:
    """Return the part that reads sentences by a frozen model, if there is one."""
    part = encoder.sentence if isinstance(encoder, CaptionEncoder) else encoder
    return part if isinstance(part, SentenceEncoder) else None


def _write_projection(module: GenerativeModule, captions: Sequence[str], folder: Path) -> dict[str, Any]:
    """Write `text.onnx` if a frozen sentence encoder reads the captions. Return its difference from the encoders."""
    first = encoders(module.average)[0][1]
    sentence_encoder = _sentence_encoder(first)
    if sentence_encoder is None:
        return {"text": f"{type(first).__name__} is trained whole: only stored captions can be drawn without ganlab"}
    import onnxruntime

    sentences = torch.stack(sentence_encoder.sentences.vectors(captions, torch.device("cpu")))
    latent = latents(module, range(len(captions)))
    with quiet(), torch.no_grad():
        projection = TextProjection(module.average).eval()
        example = [sentences[:1].repeat(3, 1), latent[:1].repeat(3, 1)]
        write_onnx(projection, example, ["sentence", "latent"], "embedding", folder / TEXT_FILE)
    session = onnxruntime.InferenceSession(folder / TEXT_FILE, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"sentence": sentences.numpy(), "latent": latent.numpy()})
    own = embedding(module.average, captions, latent)
    return {"text": TEXT_FILE, "largest_difference_of_embeddings": float((torch.from_numpy(found) - own).abs().max())}
