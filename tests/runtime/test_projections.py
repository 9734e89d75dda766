"""Projections: every domain's, by its row, and the exact ones against identities."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ebdsl.model.domains import DOMAINS, DomainKind
from ebdsl.runtime import projections, starts
from ebdsl.runtime.catalogue import closure, pieces

ROWS = pytest.mark.parametrize("row", DOMAINS.values(), ids=DOMAINS.keys())
PROJECTED = pytest.mark.parametrize(
    "row", [r for r in DOMAINS.values() if r.project], ids=[r.name for r in DOMAINS.values() if r.project]
)
FLOOR = 1e-5  # of open domains: a projection keeps this far, at most, from their edge


def numbers(row: DomainKind) -> tuple[float, ...]:
    return (-0.5, 2.0)[: row.nargs] if row.nargs == 2 else row.defaults


def shapes(row: DomainKind) -> list[tuple[int, ...]]:
    """Shapes of a value: as small as may be, and with axes in front."""
    square = row.complaint is not None and row.complaint(numbers(row), (3, 4)) is not None
    matrices = [(3, 3), (2, 3, 3)] if square else [(3, 5), (2, 3, 4)]
    if row.name.startswith("orthonormal"):
        matrices = [s for s in [(3, 5), (5, 3), (4, 4)] if row.complaint is None or not row.complaint((), s)]
    return {0: [(), (4,), (2, 3)], 1: [(1,), (5,), (2, 4)], 2: matrices}[row.min_ndim]


def project(row: DomainKind, x: torch.Tensor, ndim: int) -> torch.Tensor:
    assert row.torch is not None
    text = row.torch.format(*map(repr, numbers(row)), x="x", ndim=ndim)
    return eval(text, {**vars(projections), "x": x})


@PROJECTED
@pytest.mark.parametrize("lead", [(), (2,), (2, 3)])
def test_lands_in_the_domain_and_stays(row: DomainKind, lead: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    assert row.contains is not None and row.project in (row.torch or "")
    for shape in shapes(row):
        x = torch.tensor(3 * rng.standard_normal((*lead, *shape)))
        y = project(row, x, len(shape))
        assert y.shape == x.shape and y.dtype == x.dtype
        for one in y.reshape(-1, *shape).numpy():
            assert row.contains(one, numbers(row), 1e-9)
        torch.testing.assert_close(project(row, y, len(shape)), y, atol=1e-9, rtol=0)
        single = torch.stack([project(row, p, len(shape)) for p in x.reshape(-1, *shape)])
        torch.testing.assert_close(y.reshape(-1, *shape), single)


@PROJECTED
def test_nothing_in_the_domain_is_nearer(row: DomainKind) -> None:
    """Against random points of the domain, near the answer too; for a convex one by the variational inequality."""
    rng = np.random.default_rng(1)
    assert row.sample is not None
    for shape in shapes(row):
        for scale in (0.3, 3.0):
            x = scale * rng.standard_normal(shape)
            y = project(row, torch.tensor(x), len(shape)).numpy()
            best = np.sum((x - y) ** 2)
            for _ in range(60):
                other = row.sample(rng, shape, numbers(row))
                near = project(row, torch.tensor(y + 0.05 * rng.standard_normal(shape)), len(shape)).numpy()
                for p in (other, near):
                    assert best <= np.sum((x - p) ** 2) + FLOOR
                if row.convex:
                    assert np.sum((x - y) * (other - y)) <= FLOOR


@PROJECTED
def test_degenerate_points(row: DomainKind) -> None:
    """Zero, huge, tiny and equal entries go to finite points of the domain."""
    assert row.contains is not None
    for shape in shapes(row):
        for value in (0.0, 1e12, -1e12, 1e-30, 1.0):
            for dtype, tolerance in ((torch.float64, 1e-8), (torch.float32, 1e-4)):
                y = project(row, torch.full(shape, value, dtype=dtype), len(shape))
                assert y.dtype == dtype and bool(torch.isfinite(y).all())
                if value < 1e6:
                    assert row.contains(y.double().numpy(), numbers(row), tolerance)


@ROWS
@pytest.mark.parametrize("lead", [(), (6,)])
def test_starts(row: DomainKind, lead: tuple[int, ...]) -> None:
    """Where latents start and how parameters are drawn: points of the domain, drawn again the same from one seed."""
    assert row.contains is not None
    for shape in shapes(row):
        whole = len(shape) - 1 if row.whole < 0 else row.whole
        tied = (shape[row.axis],) if whole == 1 else shape[len(shape) - whole :]
        names = {**vars(starts), "torch": torch, "g": torch.Generator()}
        for template, options in ((row.centre, "dtype=torch.float64"), (row.draw, "dtype=torch.float64, generator=g")):
            # filters tie all axes but the first, so that a batch of them is drawn with its axes in front as one
            size = shape if row.whole < 0 else (*lead, *shape)
            text = template.format(*map(repr, numbers(row)), shape=size, n=int(np.prod(tied)), options=options)
            found = []
            for _ in range(2):
                names["g"].manual_seed(7)
                found.append(eval(text, names))
            assert found[0].shape == size and found[0].dtype == torch.float64
            assert bool((found[0] == found[1]).all())
            for one in found[0].reshape(-1, *shape).numpy():
                assert row.contains(one, numbers(row), 1e-9), text


@ROWS
def test_points_of_finite_domains(row: DomainKind) -> None:
    if not row.finite:
        assert row.points is None
        return
    assert row.points is not None and row.points_torch is not None and row.contains is not None
    whole = (4,) * row.whole
    values = row.points(whole)
    assert values.shape[1:] == whole and len(np.unique(values, axis=0)) == len(values)
    text = row.points_torch.format(n=4, options="dtype=torch.float64")
    np.testing.assert_array_equal(eval(text, {"torch": torch}).numpy(), values)
    rng = np.random.default_rng(2)
    assert row.sample is not None
    drawn = {tuple(np.ravel(row.sample(rng, whole, ()))) for _ in range(200)}
    assert drawn == {tuple(np.ravel(v)) for v in values}


# --------------------------------------------------------------------------- against identities


@settings(deadline=None, derandomize=True, max_examples=80)
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=12), st.floats(0.1, 10))
def test_simplex_is_the_solution_of_its_equation(values: list[float], radius: float) -> None:
    """``x = (v - θ)_+`` with Σ x = radius: the optimality conditions, found by bisection."""
    v = np.array(values)
    low, high = v.min() - radius, v.max()
    for _ in range(200):
        theta = (low + high) / 2
        low, high = (theta, high) if np.maximum(v - theta, 0).sum() > radius else (low, theta)
    expected = np.maximum(v - theta, 0)
    found = projections.project_simplex(torch.tensor(v), radius).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-9)


@settings(deadline=None, derandomize=True, max_examples=40)
@given(st.integers(0, 10_000))
def test_psd_satisfies_higham(seed: int) -> None:
    """The remainder of the symmetric part is negative semidefinite and orthogonal to the answer."""
    x = np.random.default_rng(seed).standard_normal((4, 4))
    y = projections.project_psd(torch.tensor(x), 0.0).numpy()
    rest = (x + x.T) / 2 - y
    assert np.linalg.eigvalsh(rest).max() < 1e-10
    assert abs(np.sum(rest * y)) < 1e-9


def test_polar_factor() -> None:
    x = np.random.default_rng(3).standard_normal((3, 5))
    y = projections.project_orthonormal(torch.tensor(x)).numpy()
    h = x @ y.T  # x = h y with h symmetric and positive semidefinite
    np.testing.assert_allclose(h, h.T, atol=1e-10)
    assert np.linalg.eigvalsh(h).min() > 0
    np.testing.assert_allclose(h @ y, x, atol=1e-10)


def test_no_graph_breaks_or_host_reads() -> None:
    """Every projection runs on the meta device, where no value can be read."""
    for row in DOMAINS.values():
        if row.project is None or row.project in ("project_orthonormal", "project_psd"):
            continue
        shape = shapes(row)[-1]
        y = project(row, torch.empty((2, *shape), device="meta"), len(shape))
        assert y.shape == (2, *shape)


def test_runtime_functions_stand_alone() -> None:
    """The text of each, with what it needs and imports, defines it in an empty namespace."""
    for name, piece in pieces().items():
        space: dict[str, Any] = {}
        for p in closure([name]):
            assert all(line.split()[1].split(".")[0] in STANDARD for line in p.imports), p.imports
            for line in p.imports:
                exec(line, space)
            exec(p.text, space)
        assert callable(space[name])
        assert piece.text.count('"""') >= 2, f"{name} has no docstring"


STANDARD = {"torch", *sys.stdlib_module_names}
