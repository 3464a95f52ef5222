"""Encode captions ahead: a frozen sentence encoder reads all captions of a run once, before training starts."""

from __future__ import annotations

from torch import nn

from ganlab.data.pictures import Pictures
from ganlab.networks.text import SentenceEncoder


def read_ahead(module: nn.Module, pictures: Pictures) -> None:
    """Let the module's frozen sentence encoders read all wordings of these pictures."""
    encoders = {part.sentences for part in module.modules() if isinstance(part, SentenceEncoder)}
    for sentences in encoders:
        sentences.study(sorted({caption for wordings in pictures.all_wordings() for caption in wordings}))
