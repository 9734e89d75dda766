"""The convention ledger: what the energy's factors are called elsewhere.

The same λ means different things with and without a ½ in front of the squared distance, and papers and packages differ.
All numbers come from second derivatives, so it does not matter how the energy was written.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ebdsl.facts.forms import flatten
from ebdsl.facts.normal import normal, through_module
from ebdsl.facts.penalties import Penalty, match, merged
from ebdsl.facts.quadratic import quadratic
from ebdsl.model.algebra import addends, degree, expand, factors_of, modules_in, zeroed
from ebdsl.model.build import add
from ebdsl.model.ir import ZERO, Add, Apply, Get, Lit, Mul, Node, Pow, Size, Symbol
from ebdsl.model.like_terms import apart
from ebdsl.model.model import Elimination, Model, Term


@dataclass(frozen=True)
class Penalised:
    """``c‖y - …‖² + λ|z| + γ Σ‖z_g‖ + μ‖z‖²``, each factor as written, 0 where there is no such term.

    ``entries`` is the number of entries of y, None while the data has to tell. ``whole``: no other term holds z, and
    no other latent stands in the distance. ``linear``: what y is compared with is a matrix times z; ``convolved``:
    maps of z.
    """

    y: Symbol
    z: Symbol
    c: float
    l1: float
    group: float
    square: float
    entries: int | None
    whole: bool
    linear: bool = True
    convolved: bool = False

    @property
    def half(self) -> float:
        """λ beside ½‖·‖²: in most papers, and ``lambda1`` in SPAMS."""
        return self.l1 / (2 * self.c)

    @property
    def half_square(self) -> float:
        """μ where papers write ½‖·‖² + (μ/2)‖z‖²: ``lambda2`` in SPAMS, and ``alpha`` of scikit-learn's ``Ridge``."""
        return self.square / self.c

    @property
    def elastic(self) -> tuple[float, float] | None:
        """``alpha`` and ``l1_ratio`` of scikit-learn's ``ElasticNet``; ``l1_ratio`` 1 is its ``Lasso``.

        It minimises ``1/(2n) ‖y - W z‖² + alpha l1_ratio |z| + ½ alpha (1 - l1_ratio) ‖z‖²``, n the entries of y.
        """
        total = self.half + self.half_square
        if self.entries is None or total == 0:
            return None
        return total / self.entries, self.half / total


def penalised(model: Model) -> list[Penalised]:
    """One row for each latent with a penalty of constant weight beside a squared distance of constant factor."""
    answers = {a.latent: a.terms for a in model.answers}
    rows = (_penalised(model, z, answers.get(z, model.terms)) for z in model.role("latent"))
    return [row for row in rows if row is not None]


def _penalised(model: Model, z: Symbol, terms: tuple[Term, ...]) -> Penalised | None:
    pieces = [p for t in terms for p in addends(normal(t.node))]
    found = [p for a in pieces if z in a.symbols and isinstance(p := match(a, z), Penalty)]
    found = [p for p in found if p.kind in ("l1", "group")]
    alone = [p for p in pieces if z in p.symbols and not any(s.per_sample and s != z for s in p.symbols)]
    own = [p for p in alone if not isinstance(match(p, z), Penalty)]
    weights = {kind: _weight([p for p in found if p.kind == kind], z, kind) for kind in ("l1", "group")}
    square = 0.0
    if own:
        form = quadratic(add(*own), z)
        half = _value(form.matrix, model) if form is not None and form.diagonal and form.linear == ZERO else None
        square = half / 2 if half is not None else math.nan
    if math.isnan(square) or None in weights.values() or not (found or square):
        return None
    compared = _distance(model, z, pieces)
    if compared is None:
        return None
    y, c, plain = compared
    sizes = model.shape(y)
    entries = None if None in sizes else math.prod(n for n in sizes if n is not None)
    distance = [p for p in plain if z in p.symbols]
    others = any(s != z and s.role == "latent" for p in distance for s in p.symbols)
    whole = not others and len(distance) + len(found) + len(own) == len([p for p in pieces if z in p.symbols])
    held = frozenset({z})
    linear = not any(through_module(p, held) for p in distance) and degree(add(*distance), held) == 2
    l1, group = weights["l1"] or 0.0, weights["group"] or 0.0
    return Penalised(y, z, c, l1, group, square, entries, whole, linear, any(map(_convolves, distance)))


def _distance(model: Model, z: Symbol, pieces: list[Node]) -> tuple[Symbol, float, list[Node]] | None:
    """What is observed, the factor of its squared distance from what z makes, and the addends that hold it."""
    for y in model.role("observed"):
        plain = [p for p in pieces if y in p.symbols and not through_module(p, frozenset({y}))]
        form = quadratic(add(*plain), y) if any(z in p.symbols for p in plain) else None
        factor = _value(form.matrix, model) if form is not None and form.diagonal else None
        if form is not None and factor is not None and factor > 0 and zeroed(form.linear, [z]) != form.linear:
            return y, factor / 2, plain
    return None


