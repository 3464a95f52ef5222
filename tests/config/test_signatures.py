"""Reading what a component takes from its source must agree with importing it and asking Python."""

import inspect
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ganlab.config.annotations import accepts, choices, describe
from ganlab.config.checking import definition_of
from ganlab.config.signatures import parameters
from ganlab.config.sources import Missing, Unknown, find, refresh
from ganlab.errors import UserError


def signature(target):
    return parameters(find(target))


@pytest.mark.parametrize(
    "target",
    [
        "pytorch_lightning.Trainer",
        "pytorch_lightning.callbacks.ModelCheckpoint",
        "torch.optim.Adam",
        "torch.optim.lr_scheduler.CosineAnnealingLR",
        "torch.nn.Conv2d",
        "torch.nn.Linear",
        "ganlab.core.sides.Side",
        "ganlab.core.averaging.MovingAverage",
        "ganlab.objectives.Hinge",
        "ganlab.regularizers.R1",
    ],
)
def test_same_parameters_as_the_imported_class(target):
    from ganlab.config.building import locate

    imported = inspect.signature(locate(target)).parameters.values()
    named = [p.name for p in imported if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)]
    read = signature(target)
    assert list(read.parameters) == named
    assert read.open == any(p.kind == p.VAR_KEYWORD for p in imported)


def test_every_component_of_our_recipes_is_found():
    from ganlab.config.recipe import compose

    def targets(node):
        if isinstance(node, dict):
            yield from [node["_target_"]] if "_target_" in node else []
            for value in node.values():
                yield from targets(value)

    for target in targets(compose("recipe=cgan_text2img")):
        assert find(target)


def test_nothing_is_imported():
    """A fresh interpreter reads Lightning's and torch's sources and has loaded neither."""
    code = (
        "import sys; from ganlab.config.signatures import parameters; from ganlab.config.sources import find;"
        "parameters(find('pytorch_lightning.Trainer')); parameters(find('torch.optim.Adam'));"
        "parameters(find('ganlab.core.sides.Side'));"
        "print([name for name in ('torch', 'pytorch_lightning', 'ganlab.core.adversarial') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_a_missing_name_comes_with_those_that_there_are():
    with pytest.raises(Missing) as error:
        find("torch.optim.Adm")
    assert {"Adam", "SGD"} <= set(error.value.words)


def test_a_missing_module_too():
    with pytest.raises(Missing) as error:
        find("ganlab.objectivs.Hinge")
    assert {"objectives", "networks"} <= set(error.value.words)


@pytest.mark.parametrize(
    ("target", "hint"),
    [
        ("my_netwrk.Trunk", "with the files in this folder, has no my_netwrk; did you mean `my_network`?"),
        ("ganlab.netwrks.heads.Joint", "ganlab has no netwrks; did you mean `ganlab.networks`?"),
        ("ganlab.networks.heads", "ganlab.networks has no class or function heads; there are BlindHead, "),
        ("torch.optim.Adm", "torch.optim has no Adm; did you mean `torch.optim.Adam`?"),
    ],
)
def test_the_hint_is_a_path_that_exists(target: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "my_network.py").write_text("class Trunk: ...")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=re.escape(hint)):
        definition_of(target, "head._target_")


@pytest.mark.parametrize("target", ["math.sin", "numpy.array", "sys.exit"])
def test_what_has_no_source_is_unknown(target):
    with pytest.raises(Unknown):
        find(target)


