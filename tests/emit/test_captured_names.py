"""A variable may be called as generated code calls one of its own: the answers are the same."""

from __future__ import annotations

import ast
import re

import pytest
import torch

from ebdsl.emit.names import RESERVED
from tests.emit.compiled import compile_spec

SPECS = {
    "splitting": "param W : R[6, 5]\nlatent Z : R[5]\nF(Y) = min_Z ||Y - W Z||^2 + 0.3 Σ_i ||Z[i+1] - Z[i]|| + ||W||^2",
    "quadrature": "param W : R[6]\nlatent Z : R\nF(Y) = softmin_Z[1] Σ_i softplus(Y[i] (W[i] + Z)) + ½Z^2 + ||W||^2",
    "convolution": "param W : R[3]\nlatent Z : R[6]\nF(Y) = min_Z ||Y - W * Z||^2 + 0.05|Z| + ||W||^2",
    "states": "param W : R[6, 3]\nlatent Z : R, K : onehot[3]\nF(Y) = min_{K,Z} ||Y - Z (W K)||^2 + Z^2 + ||W||^2",
}
COMMON = ("rho", "kernel", "left", "low", "x", "u", "s", "dual", "curve", "each")


def answer(text: str, name: str) -> tuple[str, torch.Tensor]:
    text = re.sub(r"\bY\b", name, f"observed Y : R[6]\n{text}")
    c = compile_spec(text)
    net = c.randomise(c.build(), 1)
    y = torch.randn(3, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    return c.text, net.infer(y).energy


@pytest.mark.parametrize("spec", SPECS)
def test_names_of_its_own(spec: str) -> None:
    text, energy = answer(SPECS[spec], "Y")
    own = {
        n.id for f in ast.walk(ast.parse(text)) if isinstance(f, ast.FunctionDef) and f.name in ("infer", "nodes")
        for n in ast.walk(f) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
    }  # fmt: skip
    for name in sorted(n for n in {*(own - RESERVED), *COMMON} - {"Z", "W", "K", "Y"} if n.isalpha()):
        assert torch.allclose(answer(SPECS[spec], name)[1], energy, rtol=1e-9), name
