"""Measure sources of pictures: time to the first batch, pictures a second of two passes, and memory.

    python benchmarks/sources.py make=FOLDER pictures=ROOT count=10000
    python benchmarks/sources.py make=FOLDER small=1000000
    python benchmarks/sources.py run=NAME folder=FOLDER
    python benchmarks/sources.py resume=webdataset folder=FOLDER
    python benchmarks/sources.py permute=100000000

`make` writes the same pictures as a folder, a zip, shards, a Parquet file and MosaicML's shards, or small ones of 8 x 8
pixels as files, a zip and shards. `run` reads one of them in this process, so that its memory is its own: run each name
in a process of its own, in turns. `resume` measures how long an engine takes to go on in the middle of a pass.
"""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from contest import settings, tell

SIZE, BATCH, SHARD = 32, 64, 10_000
LIMIT = 20.0  # seconds of a pass that are measured at most


# Data ----------------------------------------------------------------------------------------------------------------


def make_pictures(folder: Path, root: Path, count: int) -> None:
    """Write `count` of the pictures in classes' folders under `root` in each form."""
    files = sorted(root.rglob("*.jpg"))
    chosen = [files[i] for i in np.sort(np.random.default_rng(0).permutation(len(files))[:count])]
    names = sorted({file.parent.name for file in chosen})
    pairs = [(file.read_bytes(), names.index(file.parent.name)) for file in chosen]
    for file in chosen:
        target = folder / "files" / file.parent.name / f"{file.parent.parent.name}-{file.name}"  # train and test differ
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    write_zip(folder, iter(pairs))
    write_shards(folder, iter(pairs))
    write_parquet(folder, pairs, names)


def make_small(folder: Path, count: int) -> None:
    """Write `count` pictures of 8 x 8 pixels, of 1,000 kinds, as shards, a zip and files."""
    kinds = [small(kind) for kind in range(1000)]
    write_shards(folder, ((kinds[i % 1000], i % 10) for i in range(count)))
    write_zip(folder, ((kinds[i % 1000], i % 10) for i in range(count)))
    for i in range(count):
        if i % 1000 == 0:
            (folder / "files" / f"{i % 10}" / f"{i // 1000:04d}").mkdir(parents=True)
            home = folder / "files" / f"{i % 10}" / f"{i // 1000:04d}"
        (home / f"{i:07d}.png").write_bytes(kinds[i % 1000])


def small(kind: int) -> bytes:
    """Return a random PNG of 8 x 8 pixels."""
    from PIL import Image

    file = io.BytesIO()
    pixels = np.random.default_rng(kind).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def write_zip(folder: Path, pairs: Iterator[tuple[bytes, int]]) -> None:
    """Write a zip as StyleGAN's dataset_tool does."""
    labels = []
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "pictures.zip", "w", zipfile.ZIP_STORED) as archive:
        for i, (data, label) in enumerate(pairs):
            name = f"{i // 1000:05d}/img{i:08d}.jpg"
            archive.writestr(name, data)
            labels.append([name, label])
        archive.writestr("dataset.json", json.dumps({"labels": labels}))


def write_shards(folder: Path, pairs: Iterator[tuple[bytes, int]]) -> None:
    """Write tar files of `SHARD` samples each, as WebDataset's writer does."""
    home, count = folder / "shards", 0
    home.mkdir(parents=True)
    for shard in range(10**6):
        part = list(islice(pairs, SHARD))
        count += len(part)
        if not part:
            (folder / "count.txt").write_text(str(count))
            return
        with tarfile.open(home / f"{shard:06d}.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
            for i, (data, label) in enumerate(part):
                for suffix, content in (("jpg", data), ("cls", str(label).encode())):
                    record = tarfile.TarInfo(f"{shard * SHARD + i:08d}.{suffix}")
                    record.size = len(content)
                    archive.addfile(record, io.BytesIO(content))


def write_parquet(folder: Path, pairs: list[tuple[bytes, int]], names: list[str]) -> None:
    """Write one Parquet file with the feature types Image and ClassLabel."""
    import datasets

    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=names)})
    columns = {"image": [{"bytes": data, "path": None} for data, _ in pairs], "label": [label for _, label in pairs]}
    (folder / "parquet").mkdir()
    datasets.Dataset.from_dict(columns, features=features).to_parquet(folder / "parquet" / "train.parquet")


