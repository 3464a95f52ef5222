"""Measure the peak memory of a few iterations of each recipe on the CPU, in tensors.

    python benchmarks/memory.py [recipes=vanilla,r3gan] [iterations=2] [said=WORDS] [what=seconds]

It prints a table: the most MB of tensors at one time, beyond those of the data and the networks at the start, with the
recipe's own batch size. The columns are the recipe as it is, and with the settings that save memory. said: further
settings of all runs, with spaces between them. what=seconds: the processor's seconds instead, the least of three runs.

torch's profiler reports each allocation, so the number of MB is exact and the same in each run. A process needs more:
the libraries, the networks, and memory that the allocator keeps.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from contest import settings
from torch.profiler import ProfilerActivity, profile

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_data, make_module, make_trainer
from ganlab.runs.training import quiet_lightning

NEEDED = {
    "few_shot": ("data=emoji", "~data.root", "data.size=64"),  # pictures that the package has, in place of a folder
    "stacked_mnist": ("data=emoji",),
    "stackgan": ("variant.stage_one_iterations=1",),  # the second iteration is of Stage II
}
RECIPES = (
    "vanilla,hinge,minimax,lsgan,fgan,wgan,wgan_gp,r3gan,few_shot,stacked_mnist,cgan_class,cgan_text2img,text2img_64,"
    "text2shapes,stackgan,patchgan,infogan,vaegan,autoencoder,vae"
)
CHECKPOINTED = ("generator.checkpoint_blocks=true", "discriminator.checkpoint_blocks=true")
COLUMNS = {
    "as it is": (),
    "`share_images=false`": ("generator.share_images=false",),
    "`checkpoint_blocks=true`": CHECKPOINTED,
    "both": ("generator.share_images=false", *CHECKPOINTED),
}
RUNS = 3  # of which the least time counts

Work = Callable[[], None]


def megabytes(work: Work) -> float:
    """Return the most MB of tensors that are allocated at one time in a piece of work, beyond those before it."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        work()
    events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
    present = most = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        present += event.nbytes()
        most = max(most, present)
    return most / 1e6


def seconds(work: Work) -> float:
    """Return the processor's seconds of a piece of work."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measured(words: list[str], measure: Callable[[Work], float]) -> float:
    """Return what a recipe's iterations need."""
    recipe = dict(compose(*words)) | {"callbacks": {}, "logger": {}}  # which would measure, and keep pictures
    torch.manual_seed(0)
    data = make_data(recipe)
    module = make_module(recipe, data.spec)
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(recipe, Path(folder))
        return measure(lambda: trainer.fit(module, datamodule=data))


def row(words: list[str], what: str) -> list[str]:
    """Return the cells of a recipe."""
    every = [[*words, *more] for more in COLUMNS.values()]
    if what == "memory":
        return [f"{measured(one, megabytes):.0f}" for one in every]
    rounds = [[measured(one, seconds) for one in every] for _ in range(RUNS)]
    return [f"{min(times):.1f}" for times in zip(*rounds, strict=True)]


def main() -> None:
    said = {"recipes": RECIPES, "iterations": 2, "said": "", "what": "memory"} | settings()
    quiet_lightning()
    print("| recipe | " + " | ".join(COLUMNS) + " |\n" + "|---" * (len(COLUMNS) + 1) + "|")
    for recipe in str(said["recipes"]).split(","):
        words = [f"recipe={recipe}", f"trainer.max_steps={said['iterations']}", "trainer.accelerator=cpu"]
        words += [*NEEDED.get(recipe, ()), *str(said["said"]).split()]
        print(f"| `{recipe}` | " + " | ".join(row(words, str(said["what"]))) + " |", flush=True)


if __name__ == "__main__":
    main()
