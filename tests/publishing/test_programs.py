"""The generator of every recipe as a program: ONNX in onnxruntime and torch's exported program draw the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ganlab.config.catalog import catalog
from ganlab.config.recipe import compose
from ganlab.core.assembly import make_module
from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError
from ganlab.networks.attention import SelfAttention
from ganlab.networks.sentences import frozen_sentences
from ganlab.publishing.painter import Painter, embedding, examples
from ganlab.publishing.programs import PROGRAMS
from ganlab.publishing.text import CAPTIONS_FILE, write_text
from ganlab.sampling.drawing import latents
from tests.core.test_checkpoints import spec_of

SMALL = ("network.generator.width=8", "network.discriminator.width=8")
MOST = 1e-4
"""The largest difference on [-1, 1]."""


def moved(*words: str) -> GenerativeModule:
    """Return a small module whose average has no weight at its initial value: what is zero there would hide errors.

    Its pictures are not saturated, which would hide errors too.
    """
    torch.manual_seed(0)
    recipe = compose(*words)
    module = make_module(recipe, spec_of(recipe))
    with torch.no_grad():
        for value in (*module.average.parameters(), *module.average.buffers()):
            if value.is_floating_point():
                value.add_(0.02 * torch.randn_like(value))
    module.eval()
    inputs = examples(module, 7)
    images = module.sample(inputs.latent, inputs.condition)
    assert images.dim() == 2 or (images.abs() < 0.99).float().mean() > 0.5
    return module


@pytest.mark.parametrize("recipe", sorted(catalog().recipes()))
def test_every_recipe_as_onnx(recipe: str, tmp_path: Path) -> None:
    """`publish` compares batches of 1 and of 7 in onnxruntime with the module's own pictures."""
    facts = PROGRAMS["onnx"].publish(moved(f"recipe={recipe}", *SMALL), tmp_path)
    assert max(facts["largest_difference_of_1"], facts["largest_difference_of_7"]) < MOST
    assert facts["opset"] == 18 and facts["inputs"]["latent"][0] == "N"


@pytest.mark.parametrize("network", ["dcgan", "fastgan", "stylegan2", "r3gan", "projected"])
def test_every_network_as_onnx(network: str, tmp_path: Path) -> None:
    facts = PROGRAMS["onnx"].publish(moved("recipe=vanilla", f"network={network}", "regularizer=[]", *SMALL), tmp_path)
    assert max(facts["largest_difference_of_1"], facts["largest_difference_of_7"]) < MOST


@pytest.mark.parametrize("recipe", ["cgan_class", "patchgan", "stackgan", "vae"])
def test_an_exported_program_of_torch(recipe: str, tmp_path: Path) -> None:
    facts = PROGRAMS["torch_export"].publish(moved(f"recipe={recipe}", *SMALL), tmp_path)
    assert max(facts["largest_difference_of_1"], facts["largest_difference_of_7"]) < MOST


@pytest.mark.parametrize("network", ["dcgan", "fastgan", "stylegan2", "resnet"])
def test_self_attention_as_onnx(network: str, tmp_path: Path) -> None:
    words = ("recipe=vanilla", f"network={network}", "regularizer=[]", "network.generator.attention=[8]", *SMALL)
    module = moved(*words)
    for layer in module.average.modules():
        if isinstance(layer, SelfAttention):
            torch.nn.init.ones_(layer.gamma)
    facts = PROGRAMS["onnx"].publish(module, tmp_path)
    assert max(facts["largest_difference_of_1"], facts["largest_difference_of_7"]) < MOST


@pytest.mark.parametrize("network", ["light", "dcgan", "fastgan", "stylegan2"])
def test_a_generator_that_attends_to_words_is_refused(network: str) -> None:
    words = (f"network={network}", "regularizer=[]", "condition=words", "network.generator.word_attention=[16]")
    with pytest.raises(UserError, match="attends to words"):
        Painter(moved("recipe=cgan_text2img", *SMALL, *words))


# Captions ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", ["caption", "sentence"])
def test_captions_can_be_read_without_ganlab(condition: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """`text.onnx` gives the embeddings of captions with known, unknown and no words, and of word orders.

    Writing and opening it prints nothing: onnxruntime warned of constants that it does not use.
    """
    import onnxruntime

    module = moved("recipe=cgan_text2img", f"condition={condition}", *SMALL)
    captions = ["a cat", "cat a", "a a cat cat", "a zebra", "", "zebras", "an animal"]
    facts = write_text(module, captions, tmp_path, onnx=True)
    latent = latents(module, range(len(captions)))
    session = onnxruntime.InferenceSession(tmp_path / facts["text"])
    assert capfd.readouterr() == ("", "")
    sentences = torch.stack(frozen_sentences().vectors(captions, torch.device("cpu")))
    (found,) = session.run(None, {"sentence": sentences.numpy(), "latent": latent.numpy()})
    own = embedding(module.average, captions, latent).numpy()
    assert np.abs(found - own).max() < MOST
    assert len({row.tobytes() for row in own.round(3)}) == len(captions)
    stored = np.load(tmp_path / CAPTIONS_FILE)
    same = embedding(module.average, captions, latents(module, [0] * len(captions))).numpy()
    assert stored["captions"].tolist() == captions and np.array_equal(stored["embedding"], same)


def test_a_reader_that_is_trained_whole_says_so(tmp_path: Path) -> None:
    facts = write_text(moved("recipe=text2shapes", *SMALL), ["a cat"], tmp_path, onnx=True)
    assert "WordEncoder is trained whole" in facts["text"]
