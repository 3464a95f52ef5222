"""The two players: how one learns, and how one is kept still while the other moves. Plain torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from ganlab.constraints import Constraint, Unconstrained
from ganlab.ranges import Positive, PositiveInt, Turns
from ganlab.regularizers import Regularizer


@dataclass(frozen=True)
class Side:
    """How one player learns.

    `turns`: updates an iteration. `accumulate`: a turn's batch is passed through in so many equal parts, to save
    memory; the step is that of the whole batch. `clip`: the largest Euclidean norm of a step's gradient.
    `scheduler`: of the learning rate, stepped once an iteration. `regularizers`: penalties, by the name they are
    logged under. `constraint`: what weights it may have.
    """

    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    scheduler: Callable[[Optimizer], LRScheduler] | None = None
    turns: Turns = 1
    accumulate: PositiveInt = 1
    clip: Positive | None = None
    regularizers: Mapping[str, Regularizer] = field(default_factory=dict)
    constraint: Constraint = field(default_factory=Unconstrained)


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside, `network` gets no gradients and works on copies of its buffers: a turn moves one side only.

    Its buffers are set aside rather than copied back, because a graph built before may still need them as they are.
    """
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    buffers = [(m, name, b) for m in network.modules() for name, b in m.named_buffers(recurse=False)]
    for parameter in trainable:
        parameter.requires_grad_(False)
    for module, name, buffer in buffers:
        setattr(module, name, buffer.clone())
    try:
        yield
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
        for module, name, buffer in buffers:
            setattr(module, name, buffer)
