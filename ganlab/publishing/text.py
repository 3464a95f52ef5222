"""The reading of captions, beside a program of the generator: stored embeddings, and the trained part as ONNX.

captions.npz   captions, and the embedding (dim,) of each: what generator.onnx takes
encoder.json   the sentence encoder's name, the known words, and the inputs of text.onnx
text.onnx      a sentence's vector and the rows of its known words -> the embedding
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
from torch.nn import functional as F

from ganlab.core.generative import GenerativeModule
from ganlab.data.vocabulary import tokenize
from ganlab.files.durable import atomic_write
from ganlab.files.packaged import is_packaged
from ganlab.networks.conditioning import ConditionEncoder
from ganlab.networks.text import CaptionEncoder, SentenceEncoder, neighbours
from ganlab.publishing.painter import embedding, encoders
from ganlab.publishing.programs import OPSET, quiet

CAPTIONS_FILE, ENCODER_FILE, WEIGHTS_FILE, TEXT_FILE = (
    "captions.npz",
    "encoder.json",
    "encoder.safetensors",
    "text.onnx",
)
PACKAGED = "sentence-transformers/all-MiniLM-L6-v2"
NOTHING = -1
"""The row of no word: it fills up the rows of shorter captions."""


class TextProjection(nn.Module):
    """Sentence vectors (N, S) and rows of known words (N, L) int64 -> embeddings (N, dim), as the encoders give them.

    rows: the rows of a caption's known words, pairs and triples in the table, filled up with -1 (`rows_of`).
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.readers = nn.ModuleList(encoder for _, encoder in encoders(network))

    def forward(self, sentence: Tensor, rows: Tensor) -> Tensor:
        """Return the embeddings of all encoders side by side."""
        return torch.cat([_read(encoder, sentence, rows) for encoder in self.readers], 1)


def _read(encoder: nn.Module, sentence: Tensor, rows: Tensor) -> Tensor:
    if isinstance(encoder, SentenceEncoder):
        return encoder.normalize(encoder.linear(sentence * encoder.sentences.dim**0.5))
    assert isinstance(encoder, CaptionEncoder)
    known, there = encoder.known, (rows >= 0).to(sentence.dtype)
    words = (rows >= known.buckets).sum(1).clamp(min=1).to(sentence.dtype)
    vectors = known.table.weight[rows.clamp(min=0)] * there[:, :, None]
    return encoder.normalize(_read(encoder.sentence, sentence, rows) + vectors.sum(1) / words.sqrt()[:, None])


def rows_of(captions: Sequence[str], vocabulary: Sequence[str], buckets: int) -> Tensor:
    """Return the rows (N, L) of captions' known words, pairs and triples, filled up with -1. L is at least 1."""
    row = {word: number for number, word in enumerate(vocabulary, buckets)}
    known = [tuple(word for word in tokenize(caption) if word in row) for caption in captions]
    bags = [[*(row[word] for word in words), *neighbours(words, buckets)] for words in known]
    longest = max([1, *map(len, bags)])
    return torch.tensor([bag + [NOTHING] * (longest - len(bag)) for bag in bags])


def write_text(module: GenerativeModule, captions: Sequence[str], folder: Path, onnx: bool) -> dict[str, Any]:
    """Write the files of a model that reads captions. Return facts for `config.json`."""
    network, captions = module.average, list(dict.fromkeys([*module.spec.prompts, *captions]))
    parts = encoders(network)
    if captions:
        content = io.BytesIO()
        np.savez(content, captions=np.array(captions), embedding=embedding(network, captions).cpu().numpy())
        atomic_write(folder / CAPTIONS_FILE, content.getvalue())
    tensors = {f"{name}.{key}": value for name, part in parts for key, value in part.state_dict().items()}
    atomic_write(folder / WEIGHTS_FILE, save({name: value.cpu().contiguous() for name, value in tensors.items()}))
    atomic_write(folder / ENCODER_FILE, json.dumps(_described(parts), indent=2) + "\n")
    facts = {"captions": len(captions), "embedding": sum(part.dim for _, part in parts)}
    return {**facts, **(_write_projection(module, captions or ["a picture"], folder) if onnx else {})}


def _described(parts: Sequence[tuple[str, ConditionEncoder]]) -> dict[str, Any]:
    """Return the classes of encoders, the name of the sentence encoder, and the known words."""
    first = parts[0][1]
    sentences = first.sentence if isinstance(first, CaptionEncoder) else first
    model = sentences.sentences.model if isinstance(sentences, SentenceEncoder) else None
    frozen = isinstance(sentences, SentenceEncoder)
    return {
        "encoders": {name: type(part).__name__ for name, part in parts},
        "sentence_encoder": (PACKAGED if is_packaged(model) else model) if frozen else None,
        "known_words": list(getattr(first, "vocabulary", ())),
        "buckets": first.known.buckets if isinstance(first, CaptionEncoder) else None,
    }


def _write_projection(module: GenerativeModule, captions: Sequence[str], folder: Path) -> dict[str, Any]:
    """Write `text.onnx` if a frozen sentence encoder reads the captions. Return its difference from the encoders."""
    first = encoders(module.average)[0][1]
    if not isinstance(first, CaptionEncoder | SentenceEncoder):
        return {"text": f"{type(first).__name__} is trained whole: only stored captions can be drawn without ganlab"}
    import onnxruntime

    sentences, rows = text_inputs(first, captions)
    batch, words = torch.export.Dim("batch"), torch.export.Dim("words")
    projection = TextProjection(module.average).eval()
    example = (sentences[:1].repeat(3, 1), rows[:1].repeat(3, 1))
    if rows.shape[1] < 2:
        example = (example[0], F.pad(example[1], (0, 1), value=NOTHING))
    with quiet(), torch.no_grad():
        torch.onnx.export(
            projection,
            example,
            folder / TEXT_FILE,
            input_names=["sentence", "rows"],
            output_names=["embedding"],
            opset_version=OPSET,
            dynamo=True,
            external_data=False,
            dynamic_shapes=({0: batch}, {0: batch, 1: words}),
            verbose=False,
        )
    session = onnxruntime.InferenceSession(folder / TEXT_FILE, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"sentence": sentences.numpy(), "rows": rows.numpy()})
    own = embedding(module.average, captions)
    return {"text": TEXT_FILE, "largest_difference_of_embeddings": float((torch.from_numpy(found) - own).abs().max())}


def text_inputs(encoder: CaptionEncoder | SentenceEncoder, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Return the inputs of `text.onnx` for captions: the sentence encoder's vectors (N, S), and rows (N, L)."""
    frozen = (encoder.sentence if isinstance(encoder, CaptionEncoder) else encoder).sentences
    vectors = torch.stack(frozen.vectors(captions, torch.device("cpu")))
    if isinstance(encoder, SentenceEncoder):
        return vectors, torch.full((len(captions), 1), NOTHING)
    return vectors, rows_of(captions, encoder.vocabulary, encoder.known.buckets)
