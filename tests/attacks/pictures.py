"""Odd files in a folder of pictures: whole, broken, oversized, or no files at all.

    python -m tests.attacks.pictures count=1000 seed=0

Each case is one odd entry beside two plain pictures, loaded in a child process. The judge knows what was drawn.
"""

from __future__ import annotations

import os
import random
import socket
import struct
import tempfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganlab.data.folder import FolderData
from tests.attacks.drawing import SUFFIXES, UNRANGED, Drawn, draw, png
from tests.attacks.forked import Ended, forked
from tests.attacks.tally import Tally, drawn, finish

SIZE = 16
LIMIT = 10.0  # seconds
FILLERS = {"filler1.png": 10, "filler2.png": 20}  # darker than anything that is drawn
DEFECTS = frozenset(
    {
        "SILENTLY WRONG",
        "SILENTLY DROPPED",
        "left out though whole",
        "refused though whole",
        "traceback",
        "crash",
        "hang",
    }
)
CHECKED = ("PNG",)  # formats with checksums: a flipped byte must be noticed


@dataclass(frozen=True)
class Case:
    """One odd entry. `colors`: (2, 2, 3), what must be seen if anything is. `must_read`: leaving it out is a defect.

    `checkable`: whether other colors than `colors` are a defect; False for flipped bytes of formats without checksums.
    """

    what: str
    name: str
    make: Callable[[Path], None]
    colors: np.ndarray | None = None
    slack: int = 0
    must_read: bool = False
    checkable: bool = True


def case(seed: int, number: int) -> Case:
    """Case `number`, a function of both arguments."""
    rng = random.Random(f"pictures/{seed}/{number}")
    kind = rng.choices([_whole, _truncated, _flipped, _junk, _huge, _thing], [45, 15, 15, 8, 7, 10])[0]
    return kind(rng)


def run(case: Case) -> tuple[str, Ended]:
    """The outcome of a case, and how its child ended."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "pictures")
        root.mkdir()
        for name, level in FILLERS.items():
            Image.new("L", (16, 16), level).save(root / name)
        case.make(root / case.name)
        os.environ["GANLAB_CACHE"] = str(Path(folder, "cache"))
        ended = forked(partial(_load, root), LIMIT)
    return judge(case, ended), ended


def judge(case: Case, ended: Ended) -> str:
    """Compare what was read with what was drawn."""
    if ended.how in ("hang", "crash", "traceback"):
        return ended.how
    if ended.how == "refused":
        return "refused though whole" if case.must_read else "refused in one line"
    odd = [image for image in ended.value if image.max() > max(FILLERS.values()) + 2]
    if len(ended.value) != len(FILLERS) + len(odd) or len(odd) > 1:
        return "SILENTLY WRONG"
    if not odd:
        if "left out" not in ended.words:
            return "SILENTLY DROPPED"
        return "left out though whole" if case.must_read else "left out with a reason"
    if not case.checkable:
        return "read, has no checksum"
    if case.colors is None:
        return "SILENTLY WRONG"
    return "right" if _off(odd[0], case.colors) <= case.slack else "SILENTLY WRONG"


def _off(image: np.ndarray, colors: np.ndarray) -> float:
    """The largest difference in the middle of any quadrant, far from its edges."""
    middles = image[:, SIZE // 4 :: SIZE // 2, SIZE // 4 :: SIZE // 2].transpose(1, 2, 0)
    return float(np.abs(middles.astype(float) - colors).max())


def _load(root: Path) -> np.ndarray:
    train, *_ = FolderData(root, size=SIZE, crop=False, held_out=0).load()
    return np.array(train.images)


# Entries ----------------------------------------------------------------------------------------------------------


def _drawn(rng: random.Random) -> Drawn:
    while True:
        try:
            return draw(rng)
        except (OSError, ValueError, RuntimeError, SystemError):
            continue  # a size that this format's writer does not take


def _whole(rng: random.Random) -> Case:
    one = _drawn(rng)
    suffix = rng.choice(SUFFIXES[one.format])
    if rng.random() < 0.1:
        suffix = rng.choice(SUFFIXES[rng.choice(list(SUFFIXES))])
    name = _name(rng) + suffix
    must = one.mode not in UNRANGED
    return Case(f"whole {one.what} {name!r}", name, _write(one.data), one.colors, one.slack, must)


def _truncated(rng: random.Random) -> Case:
    one = _drawn(rng)
    cut = rng.randrange(len(one.data))
    name = "odd" + SUFFIXES[one.format][0]
    what = f"{one.what} cut at {cut} of {len(one.data)}"
    return Case(what, name, _write(one.data[:cut]), one.colors, one.slack)


def _flipped(rng: random.Random) -> Case:
    one = _drawn(rng)
    data = bytearray(one.data)
    places = [rng.randrange(len(data)) for _ in range(rng.choice([1, 1, 2, 8]))]
    for place in places:
        data[place] ^= 1 << rng.randrange(8)
    checkable = one.format in CHECKED
    name = "odd" + SUFFIXES[one.format][0]
    what = f"{one.what} flipped at {places} of {len(data)}"
    return Case(what, name, _write(bytes(data)), one.colors, one.slack, checkable=checkable)


def _junk(rng: random.Random) -> Case:
    """Nothing, random bytes, or a format's first bytes and then random ones."""
    one = _drawn(rng)
    head = rng.choice([b"", one.data[: rng.randint(2, 40)]])
    data = b"" if rng.random() < 0.2 else head + rng.randbytes(rng.randint(0, 4000))
    name = "odd" + rng.choice(SUFFIXES[one.format])
    return Case(f"junk after {len(head)} bytes of {one.format}", name, _write(data), checkable=False)


