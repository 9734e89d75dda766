"""A new atom and a new domain are one row each: nothing else has to know of them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from ebdsl.atoms import LAYERS, SCALARS, SPELLINGS, core
from ebdsl.atoms.core import LAYER_SPELLINGS, ScalarAtom
from ebdsl.atoms.page import page
from ebdsl.diagnostics import Source
from ebdsl.driver import check_source
from ebdsl.facts.convexity import curvature
from ebdsl.facts.scalar import facts_of
from ebdsl.model import domains
from ebdsl.model.build import ONE, add, div, fn, power
from ebdsl.model.domains import DOMAINS, DomainKind
from ebdsl.model.ir import Get
from tests.atoms import test_scalars
from tests.atoms.test_generated import compare, generated
from tests.model import test_domains
from tests.runtime import test_projections

ATOM = ScalarAtom(
    name="pseudohuber",
    spellings=("pseudohuber",),
    doc="√(1 + x²) - 1",
    latex=r"\mathrm{{ph}}({0})",
    torch="(torch.sqrt(1 + ({0}) ** 2) - 1)",
    numpy=lambda x: np.sqrt(1 + np.square(x)) - 1,
    derivative=lambda args: (div(args[0], power(add(ONE, power(args[0], 2)), 0.5)),),
    range=(0.0, float("inf")),
    curvature="convex",
    lipschitz=1.0,
    slope=1.0,
    even=True,
    conjugate=lambda u: np.where(np.abs(u) > 1, np.inf, 1 - np.sqrt(np.maximum(1 - u**2, 0))),
    sympy=lambda sp, x: sp.sqrt(1 + x**2) - 1,
)


DOMAIN = DomainKind(
    name="above one",
    spellings=("above one",),
    doc="every entry at least 1",
    latex=r"[1, \infty)^{{{dims}}}",
    convex=True,
    project="project_positive",
    torch="project_positive({x}, 1.0)",
    contains=lambda x, args, tol: bool((x >= 1 - tol).all()),
    sample=lambda rng, shape, args: 1 + np.abs(rng.standard_normal(shape)),
    bounds=lambda args: (1.0, float("inf")),
    centre="torch.ones({shape}, {options})",
    draw="draw_positive({shape}, {options}) + 0.5",
)


@pytest.fixture
def atom() -> Iterator[ScalarAtom]:
    yield core.register(ATOM)
    for table in (SCALARS, SPELLINGS, LAYERS, LAYER_SPELLINGS):
        del table[ATOM.name]  # type: ignore[attr-defined]


@pytest.fixture
def domain() -> Iterator[DomainKind]:
    yield domains.register(DOMAIN)
    del DOMAINS[DOMAIN.name]


def test_an_atom(atom: ScalarAtom) -> None:
    for check in (
        test_scalars.test_no_hole,
        test_scalars.test_range_and_positivity,
        test_scalars.test_derivative,
        test_scalars.test_smoothness,
        test_scalars.test_curvature,
        test_scalars.test_bounds_of_derivatives,
        test_scalars.test_conjugate,
        test_scalars.test_sympy_form,
    ):
        check(atom)
    assert "`pseudohuber`" in page()
    spec = "observed y : R[4]\nE(y) = sum(pseudohuber(y))\nF(y) = E(y)\n"
    compare(spec, {"y": np.array([0.3, -2.0, 1.0, 0.0])})
    model = check_source(Source("a", spec)).value
    assert model is not None
    y = model.symbol("y")
    assert curvature(model.terms[0].node, frozenset({y})) == "convex"
    assert facts_of(fn("pseudohuber", Get(y, (0,))), Get(y, (0,))).lipschitz == 1.0
    layer = "observed y : R[4]\nmodule f : R[4] -> R[2] = linear >> pseudohuber\nE(y) = sumsq(f(y))\nF(y) = E(y)\n"
    assert generated(layer)["build"]().energy(torch.randn(3, 4)).shape == (3,)


def test_a_domain(domain: DomainKind) -> None:
    test_domains.test_no_hole(domain)
    test_domains.test_samples_lie_in_the_domain(domain)
    test_domains.test_a_spec_can_ask_for_it(domain)
    test_projections.test_nothing_in_the_domain_is_nearer(domain)
    assert "`above one`" in page()
    spec = "observed y : R[3]\nlatent z : R[3], above one\nE(y, z) = ||y - z||^2 + sum(z)\nF(y) = min_z E(y, z)\n"
    y = torch.tensor([[0.0, 2.0, 5.0]])
    answer = generated(spec)["build"]().infer(y).latents["z"]
    torch.testing.assert_close(answer, torch.tensor([[1.0, 1.5, 4.5]]), atol=1e-4, rtol=0)
