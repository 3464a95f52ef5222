"""`ganlab.load`: a trained model by the name that the commands take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganlab.core.checkpoints import load_module
from ganlab.core.generative import GenerativeModule
from ganlab.files.run_folder import find_checkpoint


def load(checkpoint: str | Path, allow: Sequence[str] = ()) -> GenerativeModule:
    """Return a trained model, ready for `sample`, on the CPU and in evaluation mode.

    checkpoint: a run's folder (its best, else its last), a .ckpt, the folder of a published model, `zoo:NAME` or
    `hf:USER/NAME[@REVISION]`. allow: packages whose classes it may name, and "hub" to let it fetch what it names.
    Raise `UserError` if there is no such checkpoint, or if it cannot be opened safely.

        model = ganlab.load("zoo:mnist")
        images = model.sample(model.draw_latent(16), torch.full((16,), 7))
    """
    return load_module(find_checkpoint(checkpoint), allow)
