"""Recipes: composed, checked before anything is imported, built; and what a checkpoint's recipe may not do."""

import copy
import functools
import pickle

import pytest
import torch
import yaml

from ganlab.config.catalog import base_recipe, catalog
from ganlab.config.command import Command
from ganlab.config.recipe import build, compose, literal, locate, to_yaml, trusted
from ganlab.config.trust import admitted
from ganlab.errors import UserError
from ganlab.files.run_folder import RunFolder
from ganlab.files.settings_file import read_yaml

RECIPE = "recipe=cgan_text2img"


def message(*words):
    with pytest.raises(UserError) as error:
        compose(*words)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("group", "place"),
    [("regularizer", "discriminator.regularizers"), ("optimizer", "_global_"), ("network", None)],
)
def test_a_choice_without_the_package_of_its_group_is_refused(tmp_path, group, place):
    """Hydra would put it at `regularizer.drift`, which nothing reads: the run would train without the penalty."""
    (tmp_path / group).mkdir()
    (tmp_path / group / "drift.yaml").write_text("# Mine.\ndrift: {_target_: ganlab.regularizers.R1, weight: 1}\n")
    if place:
        said = message("--config-dir", str(tmp_path), "recipe=ring", f"{group}=drift")
        assert f"{group}/drift.yaml must begin with the line `# @package {place}`" in said
    assert compose("--config-dir", str(tmp_path), "recipe=ring")["recipe"] == "ring"


def test_what_a_recipe_says_of_its_own_data_does_not_stand_in_the_way_of_others():
    """few_shot says a `root` and a `size` of its folder, which arrays do not have. What is typed is still checked."""
    recipe = compose("recipe=few_shot", "data=arrays", "data.images=mine.npz")
    assert recipe["data"]["flip"] is True and not {"root", "size"} & recipe["data"].keys()
    assert compose("recipe=few_shot", "data=shapes")["data"]["size"] == 64
    said = message("recipe=few_shot", "data=arrays", "data.images=mine.npz", "data.size=32")
    assert said.startswith("`data.size` is not a setting of ganlab.data.arrays.ArrayData")


def test_a_file_that_is_not_yaml_is_named_with_its_line(tmp_path):
    (tmp_path / "head").mkdir()
    (tmp_path / "head" / "mine.yaml").write_text("# mine\n_target_: my_head.Mine\n  _partial_: true\n")
    said = message("--config-dir", str(tmp_path), RECIPE, "head=mine")
    assert "is not YAML" in said and "mine.yaml" in said and "line 3" in said


# Words ---------------------------------------------------------------------------------------------------------------


def test_settings_and_groups_change_the_recipe():
    recipe = compose(RECIPE, "objective=hinge", "seed=3", "trainer.max_steps=7")
    assert recipe["objective"] == {"_target_": "ganlab.objectives.Hinge"}
    assert (recipe["seed"], recipe["trainer"]["max_steps"], recipe["recipe"]) == (3, 7, "cgan_text2img")


def test_a_parameter_that_the_recipe_does_not_spell_out_needs_no_sign():
    assert compose(RECIPE, "trainer.precision=bf16-mixed")["trainer"]["precision"] == "bf16-mixed"


@pytest.mark.parametrize(
    "words",
    [
        ["recipe=vanilla", "-m", "objective=hinge,minimax", "trainer.max_steps=3"],
        ["recipe=vanilla", "--cfg", "job", "~generator.clip", "+trainer.precision=32", "++seed=1"],
        ["resume=runs/x/0", "trainer.max_steps=3", "objective=hinge"],
        ["recipe=recipes/vanilla.yaml", "hydra.verbose=true"],
    ],
)
def test_rewriting_twice_is_rewriting_once(words, monkeypatch):
    """Lightning starts its other processes with the rewritten words."""
    monkeypatch.chdir(catalog().folders[0].parent)
    once = Command.read(words)
    assert Command.read(once.words()) == once


