"""How different generated pictures look from one another: mean LPIPS of random pairs, by torchmetrics.

torchmetrics ships LPIPS's own layers; the backbone's weights come from torch's hub cache or the net.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.metrics.features import as_colour
from ganlab.metrics.frechet import Estimate
from ganlab.metrics.resizers import Resizer
from ganlab.metrics.spread import standard_error
from ganlab.networks.weights import Weights

SIZED = Resizer("antialias", 64)  # all pictures, so that numbers compare; the backbones halve the side five times
BATCH = 32
BACKBONES = {
    net: Weights(f"LPIPS ({net})", file, f"https://download.pytorch.org/models/{file}", file.split("-")[-1][:8])
    for net, file in {
        "alex": "alexnet-owt-7be5be79.pth",
        "squeeze": "squeezenet1_1-b8a52dc0.pth",
        "vgg": "vgg16-397923af.pth",
    }.items()
}


def random_pairs(total: int, pairs: int, generator: torch.Generator | None = None) -> Tensor:
    """(pairs, 2) of rows, the two of a pair different. `ValueError` for fewer than two rows."""
    if total < 2:
        raise ValueError(f"a pair needs 2 pictures, got {total}")
    first = torch.randint(total, (pairs,), generator=generator)
    return torch.stack([first, (first + torch.randint(1, total, (pairs,), generator=generator)) % total], 1)


def for_lpips(images: Tensor) -> Tensor:
    """uint8 (N, C, H, W) -> what LPIPS is asked about: float (N, 3, 64, 64) in [-1, 1]."""
    return SIZED(as_colour(images)) / 127.5 - 1


def pairwise_lpips(
    looks: Tensor, pairs: int = 1000, net: str = "alex", generator: torch.Generator | None = None
) -> Estimate:
    """Mean LPIPS (Zhang et al. 2018) of random pairs of `for_lpips` pictures (N, 3, 64, 64), with its standard error.

    0 for copies; what a data set has is for real pictures to say. Blind to missing classes. `UnavailableError` where
    the backbone's weights cannot be had.
    """
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    BACKBONES[net].fetch()  # into the hub's cache, where torchvision looks for it
    distance = LearnedPerceptualImagePatchSimilarity(net_type=net, reduction="none")  # type: ignore[arg-type]
    chosen = random_pairs(len(looks), pairs, generator)
    with torch.no_grad():
        found = [distance(*(looks[rows].clamp(-1, 1) for rows in part.T)) for part in torch.split(chosen, BATCH)]
    values = torch.cat([one.reshape(-1) for one in found])
    return Estimate(float(values.mean()), standard_error(values))
