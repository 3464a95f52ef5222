"""A frozen sentence-transformers model with a memory of what it has read: no parameters, nothing to save.

Plain PyTorch; sentence-transformers is imported only when a model is loaded.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ganlab.errors import UserError
from ganlab.ranges import NonNegativeInt


class FrozenSentences:
    """A sentence-transformers model outside of any module's parameters, and the vectors it has given so far.

    Copying it gives itself and pickling only its name, so averaged generators and checkpoints do not carry it.
    It keeps the last `remember` captions' vectors, on the processor.
    """

    def __init__(self, model: str, remember: NonNegativeInt = 100_000) -> None:
        self.model, self.remember = model, remember
        self._network = _load(model)
        self._known: OrderedDict[str, Tensor] = OrderedDict()
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
        return frozen_sentences, (self.model,)


@lru_cache(maxsize=2)
def frozen_sentences(model: str) -> FrozenSentences:
    """The model of that name, loaded once a process: both players' encoders share it and its memory."""
    return FrozenSentences(model)


def _load(model: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise UserError('`SentenceEncoder` needs sentence-transformers: pip install "ganlab[text]"') from error
    try:
        return SentenceTransformer(model).eval().requires_grad_(False)
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(f"`model` must be a sentence-transformers name or folder, got {model}: {reason}") from error
