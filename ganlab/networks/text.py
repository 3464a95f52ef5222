"""Text encoders: a small one that learns with the generator, and frozen sentence encoders.

Plain PyTorch. Vocabularies are plain lists of words, so checkpoints can contain them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from types import MappingProxyType
from zlib import crc32

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence

from ganlab.config.ranges import Dim, EvenWidth, NonNegative, PositiveInt
from ganlab.data.batch import Condition, send
from ganlab.data.vocabulary import tokenize
from ganlab.errors import UserError
from ganlab.networks.attention import Words
from ganlab.networks.choice import Choice
from ganlab.networks.conditioning import ConditionEncoder
from ganlab.networks.sentences import frozen_sentences

UNKNOWN, NOTHING = 0, 1  # rows of the word table before the vocabulary's own


@lru_cache(maxsize=100_000)
def pieces(word: str, buckets: int) -> tuple[int, ...]:
    """Return hash buckets of the word's character n-grams of 3 to 5, including its ends (Bojanowski et al. 2017)."""
    marked = f"<{word}>" if word else ""
    grams = {marked[i : i + n] for n in (3, 4, 5) for i in range(len(marked) - n + 1)}
    return tuple(sorted(crc32(gram.encode()) % buckets for gram in grams))


class WordTable(nn.Module):
    """Words -> vectors (N, width): the word's own vector plus the mean of the vectors of its pieces.

    A word outside the vocabulary has the unknown word's vector, initially zero, plus the mean of its pieces. So it is
    near similar words.
    """

    def __init__(self, words: Sequence[str], width: int, buckets: int) -> None:
        super().__init__()
        self.rows = {"": NOTHING} | {word: row for row, word in enumerate(words, NOTHING + 1)}
        self.buckets = buckets
        self.own = nn.Embedding(len(words) + 2, width)
        self.pieces = nn.EmbeddingBag(buckets, width, mode="mean")
        nn.init.zeros_(self.own.weight[UNKNOWN].detach())

    def forward(self, words: Sequence[str]) -> Tensor:
        """Return the vectors of words."""
        device = self.own.weight.device
        rows = send(torch.tensor([self.rows.get(word, UNKNOWN) for word in words]), device)
        bags = [pieces(word, self.buckets) for word in words]
        ends = send(torch.tensor([0, *map(len, bags[:-1])]).cumsum(0), device)
        grams = send(torch.tensor(list(chain.from_iterable(bags)), dtype=torch.int64), device)
        return self.own(rows) + self.pieces(grams, ends)


