"""Number formats: the tensors that stay in float32 when a model is converted, and the default for new tensors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from ganlab.perturbations import Perturbation
from ganlab.regularizers import Regularizer

Convert = Callable[[Tensor], Tensor]


def kept_in_float32(model: nn.Module, average: nn.Module) -> Callable[[Convert], Convert]:
    """Return a wrapper of conversions that moves the average and stateful parts, but keeps their number format.

    Their updates are smaller than half precision can represent: 0.999 a + 0.001 b is a in bfloat16, unless b is far
    from a.
    """
    stateful = (part for part in model.modules() if isinstance(part, (Regularizer, Perturbation)))
    kept = {id(tensor) for part in (average, *stateful) for tensor in (*part.parameters(), *part.buffers())}

    def wrapped(function: Convert) -> Convert:
        def convert(tensor: Tensor) -> Tensor:
            converted = function(tensor)
            return tensor.to(converted.device) if id(tensor) in kept and converted.dtype != tensor.dtype else converted

        return convert

    return wrapped


@contextmanager
def default_dtype(network: nn.Module) -> Iterator[None]:
    """Give new tensors, such as images and latents, the dtype of the network's weights inside the block."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(next(network.parameters()).dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