def write_mosaic(folder: Path) -> None:
    """Write MosaicML's shards, from the tar files."""
    from streaming import MDSWriter

    columns = {"image": "bytes", "label": "int"}
    with MDSWriter(out=str(folder / "mds"), columns=columns, compression=None) as out:
        for path in sorted((folder / "shards").glob("*.tar")):
            with tarfile.open(path) as archive:
                records = iter(archive)
                for picture, label in zip(records, records, strict=True):
                    data, text = (archive.extractfile(one).read() for one in (picture, label))  # type: ignore[union-attr]
                    out.write({"image": data, "label": int(text)})


# Contestants ---------------------------------------------------------------------------------------------------------


Passes = Iterator[Any]


def ganlab(kind: str, folder: Path, workers: int, start: int = 0) -> tuple[int, Passes]:
    """Return the number of pictures and the endless batches, from number `start`, of one of ganlab's sources."""
    from torch.utils.data import DataLoader

    from ganlab.data.folder import FolderData
    from ganlab.data.hf import HfData
    from ganlab.data.shards import ShardsData
    from ganlab.data.stream import Stream
    from ganlab.data.zips import ZipData

    how: dict[str, Any] = {"size": SIZE, "held_out": 0.0}
    data = {
        "folder": lambda: FolderData(folder / "files", **how),
        "lazy": lambda: FolderData(folder / "files", decode="lazy", **how),
        "zip": lambda: ZipData(folder / "pictures.zip", **how),
        "shards": lambda: ShardsData(folder / "shards", **how),
        "hf": lambda: HfData(folder / "parquet", **how),
    }[kind]()
    data.setup()
    stream = Stream(data.train, BATCH, start=start)
    return len(data.train), iter(DataLoader(stream, batch_size=None, num_workers=workers))


def tensor(picture: Any) -> Any:
    """Return a picture as ganlab's batches have it: uint8 (3, 32, 32)."""
    import torch

    picture = picture.convert("RGB")
    picture = picture if picture.size == (SIZE, SIZE) else picture.resize((SIZE, SIZE))
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1)


def encoded(data: bytes) -> Any:
    """Return the picture of these bytes as `tensor` does."""
    from PIL import Image

    return tensor(Image.open(io.BytesIO(data)))


def looped(loader: Any) -> Passes:
    while True:
        yield from loader


def image_folder(folder: Path, workers: int) -> tuple[int, Passes]:
    """torchvision's ImageFolder in torch's DataLoader."""
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder

    found = ImageFolder(str(folder / "files"), transform=tensor)
    return len(found), looped(DataLoader(found, BATCH, shuffle=True, num_workers=workers))


def hugging_face(folder: Path, workers: int) -> tuple[int, Passes]:
    """`datasets` in torch's DataLoader, with a transform."""
    import datasets
    import torch
    from torch.utils.data import DataLoader

    datasets.disable_progress_bars()
    found = datasets.load_dataset("parquet", data_files=str(folder / "parquet" / "train.parquet"))["train"]
    found = found.with_transform(
        lambda rows: {"image": [tensor(one) for one in rows["image"]], "label": torch.tensor(rows["label"])}
    )
    return len(found), looped(DataLoader(found, BATCH, shuffle=True, num_workers=workers))


def webdataset_loader(folder: Path, workers: int) -> Any:
    """Return WebDataset in torchdata's StatefulDataLoader, with its usual shuffle of shards and of 1,000 samples."""
    import webdataset
    from torchdata.stateful_dataloader import StatefulDataLoader

    shards = sorted(map(str, (folder / "shards").glob("*.tar")))
    found = webdataset.WebDataset(shards, shardshuffle=100, seed=0, empty_check=False, workersplitter=lambda x: x)
    found = found.shuffle(1000, seed=0).to_tuple("jpg", "cls").map_tuple(encoded, int)
    return StatefulDataLoader(found, BATCH, num_workers=workers)


def webdataset(folder: Path, workers: int) -> tuple[int, Passes]:
    """WebDataset in torchdata's StatefulDataLoader. It does not know its number of pictures."""
    return int((folder / "count.txt").read_text()), looped(webdataset_loader(folder, workers))


def mosaic_loader(folder: Path, workers: int) -> Any:
    """Return MosaicML's StreamingDataset in its own loader."""
    from streaming import StreamingDataLoader, StreamingDataset

    class Decoded(StreamingDataset):
        def __getitem__(self, row: int) -> Any:
            sample = super().__getitem__(row)
            return encoded(sample["image"]), sample["label"]

    found = Decoded(local=str(folder / "mds"), shuffle=True, batch_size=BATCH)
    return StreamingDataLoader(found, batch_size=BATCH, num_workers=workers)


def mosaic(folder: Path, workers: int) -> tuple[int, Passes]:
    """MosaicML's StreamingDataset in its own loader."""
    loader = mosaic_loader(folder, workers)
    return len(loader.dataset), looped(loader)


