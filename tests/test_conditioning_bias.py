"""Where a conditional game ends, with real training: 2 images, 2 captions, and a generator that is a table.

p(x_i, c_j) is a/2 where i = j and (1 - a)/2 elsewhere; mismatched pairs are p(x) p(c) = 1/4 each. The heads and
objectives are the real ones; only the expectations are sums over all cells instead of averages over samples. The
number followed is p_g(x_0 | c_0), which the data has at a.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import product

import pytest
import torch
from torch import Tensor, nn

from ganlab.networks.heads import Head, JointHead, Logits, ProjectionHead, SeparateHead
from ganlab.objectives import Minimax, NonSaturating, Objective

CELLS = list(product(range(2), range(2)))
IMAGE, CAPTION = (torch.tensor(index) for index in zip(*CELLS, strict=True))
REAL, FAKE, MISMATCHED = (torch.tensor(index) for index in zip(*product(range(4), repeat=3), strict=True))
PARTS = 2  # of the caption's embedding and of the features: enough for any table
FEATURES = 8

HeadMaker = Callable[[tuple[int, int, int], int], Head]


def rows(logits: Logits, index: Tensor) -> Logits:
    return {name: values[index] for name, values in logits.items()}


class Game:
    """Both players see every combination of a real, a generated and a mismatched cell, weighted by its probability."""

    def __init__(self, head: HeadMaker, objective: Objective, a: float) -> None:
        torch.manual_seed(0)
        self.features = torch.randn(2, FEATURES)[IMAGE][:, :, None, None]
        self.embedding = torch.randn(2, PARTS)[CAPTION]
        self.head, self.objective = head((FEATURES, 1, 1), PARTS), objective
        self.table = nn.Parameter(torch.zeros(2, 2))
        self.real = torch.where(IMAGE == CAPTION, a / 2, (1 - a) / 2)

    def weights(self) -> Tensor:
        """(64,): the probability of each combination; differentiable with respect to the table."""
        generated = self.table.softmax(0)[IMAGE, CAPTION] / 2
        return self.real[REAL] * generated[FAKE] / 4

    def logits(self) -> tuple[Logits, Logits, Logits]:
        logits = self.head(self.features, self.embedding)
        return rows(logits, REAL), rows(logits, FAKE), rows(logits, MISMATCHED)

    def discriminator_loss(self) -> Tensor:
        terms = self.head.discriminator_terms(self.objective, *self.logits())
        return (self.weights().detach() * torch.stack(list(terms.values()))).sum()

    def generator_loss(self) -> Tensor:
        with torch.no_grad():
            real, fake, _ = self.logits()
            terms = self.head.generator_terms(self.objective, fake, real)
        return (self.weights() * torch.stack(list(terms.values()))).sum()

    def play(self, iterations: int = 250, turns: int = 3, rate: float = 0.03) -> list[float]:
        """p_g(x_0 | c_0) and p_g(x_1 | c_1) at the end, with learning rates that fall to zero."""
        sides = [
            (torch.optim.Adam(self.head.parameters(), rate, (0.5, 0.9)), self.discriminator_loss, turns),
            (torch.optim.Adam([self.table], rate, (0.0, 0.9)), self.generator_loss, 1),
        ]
        decay = partial(torch.optim.lr_scheduler.LinearLR, start_factor=1.0, end_factor=0.0, total_iters=iterations)
        schedules = [decay(optimizer) for optimizer, _, _ in sides]
        for _ in range(iterations):
            for optimizer, loss, count in sides:
                for _ in range(count):
                    optimizer.zero_grad()
                    loss().backward()
                    optimizer.step()
            for schedule in schedules:
                schedule.step()
        return self.table.softmax(0).diagonal().tolist()


@pytest.mark.parametrize(("a", "expected"), [(0.6, 0.70), (0.7, 0.90), (0.8, 1.00)])
def test_joint_head_is_biased(a: float, expected: float) -> None:
    """The generator ends at 2 p - p_mis: 2a - 1/2, and 1 where that is more than 1 (from a = 3/4 on)."""
    assert min(1, 2 * a - 0.5) == pytest.approx(expected)
    assert Game(JointHead, NonSaturating(), a).play() == pytest.approx([expected, expected], abs=0.01)


def test_joint_head_is_biased_in_the_zero_sum_game_too() -> None:
    assert Game(JointHead, Minimax(), 0.6).play() == pytest.approx([0.7, 0.7], abs=0.01)


@pytest.mark.parametrize("head", [SeparateHead, ProjectionHead])
def test_the_others_end_at_the_data(head: HeadMaker) -> None:
    assert Game(head, NonSaturating(), 0.6).play() == pytest.approx([0.6, 0.6], abs=0.005)


def stationary(objective: Objective, a: float, match_weight: float) -> float:
    """q = p_g(x_0 | c_0) at which moving probability between the two images gains the generator nothing.

    At the best discriminator the pair logits are log(a / q) and log((1 - a) / (1 - q)), the match logits log(2 a) and
    log(2 (1 - a)), and the realism logit is 0 for both images, so both must cost the same:
    loss(log a / q) + w softplus(-log 2a) = loss(log (1 - a) / (1 - q)) + w softplus(-log 2(1 - a)).
    """

    def cost(p: float, q: float) -> float:
        pair = objective.generator(torch.tensor([math.log(p / q)], dtype=torch.float64)).item()
        return pair + match_weight * math.log1p(1 / (2 * p))

    low, high = 1e-6, 1 - 1e-6  # what an image costs grows with its probability
    for _ in range(40):
        q = (low + high) / 2
        low, high = (q, high) if cost(a, q) < cost(1 - a, 1 - q) else (low, q)
    return low


@pytest.mark.parametrize(
    ("objective", "match_weight", "expected"),
    [
        (NonSaturating(), 0.1, 0.610),
        (NonSaturating(), 0.5, 0.649),
        (NonSaturating(), 1.0, 0.696),
        (Minimax(), 1.0, 0.691),
    ],
)
def test_the_match_weight_buys_typicality(objective: Objective, match_weight: float, expected: float) -> None:
    """A true 0.6 is exaggerated, by an amount that the weight sets."""
    assert stationary(objective, 0.6, match_weight) == pytest.approx(expected, abs=0.0006)
    game = Game(partial(SeparateHead, match_weight=match_weight), objective, 0.6)
    assert game.play() == pytest.approx([expected, expected], abs=0.004)
