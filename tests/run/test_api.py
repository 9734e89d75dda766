"""The Python interface, on small specs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import ebdsl
from ebdsl import SpecError

ROOT = Path(ebdsl.__file__).parents[1]
SPARSE = """model small
observed y : R[M]
latent   z : R[N]
param    W : R[M, N], unit columns
dim      N = 8
const    λ = 0.2
E(y, z) = ||y - W z||^2 + λ|z|
F(y)    = min_z E(y, z)
"""
PAIR = """model pair
observed x : R[2]
observed y : R[3]
param    A : R[3, 2]
F(x, y) = ||y - A x||^2
"""


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(120, 5))


@pytest.fixture(scope="module")
def fitted(y) -> ebdsl.Spec:
    return ebdsl.load(SPARSE).fit(y, epochs=3, batch=40, device="cpu", dtype="float64")


def test_importing_is_cheap() -> None:
    code = "import sys, ebdsl; s = ebdsl.load('kmeans', K=5); s.explain(); s.draw(); s.source(); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)}, check=True
    )
    assert not {"torch", "sklearn", "pandas"} & set(done.stdout.split())
    assert set(ebdsl.__all__) <= set(dir(ebdsl))
    with pytest.raises(AttributeError):
        ebdsl.nothing  # noqa: B018


def test_a_spec_is_loaded_from_text_file_and_name(tmp_path) -> None:
    (tmp_path / "a.ebm").write_text(SPARSE, encoding="utf-8")
    for what in (SPARSE, tmp_path / "a.ebm", str(tmp_path / "a.ebm")):
        assert ebdsl.load(what).name == "small"
    assert ebdsl.load("kmeans").name == "kmeans"


@pytest.mark.parametrize("settings", [{"λ": 0.75}, {"lam": 0.75}])
def test_settings_go_into_the_text(settings) -> None:
    assert "λ = 0.75" in ebdsl.load(SPARSE, **settings, N=3).text
    assert ebdsl.load(SPARSE, **settings, N=3).module(M=4).W.shape == (4, 3)


@pytest.mark.parametrize(
    ("text", "settings", "code"),
    [("nowhere.ebm", {}, "EB0121"), (SPARSE.replace("W z", "V z"), {}, "EB02"), (SPARSE, {"Q": 1}, "EB0716")],
)
def test_what_is_wrong_is_raised_with_the_text_of_the_command_line(text, settings, code) -> None:
    with pytest.raises(SpecError) as error:
        ebdsl.load(text, **settings)
    assert f"error[{code}" in str(error.value) and error.value.diagnostics
    if text.startswith("model"):
        assert code == "EB0716" or "E(y, z) = ||y - V z||^2" in str(error.value)


def test_check_explain_draw_source(tmp_path) -> None:
    spec = ebdsl.load(SPARSE)
    assert spec.check() == ()
    assert [d.code for d in ebdsl.load("pca").check()] == ["EB0405"]
    assert ebdsl.load("ae_identity").check()[-1].severity == "error"
    assert "soft threshold" in spec.explain()
    assert spec.draw().startswith("<svg") and spec._repr_svg_() == spec.draw()
    spec.draw(tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    compile(spec.source(M=5), "m.py", "exec")
    with pytest.raises(SpecError, match="EB0850"):
        spec.draw(tmp_path / "x.jpeg")


def test_fitting_lowers_the_energy_and_answers(fitted, y) -> None:
    assert fitted.history[-1]["energy"] < fitted.history[0]["energy"]
    assert [row["step"] for row in fitted.history] == list(range(1, 10))
    codes = fitted.infer(y)
    assert list(codes) == ["z"] and codes["z"].shape == (120, 8) and codes.converged.all() and len(codes) == 1
    assert np.allclose(codes.energy, fitted.energy(y, codes["z"])) and np.allclose(codes.energy, fitted.free_energy(y))
    terms = fitted.terms(y=y, z=codes["z"])
    W = fitted.module().W.detach().numpy()
    assert np.allclose(terms["||y - W z||^2"], ((y - codes["z"] @ W.T) ** 2).sum(1))
    assert np.allclose(terms["λ|z|"], 0.2 * abs(codes["z"]).sum(1))
    worse = fitted.energy(y, codes["z"] + 0.01 * np.random.default_rng(1).normal(size=codes["z"].shape))
    assert (worse >= codes.energy - 1e-9).all()


def test_torch_in_torch_out(fitted, y) -> None:
    tensor = torch.tensor(y)
    codes = fitted.infer(tensor)
    assert isinstance(codes["z"], torch.Tensor) and isinstance(codes.energy, torch.Tensor)
    assert isinstance(fitted.free_energy(tensor), torch.Tensor)
    assert isinstance(fitted.energy(tensor, codes["z"]), torch.Tensor)
    assert isinstance(fitted.free_energy(y), np.ndarray) and isinstance(fitted.infer(y)["z"], np.ndarray)
    assert np.array_equal(codes["z"].numpy(), fitted.infer(y)["z"])
    assert isinstance(fitted.free_energy(y.tolist()), np.ndarray)


def test_steps_and_tolerance_reach_the_inference(fitted, y) -> None:
    assert fitted.infer(y, steps=2, tolerance=1e-12).iterations.max() <= 2
    assert fitted.infer(y, tolerance=1e-10).residual.max() < fitted.infer(y, tolerance=1e-2).residual.max()


def test_fitting_again_is_the_same_and_another_seed_is_not(fitted, y) -> None:
    again = ebdsl.load(SPARSE).fit({"y": torch.tensor(y)}, epochs=3, batch=40, device="cpu", dtype="float64")
    energies = [[row["energy"] for row in spec.history] for spec in (fitted, again)]
    assert energies[0] == energies[1]
    other = ebdsl.load(SPARSE).fit(y, epochs=3, batch=40, device="cpu", dtype="float64", seed=1)
    assert [row["energy"] for row in other.history] != energies[0]


def test_save_and_load(fitted, y, tmp_path) -> None:
    path = fitted.save(tmp_path / "run")
    loaded = ebdsl.load(path)
    assert np.array_equal(loaded.free_energy(y), fitted.free_energy(y)) and "trained" in repr(loaded)
    with pytest.raises(SpecError, match="EB0811"):
        fitted.save(tmp_path / "run")
    fitted.save(tmp_path / "run", force=True)
    with pytest.raises(SpecError, match="EB0718"):
        ebdsl.load(SPARSE).save(tmp_path / "other")
    with pytest.raises(SpecError, match="EB0708"):
        ebdsl.load(path, N=4)


def test_fit_into_a_run_folder(y, tmp_path) -> None:
    spec = ebdsl.load(SPARSE).fit(y, epochs=2, device="cpu", out=tmp_path / "r")
    assert (tmp_path / "r" / "metrics.jsonl").exists() and (tmp_path / "r" / "model.py").exists()
    assert np.allclose(ebdsl.load(tmp_path / "r").free_energy(y), spec.free_energy(y), rtol=1e-6)


def test_several_observed_variables() -> None:
    rng = np.random.default_rng(3)
    x, a = rng.normal(size=(200, 2)), rng.normal(size=(3, 2))
    spec = ebdsl.load(PAIR).fit({"x": x, "y": x @ a.T}, dtype="float64", device="cpu")
    assert np.allclose(spec.module().A.detach(), a, atol=1e-3)
    assert spec.energy(x, x @ a.T).max() < 1e-4 and spec.terms(x=x, y=x @ a.T)
    with pytest.raises(SpecError, match="x, y"):
        spec.free_energy(x)
    with pytest.raises(SpecError, match="missing"):
        spec.free_energy({"x": x})
    with pytest.raises(SpecError, match="no variable"):
        spec.free_energy({"x": x, "y": x @ a.T, "w": x})
    with pytest.raises(SpecError, match="number of samples"):
        spec.free_energy({"x": x, "y": (x @ a.T)[:-1]})


@pytest.mark.parametrize(
    ("value", "word"),
    [
        (np.zeros(5), "samples are rows"),
        (np.zeros((3, 4)), "shape"),
        (np.zeros((3, 5, 1)), "shape"),
        ("text", "numbers"),
        ([[1, 2], [3]], "numbers"),
        (np.array([["a"] * 5]), "numbers"),
        (np.zeros((2, 5), dtype=complex), "numbers"),
    ],
)
def test_values_that_do_not_fit(fitted, value, word) -> None:
    with pytest.raises(SpecError, match=word):
        fitted.free_energy(value)


def test_asking_before_fitting(y) -> None:
    spec = ebdsl.load(SPARSE)
    for ask in (spec.infer, spec.free_energy):
        with pytest.raises(SpecError, match="EB0718"):
            ask(y)
    with pytest.raises(SpecError, match="EB0702"):
        spec.module()


def test_no_samples_are_no_answers(fitted) -> None:
    assert fitted.free_energy(np.zeros((0, 5))).shape == (0,)
    assert fitted.infer(np.zeros((0, 5)))["z"].shape[0] == 0


def test_a_progress_bar_on_demand(y, capsys) -> None:
    ebdsl.load(SPARSE).fit(y, epochs=2, device="cpu")
    assert capsys.readouterr().err == ""
    ebdsl.load(SPARSE).fit(y, epochs=2, device="cpu", progress=True)
    assert "epoch 2/2" in capsys.readouterr().err


def test_dimensions_that_no_parameter_has_may_be_of_another_size() -> None:
    spec = ebdsl.load(
        """model conv
observed y : R[H, W]
latent   z : R[K, H, W]
param    D : R[K, 3, 3], unit filters
dim      K = 2
E(y, z) = ||y - Σ_k D[k] * z[k]||^2 + 0.1 Σ_k |z[k]|
F(y)    = min_z E(y, z)
"""
    )
    rng = np.random.default_rng(0)
    small, large = rng.normal(size=(6, 5, 5)), rng.normal(size=(3, 7, 9))
    spec.fit(small, epochs=1, device="cpu", dtype="float64")
    codes = spec.infer(large)
    assert codes["z"].shape == (3, 2, 7, 9)
    assert np.allclose(spec.energy(large, codes["z"]), spec.free_energy(large))
    with pytest.raises(SpecError, match="EB0719"):
        spec.infer(rng.normal(size=(3, 7, 2, 2)))
