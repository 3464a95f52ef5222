"""Heads that attend to words: against loops over single captions, and in games that recipes compose."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from ganlab.config.recipe import compose
from ganlab.core.assembly import make_module
from ganlab.data.base import DataSpec
from ganlab.data.batch import Batch, Fake
from ganlab.errors import UserError
from ganlab.networks import dcgan, mlp, projected, r3gan, resnet
from ganlab.networks.attention import WordAttention, Words, reading, word_layers
from ganlab.networks.blocks import NoNorm
from ganlab.networks.conditional import ConditionalDiscriminator, Encoded
from ganlab.networks.conditioning import ClassEmbedding
from ganlab.networks.heads import Head, JointHead, ProjectionHead, SeparateHead
from ganlab.networks.logits import PairLogit
from ganlab.networks.text import WordEncoder
from ganlab.objectives import NonSaturating, RelativisticPairing
from ganlab.regularizers import R1
from tests.components import components

WIDTH = 6  # numbers of a word's state
CAPTIONS = ("apple", "a red apple", "", "red red red apple a")
OTHERS = ("a blue apple", "", "apple apple", "blue")
KINDS = [kind for kind in components(Head) if "word_dim" in inspect.signature(kind).parameters]
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
TRUNKS: dict[str, Callable[[], nn.Module]] = {
    "dcgan": lambda: dcgan.Trunk((1, 16, 16), width=8, normalization=NoNorm()),
    "resnet": lambda: resnet.Trunk((1, 16, 16), width=8, attention=[8]),
    "r3gan": lambda: r3gan.Trunk((1, 16, 16), width=8, group=4),
    "mlp": lambda: mlp.Trunk((1, 16, 16), width=8),
    "projected": lambda: projected.Trunk((1, 16, 16), side=32, width=4, mixed=4),
}


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def awake(judge: nn.Module) -> nn.Module:
    """The attention as it is after training: its weight starts at 0."""
    for layer in word_layers(judge):
        nn.init.constant_(layer.gamma, 0.7)
    return judge.eval()


def made(kind: Callable[..., Head], trunk: str = "resnet") -> ConditionalDiscriminator:
    encoder = WordEncoder(["a", "red", "blue", "apple"], 4, width=WIDTH)
    judge = ConditionalDiscriminator(TRUNKS[trunk](), encoder, lambda **shapes: kind(**shapes, word_dim=WIDTH))
    awake(judge)
    return judge


def images(count: int = len(CAPTIONS)) -> Tensor:
    return torch.rand(count, 1, 16, 16) * 2 - 1


def test_every_head_that_reads_the_condition_can_attend_to_words() -> None:
    assert {JointHead, ProjectionHead, SeparateHead} == set(KINDS)


def test_a_pair_logit_against_loops() -> None:
    """Softmax over the words of each position, one caption and one word after the other, without padding."""
    logit = PairLogit((8, 2, 3), 5, WIDTH)
    awake(logit)
    lengths, x, embedding = (2, 4, 1), torch.randn(3, 8, 2, 3), torch.randn(3, 5)
    states, mask = torch.randn(3, 4, WIDTH), torch.arange(4) < torch.tensor(lengths)[:, None]
    with reading(logit, (states, mask)):
        together = logit(x, embedding)
    layer = logit.attention
    attended = x.clone()
    for n, length in enumerate(lengths):
        for i in range(2):
            for j in range(3):
                query = layer.query.weight[:, :, 0, 0] @ x[n, :, i, j]
                scores = [(query @ (layer.key.weight @ states[n, word])).exp() for word in range(length)]
                mean = sum(s * (layer.value.weight @ states[n, word]) for word, s in enumerate(scores)) / sum(scores)
                attended[n, :, i, j] += 0.7 * layer.out.weight[:, :, 0, 0] @ mean
    plain = PairLogit((8, 2, 3), 5)
    plain.load_state_dict({name: value for name, value in logit.state_dict().items() if "attention" not in name})
    torch.testing.assert_close(together, plain(attended, embedding), rtol=1e-4, atol=1e-5)


@kinds
@pytest.mark.parametrize("trunk", TRUNKS)
def test_terms_are_those_of_a_loop_over_samples(kind: Callable[..., Head], trunk: str) -> None:
    """Captions of 1, 3, 0 and 5 words with mismatched ones of 3, 0, 2 and 1: alone, none of them is padded."""
    judge, real, drawn = made(kind, trunk), images(), images()
    objective = RelativisticPairing()

    def terms(rows: slice) -> dict[str, Tensor]:
        batch = Batch(real[rows], CAPTIONS[rows], OTHERS[rows])
        fake = Fake(drawn[rows], torch.zeros(len(batch), 1))
        own, theirs = (
            judge.own_terms(objective, batch, fake),
            judge.generator_terms(objective, batch, fake),
        )
        critic = {"critic": judge.critic_logit(batch.images, batch.condition)}
        return {**{f"d {n}": t for n, t in own.items()}, **{f"g {n}": t for n, t in theirs.items()}, **critic}

    together, alone = terms(slice(None)), [terms(slice(i, i + 1)) for i in range(len(CAPTIONS))]
    for name, values in together.items():
        torch.testing.assert_close(values, torch.cat([one[name] for one in alone]), rtol=1e-4, atol=1e-5)


@kinds
def test_padding_changes_nothing(kind: Callable[..., Head]) -> None:
    """Neither its content nor its length, in logits and in gradients."""
    judge, pictures = made(kind), images()
    embedding, (states, mask) = judge.encode(CAPTIONS)
    longer = torch.cat([states.masked_fill(~mask[:, :, None], 1e3), 1e3 * torch.ones(4, 3, WIDTH)], 1).detach()
    longer.requires_grad_(True)
    wider = torch.cat([mask, torch.zeros(4, 3, dtype=torch.bool)], 1)
    expected, found = judge(pictures, Encoded(embedding, (states, mask)), Encoded(embedding, (longer, wider)))
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values)
    (gradient,) = torch.autograd.grad(found["pair"].square().sum(), longer)
    assert not gradient[~wider].any() and gradient[wider].any(1).all()


@kinds
def test_gradients_reach_trunk_and_encoder_through_the_words(kind: Callable[..., Head]) -> None:
    """With a constant embedding, what the encoder learns comes from the words' states alone."""
    judge, pictures = made(kind, "dcgan"), images().requires_grad_(True)
    embedding, words = judge.encode(CAPTIONS)
    (logits,) = judge(pictures, Encoded(embedding.detach(), words))
    sum((values * torch.randn(4)).sum() for values in logits.values()).backward()
    encoder = [judge.encoder.table.own.weight, *judge.encoder.reader.parameters()]
    reached = [*judge.trunk.parameters(), *encoder, pictures]
    assert all(one.grad is not None and one.grad.any() for one in reached)
    assert judge.encoder.linear.weight.grad is None
    assert all(p.grad.any() for layer in word_layers(judge) for p in (layer.key.weight, layer.value.weight))


