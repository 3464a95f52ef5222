"""`python -m ganlab.evaluate`: how good a checkpoint's pictures are, or a folder's against another."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from ganlab import cli
from ganlab.errors import UserError
from ganlab.run import find_checkpoint


@dataclass(frozen=True)
class EvaluateSettings:
    """What can be said on the command line of evaluate."""

    checkpoint: str | None = cli.setting(
        None, "a run's folder (its best, else its last) or a .ckpt, measured on its data"
    )
    generated: str | None = cli.setting(None, "instead: a folder of generated pictures")
    reference: str | None = cli.setting(None, "with generated: a folder of real pictures")
    metrics: list[str] = cli.setting(
        [],
        "of fid, kid, is, precision, recall, density, coverage, r_precision, caption_accuracy, l1, psnr, modes "
        "[what fits]",
    )
    split: str = cli.setting("reference", "the checkpoint's data: reference (held out) or train")
    extractor: str = cli.setting("auto", "auto (inception where its weights can be had), inception or small")
    count: int = cli.setting(1000, "pictures of each kind")
    seed: int = cli.setting(0, "of the generated pictures")
    out: str | None = cli.setting(None, "JSON file for the numbers and the protocol they were measured under")
    allow: list[str] = cli.setting([], "packages beside ganlab and torch whose classes the checkpoint may name")


HELP = f"""\
Measure pictures: python -m ganlab.evaluate checkpoint=RUN | generated=FOLDER reference=FOLDER [setting=VALUE ...]

Settings
{cli.settings_table(EvaluateSettings)}

Examples
  python -m ganlab.evaluate checkpoint=runs/cgan_text2img/0 metrics=[fid,kid,precision,recall] out=numbers.json
  python -m ganlab.evaluate generated=out/ reference=photos/ count=5000"""


def main() -> None:
    """Help and every mistake in the words answer before torch is loaded."""
    words = sys.argv[1:]
    with cli.errors_in_one_line():
        print(HELP) if cli.asks_for_help(words) else evaluate(checked(cli.read_settings(EvaluateSettings, words)))


def checked(settings: EvaluateSettings) -> EvaluateSettings:
    """The settings, if they can be right. Raises `UserError`."""
    folders = (settings.generated, settings.reference)
    if bool(settings.checkpoint) == any(folders):
        raise UserError("`checkpoint` is needed: pass checkpoint=RUN, or instead generated=FOLDER reference=FOLDER")
    if any(folders) and not all(folders):
        missing = "reference" if settings.generated else "generated"
        raise UserError(f"`{missing}` is needed: generated=FOLDER and reference=FOLDER go together")
    if settings.split not in ("reference", "train"):
        raise UserError(f"`split` must be reference or train, got {settings.split!r}")
    if settings.extractor not in ("auto", "inception", "small"):
        raise UserError(f"`extractor` must be auto, inception or small, got {settings.extractor!r}")
    if settings.count < 2:
        raise UserError(f"`count` must be at least 2, got {settings.count}")
    return settings


def evaluate(settings: EvaluateSettings) -> None:
    """Loads or generates the pictures, measures them, prints and writes the numbers."""
    from ganlab import evaluation

    s = settings
    if s.checkpoint:
        subject = str(file := find_checkpoint(s.checkpoint))
        results = evaluation.of_checkpoint(file, s.metrics, s.split, s.count, s.seed, s.extractor, s.allow)
    else:
        subject = f"{s.generated} against {s.reference}"
        folders = Path(str(s.generated)), Path(str(s.reference))
        results = evaluation.of_folders(*folders, s.metrics, s.count, s.seed, s.extractor)
    evaluation.show(results, subject)
    if s.out:
        evaluation.write_report(Path(s.out), evaluation.report(results, subject))
        print(f"numbers and protocol in {s.out}")


if __name__ == "__main__":
    main()
