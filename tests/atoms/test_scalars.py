"""Every fact of every scalar row, checked numerically: a new row is tested by being registered."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ebdsl.atoms import SCALARS
from ebdsl.atoms.core import ScalarAtom
from ebdsl.model.domains import REAL
from ebdsl.model.ir import Get, Symbol
from ebdsl.model.reference import evaluate
from ebdsl.runtime.catalogue import closure, pieces

ROWS = pytest.mark.parametrize("row", SCALARS.values(), ids=SCALARS.keys())
SPECIAL = (0.0, 1.0, -1.0, 0.5, 2.0)


def interval(row: ScalarAtom, k: int, reach: float = 4.0) -> tuple[float, float]:
    """A finite piece of the domain of argument ``k``, without its ends."""
    low, high = row.domain[k]
    low = low + 1e-3 if math.isfinite(low) else -reach
    return low, (high - 1e-3 if math.isfinite(high) else max(reach, low + reach))


def draw(row: ScalarAtom, count: int, seed: int = 0, reach: float = 4.0) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(*interval(row, k, reach), count) for k in range(row.arity)]


def slopes(row: ScalarAtom, *args: float) -> list[float]:
    """The row's derivatives, evaluated by the interpreter."""
    symbols = [Symbol(f"x{k}", "latent", (), REAL) for k in range(row.arity)]
    nodes = row.derivative(tuple(Get(s) for s in symbols))
    assert len(nodes) == row.arity
    values = dict(zip(symbols, args, strict=True))
    return [evaluate(n, values) for n in nodes]


def one_sided(f: Callable[..., Any], args: list[float], k: int, h: float) -> tuple[float, float]:
    """Slopes to the left and to the right in argument ``k``."""
    left, right = list(args), list(args)
    left[k] -= h
    right[k] += h
    here = float(f(*args))
    return (here - float(f(*left))) / h, (float(f(*right)) - here) / h


def kinks(row: ScalarAtom) -> int:
    """At how many of some special points a difference quotient jumps."""
    found = 0
    for k in range(row.arity):
        low, high = interval(row, k)
        for x in (p for p in SPECIAL if low < p < high):
            args = [0.5 * min(4.0, interval(row, j)[1]) for j in range(row.arity)]
            args[k] = float(x)
            left, right = one_sided(row.numpy, args, k, 1e-7)
            found += abs(left - right) > 1e-3 or abs(left) > 1e5  # a kink, or a jump
    return found


@ROWS
def test_no_hole(row: ScalarAtom) -> None:
    assert row.doc and "\n" not in row.doc and not row.doc.endswith(".")
    assert row.latex.format(*"xyz"[: row.arity]).strip()
    assert row.spellings and len(row.monotone) == row.arity
    assert row.curvature in ("affine", "convex", "concave", "neither")
    assert set(row.monotone) <= {"increasing", "decreasing", "neither"}
    assert row.sympy is not None
    if row.curvature in ("convex", "affine") and row.arity == 1:
        assert row.conjugate is not None, "a convex function has a conjugate"


@ROWS
def test_range_and_positivity(row: ScalarAtom) -> None:
    for reach in (0.1, 4.0, 30.0):
        values = row.numpy(*draw(row, 400, reach=reach))
        assert np.all(values >= row.range[0] - 1e-9) and np.all(values <= row.range[1] + 1e-9)
    if row.positive:
        assert np.all(row.numpy(*draw(row, 400)) > 0)
    wide = row.numpy(*draw(row, 4000, reach=30.0))
    for bound, extreme in ((row.range[0], wide.min()), (row.range[1], wide.max())):
        if math.isfinite(bound):
            assert abs(extreme - bound) < 0.05 * max(1.0, abs(bound)), "the range is wider than it need be"


@ROWS
def test_derivative(row: ScalarAtom) -> None:
    smooth = 0
    points = np.stack(draw(row, 40, seed=1), axis=-1)
    for args in points.tolist():
        stated = slopes(row, *args)
        for k in range(row.arity):
            h = 1e-5
            left, right = one_sided(row.numpy, args, k, h)
            scale = 1.0 + abs(left) + abs(right)
            if abs(left - right) < 1e-3 * scale:
                smooth += 1
                assert stated[k] == pytest.approx((left + right) / 2, abs=1e-6 * scale)
    assert smooth >= 0.8 * len(points) * row.arity


