"""The command `python -m ganlab.evaluate`: measure a checkpoint's pictures, or a folder's against another."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import ganlab.config.before_imports  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.config.ranges import Range, Seed
from ganlab.errors import UserError, suggestion
from ganlab.files.run_folder import find_checkpoint
from ganlab.metrics import registry
from ganlab.metrics.names import EXTRACTORS, PRECISIONS, RESIZERS, is_file

if TYPE_CHECKING:
    from ganlab.evaluation import evaluate as evaluation


Sample = Annotated[int, Range(least=2, most=10_000_000)]


@dataclass(frozen=True)
class EvaluateSettings:
    """The settings of the command line of evaluate."""

    checkpoint: str | None = cli.setting(None, f"{cli.CHECKPOINT}, measured on its data")
    generated: str | None = cli.setting(None, "instead: a folder of generated pictures, nested, of any size and format")
    reference: str | None = cli.setting(
        None, "with generated: a folder of real pictures; or, with either, statistics: an .npz of mu and sigma"
    )
    metrics: list[str] = cli.setting(
        [],
        "names from the list below, or classes of yours: my.module.Metric, with allow=[my] [the usual ones that fit]",
    )
    split: str = cli.setting("reference", "the checkpoint's data: reference (held out) or train")
    extractor: str = cli.setting(
        "auto",
        "auto (inception if its weights can be had, else imagenet), inception, imagenet, small, clip-vit-b-32, "
        "dinov2-vit-s-14 and other sizes; or a TorchScript file.pt of yours: it is a program and will be run",
    )
    resizer: str = cli.setting("auto", "before the extractor: tf1, antialias, pil-bicubic, or auto (its usual one)")
    side: Annotated[int, Range(least=8, most=4_096)] = cli.setting(
        299, "the side that a TorchScript file's pictures are resized to, if a resizer is named"
    )
    weights: str | None = cli.setting(None, "a file with the extractor's weights [torch's hub cache, or a download]")
    precision: str = cli.setting("float32", "of inception: float32, or bfloat16 (faster; the protocol records it)")
    count: Sample | None = cli.setting(None, "generated pictures [1000 of a checkpoint, all of a folder]")
    reals: Sample = cli.setting(10_000, "the most real pictures")
    seed: Seed = cli.setting(0, "of the generated pictures and of all random choices")
    save_reference: str | None = cli.setting(None, "an .npz for the real pictures' statistics, for use as a reference")
    out: str | None = cli.setting(None, "JSON file for the numbers and their protocol")
    data: dict[str, str] = cli.setting({}, cli.DATA)
    compare: str | None = cli.setting(None, "instead: a.json,b.json, two such files with the same protocol")
    allow: list[str] = cli.setting(
        [], "packages whose classes the checkpoint, or `metrics`, may name too; hub: it may fetch what it names"
    )


HELP = f"""\
Measure pictures: python -m ganlab.evaluate checkpoint=RUN | generated=FOLDER reference=FOLDER [setting=VALUE ...]

Settings
{cli.settings_table(EvaluateSettings)}

Metrics
{cli.table(registry.lines())}

