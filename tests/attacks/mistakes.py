"""Mistakes in tables of captions that leave no right reading of a row."""

from __future__ import annotations

ROWS = {
    "deep": '{"file_name": "a.png", "text": ' + "[" * 100_000,
    "deep whole": '{"file_name": "a.png", "text": ' + "[" * 50_000 + "]" * 50_000 + "}",
    "huge number": '{"file_name": "a.png", "text": ' + "9" * 10_000 + "}",
    "number": '{"file_name": "a.png", "text": 3}',
    "object": '{"file_name": "a.png", "text": {"en": "apple"}}',
    "nested list": '{"file_name": "a.png", "text": [["apple"]]}',
    "no name": '{"text": "apple"}',
    "number for a name": '{"file_name": 3, "text": "apple"}',
    "null for a name": '{"file_name": null, "text": "apple"}',
    "list": '["a.png", "apple"]',
    "pairs": '[["file_name", "a.png"], ["text", "apple"]]',
    "half a surrogate": '{"file_name": "a.png", "text": "\\ud83d"}',
    "cut": '{"file_name": "a.png", "te',
    "not JSON": "a.png apple",
    "NUL": "\0",
}
"""Lines of a `metadata.jsonl`."""

TABLES = {
    "unclosed quote": 'file_name,text\na.png,"red\nb.png,pear\n',
    "quote inside": 'file_name,text\na.png,"big" apple, red\n',
    "semicolons": "file_name;text\na.png;apple\n",
    "tabs": "file_name\ttext\na.png\tapple\n",
    "no header": "a.png,apple\nb.png,pear\n",
    "two columns of text": "file_name,text,text\na.png,apple,pear\n",
    "two names": "file_name,file_name,text\na.png,b.png,pear\n",
    "empty": "",
    "NUL": "file_name,text\na.png,\0apple\n",
}
"""Whole files `captions.csv`."""
