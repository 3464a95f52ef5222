"""Check a checkpoint's file before torch opens it. The memory to open it is then bounded by the size of the file.

A checkpoint is a zip archive of uncompressed entries: one pickle and the tensors' bytes. The pickle may name only what
plain values and dense tensors need. Nothing heavy is imported.
"""

from __future__ import annotations

import pickletools
import stat
import zipfile
from pathlib import Path

from ganlab.errors import UserError

MOST_PICKLED = 64 * 2**20
MOST_ENTRIES = 100_000
GLOBALS = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", "torch Size", "torch device"}
STORAGES = {
    f"torch {kind}Storage"
    for kind in ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
}


def check_archive(path: Path) -> None:
    """Raise `UserError` if the file is no archive of torch's, or if it would unpack to more than its own size."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise UserError(f"{path} is no checkpoint: it is not a regular file")
    try:
        with zipfile.ZipFile(path) as archive:
            reason = _objection(archive, path.stat().st_size)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, ValueError, OSError, EOFError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
    if reason:
        raise UserError(f"{path} is no checkpoint that can be opened safely: {reason}")


def _objection(archive: zipfile.ZipFile, size: int) -> str:
    entries = archive.infolist()
    pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
    if len(entries) > MOST_ENTRIES or len(pickles) != 1 or pickles[0].file_size > MOST_PICKLED:
        return "it must hold one pickle of at most 64 MiB"
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size for entry in entries):
        return "its entries are compressed"
    if sum(entry.file_size for entry in entries) > size:
        return "its entries are larger than the file"
    if damaged := archive.testzip():
        return f"it is damaged: the checksum of {ascii(damaged)[:60]} does not match"
    return _foreign(archive.read(pickles[0]))


def _foreign(pickled: bytes) -> str:
    """Return a sentence on the first name in a pickle that neither plain values nor dense tensors need."""
    for code, argument, _ in pickletools.genops(pickled):
        named = code.name in ("GLOBAL", "INST", "STACK_GLOBAL") or code.name.startswith("EXT")
        if named and argument not in GLOBALS | STORAGES:
            return f"its pickle names {ascii(argument)[:60]}, which is no part of a checkpoint"
    return ""