Examples
  python -m ganlab.evaluate checkpoint=runs/cgan_text2img/0 metrics=[fid,kid,precision,recall] out=numbers.json
  python -m ganlab.evaluate checkpoint=runs/vanilla/0 data.root=/other/photos
  python -m ganlab.evaluate generated=out/ reference=photos/ count=5000
  python -m ganlab.evaluate reference=photos/ save_reference=photos.npz
  python -m ganlab.evaluate generated=out/ reference=photos.npz resizer=antialias
  python -m ganlab.evaluate compare=before.json,after.json"""


def main() -> None:
    """Run the command line. Help and mistakes in the words are answered before torch is loaded."""
    cli.run(HELP, lambda words: evaluate(checked(cli.read_settings(EvaluateSettings, words))))


def checked(settings: EvaluateSettings) -> EvaluateSettings:
    """Return the settings. Raise `UserError` if they cannot be right."""
    if settings.compare is None:
        _check_subject(settings)
    elif len(_pair(settings.compare)) != 2:
        raise UserError(f"`compare` must be two files, a.json,b.json, got {settings.compare}")
    if settings.metrics:
        registry.checked_names(settings.metrics, settings.allow)
    _check_choice("split", settings.split, ("reference", "train"))
    if not is_file(settings.extractor):
        _check_choice("extractor", settings.extractor, EXTRACTORS)
    _check_choice("resizer", settings.resizer, RESIZERS)
    _check_choice("precision", settings.precision, PRECISIONS)
    _check_folders(settings)
    return settings


def _check_subject(settings: EvaluateSettings) -> None:
    if settings.generated and settings.checkpoint:
        raise UserError("`checkpoint` and `generated` are two things to measure: pass one of them")
    if settings.generated and not settings.reference:
        raise UserError("`reference` is needed: generated=FOLDER and reference=FOLDER go together")
    if settings.checkpoint or settings.generated:
        return
    if not settings.reference:
        raise UserError("`checkpoint` is needed: pass checkpoint=RUN, or instead generated=FOLDER reference=FOLDER")
    if not settings.save_reference:
        raise UserError("`generated` is needed: generated=FOLDER and reference=FOLDER go together")


def _check_folders(settings: EvaluateSettings) -> None:
    if settings.generated and not Path(settings.generated).is_dir():
        raise UserError(f"`generated` must be a folder of pictures, got {settings.generated}, which is none")
    if settings.reference and not Path(settings.reference).exists():
        raise UserError(f"`reference` must be a folder of pictures or a file, and {settings.reference} is neither")
    for name, path in (("generated", settings.generated), ("reference", settings.reference)):
        if path and Path(path).is_dir():
            _check_pictures(name, Path(path))


def _check_pictures(name: str, folder: Path) -> None:
    from ganlab.data.walk import listing  # reads numpy, which takes a quarter of a second

    if (count := len(listing(folder).pictures)) < 2:
        raise UserError(f"`{name}` must be a folder of at least 2 pictures, {folder} has {count or 'none'}")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"`{name}` {value!r} is unknown: {suggestion(value, list(choices), f'{name}=')}")


def _pair(text: str) -> list[str]:
    return [part.strip() for part in text.strip("[]").split(",") if part.strip()]


def _settings(s: EvaluateSettings) -> evaluation.Settings:
    from ganlab.evaluation import evaluate as evaluation

    weights, reference, saved = (Path(path) if path else None for path in (s.weights, s.reference, s.save_reference))
    return evaluation.Settings(
        metrics=s.metrics,
        split=s.split,
        count=s.count,
        reals=s.reals,
        seed=s.seed,
        extractor=s.extractor,
        resizer=s.resizer,
        precision=s.precision,
        weights=weights,
        side=s.side,
        reference=reference,
        save_reference=saved,
    )


def evaluate(settings: EvaluateSettings) -> None:
    """Measure, compare two files of numbers, or write a reference's statistics, according to the settings."""
    if settings.compare:
        compare(*map(Path, _pair(settings.compare)))
    elif settings.checkpoint or settings.generated:
        measure(settings)
    else:
        save(settings)


def compare(first: Path, second: Path) -> None:
    """Print both files' numbers and their differences."""
    from ganlab.evaluation import report

    report.show_comparison(report.compare(first, second), first, second)


def save(settings: EvaluateSettings) -> None:
    """Write the statistics of a folder's pictures."""
    from ganlab.evaluation import evaluate as evaluation

    how = _settings(settings)
    real, _ = evaluation.reference_side(Path(str(settings.reference)), how.network(), how)
    print(f"statistics of {real.count} pictures in {settings.save_reference}")


def measure(s: EvaluateSettings) -> None:
    """Load or generate the pictures, measure them, print and write the numbers."""
    from ganlab.evaluation import evaluate as evaluation
    from ganlab.evaluation import report

    how = _settings(s)
    if s.checkpoint:
        subject = str(file := find_checkpoint(s.checkpoint))
        results = evaluation.of_checkpoint(file, how, s.allow, s.data)
    else:
        subject = f"{s.generated} against {s.reference}"
        results = evaluation.of_folders(Path(str(s.generated)), Path(str(s.reference)), how, s.allow)
    report.show(results, subject)
    if s.out:
        report.write_report(Path(s.out), report.report(results, subject))
        print(f"numbers and protocol in {s.out}")


if __name__ == "__main__":
    main()
