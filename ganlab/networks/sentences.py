"""A frozen sentence-transformers model with a memory of what it has read: no parameters, nothing to save.

Plain PyTorch; sentence-transformers is imported only when a model is loaded. A model's own code never runs. Without
`hub` the model comes from a local folder or the local cache, in safetensors.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import UserError
from ganlab.ranges import NonNegativeInt

PART = re.compile(r"sentence_transformers(\.[a-z_]+)*\.[A-Z]\w+")


class FrozenSentences:
    """A sentence-transformers model outside of any module's parameters, and the vectors it has given so far.

    Copying it gives itself and pickling only its name, so averaged generators and checkpoints do not carry it.
    It keeps the last `remember` captions' vectors, on the processor.
    """

    def __init__(self, model: str, hub: bool = True, remember: NonNegativeInt = 100_000) -> None:
        self.model, self.hub, self.remember = model, hub, remember
        self._known: OrderedDict[str, Tensor] = OrderedDict()
        with torch.device("cpu"):  # also where networks are made without memory
            self._network = _load(model, hub)
            self.dim = len(self(["a"], torch.device("cpu"))[0])

    def __call__(self, captions: Sequence[str], device: torch.device) -> Tensor:
        """(N, dim) on `device`, scaled to a mean square of 1 a component if the model's vectors have unit length."""
        missing = [caption for caption in dict.fromkeys(captions) if caption not in self._known]
        if missing:
            found = self._network.encode(missing, device=str(device), convert_to_numpy=True, show_progress_bar=False)
            vectors = torch.from_numpy(found).float()
            self._known.update(zip(missing, vectors * vectors.shape[1] ** 0.5, strict=True))
        result = torch.stack([self._known[caption] for caption in captions]).to(device)
        for caption in captions:
            self._known.move_to_end(caption)
        while len(self._known) > self.remember:
            self._known.popitem(last=False)
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> FrozenSentences:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return frozen_sentences, (self.model, self.hub)


@lru_cache(maxsize=2)
def frozen_sentences(model: str, hub: bool = True) -> FrozenSentences:
    """The model of that name, loaded once a process: both players' encoders share it and its memory."""
    return FrozenSentences(model, hub)


def _load(model: str, hub: bool) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise UserError('`SentenceEncoder` needs sentence-transformers: pip install "ganlab[text]"') from error
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
            f"`model` must be a sentence-transformers name or folder, got {model}: {reason}{hint}"
        ) from error


def _check_parts(folder: Path) -> None:
    """Raise `UserError` if a local model is made of anything but sentence-transformers' own classes."""
    file = folder / "modules.json"
    if not file.is_file():
        return
    try:
        parts = [str(part["type"]) for part in json.loads(file.read_text(encoding="utf-8"))]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise UserError(f"{file} is no list of a sentence-transformers model's parts") from error
    if foreign := [part for part in parts if not PART.fullmatch(part)]:
        raise UserError(f"{file} names {foreign[0]!r}, which is no class of sentence-transformers")
