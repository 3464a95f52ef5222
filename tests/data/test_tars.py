"""Places of files in tars agree with tarfile's, in each format; damage is noticed."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from ganlab.data.tars import records

NAMES = ("./a.jpg", "x" * 90 + "/" + "y" * 90 + ".png", "é.txt")


def written(path: Path, form: int, names: tuple[str, ...]) -> Path:
    with tarfile.open(path, "w", format=form) as archive:
        for place, name in enumerate(names):
            record = tarfile.TarInfo(name)
            record.size = 511 + place
            archive.addfile(record, io.BytesIO(bytes(record.size)))
            folder = tarfile.TarInfo(f"folder{place}")
            folder.type = tarfile.DIRTYPE
            archive.addfile(folder)
    return path


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_places_are_those_of_tarfile(form: int, tmp_path: Path) -> None:
    names = NAMES if form == tarfile.USTAR_FORMAT else (*NAMES, "d/" + "e" * 120 + "/f.png")
    path = written(tmp_path / "a.tar", form, names)
    with tarfile.open(path) as archive:
        expected = [(one.name, one.offset_data, one.size) for one in archive if one.isreg()]
    assert records(path) == expected and len(expected) == len(names)


@pytest.mark.parametrize(
    ("cut", "said"),
    [
        (slice(0, 100), "within a header"),
        (slice(0, 700), "within a file"),
        (slice(0, 512 * 3), "no end"),
        (slice(7, None), "checksum|int"),
    ],
)
def test_damage_is_noticed(cut: slice, said: str, tmp_path: Path) -> None:
    path = written(tmp_path / "a.tar", tarfile.USTAR_FORMAT, NAMES)
    path.write_bytes(path.read_bytes()[cut])
    with pytest.raises(tarfile.TarError, match=said):
        records(path)


def test_a_changed_header_is_noticed_and_an_empty_file_too(tmp_path: Path) -> None:
    path = written(tmp_path / "a.tar", tarfile.USTAR_FORMAT, NAMES)
    content = bytearray(path.read_bytes())
    content[3] ^= 1
    path.write_bytes(content)
    with pytest.raises(tarfile.TarError, match="checksum of a header is wrong"):
        records(path)
    path.write_bytes(b"")
    with pytest.raises(tarfile.TarError):
        records(path)
