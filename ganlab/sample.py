"""`python -m ganlab.sample`: pictures from a checkpoint."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from ganlab import cli
from ganlab.errors import UserError
from ganlab.run import RunFolder, find_checkpoint


@dataclass(frozen=True)
class SampleSettings:
    """What can be said on the command line of sample."""

    checkpoint: str = cli.setting("", "a run's folder (its best, else its last) or a .ckpt; needed")
    text: list[str] = cli.setting([], "a caption, or several: text='a red apple', text='[a red apple, a blue car]'")
    label: list[str] = cli.setting([], "a class by number or name, or several: label=3, label=[3,5]")
    input: list[str] = cli.setting([], "a picture, or several, for models that turn one picture into another")
    count: int = cli.setting(16, "pictures of each caption or class")
    seed: int = cli.setting(0, "picture i is drawn from seed and i alone, whatever the batch")
    out: str | None = cli.setting(None, "folder for single PNGs and one grid [the run's samples/drawn]")
    allow: list[str] = cli.setting([], "packages beside ganlab and torch whose classes the checkpoint may name")


HELP = f"""\
Pictures from a trained model: python -m ganlab.sample checkpoint=RUN [setting=VALUE ...]

Settings
{cli.settings_table(SampleSettings)}

Examples
  python -m ganlab.sample checkpoint=runs/cgan_text2img/0 text="a red apple" count=16
  python -m ganlab.sample checkpoint=runs/cgan_text2img/0 text="[a red apple, 'a dog, sitting']" seed=7 out=pictures
  python -m ganlab.sample checkpoint=runs/vanilla/0/checkpoints/last.ckpt count=64"""


def main() -> None:
    """Help and every mistake in the words answer before torch is loaded."""
    words = sys.argv[1:]
    with cli.errors_in_one_line():
        print(HELP) if cli.asks_for_help(words) else sample(checked(cli.read_settings(SampleSettings, words)))


def checked(settings: SampleSettings) -> SampleSettings:
    """The settings, if they can be right. Raises `UserError`."""
    if not settings.checkpoint:
        raise UserError("`checkpoint` is needed: pass checkpoint=runs/<recipe>/<version> or a .ckpt file")
    if settings.count < 1:
        raise UserError(f"`count` must be at least 1, got {settings.count}")
    return settings


def sample(settings: SampleSettings) -> None:
    """Loads the checkpoint, draws the pictures, writes them: single PNGs and one grid."""
    from ganlab.checkpoints import load_module
    from ganlab.gallery import Request, draw_gallery

    file = find_checkpoint(settings.checkpoint)
    module = load_module(file, settings.allow)
    said = {"text": settings.text, "label": settings.label, "input": settings.input}
    request = Request.of(module.spec, said, settings.count, settings.seed)
    folder = Path(settings.out) if settings.out else RunFolder.of(settings.checkpoint).samples / "drawn"
    grid = draw_gallery(module, request, folder)
    print(f"{len(request.seeds)} pictures in {folder}, all of them on {grid}")


if __name__ == "__main__":
    main()
