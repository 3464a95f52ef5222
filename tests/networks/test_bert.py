"""BERT in plain torch against sentence-transformers, on the same weights; and what its parts promise."""

from __future__ import annotations

import pytest
import torch

from ganlab.files.packaged import packaged_folder
from ganlab.networks.bert import Bert, BertShape, load_bert, mean_state
from ganlab.networks.minilm import CHUNK, LONGEST, MiniLM

CPU = torch.device("cpu")
CAPTIONS = ["a red apple", "", "Ünï-çödé 漢字 🍎", "heart " * 30, "a small red circle above a large blue square", "x"]
SMALL = BertShape(words=20, positions=8, dim=12, heads=3, layers=2, hidden=24)


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM()


def test_vectors_and_states_equal_sentence_transformers(minilm: MiniLM, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    library = pytest.importorskip("sentence_transformers").SentenceTransformer(str(packaged_folder()), device="cpu")
    vectors = library.encode(CAPTIONS, convert_to_tensor=True)
    states = library.encode(CAPTIONS, output_value="token_embeddings")
    torch.testing.assert_close(torch.stack(minilm.vectors(CAPTIONS, CPU)), vectors, atol=1e-5, rtol=0)
    for own, theirs in zip(minilm.words(CAPTIONS, CPU), states, strict=True):
        torch.testing.assert_close(own, theirs[:-1], atol=1e-5, rtol=0)  # theirs end with [SEP]


def test_a_caption_is_read_alike_in_any_company(minilm: MiniLM) -> None:
    alone = minilm.vectors(CAPTIONS[:1], CPU)[0]
    crowd = [f"a {colour} apple" for colour in ("green", "blue", "pink")] * (CHUNK // 2) + CAPTIONS[:2]
    assert torch.equal(minilm.vectors(crowd, CPU)[-2], alone)
    assert torch.equal(minilm.vectors(["x", CAPTIONS[0]], CPU)[1], alone)


def test_only_so_many_tokens_are_read(minilm: MiniLM) -> None:
    long, longer = minilm.words(["heart " * 300, "heart " * 400], CPU)
    assert len(long) == LONGEST - 1
    assert torch.equal(long, longer)


def test_padding_changes_nothing_that_is_not_padding() -> None:
    torch.manual_seed(0)
    bert = Bert(SMALL).eval()
    tokens = torch.randint(20, (2, 8))
    mask = torch.arange(8).expand(2, 8) < 5
    short = bert(tokens[:, :5], mask[:, :5])
    torch.testing.assert_close(bert(tokens, mask)[:, :5], short)
    torch.testing.assert_close(mean_state(bert(tokens, mask), mask), mean_state(short, mask[:, :5]))


def test_published_weights_are_taken_frozen_and_what_is_not_used_is_left_out() -> None:
    bert = Bert(SMALL)
    weights = {**bert.state_dict(), "pooler.dense.weight": torch.zeros(12, 12)}
    loaded = load_bert(weights, SMALL)
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    tokens, mask = torch.arange(6)[None], torch.ones(1, 6, dtype=torch.bool)
    torch.testing.assert_close(loaded(tokens, mask), bert(tokens, mask))
