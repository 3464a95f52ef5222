"""Captions beside pictures and in tables, as people write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganlab.data.captions import read_captions, some
from ganlab.errors import UserError

FILES = ["a.jpg", "b.jpg", "deep/c.png"]


def test_nothing_is_found_where_nothing_is(tmp_path: Path) -> None:
    assert read_captions(tmp_path, FILES) == {}


def test_text_files_beside_the_pictures(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.txt").write_text("\ufeffa red  apple\n\nan apple\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("ein Bär", encoding="utf-8")
    (tmp_path / "deep" / "c.txt").write_text("a pear")
    found = read_captions(tmp_path, FILES)
    assert found == {"a.jpg": ["a red apple", "an apple"], "b.jpg": ["ein Bär"], "deep/c.png": ["a pear"]}


def test_pictures_without_a_caption_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("apple")
    (tmp_path / "b.txt").write_text("  \n")
    with pytest.warns(UserWarning, match=r"2 of 3 pictures have no caption and are left out: b\.jpg, deep/c\.png"):
        assert read_captions(tmp_path, FILES) == {"a.jpg": ["apple"]}


@pytest.mark.parametrize("name", ["captions.csv", "metadata.csv"])
def test_csv_with_byte_order_mark_and_quoted_commas(tmp_path: Path, name: str) -> None:
    rows = 'file_name,text\r\na.jpg,"red, and round"\r\nb.jpg,"say ""pear"""\r\ndeep\\c.png,plain\r\na.jpg,apple\r\n'
    (tmp_path / name).write_text("\ufeff" + rows, encoding="utf-8", newline="")
    found = read_captions(tmp_path, FILES)
    assert found == {"a.jpg": ["red, and round", "apple"], "b.jpg": ['say "pear"'], "deep/c.png": ["plain"]}


def test_json_lines(tmp_path: Path) -> None:
    rows = [
        {"file_name": "./a.jpg", "text": "one\u2028two", "more": 1},
        {"file_name": "b.jpg", "text": ["x", "y"]},
        {"file_name": "deep/c.png", "text": "z"},
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "metadata.jsonl").write_text(lines, encoding="utf-8")
    assert read_captions(tmp_path, FILES) == {"a.jpg": ["one two"], "b.jpg": ["x", "y"], "deep/c.png": ["z"]}


def test_a_table_speaks_of_its_own_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "metadata.jsonl").write_text('{"file_name": "c.png", "caption": "pear"}')
    assert read_captions(tmp_path, ["deep/c.png"]) == {"deep/c.png": ["pear"]}


def test_entries_without_a_picture_are_counted(tmp_path: Path) -> None:
    (tmp_path / "captions.csv").write_text("file_name,text\na.jpg,apple\nx.jpg,gone\ny.jpg,gone\n")
    with pytest.warns(UserWarning, match=r"captions\.csv has 2 captions of files that are not there: x\.jpg, y\.jpg"):
        assert read_captions(tmp_path, ["a.jpg"]) == {"a.jpg": ["apple"]}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("captions.csv", "file_name,text\nx.jpg,gone\n", r"matches no picture: its entries name x\.jpg"),
        ("captions.csv", "", "matches no picture: it has no entries"),
        (
            "captions.csv",
            "a.jpg,apple\nb.jpg,pear\n",
            r"line 2: columns `file_name` and `text` are needed, got: a\.jpg",
        ),
        ("metadata.jsonl", '{"file_name": "a.jpg", "label": 3}', "line 1: columns `file_name` and `text` are needed"),
        ("metadata.jsonl", "a.jpg apple", "line 1 is not a JSON object"),
        ("metadata.jsonl", "[1, 2]", "line 1 is not a JSON object"),
    ],
)
def test_tables_that_cannot_be_meant(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        read_captions(tmp_path, FILES)
    assert "\n" not in str(caught.value)


def test_another_encoding_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("Bär".encode("latin-1"))
    with pytest.raises(UserError, match=r"a\.txt is not UTF-8"):
        read_captions(tmp_path, FILES)


def test_some_of_many() -> None:
    assert some(["a", "b"]) == "a, b"
    assert some(list("abcde")) == "a, b, c and 2 more"
