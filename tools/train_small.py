"""Train the built-in extractor's weights: `python -m tools.train_small --cifar cifar10.zip --mnist data`.

The network has one softmax over CIFAR-10's classes, MNIST's digits and the frequent words of OpenMoji's Unicode names.
The target of a picture with several such words is spread over them. Two helpers are discarded after training: a softmax
that distinguishes all emoji (1,900 pictures have few words in common), and a layer that reconstructs the picture in
4 x 4 from its features, which keeps colours and places in them. Developers run it; training runs do not.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from ganlab.data.openmoji import emoji_list, rasters
from ganlab.metrics.small import SIZE, SmallNet
from tools import train_digits

WORD_AT_LEAST = 6  # pictures that a word needs to become a class
THUMBNAIL, REPAINTING = 4, 4.0  # side of the reconstructed picture; its weight beside the classes' cross-entropy
WEIGHTS = Path("ganlab/metrics/small.pt")


class Labelled(NamedTuple):
    """Pictures uint8 (N, 3, 32, 32), targets (N, classes) that sum to one, and whether they may be mirrored."""

    images: Tensor
    targets: Tensor
    mirror: bool
    share: float


def decoded(data: bytes) -> np.ndarray:
    """Return the picture in a file's bytes as (3, 32, 32) uint8."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB").resize((SIZE, SIZE))).transpose(2, 0, 1)


def emoji() -> tuple[Tensor, list[str]]:
    """Return the emoji data set's own pictures with their names, without skin tones and flags."""
    drawings = emoji_list()
    pictures = torch.from_numpy(np.array(rasters(drawings, SIZE)))
    rows = [i for i, one in enumerate(drawings) if not one.toned and not one.flag]
    return pictures[rows], [drawings[i].concept.replace("-", " ").lower() for i in rows]


def zipped(path: str, split: str) -> tuple[Tensor, list[str]]:
    """Return the pictures of a zip with the layout split/class/name.jpg, and their classes."""
    with zipfile.ZipFile(path) as archive:
        names = [n for n in archive.namelist() if n.startswith(split + "/") and not n.endswith("/")]
        pictures = np.stack([decoded(archive.read(name)) for name in names])
    return torch.from_numpy(pictures), [name.split("/")[1] for name in names]


def digits(root: str, train: bool) -> tuple[Tensor, list[str]]:
    """Return MNIST in color, and the digits' names."""
    images, shown = train_digits.digits(root, train)
    return images.repeat(1, 3, 1, 1), [f"digit {int(t)}" for t in shown]


def one_hot(labels: list[str], classes: list[str]) -> Tensor:
    return F.one_hot(torch.tensor([classes.index(label) for label in labels]), len(classes)).float()


def word_targets(names: list[str], classes: list[str]) -> Tensor:
    """Return each name's share of every class word: (N, classes). Rows sum to one, or to zero without such a word."""
    hits = torch.tensor([[float(word in name.split()) for word in classes] for name in names])
    return hits / hits.sum(1, keepdim=True).clamp(min=1)


def frequent_words(names: list[str]) -> list[str]:
    counts = Counter(word for name in names for word in set(name.split()) if len(word) > 2)
    return [word for word, count in counts.most_common() if count >= WORD_AT_LEAST]


