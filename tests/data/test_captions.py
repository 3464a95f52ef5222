"""Captions beside pictures and in tables, as people write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ganlab.data.captions import read_captions
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
        ("metadata.jsonl", "[" * 100_000, "line 1 is not a JSON object: nested too deep"),
        ("metadata.jsonl", '{"file_name": "a.jpg", "text": {"en": "x"}}', "line 1: `text` must be text or a list"),
        ("metadata.jsonl", '{"file_name": 3, "text": "x"}', "line 1: `file_name` must be text, got 3"),
        ("metadata.jsonl", '{"file_name": "a.jpg", "text": "\\ud83d"}', "line 1: the caption has half a surrogate"),
        ("captions.csv", 'file_name,text\na.jpg,"red\nb.jpg,x\n', "line 3 is not comma separated: unexpected end"),
        ("captions.csv", 'file_name,text\na.jpg,"big" apple\n', "line 2 is not comma separated"),
        ("captions.csv", "text,file_name\nred, round,a.jpg\n", 'line 2 has 3 cells and the header 2: put .* "quotes"'),
        ("captions.csv", 'file_name,text\na.jpg,red, "round"\n', "line 2 has 3 cells and the header 2"),
        ("captions.csv", "file_name,text,text\na.jpg,x,y\n", "line 1: there are several columns `text`"),
        ("captions.csv", "file_name,text\na.jpg,\0x\n", "NUL bytes"),
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


def test_unquoted_commas_belong_to_a_caption_in_the_last_column(tmp_path: Path) -> None:
    rows = "id,file_name,text\n1,a.jpg,a, b and c\n\n2,b.jpg,1,000 apples\n3,deep/c.png,one,\n"
    (tmp_path / "captions.csv").write_text(rows)
    found = read_captions(tmp_path, FILES)
    assert found == {"a.jpg": ["a, b and c"], "b.jpg": ["1,000 apples"], "deep/c.png": ["one,"]}


def test_a_cell_may_be_long(tmp_path: Path) -> None:
    (tmp_path / "captions.csv").write_text(f'file_name,text\na.jpg,"{"long " * 50_000}"\n')
    assert len(read_captions(tmp_path, ["a.jpg"])["a.jpg"][0]) == 5 * 50_000 - 1


def test_control_characters_are_white_space(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\x1b[31mred\x07 ap\u200dple\u2028pie\rtwo".encode())
    assert read_captions(tmp_path, ["a.jpg"]) == {"a.jpg": ["[31mred ap\u200dple pie", "two"]}


def test_text_files_by_other_names(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "a.TXT").write_text("apple")
    (tmp_path / "b.caption").write_text("pear")
    (tmp_path / "deep" / "c.png.txt").write_text("plum")
    assert read_captions(tmp_path, FILES) == {"a.jpg": ["apple"], "b.jpg": ["pear"], "deep/c.png": ["plum"]}


def test_text_files_that_are_not_read_are_named(tmp_path: Path) -> None:
    for name in ("a.txt", "a.caption", "captions.txt"):
        (tmp_path / name).write_text(name)
    with pytest.warns(UserWarning, match="2 text files in .* are not read as captions.*: a.caption, captions.txt"):
        assert read_captions(tmp_path, ["a.jpg"]) == {"a.jpg": ["a.txt"]}


def test_a_text_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: str) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    (tmp_path / "a.txt").touch()
    monkeypatch.setattr(Path, "read_text", refuse)
    with pytest.raises(UserError, match=r"cannot read .*a\.txt: Permission denied"):
        read_captions(tmp_path, FILES)