@ROWS
def test_smoothness(row: ScalarAtom) -> None:
    assert (kinks(row) == 0) == row.smooth


@ROWS
def test_curvature(row: ScalarAtom) -> None:
    a, b = draw(row, 3000, seed=2), draw(row, 3000, seed=3)
    middle = row.numpy(*((x + y) / 2 for x, y in zip(a, b, strict=True)))
    chord = (row.numpy(*a) + row.numpy(*b)) / 2
    slack = 1e-9 * (1 + np.abs(chord))
    below, above = np.all(middle <= chord + slack), np.all(middle >= chord - slack)
    assert (below, above) == {
        "affine": (True, True),
        "convex": (True, False),
        "concave": (False, True),
        "neither": (False, False),
    }[row.curvature]


@ROWS
def test_monotonicity(row: ScalarAtom) -> None:
    for k in range(row.arity):
        args = draw(row, 3000, seed=4)
        moved = [a.copy() for a in args]
        moved[k] = draw(row, 3000, seed=5)[k]
        rise = (row.numpy(*moved) - row.numpy(*args)) * np.sign(moved[k] - args[k])
        up, down = bool(np.all(rise >= -1e-12)), bool(np.all(rise <= 1e-12))
        assert (up, down) == {
            "increasing": (True, False),
            "decreasing": (False, True),
            "neither": (False, False),
        }[row.monotone[k]]


@ROWS
def test_evenness(row: ScalarAtom) -> None:
    if row.arity > 1 or row.domain[0][0] != -math.inf:
        assert not row.even
        return
    (x,) = draw(row, 200)
    assert bool(np.allclose(row.numpy(x), row.numpy(-x), atol=1e-12)) == row.even


@ROWS
def test_bounds_of_derivatives(row: ScalarAtom) -> None:
    """Both bounds hold and are nearly reached; where there is none, there can be none."""
    if row.arity > 1:
        assert row.lipschitz is None
        if row.slope is not None:
            found = np.array([slopes(row, *args) for args in np.stack(draw(row, 200), axis=-1).tolist()])
            assert np.abs(found).max() == pytest.approx(row.slope, rel=1e-3)
        return
    low, high = row.domain[0]
    x = np.linspace(max(low + 1e-6, -30.0), min(high, 30.0), 600_001)[:-1]
    h = x[1] - x[0]
    first = np.diff(row.numpy(x)) / h
    second = np.diff(first) / h
    noise = 8 * np.finfo(float).eps * np.abs(row.numpy(x)).max() / h**2
    if row.smooth and row.lipschitz is not None:
        assert np.abs(second).max() <= row.lipschitz * (1 + 1e-3) + noise
        assert np.abs(second).max() >= row.lipschitz * 0.99 - noise
    if row.smooth and row.lipschitz is None:
        assert np.abs(second).max() > 1e3
    if not row.smooth:
        assert row.lipschitz is None
    if row.slope is not None:
        assert row.slope * 0.999 <= np.abs(first).max() <= row.slope * (1 + 1e-6)
    else:
        assert np.abs(first).max() > 5


FLAT = {"sign", "step"}
"""Flat everywhere: there is no way to go."""


@ROWS
def test_saturation_is_the_distance_to_where_it_is_flat(row: ScalarAtom) -> None:
    """``inf |x - x'|`` over points x' with derivative zero; only what has whole stretches of them states it."""
    if row.arity > 1:
        assert row.saturation is None
        return
    low, high = row.domain[0]
    x = np.linspace(max(low + 1e-6, -5), min(high, 5), 20_001)
    flat = np.abs(np.diff(row.numpy(x))) < 1e-15
    if row.saturation is None:
        assert not flat.any() or row.name in FLAT
        return
    at = (x[1:] + x[:-1])[flat] / 2
    some = np.linspace(-4, 4, 201)
    wanted = np.abs(some[:, None] - at[None]).min(1)
    found = eval(row.saturation.format("x"), {"torch": torch, "x": torch.as_tensor(some)}).numpy()
    assert np.allclose(found, wanted, atol=1e-3)