class WordEncoder(ConditionEncoder):
    """Captions -> (N, dim), trained with the generator: a bidirectional recurrent network on word vectors.

    The two last states depend on the order of words ("a red circle above a blue square"). They go through a linear
    layer and are normalized to unit variance, the latent's scale. vocabulary: the training captions' words. buckets:
    the number of vectors that word pieces share. Only the first `longest` words of a caption are used. Its vector does
    not depend on its batch.
    """

    kind = "text"
    needs = ("vocabulary",)

    def __init__(
        self,
        vocabulary: Sequence[str],
        dim: Dim,
        width: EvenWidth = 128,
        buckets: PositiveInt = 4096,
        longest: PositiveInt = 64,
    ) -> None:
        super().__init__()
        self.vocabulary = tuple(vocabulary)
        self.dim, self.width, self.longest = dim, width, longest
        self.word_dim = width
        self.table = WordTable(self.vocabulary, width, buckets)
        self.reader = nn.GRU(width, width // 2, batch_first=True, bidirectional=True)
        self.linear = nn.Linear(width, dim)
        self.normalize = nn.LayerNorm(dim)

    def forward(self, condition: Condition, latent: Tensor | None = None) -> Tensor:
        """Return vectors (N, dim) for N captions."""
        _, last = self.reader(self._vectors(_captions(condition)))
        return self.normalize(self.linear(last.transpose(0, 1).flatten(1)))

    def words(self, condition: Condition) -> Words:
        """Return states (N, L, width) of the captions' words, and a mask (N, L) that is true at words.

        L is the largest number of words of a caption. An empty caption counts as one empty word.
        """
        states, lengths = pad_packed_sequence(self.reader(self._vectors(_captions(condition)))[0], batch_first=True)
        mask = torch.arange(states.shape[1]) < lengths[:, None]
        return states, send(mask, states.device)

    def _vectors(self, captions: Sequence[str]) -> PackedSequence:
        split = [tokenize(caption)[: self.longest] or [""] for caption in captions]
        lengths = list(map(len, split))
        vectors = self.table(list(chain.from_iterable(split)))
        return pack_sequence(vectors.split(lengths), enforce_sorted=False)


class SentenceEncoder(ConditionEncoder):
    """Captions -> (N, dim): a frozen sentence encoder, then a trained linear layer.

    model: null for all-MiniLM-L6-v2, which comes with the installation; else the name of a sentence-transformers model
    on the Hugging Face hub, or its folder. noise: deviation of the normal noise on the frozen values in training; they
    have a mean square of 1. hub: whether the model may be downloaded; otherwise it must be installed, a folder or in
    the local cache. The model is in neither the parameters nor the state: the same arguments make the encoder again.
    The model's own code never runs. Raise `UserError` if it cannot be loaded.
    """

    kind = "text"

    def __init__(self, dim: Dim, model: str | None = None, noise: NonNegative = 0.0, hub: bool = True) -> None:
        super().__init__()
        self.dim, self.noise = dim, noise
        self.sentences = frozen_sentences(model, hub)
        self.word_dim = self.sentences.word_dim
        self.linear = nn.Linear(self.sentences.dim, dim)
        self.normalize = nn.LayerNorm(dim)

    def forward(self, condition: Condition, latent: Tensor | None = None) -> Tensor:
        """Return vectors (N, dim) for N captions."""
        return self.read(self.sentences(_captions(condition), self.linear.weight.device))

    def read(self, sentences: Tensor, latent: Tensor | None = None) -> Tensor:
        """Return vectors (N, dim) for the frozen encoder's vectors (N, S) of N captions."""
        return self.normalize(self.linear(self._noised(sentences)))

    def words(self, condition: Condition) -> Words:
        """Return states (N, L, word_dim) of the captions' word pieces, of unit variance, and a mask (N, L) of pieces.

        The first piece stands for the whole caption. L is the largest number of pieces of a caption. Raise `UserError`
        if the model gives vectors only.
        """
        if not self.word_dim:
            return super().words(condition)
        states, mask = self.sentences.words(_captions(condition), self.linear.weight.device)
        return self._noised(F.layer_norm(states, states.shape[-1:])), mask

    def _noised(self, frozen: Tensor) -> Tensor:
        frozen = frozen.to(self.linear.weight.dtype)
        return frozen + self.noise * torch.randn_like(frozen) if self.training and self.noise else frozen


class WordBags(nn.Module):
    """Trained vectors (M, dim) of M captions: the sum of the vectors of their words, over sqrt(words).

    Captions with a word in common share its vector (Joulin et al. 2017, "Bag of tricks"), so what red means is learned
    from all red things.
    """

    starts: Tensor
    rows: Tensor
    roots: Tensor

    def __init__(self, captions: Sequence[str], dim: Dim) -> None:
        super().__init__()
        split = [tokenize(caption) or [""] for caption in captions]
        self.words = tuple(dict.fromkeys(chain.from_iterable(split)))
        row = {word: number for number, word in enumerate(self.words)}
        self.table = nn.EmbeddingBag(len(row), dim, mode="sum")
        lengths = torch.tensor([len(words) for words in split])
        for name, values in {
            "rows": torch.tensor([row[word] for words in split for word in words]),
            "starts": lengths.cumsum(0) - lengths,
            "roots": lengths[:, None].sqrt(),
        }.items():
            self.register_buffer(name, values, persistent=False)

    def forward(self) -> Tensor:
        """Return the vectors."""
        return self.table(self.rows, self.starts) / self.roots  # type: ignore[no-any-return]


class CaptionEncoder(ConditionEncoder):
    """Captions -> (N, dim): attention to the captions of training, whose keys are a frozen sentence encoder's vectors.

    A caption's weights are the softmax of `sharpness` times its cosines with the captions of training, as in attention
    with frozen keys (Vaswani et al. 2017). Two weighted means follow: of the keys, which a linear layer reads, and of
    trained vectors of the captions' words. So a caption of training in other words gets nearly the vector that was
    trained, and a new one gets a blend of its neighbours'.

    A caption that several pictures share, as "an animal", stands for any of them. In a generator its weight goes to one
    of its pictures' captions, which the latent chooses (`Choice`). A discriminator keeps it.

    captions: those of training, each once. shared: other captions, each with the places in `captions` of its pictures'.
    model, noise, hub: as in `SentenceEncoder`.
    """

    kind = "text"
    needs = ("captions", "shared")
    keys: Tensor

    def __init__(
        self,
        captions: Sequence[str],
        dim: Dim,
        shared: Mapping[str, Sequence[int]] = MappingProxyType({}),
        model: str | None = None,
        noise: NonNegative = 0.0,
        sharpness: NonNegative = 30.0,
        hub: bool = True,
    ) -> None:
        super().__init__()
        if not captions:
            raise UserError("condition=caption needs captions of training, and the data have none")
        self.dim, self.sharpness = dim, sharpness
        self.sentence = SentenceEncoder(dim, model, noise, hub)
        self.choice = Choice(len(captions), list(shared.values())) if shared else None
        captions = [*captions, *shared]
        self.sentence.sentences.study(captions)
        keys = self.sentence.sentences(captions, torch.device("cpu"))
        self.register_buffer("keys", keys, persistent=False)
        self.values = WordBags(captions, dim)
        self.normalize = nn.LayerNorm(dim)
        self.word_dim = self.sentence.word_dim

    def forward(self, condition: Condition, latent: Tensor | None = None) -> Tensor:
        """Return vectors (N, dim) for N captions."""
        return self.read(self.sentence.sentences(_captions(condition), self.keys.device), latent)

    def read(self, sentences: Tensor, latent: Tensor | None = None) -> Tensor:
        """Return vectors (N, dim) for the sentence encoder's vectors (N, S) of N captions."""
        nearness = F.normalize(sentences.to(self.keys.dtype), dim=1) @ F.normalize(self.keys, dim=1).T
        weights = (self.sharpness * nearness).softmax(1)
        if self.choice is not None and latent is not None:
            weights = self.choice(weights, latent)
        return self.normalize(self.sentence.read(weights @ self.keys) + weights @ self.values())

    def words(self, condition: Condition) -> Words:
        """Return states and mask of the captions' word pieces, from the sentence encoder."""
        return self.sentence.words(condition)


def _captions(condition: Condition) -> Sequence[str]:
    assert condition is not None and not isinstance(condition, Tensor), "a text encoder takes captions"
    return condition