def test_words_after_an_option_are_still_settings():
    assert Command.read(["recipe=vanilla", "-m", "seed=1,2"]).overrides == ("seed=1,2",)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["recipe=vanila"], ["`recipe=vanila`", "`recipe=vanilla`"]),
        ([RECIPE, "data=emojy"], ["`data=emojy`", "`data=emoji`"]),
        ([RECIPE, "trainer.devcies=2"], ["`trainer.devcies`", "`trainer.devices`"]),
        ([RECIPE, "bach_size=3"], ["`bach_size`", "`batch_size`"]),
        ([RECIPE, "generator.optimiser.lr=1"], ["`generator.optimiser`", "`generator.optimizer`"]),
        ([RECIPE, "generator.optimizer.beta=1"], ["`generator.optimizer.betas`"]),
        ([RECIPE, "generator.optimizer._target_=torch.optim.Adm"], ["`torch.optim.Adam`"]),
        ([RECIPE, "batch_size=abc"], ["`batch_size`", "a whole number", "'abc'"]),
        ([RECIPE, "trainer.max_steps=abc"], ["`trainer.max_steps`", "a whole number", "'abc'"]),
        ([RECIPE, "trainer.max_steps=1e4"], ["10000.0: write 10000"]),
        ([RECIPE, "generator.optimizer.lr=fast"], ["a number", "'fast'"]),
        ([RECIPE, "trainer.gradient_clip_val=1"], ["`generator.clip` and `discriminator.clip`"]),
        ([RECIPE, "trainer.accumulate_grad_batches=2"], ["`generator.accumulate`"]),
        ([RECIPE, "callbacks.qualty.every=3"], ["`callbacks.qualty`", "`_target_`", "`callbacks.quality`"]),
        ([RECIPE, "discriminator.regularizers.r1=3"], ["`discriminator.regularizers`", "got"]),
        ([RECIPE, "ganlab.debgu=true"], ["`ganlab.debug`"]),
        ([RECIPE, "regularizer.r1.weight=3"], ["`regularizer.r1.weight`", "discriminator.regularizers.r1.weight=3"]),
        (["recipe=ring", "mixture.modes=3"], ["`mixture.modes`", "write data.mixture.modes=3"]),
        ([RECIPE, "optimizer.lr=3"], ["`optimizer.lr`", "--cfg job"]),
        ([RECIPE, "mixture=grid"], ["mixture"]),
        (["recipe=ring", "mixture=grd"], ["`mixture=grd`", "`mixture=grid`"]),
        ([RECIPE, "trainer=cpu3"], ["`trainer"]),
        ([RECIPE, "seed=${nothing}"], ["nothing"]),
        ([RECIPE, "objective=fgan", "objective.divergence=revers_kl"], ["'reverse_kl', ", "mean 'reverse_kl'?"]),
        ([RECIPE, "objective=hinge,minimax"], ["several values", "-m"]),
        ([RECIPE, "data.size=[1"], ["`data.size=[1` cannot be read"]),
        (["recipe=vanilla", "head=joint"], ["`head` is not a part of recipe=vanilla"]),
        (["vanilla"], ["key=value", "`recipe=vanilla`"]),
        ([RECIPE, "--epochs", "3"], ["--epochs", "key=value"]),
        ([RECIPE, "resume=x"], ["`recipe`", "`resume`"]),
        (["seed=1"], ["`recipe` is needed"]),
        (["resume=no/such/run"], ["no/such/run does not exist"]),
    ],
)
def test_every_mistake_is_one_line_with_the_nearest_right_word(words, parts):
    said = message(*words)
    assert [part for part in parts if part not in said] == []


def test_a_path_with_brackets_is_just_a_path(tmp_path):
    (tmp_path / "mine.yaml").write_text("# Mine.\ndefaults: [vanilla, override data: folder, _self_]\n")
    recipe = compose(f"--config-dir={tmp_path}", "recipe=mine", "data.root=my photos (2024), best")
    assert recipe["data"]["root"] == "my photos (2024), best"


# Recipes of people's own ---------------------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path):
    (tmp_path / "objective").mkdir()
    (tmp_path / "objective" / "mine.yaml").write_text("_target_: ganlab.objectives.Hinge\n")
    (tmp_path / "mine.yaml").write_text(
        "# My recipe.\ndefaults: [base, network: mlp, objective: mine, _self_]\nbatch_size: 5\n"
        "variant: {_target_: ganlab.variants.VanillaGAN}\n"
        "data:\n  _target_: torch.optim.Adam\n  lr: ???\n"
    )
    return tmp_path


def test_recipes_and_groups_from_a_folder_of_ones_own(own):
    recipe = compose("--config-dir", str(own), "recipe=mine", "data.lr=1")
    assert recipe["batch_size"] == 5 and recipe["objective"]["_target_"] == "ganlab.objectives.Hinge"


def test_a_file_of_ones_own_with_one_of_our_names_is_refused(own):
    (own / "objective" / "hinge.yaml").touch()
    assert "hinge.yaml has the name of one of ganlab's own" in message("--config-dir", str(own), "recipe=mine")


@pytest.mark.parametrize(
    ("line", "says"), [("batch_size: 7", "duplicate key batch_size"), ("trainer: {max_steps: 5", "expected ',' or '}'")]
)
def test_a_file_that_is_not_yaml_is_refused_in_one_line(own, line, says):
    with (own / "mine.yaml").open("a") as file:
        file.write(line + "\n")
    told = message("--config-dir", str(own), "recipe=mine", "data.lr=1")
    assert says in told and "mine.yaml" in told


