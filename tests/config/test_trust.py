"""What a stored recipe may hold: plain values, and components of the kinds that belong in their slots."""

from __future__ import annotations

import pytest

from ganlab.config.catalog import catalog
from ganlab.config.derived import restored
from ganlab.config.recipe import compose
from ganlab.config.trust import SLOTS, admitted, judged, plain
from ganlab.errors import UserError

EVERY_KIND = tuple(kind for kinds in SLOTS.values() for kind in kinds)

ADMITTED = {
    "torch.optim.Adam": "torch.optim.adam.Adam",
    "torch.nn.Linear": "torch.nn.modules.linear.Linear",
    "torch.optim.lr_scheduler.CosineAnnealingLR": "torch.optim.lr_scheduler.CosineAnnealingLR",
    "pytorch_lightning.Trainer": "pytorch_lightning.trainer.trainer.Trainer",
    "ganlab.objectives.Hinge": "ganlab.objectives.Hinge",
    "ganlab.variants.VanillaGAN": "ganlab.variants.vanilla.VanillaGAN",
    "ganlab.core.sides.Side": "ganlab.core.sides.Side",
    "ganlab.networks.heads.BlindHead": "ganlab.networks.heads.BlindHead",
    "ganlab.loggers.dashboard.Dashboard": "ganlab.loggers.dashboard.Dashboard",
}


@pytest.mark.parametrize("target", ADMITTED)
def test_a_target_becomes_the_path_of_its_definition(target):
    assert judged(target, "x", EVERY_KIND) == ADMITTED[target]
    assert judged(ADMITTED[target], "x", EVERY_KIND) == ADMITTED[target]


@pytest.mark.parametrize(
    "target",
    [
        *("os.system", "builtins.eval", "subprocess.Popen", "hydra.utils.instantiate", "collections.Counter"),
        *("torch.load", "torch.hub.load", "torch.serialization.load", "torch.utils.cpp_extension.load"),
        *("torch.nn.modules.module.torch.load", "torch.nn.functional.relu", "torch.nn.Module", "torch.optim.Optimizer"),
        *("torch.nn.DataParallel", "torch.nn.Linear.forward", "torch.package.PackageImporter", "torch.Tensor"),
        *(
            "ganlab.files.run_folder.os.system",
            "ganlab.files.run_folder.atomic_write",
            "ganlab.config.recipe.build",
            "ganlab.data.base.torch.load",
        ),
        *("ganlab.objectives.Objective", "ganlab.objectives._Logistic", "ganlab.data._private.Thing"),
        *("ganlab.metrics.pretrained.scripted", "ganlab.networks./tmp/evil.Net", "ganlab.networks.dcgan.Trunk.forward"),
        *("pytorch_lightning.callbacks.ModelCheckpoint", "pytorch_lightning.profilers.AdvancedProfiler"),
        *("pytorch_lightning.LightningModule.load_from_checkpoint", "pytorch_lightning.cli.LightningCLI"),
        *("torchmetrics.Metric", "stranger.evil.LayerNorm", "ganlab", "", "torch.", ".torch.nn.Linear", 3, None, []),
    ],
)
def test_what_no_slot_takes(target):
    with pytest.raises(UserError, match="checkpoint"):
        judged(target, "x", EVERY_KIND)


@pytest.mark.parametrize(
    ("place", "target"),
    [
        ("objective", "torch.nn.Linear"),
        ("trainer", "ganlab.callbacks.checkpoints.Checkpoints"),
        ("logger.x", "ganlab.callbacks.checkpoints.Checkpoints"),
        ("callbacks.x", "ganlab.loggers.CsvLogger"),
        ("network.generator", "ganlab.variants.VanillaGAN"),
        ("generator.optimizer", "torch.optim.lr_scheduler.StepLR"),
        ("seed", "ganlab.objectives.Hinge"),
    ],
)
def test_a_component_stands_in_its_own_slot(place, target):
    *parents, name = place.split(".")
    tree = {name: {"_target_": target}}
    for parent in reversed(parents):
        tree = {parent: tree}
    if place.startswith(("network", "generator")):
        tree[parents[0]]["_target_"] = {
            "network": "ganlab.networks.architecture.Architecture",
            "generator": "ganlab.core.sides.Side",
        }[parents[0]]
    with pytest.raises(UserError, match=f"`{place}` in the checkpoint"):
        admitted(tree)


def test_every_recipe_of_ours_may_be_in_a_checkpoint():
    for name in catalog().recipes():
        recipe = compose(f"recipe={name}")
        kept = admitted(plain({key: value for key, value in recipe.items() if key != "derived"}, "it"))
        assert admitted(kept) == kept


@pytest.mark.parametrize(
    "value",
    [
        *("${oc.env:HOME}", "a${b}", "\\${a}", "${oc.create:{}}", "x" * 2_000, "\x1b[2J", 10**30, {1}, b"x", object()),
        *({"${a}": 1}, {"_args_": [1]}, {1: 2}, {"a.b": 1}, {"_convert_": "all"}),
    ],
)
def test_what_is_no_plain_value(value):
    for tree in ({"a": value}, {"a": [{"b": value}]}):
        with pytest.raises(UserError, match="recipe"):
            plain(tree, "the recipe")


def test_trees_that_are_too_large():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    wide = [0]
    for _ in range(60):
        wide = [wide, wide]
    for tree in (deep, wide, [0] * 30_000):
        with pytest.raises(UserError, match="too large"):
            plain({"a": tree}, "it")


@pytest.mark.parametrize(
    "setting", [{"profiler": "simple"}, {"default_root_dir": "x"}, {"plugins": []}, {"accelerator": "../x"}]
)
def test_a_stored_trainer_has_plain_settings_unless_the_user_says_them(setting):
    trainer = {"trainer": {"_target_": "pytorch_lightning.Trainer", **setting}}
    (name,) = setting
    if setting != {"plugins": []}:
        with pytest.raises(UserError, match=f"`trainer.{name}`"):
            admitted(trainer)
    assert admitted(trainer, said=[f"trainer.{name}"])["trainer"][name] is None


@pytest.mark.parametrize("encoder", ["SentenceEncoder", "CaptionEncoder"])
def test_what_a_stored_recipe_names_is_fetched_only_if_the_user_allows_it(encoder):
    node = {"condition": {"_target_": f"ganlab.networks.text.{encoder}", "model": "a/b", "hub": True}}
    assert admitted(node)["condition"]["hub"] is False
    assert admitted(node, ["hub"])["condition"]["hub"] is True


@pytest.mark.parametrize(
    "table",
    [["a"], {"a": 1}, {"b": "oc.env:HOME"}, {"b": "a}${oc.env:X"}, {"a": "b", "b": "a"}, {"b": "b"}, {"b": ".a"}, "x"],
)
def test_references_are_between_dotted_names_only(table):
    with pytest.raises(UserError, match="`derived`"):
        restored({"a": 1, "b": 1}, {"a": 1, "b": 1}, table)
