"""Train the weights of the digit classifier: `python -m tools.train_digits --mnist FOLDER`.

Training uses MNIST's 60,000 training digits, rotated, sheared, resized and moved a little, never mirrored. The 10,000
test digits are only counted at the end. Developers run it; training runs do not. FOLDER: torchvision's, with MNIST/raw.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ganlab.metrics.digits import WEIGHTS, DigitNet, DigitReader

TURN, STRETCH, SHEAR, SHIFT = math.radians(12), 0.12, 0.15, 2 / 16  # at most; the shift in halves of the side
SMOOTHING, DECAY = 0.05, 0.02


def digits(root: str, train: bool) -> tuple[Tensor, Tensor]:
    """Return images, uint8 (N, 1, 32, 32), and their digits (N,)."""
    from torchvision.datasets import MNIST

    found = MNIST(root, train=train)
    return F.pad(found.data, (2, 2, 2, 2))[:, None], found.targets.long()


def spread(count: int, most: float) -> Tensor:
    """Return (count,) random numbers from -most to most."""
    return (2 * torch.rand(count) - 1) * most


def warped(x: Tensor) -> Tensor:
    """Return pictures (N, 1, H, W) in [-1, 1], each under a random affine map. The outside is black."""
    count = len(x)
    turn, shear = spread(count, TURN), spread(count, SHEAR)
    across, down = 1 + spread(count, STRETCH), 1 + spread(count, STRETCH)
    rows = [
        torch.stack([across * turn.cos(), shear - turn.sin(), spread(count, SHIFT)], 1),
        torch.stack([turn.sin(), down * turn.cos(), spread(count, SHIFT)], 1),
    ]
    places = F.affine_grid(torch.stack(rows, 1), list(x.shape), align_corners=False)
    return F.grid_sample(x + 1, places, align_corners=False) - 1


def batches(images: Tensor, labels: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches of endless shuffled passes: warped pictures and their digits."""
    while True:
        for rows in torch.randperm(len(images)).split(size):
            yield warped(images[rows].float() / 127.5 - 1), labels[rows]


def rate(step: int, steps: int, peak: float) -> float:
    """Return the rate of a step: it rises to the peak over the first fifth, then falls along a cosine to zero."""
    part = step / steps
    return peak * part / 0.2 if part < 0.2 else peak * (1 + math.cos(math.pi * (part - 0.2) / 0.8)) / 2


def train(net: DigitNet, images: Tensor, labels: Tensor, steps: int, size: int = 128, peak: float = 4e-3) -> None:
    """Train by AdamW on cross-entropy with smoothed targets."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=peak, weight_decay=DECAY, fused=True)
    for step, (x, wanted) in enumerate(islice(batches(images, labels, size), steps)):
        optimizer.param_groups[0]["lr"] = rate(step, steps, peak)
        logits = net(x.contiguous(memory_format=torch.channels_last))
        loss = F.cross_entropy(logits, wanted, label_smoothing=SMOOTHING)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % 100 == 0:
            print(f"step {step} of {steps}  loss {loss.item():.3f}", flush=True)


def accuracy(reader: DigitReader, images: Tensor, labels: Tensor) -> float:
    """Return the share of pictures whose digit is classified correctly."""
    return (reader(images)[:, 0] == labels).double().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mnist", required=True, help="folder that holds MNIST/raw")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    options = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    started = time.monotonic()
    net = DigitNet().to(memory_format=torch.channels_last)
    train(net, *digits(options.mnist, train=True), options.steps)
    torch.save({name: value.half() for name, value in net.state_dict().items()}, options.out)
    right = accuracy(DigitReader(options.out), *digits(options.mnist, train=False))
    seconds = time.monotonic() - started
    print(f"{right:.2%} of the test digits right, so {right**3:.2%} of stacks of three; {seconds:.0f} s")


if __name__ == "__main__":
    main()
