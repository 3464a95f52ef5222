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
from ganlab.networks.text import CaptionEncoder, SentenceEncoder, TrainedCaptions

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


KNOWN = ["red heart", "blue heart", "dog face"]


def test_a_caption_of_training_gets_its_own_vector_in_other_words_too():
    """A large sharpness takes the nearest caption: its key and its trained vector."""
    encoder = CaptionEncoder(KNOWN, dim=8, sharpness=300.0)
    own = encoder.normalize(encoder.sentence.read(encoder.keys) + encoder.values())
    torch.testing.assert_close(encoder(KNOWN), own, atol=1e-3, rtol=0)
    asked = ["a heart that is red", "draw me a blue heart, please", "the face of a dog"]
    torch.testing.assert_close(encoder(asked), own, atol=0.02, rtol=0)


def test_a_new_caption_gets_a_blend_of_its_neighbours():
    """The weights are the softmax of the cosines; without sharpness all captions of training count alike."""
    encoder = CaptionEncoder(KNOWN, dim=8, sharpness=5.0)
    (asked,) = encoder.sentence.sentences(["purple heart"], CPU)
    scores = (5 * torch.stack([torch.cosine_similarity(asked, key, 0) for key in encoder.keys])).exp()
    key, value = ((scores @ each / scores.sum())[None] for each in (encoder.keys, encoder.values()))
    torch.testing.assert_close(encoder(["purple heart"]), encoder.normalize(encoder.sentence.read(key) + value))
    encoder.sharpness = 0.0
    torch.testing.assert_close(encoder(["purple heart"]), encoder(["stock market"]))


def test_captions_share_the_vectors_of_their_words():
    values = TrainedCaptions(KNOWN, dim=6)
    own, rows = values.own.weight, dict(zip(values.words, values.table.weight, strict=True))
    torch.testing.assert_close(values()[0] - own[0], (rows["red"] + rows["heart"]) / 2**0.5)
    torch.testing.assert_close(values()[1] - own[1], (rows["blue"] + rows["heart"]) / 2**0.5)
    assert TrainedCaptions([""], dim=6)().shape == (1, 6)


def test_a_caption_encoder_has_the_sentence_encoders_words():
    encoder = CaptionEncoder(KNOWN, dim=8)
    assert torch.equal(encoder.words(["a"])[0], encoder.sentence.words(["a"])[0])


def test_captions_of_training_are_needed():
    with pytest.raises(UserError, match="needs captions of training"):
        CaptionEncoder([], dim=8)


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
