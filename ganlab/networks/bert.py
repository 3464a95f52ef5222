"""BERT's encoder (Devlin et al. 2019), the architecture of all-MiniLM-L6-v2.

Plain PyTorch, for inference only: no dropout, no pooler, no heads. Modules are named as in the published weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

EPSILON = 1e-12  # of BERT's layer normalizations


@dataclass(frozen=True)
class BertShape:
    """The sizes of a BERT. The defaults are those of MiniLM-L6-H384 (Wang et al. 2020)."""

    words: int = 30_522
    positions: int = 512
    dim: int = 384
    heads: int = 12
    layers: int = 6
    hidden: int = 1_536


class BertEmbeddings(nn.Module):
    """LayerNorm(word + position + segment): tokens (N, L) -> (N, L, dim). All tokens have segment 0."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.word_embeddings = nn.Embedding(shape.words, shape.dim)
        self.position_embeddings = nn.Embedding(shape.positions, shape.dim)
        self.token_type_embeddings = nn.Embedding(2, shape.dim)
        self.LayerNorm = nn.LayerNorm(shape.dim, EPSILON)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return embeddings (N, T, D) of tokens (N, T)."""
        positions = self.position_embeddings.weight[: tokens.shape[1]]
        return self.LayerNorm(self.word_embeddings(tokens) + positions + self.token_type_embeddings.weight[0])


class BertSelfAttention(nn.Module):
    """softmax(Q K^T / sqrt(dim / heads)) V in each head (Vaswani et al. 2017, eq. 1). `mask` (N, L): true at tokens."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.heads = shape.heads
        self.query = nn.Linear(shape.dim, shape.dim)
        self.key = nn.Linear(shape.dim, shape.dim)
        self.value = nn.Linear(shape.dim, shape.dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return the attention output of each position, (N, T, D). mask: true at tokens."""
        projections = self.query, self.key, self.value
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in projections)
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask[:, None, None]).transpose(1, 2).flatten(2)


class BertAdd(nn.Module):
    """LayerNorm(x + W f): the output f of a branch is added to its input x."""

    def __init__(self, inputs: int, dim: int) -> None:
        super().__init__()
        self.dense = nn.Linear(inputs, dim)
        self.LayerNorm = nn.LayerNorm(dim, EPSILON)

    def forward(self, found: Tensor, x: Tensor) -> Tensor:
        """Return the normalized sum of `x` and a linear map of `found`."""
        return self.LayerNorm(x + self.dense(found))


class BertLayer(nn.Module):
    """Self-attention, then two linear layers with GELU between them; each is added to its input and normalized."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        attend = {"self": BertSelfAttention(shape), "output": BertAdd(shape.dim, shape.dim)}
        self.attention = nn.ModuleDict(attend)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(shape.dim, shape.hidden)})
        self.output = BertAdd(shape.hidden, shape.dim)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return states (N, T, D) after attention and the two linear layers."""
        x = self.attention["output"](self.attention["self"](x, mask), x)
        return self.output(F.gelu(self.intermediate["dense"](x)), x)


class BertEncoder(nn.Module):
    """The sequence of all layers."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.layer = nn.ModuleList(BertLayer(shape) for _ in range(shape.layers))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return states (N, T, D) after all layers."""
        for layer in self.layer:
            x = layer(x, mask)
        return x


class Bert(nn.Module):
    """Tokens (N, L) int64 and a mask (N, L), true at tokens -> states (N, L, dim). States of padding are undefined."""

    def __init__(self, shape: BertShape) -> None:
        super().__init__()
        self.embeddings = BertEmbeddings(shape)
        self.encoder = BertEncoder(shape)

    def forward(self, tokens: Tensor, mask: Tensor) -> Tensor:
        """Return states (N, T, D) of tokens (N, T). mask: true at tokens."""
        return self.encoder(self.embeddings(tokens), mask)


def mean_state(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean of each sentence's states, scaled to unit length: (N, L, dim) -> (N, dim).

    Reimers and Gurevych 2019 (Sentence-BERT), pooling MEAN.
    """
    weights = mask[:, :, None].to(states.dtype)
    return F.normalize((states * weights).sum(1) / weights.sum(1), dim=1)


def load_bert(weights: dict[str, Tensor], shape: BertShape) -> Bert:
    """Return a frozen Bert with published weights. Ignore the pooler and buffers among them."""
    with torch.device("meta"):
        bert = Bert(shape)
    names = bert.state_dict().keys()
    bert.load_state_dict({name: weights[name] for name in names}, assign=True)
    return bert.eval().requires_grad_(False)
