"""Captions are read once: before training starts, and not again in a batch or in the next run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ganlab.data.pictures import Pictures
from ganlab.networks.minilm import MiniLM
from ganlab.networks.sentences import frozen_sentences
from ganlab.networks.text import SentenceEncoder, WordEncoder
from ganlab.runs.reading import read_ahead

WORDINGS = [["a cat", "an animal"], ["a dog"], ["a car", "a vehicle"]]


@pytest.fixture
def pictures() -> Pictures:
    images = np.zeros((3, 1, 1, 1), np.uint8)
    return Pictures(images, [first for first, *_ in WORDINGS], wordings=WORDINGS)


@pytest.fixture
def read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the encoder reads from now on, with an empty memory and an empty cache."""
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path))
    frozen_sentences.cache_clear()
    real, read = MiniLM.vectors, []
    monkeypatch.setattr(MiniLM, "vectors", lambda self, said, device: read.extend(said) or real(self, said, device))
    return read


def test_all_wordings_are_read_once_whatever_is_asked_after(pictures: Pictures, read: list[str]) -> None:
    encoder = SentenceEncoder(dim=4)
    read_ahead(encoder, pictures)
    assert sorted(read) == sorted(said for one in WORDINGS for said in one)
    before = encoder.sentences(["a vehicle", "a cat"], torch.device("cpu"))
    frozen_sentences.cache_clear()
    again = SentenceEncoder(dim=4)
    read_ahead(again, pictures)
    assert torch.equal(again.sentences(["a vehicle", "a cat"], torch.device("cpu")), before)
    assert len(read) == 5


def test_what_is_read_ahead_is_what_is_read_later(pictures: Pictures, read: list[str]) -> None:
    encoder = SentenceEncoder(dim=4)
    late = encoder.sentences(["a dog"], torch.device("cpu"))
    read_ahead(encoder, pictures)
    assert torch.equal(encoder.sentences(["a dog"], torch.device("cpu")), late)


def test_other_encoders_read_nothing(pictures: Pictures, read: list[str]) -> None:
    read_ahead(WordEncoder(["a"], dim=4), pictures)
    assert not read
