"""The command `python -m ganlab.zoo`: list the trained models that come with ganlab."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ganlab.config.before_imports  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.files.addresses import ZOO, zoo_names
from ganlab.files.published import CARD_FILE, MODEL_FILE, SAMPLES_FILE, read_config


@dataclass(frozen=True)
class ZooSettings:
    """The settings of the command line of zoo."""

    page: str | None = cli.setting(None, "a file for one picture with the samples of all models, such as zoo.png")


HELP = f"""\
The trained models that come with ganlab: python -m ganlab.zoo [setting=VALUE]

checkpoint=zoo:NAME takes one wherever a checkpoint is asked for.

Settings
{cli.settings_table(ZooSettings)}

Examples
  python -m ganlab.zoo
  python -m ganlab.zoo page=zoo.png
  python -m ganlab.sample checkpoint=zoo:mnist label=7 count=16"""


def main() -> None:
    """Run the command line. Nothing heavy is loaded to list the models."""
    cli.run(HELP, lambda words: show(cli.read_settings(ZooSettings, words)))


def show(settings: ZooSettings) -> None:
    """Print each model, and write the page of all samples if it is asked for."""
    for name in zoo_names():
        print("\n".join(listed(name)))
    if settings.page:
        print(f"samples of all on {write_page(Path(settings.page))}")


def listed(name: str) -> Iterator[str]:
    """Yield the lines on a model: what it draws, its size, its numbers, its card and its picture."""
    folder, config = ZOO / name, read_config(ZOO / name)
    yield f"zoo:{name}  {config['about']}"
    yield f"  {(folder / MODEL_FILE).stat().st_size / 1e6:.1f} MB, {config['licence']['name']}{_numbers(config)}"
    yield f"  card {folder / CARD_FILE}"
    yield f"  samples {folder / SAMPLES_FILE}"


def _numbers(config: dict[str, Any]) -> str:
    return "".join(f", {name} {one['value']:.4g}" for name, one in config["numbers"].items())


def write_page(file: Path) -> Path:
    """Write the samples of all models under their names as one picture."""
    from PIL import Image, ImageDraw

    from ganlab.files.durable import atomic_write
    from ganlab.loggers.sheet import INK, MARGIN, PAPER, font, png

    title = 24  # pixels for a model's name
    sheets: dict[str, Image.Image] = {}
    for name in zoo_names():
        with Image.open(ZOO / name / SAMPLES_FILE) as stored:
            sheets[name] = stored.copy()
    width = max(sheet.width for sheet in sheets.values()) + 2 * MARGIN
    page = Image.new("RGB", (width, sum(sheet.height + title for sheet in sheets.values()) + MARGIN), PAPER)
    pen, top = ImageDraw.Draw(page), 0
    for name, sheet in sheets.items():
        pen.text((MARGIN, top + MARGIN), f"zoo:{name}", INK, font())
        page.paste(sheet, (MARGIN, top + title))
        top += sheet.height + title
    return atomic_write(file, png(page))


if __name__ == "__main__":
    main()
