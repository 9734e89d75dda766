"""The step size: in one place, and honoured there."""

from __future__ import annotations

import pytest

from ebdsl import settings
from ebdsl.api import load

SPEC = "observed x : R[3]\nobserved y : R\nmodule f : R[3] -> R = linear\nF(x, y) = (y - f(x))^2\ntrain\n"


@pytest.mark.parametrize(
    ("lines", "overrides", "expected"),
    [
        ("    optimizer sgd(lr = 0.1)\n", {}, ("sgd", 0.1)),
        ("    lr 0.2\n", {"lr": 0.3}, ("adam", 0.3)),
        ("    optimizer sgd\n    lr 0.2\n", {}, ("sgd", 0.2)),
        ("    lr 0.4\n", {}, ("adam", 0.4)),
    ],
)
def test_the_rate_is_the_one_that_is_written(lines, overrides, expected) -> None:
    from ebdsl.plan import plan

    spec = load(SPEC + lines, **overrides)
    found = plan(spec._model).value
    assert found is not None
    head, keywords = settings.optimizer(found)
    assert (head, keywords["lr"]) == expected
    assert f"lr = {expected[1]}" in spec.explain() or f"lr={expected[1]}" in spec.explain()
