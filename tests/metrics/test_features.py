"""Extractors: what goes in, what they call themselves, and never waiting for a net that is not there."""

import subprocess
import sys
import time
from io import BytesIO
from urllib.error import URLError

import pytest
import torch

from ganlab.metrics.extractors import best_available
from ganlab.metrics.features import SMALL_WEIGHTS, Small, as_colour
from ganlab.metrics.inception import INCEPTION, Inception
from ganlab.networks import weights
from ganlab.networks.weights import UnavailableError, Weights


def pictures(count: int, channels: int = 3, size: int = 32, seed: int = 0) -> torch.Tensor:
    shape = (count, channels, size, size)
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


@pytest.fixture(scope="module")
def small() -> Small:
    return Small()


@pytest.fixture
def no_weights(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.delenv("GANLAB_OFFLINE", raising=False)


def test_grey_is_repeated_and_alpha_laid_on_white():
    assert torch.equal(
        as_colour(torch.tensor([7], dtype=torch.uint8).reshape(1, 1, 1, 1)).flatten(),
        torch.full((3,), 7, dtype=torch.uint8),
    )
    half = torch.tensor([0, 100, 200, 51], dtype=torch.uint8).reshape(1, 4, 1, 1)
    assert as_colour(half).flatten().tolist() == [204, 224, 244]  # 0.2 c + 0.8 * 255
    assert as_colour(half[:, 2:]).flatten().tolist() == [244] * 3


@pytest.mark.parametrize("wrong", [torch.zeros(2, 3, 8, 8), pictures(2, 5), pictures(1)[0]])
def test_anything_but_uint8_pictures_is_refused(wrong: torch.Tensor):
    with pytest.raises(ValueError, match="`images` must be uint8"):
        as_colour(wrong)


def test_small_is_small_and_takes_any_picture(small: Small):
    assert SMALL_WEIGHTS.stat().st_size < 2_000_000
    for images in (pictures(2), pictures(2, 1, 28), pictures(2, 4, 64), pictures(2, 2, 20)):
        features, logits = small.both(images)
        assert features.shape == (2, small.dim) and features.dtype == torch.float32
        assert logits.shape == (2, small.classes) and small.classes == len(small.class_names)


def test_small_says_what_it_is(small: Small):
    assert small.metric("fid") == "fid_small"
    assert set(small.protocol) == {"extractor", "weights", "resizer"} and len(small.protocol["weights"]) == 16


def test_features_do_not_depend_on_the_batch_nor_on_training_mode(small: Small):
    images = pictures(20)
    small.train()
    torch.testing.assert_close(
        torch.cat([small(part) for part in images.split(7)]), small(images), rtol=1e-4, atol=1e-4
    )
    assert not any(p.requires_grad for p in small.parameters())


def refuse(*_, **__):
    raise URLError("refused")


def test_without_weights_or_net_it_says_so_at_once(monkeypatch, no_weights):
    monkeypatch.setattr(weights, "urlopen", refuse)
    extractor, reason = best_available()
    assert extractor.name == "imagenet" and reason is not None
    assert "\n" not in reason and "cannot be fetched" in reason and "never with published FIDs" in reason


def test_a_silent_net_is_waited_for_once_and_shortly(monkeypatch, no_weights):
    monkeypatch.setattr(weights, "urlopen", lambda address, timeout: time.sleep(3))
    started = time.monotonic()
    for _ in range(2):
        with pytest.raises(UnavailableError, match=r"no answer in 0\.2 s"):
            INCEPTION.fetch(0.2)
    assert time.monotonic() - started < 1


def test_a_download_with_the_wrong_content_is_thrown_away(monkeypatch, no_weights, tmp_path):
    class Answer(BytesIO):
        headers = {"Content-Length": "5"}  # noqa: RUF012

    monkeypatch.setattr(weights, "urlopen", lambda address, timeout: Answer(b"hello"))
    with pytest.raises(UnavailableError, match="not the file asked for"):
        INCEPTION.fetch(1.0)
    assert not [file for file in (tmp_path / "checkpoints").iterdir() if file.suffix != ".lock"]


def test_offline_is_not_even_tried(monkeypatch, no_weights):
    monkeypatch.setenv("GANLAB_OFFLINE", "1")
    monkeypatch.setattr(weights, "urlopen", lambda *_, **__: pytest.fail("asked the net"))
    assert "GANLAB_OFFLINE" in (best_available().reason or "")


def test_a_file_without_a_known_digest_is_taken_as_it_comes(monkeypatch, no_weights, tmp_path):
    class Answer(BytesIO):
        headers = {"Content-Length": "5"}  # noqa: RUF012

    monkeypatch.setattr(weights, "urlopen", lambda address, timeout: Answer(b"hello"))
    found = Weights("any", "any.pth", "http://127.0.0.1:9/any.pth").fetch(1.0)
    assert found == tmp_path / "checkpoints" / "any.pth" and found.read_bytes() == b"hello"


def test_a_file_that_would_run_code_is_not_inception(tmp_path):
    torch.save({"harmless": subprocess.Popen}, tmp_path / "weights.pth")
    with pytest.raises(UnavailableError, match="not a file of weights"):
        Inception(tmp_path / "weights.pth")


def test_metrics_bring_neither_lightning_nor_hydra():
    names = ["extractors", "fidelity", "diversity", "matching", "variety"]  # torchmetrics takes long to import
    names += ["bins", "copying", "conditional", "reference", "lpips", "perceptual", "clip_score"]
    code = "import sys\n" + "".join(f"import ganlab.metrics.{name}\n" for name in names)
    heavy = "{'pytorch_lightning', 'lightning', 'hydra', 'torchmetrics'}"
    code += f"sys.exit(' '.join({{m.split('.')[0] for m in sys.modules}} & {heavy}) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
