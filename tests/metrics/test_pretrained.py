"""CLIP, DINOv2 and networks of one's own: the preprocessing that is theirs, and no weights from nowhere."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch_fidelity.feature_extractor_clip import MODEL_METADATA, build_model

from ganlab.config.trust import SLOTS, judged
from ganlab.errors import UserError
from ganlab.metrics import pretrained
from ganlab.metrics.extractors import checked_extractor, choose, extractor_named
from ganlab.metrics.features import digest_of, digest_of_state
from ganlab.metrics.names import CLIP, DINOV2, EXTRACTORS, is_file
from ganlab.metrics.pretrained import Wrapped, clip, dinov2, scripted
from ganlab.metrics.resizers import Resizer
from ganlab.networks.weights import UnavailableError


def pictures(count: int = 3, side: int = 20) -> Tensor:
    shape = (count, 3, side, side)
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


class Means(nn.Module):
    """Colour means, and as logits their negatives."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        means = x.float().mean((2, 3))
        return means, -means


@pytest.fixture
def clip_state() -> dict[str, Tensor]:
    """A CLIP of one layer, 64 wide, patches of 8 on 16 x 16 pictures, as a state dict of the whole model."""
    torch.manual_seed(0)
    width, patches = 64, 5
    block = {
        "attn.in_proj_weight": (3 * width, width),
        "attn.in_proj_bias": (3 * width,),
        "attn.out_proj.weight": (width, width),
        "attn.out_proj.bias": (width,),
        "mlp.c_fc.weight": (4 * width, width),
        "mlp.c_fc.bias": (4 * width,),
        "mlp.c_proj.weight": (width, 4 * width),
        "mlp.c_proj.bias": (width,),
        **{f"ln_{i}.{part}": (width,) for i in (1, 2) for part in ("weight", "bias")},
    }
    shapes = {
        "visual.conv1.weight": (width, 3, 8, 8),
        "visual.class_embedding": (width,),
        "visual.positional_embedding": (patches, width),
        "visual.proj": (width, 12),
        **{f"visual.ln_{end}.{part}": (width,) for end in ("pre", "post") for part in ("weight", "bias")},
        **{f"visual.transformer.resblocks.0.{name}": shape for name, shape in block.items()},
        "text_projection": (width, 12),
        "transformer.resblocks.0.ln_1.weight": (width,),
    }
    return {name: 0.3 * torch.randn(shape) for name, shape in shapes.items()}


def test_clip_is_torch_fidelitys_network_behind_our_resizer(hub: Path, clip_state: dict[str, Tensor]):
    torch.save(clip_state, hub / "clip.pt")
    ours = clip("clip-vit-b-32", "pil-bicubic", hub / "clip.pt")
    assert (ours.dim, ours.classes, ours.label) == (12, 0, "clip-vit-b-32_pil-bicubic")
    assert ours.protocol == {
        "extractor": "clip-vit-b-32",
        "weights": digest_of(hub / "clip.pt"),
        "resizer": "pil-bicubic 16x16",
    }
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (pretrained.CLIP_MEAN, pretrained.CLIP_STD))
    expected = build_model(dict(clip_state), torch.float32).visual(
        (Resizer("pil-bicubic", 16)(pictures()) / 255 - mean) / std
    )
    torch.testing.assert_close(ours(pictures()), expected, rtol=1e-4, atol=1e-4)


def test_clip_is_taken_from_torch_fidelitys_place_in_the_cache(hub: Path, clip_state: dict[str, Tensor]):
    place = hub / "checkpoints" / f"clip-vit-b-16-{MODEL_METADATA['clip-vit-b-16']['hash']}.pt"
    place.parent.mkdir()
    torch.save(clip_state, place)
    assert choose("clip-vit-b-16", "tf1").extractor.metric("cmmd") == "cmmd_clip-vit-b-16_tf1"


@pytest.mark.parametrize("name", ["clip-vit-l-14", "dinov2-vit-s-14", "inception"])
def test_weights_that_cannot_be_had_are_one_line(hub: Path, name: str):
    extractor_named.cache_clear()
    with pytest.raises(UserError, match=rf"`extractor` {name} cannot be used: no .* weights here, and GANLAB_OFFLINE"):
        extractor_named(name)


