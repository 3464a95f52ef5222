"""The command lines as a person types them: help, mistakes and printed recipes, in under a second and without torch."""

import os
import resource
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest

from ganlab.config import cli
from ganlab.config.catalog import catalog
from ganlab.config.helptext import SETTINGS, fit_help
from ganlab.errors import UserError
from ganlab.evaluate import EvaluateSettings
from ganlab.evaluate import checked as checked_evaluate
from ganlab.sample import SampleSettings
from ganlab.sample import checked as checked_sample

ROOT = Path(__file__).parents[2]


def run(folder, module, *words):
    """What a command prints, its exit code, and its processor seconds (wall time would measure the neighbours)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(folder), "HTTPS_PROXY": "http://127.0.0.1:9"}
    command = [sys.executable, "-m", module, *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


TYPOS = [
    ("ganlab.fit", ["recipe=nope"], "vanilla"),
    ("ganlab.fit", ["recipe=cgan_text2img", "data=nope"], "emoji"),
    ("ganlab.fit", ["recipe=cgan_text2img", "trainer.devcies=2"], "`trainer.devices`"),
    ("ganlab.fit", ["recipe=cgan_text2img", "batch_size=abc"], "a whole number"),
    ("ganlab.fit", ["-m", "recipe=vanilla", "objective=hinge,hing"], "`objective=hinge`"),
    ("ganlab.fit", ["-m", "recipe=vanilla", "seed=1,b"], "`seed`"),
    ("ganlab.fit", ["recipe=vanilla", "--cfg", "job", "trainer.devcies=2"], "`trainer.devices`"),
    ("ganlab.fit", ["resume=nothing"], "nothing does not exist in this folder"),
    ("ganlab.fit", [], "`recipe` is needed"),
    ("ganlab.sample", ["chekpoint=runs/x/0"], "`checkpoint=...`"),
    ("ganlab.sample", ["checkpoint=runs/x/0", "count=many"], "`count` must be a whole number, got many"),
    ("ganlab.sample", [], "`checkpoint` is needed"),
    ("ganlab.evaluate", ["generated=out"], "`reference` is needed"),
    ("ganlab.evaluate", ["metric=[fid]"], "`metrics=...`"),
]


@pytest.mark.parametrize(("module", "words", "part"), TYPOS)
def test_a_mistake_is_one_line_and_exit_code_2(tmp_path, module, words, part):
    done, seconds = run(tmp_path, module, *words)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith(f"{module}: ") and part in done.stderr
    assert seconds < 1, "torch was loaded?"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ["ganlab.fit", "--help"],
        ["ganlab.fit", "recipe=cgan_text2img", "--cfg", "job"],
        ["ganlab.sample", "--help"],
        ["ganlab.evaluate", "-h"],
    ],
)
def test_answers_in_under_a_second_and_leaves_nothing_behind(tmp_path, words):
    done, seconds = run(tmp_path, *words)
    assert done.returncode == 0 and done.stdout and not done.stderr
    assert seconds < 1
    assert list(tmp_path.iterdir()) == []


def test_debug_shows_the_traceback(tmp_path):
    done, _ = run(tmp_path, "ganlab.fit", "recipe=vanilla", "trainer.devcies=2", "ganlab.debug=true")
    assert done.returncode != 0 and "Traceback" in done.stderr and "`trainer.devices`" in done.stderr


SCRIPT = """
import os
import sys
from ganlab.config import cli

def report(recipe):
    print(recipe["objective"]["_target_"].rpartition(".")[2], recipe["seed"], sys.argv[1:])
    if recipe["seed"] == 13:
        raise FileNotFoundError("no such pictures")
    if recipe["seed"] == 14:
        raise ZeroDivisionError
    print(os.environ.get("LEFT_BEHIND", ""), end="")
    os.environ["LEFT_BEHIND"] = "by the job before"

if __name__ == "__main__":
    with cli.errors_in_one_line():
        from ganlab.config.recipe import launch
        launch(report, sys.argv[1:])
