"""Captions as people, spreadsheets and scripts leave them: any encoding, quoting, separator and mistake.

    python -m tests.attacks.captions count=500 seed=0

Each case is a folder of pictures with captions, loaded in a child process. The judge knows what was written, so it
knows the only right reading; a refusal in one line is right where more than one reading is possible.
"""

from __future__ import annotations

import csv
import io
import json
import os
import random
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from ganlab.data.folder import FolderData
from tests.attacks.forked import Ended, forked
from tests.attacks.mistakes import ROWS, TABLES
from tests.attacks.tally import Tally, drawn, finish

LIMIT = 10.0  # seconds
STEP = 20  # levels between pictures, by which they are known
DEFECTS = frozenset({"SILENTLY WRONG", "SILENTLY DROPPED", "refused though clear", "traceback", "crash", "hang"})
NAMES = ("a.png", "b.png", "Cc c.png", "sub/d.png", "é.png")
Captions = dict[str, list[str]]


@dataclass
class Case:
    """Files and what must be read of them. `told`: picture -> captions. `ambiguous`: a refusal is right, too.

    `missed`: something that was written cannot be read, so a warning must say so.
    """

    what: str
    files: dict[str, bytes]
    told: Captions
    ambiguous: bool = False
    missed: bool = False
    make: Callable[[Path], None] | None = None


def case(seed: int, number: int) -> Case:
    """Case `number`, a function of both arguments."""
    rng = random.Random(f"captions/{seed}/{number}")
    kind = rng.choices([_beside, _json, _quoted, _unquoted, _mistaken, _no_file], [25, 20, 20, 15, 15, 5])[0]
    one = kind(rng, _captions(rng))
    return _encoded(rng, one) if rng.random() < 0.5 else one


