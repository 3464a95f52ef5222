"""Penalties, exactly, on discriminators whose gradient is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ganlab.data.batch import Batch, Condition, Fake
from ganlab.regularizers import (
    DRAGAN,
    R1,
    R2,
    GradientPenalty,
    L1Distance,
    LeCam,
    OneSidedGradientPenalty,
    Regularizer,
    squared_gradient_norm,
)
from ganlab.schedules import HalfCosine

SHAPE = (3, 4, 4)


class Linear(nn.Module):
    """D(x) = w . x, so the gradient is w everywhere."""

    def __init__(self, norm: float) -> None:
        super().__init__()
        weight = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
        self.weight = nn.Parameter(weight * norm / weight.norm())

    def forward(self, images: Tensor, condition: Condition) -> Tensor:
        return (images * self.weight).flatten(1).sum(1)


def pictures(count: int = 6, seed: int = 1) -> tuple[Tensor, Tensor]:
    return torch.randn(2, count, *SHAPE, generator=torch.Generator().manual_seed(seed)).unbind()  # type: ignore[return-value]


def game(real: Tensor, fake: Tensor) -> tuple[Batch, Fake]:
    """What a penalty is given: real images without a condition, and generated ones with latents that none reads."""
    return Batch(real), Fake(fake, torch.zeros(len(fake), 1))


@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_linear_discriminator(norm: float) -> None:
    """R1 = R2 = gamma / 2 ||w||^2, GP = lambda (||w|| - 1)^2, one-sided lambda max(0, ||w|| - 1)^2, a sample."""
    expected = {
        R1: 10 / 2 * norm**2,
        R2: 10 / 2 * norm**2,
        GradientPenalty: 10 * (norm - 1) ** 2,
        OneSidedGradientPenalty: 10 * max(0.0, norm - 1) ** 2,
    }
    for kind, value in expected.items():
        penalty = kind(weight=10.0)(Linear(norm), *game(*pictures()))
        torch.testing.assert_close(penalty, torch.full((6,), value), rtol=1e-5, atol=1e-5)


def test_the_norm_is_over_the_whole_image() -> None:
    """w = 1 everywhere: ||w|| = sqrt(48). Norms per pixel would be sqrt(3), over the batch sqrt(6 x 48)."""
    critic = Linear(48**0.5)
    critic.weight.data.fill_(1.0)
    torch.testing.assert_close(squared_gradient_norm(critic, pictures()[0], None), torch.full((6,), 48.0))


def quadratic(images: Tensor, condition: Condition) -> Tensor:
    """D(x) = ||x||^2 / 2, whose gradient at x is x."""
    return images.flatten(1).square().sum(1) / 2


def test_r1_looks_at_reals_and_r2_at_generated() -> None:
    real, fake = pictures()
    torch.testing.assert_close(R1(2.0)(quadratic, *game(real, fake)), real.flatten(1).square().sum(1))
    torch.testing.assert_close(R2(2.0)(quadratic, *game(real, fake)), fake.flatten(1).square().sum(1))


def test_penalty_points_lie_on_lines_between_real_and_generated() -> None:
    """Real 0, generated 1: all pixels of a point have the same share, and samples have different ones."""
    seen: list[Tensor] = []

    def critic(images: Tensor, condition: Condition) -> Tensor:
        seen.append(images.detach())
        return quadratic(images, condition)

    GradientPenalty(1.0)(critic, *game(torch.zeros(64, *SHAPE), torch.ones(64, *SHAPE)))
    shares = seen[0].flatten(1)
    assert torch.equal(shares, shares[:, :1].expand_as(shares))
    assert shares[:, 0].unique().numel() == 64
    assert 0.35 < shares[:, 0].mean() < 0.65
    assert shares.min() >= 0
    assert shares.max() <= 1


@pytest.mark.parametrize("kind", [R1, R2, GradientPenalty, OneSidedGradientPenalty, DRAGAN])
def test_penalties_train_the_discriminator(kind: type[Regularizer]) -> None:
    """A step against the penalty alone shrinks a slope of 3: its gradient with respect to w is along w.

    R1 at weight 1: d/dw ||w||^2 / 2 = w. The gradient penalties: 2 (||w|| - 1) w / ||w||.
    """
    critic = Linear(3.0)
    kind(1.0)(critic, *game(*pictures())).mean().backward()
    expected = critic.weight if kind in (R1, R2) else 4 * critic.weight / 3
    torch.testing.assert_close(critic.weight.grad, expected.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [GradientPenalty, OneSidedGradientPenalty, DRAGAN])
def test_a_flat_discriminator_has_a_finite_penalty(kind: type[Regularizer]) -> None:
    critic = Linear(1.0)
    critic.weight.data.zero_()
    kind(1.0)(critic, *game(*pictures())).mean().backward()
    assert critic.weight.grad is not None
    assert torch.isfinite(critic.weight.grad).all()


def test_penalties_do_not_reach_the_images() -> None:
    real, fake = (picture.requires_grad_() for picture in pictures())
    for kind in (R1, R2, GradientPenalty, OneSidedGradientPenalty, DRAGAN, LeCam):
        kind(1.0)(Linear(3.0), *game(real, fake)).sum().backward()
    assert real.grad is None
    assert fake.grad is None


def test_penalties_work_where_gradients_are_off() -> None:
    with torch.no_grad():
        penalty = R1(2.0)(Linear(2.0), *game(*pictures()))
    torch.testing.assert_close(penalty, torch.full((6,), 4.0))


@pytest.mark.parametrize("every", [1, 4, 16])
def test_a_lazy_penalty_is_rare_and_heavy(every: int) -> None:
    """Over `every` iterations its sum is that of the eager one."""
    lazy = R1(2.0, every=every)
    eager = R1(2.0)(Linear(3.0), *game(*pictures()))
    assert [i for i in range(32) if lazy.due(i)] == list(range(0, 32, every))
    torch.testing.assert_close(lazy(Linear(3.0), *game(*pictures())), every * eager)


def test_half_precision_generated_pictures() -> None:
    real, fake = pictures()
    for kind in (R1, R2, GradientPenalty, OneSidedGradientPenalty, DRAGAN, LeCam):
        penalty = kind(1.0)(lambda images, _: (images.float() * 2).flatten(1).sum(1), *game(real, fake.bfloat16()))
        assert penalty.dtype == torch.float32
        assert penalty.shape == (6,)


@pytest.mark.parametrize(("weight", "every"), [(-1.0, 1), (1.0, 0)])
def test_impossible_settings(weight: float, every: int) -> None:
    with pytest.raises(ValueError, match="`weight`"):
        R1(weight, every)


# DRAGAN --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1.0, 0.0])
@pytest.mark.parametrize("norm", [0.25, 1.0, 3.0])
def test_dragan_of_a_linear_discriminator(norm: float, k: float) -> None:
    """Its slope is ||w|| everywhere: lambda (||w|| - k)^2."""
    penalty = DRAGAN(10.0, k=k)(Linear(norm), *game(*pictures()))
    torch.testing.assert_close(penalty, torch.full((6,), 10 * (norm - k) ** 2), rtol=1e-4, atol=1e-5)


def test_dragan_looks_around_reals_by_half_their_deviation() -> None:
    """x + a std / 2 u with u in [0, 1) a pixel and a in [0, 1) a sample: E[delta] = std / 8, largest std / 2.

    A sample's mean over 48 pixels is a std / 4, so its spread over samples is that of a: std / 4 / sqrt(12), plus
    1 / 48 of a pixel's variance std^2 / 4 E[a^2] / 12.
    """
    seen: list[Tensor] = []

    def critic(images: Tensor, condition: Condition) -> Tensor:
        seen.append(images.detach())
        return quadratic(images, condition)

    torch.manual_seed(0)
    real, fake = pictures(4096)
    DRAGAN(1.0)(critic, *game(3 * real, fake))
    delta = (seen[0] - 3 * real) / (3 * real).std()
    assert delta.min() >= -1e-6
    assert 0.45 < delta.max() < 0.5
    assert delta.mean().item() == pytest.approx(1 / 8, rel=0.03)
    expected = (1 / 16 / 12 + 1 / 4 / 3 / 12 / 48) ** 0.5
    assert delta.flatten(1).mean(1).std().item() == pytest.approx(expected, rel=0.03)


# LeCam ---------------------------------------------------------------------------------------------------------------


def judge(images: Tensor, condition: Condition) -> Tensor:
    """D(x) = the mean of x."""
    return images.flatten(1).mean(1)


def test_lecam_by_hand() -> None:
    """Anchors are averages of all batch means so far, the newest weighing (1 - d) / (1 - d^t)."""
    lecam, d = LeCam(weight=0.5, every=2, decay=0.8), 0.8
    reals, fakes = [], []
    for seed in range(4):
        real, fake = pictures(seed=seed)
        reals.append(judge(real, None).mean())
        fakes.append(judge(fake, None).mean())
        t = len(reals)
        weights = torch.tensor([(1 - d) * d ** (t - 1 - i) for i in range(t)]) / (1 - d**t)
        of_reals, of_fakes = (weights @ torch.stack(means) for means in (reals, fakes))
        expected = (judge(real, None) - of_fakes) ** 2 + (judge(fake, None) - of_reals) ** 2
        torch.testing.assert_close(lecam(judge, *game(real, fake)), 0.5 * 2 * expected)
        torch.testing.assert_close(lecam.anchors, torch.stack([of_reals, of_fakes]))


def test_lecam_of_a_linear_discriminator_trains_it_but_not_the_images() -> None:
    """First call: anchors are the batch's means m_R, m_F, held fixed. d/dw (w x - m_F)^2 = 2 (w x - m_F) x."""
    critic = Linear(2.0)
    real, fake = (picture.requires_grad_() for picture in pictures())
    LeCam(1.0)(critic, *game(real, fake)).mean().backward()
    judged = [critic(images, None).detach() for images in (real, fake)]
    parts = [
        2 * (logit - other.mean())[:, None, None, None] * images.detach()
        for logit, other, images in ((judged[0], judged[1], real), (judged[1], judged[0], fake))
    ]
    torch.testing.assert_close(critic.weight.grad, (parts[0] + parts[1]).mean(0))
    assert real.grad is None and fake.grad is None


