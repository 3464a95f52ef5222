"""Perturbations: what they do to each sample, that gradients and gradient penalties go through, what they remember."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise, product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from ganlab.core.members import Members
from ganlab.errors import UserError
from ganlab.perturbations import (
    AdaptiveAugmentation,
    DiffAugment,
    InstanceNoise,
    Perturbation,
    ScheduledAugmentation,
    pictures,
)
from ganlab.schedules import HalfCosine
from tests.components import components, examples

NOBODY = torch.empty(0)


def made(kind: type[Perturbation]) -> Perturbation:
    (perturbation,) = examples(kind)
    assert isinstance(perturbation, kind)
    return perturbation


TUNED = (InstanceNoise, DiffAugment, AdaptiveAugmentation, ScheduledAugmentation)
"""Those that the contract meets at their strongest; any other is met with its own settings."""
KINDS: dict[str, Callable[[], Perturbation]] = {
    "noise": lambda: InstanceNoise(0.3),
    "diffaugment": DiffAugment,
    "adaptive": lambda: certain(AdaptiveAugmentation()),
    "scheduled": lambda: ScheduledAugmentation(p=1.0),
}
KINDS |= {kind.__name__: partial(made, kind) for kind in components(Perturbation) if kind not in TUNED}
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def certain(augmentation: AdaptiveAugmentation, p: float = 1.0) -> AdaptiveAugmentation:
    augmentation.p.fill_(p)
    return augmentation


def only(wanted: str, p: float = 1.0) -> AdaptiveAugmentation:
    """One group of operations."""
    groups = ("flip", "rotation", "translation", "scale", "color", "cutout")
    return certain(AdaptiveAugmentation(**{group: group == wanted for group in groups}), p)


def again(perturbation: Perturbation, images: Tensor) -> Tensor:
    """With the same random numbers every time."""
    torch.manual_seed(1)
    return perturbation(images)


# What all promise ----------------------------------------------------------------------------------------------------


@kinds
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 8, 8), (4, 6, 6), (6, 9, 9), (2, 5, 5)])
def test_shapes_are_kept_and_numbers_fresh(make: Callable[[], Perturbation], shape: tuple[int, ...]) -> None:
    perturbation, images = make(), torch.rand(5, *shape) * 2 - 1
    first, second = perturbation(images), perturbation(images)
    assert first.shape == second.shape == images.shape
    assert torch.isfinite(first).all()
    assert not torch.equal(first, second)
    assert torch.equal(again(perturbation, images), again(perturbation, images))


@kinds
def test_each_sample_has_numbers_of_its_own(make: Callable[[], Perturbation]) -> None:
    """Copies of one picture come out different, and a sample does not depend on the others in its batch."""
    perturbation, images = make(), torch.randn(8, 3, 8, 8)
    same = perturbation(images[:1].expand(8, -1, -1, -1))
    assert all(not torch.equal(a, b) for a, b in pairwise(same))
    others = torch.cat([images[:1], torch.randn(7, 3, 8, 8)])
    assert torch.equal(again(perturbation, images)[0], again(perturbation, others)[0])


@kinds
def test_gradients_and_their_gradients_reach_the_images(make: Callable[[], Perturbation]) -> None:
    """By finite differences, in double precision. A slope of a nonlinear critic behind it is differentiated twice."""
    perturbation = make()
    images = torch.randn(3, 3, 4, 4, dtype=torch.float64, requires_grad=True)

    def judged(images: Tensor) -> Tensor:
        return again(perturbation, images).tanh().flatten(1).sum(1)

    assert torch.autograd.gradcheck(judged, images)
    assert torch.autograd.gradgradcheck(judged, images)


@kinds
def test_using_it_changes_nothing_in_it(make: Callable[[], Perturbation]) -> None:
    """In the other player's turn it works on copies of its buffers, to the same effect, in evaluation mode too."""
    perturbation, images = make(), torch.randn(3, 3, 8, 8)
    before = copy.deepcopy(perturbation.state_dict())
    expected = again(perturbation, images)
    with Members(perturbation).frozen():
        assert torch.equal(again(perturbation, images), expected)
    assert torch.equal(again(perturbation.eval(), images), expected)
    assert perturbation.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in perturbation.state_dict().items())


@kinds
def test_half_precision_pictures(make: Callable[[], Perturbation]) -> None:
    images = torch.randn(3, 3, 8, 8)
    perturbed = again(make(), images.bfloat16())
    assert torch.isfinite(perturbed).all()
    if not isinstance(make(), InstanceNoise):  # which draws as many bits as the images have
        torch.testing.assert_close(perturbed, again(make(), images.bfloat16().float()))


