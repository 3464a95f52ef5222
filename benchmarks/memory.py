"""Measure the peak memory of a few iterations of each recipe, each in a process of its own, on the CPU.

    python benchmarks/memory.py [recipes=vanilla,r3gan] [iterations=3] [said=WORDS]

It prints a table: the peak of resident memory in MB above that of the process with its data and its networks, with the
recipe's own batch size, as it is and with `generator.share_images=false`. said: further settings of all runs, with
spaces between them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from contest import settings

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module, make_trainer
from ganlab.runs.memory import forget_peaks, peaks
from ganlab.runs.training import quiet_lightning

QUIET = ("trainer.accelerator=cpu", "callbacks={}", "logger=[]")


def one(words: list[str]) -> None:
    """Train a recipe in this process and print what its iterations added to the peak, in MB."""
    quiet_lightning()
    recipe = compose(*words)
    data = make_data(recipe)
    module = make_module(recipe, data.spec)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(recipe, Path(folder))
        forget_peaks()
        before = peaks()["process"]
        trainer.fit(module, datamodule=data)
    print((peaks()["process"] - before) / 1e6)


def measured(words: list[str]) -> float:
    """Return the MB that a process of its own needs for a run with these words."""
    command = [sys.executable, __file__, "one", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def main() -> None:
    said = {"recipes": "vanilla,wgan_gp,cgan_text2img,text2img_64,r3gan,stackgan,patchgan", "iterations": 3, "said": ""}
    said |= settings()
    print("| recipe | MB | `generator.share_images=false` |\n|---|---|---|")
    for recipe in str(said["recipes"]).split(","):
        words = [f"recipe={recipe}", f"trainer.max_steps={said['iterations']}", *QUIET, *str(said["said"]).split()]
        found = [measured([*words, f"++generator.share_images={share}"]) for share in ("true", "false")]
        print(f"| `{recipe}` | {found[0]:.0f} | {found[1]:.0f} |", flush=True)


if __name__ == "__main__":
    one(sys.argv[2:]) if sys.argv[1:2] == ["one"] else main()