def test_lecam_remembers_through_a_checkpoint() -> None:
    first, second = LeCam(1.0), LeCam(1.0)
    for seed in range(3):
        first(judge, *game(*pictures(seed=seed)))
    second.load_state_dict(first.state_dict())
    torch.testing.assert_close(first(judge, *game(*pictures())), second(judge, *game(*pictures())), rtol=0, atol=0)
    assert first.calls.item() == 4
    assert not [*first.parameters()]


@pytest.mark.parametrize("decay", [-0.1, 1.0])
def test_impossible_memories(decay: float) -> None:
    with pytest.raises(ValueError, match="`decay`"):
        LeCam(1.0, decay=decay)


def test_a_weight_may_be_a_schedule_of_iterations() -> None:
    """Half of 4 iterations from 8 to 2 is 5; every second iteration, so twice as heavy: 5 x 2 x ||w||^2 / 2."""
    penalty = R1(weight=HalfCosine(8.0, 2.0, end=4), every=2)
    given = penalty(Linear(3.0), *game(*pictures()), 2)
    torch.testing.assert_close(given, torch.full((6,), 5 * 2 * 9 / 2))


def test_the_l1_distance_is_the_mean_over_the_picture() -> None:
    real, fake = pictures()
    batch = Batch(real, ["a picture"] * len(real))
    found = L1Distance(weight=3.0)(Linear(1.0), batch, Fake(fake, torch.zeros(len(fake), 1)))
    expected = [
        3.0 * sum(abs(a - b) for a, b in zip(*pair, strict=True)) / real[0].numel() for pair in rows(real, fake)
    ]
    torch.testing.assert_close(found, torch.tensor(expected), rtol=1e-5, atol=1e-5)


def rows(*images: Tensor) -> list[tuple[list[float], ...]]:
    return [*zip(*(each.flatten(1).tolist() for each in images), strict=True)]


def test_the_l1_distance_leaves_out_conditions_of_several_pictures() -> None:
    real, fake = pictures(4)
    penalty, latents = L1Distance(weight=1.0), torch.zeros(4, 1)
    every = penalty(Linear(1.0), Batch(real, ["a", "b", "a", "c"]), Fake(fake, latents))
    alone = torch.tensor([False, True, False, True])
    some = penalty(Linear(1.0), Batch(real, ["a", "b", "a", "c"], alone=alone), Fake(fake, latents))
    assert every.min() > 0
    assert torch.equal(some, torch.where(alone, every, 0))
