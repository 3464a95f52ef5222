"""all-MiniLM-L6-v2 (Reimers and Gurevych 2019, Wang et al. 2020), run by tokenizers and a BERT in plain torch.

A caption's states do not depend on the other captions of a call. Captions are grouped by their number of tokens, and
each group is encoded in chunks of one size. So there is no padding, and matrix products have shapes that do not depend
on the other captions.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from ganlab.files.packaged import packaged_folder
from ganlab.networks.bert import BertShape, load_bert, mean_state

LONGEST = 256  # tokens that all-MiniLM-L6-v2 reads, the first and the last one included
CHUNK = 16  # captions read at once; half as fast as 64, and little is wasted on the few that are new in a batch


class MiniLM:
    """The packaged sentence encoder, frozen. dim: of a sentence's vector. word_dim: of a token's state."""

    def __init__(self) -> None:
        folder, shape = packaged_folder(), BertShape()
        self.dim = self.word_dim = shape.dim
        self._bert = load_bert(load_file(folder / "model.safetensors"), shape)
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)

    def vectors(self, captions: Sequence[str], device: torch.device) -> list[Tensor]:
        """Return each caption's vector (dim,), of unit length, on the CPU."""
        found: dict[int, Tensor] = {}
        for places, states in self._read(captions, device):
            vectors = mean_state(states, torch.ones_like(states[..., 0], dtype=torch.bool))
            found |= zip(places, vectors.cpu(), strict=False)
        return [found[place] for place in range(len(captions))]

    def words(self, captions: Sequence[str], device: torch.device) -> list[Tensor]:
        """Return each caption's states (L, word_dim): first that of the whole caption, then those of its pieces."""
        found: dict[int, Tensor] = {}
        for places, states in self._read(captions, device):
            found |= zip(places, states[:, :-1].cpu(), strict=False)  # the last token only ends the sentence
        return [found[place] for place in range(len(captions))]

    @torch.no_grad()
    def _read(self, captions: Sequence[str], device: torch.device) -> Iterator[tuple[list[int], Tensor]]:
        """Yield positions in `captions` and states (CHUNK, L, dim). Rows beyond these positions are padding."""
        tokens = [encoded.ids for encoded in self._tokenizer.encode_batch(list(captions))]
        alike: dict[int, list[int]] = defaultdict(list)
        for place, ids in enumerate(tokens):
            alike[len(ids)].append(place)
        bert = self._bert.to(device)
        for places in (group[i : i + CHUNK] for group in alike.values() for i in range(0, len(group), CHUNK)):
            rows = places + places[-1:] * (CHUNK - len(places))
            chunk = torch.tensor([tokens[place] for place in rows], device=device)
            with torch.autocast(device.type, enabled=False):
                yield places, bert(chunk, torch.ones_like(chunk, dtype=torch.bool))
