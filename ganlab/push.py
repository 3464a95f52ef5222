"""The command `python -m ganlab.push`: publish a trained model on the Hugging Face Hub, or into a folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import ganlab.config.before_imports  # noqa: F401  # first: it changes where packages are found
from ganlab.config import cli
from ganlab.errors import UserError
from ganlab.publishing.hub import target
from ganlab.publishing.settings import PublishSettings


@dataclass(frozen=True)
class PushSettings(PublishSettings):
    """The settings of the command line of push."""

    to: str = cli.setting("", "USER/NAME on the Hub, or a folder, which starts with ./ or /; needed")
    private: bool = cli.setting(False, "make a new repository that only you can see")


HELP = f"""\
Publish a trained model: python -m ganlab.push checkpoint=RUN to=USER/NAME [setting=VALUE ...]

The averaged generator's weights, what builds it, a model card and samples. Everybody then draws with
checkpoint=hf:USER/NAME. Log in first: hf auth login.

Settings
{cli.settings_table(PushSettings)}

Examples
  python -m ganlab.push checkpoint=runs/cgan_class/0 to=someone/digits private=true
  python -m ganlab.push checkpoint=runs/cgan_class/0 to=someone/digits numbers=numbers.json discriminator=true
  python -m ganlab.push checkpoint=runs/cgan_class/0 to=./digits dtype=float16"""


def main() -> None:
    """Run the command line. Help and mistakes in the words are answered before torch is loaded."""
    cli.run(HELP, lambda words: push(checked(cli.read_settings(PushSettings, words))))


def checked(settings: PushSettings) -> PushSettings:
    """Return the settings. Raise `UserError` if they cannot be right."""
    settings.check()
    if not settings.to:
        raise UserError("`to` is needed: pass to=USER/NAME, or a folder such as to=./published")
    target(settings.to)
    return settings


def push(settings: PushSettings) -> None:
    """Write the published model to a folder, and upload it if the target is on the Hub."""
    from dataclasses import replace
    from tempfile import TemporaryDirectory

    from ganlab.publishing.hub import upload
    from ganlab.publishing.publish import publish

    repository = target(settings.to)
    if repository is None:
        publish(settings, ["safetensors"], Path(settings.to).expanduser())
        print(f"published in {settings.to}: python -m ganlab.sample checkpoint={settings.to}")
        return
    with TemporaryDirectory() as folder:
        named = replace(settings, address=settings.address or f"hf:{repository}")
        publish(named, ["safetensors"], Path(folder))
        page = upload(Path(folder), repository, settings.private)
    print(f"published at {page}: python -m ganlab.sample checkpoint=hf:{repository}")


if __name__ == "__main__":
    main()