def brute_prox(f: Callable[[np.ndarray], np.ndarray], low: float, high: float, v: float, t: float) -> float:
    """``argmin_x t f(x) + ½(x - v)²`` by three finer and finer grids."""
    a, b = max(low, v - 30.0), min(high, v + 30.0)
    for _ in range(6):
        x = np.linspace(a, b, 4001)
        with np.errstate(all="ignore"):
            values = t * f(x) + (x - v) ** 2 / 2
        best = int(np.nanargmin(np.where(np.isfinite(values), values, np.inf)))
        a, b = x[max(best - 2, 0)], x[min(best + 2, len(x) - 1)]
    return float((a + b) / 2)


@ROWS
def test_prox(row: ScalarAtom) -> None:
    for name, factor in ((row.prox, 1.0), (row.prox_negative, -1.0)):
        if name is None:
            continue
        operator = runtime(name)
        for v in (-3.0, -0.9, -0.1, 0.0, 0.2, 1.4, 5.0):
            for t in (0.05, 0.6, 2.0):
                expected = brute_prox(lambda x, s=factor: s * row.numpy(x), *row.domain[0], v, t)
                x = torch.tensor([v], dtype=torch.float64)
                # the brute force resolves the minimiser of a quadratic to the root of the rounding error
                assert float(operator(x, torch.tensor([t], dtype=torch.float64))) == pytest.approx(expected, abs=2e-7)


def runtime(name: str) -> Callable[..., Any]:
    space: dict[str, Any] = {}
    for piece in closure([name]):
        for line in piece.imports:
            exec(line, space)
        exec(piece.text, space)
    return space[name]  # type: ignore[no-any-return]


@ROWS
def test_conjugate(row: ScalarAtom) -> None:
    """Fenchel-Young: ``f(x) + f*(u) >= x u``, with equality at ``u = f'(x)``."""
    if row.conjugate is None:
        return
    (x,) = draw(row, 60)
    f = row.numpy(x)
    slope = np.array([slopes(row, p)[0] for p in x.tolist()])
    np.testing.assert_allclose(f + row.conjugate(slope), x * slope, atol=1e-8)
    dual = np.linspace(-3.0, 3.0, 121)
    with np.errstate(all="ignore"):
        gap = f[:, None] + row.conjugate(dual)[None, :] - x[:, None] * dual[None, :]
    assert np.all(gap >= -1e-9)
    assert np.isfinite(row.conjugate(slope)).all()


@ROWS
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_torch_text(row: ScalarAtom, dtype: torch.dtype) -> None:
    args = draw(row, 200, reach=8.0)
    tensors = {f"x{k}": torch.tensor(a, dtype=dtype) for k, a in enumerate(args)}
    value = eval(row.torch.format(*tensors), {"torch": torch, "F": F, "nn": nn}, tensors)
    assert value.dtype == dtype
    tolerance = 1e-7 if dtype == torch.float64 else 1e-4
    np.testing.assert_allclose(value.numpy(), row.numpy(*args), rtol=tolerance, atol=tolerance)


@ROWS
def test_torch_text_takes_any_argument_text(row: ScalarAtom) -> None:
    """An argument may be a sum: the text brackets what it must."""
    args = draw(row, 20)
    tensors = {f"x{k}": torch.tensor(a, dtype=torch.float64) for k, a in enumerate(args)}
    value = eval(row.torch.format(*(f"{n} + 0.0 - 0.0" for n in tensors)), {"torch": torch, "F": F}, tensors)
    np.testing.assert_allclose(value.numpy(), row.numpy(*args), rtol=1e-7, atol=1e-9)


@ROWS
def test_module_text(row: ScalarAtom) -> None:
    if row.module is None:
        return
    (x,) = draw(row, 50)
    value = eval(row.module, {"nn": nn})(torch.tensor(x))
    np.testing.assert_allclose(value.numpy(), row.numpy(x), rtol=1e-7, atol=1e-8)


@ROWS
def test_sympy_form(row: ScalarAtom) -> None:
    import sympy as sp

    symbols = sp.symbols("x y z", real=True)[: row.arity]
    assert row.sympy is not None
    form = row.sympy(sp, *symbols)
    for args in np.stack(draw(row, 12, seed=6), axis=-1).tolist():
        value = float(form.subs(dict(zip(symbols, args, strict=True))))
        assert value == pytest.approx(float(row.numpy(*map(np.float64, args))), rel=1e-7, abs=1e-9)


def test_pieces_are_one_catalogue() -> None:
    assert all(row.prox in pieces() for row in SCALARS.values() if row.prox)
