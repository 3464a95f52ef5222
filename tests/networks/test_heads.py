"""Conditional heads: what they look at, what each side is told, what gradient penalties see."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from ganlab.networks.heads import BlindHead, Head, JointHead, Logits, ProjectionHead, SeparateHead
from ganlab.networks.logits import PairLogit, accuracy
from ganlab.objectives import Hinge, LeastSquares, NonSaturating, RelativisticPairing, Wasserstein
from tests.components import components

SHAPE = (6, 4, 4)
KINDS = components(Head)
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def inputs(count: int = 5) -> tuple[Tensor, Tensor]:
    return torch.randn(count, *SHAPE), torch.randn(count, 3)


def play(head: Head, count: int = 5) -> tuple[Logits, Logits, Logits]:
    """Logits of real, generated and mismatched pairs."""
    (real, condition), (fake, other) = inputs(count), inputs(count)
    return head(real, condition), head(fake, condition), head(real, other)


@kinds
def test_every_logit_and_term_is_one_number_a_sample(kind: Callable[..., Head]) -> None:
    head = kind(SHAPE, 3)
    for objective in (NonSaturating(), Hinge(), Wasserstein(), RelativisticPairing()):
        real, fake, mismatched = play(head)
        terms = {
            **{f"d {n}": t for n, t in head.discriminator_terms(objective, real, fake, mismatched).items()},
            **{f"g {n}": t for n, t in head.generator_terms(objective, fake, real).items()},
        }
        assert {tuple(t.shape) for t in [*real.values(), *terms.values(), head.critic_logit(real)]} == {(5,)}
        report = head.report(objective, real, fake, mismatched)
        assert {tuple(value.shape) for value in report.values()} == {()}


@kinds
def test_generator_terms_do_without_reals(kind: Callable[..., Head]) -> None:
    head = kind(SHAPE, 3)
    _, fake, _ = play(head)
    assert head.generator_terms(NonSaturating(), fake, None)


@pytest.mark.parametrize("kind", [JointHead, ProjectionHead, SeparateHead])
def test_a_sample_is_judged_by_itself(kind: Callable[..., Head]) -> None:
    """The pair logit answers about its own image and its own condition, and depends on both."""
    head = kind(SHAPE, 3)
    features, embedding = inputs()
    together = head(features, embedding)["pair"]
    alone = torch.cat([head(features[i : i + 1], embedding[i : i + 1])["pair"] for i in range(5)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together, head(features, embedding.flip(0))["pair"])
    assert not torch.allclose(together, head(features.flip(0), embedding)["pair"])


def test_realism_does_not_depend_on_the_condition() -> None:
    head = SeparateHead(SHAPE, 3)
    features, embedding = inputs()
    assert torch.equal(head(features, embedding)["realism"], head(features, embedding.flip(0))["realism"])


def test_pair_logit_of_points() -> None:
    """Features of a fully connected trunk are a 1 x 1 map."""
    assert PairLogit((7, 1, 1), 2)(torch.randn(3, 7, 1, 1), torch.randn(3, 2)).shape == (3,)


def test_projection_by_hand() -> None:
    """One feature of value 2 on 4 x 4 places pools to 32; realism 0.5 x 32 + 1, projection <0.25 c, 32> with c = 3."""
    head = ProjectionHead((1, 4, 4), 1)
    with torch.no_grad():
        head.realism.weight.fill_(0.5)
        head.realism.bias.fill_(1.0)
        head.embed.weight.fill_(0.25)
    assert head(torch.full((1, 1, 4, 4), 2.0), torch.tensor([[3.0]]))["pair"].item() == pytest.approx(17 + 24)


# Who is told what -----------------------------------------------------------------------------------------------------


def flat(*values: float) -> Logits:
    """One sample's logits of a separate head: realism, pair, match."""
    return {
        name: torch.tensor([float(value)]) for name, value in zip(("realism", "pair", "match"), values, strict=True)
    }


def test_joint_weights_are_those_of_the_paper() -> None:
    """Real 1, generated 1/2, mismatched 1/2 (Reed et al. 2016, algorithm 1, line 9)."""
    real, fake, mismatched = torch.tensor([[1.5], [-0.5], [0.25]])
    terms = JointHead(SHAPE, 3).discriminator_terms(
        NonSaturating(), {"pair": real}, {"pair": fake}, {"pair": mismatched}
    )
    softplus = torch.nn.functional.softplus
    expected = softplus(-real) + softplus(fake) / 2 + softplus(mismatched) / 2
    torch.testing.assert_close(sum(terms.values()), expected)


