"""Pictures of the averaged generator during training, for the same latents and conditions each time.

They go to the loggers and to `samples/<images seen>.png` in `trainer.default_root_dir`. Each file is written
atomically.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import NamedTuple

import pytorch_lightning as pl
import torch
from torch import Tensor

from ganlab.callbacks.measurement import EveryImages, Measurement, Values, positive
from ganlab.config.ranges import PositiveInt, SampleCount, Seed
from ganlab.core.generative import GenerativeModule
from ganlab.data.base import DataSpec, GanData
from ganlab.data.batch import Condition, take, to_uint8
from ganlab.data.pictures import Pictures
from ganlab.data.rows import many_rows, some_rows
from ganlab.files.durable import atomic_write
from ganlab.files.run_folder import RunFolder
from ganlab.loggers import show
from ganlab.loggers.sheet import Exhibit, comparison, grid, picture, png, scatter
from ganlab.sampling.drawing import on_device

POINTS = 2_000  # in a scatter plot


class Prompts(NamedTuple):
    """Conditions for the generator, and the captions to write under the pictures (None: no captions)."""

    condition: Condition
    captions: list[str] | None


def prompts(spec: DataSpec, pictures: Pictures, count: int, seed: int) -> Prompts:
    """Return the spec's prompts and then captions of `pictures`; or all classes in turn; or no prompts."""
    if spec.kind == "none":
        return Prompts(None, None)
    if spec.kind == "class":
        numbers = torch.arange(count) % max(1, len(spec.classes))
        return Prompts(numbers, [spec.classes[number] for number in numbers])
    rows = torch.from_numpy(many_rows(len(pictures), count, seed))
    captions = [*spec.prompts, *_captions(pictures, rows)][:count]
    return Prompts(captions, captions)


def _captions(pictures: Pictures, rows: Tensor) -> list[str]:
    condition = take(pictures.condition, rows)
    return [] if condition is None else [str(caption) for caption in condition]


class Scene(ABC):
    """The way to show one kind of data."""

    @abstractmethod
    def exhibit(self, module: GenerativeModule) -> Exhibit:
        """Return the sheet of the generator's current samples."""


class PictureScene(Scene):
    """A grid of pictures with captions."""

    def __init__(self, wanted: Prompts, count: int, columns: int, seed: int) -> None:
        self.wanted, self.count, self.columns, self.seed = wanted, count, columns, seed

    def exhibit(self, module: GenerativeModule) -> Exhibit:
        """Return the current sheet, from fixed latents."""
        latent = module.draw_latent(self.count, torch.Generator().manual_seed(self.seed))
        images = module.sample(latent, on_device(self.wanted.condition, module.device)).cpu()
        return Exhibit(
            grid(images, self.wanted.captions, self.columns), [picture(image) for image in images], self.wanted.captions
        )


class PairScene(Scene):
    """Input pictures, the generated pictures, and the real pictures, side by side."""

    def __init__(self, pictures: Pictures, count: int, columns: int, seed: int) -> None:
        rows = many_rows(len(pictures), count, seed)
        self.inputs, self.truth = take(pictures.condition, torch.from_numpy(rows)), pictures.get(rows)
        self.across, self.seed = max(1, columns // 3), seed

    def exhibit(self, module: GenerativeModule) -> Exhibit:
        """Return the current sheet, from fixed latents."""
        assert isinstance(self.inputs, Tensor)
        latent = module.draw_latent(len(self.inputs), torch.Generator().manual_seed(self.seed))
        images = to_uint8(module.sample(latent, on_device(self.inputs, module.device)).cpu())
        kinds = {"input": self.inputs, "generated": images, "truth": self.truth}
        return Exhibit(comparison(kinds, self.across), [picture(image) for image in images], None)


class PointScene(Scene):
    """Generated points over real ones."""

    def __init__(self, wanted: Prompts, real: Tensor, seed: int) -> None:
        self.wanted, self.real, self.seed = wanted, real, seed

    def exhibit(self, module: GenerativeModule) -> Exhibit:
        """Return the current sheet, from fixed latents."""
        latent = module.draw_latent(POINTS, torch.Generator().manual_seed(self.seed))
        points = module.sample(latent, on_device(self.wanted.condition, module.device)).cpu()
        return Exhibit(scatter(self.real, points), [], None)


def fitting_scene(data: GanData, spec: DataSpec, count: int, columns: int, seed: int) -> Scene:
    """Return the scene for a model of these data: pairs, pictures or points. `count` pictures in `columns`."""
    if spec.kind == "image":
        return PairScene(data.reference, count, columns, seed)
    if len(spec.shape) == 3:
        return PictureScene(prompts(spec, data.reference, count, seed), count, columns, seed)
    rows = some_rows(len(data.reference), POINTS, seed)
    return PointScene(prompts(spec, data.reference, POINTS, seed), data.reference.get(rows), seed)


class SampleGrid(Measurement):
    """Saves and logs a grid of samples at the start, every `every` images seen, and at the end.

    `count` pictures in `columns`, always for the same latents and conditions. If conditions are pictures, they are
    held-out ones, shown with the real pictures. It logs no numbers.
    """

    what = "samples"

    def __init__(
        self, every: PositiveInt = 25_000, count: SampleCount = 32, columns: PositiveInt = 8, seed: Seed = 0
    ) -> None:
        super().__init__(EveryImages(positive("every", every)))
        self.count, self.columns, self.seed = positive("count", count), positive("columns", columns), seed
        self._scene: Scene | None = None

    def on_train_start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        """Start the schedule, and show the pictures of the untrained generator too."""
        super().on_train_start(trainer, module)
        if module.images_seen == 0:
            self.look(trainer, module)

    def measure(self, trainer: pl.Trainer, module: GenerativeModule) -> Values:
        """Save and log the sheet. Return no numbers."""
        look = self.count, self.columns, self.seed
        scene = self._scene = self._scene or fitting_scene(trainer.datamodule, module.spec, *look)  # type: ignore[attr-defined]
        exhibit = scene.exhibit(module)
        folder = RunFolder(Path(trainer.default_root_dir)).samples
        atomic_write(folder / f"{module.images_seen:010d}.png", png(exhibit.sheet))
        for logger in trainer.loggers:
            show(logger, exhibit, trainer.global_step, module.images_seen)
        return {}
