"""Write the pictures of a walk: a GIF, an MP4, a strip or a folder of PNGs."""

from __future__ import annotations

import importlib.util
import io
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from ganlab.errors import UserError
from ganlab.files.durable import atomic_write
from ganlab.loggers.sheet import picture, png
from ganlab.sampling.writing import Writer, write_pictures

VIDEO = "imageio_ffmpeg"
SUFFIXES = (".gif", ".mp4", ".png")


def check_out(path: Path) -> None:
    """Raise `UserError` unless frames can be written to `path`: a folder, or a file with one of `SUFFIXES`."""
    suffix = path.suffix.lower()
    if suffix and suffix not in SUFFIXES and not path.is_dir():
        raise UserError(f"`out` must end in .gif, .mp4 or .png (a strip), or be a folder for PNGs, got {path}")
    if suffix == ".mp4" and importlib.util.find_spec(VIDEO) is None:
        raise UserError(
            f'`out` {path} needs the package imageio-ffmpeg, which is not installed: pip install "ganlab[video]", or '
            f"pass out={path.with_suffix('.gif')}"
        )


def write_frames(path: Path, frames: Iterable[Tensor], rate: float = 15.0) -> Path:
    """Write frames uint8 (C, H, W): a .gif, an .mp4, a strip as .png, or a folder of PNGs. Return the path.

    rate: frames a second. PNGs of a folder have the pictures' own size. Elsewhere small pictures are enlarged by a
    whole factor.
    """
    check_out(path)
    if path.suffix.lower() not in SUFFIXES or path.is_dir():
        return _folder(path, frames)
    large = [picture(frame).convert("RGB") for frame in frames]
    if path.suffix.lower() == ".png":
        return atomic_write(path, png(strip(large)))
    return atomic_write(path, _gif(large, rate) if path.suffix.lower() == ".gif" else _mp4(large, rate))


def _folder(path: Path, frames: Iterable[Tensor]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    with Writer() as writer:
        for number, frame in enumerate(frames):
            writer.submit(write_pictures, [path / f"{number:05d}.png"], frame[None])
    return path


def strip(pictures: Sequence[Image.Image]) -> Image.Image:
    """Return pictures of one size side by side."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (width * len(pictures), height))
    for number, one in enumerate(pictures):
        sheet.paste(one, (number * width, 0))
    return sheet


def _gif(pictures: Sequence[Image.Image], rate: float) -> bytes:
    """Return an endless animation. Each picture gets the 256 colours that suit it best."""
    first, *others = [one.quantize(256, dither=Image.Dither.NONE) for one in pictures]
    buffer = io.BytesIO()
    pause = max(20, round(1000 / rate))  # milliseconds: many viewers slow down what is faster
    first.save(buffer, format="GIF", save_all=True, append_images=others, duration=pause, loop=0)
    return buffer.getvalue()


def _mp4(pictures: Sequence[Image.Image], rate: float) -> bytes:
    """Return an H.264 video that browsers play. Odd sides lose a pixel, because the format needs even ones."""
    from imageio_ffmpeg import write_frames as encoder

    width, height = (side - side % 2 for side in pictures[0].size)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "walk.mp4"
        video = encoder(str(file), (width, height), fps=rate, macro_block_size=2, quality=8)
        video.send(None)
        for one in pictures:
            video.send(np.ascontiguousarray(np.asarray(one.crop((0, 0, width, height)))))
        video.close()
        return file.read_bytes()
