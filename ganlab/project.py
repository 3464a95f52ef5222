"""The command `python -m ganlab.project`: the latent whose picture is nearest to a given picture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import ganlab.config.before_imports  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.config.ranges import NonNegative, NonNegativeInt, Positive, Range, Seed
from ganlab.errors import UserError
from ganlab.files.run_folder import own_samples

if TYPE_CHECKING:
    from ganlab.latents.projection import State

SHOWN = 8  # pictures of the approach, beside the goal
Tries = Annotated[int, Range(least=1, most=1_000_000)]
Starts = Annotated[int, Range(least=1, most=256)]


@dataclass(frozen=True)
class ProjectSettings:
    """The settings of the command line of project."""

    checkpoint: str = cli.setting("", f"{cli.CHECKPOINT}; needed")
    image: str = cli.setting("", "the picture to be found; its middle square, at the model's size; needed")
    text: list[str] = cli.setting([], "its caption; of several the best one is taken [the data's prompts]")
    label: list[str] = cli.setting([], "its class, by number or name; of several the best one is taken [all]")
    tries: Tries = cli.setting(200, "random latents that are compared first")
    starts: Starts = cli.setting(6, "the best of them, from which descent starts; a third goes on after each third")
    steps: NonNegativeInt = cli.setting(300, "of descent")
    rate: Positive = cli.setting(0.1, "of descent at its start, in deviations of the latent a step")
    perceptual: NonNegative = cli.setting(1.0, "weight of the perceptual distance; that of pixels is 1")
    seed: Seed = cli.setting(0, "try i has the latent of seed + i")
    out: str | None = cli.setting(None, "folder for the pictures, the latent and the numbers [samples/projected]")
    allow: list[str] = cli.setting([], cli.ALLOW)


HELP = f"""\
Find a picture in a trained model: python -m ganlab.project checkpoint=RUN image=FILE [setting=VALUE ...]

Settings
{cli.settings_table(ProjectSettings)}

It writes goal.png, projected.png, approach.png (the goal, then the way to it), latent.safetensors (also for
ganlab.edit latent=FILE) and distances.json.

Examples
  python -m ganlab.project checkpoint=runs/vanilla/0 image=my.png
  python -m ganlab.project checkpoint=runs/cgan_text2img/0 image=my.png text="a red apple" steps=500 out=found"""


def main() -> None:
    """Run the command line. Help and mistakes in the words are answered before torch is loaded."""
    cli.run(HELP, lambda words: project(checked(cli.read_settings(ProjectSettings, words))))


def checked(settings: ProjectSettings) -> ProjectSettings:
    """Return the settings. Raise `UserError` if they cannot be right."""
    cli.needs_checkpoint(settings.checkpoint)
    if not settings.image:
        raise UserError("`image` is needed: pass image=my.png, the picture to be found")
    return settings


def project(settings: ProjectSettings) -> None:
    """Load the checkpoint, search, and write what was found."""
    from ganlab.core.checkpoints import stored_content
    from ganlab.core.portable import open_run
    from ganlab.data.progress import progress
    from ganlab.latents.points import check_code
    from ganlab.latents.projection import Search, written
    from ganlab.latents.projection import project as search_for
    from ganlab.sampling.gallery import opened_picture, requested, warn_of_strange_words
    from ganlab.sampling.writing import file_hash

    module, file = open_run(settings.checkpoint, settings.allow, needs_data=False)
    check_code(module)
    goal = opened_picture("image", settings.image, module.spec.shape)
    folder = Path(settings.out) if settings.out else own_samples(file, "projected")
    request = requested(module, {"text": settings.text, "label": settings.label}, 1, 0)
    warn_of_strange_words(module, request, "ganlab.project")
    s = settings
    search = Search(s.tries, s.starts, s.steps, s.rate, s.seed, s.perceptual)
    with stored_content(file):
        found = search_for(module, goal, request.condition, search)
        states = list(progress(found, search.steps + 1, "approaching, steps:"))
    facts = {"image": settings.image, "checkpoint": file_hash(file)}
    written(folder, goal, chosen(states), said_of(module, states[-1]) | facts)
    last = states[-1]
    print(f"distance {last.distance:.4f} (pixels {last.pixels:.4f}, perceptual {last.perceptual:.4f}) in {folder}")


def chosen(states: list[State]) -> list[State]:
    """Return `SHOWN` states of the approach, evenly spaced, the last one included."""
    count = min(SHOWN, len(states))
    return [states[round(number * (len(states) - 1) / max(1, count - 1))] for number in range(count)]


def said_of(module: Any, state: State) -> dict[str, Any]:
    """Return the condition of a state in words, for the file of distances."""
    condition = state.point.condition
    if condition is None:
        return {}
    (one,) = condition.tolist() if hasattr(condition, "tolist") else condition
    return {"label": module.spec.classes[one]} if module.spec.kind == "class" else {"text": one}


if __name__ == "__main__":
    main()
