"""Text encoders: a small one that learns with the generator, and any frozen sentence-transformers model.

Plain PyTorch; sentence-transformers is imported only when a `SentenceEncoder` is made. Vocabularies are plain lists of
words, so that a checkpoint can carry them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, OrderedDict
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_packed_sequence, pack_padded_sequence, pad_sequence

from ganlab.batch import Condition
from ganlab.errors import UserError
from ganlab.networks.conditioning import ConditionEncoder

WORD = re.compile(r"[^\W_]+")
UNKNOWN, NOTHING = 0, 1  # rows of the word table before the vocabulary's own


def tokenize(caption: str) -> list[str]:
    """The caption's words in lower case: runs of letters and digits of any script.

    >>> tokenize("A red-haired Woman, 3 ÉCLAIRS!")
    ['a', 'red', 'haired', 'woman', '3', 'éclairs']
    """
    return WORD.findall(unicodedata.normalize("NFKC", caption).lower())


def vocabulary(captions: Iterable[str], limit: int = 10_000) -> list[str]:
    """The `limit` most frequent words, most frequent first, then by the alphabet.

    >>> vocabulary(["a red apple", "a green apple"])
    ['a', 'apple', 'green', 'red']
    """
    counts = Counter(chain.from_iterable(map(tokenize, captions)))
    return sorted(counts, key=lambda word: (-counts[word], word))[:limit]


@lru_cache(maxsize=100_000)
def pieces(word: str, buckets: int) -> tuple[int, ...]:
    """Buckets that the word's character n-grams of 3 to 5 hash to, the word's ends included (Bojanowski et al. 2017)."""
    marked = f"<{word}>" if word else ""
    grams = {marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1)}
    return tuple(sorted(crc32(gram.encode()) % buckets for gram in grams))


class WordTable(nn.Module):
    """Words -> vectors (N, width): the word's own vector plus the mean of its pieces'.

    A word outside the vocabulary has the unknown word's vector, zero at first, plus its pieces': near its kin.
    """

    def __init__(self, words: Sequence[str], width: int, buckets: int) -> None:
        super().__init__()
        self.rows = {"": NOTHING} | {word: row for row, word in enumerate(words, NOTHING + 1)}
        self.buckets = buckets
        self.own = nn.Embedding(len(words) + 2, width)
        self.pieces = nn.EmbeddingBag(buckets, width, mode="mean")
        nn.init.zeros_(self.own.weight[UNKNOWN].detach())

    def forward(self, words: Sequence[str]) -> Tensor:
        device = self.own.weight.device
        rows = torch.tensor([self.rows.get(word, UNKNOWN) for word in words], device=device)
        bags = [pieces(word, self.buckets) for word in words]
        ends = torch.tensor([0, *map(len, bags[:-1])], device=device).cumsum(0)
        grams = torch.tensor(list(chain.from_iterable(bags)), dtype=torch.int64, device=device)
        return self.own(rows) + self.pieces(grams, ends)


class WordEncoder(ConditionEncoder):
    """Captions -> (N, dim), trained with the generator: word vectors read in both directions by a recurrent network.

    The caption's vector is the largest value of each of its words' states (Conneau et al. 2017), which keeps the
    order ("a red circle above a blue square"), then a linear layer, normalized to unit variance, the latent's scale.
    `vocabulary`: the training captions' words. Only a caption's first `longest` words are read. A caption's vector
    does not depend on its batch.
    """

    def __init__(
        self, vocabulary: Sequence[str], dim: int, width: int = 128, buckets: int = 4096, longest: int = 64
    ) -> None:
        super().__init__()
        self.vocabulary = tuple(vocabulary)
        self.dim, self.width, self.longest = dim, width, longest
        self.table = WordTable(self.vocabulary, width, buckets)
        self.reader = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.project = nn.Sequential(nn.Linear(width, dim), nn.LayerNorm(dim))

    def words(self, captions: Sequence[str]) -> tuple[Tensor, Tensor]:
        """States (N, L, width) of the captions' words and a mask (N, L), true where there is a word.

        L is the longest caption's; an empty caption counts as one word that says nothing.
        """
        split = [tokenize(caption)[: self.longest] or [""] for caption in captions]
        lengths = torch.tensor([len(words) for words in split])
        vectors = self.table(list(chain.from_iterable(split))).split(lengths.tolist())
        packed = pack_padded_sequence(pad_sequence(vectors, True), lengths, True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.reader(packed)[0], True)
        mask = torch.arange(states.shape[1]) < lengths[:, None]
        return states, mask.to(states.device)

    def forward(self, condition: Condition) -> Tensor:
        states, mask = self.words(_captions(condition))
        return self.project(states.masked_fill(~mask[:, :, None], -torch.inf).amax(dim=1))


class FrozenSentences:
    """A sentence-transformers model outside of any module's parameters, and the vectors it has given so far.

    Copying it gives itself and pickling only its name, so averaged generators and checkpoints do not carry it.
    It keeps the last `remember` captions' vectors, on the processor.
    """

    def __init__(self, model: str, remember: int = 100_000) -> None:
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
            self._known.update(zip(missing, vectors * vectors.shape[1] ** 0.5))
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


class SentenceEncoder(ConditionEncoder):
    """Captions -> (N, dim): a frozen sentence-transformers model, then a trained linear layer.

    `model`: a name on the Hugging Face hub or a local folder; `UserError` if it cannot be loaded. The model itself is
    in neither the parameters nor the state: the same arguments make the encoder again.
    """

    def __init__(self, model: str, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.sentences = frozen_sentences(model)
        self.project = nn.Sequential(nn.Linear(self.sentences.dim, dim), nn.LayerNorm(dim))

    def forward(self, condition: Condition) -> Tensor:
        return self.project(self.sentences(_captions(condition), self.project[0].weight.device))


def _captions(condition: Condition) -> Sequence[str]:
    assert condition is not None and not isinstance(condition, Tensor), "a text encoder takes captions"
    return condition
