"""The class `GAN`: it composes a recipe from Python's arguments and trains it as `ganlab.fit` does.

So the same parts and the same seed give the same weights, and a saved GAN is a run's folder.
"""

from __future__ import annotations

import inspect
import re
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from ganlab.callbacks.display import in_notebook
from ganlab.callbacks.notebook import LiveCurve
from ganlab.config.preflight import check_machine, check_parts
from ganlab.config.recipe import Recipe, compose, literal
from ganlab.config.words import OVERRIDES
from ganlab.console import say
from ganlab.core.assembly import make_strategy
from ganlab.core.checkpoints import read_checkpoint
from ganlab.core.generative import GenerativeModule
from ganlab.core.strategies import TwoPlayerStrategy
from ganlab.data.base import GanData
from ganlab.data.batch import to_float
from ganlab.errors import UserError
from ganlab.evaluation.evaluate import Settings, of_module
from ganlab.evaluation.report import Numbers
from ganlab.files.metrics_file import read_rows
from ganlab.files.run_folder import RunFolder
from ganlab.gan.networks import Network, code_size, gives_logits, limits, part_of_recipe, ready
from ganlab.gan.sources import Source, source_of
from ganlab.runs.training import Trained, run
from ganlab.sampling.drawing import draw, latents
from ganlab.sampling.gallery import Request, strange_words
from ganlab.sampling.sheet import SampleSheet

Callbacks = Sequence[pl.Callback] | Mapping[str, Any]


