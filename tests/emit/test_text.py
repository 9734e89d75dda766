"""Generated text as a product: the same again, clean by ruff, typed, and alone in the world."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.emit.names import RESERVED
from tests.emit.compiled import case, compile_spec, planned
from tests.emit.corpus import CORPUS

SPECS = Path(__file__).parents[2] / "specs"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All generated files of the corpus."""
    path = tmp_path_factory.mktemp("generated")
    for name in CORPUS:
        (path / f"{name}.py").write_text(case(name).text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", CORPUS)
def test_the_same_again(name: str) -> None:
    """Byte-identical from a new plan, though names of axes are drawn anew."""
    assert driver.emit(planned(CORPUS[name], name)) == case(name).text


@pytest.mark.parametrize("name", CORPUS)
def test_no_line_is_too_long(name: str) -> None:
    assert max(map(len, case(name).text.split("\n"))) <= 120


def test_a_long_comprehension_is_broken_at_its_loops() -> None:
    c = compile_spec("""
        observed y : R[P], w : R, > 0
        latent z : onehot[4]
        param C : R[4, P]
        F(y, w) = min_z w Σ_k z[k] ||y - C[k]||^2
    """)
    assert "                        for y, w in tiles(" in c.text


def test_names_of_any_length_leave_comments_whole() -> None:
    for length in (60, 75, 200):
        m = "m" * length
        text = f"model {m}\nobserved y : R[6]\nlatent {m}z : R[4]\nparam W : R[6, 4], unit columns\n"
        text += f"F(y) = min_{{{m}z}} ||y - W {m}z||^2 + 0.1 |{m}z|\n"
        found = driver.compile_source(Source("s.ebm", text))
        assert found.value is not None
        ast.parse(found.value)


def test_the_same_in_another_process(tmp_path: Path) -> None:
    """The order of sets and hashes does not show."""
    program = (
        "import sys; from pathlib import Path; from ebdsl import driver; from ebdsl.diagnostics import Source\n"
        "for p in sys.argv[1:]: print(driver.compile_source(Source('s.ebm', Path(p).read_text())).value)"
    )
    names = ["shared_precision_mixture", "two_views", "two_codes", "groups_by_size", "tied_encoder", "two_onehots"]
    for n in names:
        (tmp_path / f"{n}.ebm").write_text(f"model {n}\n" + textwrap.dedent(CORPUS[n]), encoding="utf-8")
    files = [str(tmp_path / f"{n}.ebm") for n in names]
    said = [
        subprocess.run(
            [sys.executable, "-c", program, *files], capture_output=True, text=True, check=True, cwd=SPECS.parent,
            env={"PYTHONHASHSEED": seed, "PATH": ""},
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1] and "class TwoViews" in said[0]


@pytest.mark.skipif(
    shutil.which("ruff") is None and not Path(sys.executable).with_name("ruff").exists(), reason="no ruff"
)
@pytest.mark.parametrize("verb", [["check", "--select", "F,E9,W,I,B,UP,C4"]], ids=["check"])
def test_ruff(folder: Path, verb: list[str]) -> None:
    """No name that is not used or not there, imports in order."""
    beside = Path(sys.executable).with_name("ruff")
    ruff = str(beside) if beside.exists() else "ruff"
    done = subprocess.run(
        [ruff, *verb, "--isolated", "--line-length", "120", "--target-version", "py311", str(folder)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", CORPUS)
def test_public_things_are_typed_and_explained(name: str) -> None:
    tree = ast.parse(case(name).text)
    assert ast.get_docstring(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            assert node.returns is not None, node.name
            public = not node.name.startswith("_") and node.name != "forward"
            everything = [*node.args.args, *node.args.kwonlyargs]
            assert all(a.annotation or a.arg == "self" for a in everything), node.name
            inner = any(node in getattr(f, "body", ()) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef))
            assert not public or inner or ast.get_docstring(node), node.name


def test_stands_alone(folder: Path) -> None:
    """Trains and infers where ebdsl cannot be imported."""
    program = """
        import sys
        class Nobody:
            def find_spec(self, name, *rest):
                if name.split(".")[0] in {"ebdsl", "lark"}:
                    raise ImportError(name)
        sys.meta_path.insert(0, Nobody())
        import torch, lasso, prototypes_rows, bottleneck
        y = torch.randn(64, 5)
        net = lasso.build(M=5, N=7)
        lasso.fit(net, {"y": y}, epochs=1, report=None)
        assert net.infer(y).converged.all()
        net = bottleneck.build(M=5, P=2)
        bottleneck.fit(net, {"y": y}, epochs=1, report=None)
        net = prototypes_rows.build(D=4, K=3)
        prototypes_rows.fit(net, {"y": y[:, :4]}, report=None)
        assert not [m for m in sys.modules if m.startswith("ebdsl")]
        print("fine")
    """
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(program)], capture_output=True, text=True, cwd=folder
    )
    assert done.stdout == "fine\n", done.stderr


def test_no_parameter_takes_the_place_of_what_a_module_does() -> None:
    from torch import nn

    assert {n for n in dir(nn.Module) if not n.startswith("_")} <= RESERVED


AWKWARD = [
    "λ", "class", "self", "n", "t", "v", "batch", "energy", "lam", "torch", "F", "step", "forward", "E_", "x1",
    "found", "model", "weights", "samples", "u", "s", "p", "z", "term", "key", "name", "None", "residual", "start",
    "Wᵤ",
]  # fmt: skip


@pytest.mark.parametrize("word", AWKWARD)
@pytest.mark.parametrize("role", ["observed", "latent", "param", "const", "dim"])
def test_any_name_in_any_role(word: str, role: str) -> None:
    """Names that mean something to Python, to torch or to the generated file make the same model as plain ones."""
    import torch

    plain = {"observed": "yy", "latent": "zz", "param": "WW", "const": "cc", "dim": "NN"}
    names = plain | {role: word}
    o, latent, w, c, d = names.values()
    text = f"""
        observed {o} : R[5]
        latent   {latent} : R[{d}]
        param    {w} : R[5, {d}], unit columns
        const    {c} = 0.3
        G({o}, {latent}) = ||{o} - {w} {latent}||^2 + {c}|{latent}|
        H({o}) = min_{{{latent}}} G({o}, {latent})
    """
    found = driver.compile_source(Source("s.ebm", textwrap.dedent(text)))
    if found.value is None:  # some words are taken by the language itself: that is said
        assert found.diagnostics and all(x.code.startswith("EB0") for x in found.diagnostics)
        assert word in ("E_", "Wᵤ", "None"), [(x.code, x.message) for x in found.diagnostics]
        return
    compiled = compile_spec(text)
    assert compiled.rule == "proximal gradient"
    (free,) = compiled.model.dims
    (observed,) = compiled.model.role("observed")
    net = compiled.module.build(**{compiled.python(free): 7}, dtype=torch.float64)
    y = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    learner = compiled.module.Learner(net)
    energy = learner.step({compiled.python(observed): y})["energy"]
    again = compiled.module.build(**{compiled.python(free): 7}, dtype=torch.float64)
    assert torch.isfinite(energy)
    assert energy == pytest.approx(float(again.infer(y, tolerance=0.03).energy.mean()), rel=1e-6)  # as in training