class Dino(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5, 3))

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[2:] == (224, 224)
        return x.mean((2, 3)) @ self.weight.T


def test_dinov2_comes_from_metas_repository_with_weights_of_a_file(hub: Path, monkeypatch: pytest.MonkeyPatch):
    (hub / "facebookresearch_dinov2_main").mkdir()
    asked = []
    monkeypatch.setattr(torch.hub, "load", lambda *args, **options: asked.append((args, options)) or Dino())
    state = {"weight": torch.arange(15.0).reshape(5, 3)}
    torch.save(state, hub / "mine.pth")
    ours = dinov2("dinov2-vit-s-14", "antialias", hub / "mine.pth")
    assert asked[0][0][1] == "dinov2_vits14" and asked[0][1]["pretrained"] is False and asked[0][1]["source"] == "local"
    scaled = Resizer("antialias", 224)(pictures()) / 255
    scaled = scaled.mean((2, 3)).sub(torch.tensor(pretrained.IMAGENET_MEAN)).div(torch.tensor(pretrained.IMAGENET_STD))
    torch.testing.assert_close(ours(pictures()), scaled @ state["weight"].T, rtol=1e-4, atol=1e-4)
    assert ours.label == "dinov2-vit-s-14_antialias" and ours.protocol["weights"] == digest_of_state(ours.network)


def test_any_network_is_an_extractor():
    ours = Wrapped(Means(), "means")
    assert (ours.dim, ours.classes, ours.metric("fid")) == (3, 3, "fid_means")
    features, logits = ours.both(pictures())
    torch.testing.assert_close(features, pictures().float().mean((2, 3)))
    assert torch.equal(logits, -features)


def test_a_network_gets_what_its_preprocessing_makes():
    """Mean 0.5 and deviation 0.25: white is (1 - 0.5) / 0.25 = 2."""
    ours = Wrapped(Means(), "means", Resizer("tf1", 8), (0.5,) * 3, (0.25,) * 3, resizer_chosen=True)
    white = torch.full((1, 3, 20, 20), 255, dtype=torch.uint8)
    assert ours(white).tolist() == [pytest.approx([2.0] * 3)] and ours.label == "means_tf1"


def test_other_weights_have_another_hash():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    assert digest_of_state(first) != digest_of_state(second)
    second.load_state_dict(first.state_dict())
    assert digest_of_state(first) == digest_of_state(second)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is an old format
        torch.jit.trace(Means(), pictures()).save(str(tmp_path / "means.pt"))
    return tmp_path / "means.pt"


def test_a_torchscript_file_is_an_extractor_called_by_its_name(program: Path):
    ours = choose(str(program)).extractor
    assert ours.protocol == {"extractor": "means", "weights": digest_of(program), "resizer": "none"}
    torch.testing.assert_close(ours(pictures()), pictures().float().mean((2, 3)))
    resized = choose(str(program), "antialias", side=8).extractor
    assert resized.metric("fid") == "fid_means_antialias" and resized.protocol["resizer"] == "antialias 8x8"


def test_only_a_person_may_name_a_file(program: Path):
    """A checkpoint's recipe may name classes of the metrics, none of which opens a program; callbacks refuse files."""
    for name in ("scripted", "clip", "dinov2"):
        for place, kinds in SLOTS.items():
            with pytest.raises(UserError, match="in the checkpoint's recipe must be"):
                judged(f"ganlab.metrics.pretrained.{name}", place, kinds)
    with pytest.raises(UserError, match=r"only ganlab\.evaluate takes one"):
        checked_extractor(str(program))
    assert is_file(str(program)) and not any(map(is_file, EXTRACTORS)) and len(CLIP) == 9 and len(DINOV2) == 4


def test_a_file_that_is_no_program_says_so(tmp_path: Path):
    (tmp_path / "x.pt").write_bytes(b"nothing")
    with pytest.raises(UnavailableError, match=r"x\.pt is not a TorchScript file"):
        scripted(tmp_path / "x.pt")
