"""The common parts of the command lines: errors of one line, settings of a flat command, the layout of --help.

They work before anything heavy is loaded: neither Hydra nor torch is imported.
"""

from __future__ import annotations

import re
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import MISSING, field, fields
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ganlab.errors import UserError, nearest

Settings = TypeVar("Settings")

PACKAGE = Path(__file__).parents[1]
WIDTH = 110
CHECKPOINT = "a run's folder (its best, else its last), a .ckpt, zoo:NAME or hf:USER/NAME"
DATA = "data.root=FOLDER and other settings of the checkpoint's data, which replace those of its recipe"
ALLOW = "packages whose classes it may name too; hub: it may fetch what it names"

DEBUG = re.compile(r"\+{0,2}ganlab\.debug=(true|yes|on|1)", re.IGNORECASE)


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """End the program with one line on an error: exit code 2 for bad input, 1 for errors of the system.

    An unforeseen error keeps its traceback. `ganlab.debug=true` keeps all tracebacks. A warning of ganlab itself is one
    line, too.
    """
    before, warnings.formatwarning = warnings.formatwarning, partial(_warning_line, warnings.formatwarning)
    try:
        yield
    except KeyboardInterrupt:
        print(f"{program()}: interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        bad_input = isinstance(error, UserError) or type(error).__name__ == "MisconfigurationException"  # Lightning's
        line = "".join(sign if sign.isprintable() else "?" for sign in " ".join(str(error).split()))
        foreseen = bad_input or isinstance(error, OSError)
        if not (foreseen and line) or any(DEBUG.fullmatch(word) for word in sys.argv[1:]):
            raise
        print(f"{program()}: {line}", file=sys.stderr)
        raise SystemExit(2 if bad_input else 1) from None
    finally:
        warnings.formatwarning = before


def _warning_line(
    otherwise: Callable[..., str], message: Warning | str, category: type[Warning], filename: str, *place: Any
) -> str:
    """Return a warning of ganlab as a line for its user. One of another package keeps the place in its source."""
    if Path(filename).is_relative_to(PACKAGE):
        return f"ganlab: {message}\n"
    return otherwise(message, category, filename, *place)


def run(help_text: str, work: Callable[[list[str]], object]) -> None:
    """Run a command: print its help if the words of the command line ask for it, else call `work` with them."""
    words = sys.argv[1:]
    with errors_in_one_line():
        print(help_text) if asks_for_help(words) else work(words)


def program() -> str:
    """Return the name of the started module, `ganlab.fit`."""
    spec = sys.modules["__main__"].__spec__
    return spec.name.removesuffix(".__main__") if spec else "ganlab"


# Settings of a flat command ---------------------------------------------------------------------------------------


def setting(default: Any, text: str) -> Any:
    """Return a dataclass field with a line for --help. The default of a list or a mapping is copied.

    A field with a mapping takes words with its name before a point: `data` takes `data.root=FOLDER`.
    """
    if isinstance(default, list | dict):
        return field(default_factory=default.copy, metadata={"help": text})
    return field(default=default, metadata={"help": text})


def apart(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the words without a `key=`, which are the command's objects, and the settings.

    >>> apart(["runs/ring/0", "out=table.md", "runs/[ab]=1"])
    (['runs/ring/0', 'runs/[ab]=1'], ['out=table.md'])
    """
    settings = [word for word in words if re.match(r"[A-Za-z_][\w.]*=", word)]
    return [word for word in words if word not in settings], settings


def read_settings(kind: type[Settings], words: Sequence[str]) -> Settings:
    """Return `key=value` words as a dataclass of settings.

    A value is text as the shell gives it, or a [list, of them]. Raise `UserError` for an unknown key or a value that
    its type does not take.
    """
    types = get_type_hints(kind, include_extras=True)
    values: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if key == "ganlab.debug":
            continue
        owner, _, inner = key.partition(".")
        if equals and inner and get_origin(types.get(owner)) is dict:
            values.setdefault(owner, {})[inner] = unquoted(text)
            continue
        if not equals or key not in types or get_origin(types[key]) is dict:
            right = nearest(key, types)
            hint = f"did you mean `{right}=...`?" if right and right != key else f"there are {', '.join(types)}"
            form = "" if equals else " (settings are written key=value)"
            raise UserError(f"`{key}` is not a setting{form}: {hint}")
        values[key] = _convert(key, text, types[key])
    return kind(**values)


def needs_checkpoint(checkpoint: str) -> None:
    """Raise `UserError` if no checkpoint is named."""
    if not checkpoint:
        raise UserError("`checkpoint` is needed: pass checkpoint=runs/<recipe>/<version>, a .ckpt file or zoo:emoji")


READERS: Mapping[type, tuple[Callable[[str], Any], str]] = {
    int: (int, "a whole number"),
    float: (float, "a number"),
    bool: (lambda text: {"true": True, "false": False}[text.lower()], "true or false"),
    str: (lambda text: unquoted(text), "text"),
}


def _convert(key: str, text: str, kind: Any) -> Any:
    """Return the value of one setting. Its type may be `list[...]`, `... | None`, or `Annotated` with a range."""
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
    """Return text without the quotes around the whole of it, if there are any.

    >>> unquoted("'a dog, sitting (happy)'"), unquoted("a dog's ball")
    ('a dog, sitting (happy)', "a dog's ball")
    """
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text


def split_list(text: str) -> list[str]:
    """Return the items of `[a, b]`, those with commas quoted. Any other text is one item.

    >>> split_list("[a red apple, 'a dog, sitting']"), split_list("a dog, sitting")
    (['a red apple', 'a dog, sitting'], ['a dog, sitting'])
    """
    if not (text.startswith("[") and text.endswith("]")):
        return [unquoted(text)]
    items = re.findall(r"""\s*("[^"]*"|'[^']*'|[^,]+?)\s*(?:,|$)""", text[1:-1].strip())
    return [unquoted(item) for item in items]


# Help -------------------------------------------------------------------------------------------------------------


def asks_for_help(words: Sequence[str]) -> bool:
    """Return whether one of the words is -h or --help."""
    return any(word in ("-h", "--help") for word in words)


def table(rows: Mapping[str, str], indent: int = 2) -> str:
    """Return names and their meanings in two columns, wrapped."""
    column = max(map(len, rows), default=0) + indent + 2
    wrap = textwrap.TextWrapper(WIDTH, subsequent_indent=" " * column)
    return "\n".join(wrap.fill(f"{' ' * indent + name:<{column}}{text}").rstrip() for name, text in rows.items())


def settings_table(kind: type[Any]) -> str:
    """Return the settings of a flat command with their defaults."""
    defaults = {one.name: "" if one.default in (MISSING, None, "") else f" [{one.default}]" for one in fields(kind)}
    return table({one.name: one.metadata["help"] + defaults[one.name] for one in fields(kind)})
