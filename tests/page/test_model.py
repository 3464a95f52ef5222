"""A model of the page without a browser: opinions, bounds, walks, and every recipe."""

from __future__ import annotations

import base64
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ganlab.core.portable import open_run
from ganlab.errors import UserError
from ganlab.latents.points import pictures
from ganlab.page import wish
from ganlab.page.between import between
from ganlab.page.model import GUIDANCE, Model, unguided
from ganlab.page.opinion import opinion, silent
from ganlab.sampling.choosing import choose
from ganlab.sampling.drawing import draw, latents
from ganlab.sampling.writing import encoded, native
from tests.latents.conftest import RECIPES, random_module

SAID = {"text": ["a red apple"], "class": torch.tensor([1]), "none": None}


@pytest.fixture(scope="module")
def model(captions: Path) -> Model:
    return Model.open(str(captions))


def test_the_head_answers_each_question_apart(model: Model) -> None:
    """Realism and pair are sigmoids of the objective's log ratio, here the logit itself; match is a classifier's."""
    asked = wish.request(model.module, ["red apple"], 3, 0)
    images = model.draw(asked)
    answers = {one.question: one for one in model.opinion(images, asked.condition)}
    logits = model.module.logits(images / 127.5 - 1, asked.condition)
    assert list(answers) == ["realism", "pair", "match"]
    for name, answer in answers.items():
        assert answer.chance and torch.allclose(answer.values, logits[name].sigmoid(), atol=1e-4)
    other = {one.question: one for one in model.opinion(images, ["blue car"] * 3)}
    assert torch.equal(other["realism"].values, answers["realism"].values)
    assert not torch.equal(other["match"].values, answers["match"].values)


@pytest.mark.parametrize("recipe", [*RECIPES, "vanilla perturbation=[translation_cutout]", "vanilla pack=2"])
def test_every_recipe_has_an_opinion_or_says_why_not(recipe: str) -> None:
    module = random_module(*f"recipe={recipe}".split())
    if len(module.spec.shape) != 3:
        return
    latent = latents(module, [0, 1])
    pictures = torch.randint(0, 256, (2, *module.spec.shape), generator=torch.Generator().manual_seed(0))
    said = pictures.to(torch.uint8) if module.spec.kind == "image" else SAID[module.spec.kind]
    condition = said if said is None or len(said) == 2 else [*said] * 2 if isinstance(said, list) else said.expand(2)
    images = next(draw(module, condition, latent))
    if why := silent(module):
        assert recipe in ("autoencoder", "vae", "vanilla pack=2", "stacked_mnist") and why.startswith("This ")
        return
    once, again = opinion(module, images, condition), opinion(module, images, condition)
    for one, other in zip(once, again, strict=True):
        assert one.values.shape == (2,) and torch.equal(one.values, other.values)
        assert not one.chance or (one.values.min() >= 0 and one.values.max() <= 1)


def test_guided_pictures_are_those_of_the_command(captions: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without calibration, because that of a run of a moment finds that the discriminator knows nothing."""
    settings = replace(GUIDANCE, calibration="none", candidates=20)
    monkeypatch.setattr("ganlab.page.model.GUIDANCE", settings)
    model = Model.open(str(captions))
    assert model.unguided == ""
    asked = wish.request(model.module, ["red apple"], 8, 0)
    chosen = choose(open_run(str(captions))[0], asked.condition, asked.seeds, settings)
    guided = model.draw(asked, latent=model.choose(asked).latents)
    assert torch.equal(guided, model.draw(asked, latent=chosen)) and not torch.equal(guided, model.draw(asked))


def test_it_says_why_nothing_is_guided() -> None:
    digits = Model.open("zoo:mnist")
    assert "without its discriminator" in digits.silent and "without its discriminator" in digits.unguided
    hinge = unguided(random_module("recipe=cgan_text2img", "objective=hinge", "perturbation=[]"))
    assert hinge.startswith("Not for this model") and "\n" not in hinge


def test_the_ends_of_a_walk_are_samples(model: Model) -> None:
    ends = wish.request(model.module, ["red apple", "blue car"], 1, 0)
    for towards, caption in ((0.0, "red apple"), (1.0, "blue car")):
        for way, seed in ((0.0, 3), (1.0, 4)):
            (found,) = pictures(model.module, [between(model, ends, [3, 4], towards, way)])
            assert torch.equal(found, model.draw(wish.request(model.module, [caption], 1, seed))[0])


def url(content: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def test_a_picture_comes_back_as_it_was_drawn(model: Model) -> None:
    (image,) = model.draw(wish.request(model.module, ["red apple"], 1, 0))
    assert torch.equal(wish.picture(model.module, url(encoded(native(image)))), image)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "drop a picture first"),
        ("", "drop a picture first"),
        ("/etc/passwd", "drop a picture first"),
        ({"path": "/etc/passwd"}, "drop a picture first"),
        (url(b"no picture"), "no picture that can be opened"),
        ("data:image/svg+xml;base64,PHN2Zy8+", "no picture that can be opened"),
        ("data:image/png;base64,****", "no picture that can be opened"),
        ("data:image/png;base64," + "A" * 8_000_000, "5 MB at most"),
    ],
)
def test_what_is_no_picture_is_refused(model: Model, value: object, said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        wish.picture(model.module, value)
    assert "/tmp" not in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("value", [True, None, "3", float("nan"), float("inf"), -1, 33, 1.5, [1]])
def test_what_is_no_number_of_pictures_is_refused(model: Model, value: object) -> None:
    with pytest.raises(UserError):
        wish.request(model.module, ["red apple"], value, 0)
