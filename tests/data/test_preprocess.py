"""The keywords that all sources share, and what is held out."""

from __future__ import annotations

import numpy as np
import pytest

from ebdsl.run.data import preprocess
from tests.data.specs import got


def done(x: np.ndarray, **options: object) -> np.ndarray:
    return preprocess.fit(x, preprocess.settings(options, {}))[1]


@pytest.fixture
def x() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6)) + 3).astype(np.float32)


def test_centre(x: np.ndarray) -> None:
    np.testing.assert_allclose(done(x, centre=True).mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(done(x, centre="sample").mean(axis=1), 0, atol=1e-5)


def test_normalise_equalises_contrast_and_spares_flat_samples(x: np.ndarray) -> None:
    y = done(np.concatenate([x, np.full_like(x[:1], 0.0)]), centre="sample", normalise=True)
    assert 0.8 < y[:-1].std(axis=1).mean() < 1.0 and (y[-1] == 0).all()


@pytest.mark.parametrize("kind", [True, "zca", "pca"])
def test_whitening_gives_the_identity(x: np.ndarray, kind: object) -> None:
    y = done(x, whiten=kind, floor=0.0)
    np.testing.assert_allclose(np.cov(y.T, bias=True), np.eye(6), atol=2e-3)


def test_zca_is_the_nearest_whitening_and_pca_is_ordered(x: np.ndarray) -> None:
    centred = x - x.mean(axis=0)
    zca, pca = done(x, whiten="zca", floor=0.0), done(x, whiten="pca", floor=0.0)
    assert ((zca - centred) ** 2).sum() < ((pca - centred) ** 2).sum()
    explained = np.abs(np.linalg.lstsq(pca, centred, rcond=None)[0]) ** 2
    assert (np.diff(explained.sum(axis=1)) < 0).all()


def test_a_direction_without_variance_stays_zero(x: np.ndarray) -> None:
    y = done(np.concatenate([x, x[:, :1]], axis=1), whiten="zca", floor=0.0)
    assert np.isfinite(y).all() and np.abs(y).max() < 10


def test_scales(x: np.ndarray) -> None:
    assert np.sqrt(np.mean(done(x, scale=0.7).astype(float) ** 2)) == pytest.approx(0.7, rel=1e-5)
    unit = done(x, scale="unit")
    assert unit.min() == 0 and unit.max() == 1
    np.testing.assert_allclose(done(x, times=3.0), 3 * x)
    assert set(np.unique(done(x, threshold=3.0))) == {0, 1}


def test_order_is_as_documented(x: np.ndarray) -> None:
    y = done(x, threshold=0.0, centre=True, scale=2.0)
    np.testing.assert_array_equal(y, x > x.mean(axis=0, dtype=np.float64))


def test_zero_data_has_no_scale() -> None:
    with pytest.raises(preprocess.Trouble):
        done(np.zeros((3, 2), np.float32), scale=1.0)


def test_the_held_out_are_treated_with_the_others_numbers() -> None:
    whole = got("gaussian(1000, 3)").arrays["y"]
    data = got("gaussian(1000, 3, centre = true, whiten = zca)", holdout=0.2)
    train, held = data.arrays["y"], data.held_out["y"]
    assert (len(train), len(held)) == (800, 200) and "200 held out" in data.describe
    np.testing.assert_allclose(train.mean(axis=0), 0, atol=1e-4)
    assert np.abs(held.mean(axis=0)).max() > 1e-3
    # one affine map took the raw samples to all of these
    both = np.concatenate([train, held])
    assert np.linalg.matrix_rank(np.c_[both, np.ones(len(both))]) == 4 and len(both) == len(whole)


def test_holdout_and_count_are_random_and_repeatable() -> None:
    a, b, c = (got("rings(500, count = 100)", seed=s, holdout=0.1) for s in (1, 1, 2))
    np.testing.assert_array_equal(a.held_out["y"], b.held_out["y"])
    assert len(a.arrays["y"]) == 90 and len(a.labels) == 90 and len(a.held_out_labels) == 10
    assert not np.array_equal(a.held_out["y"], c.held_out["y"])
    rows = {tuple(r) for r in a.arrays["y"]} & {tuple(r) for r in a.held_out["y"]}
    assert not rows


def test_pairs_are_split_alike() -> None:
    data = got("bounce(100, noise = 0)", "x : R[1]", "y : R[1]", holdout=0.3)
    for part in (data.arrays, data.held_out):
        np.testing.assert_allclose(np.abs(part["y"] - part["x"]), 1, atol=1e-6)


def test_labels_are_not_preprocessed() -> None:
    data = got("blobs(50, 3, centre = true, scale = 9)", "y : R[D]", "c : onehot[K]")
    assert set(np.unique(data.arrays["c"])) == {0, 1}


def test_it_is_told_in_words() -> None:
    text = got("gaussian(100, centre = true, whiten = true, times = 2)").describe
    assert "mean taken off" in text and "whitened (ZCA" in text and "multiplied by 2" in text
