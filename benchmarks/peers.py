"""Train two other programs for the budgets of benchmarks/baselines.py, and measure them by `python -m ganlab.evaluate`.

    python benchmarks/peers.py cifar10=FOLDER [seeds=3] [dcgan=examples/dcgan/main.py] [mimicry=FOLDER]

dcgan: the script of github.com/pytorch/examples, run as it is: one epoch over a folder of as many pictures as the
budget allows. It draws 64 x 64 pixels, which are averaged to 32 x 32. mimicry: a copy of github.com/kwotsin/mimicry,
whose SNGAN for 32 x 32 takes its own training steps. Batch and rates are those of the baselines, and widths are such
that a picture costs about as many operations as in the rows dcgan and hinge_sn. Seconds are the processor's, on one
thread, of training alone. The results have the form of a run's: `docs/baselines/cifar10/PEER/SEED`. Those that are
there are skipped.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import random
import resource
import runpy
import subprocess
import sys
import time
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch
from baselines import BATCH, COUNT, IMAGES, METRICS, RATE, RESULTS, SECONDS
from contest import settings
from grid import is_done
from PIL import Image
from torch import Tensor, nn

from ganlab.runs.summary import device_name

SIDE = 32
ASIDE = Path("runs/peers")


class Point(NamedTuple):
    """A generator when one budget is spent. draw: count -> pictures (count, 3, side, side) in [-1, 1]."""

    images: int
    seconds: float
    draw: Callable[[int], Tensor]


def dcgan(script: Path, pictures: Path, seed: int) -> Iterator[Point]:
    """Run the script over `IMAGES` pictures, then anew over as many as `SECONDS` allow at that speed."""
    first = _dcgan_over(IMAGES, script, pictures, seed)
    yield first
    yield _dcgan_over(round(first.images * SECONDS / first.seconds), script, pictures, seed)


def _dcgan_over(count: int, script: Path, pictures: Path, seed: int) -> Point:
    folder = ASIDE / f"dcgan-{count}-{seed}"
    (folder / "pictures" / "all").mkdir(parents=True, exist_ok=True)
    files = sorted(pictures.glob("train/*/*"))
    for i, file in enumerate(random.Random(seed).sample(files, count)):
        if not (link := folder / "pictures" / "all" / f"{i:05}{file.suffix}").exists():
            link.symlink_to(file.resolve())
    words = f"--dataset folder --dataroot {folder / 'pictures'} --imageSize 64 --ngf 12 --ndf 12 --nz 100 --niter 1"
    words += f" --batchSize {BATCH} --lr {RATE} --workers 0 --manualSeed {seed} --outf {folder}"
    sys.argv = [str(script), *words.split()]
    started = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        made = runpy.run_path(str(script), run_name="__main__")
    seconds = time.process_time() - started
    return Point(count, seconds, lambda n: made["netG"](torch.randn(n, 100, 1, 1)))  # in training mode, as it samples


def sngan(root: Path, pictures: Path, seed: int) -> Iterator[Point]:
    """Take mimicry's training steps with five discriminator turns until both budgets are spent."""
    for name in ("torch_mimicry", "torch_mimicry.training"):  # their own __init__ imports TensorFlow, for metrics
        sys.modules[name] = types.ModuleType(name)
        sys.modules[name].__path__ = [str(root / name.replace(".", "/"))]
    from torch_mimicry.nets.sngan.sngan_32 import SNGANDiscriminator32, SNGANGenerator32
    from torch_mimicry.training.metric_log import MetricLog

    torch.manual_seed(seed)
    generator, discriminator = SNGANGenerator32(ngf=16), SNGANDiscriminator32(ndf=16)
    steps = {one: torch.optim.Adam(one.parameters(), RATE, betas=(0.0, 0.9)) for one in (generator, discriminator)}
    batches, device = _batches(pictures, seed), torch.device("cpu")
    seen, spent, left = 0, 0.0, {"images", "seconds"}
    while left:
        started = time.process_time()
        for _ in range(5):
            batch, log = next(batches), MetricLog()
            discriminator.train_step(batch, generator, steps[discriminator], log, device)
            seen += len(batch[0])
        generator.train_step(batch, discriminator, steps[generator], log, device)
        spent += time.process_time() - started
        for budget in [one for one in left if {"images": seen >= IMAGES, "seconds": spent >= SECONDS}[one]]:
            left.remove(budget)
            generator.eval()  # as its own metrics draw
            yield Point(seen, spent, generator.generate_images)
            generator.train()


