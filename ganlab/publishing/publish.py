"""Make the folder of a published model: weights, programs, description, samples, card."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

import ganlab
from ganlab.config.words import stored as words_of
from ganlab.console import say
from ganlab.core.assembly import make_data
from ganlab.core.checkpoints import TRAINING, load_module, read_checkpoint, stored_content
from ganlab.core.generative import GenerativeModule
from ganlab.core.published import weights, write_config, write_weights
from ganlab.errors import UserError
from ganlab.evaluation.report import read_report, versions
from ganlab.files.addresses import Address
from ganlab.files.durable import atomic_write
from ganlab.files.published import CARD_FILE, CONFIG_FILE, MODEL_FILE, SAMPLES_FILE, read_config
from ganlab.files.run_folder import RunFolder, find_checkpoint
from ganlab.loggers.sheet import comparison, grid, png, scatter
from ganlab.publishing.card import card, headline
from ganlab.publishing.licences import licence_of
from ganlab.publishing.parity import parity
from ganlab.publishing.programs import PROGRAMS, check_installed
from ganlab.publishing.settings import PublishSettings
from ganlab.publishing.text import write_text
from ganlab.sampling.drawing import draw, latents
from ganlab.sampling.gallery import COLUMNS, Request

OWN = (*TRAINING, "derived", "overrides", "run_dir", "resume", "allow", "ganlab")
"""The parts of a recipe that say how a run was made, and not what the model is."""
SHOWN = 64  # pictures on samples.png
PATH = re.compile(r"(/|~|[A-Za-z]:[\\/]).*[\\/](?P<name>[^\\/]+)[\\/]?")


def publish(settings: PublishSettings, forms: Sequence[str], folder: Path) -> dict[str, Any]:
    """Write the published model of a checkpoint into a folder, and return the content of its `config.json`.

    forms: of "safetensors", "onnx", "torch_export". Files of another model in the folder are replaced. Raise
    `UserError` if the checkpoint cannot be read, or if a form cannot hold its generator.
    """
    check_installed(forms)
    file = find_checkpoint(settings.checkpoint)
    module = load_module(file, settings.allow)
    config = described(module, file, settings, folder)
    (folder / CONFIG_FILE).unlink(missing_ok=True)  # what is half made is no published model
    with torch.no_grad():
        config["files"] = _written(module, settings, forms, folder)
        if module.spec.kind == "text" and set(forms) & PROGRAMS.keys():
            config["text"] = write_text(module, settings.text, folder, "onnx" in forms)
    write_config(folder, config)
    shown = module
    if "safetensors" in forms:
        shown = _read_again(folder, settings.allow)
        config["files"]["safetensors"] |= parity(module, lambda inputs: shown.sample(inputs.latent, inputs.condition))
        write_config(folder, config)
    with torch.no_grad():
        write_samples(shown, folder)  # by the published weights, which may be rounded
    atomic_write(folder / CARD_FILE, card(config))
    return config


def _read_again(folder: Path, allow: Sequence[str]) -> GenerativeModule:
    """Return a published model as others will read it. Raise `UserError` if it is unusable."""
    try:
        return load_module(folder / MODEL_FILE, allow)
    except UserError:
        (folder / CONFIG_FILE).unlink()
        raise


def described(module: GenerativeModule, file: Path, settings: PublishSettings, folder: Path) -> dict[str, Any]:
    """Return what `config.json` says of a model beside its files. A published model keeps what was said of it."""
    content = read_checkpoint(file)["ganlab"]
    before = read_config(file.parent) if file.name == MODEL_FILE else {}
    recipe = {key: without_paths(value) for key, value in content["recipe"].items() if key not in OWN}
    licence = before.get("licence") or licence_of(recipe)._asdict()
    config: dict[str, Any] = {
        "ganlab": ganlab.__version__,
        "torch": versions()["torch"],
        "name": settings.address.rpartition(":")[2] if settings.address else before.get("name", recipe["recipe"]),
        "address": settings.address or f"./{folder.resolve().name}",
        "recipe": recipe,
        "spec": content["spec"],
        "iteration": content["iteration"],
        "images_seen": content["images_seen"],
        "licence": {**licence, **({"name": settings.licence} if settings.licence else {})},
        "from": before.get("from") or _origin(settings.checkpoint, file),
        "training": _training(settings, content["recipe"], before),
        "numbers": _numbers(settings) or before.get("numbers", {}),
        "faults": settings.faults or before.get("faults") or "Nobody has looked for them yet.",
    }
    return config | {"about": settings.about or before.get("about") or headline(config)}


def without_paths(value: Any) -> Any:
    """Return a copy of a recipe's value whose absolute paths are reduced to their last name.

    >>> without_paths({"root": "/home/me/photos", "size": 64})
    {'root': 'photos', 'size': 64}
    """
    if isinstance(value, Mapping):
        return {key: without_paths(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_paths(one) for one in value]
    found = PATH.fullmatch(value) if isinstance(value, str) else None
    return found["name"] if found else value


def _origin(checkpoint: str, file: Path) -> dict[str, Any]:
    """Return the run and the checkpoint by name, without the user's folders, and the file's hash."""
    run = RunFolder.of(checkpoint).path.resolve().name if not Address.read(checkpoint) else checkpoint
    return {"checkpoint": f"{run}/{file.name}", "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def _training(settings: PublishSettings, recipe: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    words = words_of(recipe) or [f"recipe={recipe.get('recipe')}"]
    pairs = (word.partition("=") for word in words)
    told = shlex.join(f"{key}{sign}{without_paths(value)}" for key, sign, value in pairs)
    made = {"command": f"python -m ganlab.fit {told}", **before.get("training", {})}
    if not Address.read(settings.checkpoint):
        made |= _seconds(RunFolder.of(settings.checkpoint))
    said = {"command": settings.command, "machine": settings.machine}
    return made | {key: value for key, value in said.items() if value}


def _seconds(run: RunFolder) -> dict[str, float]:
    """Return the seconds that the run's summary has, if there is one."""
    if not run.summary_file.is_file():
        return {}
    return {"seconds": float(json.loads(run.summary_file.read_text(encoding="utf-8"))["seconds"])}