def _huge(rng: random.Random) -> Case:
    """A header that promises more than there is, or a bomb that keeps the promise."""
    side = rng.choice([9000, 20_000, 60_000, 2**20, 2**31 - 1])
    width, height = rng.choice([(side, side), (side, 100), (0, 10), (10, 0)])
    if rng.random() < 0.3:
        rows = zlib.compress(bytes((9000 // 8 + 1) * 9000))
        return Case("bomb PNG 9000", "odd.png", _write(_packed(9000, 9000, rows)))
    forms: dict[str, bytes] = {
        ".png": png(width, height, 8, 2, bytes(1000)),
        ".ppm": b"P6 %d %d 255\n" % (width, height) + bytes(1000),
        ".gif": b"GIF89a" + struct.pack("<HH", width % 65536, height % 65536) + b"\x80\0\0" + bytes(100),
        ".bmp": b"BM" + struct.pack("<IIIIiiHHIIIIII", 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0),
    }
    suffix = rng.choice(list(forms))
    return Case(f"header {suffix} {width} x {height}", "odd" + suffix, _write(forms[suffix]))


def _packed(width: int, height: int, rows: bytes) -> bytes:
    whole = png(width, height, 1, 0, b"")
    start = whole.index(b"IDAT") - 4
    chunk = struct.pack(">I", len(rows)) + b"IDAT" + rows + struct.pack(">I", zlib.crc32(b"IDAT" + rows))
    return whole[:start] + chunk + whole[-12:]


def _thing(rng: random.Random) -> Case:
    """An entry of the folder that is no plain file."""
    one = _drawn(rng)
    while one.mode in UNRANGED:
        one = _drawn(rng)
    suffix = SUFFIXES[one.format][0]
    things: dict[str, Callable[[Path], None]] = {
        "dangling link": lambda path: path.symlink_to("nowhere.png"),
        "looping link": lambda path: path.symlink_to(path.name),
        "link to a folder": lambda path: path.symlink_to("/usr"),
        "link to a device": lambda path: path.symlink_to(rng.choice(["/dev/zero", "/dev/null", "/dev/stdin"])),
        "FIFO": os.mkfifo,
        "socket": _socket,
        "link to a FIFO": _link_to_fifo,
        "name that is not UTF-8": lambda path: _write(one.data)(
            Path(os.fsdecode(os.fsencode(path)[:-4] + b"\xff.png"))
        ),
        "HEIC": lambda path: _write(b"\0\0\0\x18ftypheic")(path.with_suffix(".heic")),
        "folder": partial(_inside, one.data),
        "link to a picture": partial(_linked, one.data),
        "deep folder": partial(_deep, one.data),
    }
    what = rng.choice(list(things))
    whole = what in ("folder", "link to a picture", "deep folder")
    colors = one.colors if whole else None
    return Case(f"{what} ({one.what})", "odd" + suffix, things[what], colors, one.slack, whole)


def _write(data: bytes) -> Callable[[Path], Any]:
    return lambda path: path.write_bytes(data)


def _socket(path: Path) -> None:
    """A relative address: a socket's path is short."""
    before = Path.cwd()
    os.chdir(path.parent)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(before)


def _link_to_fifo(path: Path) -> None:
    os.mkfifo(path.parent / ".fifo")
    path.symlink_to(".fifo")


def _linked(data: bytes, path: Path) -> None:
    hidden = path.parent / ".hidden"
    hidden.write_bytes(data)
    path.symlink_to(hidden.name)


def _inside(data: bytes, path: Path) -> None:
    path.mkdir()
    (path / path.name).write_bytes(data)


def _deep(data: bytes, path: Path) -> None:
    folder = path.parent.joinpath(*["d"] * 300)
    folder.mkdir(parents=True)
    (folder / path.name).write_bytes(data)


def _name(rng: random.Random) -> str:
    """A file's name without its suffix, as odd as a file system lets it be."""
    letters = "abcXYZ 019-_.,;'\"%$&()[]{}\\\n\t\x1b*?!~#@+=é\u0301ßЖ中🦊\u200d\u202e"
    length = rng.choice([1, 3, 8, 40])
    name = "".join(rng.choice(letters) for _ in range(length))
    return "o" + name if name.startswith(".") else name


def attack(count: int, seed: int) -> Tally:
    """Draw and judge `count` cases."""
    tally = Tally(DEFECTS)
    for number in range(count):
        one = case(seed, number)
        outcome, ended = run(one)
        tally.add(outcome, f"{number}: {one.what}: {ended.words[-300:]}" if outcome in DEFECTS else one.what)
    return tally


if __name__ == "__main__":
    settings = drawn()
    finish(attack(settings.count, settings.seed))
