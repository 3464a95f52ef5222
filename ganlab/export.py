"""The command `python -m ganlab.export`: write a trained generator for use elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ganlab.config.before_imports  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.files.published import SAMPLES_FILE
from ganlab.files.run_folder import RunFolder
from ganlab.publishing.settings import FORMS, PublishSettings, check_choice


@dataclass(frozen=True)
class ExportSettings(PublishSettings):
    """The settings of the command line of export."""

    to: list[str] = cli.setting(
        ["safetensors"], "forms of the generator: safetensors, onnx, torch_export [safetensors]"
    )
    out: str | None = cli.setting(None, "the folder [the run's folder published]")


HELP = f"""\
A trained generator for use elsewhere: python -m ganlab.export checkpoint=RUN to=FORM [setting=VALUE ...]

The averaged generator alone. Its folder has config.json, a card (README.md) and samples.png beside it. ganlab reads a
folder with safetensors wherever it reads a run. ONNX needs pip install "ganlab[export]".

Settings
{cli.settings_table(ExportSettings)}

Examples
  python -m ganlab.export checkpoint=runs/cgan_class/0
  python -m ganlab.export checkpoint=runs/cgan_class/0 to=[safetensors,onnx] dtype=float16 out=digits
  python -m ganlab.export checkpoint=runs/cgan_text2img/0 to=onnx text="[a red apple, a blue car]" out=emoji
  python -m ganlab.export checkpoint=zoo:mnist to=torch_export out=digits"""


def main() -> None:
    """Run the command line. Help and mistakes in the words are answered before torch is loaded."""
    cli.run(HELP, lambda words: export(checked(cli.read_settings(ExportSettings, words))))


def checked(settings: ExportSettings) -> ExportSettings:
    """Return the settings. Raise `UserError` if they cannot be right."""
    settings.check()
    for form in settings.to:
        check_choice("to", form, FORMS)
    return settings


def export(settings: ExportSettings) -> None:
    """Write the folder, and print what each file is and how far its pictures are from the checkpoint's."""
    from ganlab.publishing.card import file_lines
    from ganlab.publishing.publish import publish

    folder = Path(settings.out) if settings.out else RunFolder.of(settings.checkpoint).path / "published"
    config = publish(settings, settings.to, folder)
    print(f"{config['about']}\nin {folder}, with its card and {SAMPLES_FILE}")
    for line in file_lines(config):
        print(f"  {line}")


if __name__ == "__main__":
    main()
