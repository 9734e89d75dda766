"""Every fact of every row that stays a function of tensors, checked numerically."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from ebdsl.atoms import OPAQUES, ShapeError
from ebdsl.atoms.core import OpaqueAtom
from ebdsl.model.build import fresh, tensor
from ebdsl.model.domains import REAL
from ebdsl.model.ir import Apply, Symbol, Tensor
from ebdsl.model.reference import difference, evaluate, table
from ebdsl.runtime.catalogue import closure
from tests.atoms.helpers import as_tensors

ROWS = pytest.mark.parametrize("row", OPAQUES.values(), ids=OPAQUES.keys())


def space(row: OpaqueAtom) -> dict[str, Any]:
    """The names that the row's text may use."""
    names: dict[str, Any] = {"torch": torch, "F": F, "Tensor": torch.Tensor}
    for piece in closure(row.needs):
        for line in piece.imports:
            exec(line, names)
        exec(piece.text, names)
    return names


@ROWS
def test_no_hole(row: OpaqueAtom) -> None:
    assert row.doc and "\n" not in row.doc and not row.doc.endswith(".")
    assert row.latex.format(*"xyz"[: row.arity]).strip()
    assert row.spellings and len(row.linear) == row.arity
    assert row.vjp is not None or row.derivative is None
    args = row.example(np.random.default_rng(0))
    assert len(args) == row.arity
    assert row.shape(*(a.shape for a in args)) == np.shape(row.numpy(*args))


@ROWS
def test_torch_text(row: OpaqueAtom) -> None:
    """The text acts on the trailing axes, for any leading ones, and broadcasts over them."""
    rng = np.random.default_rng(1)
    names = space(row)
    for lead in ((), (2,), (2, 3)):
        count = int(np.prod(lead))
        draws = [row.example(rng) for _ in range(count)]
        args = [np.stack(x).reshape(*lead, *x[0].shape) for x in zip(*draws, strict=True)]
        values = {f"a{k}": torch.tensor(a) for k, a in enumerate(args)}
        found = eval(row.torch.format(*values, ndim=draws[0][0].ndim), {**names, **values})
        expected = np.stack([row.numpy(*d) for d in draws]).reshape((*lead, *np.shape(row.numpy(*draws[0]))))
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-10)
    if row.arity > 1:
        draws = [row.example(rng) for _ in range(3)]
        first = torch.tensor(draws[0][0])  # shared by all
        rest = [torch.tensor(np.stack(x)) for x in list(zip(*draws, strict=True))[1:]]
        values = {f"a{k}": v for k, v in enumerate((first, *rest))}
        found = eval(row.torch.format(*values, ndim=first.ndim), {**names, **values})
        expected = np.stack([row.numpy(draws[0][0], *d[1:]) for d in draws])
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9, atol=1e-10)


def value_of(row: OpaqueAtom, args: tuple[Any, ...], cotangent: np.ndarray) -> float:
    return float(np.sum(row.numpy(*args) * cotangent))


@ROWS
@pytest.mark.parametrize("seed", range(2))
def test_derivative_and_its_transpose(row: OpaqueAtom, seed: int) -> None:
    rng = np.random.default_rng(seed)
    args = row.example(rng)
    nodes, values = as_tensors(args)
    out = row.shape(*(a.shape for a in args))
    weights = rng.standard_normal(np.shape(row.numpy(*args)))
    g = Symbol("g", "param", out, REAL)
    cotangent = tensor(g)
    if row.vjp is None:
        return  # autograd's
    gradients = row.vjp(nodes, cotangent)
    assert len(gradients) == row.arity
    index = tuple(fresh(d) for d in out)
    jacobians = row.derivative(nodes, index) if row.derivative else None
    for k, gradient in enumerate(gradients):
        expected = difference(lambda x, k=k: value_of(row, (*args[:k], x, *args[k + 1 :]), weights), args[k])
        found = evaluate(gradient, {**values, g: weights})
        np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-7)
        if jacobians is not None:
            whole = table(jacobians[k].body, (*index, *jacobians[k].axes), values)
            np.testing.assert_allclose(np.tensordot(weights, whole, weights.ndim), expected, rtol=1e-6, atol=1e-7)


@ROWS
def test_linearity(row: OpaqueAtom) -> None:
    rng = np.random.default_rng(2)
    a, b = row.example(rng), row.example(rng)
    for k in range(row.arity):
        mixed = (*a[:k], 2 * a[k] - 3 * b[k], *a[k + 1 :])
        parts = 2 * row.numpy(*a) - 3 * row.numpy(*a[:k], b[k], *a[k + 1 :])
        close = np.allclose(np.nan_to_num(row.numpy(*mixed), nan=1e9), parts, atol=1e-9)
        assert bool(close) == row.linear[k]


@ROWS
def test_curvature(row: OpaqueAtom) -> None:
    rng = np.random.default_rng(3)
    convex = concave = True
    for _ in range(200):
        a, b = row.example(rng), row.example(rng)
        middle = row.numpy(*((x + y) / 2 for x, y in zip(a, b, strict=True)))
        chord = (row.numpy(*a) + row.numpy(*b)) / 2
        convex &= bool(np.all(middle <= chord + 1e-9))
        concave &= bool(np.all(middle >= chord - 1e-9))
    assert (convex, concave) == {
        "affine": (True, True),
        "convex": (True, False),
        "concave": (False, True),
        "neither": (False, False),
    }[row.curvature]


def test_shapes_that_do_not_fit() -> None:
    for name, shapes, words in (
        ("logdet", (("M", "N"),), "R[M, N]"),
        ("inverse", ((3, 4),), "square"),
        ("maximum", ((),), "vector"),
        ("conv", ((3,), (8, 8)), "R[3] and R[8, 8]"),
        ("conv", ((3, 3, 3, 3), (8, 8, 8, 8)), "up to 3"),
    ):
        with pytest.raises(ShapeError) as found:
            OPAQUES[name].shape(*shapes)
        assert words in str(found.value)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
def test_convolution_is_numpys(kernel: int) -> None:
    rng = np.random.default_rng(4)
    k, x = rng.standard_normal(kernel), rng.standard_normal(9)
    np.testing.assert_allclose(OPAQUES["conv"].numpy(k, x), np.convolve(x, k, mode="same"), atol=1e-12)


def test_convolution_commutes_with_shifts() -> None:
    rng = np.random.default_rng(5)
    k, x = rng.standard_normal((3, 3)), np.zeros((9, 9))
    x[4, 4] = 1.0
    y = OPAQUES["conv"].numpy(k, x)
    np.testing.assert_allclose(y[3:6, 3:6], k)
    np.testing.assert_allclose(OPAQUES["conv"].numpy(k, np.roll(x, 2, 0)), np.roll(y, 2, 0))


def test_kernel_larger_than_map() -> None:
    rng = np.random.default_rng(6)
    k, x = rng.standard_normal((7, 2)), rng.standard_normal((3, 4))
    names = space(OPAQUES["conv"])
    found = names["convolve"](torch.tensor(k), torch.tensor(x), 2)
    np.testing.assert_allclose(found.numpy(), OPAQUES["conv"].numpy(k, x), atol=1e-12)


def test_gradient_of_logdet_by_index_notation() -> None:
    a = np.array([[2.0, 0.3], [0.1, 1.5]])
    (node,), values = as_tensors((a,))
    (slope,) = OPAQUES["logdet"].derivative((node,), ())  # type: ignore[misc]
    assert isinstance(slope, Tensor) and isinstance(slope.body, Apply)
    np.testing.assert_allclose(evaluate(slope, values), np.linalg.inv(a).T)
