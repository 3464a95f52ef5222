"""LPIPS: the perceptual diversity of generated pictures, as the mean of random pairs, by torchmetrics.

torchmetrics contains the layers of LPIPS. The backbone's weights come from torch's hub cache or a download.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ganlab.metrics.features import as_colour
from ganlab.metrics.metric import HIGHER, PICTURES, Result, SampleMetric, Samples, Target
from ganlab.metrics.resizers import Resizer
from ganlab.metrics.spread import Estimate, mean_estimate
from ganlab.networks.weights import UnavailableError, Weights

SIZED = Resizer("antialias", 64)  # all pictures, so that numbers compare; the backbones halve the side five times
BATCH = 32
PAIRS, NET = 1000, "alex"
BACKBONES = {
    net: Weights(f"LPIPS ({net})", file, f"https://download.pytorch.org/models/{file}", file.split("-")[-1][:8])
    for net, file in {
        "alex": "alexnet-owt-7be5be79.pth",
        "squeeze": "squeezenet1_1-b8a52dc0.pth",
        "vgg": "vgg16-397923af.pth",
    }.items()
}


def random_pairs(total: int, pairs: int, generator: torch.Generator | None = None) -> Tensor:
    """Draw (pairs, 2) rows, the two of a pair different. Raise `ValueError` for fewer than two rows."""
    if total < 2:
        raise ValueError(f"a pair needs 2 pictures, got {total}")
    first = torch.randint(total, (pairs,), generator=generator)
    return torch.stack([first, (first + torch.randint(1, total, (pairs,), generator=generator)) % total], 1)


def for_lpips(images: Tensor) -> Tensor:
    """Return pictures uint8 (N, C, H, W) as LPIPS takes them: float (N, 3, 64, 64) in [-1, 1]."""
    return SIZED(as_colour(images)) / 127.5 - 1


def pairwise_lpips(
    looks: Tensor, pairs: int = PAIRS, net: str = NET, generator: torch.Generator | None = None
) -> Estimate:
    """Return the mean LPIPS (Zhang et al. 2018) of random pairs of `for_lpips` pictures, with its standard error.

    `looks`: (N, 3, 64, 64). 0 for copies. Compare it with that of real pictures. It does not see missing classes. Raise
    `UnavailableError` if the backbone's weights cannot be had.
    """
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    BACKBONES[net].fetch()  # into the hub's cache, where torchvision looks for it
    distance = LearnedPerceptualImagePatchSimilarity(net_type=net, reduction="none")  # type: ignore[arg-type]
    chosen = random_pairs(len(looks), pairs, generator)
    with torch.no_grad():
        found = [distance(*(looks[rows].clamp(-1, 1) for rows in part.T)) for part in torch.split(chosen, BATCH)]
    return mean_estimate(torch.cat([one.reshape(-1) for one in found]))


class Lpips(SampleMetric):
    """Mean LPIPS of random pairs of samples: how different they look; needs a download of 240 MB."""

    name = "lpips"
    better = HIGHER
    needs = (PICTURES,)
    most = 2000  # 50 kB each

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        try:
            BACKBONES[NET].fetch()
        except UnavailableError as error:
            raise UnavailableError(f"{error}; perceptual_diversity needs no download") from error

    def look(self, samples: Samples) -> Tensor:
        """Keep the pictures as LPIPS takes them (N, 3, 64, 64)."""
        return for_lpips(samples.images)

    def compute(self) -> Result:
        """Return the mean of `PAIRS` pairs with its standard error."""
        looks, random = self.rows.values, torch.Generator().manual_seed(self.target.seed)
        found = pairwise_lpips(looks, PAIRS, NET, random)
        return Result.of(found, backbone=NET, resizer=str(SIZED), pairs=PAIRS, fakes=len(looks))
