"""The command `python -m ganlab.sample`: draw pictures from a checkpoint."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import ganlab.config.working_folder  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.config.ranges import Positive, PositiveInt, Range, SampleCount, Seed
from ganlab.errors import UserError, suggestion
from ganlab.files.run_folder import RunFolder, check_links, find_checkpoint

METHODS = ("none", "rejection", "mh", "langevin")
CALIBRATIONS = ("platt", "isotonic", "none")


@dataclass(frozen=True)
class SampleSettings:
    """The settings of the command line of sample."""

    checkpoint: str = cli.setting("", "a run's folder (its best, else its last) or a .ckpt; needed")
    text: list[str] = cli.setting([], "a caption, or several: text='a red apple', text='[a red apple, a blue car]'")
    label: list[str] = cli.setting([], "a class by number or name, or several: label=3, label=[3,5]")
    input: list[str] = cli.setting([], "a picture to be turned into another, or several [held-out ones of its data]")
    count: SampleCount = cli.setting(16, "pictures of each caption or class; number of held-out inputs")
    seed: Seed = cli.setting(0, "picture i depends on seed and i alone, not on the batch")
    out: str | None = cli.setting(None, "folder for single PNGs and one grid [the run's samples/drawn]")
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
    allow: list[str] = cli.setting([], "packages whose classes it may name too; hub: it may fetch what it names")


HELP = f"""\
Pictures from a trained model: python -m ganlab.sample checkpoint=RUN [setting=VALUE ...]

Settings
{cli.settings_table(SampleSettings)}

Examples
  python -m ganlab.sample checkpoint=runs/cgan_text2img/0 text="a red apple" count=16
  python -m ganlab.sample checkpoint=runs/cgan_text2img/0 text="[a red apple, 'a dog, sitting']" seed=7 out=pictures
  python -m ganlab.sample checkpoint=runs/vanilla/0/checkpoints/last.ckpt count=64
  python -m ganlab.sample checkpoint=runs/vanilla/0 count=64 method=mh steps=200"""


def main() -> None:
    """Run the command line. Help and mistakes in the words are answered before torch is loaded."""
    words = sys.argv[1:]
    with cli.errors_in_one_line():
        print(HELP) if cli.asks_for_help(words) else sample(checked(cli.read_settings(SampleSettings, words)))


def checked(settings: SampleSettings) -> SampleSettings:
    """Return the settings. Raise `UserError` if they cannot be right."""
    if not settings.checkpoint:
        raise UserError("`checkpoint` is needed: pass checkpoint=runs/<recipe>/<version> or a .ckpt file")
    _check_method(settings)
    return settings


def _check_method(settings: SampleSettings) -> None:
    for name, known in {"method": METHODS, "calibration": CALIBRATIONS}.items():
        word = getattr(settings, name)
        if word not in known:
            raise UserError(f"`{name}` {word!r} is unknown: {suggestion(word, known, f'{name}=')}")
    if (settings.method, settings.calibration) == ("langevin", "isotonic"):
        raise UserError("`calibration=isotonic` is a staircase without slopes for method=langevin: use platt or none")


def sample(settings: SampleSettings) -> None:
    """Load the checkpoint, draw the pictures, and write them as single PNGs and one grid."""
    from ganlab.core.assembly import make_data
    from ganlab.core.checkpoints import load_module, stored_content
    from ganlab.sampling.drawing import latents
    from ganlab.sampling.gallery import Request, draw_gallery, strange_words

    file = find_checkpoint(settings.checkpoint)
    if not settings.out:
        check_links(settings.checkpoint)
    said = {"text": settings.text, "label": settings.label, "input": settings.input}
    plain = settings.method == "none"
    module = load_module(file, settings.allow, data=not (plain and any(said.values())))
    if module.spec.kind == "image" and not any(said.values()):
        with stored_content(file):
            pairs = make_data(module.recipe).reference
        request = Request.of_pairs(pairs, settings.count, settings.seed)
    else:
        request = Request.of(module.spec, said, settings.count, settings.seed)
    if warning := strange_words(module, request.titles):
        print(f"ganlab.sample: {warning}", file=sys.stderr)
    folder = Path(settings.out) if settings.out else RunFolder.of(settings.checkpoint).samples / "drawn"
    with stored_content(file):
        latent = latents(module, request.seeds) if plain else guided(module, request, settings)
        grid = draw_gallery(module, request, latent, folder)
    print(f"{len(request.seeds)} pictures in {folder}, all of them on {grid}")


def guided(module: Any, request: Any, settings: SampleSettings) -> Any:
    """Return latents (N, latent_dim) that the discriminator chose."""
    from ganlab.sampling.choosing import GuidanceSettings, choose

    s = settings
    guidance = GuidanceSettings(s.method, s.calibration, s.held_out, s.candidates, s.percentile, s.steps, s.step_size)
    return choose(module, request.condition, request.seeds, guidance)


if __name__ == "__main__":
    main()