def _batches(pictures: Path, seed: int) -> Iterator[list[Tensor]]:
    from torchvision import datasets, transforms

    change = transforms.Compose([transforms.ToTensor(), transforms.Normalize((0.5,) * 3, (0.5,) * 3)])
    data = datasets.ImageFolder(str(pictures / "train"), change)
    order = torch.Generator().manual_seed(seed)
    while True:
        yield from torch.utils.data.DataLoader(data, BATCH, shuffle=True, drop_last=True, generator=order)


# Measuring --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def write_samples(draw: Callable[[int], Tensor], folder: Path, seed: int) -> None:
    """Write `COUNT` samples as PNG files of 32 x 32 pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    for start in range(0, COUNT, 100):
        images = nn.functional.adaptive_avg_pool2d(draw(min(100, COUNT - start)), SIDE)
        for i, image in enumerate(((images + 1) * 127.5).round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()):
            Image.fromarray(image).save(folder / f"{start + i:05}.png")


def measured(folder: Path, pictures: Path) -> dict[str, Any]:
    """Return what `python -m ganlab.evaluate` says of a folder of samples."""
    out = folder.with_suffix(".json")
    words = [f"generated={folder}", f"reference={pictures / 'test'}", f"metrics=[{','.join(METRICS)}]"]
    command = [sys.executable, "-m", "ganlab.evaluate", *words, "extractor=imagenet", f"out={out}"]
    subprocess.run(command, check=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL)
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))["metrics"]
    return found


def compare(name: str, points: Iterator[Point], pictures: Path, seed: int) -> None:
    """Measure a peer at both points, and write a run's files."""
    results, rows = RESULTS / "cifar10" / name / str(seed), []
    for point in points:
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        folder = ASIDE / f"{name}-{seed}-{point.images}"
        write_samples(point.draw, folder, seed)
        found = measured(folder, pictures)
        rows.append(
            {"iteration": point.images // BATCH, "images_seen": point.images, "seconds": round(point.seconds, 1)}
        )
        rows[-1] |= {f"quality/{number}": one["value"] for number, one in found.items()}
        print(name, seed, rows[-1], flush=True)
    rows.sort(key=lambda row: row["images_seen"])
    results.mkdir(parents=True, exist_ok=True)
    with (results / "metrics.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    summary = {
        "recipe": name,
        "images_seen": rows[-1]["images_seen"],
        "seconds": rows[-1]["seconds"],
        "seed": seed,
        "memory": {"process": memory},
        "versions": {"torch": torch.__version__, "device": device_name(torch.device("cpu"))},
        "protocols": {number: one["protocol"] for number, one in found.items()},
    }
    (results / "recipe.yaml").write_text(f"recipe: {name}\nseed: {seed}\n", encoding="utf-8")
    (results / "summary.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")


def main() -> None:
    said = {"seeds": 3} | settings()
    torch.set_num_threads(1)
    pictures = Path(said["cifar10"])
    for seed in range(said["seeds"]):
        for name, key, train in (("peer_dcgan", "dcgan", dcgan), ("peer_sngan", "mimicry", sngan)):
            if key in said and not is_done(RESULTS / "cifar10" / name / str(seed)):
                compare(name, train(Path(said[key]), pictures, seed), pictures, seed)


if __name__ == "__main__":
    main()