@pytest.mark.parametrize("name", ["diffaugment", "adaptive"])
def test_points_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(UserError, match=rf"^`perturbation={name}` changes pictures .*, got shape \(5, 2\): "):
        KINDS[name]()(torch.randn(5, 2))


# Instance noise ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 8, 8), (2,)])
def test_noise_is_normal_with_the_deviation_it_says(shape: tuple[int, ...]) -> None:
    """Mean 0, deviation 0.3, normal kurtosis 3, no correlation between samples; 4 standard errors each."""
    images = torch.randn(1, *shape).expand(40_000 // math.prod(shape), *shape)
    noise = (InstanceNoise(0.3)(images) - images).flatten()
    count = len(noise)
    assert noise.mean().item() == pytest.approx(0, abs=4 * 0.3 / count**0.5)
    assert noise.std().item() == pytest.approx(0.3, rel=4 / (2 * count) ** 0.5)
    assert (noise / 0.3).pow(4).mean().item() == pytest.approx(3, abs=4 * (96 / count) ** 0.5)
    assert (noise[1:] * noise[:-1]).mean().item() == pytest.approx(0, abs=4 * 0.09 / count**0.5)


def test_noise_falls_linearly_to_nothing() -> None:
    noise, images = InstanceNoise(0.4, until=1000), torch.randn(4, 2)
    seen = []
    for images_seen in (0, 250, 500, 1000, 2000):
        noise.advance(images_seen, NOBODY, NOBODY)
        seen.append(noise.sigma.item())
    assert seen == pytest.approx([0.4, 0.3, 0.2, 0, 0])
    assert torch.equal(noise(images), images)


def test_noise_without_an_end_stays() -> None:
    noise = InstanceNoise(0.4)
    noise.advance(10**9, NOBODY, NOBODY)
    assert noise.sigma.item() == pytest.approx(0.4)
    assert noise.listens_every is None


def test_a_checkpoint_knows_how_much_noise_is_left() -> None:
    noise, other = InstanceNoise(0.4, until=1000), InstanceNoise(0.4, until=1000)
    noise.advance(250, NOBODY, NOBODY)
    other.load_state_dict(noise.state_dict())
    assert other.sigma.item() == pytest.approx(0.3)


@pytest.mark.parametrize(("settings", "name"), [({"sigma": -0.1}, "sigma"), ({"sigma": 1.0, "until": 0}, "until")])
def test_impossible_noise(settings: dict[str, float], name: str) -> None:
    with pytest.raises(UserError, match=rf"^`{name}` must be at least "):
        InstanceNoise(**settings)  # type: ignore[arg-type]


# What is done to pictures --------------------------------------------------------------------------------------------


def test_shifting_by_hand() -> None:
    """out[i, j] = in[i - down, j - right], and 0 where there is no such pixel; further than the picture too."""
    images, down, right = torch.randn(4, 2, 3, 5), torch.tensor([0, 1, -2, 3]), torch.tensor([0, -1, 4, 0])
    expected = torch.zeros_like(images)
    for n, i, j in product(range(4), range(3), range(5)):
        row, column = i - int(down[n]), j - int(right[n])
        if 0 <= row < 3 and 0 <= column < 5:
            expected[n, :, i, j] = images[n, :, row, column]
    assert torch.equal(pictures.shift(images, down, right), expected)


def test_shifting_into_the_mirror() -> None:
    """The same as cutting the shifted window out of a picture with mirrored margins."""
    images, down, right = torch.randn(3, 2, 4, 5), torch.tensor([0, 1, -2]), torch.tensor([2, -1, 0])
    wide = F.pad(images, (3, 3, 3, 3), mode="reflect")
    expected = [wide[n, :, 3 - int(down[n]) :, 3 - int(right[n]) :][:, :4, :5] for n in range(3)]
    assert torch.equal(pictures.shift_mirrored(images, down, right), torch.stack(expected))


def test_zooming_is_bilinear_sampling() -> None:
    """torch's own sampler with corners aligned and mirrored margins, which cannot be differentiated twice."""
    images, factor = torch.randn(4, 2, 5, 8), torch.tensor([1.0, 2.0, 0.6, 1.3])
    theta = torch.zeros(4, 2, 3)
    theta[:, 0, 0] = theta[:, 1, 1] = 1 / factor
    grid = F.affine_grid(theta, [4, 2, 5, 8], align_corners=True)
    expected = F.grid_sample(images, grid, padding_mode="reflection", align_corners=True)
    torch.testing.assert_close(pictures.zoom(images, factor), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(pictures.zoom(images, factor)[0], images[0])


@pytest.mark.parametrize("size", [1, 2, 5])
def test_places_bounce_at_the_first_and_the_last_pixel(size: int) -> None:
    line = list(range(size))
    there_and_back = line + line[-2:0:-1]
    places = torch.arange(-12, 12)
    expected = [there_and_back[int(place) % len(there_and_back)] for place in places]
    assert pictures.bounce(places, size).tolist() == expected


def test_turning_and_mirroring() -> None:
    images = torch.randn(4, 2, 3, 3)
    turned = pictures.turn(images, torch.tensor([0, 1, 2, 3]))
    assert torch.equal(turned, torch.stack([torch.rot90(image, k, (1, 2)) for k, image in enumerate(images)]))
    mirrored = pictures.mirror(images, torch.tensor([True, False, True, False]))
    assert torch.equal(mirrored[::2], images[::2].flip(3))
    assert torch.equal(mirrored[1::2], images[1::2])


def test_erasing_by_hand() -> None:
    """Rows 1 <= i < 3 and columns -1 <= j < 2; fractions: 0.5 <= i < 2.5."""
    images = torch.ones(2, 1, 4, 4)
    erased = pictures.erase(images, torch.tensor([1.0, 0.5]), torch.tensor([-1.0, 2.0]), 2, 3)
    assert (erased[0, 0] == 0).nonzero().tolist() == [[1, 0], [1, 1], [2, 0], [2, 1]]
    assert (erased[1, 0] == 0).nonzero().tolist() == [[1, 2], [1, 3], [2, 2], [2, 3]]


def test_colors_by_hand() -> None:
    """One pixel (0.2, 0.4, 0.9), grey 0.5: saturation 2 doubles the way from grey, 0 leaves grey."""
    pixel = torch.tensor([0.2, 0.4, 0.9]).view(1, 3, 1, 1)
    torch.testing.assert_close(pictures.saturate(pixel, torch.tensor([2.0])).flatten(), torch.tensor([-0.1, 0.3, 1.3]))
    torch.testing.assert_close(pictures.saturate(pixel, torch.tensor([0.0])).flatten(), torch.full((3,), 0.5))
    grey = torch.randn(1, 1, 4, 4)
    torch.testing.assert_close(pictures.saturate(grey, torch.tensor([2.0])), grey)
    images = torch.randn(2, 3, 4, 4)
    more = pictures.contrast(images, torch.tensor([0.5, 1.5]))
    torch.testing.assert_close(more.mean((1, 2, 3)), images.mean((1, 2, 3)))
    torch.testing.assert_close(more.flatten(1).std(1), images.flatten(1).std(1) * torch.tensor([0.5, 1.5]))


def test_pictures_beside_each_other_are_treated_alike() -> None:
    """Six channels are two pictures: each comes out as it would alone, with the same numbers."""
    first, second = torch.randn(2, 4, 3, 8, 8)
    for make in (DiffAugment, KINDS["adaptive"]):
        both = again(make(), torch.cat([first, second], 1))
        torch.testing.assert_close(both[:, :3], again(make(), first))
        torch.testing.assert_close(both[:, 3:], again(make(), second))


# DiffAugment ---------------------------------------------------------------------------------------------------------


def test_the_parts_of_the_policy() -> None:
    """Nothing chosen is nothing done; colors keep an edge where it is; translation and cutout keep levels."""
    images = torch.rand(64, 3, 16, 16) + 0.5
    assert torch.equal(DiffAugment(color=False, translation=False, cutout=False)(images), images)
    colored = DiffAugment(translation=False, cutout=False)(images)
    assert not (colored == images).flatten(1).all(1).any()
    flat = DiffAugment(translation=False, cutout=False)(torch.zeros(64, 3, 4, 4)).flatten(1)
    assert torch.equal(flat, flat[:, :1].expand_as(flat))
    assert flat.min() >= -0.5 and flat.max() <= 0.5 and flat[:, 0].std().item() == pytest.approx(12**-0.5, rel=0.25)
    moved = DiffAugment(color=False)(images)
    kept = moved[moved != 0]
    assert torch.isin(kept, images).all()


def test_translations_reach_an_eighth_and_are_even() -> None:
    """16 pixels: from -2 to 2, each a fifth of the time, down and right apart."""
    images = torch.zeros(5000, 1, 16, 16)
    images[:, 0, 8, 8] = 1
    moved = DiffAugment(color=False, cutout=False)(images)
    places = moved[:, 0].nonzero()[:, 1:] - 8
    assert len(places) == 5000
    pairs, counts = places.unique(dim=0, return_counts=True)
    assert pairs.tolist() == [[i, j] for i in range(-2, 3) for j in range(-2, 3)]
    assert counts.min() > 200 - 5 * 14 and counts.max() < 200 + 5 * 14


def test_a_cutout_is_half_a_side_and_anywhere() -> None:
    """8 pixels, square of 4, middle m from 0 to 8: rows max(0, m - 2) to min(8, m + 2), so 2, 3, 4 x 5, 3, 2 of them.

    Its mean number of rows is 30 / 9, and as many columns.
    """
    holes = DiffAugment(color=False, translation=False)(torch.ones(9000, 1, 8, 8)) == 0
    rows, columns = holes[:, 0].any(2), holes[:, 0].any(1)
    assert torch.equal(holes[:, 0], rows[:, :, None] & columns[:, None, :])
    for hit in (rows, columns):
        sizes = hit.sum(1)
        assert sizes.unique().tolist() == [2, 3, 4]
        assert sizes.float().mean().item() == pytest.approx(30 / 9, abs=0.03)
        assert hit[:, 0].float().mean().item() == pytest.approx(3 / 9, abs=0.02)


# Adaptive augmentation -----------------------------------------------------------------------------------------------


def test_it_starts_with_nothing() -> None:
    images = torch.randn(16, 3, 8, 8)
    assert torch.equal(AdaptiveAugmentation()(images), images)


def test_p_follows_the_signs_of_pairs() -> None:
    """All pairs in order: r = 1 > 0.6, p rises by images / speed. Three of four: r = (3 - 1) / 4 = 0.5, p falls."""
    ada = certain(AdaptiveAugmentation(speed=1000), 0.5)
    assert ada.listens_every == 4
    fake = torch.tensor([0.0, 5.0, -3.0, 2.0])
    ada.advance(100, fake + 1, fake)
    assert ada.p.item() == pytest.approx(0.6)
    ada.advance(150, fake + torch.tensor([1.0, 1.0, 1.0, -1.0]), fake)
    assert ada.p.item() == pytest.approx(0.55)
    ada.advance(350, NOBODY, NOBODY)
    assert ada.p.item() == pytest.approx(0.55)
    ada.advance(400, fake - 1, fake)
    assert ada.p.item() == pytest.approx(0.3)


def test_p_ignores_a_constant_added_to_all_logits() -> None:
    real, fake = torch.randn(2, 64)
    first, second = AdaptiveAugmentation(target=-0.5), AdaptiveAugmentation(target=-0.5)
    first.advance(1000, real, fake)
    second.advance(1000, real + 100, fake + 100)
    assert first.p.item() == second.p.item() > 0


def test_p_stays_a_probability() -> None:
    ada, high, low = AdaptiveAugmentation(speed=100), torch.ones(4), torch.zeros(4)
    ada.advance(50, low, high)
    assert ada.p.item() == 0
    ada.advance(500, high, low)
    assert ada.p.item() == 1


def test_p_at_the_target_stands_still() -> None:
    """Three of four pairs in order: r = 0.5."""
    ada = certain(AdaptiveAugmentation(target=0.5), 0.5)
    ada.advance(1000, torch.tensor([1.0, 1.0, 1.0, -1.0]), torch.zeros(4))
    assert ada.p.item() == 0.5


def test_p_is_the_share_of_samples_that_an_operation_changes() -> None:
    """A cutout always hits something; 4 standard errors of 4,000 samples."""
    images = torch.ones(4000, 1, 8, 8)
    changed = (only("cutout", 0.3)(images) != images).flatten(1).any(1)
    assert changed.float().mean().item() == pytest.approx(0.3, abs=4 * (0.21 / 4000) ** 0.5)


def test_operations_are_chosen_independently() -> None:
    """Brightness and cutout at p = 1/2: the grey level of the hole's surroundings says nothing about the hole."""
    ada = certain(AdaptiveAugmentation(flip=False, rotation=False, translation=False, scale=False), 0.5)
    images = ada(torch.zeros(8000, 1, 8, 8) + 0.25)
    hole = (images == 0).flatten(1).any(1).float()
    recolored = (images != 0.25).logical_and(images != 0).flatten(1).any(1).float()
    both = (hole * recolored).mean().item()
    assert both == pytest.approx(hole.mean().item() * recolored.mean().item(), abs=0.02)
    assert hole.mean().item() == pytest.approx(0.5, abs=0.025)
    assert recolored.mean().item() == pytest.approx(0.75, abs=0.02)  # contrast or brightness; saturation does nothing


@pytest.mark.parametrize("group", ["flip", "rotation"])
def test_turns_and_reflections_are_even(group: str) -> None:
    """A corner goes to each of the 2, or 4, corners equally often."""
    images = torch.zeros(4000, 1, 6, 6)
    images[:, 0, 0, 0] = 1
    corners = only(group)(images)[:, 0, ::5, ::5].flatten(1).mean(0)
    expected = [0.5, 0.5, 0, 0] if group == "flip" else [0.25] * 4
    assert corners.tolist() == pytest.approx(expected, abs=4 * 0.5 / 4000**0.5)


def test_adaptive_translations_reach_an_eighth() -> None:
    """round(16 U[-1/8, 1/8]): 0 and +-1 a fourth of the time each, +-2 an eighth, down and right apart."""
    images = torch.zeros(4000, 1, 16, 16)
    images[:, 0, 8, 8] = 1
    places = only("translation")(images)[:, 0].nonzero()[:, 1:] - 8
    assert len(places) == 4000
    for axis in places.T:
        shares = torch.bincount(axis + 2) / 4000
        assert shares.tolist() == pytest.approx([1 / 8, 1 / 4, 1 / 4, 1 / 4, 1 / 8], abs=0.03)


def test_adaptive_strengths() -> None:
    """Brightness N(0, 0.2^2); zoom 2^N(0, 0.2^2), seen as the slope of a ramp, of mean log2 0 and deviation 0.2."""
    levels = only("color")(torch.zeros(8000, 1, 2, 2))[:, 0, 0, 0]
    contrast = torch.exp2(torch.randn(100_000) * 0.5).square().mean().sqrt().item()  # applied after brightness
    assert levels.std().item() == pytest.approx(0.2 * contrast, rel=0.05)
    ramp = torch.linspace(-1, 1, 9).expand(4000, 1, 9, 9)
    zoomed = only("scale")(ramp)[:, 0, 4]
    slopes = ((zoomed[:, 5] - zoomed[:, 3]) / 0.5).log2()
    assert slopes.mean().item() == pytest.approx(0, abs=0.02)
    assert slopes.std().item() == pytest.approx(0.2, rel=0.05)


def test_pictures_to_turn_must_be_square() -> None:
    with pytest.raises(UserError, match=r"^`rotation` turns square pictures, got \(3, 4, 8\): pass rotation=false$"):
        only("rotation")(torch.zeros(2, 3, 4, 8))
    assert only("translation")(torch.zeros(2, 3, 4, 8)).shape == (2, 3, 4, 8)


def test_a_checkpoint_knows_p_and_when_it_last_moved() -> None:
    ada, other = AdaptiveAugmentation(speed=1000), AdaptiveAugmentation(speed=1000)
    ada.advance(100, torch.ones(2), torch.zeros(2))
    other.load_state_dict(ada.state_dict())
    for each in (ada, other):
        each.advance(300, torch.ones(2), torch.zeros(2))
    assert ada.p.item() == other.p.item() == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("settings", "name"), [({"target": 1.0}, "target"), ({"speed": 0}, "speed"), ({"every": 0}, "speed")]
)
def test_impossible_adaptation(settings: dict[str, float], name: str) -> None:
    with pytest.raises(UserError, match=rf"^`{name}` must be "):
        AdaptiveAugmentation(**settings)  # type: ignore[arg-type]


def test_planned_augmentation_follows_its_schedule_and_is_saved() -> None:
    """Half a cosine from 0 to 0.6 over 100 images: 0, 0.3 in the middle, 0.6 from the end on."""
    planned = ScheduledAugmentation(p=HalfCosine(0.0, 0.6, end=100))
    images = torch.rand(4, 3, 8, 8)
    assert torch.equal(planned(images), images)
    for seen, p in ((50, 0.3), (100, 0.6), (500, 0.6)):
        planned.advance(seen, NOBODY, NOBODY)
        assert planned.p.item() == pytest.approx(p)
    other = ScheduledAugmentation(p=HalfCosine(0.0, 0.6, end=100))
    other.load_state_dict(planned.state_dict())
    assert other.p == planned.p


def test_a_plan_beyond_certainty_is_refused() -> None:
    with pytest.raises(UserError, match=r"^`p` must be a probability from 0 to 1, got 0.0 to 1.2$"):
        ScheduledAugmentation(p=HalfCosine(0.0, 1.2, end=100))
