"""A toy program whose generated file is written by hand, so that these tests stand on the loop alone."""

from __future__ import annotations

from pathlib import Path

from ebdsl.diagnostics import Source, Span
from ebdsl.model.domains import REAL
from ebdsl.model.ir import ONE, Symbol
from ebdsl.model.model import Model, Term
from ebdsl.run.program import Program

SPEC = """model toy
observed y : R[M]
latent   z : R[N]
param    W : R[M, N], unit columns
E(y, z) = ||y - W z||^2 + λ|z|
"""
GENERATED = Path(__file__).with_name("toy_generated.py").read_text(encoding="utf-8")


def toy(text: str = GENERATED) -> Program:
    source = Source("toy.ebm", SPEC)
    symbols = (
        Symbol("y", "observed", ("M",), REAL),
        Symbol("z", "latent", ("N",), REAL),
        Symbol("W", "param", ("M", "N"), REAL),
    )

    def term(text: str) -> Term:
        start = SPEC.index(text)
        return Term(ONE, text, Span(start, start + len(text)))

    terms = (term("||y - W z||^2"), term("λ|z|"))
    model = Model("toy", source, symbols, (), {"M": 6, "N": 9}, terms)
    return Program(source, model, text)
