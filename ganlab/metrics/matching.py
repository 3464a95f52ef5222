"""R-precision, which measures whether pictures match their captions, and the matcher that it uses.

The matcher is trained on real pictures alone, never on a generator's. A generator that is trained through the encoder
of the metric gets a high score without reason. Plain PyTorch; the caller stores a trained matcher on disk.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganlab.data.pictures import Pictures
from ganlab.data.progress import progress
from ganlab.data.vocabulary import vocabulary
from ganlab.metrics.features import as_colour
from ganlab.metrics.moments import precise
from ganlab.metrics.result import Result
from ganlab.metrics.small import Residual, squeeze
from ganlab.networks.text import WordEncoder


def hit_probability(beaten_by: Tensor, others: int | Tensor, wrong: int) -> Tensor:
    """Return P(none of the `beaten_by` candidates is among `wrong` drawn from `others` without replacement), float64.

    C(others - beaten_by, wrong) / C(others, wrong): the exact mean of R-precision over all draws of candidates.
    """
    left, total = torch.as_tensor(others) - beaten_by.double(), torch.as_tensor(others).double()
    log_choose = torch.lgamma(left + 1) - torch.lgamma((left - wrong).clamp(min=0) + 1)
    log_all = torch.lgamma(total + 1) - torch.lgamma(total - wrong + 1)
    return torch.where(left >= wrong, (log_choose - log_all).exp(), torch.zeros_like(left))


def r_precision(images: Tensor, texts: Tensor, keys: Sequence[Hashable], candidates: int = 100) -> Result:
    """Return how often an image's own caption is more similar to it than `candidates` - 1 others (Xu et al. 2018).

    `images`, `texts`: embeddings (N, D), row i of both the same picture's; similarity is their cosine. The other
    captions are of different `keys`, one for each. A tie is a miss, so an encoder that says the same of everything
    scores 0, and one that guesses 1 / `candidates`. It is the exact mean over all draws of candidates; the spread is
    the standard error over images. `ValueError` with fewer different keys than candidates.
    """
    codes, first = _codes(keys)
    if len(first) < candidates:
        raise ValueError(f"`candidates` must be at most {len(first)}, the different captions there are")
    x, y = (F.normalize(precise(z), dim=1) for z in (images, texts))
    similarity = x @ y[first].T
    own = (x * y).sum(1, keepdim=True)
    other = codes[:, None] != torch.arange(len(first))
    beaten_by = ((similarity >= own - 1e-12) & other.to(own.device)).sum(1)
    hits = hit_probability(beaten_by.cpu(), len(first) - 1, candidates - 1)
    protocol = {"images": len(images), "captions": len(first), "candidates": candidates, "ties": "miss"}
    return Result(float(hits.mean()), float(hits.std(correction=0)) / len(hits) ** 0.5, protocol)


def _codes(keys: Sequence[Hashable]) -> tuple[Tensor, Tensor]:
    """Return each key as a number (N,), and the first row of each different key."""
    numbers: dict[Hashable, int] = {}
    codes = torch.tensor([numbers.setdefault(key, len(numbers)) for key in keys])
    first = torch.tensor([int((codes == code).nonzero()[0]) for code in range(len(numbers))])
    return codes, first


class Matcher(nn.Module):
    """Two encoders into one space, where a picture lies near its caption: a small residual network and `WordEncoder`.

    Pictures are uint8 (N, C, H, W) of any size, looked at in 32 x 32; captions any strings.
    """

    def __init__(self, words: Sequence[str], dim: int = 64) -> None:
        super().__init__()
        self.words, self.dim = list(words), dim
        self.seen = nn.Sequential(
            nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(), Residual(32, 64), Residual(64, 128), Residual(128, 128)
        )
        self.look = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(128 * 16, dim))
        self.read = WordEncoder(self.words, dim)
        self.log_scale = nn.Parameter(torch.tensor(2.0))

    def images(self, images: Tensor) -> Tensor:
        """Return embeddings (N, dim) of unit length."""
        return F.normalize(self.look(self.seen(squeeze(as_colour(images)))).float(), dim=1)

    def texts(self, captions: Sequence[str]) -> Tensor:
        """Return embeddings (N, dim) of unit length."""
        return F.normalize(self.read(list(captions)).float(), dim=1)

    def forward(self, images: Tensor, captions: Sequence[str]) -> Tensor:
        """Return the scaled similarity of each picture to each caption: (N, M)."""
        return self.log_scale.exp() * self.images(images) @ self.texts(captions).T

    @torch.no_grad()
    def r_precision(
        self, images: Tensor, captions: Sequence[str], keys: Sequence[Hashable] | None = None, candidates: int = 100
    ) -> Result:
        """Return the R-precision of pictures uint8 (N, C, H, W) of these captions; equal captions are one key."""
        self.eval()
        seen = torch.cat([self.images(part) for part in torch.split(images, 500)])
        return r_precision(seen, self.texts(captions), keys or list(captions), candidates)

    def stored(self) -> dict[str, Any]:
        """Return what `restored` needs, in plain values and tensors, for torch.load with weights_only."""
        return {"words": self.words, "dim": self.dim, "state": self.state_dict()}

    @classmethod
    def restored(cls, stored: dict[str, Any]) -> Matcher:
        """Return the matcher that `stored` described."""
        matcher = cls(stored["words"], stored["dim"])
        matcher.load_state_dict(stored["state"])
        return matcher.eval().requires_grad_(False)


def contrast(similarity: Tensor, codes: Tensor) -> Tensor:
    """Return the symmetric InfoNCE (Radford et al. 2021) of a batch (N, N). Captions of one code are no negatives."""
    fits = (codes[:, None] == codes) & ~torch.eye(len(codes), dtype=torch.bool, device=codes.device)
    masked = similarity.masked_fill(fits, -torch.inf)
    own = torch.arange(len(codes), device=codes.device)
    return (F.cross_entropy(masked, own) + F.cross_entropy(masked.T, own)) / 2


def shifted(images: Tensor, generator: torch.Generator, reach: int = 3) -> Tensor:
    """Move each picture by up to `reach` pixels each way; its edge is repeated."""
    count, _, height, width = images.shape
    down, right = (torch.randint(-reach, reach + 1, (count, 1), generator=generator) for _ in range(2))
    rows = (torch.arange(height) + down).clamp(0, height - 1)[:, :, None]
    columns = (torch.arange(width) + right).clamp(0, width - 1)[:, None, :]
    return images.permute(0, 2, 3, 1)[torch.arange(count)[:, None, None], rows, columns].permute(0, 3, 1, 2)


Example = tuple[Tensor, "list[str]", Tensor]


def examples(pictures: Pictures, batch: int, draw: torch.Generator) -> Iterator[Example]:
    """Yield without end: pictures moved and perhaps mirrored, their captions, the number of each key."""
    captions = list(pictures.condition or [])
    codes, _ = _codes(pictures.keys or captions)
    mirrors = torch.as_tensor(pictures.flip).expand(len(pictures))
    while True:
        rows = torch.randperm(len(pictures), generator=draw)[:batch]
        flip = mirrors[rows] & (torch.rand(len(rows), generator=draw) < 0.5)
        images = shifted(pictures.get(rows.numpy()), draw)
        images[flip] = images[flip].flip(-1)
        yield images, [captions[row] for row in rows], codes[rows]


def train_matcher(
    pictures: Pictures,
    steps: int = 400,
    batch: int = 128,
    rate: float = 2e-3,
    seed: int = 0,
) -> Matcher:
    """Train a matcher for captioned real pictures. The global random state does not change.

    AdamW whose rate rises over 50 steps and falls to zero, in float32, on the processor. Raise `ValueError` if there
    are no captions.
    """
    if not isinstance(pictures.condition, list):
        raise ValueError(f"a matcher needs captioned pictures, got {type(pictures.condition).__name__}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        matcher = Matcher(vocabulary(pictures.condition))
        batches = islice(examples(pictures, batch, torch.Generator().manual_seed(seed)), steps)
        _fit(matcher, progress(batches, steps, "training the matcher, steps:"), steps, rate)
    return matcher.eval().requires_grad_(False)


def _fit(matcher: Matcher, batches: Iterable[Example], steps: int, rate: float) -> None:
    optimizer = torch.optim.AdamW(matcher.parameters(), lr=rate, weight_decay=0.1)
    for step, (images, captions, codes) in enumerate(batches):
        optimizer.param_groups[0]["lr"] = rate * min(1.0, step / 50) * (1 - step / steps)
        loss = contrast(matcher(images, captions), codes)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