class GAN:
    """A generator and a discriminator, to be trained.

    >>> import torch
    >>> from torch import nn
    >>> generator = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 2))
    >>> discriminator = nn.Sequential(nn.Linear(2, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    >>> points = torch.randn(1000, 2, generator=torch.Generator().manual_seed(0)) + 3
    >>> gan = GAN(generator, discriminator, objective="hinge", regularizers=["r1"]).fit(points, iterations=20)
    >>> gan.sample(5)
    5 points of 2
    >>> gan.fit(iterations=10).iterations
    30

    Args:
        generator: A module that maps latents (N, latent_dim) to images in [-1, 1] or to points; a class or function
            that makes one (of `shape` and `code_dim`, if it takes them); or the name of an architecture, "dcgan".
        discriminator: A module that maps images to logits, (N,) or (N, 1), or to features with a `feature_shape`; what
            makes one; or a name. If it is left out, the generator's name gives both.
        recipe: The recipe for everything else. By default vanilla; cgan_class or cgan_text2img for data with labels or
            captions, unless the discriminator is a module that gives logits.
        objective: The name of an objective ("hinge"), or an `Objective`.
        regularizers: Names of the discriminator's penalties, or `Regularizer` objects; one of them, or a list. [] for
            none.
        overrides: Other settings in the words of the command line: ["generator.turns=2", "gamma=1"].
        **settings: Settings at the recipe's top, and other groups: seed=1, batch_size=32, latent_dim=64,
            constraint="spectral_norm", perturbation=["diffaugment"], run_dir="runs/mine".

    Raises:
        UserError: a name, a setting or a value is wrong. The message is one line.
    """

    def __init__(
        self,
        generator: Network | None = None,
        discriminator: Network | None = None,
        *,
        recipe: str | None = None,
        objective: Any = None,
        regularizers: Any = None,
        overrides: Sequence[str] = (),
        **settings: Any,
    ) -> None:
        if isinstance(generator, str) and discriminator is None:
            settings, generator = {"network": generator, **settings}, None
        given = {"generator": generator, "discriminator": discriminator}
        self._networks = {side: part_of_recipe(network, side) for side, network in given.items()}
        self._code_size = code_size(ready(self._networks["generator"]))
        self._judges = gives_logits(ready(self._networks["discriminator"]))
        self._recipe_name, self._settings, self._overrides = recipe, settings, list(overrides)
        several = regularizers is None or isinstance(regularizers, list | tuple)
        self._objective, self._regularizers = objective, regularizers if several else [regularizers]
        self._source = Source()
        self._trained: Trained | None = None
        self._compose(self._source)  # a wrong name is said now

    def __repr__(self) -> str:
        return f"GAN after {self.iterations:,} iterations" if self._trained else "GAN before fit"

    # Training ------------------------------------------------------------------------------------------------------

    def fit(
        self,
        data: Any = None,
        iterations: int | None = None,
        *,
        callbacks: Callbacks = (),
        trainer: Mapping[str, Any] | None = None,
    ) -> GAN:
        """Train for a number of iterations, and return this GAN. Another `fit` goes on where the last one ended.

        Args:
            data: An array or tensor of pictures, uint8 or in [-1, 1], or of points (N, D); a pair of it and labels or
                captions; a Dataset or DataLoader, which is read once into memory; a folder's path, or an .npz file; the
                name of a recipe's data ("mnist"). None for the recipe's own data, or those of the last `fit`.
            iterations: Batches to train on. None for as many as the recipe has.
            callbacks: Callbacks of Lightning; or a mapping of names to callbacks, to settings of the recipe's own, or
                to None, which leaves one out: {"quality": {"every": 10_000}, "collapse": None}. Quality is measured
                only if it is named here.
            trainer: Settings of Lightning's Trainer: {"accelerator": "cpu", "precision": "bf16-mixed"}.

        Raises:
            UserError: the data, or the networks for these data, are wrong. The message is one line. Nothing was trained
                then.
        """
        source = self._source if data is None else source_of(data)
        words = [*_words("trainer.", trainer or {}), *_callback_words(callbacks)]
        if iterations is None:
            iterations = int(self._compose(source, *words)["trainer"]["max_steps"])
        elif isinstance(iterations, bool) or not isinstance(iterations, int) or iterations < 1:
            raise UserError(f"`iterations` must be a whole number of at least 1, got {iterations!r}")
        recipe = self._compose(source, *words, f"trainer.max_steps={self.iterations + iterations}")
        self._insert_objects(recipe, source, callbacks)
        check_parts(recipe)
        check_machine(recipe)
        if isinstance(make_strategy(recipe["trainer"]), TwoPlayerStrategy):
            raise UserError("`trainer.devices` must be 1 in Python: train on several by python -m ganlab.fit")
        recipe["run_dir"] = str(self._run_dir(recipe))
        self._trained, self._source = self._run(recipe), source
        return self

    def _run(self, recipe: Recipe) -> Trained:
        if self._trained is None:
            trained = run(recipe)
        else:
            last = self._trained.folder.last()
            recipe["resume"] = str(self._trained.folder.path)
            trained = run(recipe, last, read_checkpoint(last))
        trained.module.eval()
        return trained

    def _run_dir(self, recipe: Recipe) -> Path:
        """Return the run's folder: the user's choice, that of the last `fit`, or one that ends with this object."""
        if self._trained is not None:
            return self._trained.folder.path
        if recipe.get("run_dir"):
            return Path(recipe["run_dir"])
        folder = tempfile.mkdtemp(prefix="ganlab-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder) / str(recipe["recipe"])

    # What was trained -------------------------------------------------------------------------------------------------

    @property
    def iterations(self) -> int:
        """Return the number of iterations so far."""
        return 0 if self._trained is None else int(self._trained.summary["iterations"])

    @property
    def module(self) -> GenerativeModule:
        """Return the model: both networks, the average, the description of the data. Raise `UserError` before `fit`."""
        return self._run_so_far().module

    @property
    def generator(self) -> nn.Module:
        """Return the trained generator: the moving average of its weights, in float32."""
        return self.module.average

    @property
    def discriminator(self) -> nn.Module:
        """Return the trained discriminator, with all that the recipe puts around it."""
        return self.module.player("discriminator")

    @property
    def data(self) -> GanData:
        """Return the loaded data: `train`, `reference` (held out) and `spec`."""
        return self._run_so_far().data

    @property
    def folder(self) -> Path:
        """Return the run's folder. It is temporary if neither `run_dir` nor `save` has named one."""
        return self._run_so_far().folder.path

    @property
    def history(self) -> list[dict[str, float]]:
        """Return the logged numbers: a row for each logged iteration, with losses by side and term."""
        rows = read_rows(self._run_so_far().folder.metrics_file)
        return [{name: float(value) for name, value in row.items()} for row in rows]

    def _run_so_far(self) -> Trained:
        if self._trained is None:
            raise UserError("this GAN is not trained: call fit(data) first")
        return self._trained

    # Use --------------------------------------------------------------------------------------------------------------

    def sample(self, count: int = 16, seed: int = 0, *, label: Any = None, text: Any = None) -> SampleSheet:
        """Draw pictures from the averaged generator, as `ganlab.sample` does: picture i depends on `seed` + i alone.

        Args:
            count: Pictures; of a conditional model, pictures of each label or text.
            seed: Of the first picture's latent.
            label: A class, or several, by number or name. All classes if it is left out.
            text: A caption, or several.

        Returns:
            Pictures, uint8 (N, C, H, W), or points. A notebook displays them.

        Raises:
            UserError: `count` is below 1, or a label or a text is not for this model.
        """
        if count < 1:
            raise UserError(f"`count` must be at least 1, got {count}")
        trained = self._run_so_far()
        spec = trained.module.spec
        if spec.kind == "image":
            request = Request.of_pairs(trained.data.reference, count, seed)
        else:
            request = Request.of(spec, {"text": _listed(text), "label": _listed(label)}, count, seed)
        if warning := strange_words(trained.module, request.titles):
            say(f"ganlab: {warning}")
        images = torch.cat(list(draw(trained.module, request.condition, latents(trained.module, request.seeds))))
        return SampleSheet(images, [] if spec.kind == "none" else request.titles)

    def evaluate(self, metrics: Sequence[str] = (), count: int | None = None, **settings: Any) -> Numbers:
        """Measure the averaged generator against the held-out pictures, as `ganlab.evaluate` does.

        Args:
            metrics: Names that `python -m ganlab.evaluate --help` lists. The usual ones that fit if it is empty.
            count: Generated pictures. 1,000 by default.
            **settings: Fields of `ganlab.evaluation.evaluate.Settings`: extractor="small", split="train", seed=1.

        Returns:
            The numbers by their full names. Each is a `Result` with its value, spread and protocol.
        """
        trained = self._run_so_far()
        known = inspect.signature(Settings).parameters
        if unknown := settings.keys() - known.keys():
            raise UserError(f"`{unknown.pop()}` is no setting of evaluate: there are {', '.join(known)}")
        names = [metrics] if isinstance(metrics, str) else list(metrics)
        return Numbers(of_module(trained.module, trained.data, Settings(names, count=count, **settings)))

    def save(self, folder: str | Path) -> Path:
        """Copy the run's folder, and return the copy's path. Later calls of `fit` go on there.

        `ganlab.sample`, `ganlab.evaluate` and `ganlab.fit resume=` read it. If the networks are your own, they need
        allow=[your_module]. A line says so, or that another program cannot make the networks at all.
        Raise `UserError` if there is a run or a file in `folder` already.
        """
        trained = self._run_so_far()
        if trained.folder.path.resolve() == Path(folder).resolve():
            return trained.folder.path
        target = RunFolder.at(folder)
        hidden = shutil.ignore_patterns(".*")  # the lock
        shutil.copytree(trained.folder.path, target.path, ignore=hidden, dirs_exist_ok=True)
        summary = {**trained.summary, "checkpoint": str(target.checkpoint())}
        target.write_summary(summary)
        self._trained = trained._replace(folder=target, summary=summary)
        if line := limits(self._networks, self._inputs(), target.path):
            say(f"ganlab: {line}")
        return target.path

    def _inputs(self) -> dict[str, Tensor]:
        """Return a few inputs of both networks of an unconditional model."""
        latent = torch.randn(2, self._code_size or self.module.latent_dim)
        return {"generator": latent, "discriminator": to_float(self.data.train.get(slice(0, 2)))}

    # The recipe -------------------------------------------------------------------------------------------------------

    def _compose(self, source: Source, *words: str) -> Recipe:
        """Return the checked recipe of all names, settings and words, without objects."""
        own = dict(self._settings)
        if source.batch_size:
            own = {"batch_size": source.batch_size, **own}
        if isinstance(self._objective, str):
            own["objective"] = self._objective
        if self._regularizers is not None:
            own["regularizer"] = [one for one in self._regularizers if isinstance(one, str)]
        quiet = () if any(word.startswith("callbacks.quality") for word in words) else ("callbacks.quality=null",)
        name = self._recipe_name or self._fitting_recipe(source)
        recipe = compose(f"recipe={name}", *source.words, *_words("", own), *quiet, *self._overrides, *words)
        if self._code_size and "latent_dim" not in own:
            recipe["latent_dim"] = max(1, self._code_size - (recipe.get("condition") or {}).get("dim", 0))
        return recipe

    def _fitting_recipe(self, source: Source) -> str:
        """Return the default recipe for these data and networks."""
        kind = "none" if self._judges else source.kind
        if kind == "none" and {"condition", "head"} & self._settings.keys():
            kind = "text"
        return {"class": "cgan_class", "text": "cgan_text2img"}.get(kind, "vanilla")

    def _insert_objects(self, recipe: Recipe, source: Source, callbacks: Callbacks) -> None:
        """Put networks, an objective, penalties, arrays and callbacks that Python code made into the recipe."""
        recipe["data"] |= source.objects
        recipe[OVERRIDES] = [word for word in recipe[OVERRIDES] if "images=memory" not in word]  # no file's name
        recipe["network"] |= {side: network for side, network in self._networks.items() if network is not None}
        if self._objective is not None and not isinstance(self._objective, str):
            recipe["objective"] = self._objective
        penalties = [one for one in self._regularizers or () if not isinstance(one, str)]
        recipe["discriminator"]["regularizers"] |= {type(one).__name__.lower(): one for one in penalties}
        own = recipe["callbacks"]
        saving = {name: own.pop(name) for name in ("checkpoints", "progress") if name in own}
        recipe["callbacks"] = {**own, **_callback_objects(callbacks), **saving}  # a best is measured before it is saved


# Words of a recipe ------------------------------------------------------------------------------------------------


def _words(prefix: str, settings: Mapping[str, Any]) -> list[str]:
    """Return settings in the words of the command line.

    >>> _words("", {"seed": 1, "regularizer": ["r1", "r2"], "run_dir": "my runs", "fused": None})
    ['seed=1', 'regularizer=[r1,r2]', "run_dir='my runs'", 'fused=null']
    """
    return [_word(f"{prefix}{key}", value) for key, value in settings.items()]


def _word(key: str, value: Any) -> str:
    if isinstance(value, str | Path):
        return f"{key}={value}" if re.fullmatch(r"[A-Za-z][\w.+-]*", str(value)) else literal(key, value)
    return f"{key}={_plain(value)}"


def _plain(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{','.join(map(_plain, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _callback_words(callbacks: Callbacks) -> list[str]:
    """Return the words that change or leave out callbacks of the recipe."""
    named = callbacks if isinstance(callbacks, Mapping) else {}
    words = [f"callbacks.{name}=null" for name, one in named.items() if one is None]
    for name, one in named.items():
        words += _words(f"callbacks.{name}.", one) if isinstance(one, Mapping) else []
    return words


def _callback_objects(callbacks: Callbacks) -> dict[str, pl.Callback]:
    """Return the callbacks that are objects, by name, and a live picture in a notebook."""
    named = callbacks if isinstance(callbacks, Mapping) else {f"own_{i}": one for i, one in enumerate(callbacks)}
    for name, one in named.items():
        if not (one is None or isinstance(one, pl.Callback | Mapping)):
            raise UserError(f"`callbacks` must be callbacks of Lightning's, got a {type(one).__name__} ({name})")
    live = {"live": LiveCurve()} if in_notebook() else {}
    return {**live, **{name: one for name, one in named.items() if isinstance(one, pl.Callback)}}


def _listed(values: Any) -> list[str]:
    """Return one value, several, or None as words."""
    if values is None:
        return []
    return [str(values)] if isinstance(values, str | int) else [str(value) for value in values]
