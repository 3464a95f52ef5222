"""Measure whether the extractors' Fréchet distances grow with damage of pictures, and from which strength.

    python benchmarks/damage.py [cifar=FILE.zip] [mnist=FOLDER] [count=1000] [extractors=small,imagenet] [threads=1]
        [out=FILE.json] [figure=FILE.png]

Real pictures are cut into two halves at random. One half is damaged, with six kinds of damage at five strengths, and
compared with the other half, which is unchanged. Strength 0 is the distance of two real halves. 20 other cuts give the
spread: the amount by which the largest of their distances exceeds the mean. A damage is noticed at the first strength
from which on the distance exceeds that at strength 0 by more than the spread. A curve rises if it never falls by more.

`cifar`: a zip of `train/CLASS/*.jpg`; `mnist`: torchvision's folder. Without them, emoji and shapes only.
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import torch
import torch.nn.functional as F
from contest import settings
from PIL import Image
from torch import Tensor

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data
from ganlab.data.rows import some_rows
from ganlab.metrics.extractors import choose
from ganlab.metrics.features import Extractor
from ganlab.metrics.moments import frechet_distance_of_sets

CUTS = 20
PATCH = 8  # pixels of 32

# Damage: float pictures (N, C, 32, 32) of levels 0..255, a strength, a generator -> the same, damaged ----------------


def blur(x: Tensor, sigma: float, random: torch.Generator) -> Tensor:
    """Convolve with a Gaussian of that many pixels."""
    reach = torch.arange(-8, 9)
    bell = (-(reach**2) / (2 * sigma**2)).exp()
    bell = (bell / bell.sum()).expand(x.shape[1], 1, 17)
    wide = F.pad(x, (8, 8, 8, 8), mode="replicate")
    return F.conv2d(F.conv2d(wide, bell[..., None], groups=len(bell)), bell[:, :, None], groups=len(bell))


def noise(x: Tensor, deviation: float, random: torch.Generator) -> Tensor:
    """Add normal noise of this standard deviation, in levels."""
    return x + deviation * torch.randn(x.shape, generator=random)


def colors(x: Tensor, degrees: float, random: torch.Generator) -> Tensor:
    """Rotate each picture's hues by a random angle between plus and minus `degrees`, around the grey axis."""
    angle = (torch.rand(len(x), generator=random) * 2 - 1) * degrees * torch.pi / 180
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
    turn = cos * torch.eye(3) + sin * cross + (1 - cos) / 3
    return torch.einsum("nij,njhw->nihw", turn, x)


def shapes(x: Tensor, pixels: float, random: torch.Generator) -> Tensor:
    """Displace every pixel by a smooth field of this standard deviation."""
    field = F.interpolate(torch.randn(len(x), 2, 5, 5, generator=random), x.shape[-2:], mode="bicubic")
    grid = F.affine_grid(torch.eye(2, 3).expand(len(x), 2, 3), list(x.shape), align_corners=False)
    moved = grid + field.permute(0, 2, 3, 1) * pixels * 2 / x.shape[-1]
    return F.grid_sample(x, moved, mode="bilinear", padding_mode="border", align_corners=False)


def patches(x: Tensor, pairs: float, random: torch.Generator) -> Tensor:
    """Exchange this number of pairs of the 16 patches of 8 x 8."""
    parts = F.unfold(x, PATCH, stride=PATCH)
    order = torch.rand(len(x), parts.shape[2], generator=random).argsort(1)
    places = order.clone()
    for pair in range(int(pairs)):
        places[:, [2 * pair, 2 * pair + 1]] = order[:, [2 * pair + 1, 2 * pair]]
    came = torch.empty_like(order).scatter_(1, order, places)
    return F.fold(parts.gather(2, came[:, None].expand_as(parts)), x.shape[-2:], PATCH, stride=PATCH)


def holes(x: Tensor, side: float, random: torch.Generator) -> Tensor:
    """Fill a square of this side, at a random place, with the colour of the picture's edge."""
    size = x.shape[-1]
    corner = torch.randint(0, size - int(side) + 1, (len(x), 2, 1), generator=random)
    inside = (torch.arange(size) >= corner) & (torch.arange(size) < corner + side)
    hole = (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]
    edge = torch.cat([x[..., 0, :], x[..., -1, :], x[..., :, 0], x[..., :, -1]], -1).median(-1).values
    return torch.where(hole, edge[..., None, None], x)


Damage = Callable[[Tensor, float, torch.Generator], Tensor]
DAMAGES: dict[str, tuple[Damage, tuple[float, ...], str]] = {
    "blur": (blur, (0.4, 0.6, 0.9, 1.3, 2.0), "pixels"),
    "noise": (noise, (4, 8, 16, 32, 64), "levels"),
    "colors": (colors, (10, 20, 45, 90, 180), "degrees"),
    "shapes": (shapes, (0.5, 1, 2, 3, 5), "pixels"),
    "patches": (patches, (1, 2, 4, 6, 8), "pairs of 16"),
    "holes": (holes, (4, 8, 12, 16, 20), "pixels"),
}


def damaged(images: Tensor, name: str, level: int, seed: int = 0) -> Tensor:
    """Return pictures uint8 (N, C, 32, 32) damaged at a strength of 1 to 5. 0 leaves them unchanged."""
    if not level:
        return images
    damage, strengths, _ = DAMAGES[name]
    found = damage(images.float(), strengths[level - 1], torch.Generator().manual_seed(seed))
    return found.round().clamp(0, 255).to(torch.uint8)


# Data -----------------------------------------------------------------------------------------------------------------


