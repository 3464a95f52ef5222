"""Lightning's plug-in for writing checkpoints. A checkpoint is either complete and on disk, or not there.

torch's file format is a zip archive with a checksum of each entry, which `archive.check_archive` verifies.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from lightning_fabric.plugins.io.torch_io import TorchCheckpointIO

from ganlab.core.finite import broken_side
from ganlab.core.generative import GenerativeModule
from ganlab.files.durable import torch_save
from ganlab.files.run_folder import RunFolder


class DurableCheckpointIO(TorchCheckpointIO):
    """Writes to the folder of the checkpoint itself, and syncs before renaming. Lightning reads."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Replace the checkpoint at `path`. storage_options: the path at which the previous one is kept, or None."""
        torch_save(checkpoint, path, storage_options and Path(storage_options))


def save_checkpoint(trainer: pl.Trainer, name: str) -> bool:
    """Save the run to its `checkpoints/name` and return True, or return False if weights are not finite.

    Rows of metrics are written first. Every process must call this, because saving gathers values from all of them.
    Raise `OSError` if the file cannot be written; the existing checkpoint then stays complete.
    """
    module = trainer.lightning_module
    assert isinstance(module, GenerativeModule)
    with module.whole():  # once, for the check and for the state
        if broken_side(module):
            return False
        for logger in trainer.loggers:
            logger.save()
        folder = RunFolder(Path(trainer.default_root_dir))
        keep = folder.previous_file if name == folder.last_file.name else None
        trainer.strategy.checkpoint_io = DurableCheckpointIO()
        trainer.save_checkpoint(folder.checkpoints / name, weights_only=False, storage_options=keep)
    return True
