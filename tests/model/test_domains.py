"""Every domain row: no holes, its samples lie in it, its bounds hold, and a spec can ask for it."""

from __future__ import annotations

import numpy as np
import pytest

from ebdsl.diagnostics import Source
from ebdsl.driver import check_source
from ebdsl.model.domains import DOMAINS, Domain, DomainKind, register
from ebdsl.runtime.catalogue import pieces

ROWS = pytest.mark.parametrize("row", DOMAINS.values(), ids=DOMAINS.keys())


def numbers(row: DomainKind) -> tuple[float, ...]:
    return (-0.5, 2.0)[: row.nargs] if row.nargs == 2 else row.defaults


def shapes(row: DomainKind) -> list[tuple[int, ...]]:
    if row.definite:
        return [(3, 3), (2, 4, 4)]
    if row.name.startswith("orthonormal"):
        return [s for s in [(3, 5), (5, 3), (4, 4), (2, 3, 3)] if not (row.complaint and row.complaint((), s))]
    return {0: [(), (4,), (2, 3)], 1: [(1,), (5,), (2, 4)], 2: [(3, 5), (2, 3, 4)]}[row.min_ndim]


@ROWS
def test_no_hole(row: DomainKind) -> None:
    assert row.doc and "\n" not in row.doc and not row.doc.endswith(".")
    assert row.latex.format(*numbers(row), dims="N").strip()
    assert row.spellings and row.contains and row.sample
    assert (row.project is None) == (row.torch is None)
    assert row.project is not None or row.name == "real"
    assert row.project is None or row.project in pieces()
    assert row.finite == (row.points is not None) == (row.points_torch is not None)
    assert not (row.finite and row.convex)
    low, high = row.bounds(numbers(row))
    assert low < high
    assert row.bounded == ((row.min_ndim > 0 and not row.definite) or (np.isfinite(low) and np.isfinite(high)))


@ROWS
def test_samples_lie_in_the_domain(row: DomainKind) -> None:
    rng = np.random.default_rng(0)
    assert row.sample is not None and row.contains is not None
    low, high = row.bounds(numbers(row))
    for shape in shapes(row):
        for _ in range(20):
            x = np.asarray(row.sample(rng, shape, numbers(row)))
            assert x.shape == shape
            assert row.contains(x, numbers(row), 1e-9)
            assert np.all(x >= low - 1e-9) and np.all(x <= high + 1e-9)
            if row.strict:
                assert np.all(x > low) and np.all(x < high)


@ROWS
def test_contains_refuses(row: DomainKind) -> None:
    """A random point is in a domain that is everything, and else it is not."""
    rng = np.random.default_rng(1)
    assert row.contains is not None
    for shape in shapes(row):
        outside = 5 + np.abs(rng.standard_normal(shape)) * np.where(rng.uniform(size=shape) < 0.5, 1, 2)
        signed = -outside
        expected = row.name == "real"
        assert (row.contains(outside, numbers(row), 1e-9) and row.contains(signed, numbers(row), 1e-9)) == expected
        assert not row.contains(np.full(shape, np.nan), numbers(row), 1e-9)


@ROWS
def test_convexity(row: DomainKind) -> None:
    """Midpoints of members are members, or some are not."""
    rng = np.random.default_rng(2)
    assert row.sample is not None and row.contains is not None
    shape = shapes(row)[1]
    draws = [(row.sample(rng, shape, numbers(row)), row.sample(rng, shape, numbers(row))) for _ in range(50)]
    assert all(row.contains((a + b) / 2, numbers(row), 1e-9) for a, b in draws) == row.convex


@ROWS
def test_whole_is_what_is_tied_together(row: DomainKind) -> None:
    """Wholes of two members may be mixed freely."""
    rng = np.random.default_rng(3)
    assert row.sample is not None and row.contains is not None
    shape = {-1: (4, 2, 3), 0: (3, 4), 1: (3, 4), 2: (2, 3, 3)}[row.whole]
    for _ in range(10):
        a, b = (row.sample(rng, shape, numbers(row)) for _ in range(2))
        mask = {
            -1: rng.uniform(size=(4, 1, 1)),
            0: rng.uniform(size=shape),
            1: rng.uniform(size=(3, 1) if row.axis == -1 else (1, 4)),
            2: rng.uniform(size=(2, 1, 1)),
        }[row.whole]
        assert row.contains(np.where(mask < 0.5, a, b), numbers(row), 1e-9)


@ROWS
def test_a_spec_can_ask_for_it(row: DomainKind) -> None:
    arguments = {0: "", 1: "(2)", 2: "(-1, 2)"}[row.nargs]
    dims = "N" if row.min_ndim == 1 else "N, N"
    role = "latent" if row.finite else "param"  # nothing finite is learned by gradients
    for spelling in row.spellings:
        spec = f"dim N = 3\nobserved y : R[{dims}]\n{role} z : R[{dims}], {spelling}{arguments}\n"
        spec += f"E(y{', z' * row.finite}) = sumsq(y - z)\nF(y) = {'min_z E(y, z)' if row.finite else 'E(y)'}\n"
        found = check_source(Source("a.ebm", spec))
        assert found.value is not None, found.diagnostics
        assert found.value.symbol("z").domain.kind == row.name


def test_complaints() -> None:
    for name, args, shape, words in (
        ("box", (2.0, 1.0), (3,), "greater than the upper end 1"),
        ("box", (0.0, float("inf")), (3,), ">= 0"),
        ("ball", (0.0,), (3,), "not greater than 0"),
        ("positive definite", (), ("M", "N"), "M × N"),
        ("orthonormal columns", (), (3, 5), "5 columns of length 3"),
        ("orthonormal rows", (), (5, 3), "5 rows of length 3"),
    ):
        complaint = DOMAINS[name].complaint
        assert complaint is not None and words in (complaint(args, shape) or "")
    assert DOMAINS["orthonormal rows"].complaint(("M", "N"), ("M", "N")) is None  # type: ignore[misc, arg-type]


def test_names_are_taken_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        register(DOMAINS["box"])
    assert str(Domain("box", (0.0, 1.0))) == "box(0, 1)"