@kinds
def test_it_starts_as_the_head_without_words(kind: Callable[..., Head]) -> None:
    judge, pictures = made(kind), images()
    for layer in word_layers(judge):
        nn.init.zeros_(layer.gamma)
    plain = ConditionalDiscriminator(judge.trunk, judge.encoder, kind)
    state = {name: value for name, value in judge.head.state_dict().items() if "attention" not in name}
    plain.head.load_state_dict(state)
    expected, found = plain.logits(pictures, CAPTIONS), judge.logits(pictures, CAPTIONS)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_realism_is_judged_without_words() -> None:
    """Other words with the same embedding change pair and match, and no bit of realism."""
    judge, pictures = made(SeparateHead), images()
    embedding, words = judge.encode(CAPTIONS)
    _, others = judge.encode(OTHERS)
    one, other = judge(pictures, Encoded(embedding, words), Encoded(embedding, others))
    assert torch.equal(one["realism"], other["realism"])
    assert (one["pair"] != other["pair"]).all() and (one["match"] != other["match"]).all()


def test_the_trunk_runs_once_for_a_pair_and_its_mismatch() -> None:
    """Perturbations are then the same for both, and attention in the head costs no second pass."""
    judge, passes = made(SeparateHead), []
    judge.trunk.register_forward_hook(lambda *_: passes.append(1))
    judge.own_terms(NonSaturating(), Batch(images(), CAPTIONS, OTHERS), Fake(images(), torch.zeros(4, 1)))
    assert len(passes) == 2  # of real and of generated pictures


@kinds
@pytest.mark.parametrize("trunk", ["resnet", "projected"])
def test_gradient_penalties(kind: Callable[..., Head], trunk: str) -> None:
    """R1 is half the squared gradient of each picture with its own caption, and it trains the attention."""
    judge, pictures = made(kind, trunk), images()
    batch, fake = Batch(pictures, CAPTIONS, OTHERS), Fake(pictures, torch.zeros(4, 1))
    penalty = R1(1.0)(judge.critic_logit, batch, fake)
    for i, caption in enumerate(CAPTIONS):
        x = pictures[i : i + 1].clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(judge.critic_logit(x, [caption]).sum(), x)
        torch.testing.assert_close(penalty[i], gradient.square().sum() / 2, rtol=1e-4, atol=1e-7)
    penalty.sum().backward()
    used = [layer for name, layer in judge.named_modules() if isinstance(layer, WordAttention) and "match" not in name]
    assert used and all(layer.value.weight.grad.any() and layer.gamma.grad.any() for layer in used)