def _convolves(node: Node) -> bool:
    return (isinstance(node, Apply) and "conv" in str(node.function)) or any(map(_convolves, node.children))


def _weight(found: list[Penalty], z: Symbol, kind: str) -> float | None:
    """The weights of one kind of penalty added up; None where they are no constant."""
    if not found:
        return 0.0
    if any(p.weight.free for p in found) or len({p.within for p in found}) > 1:
        return None
    total = merged([p for p in found if p.kind == kind], found[0].at)
    return None if total is None else _value(total)


def ledger(model: Model) -> list[str]:
    """Sentences, for each penalised latent and each mixture."""
    lines: list[str] = []
    rows = penalised(model)
    for row in rows:
        lines += _sentences(row)
    if not rows:
        lines += _factor(model)
    for e in model.eliminations:
        lines += _mixture(model, e)
        lines += _average(e)
    return lines


def _sentences(r: Penalised) -> list[str]:
    y, z = r.y.name, r.z.name
    named = [(r.l1, f"|{z}|"), (r.group, f"the norms of {z}'s groups"), (r.square, f"‖{z}‖²")]
    written = " and ".join(f"{weight:g} on {what}" for weight, what in named if weight)
    lines = [f"the squared distance has the factor {r.c:g}, as written, with {written}: nothing is rescaled"]
    halves = [(r.half, f"{r.half:g} |{z}|"), (r.group, f"{r.group / (2 * r.c):g} Σ‖{z}_g‖")]
    halves.append((r.square, f"½ {r.half_square:g} ‖{z}‖²"))
    rest = "" if r.whole else f" + {1 / (2 * r.c):g} (the other terms)"
    lines.append(f"papers: ½‖{y} - …‖² + " + " + ".join(text for weight, text in halves if weight) + rest)
    sign = r.z.domain.kind == "nonnegative"
    if not r.whole or not r.linear or r.group or r.z.domain.kind not in ("real", "nonnegative"):
        return lines
    if r.convolved:
        if r.l1 and not r.square and not sign:
            lines.append(f"sporco: ConvBPDN(D, s, lmbda = {r.half:.6g}), whose pictures go on at their other end")
        return lines
    second = f", lambda2 = {r.half_square:.6g}" if r.square else ""
    if r.l1:
        lines.append(f"SPAMS: lasso(mode = 2, lambda1 = {r.half:.6g}{second}{', pos = True' if sign else ''})")
    positive = ", positive=True" if sign else ""
    if r.l1 and not r.square:
        lines.append(f"scikit-learn: sparse_encode(algorithm='lasso_cd', alpha={r.half:.6g}{positive})")
    if not r.l1:
        lines.append(f"scikit-learn: Ridge(alpha={r.half_square:.6g}, fit_intercept=False{positive})")
    elif r.elastic is not None:
        alpha, ratio = r.elastic
        name = f"ElasticNet(alpha={alpha:.6g}, l1_ratio={ratio:.6g}" if r.square else f"Lasso(alpha={alpha:.6g}"
        lines.append(
            f"scikit-learn: {name}, fit_intercept=False{positive}), which divides the distance by 2·{r.entries}"
        )
    return lines


def _factor(model: Model) -> list[str]:
    """Of an energy without a penalty that has a name elsewhere: the factor alone, and what it makes of constants."""
    if model.answers or any(e.kind != "min" for e in model.eliminations):
        return []
    pieces = [p for t in model.terms for p in addends(normal(t.node))]
    for z in model.role("latent"):
        compared = _distance(model, z, pieces)
        if compared is None:
            continue
        y, c, plain = compared
        rest = [p for p in pieces if z in p.symbols and p not in plain]
        lines = [f"the squared distance has the factor {c:g}, as written: nothing is rescaled"]
        if rest and c != 0.5:
            held = {
                s
                for p in rest
                for s in p.symbols
                if s.value is not None and all(_only(q) == s for q in rest if s in q.symbols)
            }
            there = [
                f"{s.name} = {s.value / (2 * c):g}" for s in model.role("const") if s in held and s.value is not None
            ]
            said = f": {', '.join(there)}" if there else ""
            lines.append(f"where ½‖{y.name} - …‖² is written, the other terms have the factor {1 / (2 * c):g}{said}")
        elif c != 0.5:
            lines.append(
                f"where ½‖{y.name} - …‖² is written, energies are {1 / (2 * c):g} times as large, answers the same"
            )
        if _is_kmeans(z, y, pieces):
            times = "" if c == 1 else f", times {c:g}"
            lines.append(
                f"scikit-learn: KMeans(n_clusters = {z.shape[0]}), whose inertia_{times} is F added up over the data"
            )
        return lines
    return []


