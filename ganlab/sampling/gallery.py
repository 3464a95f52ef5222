"""Draw requested pictures: conditions and seeds, single files, sheets and a manifest."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganlab.console import say
from ganlab.core.assembly import make_data
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
from ganlab.sampling.drawing import BATCH, draw
from ganlab.sampling.writing import Writer, write_manifest, write_pictures

COLUMNS = 8
PAGE = 256  # pictures on a sheet at most
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

    def part(self, rows: slice) -> Request:
        """Return some of the pictures."""
        truth = None if self.truth is None else self.truth[rows]
        return Request(self.titles[rows], take(self.condition, rows), self.seeds[rows], truth)


def requested(module: GenerativeModule, said: Mapping[str, Sequence[str]], count: int, seed: int) -> Request:
    """Return what a command asks of a model. One that turns pictures into others gets held-out ones by default."""
    if module.spec.kind == "image" and not any(said.values()):
        return Request.of_pairs(make_data(module.recipe).reference, count, seed)
    return Request.of(module.spec, said, count, seed)


def strange_words(module: GenerativeModule, titles: Sequence[str]) -> str:
    """Return a warning that names the words outside the model's vocabulary and the nearest words in it; or ""."""
    reads_words = str((module.recipe.get("condition") or {}).get("_target_", "")).endswith(".WordEncoder")
    if module.spec.kind != "text" or not reads_words:
        return ""
    said = dict.fromkeys(word for title in titles for word in tokenize(title))
    strange = {word: nearest(word, module.spec.vocabulary) for word in said if word not in module.spec.vocabulary}
    named = [f"{word} (did you mean {right}?)" if right else word for word, right in strange.items()]
    return f"`text` has words that this model never read: {', '.join(named)}" if named else ""


def warn_of_strange_words(module: GenerativeModule, request: Request, command: str) -> None:
    """Print a line if the captions have words that the model never read."""
    if warning := strange_words(module, request.titles):
        say(f"{command}: {warning}")


def _instead(spec: DataSpec) -> str:
    return {"text": ': say text="..."', "class": ": say label=0", "image": ": say input=PICTURE"}.get(
        spec.kind, ": leave it out"
    )


def _condition(spec: DataSpec, titles: list[str]) -> Condition:
    if spec.kind == "class":
        return torch.tensor([class_number(spec, title) for title in titles])
    if spec.kind == "image":
        return torch.stack([opened_picture("input", title, spec.shape) for title in titles])
    return titles


def opened_picture(setting: str, path: str, shape: Sequence[int]) -> Tensor:
    """Return a picture file in the data's form: uint8 (C, size, size). Raise `UserError` if it cannot be opened.

    setting: its name, for the error.
    """
    try:
        return torch.tensor(decode(Path(path).expanduser(), Form(shape[1:], channels=shape[0])))
    except Exception as error:  # a broken file makes Pillow's plug-ins raise nearly anything
        raise UserError(f"`{setting}` {path} is no picture that can be opened: {error}") from error


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


@dataclass(frozen=True)
class Drawing:
    """The settings by which requested pictures are drawn and written.

    form: the format of single pictures: png, jpg or webp. batch: pictures drawn at a time. truncation: 1 for none.
    facts: further columns of the manifest, the same for every picture.
    """

    form: str = "png"
    batch: int = BATCH
    truncation: float = 1.0
    facts: Mapping[str, Any] = field(default_factory=dict)


def draw_gallery(
    module: GenerativeModule, request: Request, latent: Tensor, folder: Path, how: Drawing | None = None
) -> Path:
    """Draw the requested pictures from latents (N, latent_dim) into `folder`. Return the path of the first sheet.

    Each picture is a file, `metadata.jsonl` lists them, and sheets of `PAGE` show them: `grid.png`, or `grid-000.png`
    and so on if there are several. Points are drawn on one `grid.png` alone.
    """
    how = how or Drawing()
    folder.mkdir(parents=True, exist_ok=True)
    batches = draw(module, request.condition, latent, how.batch, how.truncation)
    shown = progress(batches, -(-len(latent) // how.batch), "drawing batch")
    if len(module.spec.shape) != 3:
        images = torch.cat(list(shown))
        return atomic_write(folder / "grid.png", png(scatter(images[:0], images)))
    names = file_names(request, how.form)
    sheets = [folder / name for name in sheet_names(len(latent))]
    with Writer() as writer:
        written = _written(writer, [folder / name for name in names], shown)
        for number, images in enumerate(regrouped(written, PAGE)):
            rows = slice(number * PAGE, number * PAGE + len(images))
            writer.submit(_write_sheet, sheets[number], request.part(rows), images)
    write_manifest(folder, manifest(module.spec, request, names, how.facts))
    return sheets[0]


def _written(writer: Writer, paths: Sequence[Path], batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """Yield the batches. Their pictures are being written to `paths` meanwhile."""
    done = 0
    for images in batches:
        writer.submit(write_pictures, paths[done : done + len(images)], images)
        done += len(images)
        yield images


def regrouped(batches: Iterable[Tensor], size: int) -> Iterator[Tensor]:
    """Yield the rows of batches in parts of `size` rows. The last part may be smaller."""
    held: list[Tensor] = []
    for batch in batches:
        held.append(batch)
        while sum(map(len, held)) >= size:
            rows = torch.cat(held)
            yield rows[:size]
            held = [rows[size:]]
    if held and len(rows := torch.cat(held)):
        yield rows


def file_names(request: Request, form: str) -> list[str]:
    """Return a different name for each picture, from its condition and its seed."""
    times: Counter[str] = Counter()
    names = []
    for title, seed in zip(request.titles, request.seeds, strict=True):
        stem = f"{slug(title)}{seed:05d}"
        times[stem] += 1
        names.append(f"{stem}.{form}" if times[stem] == 1 else f"{stem}-{times[stem]}.{form}")
    return names


def sheet_names(count: int) -> list[str]:
    """Return the names of the sheets of `count` pictures.

    >>> sheet_names(256), sheet_names(257)
    (['grid.png'], ['grid-000.png', 'grid-001.png'])
    """
    pages = -(-count // PAGE)
    return ["grid.png"] if pages == 1 else [f"grid-{page:03d}.png" for page in range(pages)]


def manifest(spec: DataSpec, request: Request, names: Sequence[str], facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the rows of `metadata.jsonl`: file name, the condition in words, seed and `facts`.

    `data=folder` reads them back: `text` is a caption and `label` is a class's name.
    """
    said = request.titles
    if spec.kind == "class":
        said = [spec.classes[class_number(spec, title)] for title in said]
    column = WORDS.get(spec.kind)
    rows = zip(names, said, request.seeds, strict=True)
    return [
        {"file_name": name, **({column: word} if column else {}), "seed": seed, **facts} for name, word, seed in rows
    ]


def _write_sheet(path: Path, request: Request, images: Tensor) -> None:
    """Write pictures (N, C, H, W) uint8 with their captions, beside their inputs and the truth if there are any."""
    if are_images(request.condition):
        truth = {} if request.truth is None else {"truth": request.truth}
        sheet = comparison({"input": request.condition, "generated": images, **truth})
    else:
        sheet = grid(images, request.titles if any(request.titles) else None, COLUMNS)
    atomic_write(path, png(sheet))


def slug(title: str) -> str:
    """Return a caption as the start of a file's name.

    >>> slug("A red apple, sliced!")
    'a-red-apple-sliced-'
    """
    words = re.findall(r"\w+", title.lower())
    return "-".join(words)[:60] + "-" if words else ""
