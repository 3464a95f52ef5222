"""The command `python -m ganlab.page`: a page to play with trained models in the browser."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Annotated

import ganlab.config.before_imports  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.config.ranges import Range
from ganlab.errors import UserError

Port = Annotated[int, Range(least=0, most=65_535)]
MOST_CHECKPOINTS = 6


@dataclass(frozen=True)
class PageSettings:
    """The settings of the command line of page."""

    checkpoint: list[str] = cli.setting([], f"{cli.CHECKPOINT}; several: [A,B]; needed")
    host: str = cli.setting("127.0.0.1", "the address to listen on; 0.0.0.0 lets other machines use the page")
    port: Port = cli.setting(7860, "of the page; 0 for any free one")
    data: dict[str, str] = cli.setting({}, cli.DATA)
    allow: list[str] = cli.setting([], cli.ALLOW)


HELP = f"""\
A page to play with trained models: python -m ganlab.page checkpoint=RUN [RUN ...] [setting=VALUE ...]

Needs the package gradio: pip install "ganlab[page]". The page works without a network.

Settings
{cli.settings_table(PageSettings)}

Examples
  python -m ganlab.page checkpoint=zoo:mnist
  python -m ganlab.page checkpoint=runs/cgan_text2img/0 port=8000
  python -m ganlab.page checkpoint=[runs/cgan_text2img/0,runs/cgan_text2img/1]
  python -m ganlab.page checkpoint=runs/vanilla/0 data.root=pictures"""


def main() -> None:
    """Run the command line. Help and mistakes in the words are answered before torch is loaded."""
    cli.run(HELP, lambda words: page(checked(read(words))))


def read(words: Sequence[str]) -> PageSettings:
    """Return the settings. Words without a `key=` are further checkpoints."""
    more, said = cli.apart(words)
    settings = cli.read_settings(PageSettings, said)
    return replace(settings, checkpoint=[*settings.checkpoint, *more])


def checked(settings: PageSettings) -> PageSettings:
    """Return the settings. Raise `UserError` if they cannot be right."""
    cli.needs_checkpoint("".join(settings.checkpoint))
    if len(settings.checkpoint) > MOST_CHECKPOINTS:
        raise UserError(f"`checkpoint` takes {MOST_CHECKPOINTS} at most, got {len(settings.checkpoint)}")
    if find_spec("gradio") is None:
        raise UserError('`ganlab.page` needs gradio: pip install "ganlab[page]"')
    return settings


def page(settings: PageSettings) -> None:
    """Open the checkpoints and serve their page until the user interrupts."""
    from ganlab.page.server import listen, serve

    socket = listen(settings.host, settings.port)
    from ganlab.page.blocks import build
    from ganlab.page.model import Model

    models = [Model.open(name, settings.allow, settings.data) for name in dict.fromkeys(settings.checkpoint)]
    serve(build(models), socket, settings.host)


if __name__ == "__main__":
    main()
