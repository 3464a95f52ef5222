"""Reference statistics: kept whole, read from other people's files, and never unpickled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ganlab.errors import UserError
from ganlab.metrics.features import Small, digest_of
from ganlab.metrics.frechet import frechet
from ganlab.metrics.gathering import Sample
from ganlab.metrics.moments import frechet_distance_of_sets
from ganlab.metrics.reference import load_reference, save_reference


@pytest.fixture(scope="module")
def small() -> Small:
    return Small()


def features(seed: int, count: int = 200) -> torch.Tensor:
    return torch.randn(count, 64, generator=torch.Generator().manual_seed(seed)) + 0.1 * seed


def test_a_file_gives_back_what_was_put_in(tmp_path: Path, small: Small):
    sample = Sample.of(features(0), ["a", "b"] * 100)
    save_reference(tmp_path / "deep" / "stats.npz", sample, {**small.protocol, "reference": "abc"})
    back, facts = load_reference(tmp_path / "deep" / "stats.npz", small)
    assert back.count == 200 and back.labels == sample.labels and torch.equal(back.features, sample.features)
    assert facts == {**small.protocol, "reference": "abc"}
    fake = Sample.of(features(1))
    assert frechet(back, fake).value == pytest.approx(frechet(sample, fake).value, rel=1e-12)
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["stats.npz"]


def test_a_file_of_pytorch_fid_is_good_for_the_frechet_distance(tmp_path: Path, small: Small):
    """numpy's own mean and covariance, as pytorch-fid and StyleGAN store them: mu (D,), sigma (D, D)."""
    x = features(0).double().numpy()
    np.savez(tmp_path / "theirs.npz", mu=x.mean(0), sigma=np.cov(x, rowvar=False))
    real, facts = load_reference(tmp_path / "theirs.npz", small)
    found = frechet(real, Sample.of(features(1))).value
    assert found == pytest.approx(frechet_distance_of_sets(features(0), features(1)), rel=1e-9)
    assert len(real.features) == 0 and facts["reference"] == digest_of(tmp_path / "theirs.npz")


def test_others_read_ours(tmp_path: Path, small: Small):
    save_reference(tmp_path / "ours.npz", Sample.of(features(0)), small.protocol)
    with np.load(tmp_path / "ours.npz", allow_pickle=False) as stored:
        np.testing.assert_allclose(stored["sigma"], np.cov(features(0).double().numpy(), rowvar=False), atol=1e-12)
        np.testing.assert_allclose(stored["mu"], features(0).double().mean(0).numpy(), atol=1e-12)


class Nasty:
    """Would leave a file behind if it were unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_nothing_is_unpickled(tmp_path: Path, small: Small):
    nasty = np.array([Nasty(tmp_path / "been here")], dtype=object)
    np.savez(tmp_path / "stats.npz", mu=nasty, sigma=np.eye(64))
    with pytest.raises(UserError, match=r"no \.npz of plain arrays"):
        load_reference(tmp_path / "stats.npz", small)
    assert not (tmp_path / "been here").exists()


def test_files_that_do_not_fit_say_so(tmp_path: Path, small: Small):
    file = tmp_path / "stats.npz"
    for arrays, said in (
        ({"mean": np.zeros(64)}, "mu and sigma, got mean"),
        ({"mu": np.zeros(2048), "sigma": np.eye(2048)}, "has 2048 features and extractor=small gives 64"),
        ({"mu": np.zeros(64), "sigma": np.eye(63)}, r"sigma must be \(D, D\)"),
        ({"mu": np.zeros(64), "sigma": np.full((64, 64), np.nan)}, r"sigma must be \(D, D\)"),
    ):
        np.savez(file, **arrays)
        with pytest.raises(UserError, match=said):
            load_reference(file, small)
    file.write_bytes(b"no zip")
    with pytest.raises(UserError, match="plain arrays"):
        load_reference(file, small)
    with pytest.raises(UserError, match="does not exist"):
        load_reference(tmp_path / "nowhere.npz", small)


def test_features_of_another_kind_are_refused_by_the_field(tmp_path: Path, small: Small):
    save_reference(tmp_path / "stats.npz", Sample.of(features(0)), {**small.protocol, "resizer": "tf1 32x32"})
    with pytest.raises(UserError, match="was made with resizer tf1 32x32, and now it is antialias 32x32"):
        load_reference(tmp_path / "stats.npz", small)
