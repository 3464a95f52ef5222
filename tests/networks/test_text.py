import copy
import random

import pytest
import torch
from torch.nn.functional import cosine_similarity, cross_entropy, mse_loss

from ganlab.data.vocabulary import tokenize, vocabulary
from ganlab.networks.text import WordEncoder, pieces

CAPTIONS = ["a red circle above a blue square", "a blue circle above a red square", "apple", "", "two green pears"]


@pytest.fixture(params=["train", "eval"])
def encoder(request):
    torch.manual_seed(0)
    return WordEncoder(vocabulary(CAPTIONS), dim=16, width=32, buckets=256).train(request.param == "train")


def test_words_are_lower_case_letters_and_digits_of_any_script():
    assert tokenize("Ein GROẞER Hund_42: don't; 猫 и Кот!") == [
        "ein",
        "großer",
        "hund",
        "42",
        "don",
        "t",
        "猫",
        "и",
        "кот",
    ]
    assert tokenize(" … 🍎 ") == []
    assert tokenize("e\u0301te\u0301") == tokenize("été")


def test_the_vocabulary_goes_by_frequency_then_by_the_alphabet():
    captions = ["b a", "c b", "d b a"]
    assert vocabulary(captions) == ["b", "a", "c", "d"]
    assert vocabulary(reversed(captions), limit=3) == ["b", "a", "c"]


def test_a_captions_vector_does_not_depend_on_its_batch(encoder):
    together = encoder(CAPTIONS)
    alone = torch.cat([encoder([caption]) for caption in CAPTIONS])
    backwards = encoder(CAPTIONS[::-1]).flip(0)
    assert together.shape == (5, 16)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    torch.testing.assert_close(together, backwards, rtol=0, atol=1e-5)


def test_word_order_counts(encoder):
    """The first two captions have the same words; a bag of words could not tell them apart."""
    first, second = encoder(CAPTIONS)[:2]
    assert sorted(tokenize(CAPTIONS[0])) == sorted(tokenize(CAPTIONS[1]))
    assert (first - second).abs().max() > 0.05


def test_word_order_can_be_learned():
    """The colour of the first thing named, out of 4: a bag of words would reach 62.5 % (25 % of pairs are alike)."""
    torch.manual_seed(0)
    dice = random.Random(0)
    colours = ["red", "green", "blue", "yellow"]

    def draw(count):
        pairs = [(dice.randrange(4), dice.randrange(4)) for _ in range(count)]
        return [f"a {colours[i]} cat over a {colours[j]} dog" for i, j in pairs], torch.tensor(pairs)[:, 0]

    model, head = WordEncoder(["a", "cat", "dog", "over", *colours], 16, width=32), torch.nn.Linear(16, 4)
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], 3e-3)
    for _ in range(60):
        captions, target = draw(32)
        optimizer.zero_grad()
        cross_entropy(head(model(captions)), target).backward()
        optimizer.step()
    captions, target = draw(200)
    assert (head(model(captions)).argmax(1) == target).float().mean() >= 0.95


def test_an_unknown_word_lies_near_its_kin(encoder):
    """apple and apples share most of their pieces, apple and xylophone none."""
    with torch.no_grad():
        encoder.table.own.weight.mul_(0.1)  # as if the pieces had learned their share
    apple, apples, xylophone = encoder.table(["apple", "apples", "xylophone"])
    assert cosine_similarity(apple, apples, dim=0) > cosine_similarity(apple, xylophone, dim=0) + 0.3
    assert not torch.equal(*encoder(["apples", "xylophone"]))


def test_an_unknown_word_is_its_pieces(encoder):
    rows = torch.tensor(pieces("xylophone", 256))
    torch.testing.assert_close(encoder.table(["xylophone"])[0], encoder.table.pieces.weight[rows].mean(0))


def test_pieces_are_the_same_on_every_machine():
    """CRC-32 of "<a>" is 1874297515; a one-letter word has no other piece."""
    assert pieces("a", 1000) == (515,)
    assert pieces("", 1000) == ()


def test_empty_captions_and_captions_of_signs_say_nothing_and_say_it_alike(encoder):
    empty, signs = encoder(["", "?! 🍎"])
    assert torch.equal(empty, signs)
    assert torch.isfinite(empty).all()


def test_a_batch_of_empty_captions_trains(encoder):
    encoder(["", ""]).square().sum().backward()


def test_words_past_the_longest_are_not_read():
    encoder = WordEncoder(["a"], 4, width=8, longest=3)
    torch.testing.assert_close(*encoder(["a a a", "a a a b c"]))


def test_every_word_has_a_state_and_a_place_in_the_mask(encoder):
    states, mask = encoder.words(CAPTIONS)
    assert states.shape == (5, 7, encoder.width)
    assert mask.sum(1).tolist() == [7, 7, 1, 1, 3]
    assert (states[~mask] == 0).all()
    torch.testing.assert_close(encoder.words(CAPTIONS[2:3])[0][0], states[2, :1], rtol=0, atol=1e-5)


def test_everything_in_the_encoder_learns(encoder):
    captions = [*CAPTIONS, "unheard"]
    mse_loss(encoder(captions), torch.randn(6, 16)).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in encoder.parameters())
    assert (encoder.table.own.weight.grad.abs().sum(1) > 0).all()


def test_vectors_have_the_latents_scale(encoder):
    torch.testing.assert_close(encoder(CAPTIONS).square().mean(1), torch.ones(5), rtol=0, atol=0.01)


def test_the_encoder_is_made_again_from_its_vocabulary_and_weights(encoder):
    again = WordEncoder(list(encoder.vocabulary), dim=16, width=32, buckets=256)
    again.load_state_dict(encoder.state_dict())
    assert torch.equal(again(CAPTIONS), encoder(CAPTIONS))
    assert torch.equal(copy.deepcopy(encoder)(CAPTIONS), encoder(CAPTIONS))


def test_no_vocabulary_at_all_still_tells_words_apart():
    encoder = WordEncoder([], 4, width=8)
    assert not torch.equal(*encoder(["cat", "dog"]))
