"""Do the extractors' Fréchet distances grow as pictures get worse, and where do they start to notice?

    python benchmarks/damage.py [cifar=FILE.zip] [mnist=FOLDER] [count=1000] [extractors=small,imagenet] [threads=1]
        [out=FILE.json] [figure=FILE.png]

Real pictures are cut into two halves. One half is damaged, with six kinds of damage at five strengths, and compared
with the other half, which stays as it is. Strength 0 is the distance of two real halves: the floor. Over five cuts, a
damage is noticed at the first strength from which on every cut's distance lies above the largest floor. `cifar`: a zip
of `train/CLASS/*.jpg`; `mnist`: torchvision's folder. Without them, emoji and shapes only.
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

from ganlab.assembly import make_data
from ganlab.metrics.extractors import choose
from ganlab.metrics.features import Extractor
from ganlab.metrics.fidelity import frechet_distance_of_sets
from ganlab.recipe import compose
from ganlab.rulers.evidence import some_rows

CUTS = 5
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
    """Add normal noise of that many levels."""
    return x + deviation * torch.randn(x.shape, generator=random)


def colors(x: Tensor, degrees: float, random: torch.Generator) -> Tensor:
    """Turn each picture's hues by an angle between plus and minus so many degrees, around the grey axis."""
    angle = (torch.rand(len(x), generator=random) * 2 - 1) * degrees * torch.pi / 180
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / 3**0.5
    turn = cos * torch.eye(3) + sin * cross + (1 - cos) / 3
    return torch.einsum("nij,njhw->nihw", turn, x)


def shapes(x: Tensor, pixels: float, random: torch.Generator) -> Tensor:
    """Displace every pixel, by a smooth field of that deviation."""
    field = F.interpolate(torch.randn(len(x), 2, 5, 5, generator=random), x.shape[-2:], mode="bicubic")
    grid = F.affine_grid(torch.eye(2, 3).expand(len(x), 2, 3), list(x.shape), align_corners=False)
    moved = grid + field.permute(0, 2, 3, 1) * pixels * 2 / x.shape[-1]
    return F.grid_sample(x, moved, mode="bilinear", padding_mode="border", align_corners=False)


def patches(x: Tensor, pairs: float, random: torch.Generator) -> Tensor:
    """Exchange so many pairs of the 16 patches of 8 x 8."""
    parts = F.unfold(x, PATCH, stride=PATCH)
    order = torch.rand(len(x), parts.shape[2], generator=random).argsort(1)
    places = order.clone()
    for pair in range(int(pairs)):
        places[:, [2 * pair, 2 * pair + 1]] = order[:, [2 * pair + 1, 2 * pair]]
    came = torch.empty_like(order).scatter_(1, order, places)
    return F.fold(parts.gather(2, came[:, None].expand_as(parts)), x.shape[-2:], PATCH, stride=PATCH)


def holes(x: Tensor, side: float, random: torch.Generator) -> Tensor:
    """Fill a square of that side, somewhere within, with the colour of the picture's edge."""
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
    """uint8 (N, C, 32, 32) at a strength of 1 to 5; 0 leaves them as they are."""
    if not level:
        return images
    damage, strengths, _ = DAMAGES[name]
    found = damage(images.float(), strengths[level - 1], torch.Generator().manual_seed(seed))
    return found.round().clamp(0, 255).to(torch.uint8)


# Data -----------------------------------------------------------------------------------------------------------------


def pictures(count: int, cifar: str, mnist: str) -> dict[str, Tensor]:
    """By name, at most `count` pictures (N, C, 32, 32) of each data set there is."""
    found = {name: recipe_pictures(count, f"data={name}") for name in ("emoji", "shapes")}
    if cifar:
        found["CIFAR-10"] = zipped(Path(cifar), count)
    if mnist:
        found["MNIST"] = recipe_pictures(count, "data=mnist", f"data.root={mnist}", "data.size=32")
    return found


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


def halves(count: int) -> list[tuple[Tensor, Tensor]]:
    """`CUTS` times two disjoint halves of rows."""
    orders = [torch.randperm(count, generator=torch.Generator().manual_seed(seed)) for seed in range(CUTS)]
    return [(order[: count // 2], order[count // 2 :]) for order in orders]


def curve(extractor: Extractor, images: Tensor, name: str, clean: Tensor) -> list[list[float]]:
    """(6, CUTS): distances at strengths 0 to 5 of each cut."""
    found = []
    for level in range(6):
        features = extractor(damaged(images, name, level)) if level else clean
        found.append([frechet_distance_of_sets(clean[a], features[b]) for a, b in halves(len(images))])
    return found


def told(curve: list[list[float]]) -> dict[str, Any]:
    """Summarize a curve: its means, whether they rise, the first strength noticed, the last mean over the floor."""
    means, floor = [sum(row) / len(row) for row in curve], max(curve[0])
    above = [min(row) > floor for row in curve]
    noticed = next((level for level in range(1, 6) if all(above[level:])), None)
    monotone = all(later >= earlier for earlier, later in pairwise(means))
    return {"means": means, "monotone": monotone, "noticed": noticed, "times_floor": means[-1] / means[0]}


def measure(extractor: Extractor, sets: dict[str, Tensor]) -> dict[str, Any]:
    """By data set and damage."""
    report: dict[str, Any] = {}
    for data, images in sets.items():
        clean, report[data] = extractor(images), {}
        for name in DAMAGES:
            if name == "colors" and images.shape[1] == 1:
                continue
            started = time.perf_counter()
            report[data][name] = told(curve(extractor, images, name, clean))
            taken = time.perf_counter() - started
            print(extractor.label, data, name, report[data][name], f"{taken:.0f} s", file=sys.stderr, flush=True)
    return report


# Showing --------------------------------------------------------------------------------------------------------------


def draw(report: dict[str, Any], path: Path) -> None:
    """One panel a data set and damage, each curve over its own floor; filled where the damage is noticed."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    first = next(iter(report.values()))
    figure, axes = plt.subplots(len(first), len(DAMAGES), figsize=(15, 2.4 * len(first)), squeeze=False, sharex=True)
    for row, data in zip(axes, first, strict=True):
        for axis, (name, (_, strengths, unit)) in zip(row, DAMAGES.items(), strict=True):
            _panel(axis, {label: found[data][name] for label, found in report.items() if name in found[data]})
            axis.set_xticks(range(6), ["0", *(f"{s:g}" for s in strengths)], fontsize=7)
            axis.set_title(f"{data}: {name} ({unit})", fontsize=8)
    axes[0, 0].legend(fontsize=7)
    figure.supylabel("Fréchet distance / that of two real halves", fontsize=9)
    figure.tight_layout()
    figure.savefig(path, dpi=90)


def _panel(axis: Any, curves: dict[str, dict[str, Any]]) -> None:
    for label, one in curves.items():
        ratios = [mean / one["means"][0] for mean in one["means"]]
        (line,) = axis.plot(range(6), ratios, marker="o", fillstyle="none", label=label, linewidth=1)
        if one["noticed"]:
            levels = range(one["noticed"], 6)
            axis.plot(levels, ratios[one["noticed"] :], "o", color=line.get_color())
    axis.set_yscale("log")
    axis.tick_params(labelsize=7)
    if not curves:
        axis.set_axis_off()


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
