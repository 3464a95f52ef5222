"""The console script: `ganlab COMMAND ...` is `python -m ganlab.COMMAND ...`."""

from __future__ import annotations

import runpy
import sys

import ganlab.config.before_imports as before_imports  # first: it changes where packages are found
from ganlab import __version__
from ganlab.config import cli
from ganlab.errors import UserError, suggestion

COMMANDS = {
    "fit": "train a GAN by a recipe, or go on with a run",
    "sample": "draw pictures from a trained model",
    "walk": "draw the way between seeds, captions or classes",
    "edit": "change pictures along directions, or mix their styles",
    "project": "find the latent of a picture",
    "page": "play with trained models in the browser",
    "evaluate": "measure a checkpoint's pictures, or a folder's against another",
    "table": "compare runs in a table: mean and deviation over seeds",
    "report": "write the page of a run, or one that compares several",
    "export": "write a trained generator for use elsewhere: safetensors, ONNX, torch.export",
    "push": "publish a trained model on the Hugging Face Hub, or into a folder",
    "zoo": "list the trained models that come with ganlab",
    "lecture": "draw and measure claims of the lecture",
}

HELP = f"""\
A laboratory for generative adversarial networks: ganlab COMMAND [setting=VALUE ...]

Commands
{cli.table(COMMANDS)}

  ganlab COMMAND --help   the settings of a command
  ganlab --version        the version"""


def main() -> None:
    """Run the command named by the first word, with the other words."""
    first = (*sys.argv[1:], "")[0]
    with cli.errors_in_one_line():
        if first in ("-h", "--help"):
            print(HELP)
        elif first == "--version":
            print(__version__)
        elif first not in COMMANDS:
            what = f"`{first}` is no command" if first else "a command is needed"
            raise UserError(f"{what}: {suggestion(first, list(COMMANDS))}")
        else:
            before_imports.add_last(sys.path)
            before_imports.let_threads_sleep()
            del sys.argv[1]
            runpy.run_module(f"ganlab.{first}", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
