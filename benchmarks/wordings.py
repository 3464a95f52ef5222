"""Measure whether a model draws the right colour and shape for captions in other words than those of training.

    python benchmarks/wordings.py checkpoint=RUN [count=16] [seed=0] [out=FILE.json] [figure=FILE.png]

The captions name hearts, circles and squares in nine colours, those that the model was trained on. They use the words
of training, then five other wordings. `count` pictures of each are drawn with the seeds `seed`, `seed + 1`, ... They
are judged from their pixels by `ganlab.data.coloured`: colour and shape must both be right. Of the five wordings,
training has the first one only (`ganlab/data/wordings.py`). A test checks that.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from contest import settings
from torch import Tensor

from ganlab.core.checkpoints import load_module
from ganlab.core.generative import GenerativeModule
from ganlab.data.coloured import COLOURS, SHAPES, look, unicode_name
from ganlab.data.emoji import EmojiData
from ganlab.files.run_folder import find_checkpoint
from ganlab.loggers.sheet import grid, png
from ganlab.sampling.drawing import draw, latents

WORDINGS = {
    "a red heart": "{a} {colour} {shape}",
    "heart in red": "{shape} in {colour}",
    "a drawing of a red heart": "a drawing of {a} {colour} {shape}",
    "a heart that is red": "a {shape} that is {colour}",
    "draw me a red heart, please": "draw me {a} {colour} {shape}, please",
}
"""Five other wordings, fixed before any model was measured. The key is the wording of a red heart."""

Thing = tuple[str, str]


def main() -> None:
    said = {"count": 16, "seed": 0, "out": "", "figure": ""} | settings()
    module = load_module(find_checkpoint(said["checkpoint"]))
    things = trained_things()
    print(f"{len(things)} colours and shapes, {said['count']} pictures of each: share with both right")
    found, pictures = {}, {}
    for wording, captions in asked(things).items():
        pictures[wording] = drawn(module, captions, said["count"], said["seed"])
        found[wording] = shares(pictures[wording], things)
        print(f"{found[wording]['both']:7.1%}  (colour {found[wording]['colour']:.1%}, shape ", end="")
        print(f"{found[wording]['shape']:.1%})  {wording}")
    others = [found[wording]["both"] for wording in WORDINGS]
    print(f"{min(others):7.1%}  the worst of five; their mean {sum(others) / len(others):.1%}")
    if said["out"]:
        Path(said["out"]).write_text(json.dumps(found, indent=1))
    if said["figure"]:
        first = [images[:: said["count"]] for images in pictures.values()]
        titles = [caption for captions in asked(things).values() for caption in captions]
        Path(said["figure"]).write_bytes(png(grid(torch.cat(first), titles, len(things))))


def trained_things() -> list[Thing]:
    """Return the colours with shapes that are in the training split of `data=emoji`."""
    data = EmojiData()
    data.setup()
    known = set(data.train.condition or [])  # type: ignore[arg-type]
    return [(colour, shape) for shape in SHAPES for colour in COLOURS if unicode_name(colour, shape) in known]


def asked(things: list[Thing]) -> dict[str, list[str]]:
    """Return the captions of all things, by their wording."""
    trained = {"red heart, as in training": [unicode_name(*thing) for thing in things]}
    others = {name: [worded(template, *thing) for thing in things] for name, template in WORDINGS.items()}
    return trained | others


def worded(template: str, colour: str, shape: str) -> str:
    return template.format(a="an" if colour == "orange" else "a", colour=colour, shape=shape)


def drawn(module: GenerativeModule, captions: list[str], count: int, seed: int) -> Tensor:
    """Return `count` pictures of each caption: uint8 (N, 3, S, S)."""
    latent = latents(module, range(seed, seed + count)).repeat(len(captions), 1)
    told = [caption for caption in captions for _ in range(count)]
    return torch.cat(list(draw(module, told, latent)))


def shares(images: Tensor, things: list[Thing]) -> dict[str, Any]:
    """Return the shares of pictures with the right colour, the right shape and both."""
    seen = look(images.numpy())
    count = len(images) // len(things)
    right = [
        (one.colour == colour, one.shape == shape)
        for (colour, shape), one in zip([thing for thing in things for _ in range(count)], seen, strict=True)
    ]
    colours, shapes = (sum(ones) / len(right) for ones in zip(*right, strict=True))
    return {"colour": colours, "shape": shapes, "both": sum(map(all, right)) / len(right)}


if __name__ == "__main__":
    main()
