"""Uploading a published model to the Hugging Face Hub, through huggingface_hub."""

from __future__ import annotations

import re
from pathlib import Path

from ganlab.errors import UserError
from ganlab.files.addresses import REPOSITORY
from ganlab.files.published import CARD_FILE, CONFIG_FILE, MODEL_FILE, SAMPLES_FILE

FILES = [MODEL_FILE, CONFIG_FILE, CARD_FILE, SAMPLES_FILE]
FOLDER = re.compile(r"\.{0,2}/.*|~.*|[A-Za-z]:[\\/].*|\.{1,2}")


def target(to: str) -> str | None:
    """Return the repository that a target names, USER/NAME; None if it is a folder.

    A folder starts with `./`, `../`, `/` or `~`. Raise `UserError` if it is neither.

    >>> target("hf:someone/digits"), target("someone/digits"), target("./digits")
    ('someone/digits', 'someone/digits', None)
    """
    if FOLDER.fullmatch(to):
        return None
    name = to.removeprefix("hf:")
    if REPOSITORY.fullmatch(name):
        return name
    raise UserError(f"`to` must be USER/NAME on the Hub, or a folder that starts with ./ or /, got {to!r}")


def upload(folder: Path, repository: str, private: bool = False) -> str:
    """Upload the files of a published model, in one commit. Return its address in the web. Raise `UserError`.

    The token comes from `hf auth login` or from `HF_TOKEN`. A new repository is made; an existing one keeps its
    visibility.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi()
    try:
        page = api.create_repo(repository, private=private, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            folder_path=folder,
            allow_patterns=FILES,
            commit_message="Publish with ganlab.push",
        )
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"`to` {repository} cannot be written: {reason}; log in with `hf auth login`") from error
    return str(page)