def shifted(images: Tensor, reach: int = 2) -> Tensor:
    """Return the images, each moved by up to `reach` pixels in each direction, with its edge repeated."""
    count, _, height, width = images.shape
    rows = (torch.arange(height) + torch.randint(-reach, reach + 1, (count, 1))).clamp(0, height - 1)
    columns = (torch.arange(width) + torch.randint(-reach, reach + 1, (count, 1))).clamp(0, width - 1)
    which = torch.arange(count)[:, None, None]
    return images.permute(0, 2, 3, 1)[which, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def augmented(images: Tensor, mirror: bool) -> Tensor:
    """Return the images moved, and mirrored if that keeps the label."""
    images = shifted(images)
    flips = (torch.rand(len(images)) < 0.5 * mirror)[:, None, None, None]
    return torch.where(flips, images.flip(-1), images)


def batches(sets: list[Labelled], size: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield endless (pictures, targets, emoji indices). The first set is the emoji's, and comes first in a batch."""
    while True:
        parts = [(s, torch.randint(len(s.images), (round(size * s.share),))) for s in sets]
        images = torch.cat([augmented(s.images[rows], s.mirror) for s, rows in parts])
        yield images.float() / 127.5 - 1, torch.cat([s.targets[rows] for s, rows in parts]), parts[0][1]


class Helpers(nn.Module):
    """The layers that only training needs: an emoji classifier and a thumbnail decoder, both on the features."""

    def __init__(self, dim: int, emoji: int) -> None:
        super().__init__()
        self.tell_apart = nn.Linear(dim, emoji)
        self.repaint = nn.Linear(dim, 3 * THUMBNAIL**2)

    def forward(self, features: Tensor, images: Tensor, which: Tensor) -> Tensor:
        share = len(which) / len(images)
        apart = F.cross_entropy(self.tell_apart(features[: len(which)]), which)
        wanted = F.adaptive_avg_pool2d(images, THUMBNAIL).flatten(1)
        return share * apart + REPAINTING * F.mse_loss(self.repaint(features), wanted)


def loss_of(net: SmallNet, helpers: Helpers, images: Tensor, targets: Tensor, which: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        features, logits = net(images.contiguous(memory_format=torch.channels_last))
    classes = -(targets * logits.float().log_softmax(1)).sum(1).mean()
    return classes + helpers(features.float(), images, which)


def train(net: SmallNet, sets: list[Labelled], steps: int, size: int = 128, rate: float = 3e-3) -> None:
    """Train by AdamW in bfloat16. The rate rises over the first tenth and falls to zero."""
    helpers = Helpers(net.classify.in_features, len(sets[0].images))
    optimizer = torch.optim.AdamW([*net.parameters(), *helpers.parameters()], lr=rate, weight_decay=0.02)
    for step, batch in enumerate(islice(batches(sets, size), steps)):
        optimizer.param_groups[0]["lr"] = rate * min(10 * step / steps, (1 - step / steps) / 0.9)
        loss = loss_of(net, helpers, *batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step} of {steps}  loss {loss.item():.3f}", flush=True)


@torch.no_grad()
def accuracy(net: SmallNet, images: Tensor, targets: Tensor) -> float:
    """Return the fraction of pictures whose likeliest class is one of theirs."""
    net.eval()
    found = torch.cat([net(x.float() / 127.5 - 1)[1].argmax(1) for x in torch.split(images, 500)])
    return (targets[torch.arange(len(found)), found] > 0).float().mean().item()


def collect(cifar: str, mnist: str) -> tuple[list[Labelled], list[tuple[str, Tensor, Tensor]], list[str]]:
    """Return the training sets with their shares of a batch, the test sets, and the classes."""
    pictures, names = emoji()
    objects, labels = zipped(cifar, "train")
    numerals, values = digits(mnist, train=True)
    plain = sorted(set(labels)) + sorted(set(values))
    words = frequent_words(names)
    classes = plain + [f"word {word}" for word in words]
    targets = F.pad(word_targets(names, words), (len(plain), 0))
    sets = [
        Labelled(pictures, targets, True, 0.25),
        Labelled(objects, one_hot(labels, classes), True, 0.7),
        Labelled(numerals, one_hot(values, classes), False, 0.05),
    ]
    tests = [(name, *pair) for name, pair in (("CIFAR-10", zipped(cifar, "test")), ("MNIST", digits(mnist, False)))]
    return sets, [(name, images, one_hot(found, classes)) for name, images, found in tests], classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cifar", required=True, help="zip of CIFAR-10 pictures: train/class/name.jpg, test/...")
    parser.add_argument("--mnist", required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    sets, tests, classes = collect(options.cifar, options.mnist)
    print(f"{[len(s.images) for s in sets]} pictures, {len(classes)} classes")
    net = SmallNet(len(classes)).to(memory_format=torch.channels_last)
    train(net, sets, options.steps)
    torch.save({"classes": classes, "state": {k: v.half() for k, v in net.state_dict().items()}}, options.out)
    for name, images, targets in tests:
        print(f"{name}: {accuracy(net, images, targets):.1%} of {len(images)} test pictures right")


if __name__ == "__main__":
    main()