def test_second_derivatives() -> None:
    logit = PairLogit((8, 1, 2), 3, WIDTH).double()
    awake(logit)
    words: Words = (torch.randn(2, 3, WIDTH, dtype=torch.float64), torch.tensor([[True] * 3, [True, False, False]]))
    x, embedding = torch.randn(2, 8, 1, 2, dtype=torch.float64, requires_grad=True), torch.randn(2, 3).double()
    with reading(logit, words):
        assert torch.autograd.gradgradcheck(lambda x: logit(x, embedding), x)


def test_words_of_another_size_are_refused() -> None:
    trunk, words = TRUNKS["resnet"](), WordEncoder(["a"], 4, width=8)
    with pytest.raises(UserError, match=r"^`head.word_dim` needs .* 6 numbers, got 8: pass condition=words"):
        ConditionalDiscriminator(trunk, words, lambda **shapes: JointHead(**shapes, word_dim=WIDTH))
    with pytest.raises(UserError, match="got one without words"):
        ConditionalDiscriminator(trunk, ClassEmbedding(3, 4), lambda **shapes: JointHead(**shapes, word_dim=WIDTH))


# From recipes --------------------------------------------------------------------------------------------------------

SPEC = DataSpec((3, 16, 16), "text", vocabulary=("thing", "0", "1"), captions=("thing 0", "thing 1"))
GAME = ("recipe=cgan_text2img", "latent_dim=4", "batch_size=4", "average.ramp=1")
WORDS = ("condition=words", "head.word_dim=128")
LIGHT = ("network.generator.width=4", "network.discriminator.width=8")
GAMES = {
    "light": (*GAME, *WORDS, *LIGHT),
    "light-joint": (*GAME, *WORDS, *LIGHT, "head=joint"),
    "light-projection": (*GAME, *WORDS, *LIGHT, "head=projection"),
    "relativistic": (*GAME, *WORDS, *LIGHT, "objective=relativistic", "regularizer=[r1,r2]"),
    "sentence": (*GAME, "condition=sentence", "head.word_dim=384", *LIGHT),
    "compiled-names": (*GAME, *WORDS, *LIGHT, "constraint=spectral_norm", "minibatch_deviation=2"),
    "projected": (*GAME, *WORDS, *LIGHT, "network=projected", "network.discriminator.side=32"),
    "both-players": (
        *(*GAME, *WORDS, "network=resnet", *LIGHT),
        *("network.generator.word_attention=[8]", "network.generator.word_dim=128"),
    ),
}


@pytest.mark.parametrize("words", GAMES.values(), ids=GAMES.keys())
def test_a_composed_game_trains_the_attention(words: tuple[str, ...], trainer: Callable, noise: Callable) -> None:
    """The weight of the attention moves at once, and then keys and values do; nothing becomes infinite."""
    module = make_module(compose(*words), SPEC)
    before = copy.deepcopy(module.discriminator.head.state_dict())
    trainer(4).fit(module, datamodule=noise(shape=(3, 16, 16), captions=2, count=8))
    after = module.discriminator.head.state_dict()
    assert all(tensor.isfinite().all() for tensor in after.values())
    attention = [name for name in after if ("attention" in name and ".weight" in name) or "gamma" in name]
    assert attention and not [name for name in attention if torch.equal(after[name], before[name])]
    batch = Batch(torch.rand(3, 3, 16, 16), ["thing 0", "thing", "thing 1"], ["thing 1"] * 3)
    assert {tuple(one.shape) for one in module.logits(batch.images, batch.condition).values()} == {(3,)}
    module.report(batch)


def test_a_condition_without_words_is_refused_before_training() -> None:
    with pytest.raises(UserError, match=r"^`head.word_dim` needs a condition whose words have 128 numbers, got 384"):
        make_module(compose(*GAME, *LIGHT, "head.word_dim=128"), SPEC)


def test_the_heads_of_both_stages_attend(trainer: Callable, noise: Callable) -> None:
    """In StackGAN the setting holds for the discriminator of each stage, which learns in its own stage."""
    tiny = ("variant.augmented_dim=4", "variant.stage_two.generator.width=4", "variant.stage_two.discriminator.width=4")
    game = ("recipe=stackgan", *WORDS, *LIGHT, *tiny, "variant.stage_one_iterations=1", "latent_dim=4", "batch_size=4")
    module = make_module(compose(*game), DataSpec((3, 64, 64), "text", vocabulary=SPEC.vocabulary))
    trainer(2).fit(module, datamodule=noise(shape=(3, 64, 64), captions=2, count=8))
    for judge in module.discriminator.values():
        layers = word_layers(judge.head)
        assert len(layers) == 2 and all(layer.gamma != 0 for layer in layers)  # of pair and match