"""


@pytest.fixture
def script(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    return tmp_path


def test_a_sweep_runs_every_job_in_a_place_of_its_own(script):
    """Lightning starts other processes with the first one's words, which must be one job's, and leaves ranks behind."""
    done, _ = run(
        script, "script", "recipe=vanilla", "-m", "objective=hinge,minimax", "seed=1,2", "trainer.max_steps=3"
    )
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [["Hinge", "1"], ["Hinge", "2"], ["Minimax", "1"], ["Minimax", "2"]]
    assert lines[1].endswith("['--config-name', 'vanilla', 'objective=hinge', 'seed=2', '++trainer.max_steps=3']")
    assert {path.name for path in script.iterdir()} <= {"script.py", "runs", "__pycache__"}


def test_a_run_leaves_nothing_of_hydras_behind(script):
    done, _ = run(script, "script", "recipe=vanilla")
    assert done.returncode == 0 and not done.stderr
    assert {path.name for path in script.iterdir()} <= {"script.py", "__pycache__"}


def test_what_the_system_refuses_is_one_line_too(script):
    done, _ = run(script, "script", "recipe=vanilla", "seed=13")
    assert (done.returncode, done.stderr) == (1, "script: no such pictures\n")


def test_a_bug_keeps_its_traceback(script):
    done, _ = run(script, "script", "recipe=vanilla", "seed=14")
    assert done.returncode == 1 and "ZeroDivisionError" in done.stderr


# Settings of a flat command ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "captions"),
    [
        ("a red apple", ["a red apple"]),
        ("a dog, sitting (happy)", ["a dog, sitting (happy)"]),
        ("the dog's ball: new!", ["the dog's ball: new!"]),
        ("'quoted, whole'", ["quoted, whole"]),
        ("[a red apple, a blue car]", ["a red apple", "a blue car"]),
        ("[a, 'b, c', \"d's\"]", ["a", "b, c", "d's"]),
        ("x=1", ["x=1"]),
        ("[]", []),
    ],
)
def test_captions_are_what_the_shell_gives(text, captions):
    assert cli.read_settings(SampleSettings, [f"text={text}"]).text == captions


def test_settings_have_types():
    settings = cli.read_settings(EvaluateSettings, ["generated=a b", "reference=c", "metrics=[fid,kid]", "count=7"])
    assert settings == EvaluateSettings(generated="a b", reference="c", metrics=["fid", "kid"], count=7)


@dataclass
class Every:
    flag: bool = cli.setting(False, "yes or no")
    rate: float | None = cli.setting(None, "a number")
    sizes: list[int] = cli.setting([1], "whole numbers")


def test_every_type_of_setting():
    words = ["flag=true", "rate=1e-3", "sizes=[2,3]", "ganlab.debug=true"]
    assert cli.read_settings(Every, words) == Every(True, 1e-3, [2, 3])
    assert cli.read_settings(Every, ["rate=null", "sizes=4"]) == Every(sizes=[4])


@pytest.mark.parametrize("word", ["flag=perhaps", "rate=fast", "sizes=[1,b]", "flgs=true", "flag"])
def test_wrong_settings(word):
    with pytest.raises(UserError, match=r"`fl|`rate`|`sizes`"):
        cli.read_settings(Every, [word])


@pytest.mark.parametrize("words", [["count=0", "checkpoint=x"], ["text=a"]])
def test_sample_refuses(words):
    with pytest.raises(UserError):
        checked_sample(cli.read_settings(SampleSettings, words))


@pytest.mark.parametrize("words", [[], ["checkpoint=x", "generated=y"], ["reference=y"], ["checkpoint=x", "count=1"]])
def test_evaluate_refuses(words):
    with pytest.raises(UserError):
        checked_evaluate(cli.read_settings(EvaluateSettings, words))


def test_evaluate_names_the_folder_that_is_none(tmp_path):
    (tmp_path / "pictures.zip").touch()
    for name in ("pictures.zip", "nothing"):
        words = [f"generated={tmp_path / name}", f"reference={tmp_path}"]
        with pytest.raises(UserError, match=rf"^`generated` must be a folder of pictures, got .*{name}"):
            checked_evaluate(cli.read_settings(EvaluateSettings, words))


def test_evaluate_names_the_folder_that_has_no_pictures(tmp_path):
    for name in ("full", "empty"):
        (tmp_path / name).mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "full" / name).touch()
    for setting, others in (("generated", ["reference=full"]), ("reference", ["generated=full"])):
        words = [word.replace("full", str(tmp_path / "full")) for word in others]
        for place, why in ((tmp_path / "empty", "at least 2 pictures.*none"), (tmp_path / "nothing", "a folder of")):
            with pytest.raises(UserError, match=f"^`{setting}` must be .*{why}"):
                checked_evaluate(cli.read_settings(EvaluateSettings, [f"{setting}={place}", *words]))


def test_a_warning_of_ganlab_is_one_line():
    """That of another package keeps its place: it tells where to look."""
    before = warnings.formatwarning
    with cli.errors_in_one_line():
        assert warnings.formatwarning("3 files are left out", UserWarning, cli.__file__, 10) == (
            "ganlab: 3 files are left out\n"
        )
        assert "pytest" in warnings.formatwarning("too old", UserWarning, pytest.__file__, 10)
    assert warnings.formatwarning is before


# Help -------------------------------------------------------------------------------------------------------------


def test_help_fits_a_screen_and_a_half_and_a_recipe_a_line():
    lines = fit_help([]).splitlines()
    assert len(lines) <= 66 and max(map(len, lines)) <= 110
    first = lines.index("Recipes") + 1
    assert lines.index("", first) - first == len(catalog().recipes())


def test_help_lists_recipes_of_ones_own(tmp_path):
    (tmp_path / "mine.yaml").write_text("# My very own.\n")
    assert "My very own." in fit_help(["--config-dir", str(tmp_path)])


def test_help_names_settings_that_there_are():
    from ganlab.config.recipe import compose

    words = [name for name in SETTINGS if name.partition("=")[0] not in ("run_dir", "resume", "data.root")]
    assert compose("recipe=vanilla", "data=folder", "data.root=x", *words)
