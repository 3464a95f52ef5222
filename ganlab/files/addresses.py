"""Addresses of published models: `zoo:NAME`, in the package, and `hf:USER/NAME[@REVISION]`, on the Hugging Face Hub.

An address that a user types is the permission to fetch two files of a model, `model.safetensors` and `config.json`.
Nothing heavy is imported.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from ganlab.errors import UserError, suggestion
from ganlab.files.published import CONFIG_FILE, MODEL_FILE, is_published

FORM = re.compile(r"(zoo|hf):(.*)", re.DOTALL)
PART = r"[A-Za-z0-9][\w.-]{0,95}"
REPOSITORY = re.compile(rf"{PART}/{PART}")
REVISION = re.compile(r"\w[\w./-]{0,99}")
CACHED = re.compile(r"/models--([^/]+?)--([^/]+)/snapshots/([^/]+)")
ZOO = Path(__file__).parent.parent / "zoo"


class Address(NamedTuple):
    """The name of a published model. place: "zoo" or "hf". revision: a branch, tag or commit, or None for the main."""

    place: str
    name: str
    revision: str | None = None

    @classmethod
    def read(cls, text: str | Path) -> Address | None:
        """Return the address that a text means; None if it is a path. Raise `UserError` for a malformed address.

        >>> Address.read("hf:someone/digits@v2")
        Address(place='hf', name='someone/digits', revision='v2')
        >>> Address.read("runs/vanilla/0")
        """
        if not (found := FORM.fullmatch(str(text))):
            return None
        place, rest = found.groups()
        name, sign, revision = rest.partition("@") if place == "hf" else (rest, "", "")
        if not re.fullmatch(REPOSITORY if place == "hf" else PART, name) or (sign and not REVISION.fullmatch(revision)):
            raise UserError(
                f"`checkpoint` {ascii(str(text))[1:101]} is no address: write zoo:NAME or hf:USER/NAME[@TAG]"
            )
        return cls(place, name, revision or None)

    @classmethod
    def of(cls, path: str | Path) -> Address | None:
        """Return the address whose files a path belongs to: in the package, or in huggingface_hub's cache; else None.

        >>> Address.of("/home/me/.cache/huggingface/hub/models--someone--digits/snapshots/0a1b/model.safetensors")
        Address(place='hf', name='someone/digits', revision='0a1b')
        """
        path = Path(path)
        if path.absolute().is_relative_to(ZOO) and path.absolute() != ZOO:
            return cls("zoo", path.absolute().relative_to(ZOO).parts[0])
        found = CACHED.search(path.as_posix())
        return cls("hf", f"{found[1]}/{found[2]}", found[3]) if found else None

    @property
    def local(self) -> Path:
        """Return the folder for what is made from the model, such as drawn pictures: `runs/zoo/NAME`."""
        return Path("runs") / self.place / self.name

    def folder(self) -> Path:
        """Return the folder of the published model, fetched if it is on the Hub. Raise `UserError`."""
        return zoo_folder(self.name) if self.place == "zoo" else hub_folder(self.name, self.revision)


def zoo_names() -> list[str]:
    """Return the names of the models in the package."""
    return sorted(path.parent.name for path in ZOO.glob(f"*/{MODEL_FILE}") if is_published(path.parent))


def zoo_folder(name: str) -> Path:
    """Return the folder of a model in the package. Raise `UserError` that suggests the nearest name."""
    if name not in zoo_names():
        raise UserError(f"`checkpoint` zoo:{name} does not exist: {suggestion(name, zoo_names(), 'zoo:')}")
    return ZOO / name


def hub_folder(repository: str, revision: str | None = None) -> Path:
    """Return the local folder of a model on the Hub, in huggingface_hub's cache. Fetch what is missing.

    With `GANLAB_OFFLINE=1` or `HF_HUB_OFFLINE=1` the cache must have it. Raise `UserError` if it cannot be had.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    name = f"hf:{repository}" + (f"@{revision}" if revision else "")
    offline = any(os.environ.get(word, "0") not in ("", "0") for word in ("GANLAB_OFFLINE", "HF_HUB_OFFLINE"))
    files = [MODEL_FILE, CONFIG_FILE]
    try:
        found = snapshot_download(repository, revision=revision, allow_patterns=files, local_files_only=offline)
    except LocalEntryNotFoundError as error:
        why = "it may not be fetched offline" if offline else "the Hub does not answer"
        raise UserError(f"`checkpoint` {name} is not in the local cache, and {why}") from error
    except RepositoryNotFoundError as error:
        raise UserError(
            f"`checkpoint` {name} does not exist on the Hub, or needs you to log in (hf auth login)"
        ) from error
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise UserError(f"`checkpoint` {name} cannot be fetched: {str(error).strip().splitlines()[0][:200]}") from error
    if not is_published(Path(found)):
        raise UserError(
            f"`checkpoint` {name} has no {MODEL_FILE} and {CONFIG_FILE}: it was not published by ganlab.push"
        )
    return Path(found)
