"""--set edits the text; all else in the spec stays."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ebdsl.diagnostics import Source
from ebdsl.run.program import checked_model
from ebdsl.run.settings import applied
from ebdsl.syntax import parse

SPEC = """model m
dim M = 4, N, K = 2
observed y : R[M]
latent   z : R[N]                       # K of them
param    W : R[M, N], unit columns
const    λ = 0.5, μ = 2

E(y, z) = ||y - W z||^2 + λ|z| + μ||z||^2
F(y)    = min_z E(y, z)

train
    epochs 7
    data   patches(natural, size = 2)
"""
SOURCE = Source("m.ebm", SPEC)


def set_to(**values: str) -> str:
    result = applied(SOURCE, parse(SOURCE).value, values)
    assert result.value is not None, result.diagnostics
    assert result.value.name == "m.ebm"
    return result.value.text


def test_dimensions_that_nothing_declares() -> None:
    """What stands in the brackets of a type alone is the data's to tell, or can be set."""
    source = Source("m.ebm", SPEC.replace("dim M = 4, N, K = 2\n", ""))
    found = applied(source, parse(source).value, {"N": "6"})
    assert found.value is not None
    model, _ = checked_model(found.value)
    assert model.dims == {"M": None, "N": 6}


def test_values_are_replaced_where_they_stand() -> None:
    assert set_to(λ="0.25") == SPEC.replace("λ = 0.5", "λ = 0.25")
    assert set_to(**{"lambda": "1e-3"}) == SPEC.replace("λ = 0.5", "λ = 1e-3")
    assert set_to(mu="3", lam="1") == SPEC.replace("λ = 0.5, μ = 2", "λ = 1, μ = 3")
    assert set_to(N="9", M="16") == SPEC.replace("M = 4, N,", "M = 16, N = 9,")
    assert set_to(epochs="3") == SPEC.replace("epochs 7", "epochs 3")
    assert set_to(data="digits") == SPEC.replace("patches(natural, size = 2)", "digits")


def test_a_setting_that_was_not_there_is_added() -> None:
    assert set_to(batch="5").startswith(SPEC)
    model, _ = checked_model(SOURCE, {"batch": "5", "N": "3", "optimizer": "adam(lr = 0.01)"})
    assert model.setting("batch").value == 5 and model.setting("epochs").value == 7 and model.dims["N"] == 3


def test_nothing_to_set_changes_nothing() -> None:
    assert set_to() == SPEC


@pytest.mark.parametrize("name", ["Q", "y", "W", "lamda", "E", "", "size"])
def test_names_that_cannot_be_set(name) -> None:
    result = applied(SOURCE, parse(SOURCE).value, {name: "1"})
    assert result.value is None and [d.code for d in result.diagnostics] == ["EB0716"]


def test_all_that_is_wrong_is_said_at_once() -> None:
    result = applied(SOURCE, parse(SOURCE).value, {"lamda": "1", "epoch": "2", "K": ""})
    assert [d.help[0] for d in result.diagnostics[:2]] == ["did you mean λ ?", "did you mean epochs ?"]
    assert len(result.diagnostics) == 3


@given(
    st.floats(1e-6, 1e6),
    st.integers(1, 10**6),
    st.integers(1, 99),
    st.sampled_from(["λ", "lambda", "lam", "μ", "µ", "mu"]),
)
@settings(deadline=None, max_examples=30)
def test_the_model_has_the_values_that_were_set(value, size, epochs, name) -> None:
    model, _ = checked_model(SOURCE, {name: repr(value), "N": str(size), "epochs": str(epochs)})
    symbol = "λ" if name.startswith(("λ", "l")) else "μ"
    assert model.symbol(symbol).value == value and model.dims["N"] == size and model.setting("epochs").value == epochs
