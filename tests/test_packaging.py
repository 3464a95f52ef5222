"""What is declared: the same dependencies for pip and conda, every package and recipe installed."""

import configparser
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
CONDA_NAMES = {"pytorch": "torch"}


def settings():
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def requirements(lines):
    """`name -> version` of lines such as `torch>=2.4`, by pip's names."""
    pairs = (re.fullmatch(r"([A-Za-z0-9_.-]+?)((?:[<>=!~].*)?)", line.strip()) for line in lines if line.strip())
    return {CONDA_NAMES.get(pair[1], pair[1]): pair[2] for pair in pairs}


def conda():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    own = [line for line in listed if isinstance(line, str) and line != "pip"]
    (pip,) = (line["pip"] for line in listed if isinstance(line, dict))
    return requirements([*own, *(line for line in pip if not line.startswith("-"))])


def test_conda_gets_the_same_dependencies_as_pip():
    options = settings()["options"]
    python = {"python": options["python_requires"]}
    assert conda() == requirements(options["install_requires"].splitlines()) | python


def test_torch_and_torchvision_have_no_upper_bound():
    declared = requirements(settings()["options"]["install_requires"].splitlines())
    assert not any("<" in declared[name] or "==" in declared[name] for name in ("torch", "torchvision"))


def test_every_folder_of_the_package_is_installed():
    folders = {
        ".".join(path.parent.relative_to(ROOT).parts)
        for path in (ROOT / "ganlab").rglob("__init__.py")
        if "recipes" not in path.parts
    }
    assert set(settings()["options"]["packages"].split()) == folders | {"ganlab.recipes"}


def test_recipes_lie_no_deeper_than_what_is_installed():
    patterns = settings()["options.package_data"]["ganlab.recipes"].split(", ")
    installed = {path for pattern in patterns for path in (ROOT / "recipes").glob(pattern)}
    assert installed == set((ROOT / "recipes").rglob("*.yaml"))
