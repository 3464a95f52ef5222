"""Maps from a code to the style of each layer: the mapping network and style mixing (Karras et al. 2019, 2020).

Plain PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from ganlab.networks.equalized import EqualLinear, rectify

AVERAGED = 512  # latents whose mean style is the centre of truncation


def pixel_norm(x: Tensor) -> Tensor:
    """Return x / sqrt(mean of x^2 over its features + 1e-8): Karras et al. 2018, section 4.2."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


class Mapping(nn.Module):
    """Code (N, code_dim) -> w (N, style_dim): `depth` fully connected layers that learn at a hundredth of the rate."""

    def __init__(self, code_dim: int, style_dim: int, depth: int) -> None:
        super().__init__()
        dims = [code_dim, *[style_dim] * depth]
        self.layers = nn.ModuleList(EqualLinear(dims[i], dims[i + 1], rate=0.01) for i in range(depth))

    def forward(self, code: Tensor) -> Tensor:
        """Return w (N, style_dim) of codes (N, code_dim)."""
        x = pixel_norm(code)
        for layer in self.layers:
            x = rectify(layer(x))
        return x


class Styles(nn.Module):
    """Code (N, code_dim) -> the style of each layer (N, layers, style_dim).

    mixing: in training, the share of samples whose layers from a random one on get the style of another latent (Karras
    et al. 2019, section 3.1). The other code differs only in its first `latent_dim` numbers, so its condition is the
    same.
    """

    def __init__(self, mapping: Mapping, layers: int, latent_dim: int, mixing: float) -> None:
        super().__init__()
        self.mapping = mapping
        self.layers, self.latent_dim, self.mixing = layers, latent_dim, mixing

    def forward(self, code: Tensor) -> Tensor:
        """Return the style of each layer, (N, layers, style_dim), of codes (N, code_dim)."""
        styles = self._repeated(code)
        if not (self.training and self.mixing):
            return styles
        other = torch.cat([torch.randn_like(code[:, : self.latent_dim]), code[:, self.latent_dim :]], 1)
        return torch.where(self._others(len(code), code.device)[:, :, None], self._repeated(other), styles)

    def mean(self, code: Tensor) -> Tensor:
        """Return the mean style (N, 1, style_dim) of `AVERAGED` fixed latents with the conditions of N codes."""
        noise = torch.randn(AVERAGED, self.latent_dim, generator=torch.Generator().manual_seed(0)).to(code)
        conditions = code[:, self.latent_dim :]
        if not conditions.shape[1]:
            return self.mapping(noise).mean(0).expand(len(code), 1, -1)
        different, rows = conditions.unique(dim=0, return_inverse=True)
        codes = (torch.cat([noise, one.expand(AVERAGED, -1)], 1) for one in different)
        return torch.stack([self.mapping(one).mean(0) for one in codes])[rows][:, None]

    def _repeated(self, code: Tensor) -> Tensor:
        return self.mapping(code)[:, None].expand(-1, self.layers, -1)

    def _others(self, count: int, device: torch.device) -> Tensor:
        """Return whether each layer gets the other style: (N, layers) bool."""
        mixes = torch.rand(count, 1, device=device) < self.mixing
        first = torch.randint(1, self.layers, (count, 1), device=device)
        return mixes & (torch.arange(self.layers, device=device) >= first)


Change = Callable[[Styles, Tensor, Tensor], Tensor]
"""A function of a `Styles`, codes (N, code_dim) and their styles (N, layers, style_dim) that returns other styles."""


def style_layers(network: nn.Module) -> list[Styles]:
    """Return the parts of a network that map a code to styles. Empty for a network without styles."""
    return [part for part in network.modules() if isinstance(part, Styles)]


@contextmanager
def changed_styles(network: nn.Module, change: Change) -> Iterator[None]:
    """Replace the styles of a network by those that `change` returns, inside the block."""
    with ExitStack() as stack:
        for part in style_layers(network):
            stack.enter_context(part.register_forward_hook(lambda part, given, made: change(part, given[0], made)))
        yield


def moved(truncation: float = 1.0, offset: Tensor | None = None) -> Change:
    """Return a change of styles: the truncation trick, then a shift by `offset`, which is broadcast.

    Truncation is mean + truncation (w - mean) for a style w (Karras et al. 2019, appendix B). The mean is that of the
    same condition.
    """

    def change(part: Styles, code: Tensor, styles: Tensor) -> Tensor:
        if truncation != 1:
            styles = part.mean(code).lerp(styles, truncation)
        return styles if offset is None else styles + offset

    return change
