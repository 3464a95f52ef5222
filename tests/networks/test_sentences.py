"""Frozen sentence encoders: the packaged one, and the same model read by sentence-transformers."""

import builtins
import copy
import json
import pickle
import shutil

import pytest
import torch

from ganlab.errors import UserError
from ganlab.files.packaged import NAMES, packaged_folder
from ganlab.networks.sentences import FrozenSentences, Memory, frozen_sentences
from ganlab.networks.text import CaptionEncoder, KnownWords, SentenceEncoder

CAPTIONS = ["a red apple", "a green apple", "the stock market", ""]
CPU = torch.device("cpu")


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return SentenceEncoder(dim=8)


def test_captions_become_vectors_near_their_meaning(encoder):
    raw = encoder.sentences(CAPTIONS, CPU)
    assert encoder(CAPTIONS).shape == (4, 8)
    red_green, red_stock = (raw[:1] * raw[1:3]).mean(1)
    assert red_green > red_stock + 0.3
    torch.testing.assert_close(raw.square().mean(1), torch.ones(4))


def test_words_have_states_of_unit_variance_and_a_mask(encoder):
    states, mask = encoder.words(["a red apple", ""])
    assert states.shape == (2, 4, encoder.word_dim)
    assert mask.tolist() == [[True, True, True, True], [True, False, False, False]]
    torch.testing.assert_close(states.var(-1, correction=0)[mask], torch.ones(5), atol=1e-3, rtol=0)


def test_a_model_that_gives_vectors_only_has_no_words(encoder):
    encoder.word_dim = 0
    with pytest.raises(UserError, match="`word_attention` needs words"):
        encoder.words(["a"])


def test_only_the_linear_layer_is_trained_and_saved(encoder):
    assert set(encoder.state_dict()) == {"linear.weight", "linear.bias", "normalize.weight", "normalize.bias"}
    encoder(CAPTIONS).mul(torch.randn(4, 8)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in encoder.parameters())


def test_noise_is_for_training_only():
    encoder = SentenceEncoder(dim=8, noise=0.5)
    heard = [encoder.words(["a"])[0] for _ in range(200)]
    assert 0.49 < torch.stack(heard).std(0).mean() < 0.51
    assert not torch.equal(encoder(["a"]), encoder(["a"]))
    encoder.eval()
    assert torch.equal(encoder(["a"]), encoder(["a"]))


def test_both_players_and_every_copy_share_one_model(encoder):
    copied = copy.deepcopy(encoder)
    assert copied.sentences is encoder.sentences is SentenceEncoder(dim=8).sentences
    assert copied.linear.weight is not encoder.linear.weight
    assert torch.equal(copied(CAPTIONS), encoder(CAPTIONS))
    assert len(pickle.dumps(encoder)) < 100_000
    assert pickle.loads(pickle.dumps(encoder)).sentences is encoder.sentences


def test_only_known_words_count():
    bag = KnownWords(["red", "heart", "apple"], dim=6)
    assert torch.equal(bag(["draw me a Red heart, please"]), bag(["red heart"]))
    torch.testing.assert_close(bag(["red heart"]), (bag(["red"]) + bag(["heart"])) / 2**0.5)
    assert torch.equal(bag(["a puppy", ""]), torch.zeros(2, 6))
    assert torch.equal(KnownWords([], dim=6)(["red"]), torch.zeros(1, 6))


def test_the_order_of_known_words_counts_as_soon_as_it_is_trained():
    """Pairs start at zero; a step changes the vectors of the orders that were read and no others."""
    bag = KnownWords(["red", "blue", "above"], dim=6)
    one, other, third = "red above blue", "blue above red", "above red"
    assert torch.allclose(bag([one]), bag([other]))
    bag([one]).sum().backward()
    with torch.no_grad():
        bag.table.weight[: bag.buckets] -= bag.table.weight.grad[: bag.buckets]
    assert not torch.allclose(bag([one]), bag([other]))
    torch.testing.assert_close(bag([third]), (bag(["above"]) + bag(["red"])) / 2**0.5)


