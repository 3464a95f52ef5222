"""The discriminator's opinion of pictures: each of its questions apart, as a probability if the objective allows it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ganlab.core.adversarial import AdversarialModule
from ganlab.core.generative import GenerativeModule
from ganlab.core.published import Absent
from ganlab.data.batch import Condition, to_float
from ganlab.errors import UserError
from ganlab.networks.minibatch import MinibatchDeviation
from ganlab.networks.packing import Packed
from ganlab.perturbations import Perturbation
from ganlab.sampling.drawing import on_device

LOOKS = 16  # at differently perturbed pictures, by a discriminator that has learned from such pictures alone
MATCH = "match"  # the question of a classifier: its loss is the cross-entropy, whatever the game's objective is


@dataclass(frozen=True)
class Answer:
    """The answer to one question for N pictures. values: probabilities in [0, 1] if `chance`, else logits; (N,)."""

    question: str
    values: Tensor
    chance: bool


@torch.no_grad()
def opinion(module: GenerativeModule, images: Tensor, condition: Condition) -> list[Answer]:
    """Return the discriminator's answers for pictures uint8 (N, C, H, W) with N rows of conditions.

    A discriminator behind perturbations looks `LOOKS` times, always with the same random numbers. Answers are means.
    """
    assert isinstance(module, AdversarialModule)
    images, condition = to_float(images.to(module.device)), on_device(condition, module.device)
    perturbed = any(isinstance(part, Perturbation) for part in module.discriminator.modules())
    with torch.random.fork_rng():
        torch.manual_seed(0)
        looks = [_answers(module, images, condition) for _ in range(LOOKS if perturbed else 1)]
    return [_mean(answers) for answers in zip(*looks, strict=True)]


def _answers(module: AdversarialModule, images: Tensor, condition: Condition) -> list[Answer]:
    logits = module.logits(images, condition)
    return [_answer(module, question, values.float().cpu()) for question, values in logits.items()]


def _answer(module: AdversarialModule, question: str, logits: Tensor) -> Answer:
    if question == MATCH:
        return Answer(question, logits.sigmoid(), True)
    try:
        return Answer(question, module.objective.log_density_ratio(logits).sigmoid(), True)
    except UserError:  # the logits of this objective are no log ratios
        return Answer(question, logits - module.objective.undecided, False)


def _mean(answers: tuple[Answer, ...]) -> Answer:
    values = torch.stack([answer.values for answer in answers]).mean(0)
    return Answer(answers[0].question, values, answers[0].chance)


def silent(module: GenerativeModule) -> str:
    """Return why the model has no opinion of single pictures; "" if it has one."""
    if not isinstance(module, AdversarialModule):
        return "This model has no discriminator, so it has no opinion of its pictures."
    if isinstance(module.discriminator, Absent):
        return "This model was published without its discriminator, so it has no opinion of its pictures."
    if any(isinstance(part, Packed | MinibatchDeviation) for part in module.discriminator.modules()):
        return "This discriminator judges several pictures together, so it has no opinion of a single one."
    return ""
