"""Pictures from folders, zips, shards and Arrow tables: the same pictures, read when they are drawn."""

from __future__ import annotations

import io
import json
import os
import pickle
import tarfile
import time
import zipfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from ganlab.data import records, walk
from ganlab.data.base import GanData
from ganlab.data.batch import Batch
from ganlab.data.folder import FolderData, folder_index
from ganlab.data.hf import HfData
from ganlab.data.pictures import ATTEMPTS, Pictures
from ganlab.data.shards import ShardsData
from ganlab.data.source import Part, Source
from ganlab.data.stream import Stream
from ganlab.data.zips import ZipData
from ganlab.errors import UserError

COUNT = 40
NAMES = ("cat", "dog")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANLAB_CACHE", str(tmp_path / "cache"))


def png(level: int, width: int = 20, height: int = 16) -> bytes:
    """A grey picture, recognised by its level; its right half is brighter."""
    picture = Image.new("L", (width, height), level)
    picture.paste(level + 100, (width // 2, 0, width, height))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def label(level: int) -> int:
    return int(level >= COUNT // 2)


def caption(level: int) -> str:
    return f"level {level}"


# One maker for each source: (folder, "none" | "class" | "text" | "both") -> its data module --------------------------


def folder(root: Path, kind: str, **settings: object) -> FolderData:
    for level in range(COUNT):
        path = root / (NAMES[label(level)] if kind in ("class", "both") else ".") / f"{level}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(level))
        if kind in ("text", "both"):
            path.with_suffix(".txt").write_text(caption(level) + "\nanother wording")
    return FolderData(root, **settings)  # type: ignore[arg-type]


def lazy(root: Path, kind: str, **settings: object) -> FolderData:
    return folder(root, kind, **{"decode": "lazy", **settings})


def zipped(root: Path, kind: str, compression: int = zipfile.ZIP_STORED, **settings: object) -> ZipData:
    root.mkdir()
    with zipfile.ZipFile(root / "a.zip", "w", compression) as archive:
        for level in range(COUNT):
            archive.writestr(f"00000/img{level:08d}.png", png(level))
        labels = [[f"00000/img{level:08d}.png", label(level)] for level in range(COUNT)] if kind == "class" else None
        archive.writestr("dataset.json", json.dumps({"labels": labels}))
    return ZipData(root / "a.zip", **settings)  # type: ignore[arg-type]


def deflated(root: Path, kind: str, **settings: object) -> ZipData:
    return zipped(root, kind, zipfile.ZIP_DEFLATED, **settings)


def tar(path: Path, files: Sequence[tuple[str, bytes]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in files:
            record = tarfile.TarInfo(name)
            record.size = len(data)
            archive.addfile(record, io.BytesIO(data))


def shards(root: Path, kind: str, **settings: object) -> ShardsData:
    for shard in range(4):
        files: list[tuple[str, bytes]] = []
        for level in range(shard * COUNT // 4, (shard + 1) * COUNT // 4):
            files += [(f"./{level:06d}.png", png(level))]
            files += [(f"./{level:06d}.cls", b"%d" % label(level))] if kind in ("class", "both") else []
            files += [(f"./{level:06d}.txt", caption(level).encode())] if kind in ("text", "both") else []
        tar(root / f"{shard:03d}.tar", files)
    return ShardsData(root, **settings)  # type: ignore[arg-type]


def table(kind: str, levels: Sequence[int] = range(COUNT)) -> object:
    datasets = pytest.importorskip("datasets")
    features = {"image": datasets.Image()}
    columns: dict[str, list[object]] = {"image": [{"bytes": png(level), "path": None} for level in levels]}
    if kind in ("class", "both"):
        features["label"], columns["label"] = datasets.ClassLabel(names=list(NAMES)), [*map(label, levels)]
    if kind in ("text", "both"):
        features |= {"text": datasets.List(datasets.Value("string")), "id": datasets.Value("string")}
        columns |= {"text": [[caption(level), "another"] for level in levels], "id": ["x" for _ in levels]}
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def saved(root: Path, kind: str, **settings: object) -> HfData:
    table(kind).save_to_disk(str(root))  # type: ignore[attr-defined]
    return HfData(root, **settings)  # type: ignore[arg-type]


def parquet(root: Path, kind: str, **settings: object) -> HfData:
    root.mkdir()
    table(kind).to_parquet(root / "train-00000-of-00001.parquet")  # type: ignore[attr-defined]
    return HfData(root, **settings)  # type: ignore[arg-type]


Make = Callable[..., GanData]
SOURCES: dict[str, Make] = {one.__name__: one for one in (folder, lazy, zipped, deflated, shards, saved, parquet)}
CAPTIONED = [name for name in SOURCES if name not in ("zipped", "deflated")]


def opened(data: GanData) -> GanData:
    data.setup()
    return data


def levels(images: torch.Tensor) -> list[int]:
    return images[:, 0, 4, 1].tolist()


def everything(data: GanData) -> list[int]:
    return levels(data.train.get(slice(None))) + levels(data.reference.get(slice(None)))


# Every source --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_every_picture_is_there_once_with_its_class(make: Make, tmp_path: Path) -> None:
    data = opened(make(tmp_path / "data", "class", size=[8, 10], channels=1))
    assert data.spec.shape == data.train.shape == (1, 8, 10)
    assert data.spec.kind == "class" and len(data.spec.classes) == 2
    assert sorted(everything(data)) == list(range(COUNT))
    assert 1 <= len(data.reference) <= 12  # a tenth of 40, give or take
    for part in (data.train, data.reference):
        assert part.condition.tolist() == [label(level) for level in levels(part.get(slice(None)))]  # type: ignore


@pytest.mark.parametrize("name", CAPTIONED)
def test_without_captions_classes_are_read(name: str, tmp_path: Path) -> None:
    make = SOURCES[name]
    captioned = opened(make(tmp_path / "both", "both"))
    assert captioned.spec.kind == "text" and captioned.spec.classes == ()
    bare, classes = (opened(make(tmp_path / f"{kind}-0", kind, wordings=0)) for kind in ("both", "class"))
    assert bare.spec == classes.spec and bare.spec.kind == "class"
    assert sorted(everything(bare)) == sorted(everything(classes))
    both = dict(zip(levels(bare.train.get(slice(None))), bare.train.condition.tolist(), strict=True))
    assert both == {level: label(level) for level in both}


@pytest.mark.parametrize("name", CAPTIONED)
def test_every_picture_has_its_captions(name: str, tmp_path: Path) -> None:
    data = opened(SOURCES[name](tmp_path / "data", "text", size=8, wordings=1))
    assert data.spec.kind == "text" and {"level", "39"} <= set(data.spec.vocabulary)
    assert data.train.condition == [caption(level) for level in levels(data.train.get(slice(None)))]
    if name != "shards":
        several = opened(SOURCES[name](tmp_path / "again", "text", size=8))
        assert several.train.wordings is not None and len(several.train.wordings[0]) == 2


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_without_conditions_there_are_none(make: Make, tmp_path: Path) -> None:
    data = opened(make(tmp_path / "data", "none", size=8))
    assert data.spec.kind == "none" and data.train.condition is None


@pytest.mark.parametrize("make", SOURCES.values(), ids=SOURCES)
def test_batches_are_the_same_in_any_process_and_after_a_second_start(make: Make, tmp_path: Path) -> None:
    data = opened(make(tmp_path / "data", "class", size=8, flip=True))
    stream = Stream(data.train, 7, seed=1)
    loader = DataLoader(stream, batch_size=None, num_workers=2)
    for mine, theirs in zip(islice(stream, 9), islice(loader, 9), strict=True):
        assert_same(mine, theirs)
    again = type(data)(data.root, size=8, flip=True, **({"decode": data.decode} if hasattr(data, "decode") else {}))
    assert_same(stream.at(3), Stream(opened(again).train, 7, seed=1).at(3))
    assert_same(stream.at(3), pickle.loads(pickle.dumps(stream)).at(3))


def assert_same(one: Batch, other: Batch) -> None:
    assert torch.equal(one.images, other.images)
    assert torch.equal(torch.as_tensor(one.condition), torch.as_tensor(other.condition))


def test_a_lazy_folder_is_the_same_set_as_a_decoded_one(tmp_path: Path) -> None:
    """Bit for bit: order, split, mirrors, captions and mismatches."""
    once = opened(folder(tmp_path / "data", "text", size=8, flip=True))
    later = opened(FolderData(tmp_path / "data", size=8, flip=True, decode="lazy"))
    assert isinstance(later.train.images, Part) and isinstance(once.train.images, np.ndarray)
    assert once.spec == later.spec and len(once.reference) == len(later.reference)
    for i in range(6):
        one, other = (Stream(data.train, 16, seed=2).at(i) for data in (once, later))
        assert torch.equal(one.images, other.images)
        assert (one.condition, one.mismatched) == (other.condition, other.mismatched)


def test_a_split_of_folders_is_kept(tmp_path: Path) -> None:
    for name, first in (("train", 0), ("test", 20)):
        tar(tmp_path / "tars" / name / "0.tar", [(f"{level}.png", png(level)) for level in range(first, first + 20)])
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for level in range(COUNT):
            archive.writestr(f"{('train', 'test')[label(level)]}/{'ab'[level % 2]}/{level}.png", png(level))
    for data in (ShardsData(tmp_path / "tars", size=8), ZipData(tmp_path / "a.zip", size=8)):
        opened(data)
        assert sorted(levels(data.train.get(slice(None)))) == list(range(20))
        assert sorted(levels(data.reference.get(slice(None)))) == list(range(20, 40))
    assert data.spec.classes == ("a", "b")


def test_a_hugging_face_split_is_kept(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    both = datasets.DatasetDict({"train": table("class", range(20)), "validation": table("class", range(20, 40))})
    both.save_to_disk(str(tmp_path / "saved"))
    (tmp_path / "parts").mkdir()
    for name, part in both.items():
        part.to_parquet(tmp_path / "parts" / f"{name}-00000.parquet")
    for root in ("saved", "parts"):
        data = opened(HfData(tmp_path / root, size=8))
        assert sorted(levels(data.train.get(slice(None)))) == list(range(20))
        assert sorted(levels(data.reference.get(slice(None)))) == list(range(20, 40))
        assert data.train.condition.tolist() == [0] * 20  # type: ignore[union-attr]


# One pass, whoever draws it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "after"), [((2, 4), (3, 4)), ((2, 4), (1, 5)), ((1, 6), (4, 2))])
def test_a_pass_is_finished_by_any_number_of_processes(
    before: tuple[int, int], after: tuple[int, int], tmp_path: Path
) -> None:
    """Killed after two iterations, and resumed with other processes and batches: each picture still comes once."""
    data = opened(lazy(tmp_path / "data", "none", size=8, held_out=0))
    (world, size), (others, other_size) = before, after
    drawn = [Stream(data.train, size, 5, 0, rank, world).at(i) for i in range(2) for rank in range(world)]
    seen = 2 * world * size
    rest = [
        Stream(data.train, other_size, 5, 2, rank, others, seen).at(2 + i)
        for i in range((COUNT - seen) // (others * other_size))
        for rank in range(others)
    ]
    shown = levels(torch.cat([batch.images for batch in drawn + rest]))
    assert len(shown) == len(set(shown)) >= COUNT - others * other_size + 1
    one = [Stream(data.train, 1, 5).at(i).images for i in range(len(shown))]
    assert levels(torch.cat(one)) == shown


# What cannot be read -------------------------------------------------------------------------------------------------


def test_a_picture_that_breaks_is_replaced_with_its_class(tmp_path: Path) -> None:
    """The one after it takes its place, picture and class alike, in any batch that draws it."""
    data = opened(lazy(tmp_path / "data", "class", size=8, held_out=0))
    shown = levels(data.train.get(slice(None)))
    row = shown.index(7)
    (tmp_path / "data" / NAMES[0] / "7.png").write_bytes(b"no picture")
    with pytest.warns(UserWarning, match=r"next picture, as it cannot be read: cat/7\.png \(cannot identify"):
        batch = data.train.batch(np.array([row, 3]), np.random.default_rng(0))
    assert levels(batch.images) == [shown[(row + 1) % COUNT], shown[3]]
    assert batch.condition.tolist() == [label(level) for level in levels(batch.images)]  # type: ignore[union-attr]


def test_many_broken_pictures_end_in_one_line(tmp_path: Path) -> None:
    data = opened(lazy(tmp_path / "data", "none", size=8, held_out=0))
    for level in range(COUNT):
        (tmp_path / "data" / f"{level}.png").unlink()
    with pytest.warns(UserWarning), pytest.raises(UserError, match=r"many pictures .*\d+\.png \(.*No such file"):
        data.train.batch(np.arange(3), np.random.default_rng(0))
    assert COUNT > ATTEMPTS


def test_a_part_names_its_own_rows(tmp_path: Path) -> None:
    """A row of a part is another row of the whole; the held-out pictures lie before the training pictures."""
    data = opened(lazy(tmp_path / "data", "none", size=8))
    shown = levels(data.train.get(slice(None)))
    (tmp_path / "data" / f"{shown[5]}.png").write_bytes(b"")
    with pytest.warns(UserWarning, match="cannot be read"):
        assert levels(data.train.get(np.array([5]))) == [shown[6]]


def test_a_shard_that_is_cut_off_is_noticed(tmp_path: Path) -> None:
    root = tmp_path / "data"
    shards(root, "none", size=8, held_out=0)
    path = root / "003.tar"
    whole = path.read_bytes()
    path.write_bytes(whole[: 512 * 9 + 100])  # in the middle of a header
    with pytest.raises(UserError, match=r"003\.tar is no tar file that can be read"):
        opened(ShardsData(root, size=8))
    path.write_bytes(whole)
    data = opened(ShardsData(root, size=8, held_out=0))
    os.truncate(path, 512 * 9)
    with pytest.warns(UserWarning, match=r"003/\d+ \(its file ends before it\)"):
        data.train.get(slice(None))


def not_a_zip(root: Path) -> GanData:
    root.write_bytes(b"PK nothing")
    return ZipData(root)


def empty_zip(root: Path) -> GanData:
    with zipfile.ZipFile(root, "w") as archive:
        archive.writestr("notes.txt", "nothing")
    return ZipData(root)


def bad_labels(root: Path) -> GanData:
    with zipfile.ZipFile(root, "w") as archive:
        archive.writestr("a.png", png(1))
        archive.writestr("dataset.json", '{"labels": [3]}')
    return ZipData(root)


def no_tars(root: Path) -> GanData:
    root.mkdir()
    return ShardsData(root)


def no_pictures(root: Path) -> GanData:
    tar(root / "0.tar", [("a.txt", b"nothing")])
    return ShardsData(root)


def no_tables(root: Path) -> GanData:
    root.mkdir()
    return HfData(root)


def bad_table(root: Path) -> GanData:
    root.mkdir()
    (root / "a.parquet").write_bytes(b"PAR1 nothing")
    return HfData(root)


def no_column(root: Path) -> GanData:
    table("class").remove_columns("image").save_to_disk(str(root))  # type: ignore[attr-defined]
    return HfData(root)


def other_column(root: Path) -> GanData:
    table("class").save_to_disk(str(root))  # type: ignore[attr-defined]
    return HfData(root, column="image")


def unbalanced(root: Path) -> GanData:
    return lazy(root, "none", balanced=True)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (not_a_zip, "`root` must be a zip of pictures, got .*: File is not a zip file"),
        (empty_zip, "`root` must be a zip of pictures .*which has none"),
        (bad_labels, r"`root`: dataset\.json must hold"),
        (no_tars, "`root` must be a folder of tar files, got .*which has none"),
        (no_pictures, "`root` must be a folder of tar files with pictures"),
        (no_tables, "`root` must be a folder of datasets.save_to_disk, .* which has none"),
        (HfData, "`root` must be a folder of datasets.save_to_disk, .* which is not there"),
        (bad_table, "`root` must be a folder of datasets.save_to_disk"),
        (no_column, r"must have a column of pictures, and has label \(int64\)"),
        (other_column, "`column` must be a column of captions or classes, got 'image'"),
        (unbalanced, "`balanced` needs classes"),
    ],
)
def test_what_cannot_be_trained_on_is_one_clear_line(make: Make, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message) as caught:
        opened(make(tmp_path / "data"))
    assert "\n" not in str(caught.value)


def test_a_checkpoint_fetches_no_set_from_the_hub() -> None:
    with pytest.raises(UserError, match=r"allow=\[hub\]"):
        HfData(name="owner/set", download=False)
    with pytest.raises(UserError, match=r"data.root=FOLDER, or a name"):
        HfData()


# Indexes -----------------------------------------------------------------------------------------------------------


def settle(root: Path) -> None:
    """Make the folder's last change old, as that of a folder that lies there is."""
    for path in [root, *(path for path in root.rglob("*") if path.is_dir())]:
        os.utime(path, (time.time() - 100, time.time() - 100))


def test_a_folder_is_listed_once_unless_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "data"
    folder(root, "class")
    settle(root)
    listed: list[Path] = []
    monkeypatch.setattr("ganlab.data.files.listing", lambda path: (listed.append(path), walk.listing(path))[1])
    for _ in range(3):
        index = folder_index(root)
    assert len(listed) == 1 and sorted(index.names)[0] == "cat/0.png"
    (root / "dog" / "new.png").write_bytes(png(50))
    assert "dog/new.png" in folder_index(root).names
    (root / "cat" / "0.png").unlink()
    assert "cat/0.png" not in folder_index(root).names
    settle(root)
    folder_index(root)
    count = len(listed)
    folder_index(root, rescan=True)
    assert len(listed) == count + 1


def test_a_folder_that_has_just_changed_is_listed_again(tmp_path: Path) -> None:
    """A file that comes within the clock's tick of the listing would be missed for ever."""
    root = tmp_path / "data"
    folder(root, "none")
    before = root.stat().st_mtime_ns
    folder_index(root)
    (root / "late.png").write_bytes(png(60))
    os.utime(root, ns=(before, before))
    assert "late.png" in folder_index(root).names


def test_the_memory_of_names_is_mapped(tmp_path: Path) -> None:
    root = tmp_path / "data"
    folder(root, "none")
    names = folder_index(root).names
    assert isinstance(names.letters.base, np.memmap) and not names.letters.flags.writeable
    assert sorted(names) == sorted(f"{level}.png" for level in range(COUNT))
    assert [names[-1], *names[0:2]] == [list(names)[-1], *list(names)[:2]]


# Class balance -------------------------------------------------------------------------------------------------------


def test_balanced_classes_come_equally_often(tmp_path: Path) -> None:
    """Two of 40 pictures are dogs: of 100 draws 50 are, and each picture of a class comes before any comes twice."""
    classes = torch.tensor([1, 0] * 2 + [0] * 36)
    pictures = Pictures(np.arange(COUNT, dtype=np.uint8).reshape(-1, 1, 1, 1), classes, balanced=True)
    batches = [Stream(pictures, 10, seed=3).at(i) for i in range(10)]
    drawn = torch.cat([batch.images.flatten() for batch in batches])
    assert torch.cat([batch.condition for batch in batches]).sum() == 50  # type: ignore[misc]
    assert all(batch.condition.sum() == 5 for batch in batches)  # type: ignore[union-attr]
    counts = torch.bincount(drawn, minlength=COUNT)
    assert counts[[0, 2]].tolist() == [25, 25]
    assert sorted(set(counts[[1, 3, *range(4, 40)]].tolist())) == [1, 2]  # 50 draws of 38 cats


# The seam ------------------------------------------------------------------------------------------------------------


def test_arrays_and_sources_read_the_same() -> None:
    class Table(Source):
        def __init__(self, images: np.ndarray) -> None:
            self.images, self.shape = images, images.shape

        def get(self, rows: np.ndarray) -> np.ndarray:
            return self.images[rows]

    images = np.random.default_rng(0).integers(0, 256, (20, 3, 4, 6), dtype=np.uint8)
    pictures = [Pictures(each, flip=True) for each in (images, torch.from_numpy(images), Table(images))]
    parts = [each.part(slice(5, None), flip=True) for each in pictures]
    rows = np.array([3, 0, 3, 14])
    for each in parts:
        assert len(each) == 15 and each.shape == (3, 4, 6)
        assert torch.equal(each.get(rows), torch.from_numpy(images[rows + 5]))
        each.get(rows).zero_()  # a copy: the pictures stay
        batch = each.batch(rows, np.random.default_rng(1))
        assert torch.equal(batch.images, parts[0].batch(rows, np.random.default_rng(1)).images)
        assert torch.equal(each.get(slice(2, 4)), torch.from_numpy(images[7:9]))


def test_the_records_of_many_files_need_few_open_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ganlab.data.records._handle", lru_cache(2)(records._handle.__wrapped__))
    data = opened(shards(tmp_path / "data", "none", size=8, held_out=0))
    opened_before = len(list(Path("/proc/self/fd").iterdir()))
    assert sorted(everything(data)[:COUNT]) == list(range(COUNT))
    assert len(list(Path("/proc/self/fd").iterdir())) <= opened_before + 2


def test_threads_read_one_file_at_the_same_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that open a file together once closed it for each other."""
    data = opened(shards(tmp_path / "data", "none", size=8, held_out=0))
    for _ in range(20):
        records._handle.cache_clear()
        assert sorted(levels(data.train.get(slice(None)))) == list(range(COUNT))