def pictures(count: int, cifar: str, mnist: str) -> dict[str, Tensor]:
    """Return at most `count` pictures (N, C, 32, 32) of each available data set, by name."""
    found = {"emoji": recipe_pictures(count, "data=emoji")}
    if cifar:
        found["CIFAR-10"] = zipped(Path(cifar), count)
    if mnist:
        found["MNIST"] = recipe_pictures(count, "data=mnist", f"data.root={mnist}", "data.size=32")
    found["shapes"] = recipe_pictures(count, "data=shapes")
    return {name: images[torch.randperm(len(images))] for name, images in found.items()}


def recipe_pictures(count: int, *words: str) -> Tensor:
    data = make_data(compose("recipe=vanilla", *words))
    return data.train.get(some_rows(len(data.train), count, 0))


def zipped(path: Path, count: int) -> Tensor:
    with ZipFile(path) as archive:
        names = sorted(name for name in archive.namelist() if name.startswith("train/") and name.endswith(".jpg"))
        chosen = [names[row] for row in some_rows(len(names), count, 0)]
        images = [np.array(Image.open(io.BytesIO(archive.read(name))).convert("RGB")) for name in chosen]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)


# Measuring ------------------------------------------------------------------------------------------------------------


def floors(clean: Tensor) -> list[float]:
    """Return the distances of two halves of real pictures' features, for `CUTS` cuts."""
    orders = [torch.randperm(len(clean), generator=torch.Generator().manual_seed(seed)) for seed in range(CUTS)]
    return [frechet_distance_of_sets(*clean[order].chunk(2)) for order in orders]


def curve(extractor: Extractor, images: Tensor, name: str, clean: Tensor) -> list[float]:
    """Return the distances of the damaged second half from the first, at strengths 0 to 5."""
    first, second = clean.chunk(2)
    seen = [extractor(damaged(images.chunk(2)[1], name, level)) for level in range(1, 6)]
    return [frechet_distance_of_sets(first, features) for features in (second, *seen)]


def told(distances: list[float], spread: float) -> dict[str, Any]:
    """Return a curve's summary: whether it rises, and the first strength that is noticed."""
    seen = [distance - distances[0] > spread for distance in distances]
    noticed = next((level for level in range(1, 6) if all(seen[level:])), None)
    rises = all(later > earlier - spread for earlier, later in pairwise(distances))
    return {"distances": distances, "rises": rises, "noticed": noticed}


def measure(extractor: Extractor, sets: dict[str, Tensor]) -> dict[str, Any]:
    """Return the summaries by data set and damage."""
    report: dict[str, Any] = {}
    for data, images in sets.items():
        clean, started = extractor(images), time.perf_counter()
        real = floors(clean)
        mean = sum(real) / CUTS
        report[data] = {"two real halves": {"mean": mean, "spread": max(real) - mean}}
        for name in DAMAGES if images.shape[1] > 1 else [name for name in DAMAGES if name != "colors"]:
            report[data][name] = told(curve(extractor, images, name, clean), max(real) - mean)
            taken = time.perf_counter() - started
            print(extractor.label, data, name, report[data][name], f"{taken:.0f} s", file=sys.stderr, flush=True)
    return report


# Showing --------------------------------------------------------------------------------------------------------------


def draw(report: dict[str, Any], path: Path) -> None:
    """Draw a panel for each data set and damage: distances above that at strength 0, in spreads; filled: noticed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    first = next(iter(report.values()))
    figure, axes = plt.subplots(len(first), len(DAMAGES), figsize=(15, 2.4 * len(first)), squeeze=False, sharex="col")
    for row, data in zip(axes, first, strict=True):
        for axis, (name, (_, strengths, unit)) in zip(row, DAMAGES.items(), strict=True):
            _panel(axis, {label: found[data] for label, found in report.items()}, name)
            axis.set_xticks(range(6), ["0", *(f"{s:g}" for s in strengths)], fontsize=7)
            axis.set_title(f"{data}: {name} ({unit})", fontsize=8)
    axes[0, 0].legend(fontsize=7)
    figure.supylabel("Fréchet distance above that of two real halves, in spreads", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def _panel(axis: Any, found: dict[str, Any], name: str) -> None:
    axis.axhline(1, color="grey", linewidth=0.5)
    axis.set_yscale("symlog", linthresh=1)
    axis.yaxis.set_major_formatter("{x:g}")
    axis.set_visible(any(name in one for one in found.values()))
    axis.tick_params(labelsize=7)
    for label, one in ((label, one) for label, one in found.items() if name in one):
        distances, noticed = one[name]["distances"], one[name]["noticed"] or 6
        above = [(distance - distances[0]) / one["two real halves"]["spread"] for distance in distances]
        (line,) = axis.plot(range(6), above, marker="o", fillstyle="none", label=label, linewidth=1)
        axis.plot(range(noticed, 6), above[noticed:], "o", color=line.get_color())


def main(
    cifar: str = "",
    mnist: str = "",
    count: int = 1000,
    extractors: str = "small,imagenet",
    threads: int = 1,
    out: str = "",
    figure: str = "",
) -> None:
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    sets = pictures(count, cifar, mnist)
    report = {name: measure(choose(name).extractor, sets) for name in extractors.split(",")}
    if figure:
        draw(report, Path(figure))
    facts = {"counts": {name: len(images) for name, images in sets.items()}, "cuts": CUTS, "torch": torch.__version__}
    strengths = {name: strengths for name, (_, strengths, _) in DAMAGES.items()}
    text = json.dumps({**facts, "strengths": strengths, "extractors": report}, indent=1)
    print(text)
    if out:
        Path(out).write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(**settings())
