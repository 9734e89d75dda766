"""Two constraints on one variable."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import ebdsl
from ebdsl.model.domains import DOMAINS, Domain, meet

JOINED = [
    ("unit columns", ">= 0"),
    (">= 0", "ball columns"),
    ("unit rows", ">= 0"),
    ("unit filters", "R+"),
    (">= 0", "box(-1, 0.5)"),
    ("box(-1, 0.5)", "box(0.1, 2)", ">= 0"),
    ("orthonormal columns", "unit columns"),
]


@pytest.mark.parametrize("constraints", JOINED, ids=" and ".join)
def test_a_parameter_stays_in_both(constraints) -> None:
    text = (
        f"observed y : R[5]\nlatent z : R[4], >= 0\nparam W : R[5, 4], {', '.join(constraints)}\n"
        "F(y) = min_z ||y - W z||^2 + 0.1|z|\n"
    )
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((64, 5)).astype(np.float32)
    spec = ebdsl.load(text).fit(Y, device="cpu", epochs=3, batch=16)
    W = spec.module().W.detach().numpy().astype(float)
    names = {s: row for row in DOMAINS.values() for s in row.spellings}
    for c in constraints:
        head, _, numbers = c.partition("(")
        row = names[head]
        args = tuple(float(x) for x in numbers.rstrip(")").split(",")) if numbers else row.defaults
        assert row.contains is not None and row.contains(W, args, 1e-5), c
    assert np.isfinite(spec.free_energy(Y)).all()


@pytest.mark.parametrize("domain", ["sphere[3], >= 0", "ball(2)[3], >= 0", "R[3], >= 0, ball(0.5)"])
def test_a_latent_stays_in_both_and_is_the_best_there(domain) -> None:
    spec = ebdsl.load(f"observed y : R[3]\nlatent z : {domain}\nF(y) = min_z ||y - z||^2\n")
    rng = np.random.default_rng(0)
    Y = rng.standard_normal((50, 3))
    z = spec.fit(Y, device="cpu", dtype="float64").infer(Y)["z"]
    clamped = np.maximum(Y, 0)
    norm = np.linalg.norm(clamped, axis=1, keepdims=True)
    if "sphere" in domain:
        best = np.where(norm > 0, clamped / np.maximum(norm, 1e-30), np.eye(3)[Y.argmax(1)])
    else:
        radius = 2 if "2" in domain else 0.5
        best = clamped * np.minimum(1, radius / np.maximum(norm, 1e-30))
    np.testing.assert_allclose(z, best, atol=1e-4)


def test_a_joint_projection_is_the_nearest_point() -> None:
    from ebdsl.runtime.projections import nonnegative_unit

    angle = torch.linspace(0, torch.pi / 2, 20001, dtype=torch.float64)
    arc = torch.stack([angle.cos(), angle.sin()], 1)
    x = torch.randn(200, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    found = nonnegative_unit(x, -1)
    assert bool((found >= 0).all())
    nearest = torch.cdist(x, arc).amin(1)
    torch.testing.assert_close((x - found).norm(dim=1), nearest, atol=1e-6, rtol=0)


def test_what_is_not_known_is_refused() -> None:
    assert meet(Domain("unit columns"), Domain("unit rows")) is None
    assert meet(Domain("positive"), Domain("box", (0.0, 1.0))) is None  # open at 0
    assert meet(Domain("simplex"), Domain("nonnegative")) == Domain("simplex")
    assert meet(Domain("ball", (0.5,)), Domain("sphere")) is None
    assert meet(Domain("nonnegative"), Domain("box", (-2.0, 3.0))) == Domain("box", (0.0, 3.0))
