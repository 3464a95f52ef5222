"""The command `python -m ganlab.walk`: the pictures on the way between seeds, captions or classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import ganlab.config.before_imports  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.config.ranges import Fraction, Range, Seed, Truncation
from ganlab.errors import UserError
from ganlab.files.run_folder import own_samples

if TYPE_CHECKING:
    from ganlab.core.generative import GenerativeModule
    from ganlab.latents.points import Point

Frames = Annotated[int, Range(least=2, most=100_000)]
Rate = Annotated[float, Range(least=1, most=50)]


@dataclass(frozen=True)
class WalkSettings:
    """The settings of the command line of walk."""

    checkpoint: str = cli.setting("", f"{cli.CHECKPOINT}; needed")
    seeds: list[Seed] = cli.setting([], "stops, along arcs: seeds=[0,5,9]; one seed for a walk between conditions")
    text: list[str] = cli.setting([], "captions as stops: text='[a red apple, a blue car]'; or one for all stops")
    label: list[str] = cli.setting([], "classes as stops, by number or name: label=[3,5]; or one for all stops")
    input: list[str] = cli.setting([], "input pictures as stops: input=[a.png,b.png]; or one for all stops")
    around: Seed | None = cli.setting(None, "instead: a closed walk around this seed")
    radius: Fraction = cli.setting(0.3, "around: of the circle, as a part of the whole sphere's")
    frames: Frames = cli.setting(30, "from one stop to the next, both included; around: of the whole circle")
    fps: Rate = cli.setting(15.0, "of a GIF or MP4: frames a second")
    truncation: Truncation = cli.setting(1.0, "1 for none; less is more typical and less varied (as for sample)")
    out: str | None = cli.setting(
        None,
        "x.gif, x.mp4 (needs the package imageio-ffmpeg), x.png (a strip) or a folder for PNGs [samples/walk.gif of "
        "the run]",
    )
    data: dict[str, str] = cli.setting({}, cli.DATA)
    allow: list[str] = cli.setting([], cli.ALLOW)


HELP = f"""\
The way between pictures of a trained model: python -m ganlab.walk checkpoint=RUN [setting=VALUE ...]

Settings
{cli.settings_table(WalkSettings)}

The first and the last frame in a folder are byte for byte what ganlab.sample count=1 draws for these seeds.

Examples
  python -m ganlab.walk checkpoint=runs/vanilla/0 seeds=[0,1,2,0]
  python -m ganlab.walk checkpoint=runs/cgan_text2img/0 text="[a red apple, a green apple]" seeds=7 out=apple.gif
  python -m ganlab.walk checkpoint=runs/cgan_class/0 label=[0,1] out=frames
  python -m ganlab.walk checkpoint=runs/vanilla/0 around=3 radius=0.2 frames=60 out=loop.mp4"""


def main() -> None:
    """Run the command line. Help and mistakes in the words are answered before torch is loaded."""
    cli.run(HELP, lambda words: walk(checked(cli.read_settings(WalkSettings, words))))


def checked(settings: WalkSettings) -> WalkSettings:
    """Return the settings. Raise `UserError` if they cannot be right."""
    cli.needs_checkpoint(settings.checkpoint)
    if settings.around is not None and settings.seeds:
        raise UserError("`around` is the only seed of its walk: leave `seeds` out")
    return settings


def walk(settings: WalkSettings) -> None:
    """Load the checkpoint, draw the frames, and write them."""
    from ganlab.core.checkpoints import stored_content
    from ganlab.core.portable import open_run
    from ganlab.data.progress import progress
    from ganlab.latents.frames import check_out, write_frames
    from ganlab.latents.points import check_pictures, pictures
    from ganlab.sampling.drawing import check_truncation

    named = any((settings.text, settings.label, settings.input))
    module, file = open_run(settings.checkpoint, settings.allow, settings.data, needs_data=not named)
    out = Path(settings.out) if settings.out else own_samples(file, "walk.gif")
    check_pictures(module)
    check_out(out)
    check_truncation(module, settings.truncation)
    with stored_content(file):
        path = path_of(module, settings)
        frames = progress(pictures(module, path, settings.truncation), len(path), "drawing frame")
        write_frames(out, frames, settings.fps)
    print(f"{len(path)} frames in {out}")


def path_of(module: GenerativeModule, settings: WalkSettings) -> list[Point]:
    """Return the points of the walk that the settings describe."""
    from ganlab.latents import walks
    from ganlab.sampling.gallery import requested, warn_of_strange_words

    request = requested(module, {"text": settings.text, "label": settings.label, "input": settings.input}, 1, 0)
    warn_of_strange_words(module, request, "ganlab.walk")
    condition = request.condition
    named = any((settings.text, settings.label, settings.input))
    if condition is not None and not named:
        condition = condition[:1]  # of the prompts: it is the seeds that are walked between
    if settings.around is not None:
        return walks.around(module, settings.around, condition, settings.frames, settings.radius)
    stops = 1 if condition is None else len(condition)
    seeds = settings.seeds or ([0] if stops > 1 else [0, 1, 2, 3])
    return walks.between(module, seeds, condition, settings.frames)


if __name__ == "__main__":
    main()
