"""Every row over tensors says in index notation what its reference says in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from ebdsl.atoms import TENSORS, ShapeError
from ebdsl.atoms.core import TensorAtom
from ebdsl.atoms.fold import apply_scalar, log_of
from ebdsl.model.build import fn, lit, neg, sub
from ebdsl.model.domains import REAL
from ebdsl.model.ir import ONE, Apply, Fn, Get, Lit, Symbol, Tensor
from ebdsl.model.reference import evaluate, table
from tests.atoms.helpers import as_tensors

ROWS = pytest.mark.parametrize("row", TENSORS.values(), ids=TENSORS.keys())


@ROWS
def test_no_hole(row: TensorAtom) -> None:
    assert row.doc and "\n" not in row.doc and not row.doc.endswith(".")
    assert row.latex.format(*"xyz"[: row.arity]).strip()
    assert row.spellings and 0 <= row.optional < row.arity
    assert len(row.example(np.random.default_rng(0))) == row.arity


@ROWS
@pytest.mark.parametrize("seed", range(5))
def test_meaning(row: TensorAtom, seed: int) -> None:
    args = row.example(np.random.default_rng(seed))
    for given in {len(args), len(args) - row.optional}:
        nodes, values = as_tensors(args[:given])
        lowered = row.lower(*nodes)
        value = evaluate(lowered, values)
        expected = row.numpy(*args[:given])
        assert np.shape(value) == np.shape(expected)
        np.testing.assert_allclose(value, expected, rtol=1e-10, atol=1e-12)


@ROWS
def test_axes_outside_are_left_alone(row: TensorAtom) -> None:
    """``Σ_k norm(z[k])``: a free index of the argument is free in the value."""
    rng = np.random.default_rng(3)
    one, two = row.example(rng), row.example(rng)
    args = tuple(np.stack([a, b]) if np.ndim(a) else a for a, b in zip(one, two, strict=True))
    nodes, values = as_tensors(args, lead=1)
    free = next(n.body for n in nodes if n.axes)
    outer = next(a for a in free.index if a in free.free and a not in nodes[0].axes)  # type: ignore[attr-defined]
    renamed = []
    for n in nodes:
        if n.axes:
            assert isinstance(n.body, Get)
            n = Tensor(Get(n.body.symbol, (outer, *n.body.index[1:])), n.axes)
        renamed.append(n)
    lowered = row.lower(*renamed)
    value = table(lowered.body, (outer, *lowered.axes), values)
    for k, example in enumerate((one, two)):
        fixed = tuple(e if np.ndim(e) else a for e, a in zip(example, args, strict=True))
        np.testing.assert_allclose(value[k], row.numpy(*fixed), rtol=1e-10, atol=1e-12)


@ROWS
def test_one_argument_twice(row: TensorAtom) -> None:
    """``dot(x, x)`` is of one tensor with one set of axes."""
    if row.arity - row.optional < 2 or row.name == "clip":
        return
    args = row.example(np.random.default_rng(4))
    same = tuple(args[0] for _ in args)
    nodes, values = as_tensors(same[:1])
    lowered = row.lower(*(nodes[0] for _ in args))
    np.testing.assert_allclose(evaluate(lowered, values), row.numpy(*same), rtol=1e-10, atol=1e-12)


def test_shapes_that_do_not_fit() -> None:
    x, y, number = (as_tensors((np.zeros(s),))[0][0] for s in ((2, 3), (3, 2), (1,)))
    for name, args, words in (
        ("dot", (x, y), "R[2, 3] and R[3, 2]"),
        ("trace", (x,), "square"),
        ("diag", (x,), "square"),
        ("groupnorm", (x, Tensor(Lit(2.0), ())), "R[1, 2]"),
        ("norm", (x, Tensor(Lit(0.5), ())), "at least 1"),
        ("norm", (x, number), "written out"),
        ("softmax", (Tensor(Lit(2.0), ()),), "vector"),
    ):
        with pytest.raises(ShapeError) as found:
            TENSORS[name].lower(*args)
        assert words in str(found.value)


@pytest.mark.parametrize("x", [-1.7, 0.3, 2.5])
def test_folding_keeps_the_value(x: float) -> None:
    s = Get(Symbol("x", "latent", (), REAL))
    values = {s.symbol: x}
    exp, logistic = fn("exp", s), fn("sigmoid", s)
    for inner in (exp, logistic, sub(ONE, logistic), lit(3.0)):
        folded = log_of(inner)
        assert folded != Fn("log", (inner,))
        assert evaluate(folded, values) == pytest.approx(evaluate(fn("log", inner), values), rel=1e-9)
    for inner in (exp, neg(s), s, fn("abs", s)):
        assert evaluate(apply_scalar("abs", inner), values) == abs(evaluate(inner, values))
    assert apply_scalar("exp", lit(0.0)) == ONE
    assert apply_scalar("log", lit(0.0)) == Fn("log", (lit(0.0),))
    assert apply_scalar("log", lit(-1.0)) == Fn("log", (lit(-1.0),))


def test_logarithms_of_determinants_have_names() -> None:
    (a,), _ = as_tensors((np.eye(2),))
    det = Apply("det", (a,))
    assert apply_scalar("log", det) == Apply("logdet", (a,))
    assert apply_scalar("log", fn("abs", det)) == Apply("logabsdet", (a,))