def test_separate_questions_go_to_separate_logits() -> None:
    """softplus(0) = 0.693147; the match question compares real pairs with mismatched ones, and no generated ones."""
    head = SeparateHead(SHAPE, 3)
    terms = head.discriminator_terms(NonSaturating(), flat(50, 0, 0), flat(-50, 50, 7), flat(9, 9, -50))
    assert terms["realism"].item() == pytest.approx(0.0, abs=1e-6)
    assert terms["pair"].item() == pytest.approx(0.693147 + 50, abs=1e-5)
    assert terms["match"].item() == pytest.approx(0.693147, abs=1e-6)


@pytest.mark.parametrize("weight", [0.0, 0.1, 2.0])
def test_match_weight(weight: float) -> None:
    terms = SeparateHead(SHAPE, 3, match_weight=weight).generator_terms(NonSaturating(), flat(0, 0, 0), None)
    assert terms["match"].item() == pytest.approx(weight * 0.693147, abs=1e-6)
    assert terms["realism"].item() == terms["pair"].item() == pytest.approx(0.693147, abs=1e-6)


def test_without_a_weight_the_match_question_moves_no_picture() -> None:
    features = torch.randn(5, *SHAPE, requires_grad=True)
    head = SeparateHead(SHAPE, 3)
    terms = head.generator_terms(NonSaturating(), head(features, torch.randn(5, 3)), None)
    terms["match"].sum().backward()
    assert features.grad is not None
    assert torch.equal(features.grad, torch.zeros_like(features))


def test_unbiased_is_the_default() -> None:
    assert SeparateHead(SHAPE, 3).match_weight == 0


def test_penalties_see_what_tells_real_from_generated() -> None:
    """The match question compares reals with reals: a penalty would blunt a classifier that is not in the game."""
    assert SeparateHead(SHAPE, 3).critic_logit(flat(1, 2, 100)).item() == 3
    assert JointHead(SHAPE, 3).critic_logit({"pair": torch.tensor([4.0])}).item() == 4


def test_accuracy() -> None:
    positive, negative = torch.tensor([1.0, 2.0, -1.0, 3.0]), torch.tensor([-1.0, 1.0, 1.0, 1.0])
    assert accuracy(positive, negative).item() == pytest.approx((3 / 4 + 1 / 4) / 2)
    assert accuracy(torch.zeros(8), torch.zeros(8)).item() == 0.5


def test_report_tells_which_question_fails() -> None:
    """Realism is hopeless (all logits 0), match is perfect, half of the generated pairs match."""
    real = {name: torch.tensor([0.0, 0.0]) for name in ("realism", "pair")} | {"match": torch.tensor([5.0, 5.0])}
    fake = {**real, "match": torch.tensor([5.0, -5.0])}
    mismatched = {**real, "match": torch.tensor([-5.0, -5.0])}
    report = SeparateHead(SHAPE, 3).report(NonSaturating(), real, fake, mismatched)
    values = {name: round(value.item(), 6) for name, value in report.items()}
    assert values == {
        "divergence": 0.0,
        "realism_divergence": 0.0,
        "realism_accuracy": 0.5,
        "match_accuracy": 1.0,
        "generated_match": 0.5,
    }


def test_a_blind_head_does_not_see_the_condition() -> None:
    torch.manual_seed(0)
    features, conditions = torch.randn(3, *SHAPE), torch.randn(2, 3, 3)
    seen, unseen = (
        [head(features, condition)["pair"] for condition in conditions]
        for head in (JointHead(SHAPE, 3), BlindHead(SHAPE, 3))
    )
    assert torch.equal(*unseen) and not torch.equal(*seen)


def test_accuracy_is_counted_at_the_logit_that_cannot_tell() -> None:
    """Least squares: reals at 0.9 and 0.6, generated at 0.4 and 0.1 are all on their side of 0.5, not of 0."""
    real, fake = torch.tensor([0.9, 0.6]), torch.tensor([0.4, 0.1])
    assert accuracy(real, fake).item() == 0.5
    assert accuracy(real, fake, LeastSquares().undecided).item() == 1.0
