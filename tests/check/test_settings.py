"""Constants, sizes, ``--set``, the train block, ``infer … by``, modules of one's own."""

from __future__ import annotations

import pytest

from ebdsl.check.settings import SETTINGS
from ebdsl.model.ir import Layer
from ebdsl.model.model import Word
from tests.check.checking import checked, codes, model, said

SPEC = """
dim M = 144, N = 2 * M, P = N
observed y : R[M]
latent   z : R[P]
param    W : R[M, N], unit columns
const    λ = 1/2, γ = 2 λ^2 + sqrt(4) - |0 - 1|
module   Enc : R[M] -> R[P] = linear(64, bias = no) >> tanh >> linear >> gain
E(y, z) = ||y - W z||^2 + λ|z| + γ||z - Enc(y)||^2
F(y) = min_z E(y, z)
infer z by Enc
train
    data patches(natural, size = 12, centre = yes)
    epochs 3
    lr λ / 10
    optimizer sgd(momentum = 0.9)
    checkpoint_seconds 2.5
"""


def test_constants_and_sizes() -> None:
    m = model(SPEC)
    assert m.dims == {"M": 144, "N": 288}
    assert m.symbol("z").shape == ("N",)  # P is N by another name
    assert m.symbol("λ").value == 0.5
    assert m.symbol("γ").value == pytest.approx(1.5)


def test_overrides() -> None:
    m = model(SPEC, {"λ": 0.25, "M": 16, "epochs": 7, "batch": 64})
    assert m.dims == {"M": 16, "N": 32}
    assert m.symbol("γ").value == pytest.approx(2 * 0.0625 + 1)
    values = {s.key: s.value for s in m.train}
    assert (values["epochs"], values["batch"], values["lr"]) == (7, 64, 0.025)
    assert model(SPEC, {"lambda": 0.25}).symbol("λ").value == 0.25


@pytest.mark.parametrize(
    ("name", "value", "said_of_it"),
    [
        ("lamda", 0.3, "did you mean λ ?"),
        ("Λ", 0.3, "did you mean λ ?"),
        ("W", 0.3, "W is learned"),
        ("epoch", 3, "did you mean epochs ?"),
        ("M", 2.5, "a dimension is a whole number above zero"),
        ("M", 0, "a dimension is a whole number above zero"),
        ("epochs", 0, "epochs is at least 1"),
    ],
)
def test_wrong_override(name: str, value: float, said_of_it: str) -> None:
    found = checked(SPEC, {name: value})
    assert found.value is None
    assert "EB0228" in {d.code for d in found.diagnostics}
    assert said_of_it in said(SPEC, found.diagnostics)


def test_free_dimension_can_be_set() -> None:
    m = model("observed y : R[D]\nF(y) = ||y||^2 / D\n", {"D": 5})
    assert m.dims == {"D": 5}


def test_train_block() -> None:
    m = model(SPEC)
    values = {s.key: s.value for s in m.train}
    assert values["data"] == Word("patches", ("natural",), (("size", 12), ("centre", "yes")))
    assert values["optimizer"] == Word("sgd", (), (("momentum", 0.9),))
    assert values["epochs"] == 3 and isinstance(values["epochs"], int)
    assert values["lr"] == pytest.approx(0.05)
    setting = m.setting("epochs")
    assert setting is not None and m.source.text[setting.span.start : setting.span.end] == "epochs 3"


def test_settings_table_has_no_hole() -> None:
    for name, row in SETTINGS.items():
        assert name == row.name and row.doc and row.default
        assert row.kind in ("count", "number", "word", "source")
        assert (row.kind == "word") == bool(row.words)


def test_module() -> None:
    m = model(SPEC)
    (enc,) = m.modules
    assert enc.inputs == (("M",),) and enc.output == ("N",)
    assert enc.layers == (
        Layer("linear", (64,), (("bias", "no"),)),
        Layer("tanh"),
        Layer("linear"),
        Layer("gain"),
    )


def test_answer() -> None:
    m = model(SPEC)
    answer = m.amortised["z"]
    assert {s.name for s in answer.symbols} == {"y"}
    explicit = model(SPEC.replace("infer z by Enc", "infer z by Enc(y)"))
    assert {s.name for s in explicit.amortised["z"].symbols} == {"y"}
    formula = model(SPEC.replace("infer z by Enc", "infer z by W'y"))
    assert {s.name for s in formula.amortised["z"].symbols} == {"W", "y"}


@pytest.mark.parametrize(
    "line", ["infer y by Enc", "infer z by y", "infer z by Enc(z)", "infer z by z", "infer z by Enc\ninfer z by Enc"]
)
def test_wrong_answer(line: str) -> None:
    found = checked(SPEC.replace("infer z by Enc", line))
    assert found.value is None and {d.code for d in found.errors} <= {"EB0229", "EB0203"}


def test_python_is_asked_for() -> None:
    text = 'observed y : R[M]\nmodule f : R[M] -> R = python("lab.nets:Energy", depth = 3)\nF(y) = f(y)\n'
    assert codes(text) == ["EB0219"]
    found = checked(text, allow_python=True)
    assert found.value is not None
    assert found.value.modules[0].layers == (Layer("python", ("lab.nets:Energy",), (("depth", 3),)),)


def test_python_takes_no_code() -> None:
    text = 'observed y : R[M]\nmodule f : R[M] -> R = python("os.system(1):x")\nF(y) = f(y)\n'
    assert {d.code for d in checked(text, allow_python=True).errors} == {"EB0217"}


def test_inputs_of_a_module_concatenate() -> None:
    m = model("observed x : R[3]\nobserved y : R[2]\nmodule f : R[3], R[2] -> R = mlp(8)\nF(x, y) = f(x, y)\n")
    assert m.modules[0].inputs == ((3,), (2,))


def test_shadowed_names_of_functions() -> None:
    """A variable may have the name of a function of the catalogue; then it is the variable."""
    m = model("observed y : R[M]\nparam σ : R, > 0\nF(y) = ||y||^2 / σ + σ(y[0] + 1)^2\n")
    assert {s.name for t in m.terms for s in t.node.symbols} == {"y", "σ"}
