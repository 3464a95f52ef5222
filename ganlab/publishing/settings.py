"""The settings that `ganlab.export` and `ganlab.push` share. Nothing heavy is imported."""

from __future__ import annotations

from dataclasses import dataclass

from ganlab.config import cli
from ganlab.errors import UserError, suggestion

FORMS = ("safetensors", "onnx", "torch_export")
DTYPES = ("float32", "float16")


@dataclass(frozen=True)
class PublishSettings:
    """The parts of a checkpoint that are published, and the text of its card."""

    checkpoint: str = cli.setting("", f"{cli.CHECKPOINT}; needed")
    discriminator: bool = cli.setting(False, "publish the discriminator too, for starts and for guided sampling")
    dtype: str = cli.setting("float32", "of the weights in model.safetensors: float32, or float16 (half the size)")
    text: list[str] = cli.setting([], "captions whose embeddings are stored beside a program of the generator")
    numbers: str | None = cli.setting(None, "a file of ganlab.evaluate out=FILE, for the card [what it had]")
    command: str | None = cli.setting(None, "the command that trained it, for the card [what its recipe says]")
    machine: str | None = cli.setting(None, "the machine that trained it, for the card")
    about: str | None = cli.setting(None, "what it draws, in one line, for the card [from its recipe]")
    faults: str | None = cli.setting(None, "its known faults, for the card")
    licence: str | None = cli.setting(
        None, "of the weights, by its name on the Hub, such as cc-by-4.0 [that of the data]"
    )
    address: str | None = cli.setting(None, "how the card's commands name it, such as zoo:mnist [its folder]")
    allow: list[str] = cli.setting([], cli.ALLOW)

    def check(self) -> None:
        """Raise `UserError` if the settings cannot be right."""
        cli.needs_checkpoint(self.checkpoint)
        check_choice("dtype", self.dtype, DTYPES)


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `UserError` that suggests the nearest choice if a value is none of them."""
    if value not in choices:
        raise UserError(f"`{name}` {value!r} is unknown: {suggestion(value, choices, f'{name}=')}")