def test_a_recipe_by_its_file(own):
    assert compose(f"recipe={own}/mine.yaml", "data.lr=1")["recipe"] == "mine"


def test_what_must_be_given_is_asked_for(own):
    assert "`data.lr` is needed: pass data.lr=..." in message(f"recipe={own}/mine.yaml")


def test_a_group_of_the_base_that_the_recipe_does_not_choose_is_added(own):
    (own / "average").mkdir()
    (own / "average" / "mine.yaml").write_text("half_life: 7\n")
    assert compose(f"recipe={own}/mine.yaml", "data.lr=1", "average=mine")["average"]["half_life"] == 7


def test_catalog_reads_first_lines_and_groups(own):
    both = catalog(own)
    assert both.recipes()["mine"] == "My recipe." and "base" not in both.recipes()
    assert {"mine", "hinge"} <= set(both.groups()["objective"])


def test_numbers_in_yaml_are_numbers(tmp_path):
    """PyYAML by itself reads 2e-4 as a word."""
    (tmp_path / "x.yaml").write_text("a: 2e-4\nb: 1_0.5\nc: 1e3x\n")
    assert read_yaml(tmp_path / "x.yaml") == {"a": 2e-4, "b": 10.5, "c": "1e3x"}


def test_every_recipe_and_group_says_what_it_is():
    ours = catalog()
    assert all(ours.recipes().values())
    assert all(path.read_text().startswith("# ") for path in ours.folders[0].rglob("*.yaml"))


# Resuming and trust --------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path):
    """A run's folder as training leaves it, with a setting that the recipe's file does not have."""
    folder = RunFolder(tmp_path / "runs" / "cgan_text2img" / "0")
    folder.write_recipe(to_yaml(compose(RECIPE, "seed=11", "data=mnist", "run_dir=elsewhere", "allow=[sneaky]")))
    return folder


def test_resuming_takes_the_runs_recipe_and_the_settings_on_top(run):
    recipe = compose(f"resume={run.path}", "trainer.max_steps=5")
    assert (recipe["seed"], recipe["trainer"]["max_steps"], recipe["recipe"]) == (11, 5, "cgan_text2img")
    assert recipe["resume"] == str(run.path)
    assert recipe["run_dir"] is None and recipe["allow"] == []


def test_resuming_with_another_group_replaces_the_whole_of_it(run):
    assert compose(f"resume={run.path}", "data=emoji")["data"]["_target_"] == "ganlab.data.emoji.EmojiData"
    assert compose(f"resume={run.path}", "data=emoji")["data"].keys() == compose(RECIPE)["data"].keys()


@pytest.mark.parametrize("name", sorted(catalog().recipes()))
def test_what_followed_a_setting_follows_it_in_a_resumed_run(name, tmp_path):
    """Schedules end where the run does, penalties weigh what they are told to: as if it had been said at once."""
    words = ["trainer.max_steps=77", "gamma=0.7", "penalty_every=3", "match_weight=0.6", "pack=2"]
    RunFolder(tmp_path).write_recipe(to_yaml(compose(f"recipe={name}", "seed=5")))
    resumed, fresh = compose(f"resume={tmp_path}", *words), compose(f"recipe={name}", "seed=5", *words)
    assert resumed.pop("derived") == fresh.pop("derived")
    assert {**resumed, "resume": None} == admitted(fresh)


def test_a_setting_that_was_given_follows_nothing(tmp_path):
    RunFolder(tmp_path).write_recipe(to_yaml(compose(RECIPE, "data=shapes", "generator.scheduler.end=123")))
    resumed = compose(f"resume={tmp_path}", "trainer.max_steps=77")
    assert resumed["generator"]["scheduler"]["end"] == 123
    assert resumed["discriminator"]["scheduler"]["end"] == 77


def test_a_resumed_runs_pictures_are_held_out_as_before(run):
    """The seed of the data chose them; another seed of the run must not show them to the players."""
    recipe = compose(f"resume={run.path}", "seed=3")
    assert (recipe["seed"], recipe["data"]["seed"]) == (3, 11)


@pytest.mark.parametrize("derived", ["[a]", "{a: 1}"])
def test_a_table_of_what_follows_what_is_one(run, derived):
    text = run.recipe_file.read_text().partition("derived:")[0]
    run.write_recipe(f"{text}derived: {derived}\n")
    assert "`derived`" in message(f"resume={run.path}")


def test_resuming_checks_its_settings_too(run):
    assert "`trainer.devices`" in message(f"resume={run.path}", "trainer.devcies=2")