def _is_kmeans(z: Symbol, y: Symbol, pieces: list[Node]) -> bool:
    """Whether there is a distance from one of the columns of a free matrix, and no more."""
    held = {s for p in pieces for s in p.symbols if s.role != "const"}
    centres = [s for s in held if s.role == "param"]
    plain = held == {y, z, *centres} and not any(modules_in(p) for p in pieces)
    one = [len(s.shape) for s in (y, z, *centres)] == [1, 1, 2] and centres[0].domain.kind == "real"
    return plain and one and z.domain.kind == "onehot" and set(centres[0].shape) == {*y.shape, *z.shape}


def _only(piece: Node) -> Symbol | None:
    """The one constant that a term is proportional to."""
    weight, rest = apart(piece)
    factors = factors_of(weight)
    held = [f.symbol for f in factors if isinstance(f, Get)]
    alone = len(held) == 1 and len(weight.symbols) == 1 and held[0] not in rest.symbols
    return held[0] if alone else None


def _average(e: Elimination) -> list[str]:
    """What an integral over latents takes for granted: β, and a measure without a density."""
    smooth = [s.name for s in e.latents if not s.domain.row.finite]
    if e.kind != "softmin" or not smooth:
        return []
    beta = 1.0 if e.beta is None else _value(e.beta)
    shown = "β" if beta is None else f"{beta:g}"
    inside = "-E" if shown == "1" else f"-{shown} E"
    outside = "-" if shown == "1" else f"-1/{shown} "
    return [
        f"the softmin is {outside}log ∫ exp({inside}) d({', '.join(s.name for s in e.latents)}): no average",
        f"∫ is over {' and '.join(smooth)} with no density: where a normal prior is written ½||{smooth[0]}||^2, and a "
        f"distance without its 2π, F is less than the negative log-likelihood by ½ log 2π for each of their numbers",
    ]


def _mixture(model: Model, step: Elimination) -> list[str]:
    """What a softmin over finite latents says of Gaussians: β, and the covariance of the data around a state."""
    if step.kind != "softmin" or not all(s.domain.row.finite for s in step.latents):
        return []
    energy = add(*(normal(t.node) for t in model.terms))
    beta = 1.0 if step.beta is None else _value(step.beta, model)
    lines = []
    for y in model.role("observed"):
        if y not in energy.symbols or through_module(energy, frozenset({y})):
            continue
        form = quadratic(energy, y)
        found = _curvature(form.matrix, model) if form is not None else None
        if found is None or beta is None:
            continue
        factor, precision = found
        mixture = [len(s.shape) for s in step.latents] == [1] and step.latents[0].domain.kind == "onehot"
        if precision is None:
            variance = 1 / (beta * factor)
            lines.append(
                f"exp(-β E) with β = {beta:g} is a Gaussian of {y.name} around each state, covariance {variance:g}·I"
            )
            if mixture:
                lines.append(
                    f"scikit-learn: GaussianMixture(covariance_type='spherical') with covariances_ = {variance:g}"
                )
        else:
            scale = beta * factor
            times = "" if math.isclose(scale, 1) else f"{scale:g}·"
            lines.append(
                f"exp(-β E) with β = {beta:g} is a Gaussian of {y.name} with precision {times}{precision.name}, "
                f"covariance its inverse"
            )
            if mixture:
                lines.append(f"scikit-learn: GaussianMixture with precisions_ = {times}{precision.name}")
    return lines


def _curvature(matrix: Node, model: Model) -> tuple[float, Symbol | None] | None:
    """The second derivative as a number, or as a number times a parameter; states that add up to one left out."""
    total, held = 0.0, set()
    for piece in expand(matrix):
        number: float | None = 1.0
        for f in flatten(piece)[1]:
            if isinstance(f, Get) and f.symbol.domain.row.finite:
                if f.symbol.domain.kind != "onehot":
                    return None
            elif isinstance(f, Get) and f.symbol.role == "param":
                held.add(f.symbol)
            else:
                value = _value(f, model)
                number = None if value is None or number is None else number * value
        if number is None:
            return None
        total += number
    if total <= 0 or len(held) > 1:
        return None
    return total, next(iter(held), None)


def _value(node: Node, model: Model | None = None) -> float | None:
    """The number that a weight is, where constants alone make it."""
    if isinstance(node, Lit):
        return node.value
    if isinstance(node, Size):
        size = model.size(node.dim) if model is not None else None
        return float(size) if size is not None else None
    if isinstance(node, Get) and node.symbol.role == "const" and not node.index:
        return node.symbol.value
    parts = [_value(c, model) for c in node.children]
    if None in parts:
        return None
    known = [p for p in parts if p is not None]
    if isinstance(node, Mul):
        return math.prod(known)
    if isinstance(node, Add):
        return math.fsum(known)
    if isinstance(node, Pow):
        return known[0] ** known[1] if known[0] > 0 or known[1].is_integer() else None
    return None
