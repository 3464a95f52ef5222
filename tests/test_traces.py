"""The losses of five small runs, iteration by iteration, against those that were kept: same results, identical traces.

Processors differ in the last bits, and a game of two players magnifies them: the first iterations are compared to
1e-3. `GANLAB_EXACT=1` asks for all of them to the last bit, on one machine, before and after a change that must change
nothing. `python tests/test_traces.py` keeps new traces, for a change that must.
"""

from __future__ import annotations

import csv
import json
import os
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from ganlab.config.recipe import compose
from ganlab.core.checkpoints import read_checkpoint
from ganlab.files.run_folder import RunFolder
from ganlab.runs.training import train

KEPT = Path(__file__).with_name("traces.json")
ITERATIONS = 20
COMPARED = 5  # iterations, of those that are kept
TINY = (
    *("trainer.accelerator=cpu", "trainer.devices=1", f"trainer.max_steps={ITERATIONS}", "trainer.log_every_n_steps=1"),
    *(f"callbacks.{name}=null" for name in ("collapse", "game", "pictures", "progress", "quality")),
)
PICTURES = ("batch_size=4", "network.generator.width=4", "network.discriminator.width=4")
RUNS = {
    "ring": ("recipe=ring", "batch_size=32"),
    "vanilla": ("recipe=vanilla", "data=shapes", "data.size=32", *PICTURES),
    "text2shapes": ("recipe=text2shapes", "data.size=32", *PICTURES),
    "cgan_text2img": ("recipe=cgan_text2img", *PICTURES),
    "stackgan": ("recipe=stackgan", "data.wordings=1", *PICTURES),
    "patchgan": ("recipe=patchgan", *PICTURES),
}

Trace = dict[str, Any]


def trace(words: tuple[str, ...], folder: Path) -> Trace:
    """Every term and gradient norm of a run's iterations, by its name, and a digest of all that was learned."""
    run = train(compose(*words, *TINY, f"run_dir={folder}"))
    with RunFolder(run).metrics_file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = [name for name in rows[0] if name.startswith(("generator/", "discriminator/"))]
    terms = {name: [float(row[name]) for row in rows if row[name]] for name in names}
    return {"terms": terms, "digest": digest(read_checkpoint(RunFolder(run).last())["state_dict"])}


def digest(state: dict[str, Tensor]) -> str:
    """The SHA-256 of all tensors, in the order of their names."""
    return sha256(b"".join(state[name].contiguous().numpy().tobytes() for name in sorted(state))).hexdigest()


@pytest.mark.parametrize("name", RUNS)
def test_the_trace_is_the_one_that_was_kept(name: str, tmp_path: Path) -> None:
    kept, found = json.loads(KEPT.read_text())[name], trace(RUNS[name], tmp_path / "run")
    if os.environ.get("GANLAB_EXACT") == "1":
        assert found == kept
    assert found["terms"].keys() == kept["terms"].keys()
    for term, values in found["terms"].items():
        early = max(1, len(values) * COMPARED // ITERATIONS)  # a penalty has a value every so many iterations only
        assert values[:early] == pytest.approx(kept["terms"][term][:early], rel=1e-3, abs=1e-6), term


def keep() -> None:
    """Replace the kept traces by those of this version."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        traces = {name: trace(words, Path(folder) / name) for name, words in RUNS.items()}
    KEPT.write_text(json.dumps(traces, indent=1) + "\n")


if __name__ == "__main__":
    keep()
