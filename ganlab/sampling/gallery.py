"""Draw requested pictures: conditions and seeds, single files and one sheet."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from ganlab.config.preflight import memory
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import DataSpec
from ganlab.data.batch import Condition, take
from ganlab.data.decode import Form, decode
from ganlab.data.pictures import Pictures, are_images
from ganlab.data.progress import progress
from ganlab.data.rows import many_rows
from ganlab.data.vocabulary import tokenize
from ganlab.errors import UserError, nearest, suggestion
from ganlab.files.durable import atomic_write
from ganlab.loggers.sheet import comparison, grid, png, scatter
from ganlab.metrics.features import as_colour
from ganlab.sampling.drawing import BATCH, draw

COLUMNS = 8
WORDS = {"text": "text", "class": "label", "image": "input"}
"""The setting that gives the condition, by its kind."""


@dataclass(frozen=True)
class Request:
    """Requested pictures, one a row: the condition, in words and as the data have it, and the seed.

    `truth`: the real pictures (N, *shape) if they are known.
    """

    titles: list[str]
    condition: Condition
    seeds: list[int]
    truth: Tensor | None = None

    @classmethod
    def of(cls, spec: DataSpec, said: Mapping[str, Sequence[str]], count: int, seed: int) -> Request:
        """Return `count` pictures of each caption, class or input picture, with seeds `seed`, `seed + 1`, ...

        `said`: the values of `text`, `label` and `input`. If all are empty, the data's own prompts, or all classes, are
        used. Raise `UserError` for a setting that this model does not take.
        """
        for word, values in said.items():
            if values and WORDS.get(spec.kind) != word:
                raise UserError(f"`{word}` is not for this model, whose condition is {spec.kind!r}{_instead(spec)}")
        asked = list(said.get(WORDS.get(spec.kind, ""), [])) or list(spec.prompts)
        seeds = [seed + i for i in range(count)]
        if spec.kind == "none":
            return cls([""] * count, None, seeds)
        if not asked:
            raise UserError(f"`{WORDS[spec.kind]}` is needed{_instead(spec)}")
        titles = [one for one in asked for _ in seeds]
        return cls(titles, _condition(spec, titles), seeds * len(asked))

    @classmethod
    def of_pairs(cls, pictures: Pictures, count: int, seed: int) -> Request:
        """Return `count` different inputs of a set of pairs with the truth. Start again if the set has fewer."""
        rows = many_rows(len(pictures), count, 0)
        names = pictures.keys or range(len(pictures))
        titles = [str(names[row]) for row in rows]
        condition = take(pictures.condition, torch.from_numpy(rows))
        return cls(titles, condition, [seed + i for i in range(count)], pictures.get(rows))


def strange_words(module: GenerativeModule, titles: Sequence[str]) -> str:
    """Return a warning that names the words outside the model's vocabulary and the nearest words in it; or ""."""
    reads_words = str((module.recipe.get("condition") or {}).get("_target_", "")).endswith(".WordEncoder")
    if module.spec.kind != "text" or not reads_words:
        return ""
    said = dict.fromkeys(word for title in titles for word in tokenize(title))
    strange = {word: nearest(word, module.spec.vocabulary) for word in said if word not in module.spec.vocabulary}
    named = [f"{word} (did you mean {right}?)" if right else word for word, right in strange.items()]
    return f"`text` has words that this model never read: {', '.join(named)}" if named else ""


def _instead(spec: DataSpec) -> str:
    return {"text": ': say text="..."', "class": ": say label=0", "image": ": say input=PICTURE"}.get(
        spec.kind, ": leave it out"
    )


def _condition(spec: DataSpec, titles: list[str]) -> Condition:
    if spec.kind == "class":
        return torch.tensor([class_number(spec, title) for title in titles])
    if spec.kind == "image":
        form = Form(spec.shape[1:], channels=spec.shape[0])
        return torch.stack([_input(title, form) for title in titles])
    return titles


def _input(title: str, form: Form) -> Tensor:
    """Return a picture file in the data's form: uint8 (C, size, size). Raise `UserError` if it cannot be opened."""
    try:
        return torch.tensor(decode(Path(title).expanduser(), form))
    except Exception as error:  # a broken file makes Pillow's plug-ins raise nearly anything
        raise UserError(f"`input` {title} is no picture that can be opened: {error}") from error


def class_number(spec: DataSpec, label: str) -> int:
    """Return a class by its number or its name. Raise `UserError` that suggests the nearest one."""
    if label in spec.classes:
        return spec.classes.index(label)
    if label.isdigit() and int(label) < len(spec.classes):
        return int(label)
    names = ", ".join(spec.classes[:10])
    raise UserError(
        f"`label` {label!r} is no class: {suggestion(label, list(spec.classes))} (0..{len(spec.classes) - 1}: {names})"
    )


def draw_gallery(module: GenerativeModule, request: Request, latent: Tensor, folder: Path) -> Path:
    """Draw the requested pictures from latents (N, latent_dim) into `folder`: one PNG each, and all on `grid.png`.

    Return the grid's path.
    """
    _check_room(module.spec, len(latent))
    batches = draw(module, request.condition, latent)
    images = torch.cat(list(progress(batches, -(-len(latent) // BATCH), "drawing batch")))
    if images.dim() != 4:
        return atomic_write(folder / "grid.png", png(scatter(images[:0], images)))
    for image, title, seed in zip(images, request.titles, request.seeds, strict=True):
        atomic_write(folder / f"{slug(title)}{seed:05d}.png", png(_native(image)))
    return atomic_write(folder / "grid.png", png(_sheet(request, images)))


def _check_room(spec: DataSpec, count: int) -> None:
    """Raise `UserError` unless the pictures and their sheet fit into memory."""
    needed, have = 4 * count * math.prod(spec.shape), memory()
    if needed > have:
        raise UserError(
            f"`count`: {count:,} pictures need {needed / 2**30:,.1f} GiB, and this machine has {have / 2**30:,.1f}: "
            "draw them in several commands, with seeds of their own"
        )


def _sheet(request: Request, images: Tensor) -> Image.Image:
    """Return pictures (N, C, H, W) uint8 with their captions, beside their inputs and the truth if there are any."""
    if are_images(request.condition):
        truth = {} if request.truth is None else {"truth": request.truth}
        return comparison({"input": request.condition, "generated": images, **truth})
    return grid(images, request.titles if any(request.titles) else None, COLUMNS)


def _native(image: Tensor) -> Image.Image:
    """Return uint8 (C, H, W) as a picture of exactly that size."""
    levels = as_colour(image[None])[0]
    return Image.fromarray(levels.permute(1, 2, 0).contiguous().numpy())


def slug(title: str) -> str:
    """Return a caption as the start of a file's name.

    >>> slug("A red apple, sliced!")
    'a-red-apple-sliced-'
    """
    words = re.findall(r"\w+", title.lower())
    return "-".join(words)[:60] + "-" if words else ""
