"""Opening a checkpoint, which may be somebody else's: weights only, and no component that the recipe may not name."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from ganlab.assembly import make_module
from ganlab.data.base import DataSpec
from ganlab.errors import UserError
from ganlab.generative import GenerativeModule
from ganlab.grammar.trust import refuse_untrusted


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The checkpoint's plain content. `UserError` for a file that is none of ganlab's, or holds more than weights."""
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise UserError(f"{path} is no checkpoint that can be opened safely: {str(error).splitlines()[0]}") from error
    if not isinstance(content, dict) or "ganlab" not in content:
        raise UserError(f"{path} was not written by ganlab.fit: it has no recipe in it")
    return content


def load_module(path: Path, allow: Sequence[str] = ()) -> GenerativeModule:
    """The variant that the checkpoint's recipe describes, with its weights and counters, in eval mode.

    `UserError` if the recipe names what is neither ganlab's, torch's nor one of the packages in `allow`.
    """
    content = read_checkpoint(path)
    saved = content["ganlab"]
    refuse_untrusted(saved["recipe"], allow)
    module = make_module(saved["recipe"], DataSpec.from_plain(saved["spec"]))
    module.load_state_dict(content["state_dict"])
    module.images_seen = saved["images_seen"]
    return module.eval()
