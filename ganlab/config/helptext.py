"""The text of `ganlab fit --help`: the recipes, the groups, the common settings, examples."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ganlab.config.cli import table
from ganlab.config.command import ASKING, RESUMED, Command
from ganlab.config.recipe_help import recipe_help

SETTINGS = {
    "seed=0": "of everything that is drawn: the same seed gives the same run",
    "run_dir=FOLDER": "where the run's folder goes [runs/<recipe>/<version>]",
    "resume=RUN": "go on with a run's folder or a .ckpt; settings beside it change what it was",
    "init=RUN": "start a new run from the weights of a run, a .ckpt, zoo:NAME or hf:USER/NAME",
    "batch_size=64": "real images that a process takes for one turn of the discriminator",
    "trainer.max_steps=10000": "iterations; an iteration is one batch, whatever the number of turns",
    "trainer.devices=2": "processes or GPUs; trainer.accelerator=gpu, trainer.precision=bf16-mixed",
    "data.root=FOLDER": "where data=folder finds the pictures",
    "generator.optimizer.lr=1e-4": "and discriminator...; also turns, clip, accumulate, freeze (FreezeD), layer_decay",
    "ganlab.debug=true": "a traceback where one line would do",
}

EXAMPLES = """\
  python -m ganlab.fit recipe=cgan_text2img
  python -m ganlab.fit recipe=cgan_text2img data=folder data.root=my_photos logger=wandb
  python -m ganlab.fit -m recipe=vanilla objective=hinge,nonsaturating seed=1,2,3   (one run after another)
  python -m ganlab.fit resume=runs/cgan_text2img/0 trainer.max_steps=40000
  python -m ganlab.fit recipe=vanilla --help                                        (its groups and settings)
  python -m ganlab.fit recipe=vanilla --cfg job                                     (print the recipe in full)
  python -m ganlab.fit --config-dir my_recipes recipe=mine                          (recipes of your own)"""


def fit_help(words: Sequence[str]) -> str:
    """Return the help on the recipe among the words, else on all recipes. Raise `UserError` for a wrong word."""
    rest = [word for word in words if word not in ("-h", "--help")]
    named = any(re.match(r"recipe=|resume=|--config-name|-cn", word) for word in rest)
    command = Command.read(rest if named else [*rest, "--version"])
    if command.recipe not in (None, RESUMED) and not command.options.keys() & ASKING:
        return recipe_help(command)
    groups = {name: ", ".join(names) for name, names in command.groups.items()}
    return "\n".join(
        [
            "Train a GAN by a recipe: python -m ganlab.fit recipe=NAME [group=CHOICE ...] [setting=VALUE ...]\n",
            f"Recipes\n{table(command.catalog.recipes())}\n",
            f"Groups: a recipe's parts, changed as a whole (data=shapes)\n{table(groups)}\n",
            f"Settings: all that --cfg job prints, and every parameter of a component; often\n{table(SETTINGS)}\n",
            f"Examples\n{EXAMPLES}",
        ]
    )
