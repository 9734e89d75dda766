"""Codes with noise: what keeps them near each other, without which the noise says nothing."""

from __future__ import annotations

import math

from ebdsl.facts.convexity import bounds, sign
from ebdsl.facts.noisy_code import NoisyCode, noisy_code
from ebdsl.facts.normal import normal, split
from ebdsl.model.algebra import addends, modules_in
from ebdsl.model.finding import Finding
from ebdsl.model.ir import Apply, Fn, Module, Node, Pow, Sum
from ebdsl.model.model import Model, Term


def judge_noise(model: Model, term: Term) -> tuple[int, str, Finding | None] | None:
    """Judge a reconstruction through a code with noise; None where there is no noise."""
    code = noisy_code(model)
    if code is None or not any(s.role == "noise" for s in term.node.symbols):
        return None
    loose = next((m for m in code.means if _spring(model, m) is None), None) if not _bounded(code.mean) else None
    noise = ", ".join(s.name for s in term.node.symbols if s.role == "noise")
    if loose is not None:
        return 7, f"{noise} blurs the code, and nothing holds the codes together", _flies_away(model, term, loose, code)
    still = next((m for m in code.scales if not _kept_wide(model, m)), None)
    if still is not None:
        return 7, f"{noise} blurs the code, and nothing keeps it wide", _shrinks(term, still, noise)
    by = [text for m in code.means if (text := _spring(model, m)) is not None]
    held = f"held together by {by[0]}" if by else "bounded"
    return 7, f"{noise} blurs the code, which is {held}: it can tell few samples apart", None


def _flies_away(model: Model, term: Term, loose: Module, code: NoisyCode) -> Finding:
    y = next(s.name for s in model.role("observed") if s in term.node.symbols)
    return Finding(
        "EB0516",
        f"nothing holds the codes of {loose.name} together: they move apart until noise no longer blurs them, "
        "and the energy is flat",
        term, None,
        (f"a spring to the centre: + 1/2 ||{loose.name}({y})||^2",
         f"or a code that is bounded: module {loose.name} … >> tanh"),
    )  # fmt: skip


def _shrinks(term: Term, still: Module, noise: str) -> Finding:
    return Finding(
        "EB0516",
        f"nothing keeps the noise from vanishing: {still.name} says how wide {noise} is, and narrower is always better",
        term, None,
        ("noise of a fixed size, or the size term of the KL: + 1/2 Σ_k (σ[k]^2 - 1) - Σ_k log σ[k]",),
    )  # fmt: skip


def _bounded(node: Node) -> bool:
    value = bounds(node)
    return math.isfinite(value.low) and math.isfinite(value.high)


def _spring(model: Model, module: Module) -> str | None:
    """The text of a term without noise that grows with what the module gives."""
    for term in model.terms:
        for piece in addends(normal(term.node)):
            if any(s.role in ("noise", "latent") for s in piece.symbols) or module not in modules_in(piece):
                continue
            core = split(piece, frozenset(s for s in piece.symbols if s.per_sample)).core
            grows = _grows(core.body if isinstance(core, Sum) else core)
            if grows and sign(piece) in ("nonnegative", "positive"):
                return term.text
    return None


def _grows(core: Node) -> bool:
    """A power of the output, or a penalty of it, without an end."""
    if isinstance(core, Pow):
        inner = core.base.body if isinstance(core.base, Sum) else core.base
        return isinstance(inner, Apply) or (isinstance(inner, Pow) and isinstance(inner.base, Apply))
    return isinstance(core, Fn) and core.atom == "abs" and isinstance(core.args[0], Apply)


def _kept_wide(model: Model, module: Module) -> bool:
    """A term without noise grows as the noise narrows: one that falls as the module's output rises."""
    for term in model.terms:
        for piece in addends(normal(term.node)):
            if any(s.role == "noise" for s in piece.symbols) or module not in modules_in(piece):
                continue
            if sign(piece) not in ("nonnegative", "positive"):
                return True
    return False