def run(case: Case) -> tuple[str, Ended]:
    """The outcome of a case, and how its child ended."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "pictures")
        (root / "sub").mkdir(parents=True)
        for number, name in enumerate(NAMES):
            Image.new("L", (8, 8), STEP * number).save(root / name)
        for name, data in case.files.items():
            (root / name).write_bytes(data)
        if case.make is not None:
            case.make(root)
        os.environ["GANLAB_CACHE"] = str(Path(folder, "cache"))
        ended = forked(partial(_load, root), LIMIT)
    return judge(case, ended), ended


def judge(case: Case, ended: Ended) -> str:
    """Compare the captions of each picture with what was written of it."""
    if ended.how in ("hang", "crash", "traceback"):
        return ended.how
    told = {name: said for name, lines in case.told.items() if (said := [line for line in map(plain, lines) if line])}
    if ended.how == "refused":
        return "refused in one line" if case.ambiguous or not told else "refused though clear"
    if ended.value != told:
        return "SILENTLY WRONG"
    dropped = case.missed or 0 < len(told) < len(NAMES)
    if dropped and not re.search("left out|not there|not read", ended.words):
        return "SILENTLY DROPPED"
    return "right, and said what is missing" if dropped else "right"


def plain(text: str) -> str:
    """A caption without control characters, its white space single."""
    return " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]", " ", text).split())


def _load(root: Path) -> Captions:
    train, *_ = FolderData(root, size=8, channels=1, held_out=0).load()
    names = [NAMES[round(level / STEP)] for level in np.array(train.images)[:, 0, 4, 4]]
    return {} if train.condition is None else dict(zip(names, map(list, train.all_wordings()), strict=True))


# What is said -----------------------------------------------------------------------------------------------------


def _captions(rng: random.Random) -> Captions:
    names = rng.sample(NAMES, rng.choice([len(NAMES), len(NAMES), 3]))
    return {name: [_caption(rng) for _ in range(rng.choice([1, 1, 1, 2, 3]))] for name in names}


def _caption(rng: random.Random) -> str:
    words = [
        "a",
        "red",
        "apple",
        "Bär",
        "日本",
        "🦊",
        "👩\u200d🚀",
        "it's",
        "5″",
        "x=1",
        "#3",
        "null",
        "NaN",
        "007",
        "שלום",
    ]
    odd = [
        ",",
        ", ",
        '"',
        '""',
        "\t",
        "\x1b[31m",
        "\u00a0",
        "\u2028",
        "\u202e",
        "\\",
        "\\n",
        "{}",
        ";",
        "'",
        "\x07",
        "<b>",
    ]
    text = "".join(rng.choice(words) + rng.choice([" ", " ", rng.choice(odd)]) for _ in range(rng.randint(1, 6)))
    return rng.choices([text, "", "   ", text * 20_000], [93, 3, 2, 2])[0]


# Ways to write it -------------------------------------------------------------------------------------------------


def _beside(rng: random.Random, told: Captions) -> Case:
    files = {}
    for name, lines in told.items():
        suffix = rng.choice([".txt", ".TXT", ".caption", ".Txt"])
        stem = name if rng.random() < 0.3 else name.removesuffix(".png")
        files[stem + suffix] = rng.choice(["\n", "\r\n", "\r", "\n\n"]).join(lines).encode()
    extra = rng.random() < 0.2
    if extra:
        files["captions.txt"] = b"a.png,apple"
    return Case("files beside", files, told, missed=extra)


def _json(rng: random.Random, told: Captions) -> Case:
    ascii_only, name = rng.random() < 0.5, rng.choice(["metadata.jsonl", "captions.jsonl", "Metadata.JSONL"])
    key = rng.choice(["text", "caption"])
    rows: list[dict[str, Any]] = []
    for file, lines in told.items():
        if rng.random() < 0.5:
            rows.append({"file_name": file, key: lines if len(lines) > 1 else lines[0]})
        else:
            rows += [{"file_name": "./" + file, key: line} for line in lines]
    for row in rows:
        row |= rng.choice([{}, {}, {"size": 10**300}, {"more": None}, {"deep": [[[{}]]]}, {"nan": float("nan")}])
    lines = [json.dumps(row, ensure_ascii=ascii_only) for row in rows]
    missed = _add_strangers(rng, lines, lambda file: json.dumps({"file_name": file, key: "gone"}))
    return Case(name, {name: _joined(rng, lines)}, told, missed=missed)


def _quoted(rng: random.Random, told: Captions) -> Case:
    """As Python's and spreadsheets' writers quote it."""
    name, key = rng.choice(["metadata.csv", "captions.csv", "CAPTIONS.CSV"]), rng.choice(["text", "caption"])
    columns = rng.choice([["file_name", key], [key, "file_name"], ["id", "file_name", key], ["file_name", key, "id"]])
    file = io.StringIO()
    quoting: Literal[0, 1] = rng.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])
    end = rng.choice(["\n", "\r\n", "\r"])
    writer = csv.DictWriter(file, columns, quoting=quoting, lineterminator=end, extrasaction="ignore")
    writer.writeheader()
    for path, lines in told.items():
        writer.writerows({"file_name": path, key: line, "id": "7"} for line in lines)
    missed = rng.random() < 0.2
    if missed:
        writer.writerow({"file_name": rng.choice(STRANGERS), key: "gone", "id": "8"})
    return Case(f"{name} quoted {columns}", {name: file.getvalue().encode()}, told, missed=missed)


def _unquoted(rng: random.Random, told: Captions) -> Case:
    """As people type it: a comma is a comma, a quote is a quote. Ambiguous where the caption is not the last cell."""
    told = {name: [plain(line).strip('"') for line in lines] for name, lines in told.items()}
    last = rng.random() < 0.7
    order: Callable[[str, str], str] = (lambda file, text: f"{file},{text}") if last else (lambda f, t: f"{t},{f}")
    rows = [order(file, line) for file, lines in told.items() for line in lines]
    texts = [line for lines in told.values() for line in lines]
    unclear = any("," in text and (not last or '"' in text) for text in texts) or any(
        '",' in t or ', "' in t for t in texts
    )
    rows = [order("file_name", "text"), *rows]
    missed = last and _add_strangers(rng, rows, lambda file: f"{file},gone", after=1)
    return Case("captions.csv unquoted", {"captions.csv": _joined(rng, rows)}, told, unclear, missed)


STRANGERS = ("gone.png", "/abs/a.png", "../a.png", "A.PNG", "../../etc/passwd", "sub", ".", "nul\x07l.png")


def _add_strangers(rng: random.Random, rows: list[str], row: Callable[[str], str], after: int = 0) -> bool:
    """Put a row of a file that is not there among the others."""
    if rng.random() < 0.7:
        return False
    rows.insert(rng.randint(after, len(rows)), row(rng.choice(STRANGERS)))
    return True


def _joined(rng: random.Random, lines: Sequence[str]) -> bytes:
    end = rng.choice(["\n", "\r\n"])
    return (end.join(lines) + rng.choice(["", end, end * 3])).encode()


# Mistakes ---------------------------------------------------------------------------------------------------------


def _mistaken(rng: random.Random, told: Captions) -> Case:
    """One row that has no right reading among good ones: it must be refused, or said to be left out."""
    good = [json.dumps({"file_name": file, "text": lines}) for file, lines in told.items()]
    if rng.random() < 0.4:
        what = rng.choice(list(TABLES))
        return Case(f"captions.csv {what}", {"captions.csv": TABLES[what].encode()}, {}, ambiguous=True)
    what = rng.choice(list(ROWS))
    good.insert(rng.randint(0, len(good)), ROWS[what])
    return Case(f"metadata.jsonl {what}", {"metadata.jsonl": "\n".join(good).encode()}, told, True, True)


def _no_file(rng: random.Random, told: Captions) -> Case:
    """A table that is a FIFO, a link to nothing, a device or a folder: the pictures have no captions."""
    name = rng.choice(["metadata.jsonl", "metadata.csv", "a.txt", "b.TXT"])
    makers: dict[str, Callable[[Path], Any]] = {
        "FIFO": lambda root: os.mkfifo(root / name),
        "dangling link": lambda root: (root / name).symlink_to("nowhere"),
        "looping link": lambda root: (root / name).symlink_to(name),
        "device": lambda root: (root / name).symlink_to("/dev/zero"),
    }
    what = rng.choice(list(makers))
    return Case(f"{name} is a {what}", {}, {}, ambiguous=True, missed=True, make=makers[what])


def _encoded(rng: random.Random, one: Case) -> Case:
    """The same files in another encoding, or with broken bytes: right or refused."""
    what = rng.choice(["utf-8-sig", "utf-8-sig", "utf-16", "utf-16-le", "latin-1", "cp1252", "broken bytes"])
    texts = {name: data.decode() for name, data in one.files.items()}
    if what == "broken bytes":
        files = {name: _broken(rng, data) for name, data in one.files.items()}
    else:
        files = {name: text.encode(what, errors="replace") for name, text in texts.items()}
    lossless = all(
        files[name].decode(what, errors="replace") == texts[name] for name in files if what != "broken bytes"
    )
    if not lossless:  # what cannot be written is a question mark, and that is what must be read
        return Case(f"{one.what} in {what}, pure ASCII", dict(one.files), one.told, one.ambiguous, one.missed, one.make)
    is_ascii = all(data.isascii() for data in one.files.values())
    clear = what == "utf-8-sig" or (is_ascii and what in ("latin-1", "cp1252"))
    return Case(f"{one.what} in {what}", files, one.told, one.ambiguous or not clear, one.missed, one.make)


def _broken(rng: random.Random, data: bytes) -> bytes:
    """A byte that begins no character of UTF-8, put anywhere."""
    place = rng.randint(0, len(data))
    return data[:place] + rng.choice([b"\xff", b"\xc0", b"\xf8"]) + data[place:]


def attack(count: int, seed: int) -> Tally:
    """Draw and judge `count` cases."""
    tally = Tally(DEFECTS)
    for number in range(count):
        one = case(seed, number)
        outcome, ended = run(one)
        words = f"{ended.words[-300:]} {str(ended.value)[:300]} {str(one.told)[:300]}"
        tally.add(outcome, f"{number}: {one.what}: {words}" if outcome in DEFECTS else one.what)
    return tally


if __name__ == "__main__":
    settings = drawn()
    finish(attack(settings.count, settings.seed))
