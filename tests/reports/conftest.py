"""Folders of runs as `fit` leaves them, with numbers that are known."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

PROTOCOL = {"measure": "fid", "extractor": "small", "fakes": 100, "reference": "aaaa"}
VERSIONS = {"ganlab": "0.1", "torch": "2", "python": "3", "device": "a processor"}

MakeRun = Callable[..., Path]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """make_run(name, seed=, fids=, words=, recipe=, ...): a run whose FID was measured at 100, 200, ... images seen."""

    def make(
        name: str,
        seed: int = 0,
        fids: tuple[float, ...] = (3.0, 1.0, 2.0),
        words: tuple[str, ...] = (),
        recipe: Mapping[str, Any] | None = None,
        protocol: Mapping[str, Any] = PROTOCOL,
        summary: Mapping[str, Any] | None = None,
        sheets: bool = False,
    ) -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        content = {
            "seed": seed,
            "gamma": 1.0,
            "data": {"_target_": "ganlab.data.emoji.EmojiData", "seed": seed},
            "objective": {"_target_": "ganlab.objectives.Hinge"},
            "trainer": {"max_steps": len(fids)},
            "recipe": "tiny",
            "overrides": ["recipe=tiny", f"seed={seed}", *words],
            **(recipe or {}),
        }
        (folder / "recipe.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
        rows = [f"{i},{100 * i},{0.5 * i},{fid}" for i, fid in enumerate(fids, 1)]
        (folder / "metrics.csv").write_text(
            "\n".join(["iteration,images_seen,discriminator/realism,quality/fid_small", *rows, ""])
        )
        best = min(range(len(fids)), key=fids.__getitem__)
        told = {
            "recipe": "tiny",
            "iterations": len(fids),
            "images_seen": 100 * len(fids),
            "seconds": 10.0,
            "metrics": {"quality/fid_small": fids[-1]},
            "best": {
                "name": "quality/fid_small",
                "value": fids[best],
                "iteration": best + 1,
                "images_seen": 100 * (best + 1),
            },
            "versions": VERSIONS,
            "memory": {"process": 2_000_000_000},
            "protocols": {"fid_small": dict(protocol)},
            **(summary or {}),
        }
        (folder / "summary.json").write_text(json.dumps(told))
        for i in range(len(fids) + 1) if sheets else ():
            (folder / "samples").mkdir(exist_ok=True)
            Image.new("RGB", (80, 40), (50 * i, 90, 120)).save(folder / "samples" / f"{100 * i:010d}.png")
        return folder

    return make