SOURCE = """
from __future__ import annotations
from abc import ABC
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Optional
from helpers import Base as Renamed
from helpers import Size

Mode = Literal["a", "b"]

class Passing(Renamed):
    def __init__(self, own: int, **kwargs):
        super().__init__(**kwargs)

class Keeping(Renamed):
    def __init__(self, own: int, **kwargs):
        self.rest = kwargs

class Inheriting(Renamed): ...

class Bare(ABC): ...

@dataclass(frozen=True)
class Data:
    size: Size
    mode: Optional[Mode] = None
    names: list[str] = field(default_factory=list)
    pair: "tuple[int, float]" = (1, 2.0)
    part: Bare | None = None
    constant: ClassVar[int] = 3
    made: int = field(init=False)

@dataclass
class More(Data):
    extra: bool = False
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package of two modules that must never be executed."""
    folder = tmp_path / "neverrun"
    folder.mkdir()
    (folder / "__init__.py").write_text("from .things import *\nraise SystemExit('executed')\n")
    (folder / "things.py").write_text(SOURCE.replace("from helpers", "from neverrun.helpers"))
    (folder / "helpers.py").write_text("Size = int\nclass Base:\n    def __init__(self, inherited: str = 'x'): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    return "neverrun"


@pytest.mark.parametrize(
    ("name", "names", "open_"),
    [
        ("Passing", {"inherited", "own"}, False),
        ("Keeping", {"own"}, True),
        ("Inheriting", {"inherited"}, False),
        ("Bare", set(), False),
        ("Data", {"size", "mode", "names", "pair", "part"}, False),
        ("More", {"size", "mode", "names", "pair", "part", "extra"}, False),
    ],
)
def test_constructors_inherited_passed_on_or_made_by_dataclass(package, name, names, open_):
    read = signature(f"{package}.{name}")
    assert (set(read.parameters), read.open) == (names, open_)


@pytest.mark.parametrize(
    ("name", "right", "wrong"),
    [
        ("size", [3], ["abc", 3.5, True, None, [3]]),
        ("mode", ["a", "b", None], ["c", 1]),
        ("names", [["x"], []], ["x", [1], {"a": 1}]),
        ("pair", [[1, 2], [1, 2.5]], [[1], [1.5, 2], 1, "ab"]),
        ("part", [None, {"_target_": "neverrun.Bare"}], ["bare", 3]),
    ],
)
def test_values_that_fit_and_values_that_do_not(package, name, right, wrong):
    parameter = signature(f"{package}.Data").parameters[name]
    assert [value for value in right if not accepts(parameter, value)] == []
    assert [value for value in wrong if accepts(parameter, value)] == []


def test_aliases_of_types_are_followed_into_other_libraries():
    precision = signature("pytorch_lightning.Trainer").parameters["precision"]
    assert accepts(precision, "bf16-mixed") and accepts(precision, 32) and not accepts(precision, "bf17")


def test_the_words_that_a_type_lists(package):
    """Through `| None` and through aliases; a type that lists none has none."""
    read = signature(f"{package}.Data").parameters
    assert choices(read["mode"]) == ["a", "b"] and choices(read["size"]) == choices(read["names"]) == []
    assert "reverse_kl" in choices(signature("ganlab.objectives.FGAN").parameters["divergence"])
    assert "bf16-mixed" in choices(signature("pytorch_lightning.Trainer").parameters["precision"])


def test_types_in_words(package):
    read = signature(f"{package}.Data").parameters
    assert describe(read["size"]) == "a whole number"
    assert describe(read["mode"]) == "one of 'a', 'b' or null"
    assert describe(signature("torch.optim.Adam").parameters["lr"]) == "a number or Tensor"


def test_a_file_that_changes_or_moves_is_read_anew(tmp_path, monkeypatch):
    """As beside a notebook: the next recipe that is composed sees the network as it now is."""
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, text in ((first, "class Mine:\n    def __init__(self, old): ..."), (second, "class Other: ...")):
        folder.mkdir()
        (folder / "edited_networks.py").write_text(text)
    monkeypatch.syspath_prepend(first)
    refresh()  # other tests' packages are gone
    assert list(signature("edited_networks.Mine").parameters) == ["old"]
    kept = find("torch.optim.Adam")
    refresh()
    assert find("torch.optim.Adam") is kept
    (first / "edited_networks.py").write_text("class Mine:\n    def __init__(self, new_one): ...")
    refresh()
    assert list(signature("edited_networks.Mine").parameters) == ["new_one"]
    monkeypatch.syspath_prepend(second)
    refresh()
    with pytest.raises(Missing):
        find("edited_networks.Mine")
