"""The generator as a program that runs without ganlab: ONNX, or torch's exported program."""

from __future__ import annotations

import logging
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ganlab.core.generative import GenerativeModule
from ganlab.errors import UserError
from ganlab.publishing.painter import NAMES, Inputs, Painter, examples
from ganlab.publishing.parity import parity

OPSET = 18
NEEDED = ("onnx", "onnxruntime", "onnxscript")


class Program(ABC):
    """A form of the generator as one file. `name` of the file. Abstract."""

    name: ClassVar[str]

    @abstractmethod
    def write(self, painter: Painter, inputs: Sequence[Tensor], names: Sequence[str], file: Path) -> dict[str, Any]:
        """Write the file, whose first dimension is the batch, of any size. Return facts for `config.json`."""

    @abstractmethod
    def draw(self, file: Path, inputs: Inputs, names: Sequence[str]) -> Tensor:
        """Return the pictures (N, *shape) that the file draws."""

    def publish(self, module: GenerativeModule, folder: Path) -> dict[str, Any]:
        """Write the program of a module's averaged generator. Return its shapes, and its parity with the module."""
        painter, example, file = Painter(module).eval(), examples(module, 3), folder / self.name
        names = ["latent", NAMES[module.spec.kind]] if example.given is not None else ["latent"]
        folder.mkdir(parents=True, exist_ok=True)
        with quiet(), torch.no_grad():
            facts = self.write(painter, example.tensors, names, file)
            found = parity(module, lambda inputs: self.draw(file, inputs, names))
        shapes = {name: ["N", *value.shape[1:]] for name, value in zip(names, example.tensors, strict=True)}
        return {"file": self.name, **facts, "inputs": shapes, "outputs": {"images": ["N", *module.spec.shape]}, **found}


def batches(inputs: Sequence[Tensor]) -> tuple[dict[int, Any], ...]:
    """Return the dynamic dimensions of inputs: the first one of each, the same size for all."""
    batch = torch.export.Dim("batch")
    return tuple({0: batch} for _ in inputs)


def write_onnx(network: nn.Module, inputs: Sequence[Tensor], names: Sequence[str], output: str, file: Path) -> None:
    """Write a network as ONNX of opset `OPSET`, without constants that it does not use: onnxruntime warns of each."""
    import onnx_ir
    from onnx_ir.passes.common import RemoveUnusedNodesPass

    torch.onnx.export(
        network,
        tuple(inputs),
        file,
        input_names=list(names),
        output_names=[output],
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        dynamic_shapes=batches(inputs),
        verbose=False,
    )
    model = onnx_ir.load(file)  # in the exporter's own model they still have uses, in copies of nodes that are gone
    RemoveUnusedNodesPass()(model)
    onnx_ir.save(model, file)


class Onnx(Program):
    """An ONNX file. Writing it needs onnx and onnxscript, checking it onnxruntime."""

    name = "generator.onnx"

    def write(self, painter: Painter, inputs: Sequence[Tensor], names: Sequence[str], file: Path) -> dict[str, Any]:
        """Write the file with opset `OPSET`."""
        write_onnx(painter, inputs, names, "images", file)
        return {"opset": OPSET}

    def draw(self, file: Path, inputs: Inputs, names: Sequence[str]) -> Tensor:
        """Return the pictures that onnxruntime draws."""
        import onnxruntime

        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
        values = {name: value.numpy() for name, value in zip(names, inputs.tensors, strict=True)}
        return torch.from_numpy(session.run(None, values)[0])


class TorchExport(Program):
    """The file of a `torch.export.ExportedProgram`."""

    name = "generator.pt2"

    def write(self, painter: Painter, inputs: Sequence[Tensor], names: Sequence[str], file: Path) -> dict[str, Any]:
        """Write the file with this torch."""
        program = torch.export.export(painter, tuple(inputs), dynamic_shapes=(*batches(inputs),), strict=False)
        torch.export.save(program, file)
        return {"torch": torch.__version__}

    def draw(self, file: Path, inputs: Inputs, names: Sequence[str]) -> Tensor:
        """Return the pictures that the file's program draws."""
        return torch.export.load(file).module()(*inputs.tensors)


PROGRAMS: dict[str, Program] = {"onnx": Onnx(), "torch_export": TorchExport()}


def check_installed(forms: Sequence[str]) -> None:
    """Raise `UserError` if a form needs a package that is not installed."""
    if "onnx" in forms and (missing := [name for name in NEEDED if find_spec(name) is None]):
        raise UserError(f'`to=onnx` needs {", ".join(missing)}: pip install "ganlab[export]"')


@contextmanager
def quiet() -> Iterator[None]:
    """Silence what the exporters say of their own insides: names of axes, steps of optimization, groups of weights."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "torch.export", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "# The axis name: ")
            warnings.filterwarnings("ignore", "No complete tensor found in the group")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