def _numbers(settings: PublishSettings) -> dict[str, Any]:
    """Return the numbers of a file of `ganlab.evaluate`, each with its spread and protocol."""
    if not settings.numbers:
        return {}
    found = read_report(Path(settings.numbers))
    return {
        name: {"value": one.value, "spread": one.spread, "protocol": without_paths(one.protocol)}
        for name, one in found.items()
    }


# Files ------------------------------------------------------------------------------------------------------------


def _written(
    module: GenerativeModule, settings: PublishSettings, forms: Sequence[str], folder: Path
) -> dict[str, dict[str, Any]]:
    """Write the weights and programs. Return what `config.json` says of each, by its form."""
    found: dict[str, dict[str, Any]] = {}
    if "safetensors" in forms:
        write_weights(folder, weights(module, settings.dtype, settings.discriminator))
        facts = {"dtype": settings.dtype, "discriminator": settings.discriminator}
        found["safetensors"] = {"file": MODEL_FILE, **facts}
    return found | {form: PROGRAMS[form].publish(module, folder) for form in forms if form in PROGRAMS}


def write_samples(module: GenerativeModule, folder: Path) -> Path | None:
    """Write `samples.png`: seeds 0, 1, 2, ... of the first prompts or classes, not picked.

    A model that reads pictures gets held-out ones of its data. Return None, after a line, if they are not there.
    """
    try:
        request = _request(module)
    except (UserError, OSError) as error:
        say(f"ganlab: {SAMPLES_FILE} is left out: {error}")
        return None
    images = torch.cat(list(draw(module, request.condition, latents(module, request.seeds))))
    if images.dim() != 4:
        return atomic_write(folder / SAMPLES_FILE, png(scatter(images[:0], images)))
    if module.spec.kind == "image":
        kinds = {"input": request.condition, "generated": images, "truth": request.truth}
        return atomic_write(folder / SAMPLES_FILE, png(comparison(kinds)))  # type: ignore[arg-type]
    titles = request.titles if any(request.titles) else None
    return atomic_write(folder / SAMPLES_FILE, png(grid(images, titles, COLUMNS)))


def _request(module: GenerativeModule) -> Request:
    spec = module.spec
    none: dict[str, list[str]] = {"text": [], "label": [], "input": []}
    if spec.kind == "none":
        return Request.of(spec, none, SHOWN if len(spec.shape) == 3 else 1_000, 0)
    if spec.kind == "image":
        with stored_content("its data"):
            return Request.of_pairs(make_data(module.recipe).reference, COLUMNS, 0)
    asked = list(spec.classes if spec.kind == "class" else spec.prompts or spec.vocabulary or ["a picture"])[:SHOWN]
    word = "label" if spec.kind == "class" else "text"
    return Request.of(spec, {**none, word: asked}, max(1, SHOWN // len(asked)), 0)
