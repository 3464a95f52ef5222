"""What the three command lines share: errors of one line, settings of a flat command, the layout of --help.

Answers before anything heavy is loaded: imports neither Hydra nor torch.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, Field, field, fields
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ganlab.config.catalog import nearest
from ganlab.errors import UserError

Settings = TypeVar("Settings")

WIDTH = 110

DEBUG = re.compile(r"\+{0,2}ganlab\.debug=(true|yes|on|1)", re.IGNORECASE)


# Errors -----------------------------------------------------------------------------------------------------------


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Bad input ends the program with one line and exit code 2, what the system refuses with one line and 1.

    An error that nobody foresaw keeps its traceback; `ganlab.debug=true` keeps every traceback.
    """
    try:
        yield
    except KeyboardInterrupt:
        print(f"{program()}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        line, code = _last_words(error)
        if not line or any(DEBUG.fullmatch(word) for word in sys.argv[1:]):
            raise
        print(f"{program()}: {line}", file=sys.stderr)
        raise SystemExit(code) from None


def program() -> str:
    """The module that was started, `ganlab.fit`."""
    spec = sys.modules["__main__"].__spec__
    return spec.name.removesuffix(".__main__") if spec else "ganlab"


def _last_words(error: Exception) -> tuple[str, int]:
    """What to say of an error and the exit code; nothing to say of a bug."""
    text = "".join(sign if sign.isprintable() else "?" for sign in " ".join(str(error).split()))
    if isinstance(error, UserError):
        return text, 2
    if type(error).__name__ == "MisconfigurationException":  # Lightning's, which is not loaded here
        return text, 2
    return (text, 1) if isinstance(error, OSError) and text else ("", 1)


# Settings of a flat command ---------------------------------------------------------------------------------------


def setting(default: Any, text: str) -> Any:
    """A dataclass field with a line for --help; a list's default is copied."""
    if isinstance(default, list):
        return field(default_factory=lambda: list(default), metadata={"help": text})
    return field(default=default, metadata={"help": text})


def read_settings(kind: type[Settings], words: Sequence[str]) -> Settings:
    """`key=value` words as a dataclass of settings; a value is plain text as the shell gives it, or a [list, of, them].

    Raises `UserError` for an unknown key or a value that its type does not take.
    """
    types = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if key == "ganlab.debug":
            continue
        if not equals or key not in types:
            raise UserError(_unknown(key, list(types), bool(equals)))
        values[key] = _convert(key, text, types[key])
    return kind(**values)


def _unknown(key: str, known: Sequence[str], is_setting: bool) -> str:
    right = nearest(key, known)
    hint = f"did you mean `{right}=...`?" if right else f"there are {', '.join(known)}"
    return f"`{key}` is not a setting{'' if is_setting else ' (settings are written key=value)'}: {hint}"


READERS: Mapping[type, tuple[Callable[[str], Any], str]] = {
    int: (int, "a whole number"),
    float: (float, "a number"),
    bool: (lambda text: {"true": True, "false": False}[text.lower()], "true or false"),
    str: (lambda text: unquoted(text), "text"),
}


def _convert(key: str, text: str, kind: Any) -> Any:
    """The value of one setting; its type may be `list[...]`, `... | None`, or `Annotated` with a range."""
    if type(None) in get_args(kind):
        return None if text in ("null", "") else _convert(key, text, get_args(kind)[0])
    if get_origin(kind) is list:
        return [_convert(key, item, get_args(kind)[0]) for item in split_list(text)]
    plain, *limits = get_args(kind) or (kind,)
    read, words = READERS[plain]
    try:
        value = read(text)
    except (ValueError, KeyError) as error:
        raise UserError(f"`{key}` must be {words}, got {text}") from error
    for limit in limits:
        if value not in limit:
            raise UserError(f"`{key}` must be {words} {limit}, got {text}")
    return value


def unquoted(text: str) -> str:
    """Text without the quotes around the whole of it, if there are any.

    >>> unquoted("'a dog, sitting (happy)'"), unquoted("a dog's ball")
    ('a dog, sitting (happy)', "a dog's ball")
    """
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def split_list(text: str) -> list[str]:
    """The items of `[a, b]`, those with commas quoted; any other text is the one item.

    >>> split_list("[a red apple, 'a dog, sitting']"), split_list("a dog, sitting")
    (['a red apple', 'a dog, sitting'], ['a dog, sitting'])
    """
    if not (text.startswith("[") and text.endswith("]")):
        return [unquoted(text)]
    inner = text[1:-1].strip()
    items = re.findall(r"""\s*("[^"]*"|'[^']*'|[^,]+?)\s*(?:,|$)""", inner)
    return [unquoted(item) for item in items]


# Help -------------------------------------------------------------------------------------------------------------


def asks_for_help(words: Sequence[str]) -> bool:
    return any(word in ("-h", "--help") for word in words)


def table(rows: Mapping[str, str], indent: int = 2) -> str:
    """Names and what they are, in two columns, wrapped."""
    column = max(map(len, rows), default=0) + indent + 2
    wrap = {"width": WIDTH, "subsequent_indent": " " * column}
    lines = (textwrap.fill(f"{' ' * indent + name:<{column}}{text}", **wrap) for name, text in rows.items())  # type: ignore[arg-type]
    return "\n".join(line.rstrip() for line in lines)


def settings_table(kind: type[Any]) -> str:
    """The settings of a flat command with their defaults."""
    return table({entry.name: entry.metadata["help"] + _default(entry) for entry in fields(kind)})


def _default(entry: Field[Any]) -> str:
    return "" if entry.default in (MISSING, None, "") else f" [{entry.default}]"