OTHERS: dict[str, Callable[[Path, int], tuple[int, Passes]]] = {
    "imagefolder": image_folder,
    "datasets": hugging_face,
    "webdataset": webdataset,
    "mosaic": mosaic,
}


# Measurements --------------------------------------------------------------------------------------------------------


def memory() -> float:
    """Return the peak of this process's own memory in MB, without pages of files, which the system can take back."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) / 1024


def measure(name: str, folder: Path, workers: int) -> dict[str, Any]:
    """Return the seconds to the first batch, pictures a second of two passes, and memory, of one contestant."""
    import torch  # its import is no part of the time to the first batch

    torch.set_num_threads(1)
    family, _, kind = name.partition("-")
    before, started, busy = memory(), time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    count, batches = ganlab(kind, folder, workers) if family == "ganlab" else OTHERS[name](folder, workers)
    next(batches)
    first = time.perf_counter() - started
    rates = [_rate(batches, count) for _ in range(2)]
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "name": name,
        "pictures": count,
        "first_batch_s": round(first, 3),
        "first_pass": round(rates[0][0]),
        "second_pass": round(rates[1][0]),
        "cpu_us_a_picture": [round(rate[1] * 1e6) for rate in rates],
        "own_memory_MB": round(memory() - before),
        "peak_MB": round(used.ru_maxrss / 1024),
        "cpu_s": round(used.ru_utime + used.ru_stime - busy.ru_utime - busy.ru_stime, 2),
    }


def _rate(batches: Passes, count: int) -> tuple[float, float]:
    """Return pictures a second of at most one pass, and this process's seconds of processor time a picture."""
    started, busy, seen = time.perf_counter(), time.process_time(), 0
    while seen < count - BATCH and time.perf_counter() - started < LIMIT:
        next(batches)
        seen += BATCH
    return seen / (time.perf_counter() - started), (time.process_time() - busy) / seen


def resume(name: str, folder: Path) -> dict[str, Any]:
    """Return how long an engine takes to go on after 1, 50 and 100 batches, and whether the next batch is the same."""
    loaders: dict[str, Callable[[Path, int], Any]] = {"webdataset": webdataset_loader, "mosaic": mosaic_loader}
    found: dict[str, Any] = {"name": name}
    straight = list(islice(ganlab("shards", folder, 0)[1], 101)) if name == "ganlab-shards" else []
    for done in (1, 50, 100):
        if straight:
            started = time.perf_counter()
            same = next(ganlab("shards", folder, 0, start=done)[1]).images
            found[f"after {done}"] = round(time.perf_counter() - started, 3)
            found[f"same after {done}"] = bool((same == straight[done].images).all())
            continue
        loader = loaders[name](folder, 0)
        batches = iter(loader)
        for _ in range(done):
            next(batches)
        state, following = loader.state_dict(), next(batches)[0]
        other = loaders[name](folder, 0)
        other.load_state_dict(state)
        started = time.perf_counter()
        same = next(iter(other))[0]
        found[f"after {done}"] = round(time.perf_counter() - started, 3)
        found[f"same after {done}"] = bool((same == following).all()) if same.shape == following.shape else False
    return found


def permute(size: int) -> dict[str, Any]:
    """Return the time of the first batch and of later batches of a pass, by NumPy's permutation and computed."""
    from ganlab.data.order import key, permuted

    started = time.perf_counter()
    for i in range(100):
        permuted(np.arange(i * BATCH, (i + 1) * BATCH), size, key(0, np.zeros(BATCH, np.int64)))
    computed = (time.perf_counter() - started) / 100
    started = time.perf_counter()
    order = np.random.default_rng(0).permutation(size)
    stored = time.perf_counter() - started
    return {"size": size, "stored_s": stored, "stored_MB": order.nbytes / 1e6, "computed_s_a_batch": computed}


def main() -> None:
    """Run what the command line says."""
    words = settings()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    if "make" in words:
        folder = Path(words["make"])
        if "small" in words:
            make_small(folder, words["small"])
        elif "pictures" in words:
            make_pictures(folder, Path(words["pictures"]), words["count"])
        else:
            write_mosaic(folder)
    elif "permute" in words:
        tell(permute(words["permute"]), "")
    elif "resume" in words:
        tell(resume(words["resume"], Path(words["folder"])), "")
    elif "run" in words:
        tell(measure(words["run"], Path(words["folder"]), words.get("workers", 0)), words.get("out", ""))
    else:
        print(__doc__, file=sys.stderr)


if __name__ == "__main__":
    main()
