"""Write checkpoints as Lightning's plug-in: whole and on disk, or not at all.

torch's file format is a zip archive with a checksum of each entry, which `archive.check_archive` verifies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from ganlab.durable import replacing


def save(content: Any, path: str | Path, keep: Path | None = None) -> None:
    """Replace the file at `path` by torch's form of the content, on disk. keep: where the file before it remains.

    Raise `OSError` that names the file if the disk is full; torch itself raises a RuntimeError.
    """
    with replacing(path, keep) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            raise error.__context__ if isinstance(error.__context__, OSError) else error from error


class DurableCheckpointIO(TorchCheckpointIO):
    """Save to the folder of the checkpoint itself, synced before it is renamed. Reading is Lightning's."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Replace the checkpoint at `path`. storage_options: where the one before it remains, or None."""
        save(checkpoint, path, storage_options and Path(storage_options))
