"""Find the pictures and caption files in a folder, and give the reason for each that cannot be read.

No file is opened, so a FIFO, a socket or a device cannot block it. Links to files are followed, links to folders are
not.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from ganlab.data.decode import FOREIGN, SUFFIXES
from ganlab.data.tables import is_table
from ganlab.errors import UserError

NAMED = 3  # the number of examples in a message
TEXT_SUFFIXES = (".txt", ".caption")
KINDS: dict[Callable[[int], bool], str] = {
    stat.S_ISFIFO: "a FIFO",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}


@dataclass
class Listing:
    """Paths relative to a folder, with forward slashes.

    `pictures`: files with a picture's suffix. `texts`: tables of captions and text files. `left_out`: path -> reason.
    `folders`: all folders that were looked at, "" for the first.
    """

    pictures: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    folders: list[str] = field(default_factory=lambda: [""])


def some(names: list[str]) -> str:
    """Join the first few of many names for a message. A name with control characters is quoted.

    >>> some(["a.jpg", "b.jpg", "c.jpg", "d.jpg"])
    'a.jpg, b.jpg, c.jpg and 1 more'
    """
    rest = len(names) - NAMED
    return ", ".join(map(printable, names[:NAMED])) + (f" and {rest} more" if rest > 0 else "")


def printable(text: str) -> str:
    """Return `text` on one line of at most 200 characters. It is quoted if it has characters that do not print."""
    text = text if len(text) <= 200 else text[:200] + "..."
    return text if text.isprintable() else repr(text)


def reasons(left_out: dict[str, str]) -> str:
    """Join names and reasons for a message: "a.png (a FIFO), b.png (a socket) and 4 more"."""
    return some([f"{printable(name)} ({reason})" for name, reason in left_out.items()])


def listing(root: Path) -> Listing:
    """List the folder `root` and all folders in it, sorted. Hidden files and folders are skipped.

    Raises:
        UserError: `root` is no folder, or it cannot be opened.
    """
    try:
        is_folder = stat.S_ISDIR(root.stat().st_mode)
        entries = _entries(root) if is_folder else []
    except (OSError, ValueError) as error:
        reason = "which is not there" if isinstance(error, FileNotFoundError) else _why(error)
        raise UserError(f"`root` must be a folder of pictures, got {root}, {reason}: pass data.root=FOLDER") from error
    if not is_folder:
        raise UserError(f"`root` must be a folder of pictures, got {root}, a file: pass data.root=FOLDER")
    found = Listing()
    for entry, path in _walk(entries, found):
        _sort_in(entry, path, found)
    found.pictures.sort()
    found.texts.sort()
    return found


def _entries(folder: Path | str) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _walk(entries: list[os.DirEntry[str]], found: Listing) -> Iterator[tuple[os.DirEntry[str], str]]:
    """Yield each entry that is no folder, with its path. A stack replaces recursion: folders may nest to any depth."""
    stack = [(entry, entry.name) for entry in reversed(entries)]
    while stack:
        entry, path = stack.pop()
        if not entry.is_dir(follow_symlinks=False):
            yield entry, path
        elif not _is_unicode(path):
            found.left_out[path + "/"] = "its name is not UTF-8: rename the folder"
        else:
            found.folders.append(path)
            try:
                inner = _entries(entry.path)
            except OSError as error:
                found.left_out[path + "/"] = f"the folder cannot be opened: {_why(error)}"
                continue
            stack += [(entry, f"{path}/{entry.name}") for entry in reversed(inner)]


def _sort_in(entry: os.DirEntry[str], path: str, found: Listing) -> None:
    suffix = PurePosixPath(path).suffix.lower()
    is_picture, is_text = suffix in SUFFIXES, suffix in TEXT_SUFFIXES or is_table(path)
    if suffix in FOREIGN:
        found.left_out[path] = FOREIGN[suffix]
    elif reason := _obstacle(entry, path):
        if is_picture or is_text or _is_folder(entry):
            found.left_out[path] = reason
    elif is_picture:
        found.pictures.append(path)
    elif is_text:
        found.texts.append(path)


def _obstacle(entry: os.DirEntry[str], path: str) -> str:
    """Return the reason why a file cannot be read, or "" if it can be read."""
    if not _is_unicode(path):
        return "its name is not UTF-8: rename it"
    try:
        mode = entry.stat().st_mode
    except OSError as error:
        return f"a broken link: {_why(error)}" if entry.is_symlink() else _why(error)
    if stat.S_ISDIR(mode):
        return "a link to a folder, which is not followed: move the folder here, or pass it as data.root"
    if not stat.S_ISREG(mode):
        return next((name for is_kind, name in KINDS.items() if is_kind(mode)), "no file") + ", not a file"
    return "" if os.access(entry.path, os.R_OK) else "you may not read it"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _is_unicode(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
