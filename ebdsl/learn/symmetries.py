"""Symmetries of scale that let the energy collapse: free dictionaries, precisions without log-determinant."""

from __future__ import annotations

from ebdsl.atoms import OPAQUES
from ebdsl.facts.normal import normal
from ebdsl.learn.limits import regularised
from ebdsl.learn.reciprocals import reciprocal
from ebdsl.model.algebra import addends, degree, expand, zeroed
from ebdsl.model.domains import Domain
from ebdsl.model.finding import Finding
from ebdsl.model.ir import ZERO, Apply, Mul, Node, Symbol
from ebdsl.model.model import Model, Term


def unbounded(model: Model, energy: Node, latents: tuple[Symbol, ...]) -> list[Finding]:
    """Scale symmetries that void a penalty: a free dictionary next to a penalised code; a precision without log det."""
    findings: list[Finding] = []
    pieces = [(t, p) for t in model.terms for p in addends(normal(t.node))]
    for z in latents:
        if z.domain.row.finite or z.domain.row.bounded or not regularised(model, z):
            continue
        partners: set[Symbol] = set()
        for _, piece in pieces:
            if z in piece.symbols:
                partners |= {w for w in piece.symbols if w.role == "param" and _multiplies(piece, w, z)}
        for w in sorted(partners, key=lambda s: s.name):
            free = w.domain.kind in ("real", "nonnegative", "positive")
            held = any(w in p.symbols and not any(s.per_sample for s in p.symbols) for _, p in pieces)
            if free and not held and all(_traded(p, w, z) for _, p in pieces if w in p.symbols):
                term = next(t for t, p in pieces if w in p.symbols)
                findings.append(_loose(w, z, term))
    for w in model.role("param"):
        findings += _precision(model, w, pieces)
    return findings


def _loose(w: Symbol, z: Symbol, term: Term) -> Finding:
    trade = f"with {w.name} c times as large and {z.name} c times as small, the penalty on {z.name} vanishes"
    ways = (
        f"bound it: param {w.name} : R[{', '.join(map(str, w.shape))}], unit columns",
        f"or penalise it: + μ||{w.name}||^2",
    )
    return Finding("EB0512", f"nothing bounds {w.name}: {trade}", term, w, ways)


def _multiplies(piece: Node, w: Symbol, z: Symbol) -> bool:
    """Whether w and z stand in one product somewhere."""
    if isinstance(piece, Mul):
        has_w = [f for f in piece.factors if w in f.symbols]
        has_z = [f for f in piece.factors if z in f.symbols]
        if any(f is not g for f in has_w for g in has_z):
            return True
    if isinstance(piece, Apply) and isinstance(piece.function, str):  # a convolution is a product too
        linear = [a for a, is_linear in zip(piece.args, OPAQUES[piece.function].linear, strict=False) if is_linear]
        if any(a is not b for a in linear if w in a.symbols for b in linear if z in b.symbols):
            return True
    return any(_multiplies(c, w, z) for c in piece.children)


def _traded(piece: Node, w: Symbol, z: Symbol) -> bool:
    """Whether ``c w`` with ``z / c`` may leave the piece as it is: where it is a polynomial, monomial by monomial."""
    for m in expand(piece):
        powers = degree(m, frozenset({w})), degree(m, frozenset({z}))
        if w in m.symbols and None not in powers and powers[0] != powers[1]:
            return False
    return True


def _precision(model: Model, w: Symbol, pieces: list[tuple[Term, Node]]) -> list[Finding]:
    """A positive weight on the distance to the data that nothing keeps from going to zero."""
    if w.domain.kind not in ("positive", "nonnegative", "psd", "positive definite"):
        return []
    scales, holds = [], []
    for term, piece in pieces:
        if w not in piece.symbols:
            continue
        has_log = _has_log(piece, w)
        if has_log:
            holds.append(term)
        elif any(s.role == "observed" for s in piece.symbols) and _homogeneous(piece, w):
            scales.append(term)
        elif not any(s.role == "observed" for s in piece.symbols):
            holds.append(term)
    if not scales and not holds and w.domain.kind in ("positive", "nonnegative"):
        precision = Symbol(f"{w.name}~precision", w.role, w.shape, Domain("positive"))
        for term, piece in pieces:
            turned = reciprocal(piece, w, precision)
            observed = any(s.role == "observed" for s in piece.symbols)
            if w in piece.symbols and observed and w not in turned.symbols and _homogeneous(turned, precision):
                log = f"½ Σ_i log {w.name}_i" if w.shape else f"½ log {w.name}"
                return [
                    Finding(
                        "EB0513", f"nothing keeps {w.name} from growing, which makes the energy zero everywhere",
                        term, w, (f"add its logarithm: + {log}",),
                    )
                ]  # fmt: skip
    if scales and not holds:
        name = w.name
        log = f"½ log det {name}" if len(w.shape) >= 2 else f"½ log {name}"
        return [
            Finding(
                "EB0513", f"nothing keeps {name} from shrinking to zero, which makes the energy zero everywhere",
                scales[0], w, (f"add its log-determinant: - {log}",),
            )
        ]  # fmt: skip
    return []


def _homogeneous(piece: Node, w: Symbol) -> bool:
    """Whether the piece is zero at w = 0 and grows as a power of w: without a constant that no w can shrink."""
    return degree(piece, frozenset({w})) in (1, 2) and zeroed(piece, [w]) == ZERO


def _has_log(node: Node, w: Symbol) -> bool:
    if getattr(node, "atom", "") == "log" and w in node.symbols:
        return True
    if isinstance(node, Apply) and node.function in ("logdet", "logabsdet") and w in node.symbols:
        return True
    return any(_has_log(c, w) for c in node.children)
