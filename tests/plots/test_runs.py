"""Pictures of trained models: which kinds fit which spec, by the commands' own way."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from ebdsl.commands import run as ebdsl
from ebdsl.diagnostics import Diagnostic, SpecError
from ebdsl.plots import after_training, available, plot
from ebdsl.plots.core import KINDS, Kind, register

SPECS = {
    "dictionary": (
        "observed y : R[M]\nlatent z : R[N]\nparam W : R[M, N], unit columns\ndim N = 20\n"
        "E(y, z) = ||y - W z||^2 + 0.3 |z|\nF(y) = min_z E(y, z)\ntrain\n    data patches(leaves, size "
        "= 8, count = 300)\n",
        {"atoms", "curves", "reconstructions", "codes", "latents"},
    ),
    "clumps": (
        "observed y : R[D]\nlatent z : onehot[K]\nparam W : R[D, K]\ndim K = 4\n"
        "E(y, z) = ||y - W z||^2\nF(y) = min_z E(y, z)\ntrain\n    data blobs(200, 4)\n",
        {"curves", "reconstructions", "predictions", "surface", "field", "codes", "gibbs"},
    ),
    "futures": (
        "observed x : R[1]\nobserved y : R[2]\nlatent z : box(-1, 1)[1]\nmodule G : R[1], R[1] -> R[2] = mlp(8, tanh)\n"
        "E(x, y, z) = ||y - G(x, z)||^2 + 0.01 ||z||^2\nF(x, y) = min_z E(x, y, z)\ntrain\n    data bounce(100)\n",
        {"curves", "reconstructions", "predictions", "surface", "field", "codes", "gibbs", "latents"},
    ),
    "mean": (
        "observed x : R[1]\nobserved y : R[1]\nmodule G : R[1] -> R[1] = mlp(8, tanh)\n"
        "F(x, y) = ||y - G(x)||^2\ntrain\n    data branches(100)\n",
        {"curves", "reconstructions", "predictions", "surface", "field", "gibbs"},
    ),
    "tied": (
        "observed y : R[D]\nparam W : R[K, D]\ndim K = 3\nF(y) = ||W' W y - y||^2\ntrain\n    data lowrank(100, 7)\n",
        {"curves", "reconstructions"},
    ),
    "auto": (
        "observed y : R[M]\nmodule λ : R[M] -> R[5] = linear\nmodule Dec : R[5] -> R[M] = linear\n"
        "F(y) = ||y - Dec(λ(y))||^2\ntrain\n    data patches(leaves, size = 8, count = 300)\n",
        {"atoms", "curves", "reconstructions"},
    ),
    "line": (
        "observed y : R[1]\nlatent z : onehot[3]\nparam W : R[1, 3]\nE(y, z) = ||y - W z||^2\nF(y) = min_z E(y, z)\n"
        "train\n    data blobs(100, 3)\n",
        {"curves", "reconstructions", "surface", "codes", "gibbs"},
    ),
}


ON_DEMAND = {"samples", "convergence"}
"""Takes chains, or trains encoders: drawn by name alone."""


def trained(folder: Path, name: str, epochs: int) -> Path:
    """The folder of a run of one of the specs above."""
    spec = folder / f"{name}.ebm"
    spec.write_text(f"model {name}\n{SPECS[name][0]}", encoding="utf-8")
    assert not ebdsl(["train", str(spec), "--out", str(folder / "run"), "--epochs", str(epochs), "--allow-flat", "-q"])
    return folder / "run"


@pytest.fixture(scope="module", params=SPECS)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, set[str]]:
    folder = trained(tmp_path_factory.mktemp(request.param), request.param, 2)
    return request.param, folder, SPECS[request.param][1]


def test_the_kinds_that_fit_are_drawn_by_training(run: tuple[str, Path, set[str]]) -> None:
    _, folder, kinds = run
    drawn = {p.stem.split("-")[0] for p in (folder / "pictures").iterdir()}
    assert drawn == kinds


def test_the_others_say_why(run: tuple[str, Path, set[str]]) -> None:
    name, folder, kinds = run
    for kind in set(available()) - kinds - ON_DEMAND:
        with pytest.raises(SpecError) as caught:
            plot(folder, kind)
        (found,) = caught.value.diagnostics
        assert found.code == "EB0791" and name in found.message and kind in found.message


def test_again_is_the_same_to_the_byte(run: tuple[str, Path, set[str]], tmp_path: Path) -> None:
    _, folder, kinds = run
    again = plot(folder, "all", tmp_path / "again")
    assert {p.stem.split("-")[0] for p in again} == kinds
    for path in again:
        assert path.read_bytes() == (folder / "pictures" / path.name).read_bytes()


@pytest.mark.parametrize("name", ["line", "clumps", "auto"])
def test_samples_are_drawn_on_demand(name: str, tmp_path: Path) -> None:
    """One number, two numbers and pictures; the same to the byte."""
    folder = trained(tmp_path, name, 1)
    (first,) = plot(folder, "samples")
    (again,) = plot(folder, "samples", tmp_path / "again")
    assert first.read_bytes() == again.read_bytes()


def test_pictures_are_not_blank_and_not_huge(run: tuple[str, Path, set[str]]) -> None:
    image = pytest.importorskip("PIL.Image")
    for path in (run[1] / "pictures").iterdir():
        x = np.asarray(image.open(path).convert("L"))
        assert 250 <= x.shape[0] <= 1400 or "reconstructions" in path.name, path.name
        assert 500 <= x.shape[1] <= 1400 and len(np.unique(x)) > 20


def test_layers_carry_the_names_of_the_spec(run: tuple[str, Path, set[str]]) -> None:
    name, folder, _ = run
    if name == "auto":
        drawn = {p.name for p in (folder / "pictures").iterdir()}
        assert {"atoms-first_layer_of_λ.png", "atoms-last_layer_of_Dec.png"} <= drawn


@pytest.fixture(scope="module")
def clumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("c"), "clumps", 1)


@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")])
def test_formats(clumps: Path, tmp_path: Path, suffix: str, begins: bytes) -> None:
    (path,) = plot(clumps, "surface", tmp_path / f"s{suffix}")
    assert path == tmp_path / f"s{suffix}" and path.read_bytes().startswith(begins)
    first = path.read_bytes()
    assert plot(clumps, "surface", tmp_path / f"s{suffix}")[0].read_bytes() == first


def test_what_is_asked_wrongly(clumps: Path, tmp_path: Path) -> None:
    for kind, out, code in (("surfice", None, "EB0790"), ("surface", tmp_path / "s.xyz", "EB0790")):
        with pytest.raises(SpecError) as caught:
            plot(clumps, kind, out)
        assert caught.value.diagnostics[0].code == code
    with pytest.raises(SpecError) as caught:
        plot(tmp_path / "nothing", "surface")
    assert caught.value.diagnostics[0].code == "EB0812"
    (tmp_path / "file").write_text("x")
    with pytest.raises(SpecError):
        plot(clumps, "surface", tmp_path / "file" / "s.png")


def test_without_matplotlib_it_is_said(clumps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ebdsl.plots.draw._missing", lambda: True)
    warned: list[Diagnostic] = []
    assert after_training(tmp_path, SimpleNamespace(), warned.append) == []
    assert [d.code for d in warned] == ["EB0793"] and "ebdsl[plot]" in warned[0].help[0]
    with pytest.raises(SpecError) as caught:
        plot(clumps, "surface")
    assert caught.value.diagnostics[0].code == "EB0792"


def test_a_picture_that_fails_does_not_take_the_others_with_it(
    clumps: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(view: object) -> object:
        raise ZeroDivisionError("division by zero")

    register(Kind("broken", "fails", broken, 1))  # type: ignore[arg-type]
    try:
        with pytest.raises(SpecError) as caught:
            plot(clumps, "broken")
        assert caught.value.diagnostics[0].code == "EB0794" and "broken" in available()
        folder = trained(tmp_path, "clumps", 1)
        assert len(list((folder / "pictures").iterdir())) == len(SPECS["clumps"][1])
        assert "EB0793" in capsys.readouterr().err
    finally:
        del KINDS["broken"]