def test_words_are_left_out_in_training_only():
    bag = KnownWords(["red"], dim=1, dropout=0.25)
    drawn = bag(["red"] * 4000)
    assert 0.72 < (drawn != 0).float().mean() < 0.78
    assert torch.equal(bag.eval()(["red"]), bag.table.weight[bag.buckets :])


def test_a_caption_encoder_adds_known_words_to_the_sentence():
    """Without vectors of words it is the sentence encoder, normalized once more."""
    encoder = CaptionEncoder(["red", "heart"], dim=8)
    sentence = encoder.normalize(encoder.sentence(CAPTIONS))
    assert not torch.equal(encoder(CAPTIONS), sentence)
    torch.nn.init.zeros_(encoder.known.table.weight.detach())
    assert torch.equal(encoder(CAPTIONS), sentence)
    assert torch.equal(encoder.words(["a"])[0], encoder.sentence.words(["a"])[0])


def test_a_caption_is_read_once_and_the_memory_is_bounded():
    read: list[str] = []

    def lengths(captions, device):
        read.extend(captions)
        return [torch.tensor(len(caption)) for caption in captions]

    memory = Memory(lengths, size=2)
    assert memory(["a", "bb", "a"], CPU) == [1, 2, 1]
    assert memory(["bb", "a"], CPU) == [2, 1]
    assert read == ["a", "bb"]
    memory(["a", "ccc"], CPU)
    assert list(memory.known) == ["a", "ccc"]
    assert memory(["a", "bb", "ccc", "dddd"], CPU) == [1, 2, 3, 4]
    assert len(memory.known) == 2


def test_the_same_model_by_name_folder_or_not_at_all(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    pytest.importorskip("sentence_transformers", reason='needs pip install "ganlab[text]"')
    own, library = frozen_sentences(), FrozenSentences(str(packaged_folder()), hub=False)
    torch.testing.assert_close(own(CAPTIONS, CPU), library(CAPTIONS, CPU), atol=2e-4, rtol=0)  # 384 ** 0.5 x 1e-5
    assert own.word_dim == library.word_dim == 384
    assert all(type(FrozenSentences(name, hub=False).reader) is type(own.reader) for name in NAMES)


def test_a_model_that_cannot_be_loaded_is_named_in_one_line(tmp_path):
    pytest.importorskip("sentence_transformers", reason='needs pip install "ganlab[text]"')
    with pytest.raises(UserError, match=r"^`model` must be null, or a sentence-transformers name or folder") as refused:
        SentenceEncoder(8, str(tmp_path / "nothing" / "at" / "all"))
    assert "\n" not in str(refused.value)


def test_the_packaged_model_needs_no_library_and_another_names_it(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] in ("sentence_transformers", "transformers"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert len(FrozenSentences(hub=False)(["a"], CPU)[0]) == 384
    with pytest.raises(UserError, match=r'pip install "ganlab\[text\]"'):
        SentenceEncoder(8, "any")


def test_a_model_that_brings_its_own_code_is_refused(tmp_path):
    """A folder's modules.json names the classes that it is made of; only sentence-transformers' own are loaded."""
    folder = tmp_path / "model"
    shutil.copytree(packaged_folder(), folder)
    proof = tmp_path / "proof"
    (folder / "evil.py").write_text(f"open({str(proof)!r}, 'w').close()\n")
    parts = json.loads((folder / "modules.json").read_text())
    for name in ("evil.Part", "sentence_transformers.util.misc.importlib", "os.system"):
        (folder / "modules.json").write_text(json.dumps([{**parts[0], "type": name}]))
        for hub in (False, True):
            with pytest.raises(UserError):
                FrozenSentences(str(folder), hub)
    assert not proof.exists()


def test_without_the_hub_a_model_is_a_folder_or_in_the_cache(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert FrozenSentences(str(packaged_folder()), hub=False).dim == 384
    with pytest.raises(UserError, match=r"pass allow=\[hub\]"):
        FrozenSentences("somebody/no-such-model", hub=False)
