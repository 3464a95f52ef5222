"""The command `python -m ganlab.sample`: draw pictures from a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import ganlab.config.before_imports  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.config.ranges import BatchSize, Positive, PositiveInt, Range, SampleCount, Seed, Truncation
from ganlab.errors import UserError, suggestion
from ganlab.files.run_folder import own_samples

METHODS = ("none", "rejection", "mh", "langevin")
CALIBRATIONS = ("platt", "isotonic", "none")
FORMATS = ("png", "jpg", "webp")


@dataclass(frozen=True)
class SampleSettings:
    """The settings of the command line of sample."""

    checkpoint: str = cli.setting("", f"{cli.CHECKPOINT}; needed")
    text: list[str] = cli.setting([], "a caption, or several: text='a red apple', text='[a red apple, a blue car]'")
    label: list[str] = cli.setting([], "a class by number or name, or several: label=3, label=[3,5]")
    input: list[str] = cli.setting([], "a picture to be turned into another, or several [held-out ones of its data]")
    count: SampleCount = cli.setting(16, "pictures of each caption or class; number of held-out inputs")
    seed: Seed = cli.setting(0, "picture i depends on seed and i alone, not on the batch")
    out: str | None = cli.setting(
        None,
        "folder for single pictures, sheets of 256 and metadata.jsonl, which data=folder data.root=OUT reads back "
        "[the run's samples/drawn]",
    )
    truncation: Truncation = cli.setting(
        1.0,
        "1 for none; less is more typical and less varied: scales the latent, or with network=stylegan2 the style's "
        "distance from the mean style of the same condition",
    )
    format: str = cli.setting("png", "of single pictures: png, webp (both keep every pixel) or jpg")
    batch: BatchSize = cli.setting(64, "pictures drawn at a time; another batch may round a pixel differently by 1/255")
    method: str = cli.setting(
        "none",
        "let the discriminator choose: rejection, mh (Metropolis-Hastings) or langevin (in latent space); needs the "
        "run's data, whose held-out pictures calibrate the discriminator",
    )
    calibration: str = cli.setting("platt", "of the discriminator, on held-out pictures: platt, isotonic or none")
    held_out: Annotated[int, Range(least=4, most=1_000_000)] = cli.setting(
        1000, "the most held-out pictures for the calibration, with as many generated ones"
    )
    candidates: PositiveInt = cli.setting(1000, "rejection: the most candidates for one picture")
    percentile: Annotated[float, Range(least=0, most=100)] | None = cli.setting(
        None, "rejection: accept the best 100 - percentile % of candidates more often than not [unbiased instead]"
    )
    steps: PositiveInt = cli.setting(100, "mh: candidates for each picture; langevin: steps for each picture")
    step_size: Positive = cli.setting(0.01, "langevin: variance of the noise in a step; latents have variance 1")
    data: dict[str, str] = cli.setting({}, cli.DATA)
    allow: list[str] = cli.setting([], cli.ALLOW)


HELP = f"""\
Pictures from a trained model: python -m ganlab.sample checkpoint=RUN [setting=VALUE ...]

Settings
{cli.settings_table(SampleSettings)}

Examples
  python -m ganlab.sample checkpoint=runs/cgan_text2img/0 text="a red apple" count=16
  python -m ganlab.sample checkpoint=runs/cgan_text2img/0 text="[a red apple, 'a dog, sitting']" seed=7 out=pictures
  python -m ganlab.sample checkpoint=runs/vanilla/0/checkpoints/last.ckpt count=64
  python -m ganlab.sample checkpoint=runs/vanilla/0 count=64 method=mh steps=200
  python -m ganlab.sample checkpoint=runs/cgan_class/0 label=[0,1] count=5000 format=webp out=drawn"""


def main() -> None:
    """Run the command line. Help and mistakes in the words are answered before torch is loaded."""
    cli.run(HELP, lambda words: sample(checked(cli.read_settings(SampleSettings, words))))


def checked(settings: SampleSettings) -> SampleSettings:
    """Return the settings. Raise `UserError` if they cannot be right."""
    cli.needs_checkpoint(settings.checkpoint)
    _check_choices(settings)
    return settings


def _check_choices(settings: SampleSettings) -> None:
    for name, known in {"method": METHODS, "calibration": CALIBRATIONS, "format": FORMATS}.items():
        word = getattr(settings, name)
        if word not in known:
            raise UserError(f"`{name}` {word!r} is unknown: {suggestion(word, known, f'{name}=')}")
    if (settings.method, settings.calibration) == ("langevin", "isotonic"):
        raise UserError("`calibration=isotonic` is a staircase without slopes for method=langevin: use platt or none")


def sample(settings: SampleSettings) -> None:
    """Load the checkpoint, draw the pictures, and write them as single files, sheets and a manifest."""
    from ganlab.core.checkpoints import stored_content
    from ganlab.core.portable import open_run
    from ganlab.sampling.drawing import check_truncation, latents
    from ganlab.sampling.gallery import Drawing, draw_gallery, requested, warn_of_strange_words
    from ganlab.sampling.writing import file_hash

    said = {"text": settings.text, "label": settings.label, "input": settings.input}
    plain = settings.method == "none"
    needs_data = not (plain and any(said.values()))
    module, file = open_run(settings.checkpoint, settings.allow, settings.data, needs_data)
    folder = Path(settings.out) if settings.out else own_samples(file, "drawn")
    check_truncation(module, settings.truncation)
    with stored_content(file):
        request = requested(module, said, settings.count, settings.seed)
    warn_of_strange_words(module, request, "ganlab.sample")
    facts = {"checkpoint": file_hash(file), **changed(settings)}
    how = Drawing(settings.format, settings.batch, settings.truncation, facts)
    with stored_content(file):
        latent = latents(module, request.seeds) if plain else guided(module, request, settings)
        grid = draw_gallery(module, request, latent, folder, how)
    print(f"{len(request.seeds)} pictures in {folder}, {shown_on(grid)}")


def shown_on(sheet: Path) -> str:
    """Return where all pictures are shown, for the closing line."""
    return f"all of them on {sheet}" if sheet.name == "grid.png" else f"by 256 on {sheet} and those after it"


def changed(settings: SampleSettings) -> dict[str, Any]:
    """Return the settings that make the pictures different from those of their seeds, for the manifest."""
    found = {"truncation": settings.truncation, "method": settings.method}
    return {name: value for name, value in found.items() if value not in (1.0, "none")}


def guided(module: Any, request: Any, settings: SampleSettings) -> Any:
    """Return latents (N, latent_dim) that the discriminator chose."""
    from ganlab.sampling.choosing import GuidanceSettings, choose

    s = settings
    guidance = GuidanceSettings(s.method, s.calibration, s.held_out, s.candidates, s.percentile, s.steps, s.step_size)
    return choose(module, request.condition, request.seeds, guidance)


if __name__ == "__main__":
    main()