def test_resuming_from_a_checkpoint_that_stands_alone(run, tmp_path):
    file = tmp_path / "alone.ckpt"
    torch.save({"ganlab": {"recipe": compose(RECIPE, "seed=12")}}, file)
    assert compose(f"resume={file}")["seed"] == 12
    assert trusted(file)["recipe"] == "cgan_text2img"


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    torch.save({"weights": 1}, tmp_path / "x.ckpt")
    assert "not one of ganlab's" in message(f"resume={tmp_path}/x.ckpt")


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('executed')",))


def test_a_checkpoint_with_code_in_it_is_refused_and_not_run(tmp_path):
    torch.save({"ganlab": {"recipe": Bomb()}}, tmp_path / "x.ckpt")
    assert "its pickle names '__builtin__ exec'" in message(f"resume={tmp_path}/x.ckpt")


def test_a_run_that_names_somebodys_code_needs_the_users_word(run):
    content = yaml.safe_load(run.recipe_file.read_text())
    content["objective"] = {"_target_": "collections.Counter"}
    content["allow"] = ["collections"]
    content["hydra"] = {"callbacks": {"x": {"_target_": "os.system"}}}
    run.write_recipe(yaml.safe_dump(content))
    assert "pass allow=[collections] if you trust it" in message(f"resume={run.path}")
    assert compose(f"resume={run.path}", "allow=[collections]")["objective"]["_target_"] == "collections.Counter"


# Recipe -> objects ---------------------------------------------------------------------------------------------------


def test_build_makes_parts_first_and_takes_extras():
    node = {"_target_": "torch.nn.Sequential"}
    assert isinstance(build(node), torch.nn.Sequential)
    layer = build({"_target_": "torch.nn.Linear", "in_features": 2, "bias": False}, out_features=3)
    assert layer.weight.shape == (3, 2) and layer.bias is None


def test_extras_replace_settings_without_building_them():
    node = {
        "_target_": "builtins.dict",
        "a": {"_target_": "no.such.thing"},
        "b": [{"_target_": "builtins.dict", "c": 1}],
    }
    assert build(node, a=4) == {"a": 4, "b": [{"c": 1}]}


def test_partial_waits_for_the_rest():
    made = build({"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.5})
    assert isinstance(made, functools.partial)
    assert made([torch.zeros(1, requires_grad=True)]).defaults["lr"] == 0.5


@pytest.mark.parametrize("partial", [False, True])
def test_a_class_that_lacks_methods_is_refused_in_one_line(partial: bool):
    lacking = "density_logit, discriminator_terms, forward, report"
    with pytest.raises(UserError, match=f"`OneLogitHead` cannot be made: it must define {lacking}"):
        build({"_target_": "ganlab.networks.heads.OneLogitHead", "_partial_": partial})


def test_what_comes_later_must_be_taken_too():
    """`torch.optim.Adam` takes no `rate`; a mistake of a class's own code stays a traceback."""
    made = build({"_target_": "torch.optim.Adam", "_partial_": True, "lr": 0.5})
    with pytest.raises(UserError, match=r"`Adam` cannot be made: .*'rate' \(it takes params, lr, .* gets lr, rate\)"):
        made([], rate=1)
    with pytest.raises(ValueError, match="empty parameter list"):
        made([])
    assert pickle.loads(pickle.dumps(made)).keywords == copy.deepcopy(made).keywords == {"lr": 0.5}


def test_building_without_what_is_needed_says_what_is_missing():
    with pytest.raises(UserError, match="`Linear` cannot be made: missing a required argument: 'in_features'"):
        build({"_target_": "torch.nn.Linear"})


@pytest.mark.parametrize("target", ["torch.optim.Adm", "nothing.Here", "Adam"])
def test_locating_what_is_not_there(target):
    with pytest.raises(UserError, match="_target_"):
        locate(target)


def test_base_has_every_key_that_a_command_owns():
    assert {"seed", "run_dir", "resume", "allow", "batch_size", "trainer", "ganlab"} <= base_recipe().keys()


def test_where_the_settings_of_a_group_are():
    """Under the group's own name, at one other place, or at several."""
    places = catalog().place
    assert [places(group) for group in ("network", "data", "regularizer", "optimizer")] == [
        None,
        None,
        "discriminator.regularizers",
        "",
    ]


@pytest.mark.parametrize("folder", ["Anna's photos", "two words, [and] {signs}", "it's 'quoted'"])
def test_a_value_is_taken_as_it_is(folder: str) -> None:
    assert compose("recipe=vanilla", literal("run_dir", folder))["run_dir"] == folder


def test_an_apostrophe_in_a_path_needs_no_quotes() -> None:
    assert compose("recipe=vanilla", "run_dir=Anna's photos")["run_dir"] == "Anna's photos"
