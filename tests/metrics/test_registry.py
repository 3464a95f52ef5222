"""The registry: metrics are found without importing torch, wrong names are answered, other classes are measured."""

from __future__ import annotations

import runpy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from ganlab.config.trust import admitted
from ganlab.data.pictures import Pictures
from ganlab.errors import UserError
from ganlab.evaluate import HELP
from ganlab.evaluation.evaluator import Evaluator
from ganlab.metrics.metric import Metric, Target
from ganlab.metrics.registry import checked_names, chosen, lines, names

ROOT = Path(__file__).parents[2]
MINE = '''
from ganlab.metrics.metric import HIGHER, PICTURES, Result, SampleMetric


class Brightness(SampleMetric):
    """Mean level of the samples."""

    name = "brightness"
    better = HIGHER
    needs = (PICTURES,)

    def look(self, samples):
        return samples.images.double().flatten(1).mean(1)

    def compute(self):
        return Result.mean(self.rows.values, fakes=len(self.rows.places))


def a_function():
    """Not a metric."""
'''


class White:
    """A model that draws white pictures."""

    device = torch.device("cpu")

    def draw_latent(self, count: int, generator: torch.Generator | None = None) -> torch.Tensor:
        return torch.zeros(count, 0)

    def sample(self, latent: torch.Tensor, condition: None) -> torch.Tensor:
        return torch.ones(len(latent), 3, 8, 8)


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    (tmp_path / "somebodys_metrics.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "somebodys_metrics.Brightness"
    sys.modules.pop("somebodys_metrics", None)


def target() -> Target:
    return Target(30, split="reference", pictures=Pictures(np.zeros((5, 3, 8, 8), np.uint8)))


def test_a_class_of_your_own_is_measured(mine: str) -> None:
    (kind,) = chosen([mine], target(), ["somebodys_metrics"])
    evaluator = Evaluator([kind], target())
    found = evaluator.measure(White())["brightness"]  # type: ignore[arg-type]
    assert found.value == 255 and found.protocol == {"split": "reference", "seed": 0, "fakes": 30}
    assert (evaluator.leading, evaluator.better.value) == ("brightness", 1)


def test_a_class_of_your_own_needs_your_word(mine: str) -> None:
    with pytest.raises(UserError, match=r"pass allow=\[somebodys_metrics\]"):
        checked_names([mine], [])
    assert "somebodys_metrics" not in sys.modules


@pytest.mark.parametrize("path", ["somebodys_metrics.a_function", "ganlab.metrics.metric.FeatureMetric"])
def test_what_is_no_metric_is_refused(mine: str, path: str) -> None:
    with pytest.raises(UserError, match="not a class derived from"):
        chosen([path], target())


def test_a_stored_recipe_names_no_class_of_somebody_else(mine: str) -> None:
    """The quality callback would import it."""
    quality = {"_target_": "ganlab.callbacks.quality.Quality", "metrics": ["fid", mine]}
    with pytest.raises(UserError, match=r"`callbacks.quality.metrics.1` .* pass allow=\[somebodys_metrics\]"):
        admitted({"callbacks": {"quality": quality}})
    assert admitted({"callbacks": {"quality": quality}}, ["somebodys_metrics"])["callbacks"]["quality"] == quality
    ours = {**quality, "metrics": ["fid", "ganlab.metrics.kernels.KernelDistance"]}
    assert admitted({"callbacks": {"quality": ours}})["callbacks"]["quality"]["metrics"] == ours["metrics"]
    for other in ("ganlab.metrics.metric.Metric", "torch.nn.modules.linear.Linear", "os.system"):
        with pytest.raises(UserError, match="must be one of ganlab's metrics"):
            admitted({"callbacks": {"quality": {**quality, "metrics": [other]}}})


def test_wrong_names_are_answered() -> None:
    with pytest.raises(UserError, match="did you mean `kid`"):
        checked_names(["kdi"])
    with pytest.raises(UserError, match=r"r_precision cannot be measured on this data, only .*fid"):
        chosen(["r_precision"], target())


def test_every_metric_has_its_line_in_the_help() -> None:
    words = " ".join(HELP.split())
    for name, line in lines().items():
        assert f" {name} {line}" in words
    assert {"fid", "kid", "variety", "modes"} <= set(names())


def test_the_registry_imports_nothing_heavy() -> None:
    code = "import sys; from ganlab.metrics import registry; registry.lines(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_two_metrics_share_a_name_only_if_no_data_suit_both() -> None:
    from ganlab.metrics.registry import candidates

    for name in names():
        needs = [kind.needs for kind in candidates(name)]
        assert len(needs) == len(set(needs))


def test_a_metric_is_abstract_until_it_says_everything() -> None:
    with pytest.raises(TypeError, match="abstract"):
        Metric(target())  # type: ignore[abstract]


def test_the_table_in_the_docs_is_made_from_the_registry() -> None:
    hook = runpy.run_path(str(ROOT / "tools" / "metrics_table.py"))
    page = hook["on_page_markdown"]((ROOT / "docs" / "metrics.md").read_text())
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `")]
    assert [name for name in names() if not any(row[0] == f"| `{name}`" and len(row) == 4 for row in rows)] == []
    assert ["| `copying`", "lower", "training features"] in [row[:3] for row in rows]
