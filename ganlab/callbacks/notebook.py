"""A live picture in a notebook: both sides' losses beside the latest samples. It leaves no trace in the run."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
from PIL import Image

from ganlab.callbacks.display import side_loss
from ganlab.callbacks.measurement import undisturbed
from ganlab.callbacks.pictures import Scene, fitting_scene
from ganlab.core.generative import GenerativeModule
from ganlab.loggers.sheet import drawn, png

COUNT, COLUMNS = 8, 4  # of pictures
COLORS = {"discriminator": "tab:blue", "generator": "tab:red"}
NO_LOSS = float("nan")  # a gap in the curve


class LiveCurve(pl.Callback):
    """Draws both sides' losses, and samples of the averaged generator, in one picture that is replaced.

    seconds: the least time between two pictures. The first and the last iteration are always drawn.
    """

    def __init__(self, seconds: float = 3.0) -> None:
        self.seconds = seconds
        self._iterations: list[int] = []
        self._losses: dict[str, list[float]] = {side: [] for side in COLORS}
        self._scene: Scene | None = None
        self._shown = 0.0
        self._handle: Any = None

    def on_train_start(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        """Draw the start."""
        self._show(trainer, module)

    def on_train_batch_end(  # type: ignore[override]
        self, trainer: pl.Trainer, module: GenerativeModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note the losses each time they are logged, and draw if the last picture is old enough."""
        if module.iteration % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._note(trainer, module)
            if time.monotonic() - self._shown >= self.seconds:
                self._show(trainer, module)

    def on_train_end(self, trainer: pl.Trainer, module: GenerativeModule) -> None:  # type: ignore[override]
        """Draw the end."""
        self._show(trainer, module)

    def _note(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        self._iterations.append(module.iteration)
        for side, losses in self._losses.items():
            loss = side_loss(trainer.callback_metrics, side)
            losses.append(NO_LOSS if loss is None else loss)

    def _show(self, trainer: pl.Trainer, module: GenerativeModule) -> None:
        """Replace the picture in the cell's output."""
        from IPython import display

        data = trainer.datamodule  # type: ignore[attr-defined]
        with undisturbed():
            self._scene = self._scene or fitting_scene(data, module.spec, COUNT, COLUMNS, 0)
            picture = self.picture(self._scene.exhibit(module).sheet, module.iteration)
        content = {"image/png": png(picture)}
        if self._handle is None:
            self._handle = display.display(content, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(content, raw=True)
        self._shown = time.monotonic()

    def picture(self, sheet: Image.Image, iteration: int) -> Image.Image:
        """Return the losses so far beside a sheet of samples."""
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure(figsize=(9, 3), dpi=80, layout="tight")
        FigureCanvasAgg(figure)
        curve, samples = figure.subplots(1, 2)
        for side, losses in self._losses.items():
            curve.plot(self._iterations, losses, color=COLORS[side], label=side)
        curve.set(xlabel="iteration", ylabel="loss")
        curve.legend(fontsize=8)
        samples.imshow(sheet)
        samples.set_axis_off()
        samples.set_title(f"iteration {iteration}", fontsize=10)
        return drawn(figure)
