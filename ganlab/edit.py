"""The command `python -m ganlab.edit`: pictures changed along a direction of the latents or styles, or mixed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import ganlab.config.before_imports  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.config.ranges import NonNegativeInt, Range, Seed, Truncation
from ganlab.errors import UserError, suggestion
from ganlab.files.run_folder import own_samples

if TYPE_CHECKING:
    from ganlab.latents.sheets import Sheet

WAYS = ("sefa", "means", "mix")
Strength = Annotated[float, Range(least=-1_000, most=1_000)]
Directions = Annotated[int, Range(least=1, most=1_000)]


@dataclass(frozen=True)
class EditSettings:
    """The settings of the command line of edit."""

    checkpoint: str = cli.setting("", f"{cli.CHECKPOINT}; needed")
    by: str = cli.setting(
        "sefa",
        "sefa: directions that change the network's first layers most; means: from the seeds in `less` to those in "
        "`more`; mix: styles of one seed in the layers of another (network=stylegan2)",
    )
    seeds: list[Seed] = cli.setting([0, 1, 2, 3], "the pictures that are changed, one a row; mix: coarse styles")
    text: str = cli.setting("", "the caption of all pictures [the first one of the data's prompts]")
    label: str = cli.setting("", "the class of all pictures, by number or name [the first]")
    count: Directions = cli.setting(3, "sefa: directions, the strongest first, each on a sheet of its own")
    more: list[Seed] = cli.setting([], "means: seeds of pictures with more of it")
    less: list[Seed] = cli.setting([], "means: seeds of pictures with less of it")
    strengths: list[Strength] = cli.setting(
        [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0], "one a column, in standard deviations of the model's own codes"
    )
    styles: list[Seed] = cli.setting([4, 5, 6, 7], "mix: seeds of the styles that are taken, one a column")
    layers: list[NonNegativeInt] = cli.setting(
        [], "of styles, 0 being the coarsest: those that change [all]; mix: those that are taken [the finer half]"
    )
    latent: str | None = cli.setting(None, "a latent.safetensors of ganlab.project, in place of `seeds`")
    truncation: Truncation = cli.setting(1.0, "1 for none; less is more typical and less varied (as for sample)")
    out: str | None = cli.setting(None, "folder for the sheets [the run's samples/edited]")
    allow: list[str] = cli.setting([], cli.ALLOW)


HELP = f"""\
Change pictures of a trained model: python -m ganlab.edit checkpoint=RUN [setting=VALUE ...]

Settings
{cli.settings_table(EditSettings)}

Examples
  python -m ganlab.edit checkpoint=runs/vanilla/0
  python -m ganlab.edit checkpoint=runs/cgan_text2img/0 text="a red apple" seeds=[3,7] count=5
  python -m ganlab.edit checkpoint=runs/vanilla/0 by=means more=[3,8,12] less=[0,5,9] strengths=[-4,-2,0,2,4]
  python -m ganlab.edit checkpoint=runs/stylegan2/0 by=mix seeds=[0,1] styles=[2,3,4] layers=[4,5,6,7]"""


def main() -> None:
    """Run the command line. Help and mistakes in the words are answered before torch is loaded."""
    cli.run(HELP, lambda words: edit(checked(cli.read_settings(EditSettings, words))))


def checked(settings: EditSettings) -> EditSettings:
    """Return the settings. Raise `UserError` if they cannot be right."""
    cli.needs_checkpoint(settings.checkpoint)
    if settings.by not in WAYS:
        raise UserError(f"`by` {settings.by!r} is unknown: {suggestion(settings.by, WAYS, 'by=')}")
    if settings.by == "means" and not (settings.more and settings.less):
        raise UserError(
            "`more` and `less` are needed with by=means: seeds with more and with less of what should change"
        )
    for name in ("seeds", "strengths", "styles"):
        if not getattr(settings, name):
            raise UserError(f"`{name}` is empty: name one at least")
    return settings


def edit(settings: EditSettings) -> None:
    """Load the checkpoint, find the directions, draw and write the sheets."""
    from ganlab.core.checkpoints import stored_content
    from ganlab.core.portable import open_run
    from ganlab.latents.points import check_code
    from ganlab.latents.sheets import write_sheet

    module, file = open_run(settings.checkpoint, settings.allow, needs_data=False)
    check_code(module)
    folder = Path(settings.out) if settings.out else own_samples(file, "edited")
    with stored_content(file):
        for sheet in sheets(module, settings):
            path = write_sheet(module, sheet, folder, settings.truncation)
            print(f"{sheet.words}: {path}")


def sheets(module: Any, settings: EditSettings) -> list[Sheet]:
    """Return the sheets that the settings describe."""
    from ganlab.latents import directions
    from ganlab.latents.points import points
    from ganlab.latents.projection import read_point
    from ganlab.latents.sheets import mixing, strips
    from ganlab.sampling.gallery import requested, warn_of_strange_words

    said = {"text": [settings.text] * bool(settings.text), "label": [settings.label] * bool(settings.label)}
    request = requested(module, said, 1, 0).part(slice(1))
    warn_of_strange_words(module, request, "ganlab.edit")
    condition = request.condition
    rows = dict(zip(map(str, settings.seeds), points(module, settings.seeds, condition), strict=True))
    if settings.latent:
        rows = {"projected": read_point(module, Path(settings.latent), condition)}
    if settings.by == "mix":
        columns = dict(zip(map(str, settings.styles), points(module, settings.styles, condition), strict=True))
        return [mixing(module, rows, columns, settings.layers, settings.truncation)]
    if settings.by == "means":
        found = [directions.difference(module, settings.more, settings.less, condition)]
    else:
        found = directions.sefa(module, condition, settings.count)
    mask = directions.layer_mask(module, settings.layers) if settings.layers else None
    return [strips(direction, rows, settings.strengths, mask) for direction in found]


if __name__ == "__main__":
    main()
