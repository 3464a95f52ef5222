"""CLIP and DINOv2 as torch-fidelity registers them, and the user's own networks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ganlab.metrics.features import Extractor, Resizing, digest_of, digest_of_state
from ganlab.metrics.resizers import AsTheyAre, Resizer
from ganlab.networks.weights import UnavailableError, Weights, refuse_silence

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Network = Callable[[Tensor], "Tensor | tuple[Tensor, Tensor]"]


class Wrapped(Extractor):
    """Any network as an extractor: prepared pictures -> features (N, D), or features and class logits.

    `resizer`: what comes before it, `AsTheyAre` by default, which hands it uint8 (N, 3, H, W); a `Resizer` gives float
    0..255. `mean`, `std`: of colours in 0..1, taken off after resizing. `weights`: what tells its weights from others;
    by default their hash. The number of features and classes is asked of it with one black picture.
    """

    def __init__(
        self,
        network: nn.Module,
        name: str,
        resizer: Resizing | None = None,
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] = (1.0, 1.0, 1.0),
        weights: str | None = None,
        resizer_chosen: bool = False,
    ) -> None:
        resizer = resizer or AsTheyAre()
        super().__init__(name, 0, weights or digest_of_state(network), resizer, resizer_chosen, batch=32)
        self.network = network
        self.scale = nn.Identity() if mean is None else Standardized(mean, std)
        self.frozen()
        features, logits = self.look(self.prepare(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)))
        self.dim, self.classes = features.shape[1], logits.shape[1]

    def features_and_logits(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, dim) and logits of prepared pictures."""
        found = self.network(self.scale(prepared))
        features, logits = found if isinstance(found, tuple) else (found, found.new_zeros(len(found), 0))
        return features.flatten(1), logits


class Standardized(nn.Module):
    """Colours in 0..255 -> (colour / 255 - mean) / std."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", 255 * torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("std", 255 * torch.tensor(std).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return standardized colours."""
        return (images - self.mean) / self.std


def scripted(path: Path, resizer: str = "none", side: int = 299) -> Wrapped:
    """Return a TorchScript file as an extractor, called by the file's name.

    Running it is running its author's program: only files that a person named on a command line, or in their own code,
    come here; no checkpoint's recipe can name one. It takes uint8 pictures (N, 3, H, W) and resizes by itself, unless a
    `resizer` is chosen: then floats 0..255 of that `side`. `UnavailableError` for a file that is none.
    """
    network = _program(path)
    chosen = AsTheyAre() if resizer == "none" else Resizer(resizer, side)
    return Wrapped(network, path.stem, chosen, weights=digest_of(path), resizer_chosen=resizer != "none")


def _program(path: Path) -> nn.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that TorchScript is an old format
            return torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, ValueError, OSError) as error:
        raise UnavailableError(f"{path} is not a TorchScript file ({str(error).splitlines()[0]})") from error


def clip(name: str, resizer: str = "pil-bicubic", weights: Path | None = None, seconds: float = 5.0) -> Wrapped:
    """Return OpenAI's CLIP picture encoder: `clip-vit-b-32` and the like. Features are not normalized.

    Weights from torch's hub cache, a download whose SHA-256 is OpenAI's own, or a file: a state dict, or OpenAI's
    TorchScript archive, which is a program (see `scripted`). `UnavailableError` where there are none.
    """
    from torch_fidelity.feature_extractor_clip import MODEL_METADATA, MODEL_URLS, build_model

    digest = MODEL_METADATA[name]["hash"]
    path = weights or Weights(name, f"{name}-{digest}.pt", MODEL_URLS[name], digest).fetch(seconds)
    net = build_model(_state_of(path), torch.float32).visual
    resize = Resizer(resizer, int(net.input_resolution))
    return Wrapped(net, name, resize, CLIP_MEAN, CLIP_STD, digest_of(path), True)


def _state_of(path: Path) -> dict[str, Tensor]:
    """Return the weights in a file of weights or in a TorchScript archive."""
    try:
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        return state
    except Exception:
        return dict(_program(path).state_dict())


def dinov2(name: str, resizer: str = "pil-bicubic", weights: Path | None = None, seconds: float = 5.0) -> Wrapped:
    """Return Meta's DINOv2: `dinov2-vit-s-14` and the like, the class token at 224 x 224.

    Its code and weights come from Meta's repository by torch.hub, as in torch-fidelity, and that code is run; `weights`
    replaces the weights by a state dict. `UnavailableError` where they are neither in the hub's cache nor to be had.
    """
    entry = f"dinov2_vit{name.split('-')[2]}14"
    folder = Path(torch.hub.get_dir())
    known = folder / "facebookresearch_dinov2_main"
    there = known.is_dir() and (weights or (folder / "checkpoints" / f"{entry}_pretrain.pth").is_file())
    if not there:
        refuse_silence("DINOv2", "https://github.com/facebookresearch/dinov2/tree/main/", seconds)
    where = (str(known), "local") if known.is_dir() else ("facebookresearch/dinov2", "github")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that xFormers is missing
        net = torch.hub.load(where[0], entry, source=where[1], pretrained=weights is None, verbose=False)
    if weights is not None:
        net.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return Wrapped(net, name, Resizer(resizer, 224), IMAGENET_MEAN, IMAGENET_STD, resizer_chosen=True)
