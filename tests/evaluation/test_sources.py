"""Pictures from folders: nested, of mixed sizes and formats, broken ones, and never many in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganlab.errors import UserError
from ganlab.evaluation.extract import gather
from ganlab.evaluation.sources import Folder
from ganlab.metrics.features import Extractor, Small, digest_of
from ganlab.metrics.resizers import Resizer


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """24 pictures in two folders, of eight sizes and six formats, grey and transparent ones too, and a broken one."""
    root = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for i in range(24):
        folder = root / ("cats", "dogs")[i % 2] / "deeper"
        folder.mkdir(parents=True, exist_ok=True)
        mode = ("RGB", "L", "RGBA")[i % 3]
        pixels = random.integers(0, 256, (20 + i % 8, 30, len(mode)), dtype=np.uint8)
        suffix = {"RGB": ("png", "webp", "tiff", "jpg", "bmp", "ppm")[i // 3 % 6]}.get(mode, "png")
        Image.fromarray(pixels.squeeze(-1) if mode == "L" else pixels).save(folder / f"{i:02d}.{suffix}")
    (root / "cats" / "broken.jpg").write_bytes(b"no picture")
    return root


def test_every_picture_is_there_in_order_with_its_class(photos: Path):
    seen = list(Folder(photos, 100, 0).batches())
    assert len(seen) == 24 and {tuple(images.shape[:2]) for images, _ in seen} == {(1, 3)}
    assert [labels for _, labels in seen] == 12 * [["cats"]] + 12 * [["dogs"]]


def test_broken_files_are_named_once(photos: Path, capsys):
    folder = Folder(photos, 100, 0)
    for _ in range(2):
        assert len(list(folder.batches())) == 24
    assert capsys.readouterr().err.count("broken.jpg is left out") == 1


def test_a_count_chooses_always_the_same(photos: Path):
    first, second = Folder(photos, 10, 3), Folder(photos, 10, 3)
    assert first.files == second.files and len(first.files) == 10 and first.files != Folder(photos, 10, 4).files


def test_what_tells_a_folder_from_another_is_what_is_in_it(photos: Path, tmp_path: Path):
    for name, file in enumerate(sorted(Folder(photos, 100, 0).files)):
        copy = tmp_path / f"{name:02d}{Path(file).suffix}"
        copy.write_bytes((photos / file).read_bytes())
    assert Folder(tmp_path, 100, 0).facts() == Folder(photos, 100, 0).facts()
    copy.write_bytes(copy.read_bytes() + b" ")
    assert Folder(tmp_path, 100, 0).facts() != Folder(photos, 100, 0).facts()


def test_an_empty_folder_says_so(tmp_path: Path):
    Image.new("RGB", (8, 8)).save(tmp_path / "one.png")
    with pytest.raises(UserError, match="has 1 picture: at least 2 are needed"):
        Folder(tmp_path, 100, 0)


class Watched(Extractor):
    """Colour means, in batches of 5; remembers how large the batches were."""

    def __init__(self) -> None:
        super().__init__("watched", 3, digest_of(Path(__file__)), Resizer("antialias", 8), batch=5)
        self.sizes: list[int] = []

    def features_and_logits(self, prepared: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        self.sizes.append(len(prepared))
        return prepared.mean((2, 3)), prepared.new_zeros(len(prepared), 0)


def test_pictures_of_all_sizes_share_batches(photos: Path):
    """Resized one by one, looked at five by five: 24 pictures are 5 + 5 + 5 + 5 + 4."""
    extractor = Watched()
    sample = gather(extractor, Folder(photos, 100, 0))
    assert extractor.sizes == [5, 5, 5, 5, 4] and sample.count == 24


def test_features_are_those_of_each_picture_alone(photos: Path):
    small = Small()
    sample = gather(small, Folder(photos, 100, 0))
    alone = torch.cat([small(images) for images, _ in Folder(photos, 100, 0).batches()])
    torch.testing.assert_close(sample.features, alone, rtol=1e-4, atol=1e-4)
    assert sample.labels == 12 * ["cats"] + 12 * ["dogs"]
