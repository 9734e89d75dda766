"""The learned energy as a function of sums over the samples: what an exact update needs of the data.

Each addend of the summed energy is multiplied out into what holds data and what holds parameters; the first,
summed over the samples, is a number for each of its axes, and adds up over batches.
So an update may see the data a piece at a time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ebdsl.facts.convexity import sign
from ebdsl.model.algebra import contract, expand, freshen, multiply, rename, replace_symbol, transform
from ebdsl.model.build import add, mul, power, sub, sum_over
from ebdsl.model.canonical import canonical, signature
from ebdsl.model.domains import REAL, Domain
from ebdsl.model.ir import BATCH, Add, Axis, Get, Lit, Mul, Node, Pow, Sum, Symbol


@dataclass(frozen=True)
class Held:
    """A sum over the samples: ``symbol`` stands for ``node``, over ``axes`` in this order.

    ``fixed``: the same at every step, as it holds neither latents nor parameters.
    """

    symbol: Symbol
    node: Node
    axes: tuple[Axis, ...]
    fixed: bool


@dataclass(frozen=True)
class Sums:
    """``total``: the energy of all samples in terms of ``held`` and of the parameters; ``terms`` likewise.

    ``steps``: a symbol for what a parameter has moved since the sums were taken.
    """

    total: Node
    terms: tuple[Node, ...]
    held: tuple[Held, ...]
    steps: dict[Symbol, Symbol]

    def block(self, *params: Symbol) -> Node:
        """``total`` with the steps of ``params`` written out, ``W - W₀``."""
        total = self.total
        for w in params:
            step = self.steps.get(w)
            if step is not None:
                moved = lambda index, w=w: sub(Get(w, index), Get(before(w), index))  # noqa: E731
                total = replace_symbol(total, step, moved)
        return total


def before(param: Symbol) -> Symbol:
    """The parameter as it was when the sums were taken."""
    return Symbol(f"{param.name}~before", "const", param.shape, param.domain)


def sums(
    total: Node,
    params: Iterable[Symbol],
    terms: Iterable[Node] = (),
    given: Iterable[Symbol] = (),
    moments: Iterable[Node] = (),
) -> Sums | None:
    """The parts of ``total`` (an energy summed over the batch axis), or None where data and parameters do not part.

    ``terms`` are written in the same sums. ``given``: symbols that inference answers with, once for all samples.
    ``moments``: further sums of data alone, which a rule asks for.
    """
    learned = frozenset(params)
    around = _Around(learned, frozenset(given))
    held: dict[Node, Held] = {}
    written: list[Node] = []
    for node in (total, *terms):
        parts: list[Node] = []
        for piece in expand(transform(node, around.leaf)):
            part = _part(piece, learned, around, held)
            if part is None:
                return None
            parts.append(part)
        written.append(_collected(parts))
    written = _traced(written, held)
    for node in moments:
        _hold(node, [node], around, held)
    return Sums(written[0], tuple(written[1:]), tuple(held.values()), dict(around.steps))


def _traced(written: list[Node], held: dict[Node, Held]) -> list[Node]:
    """Sums of squares taken from the diagonal of a sum of products, where that is held anyway."""
    for matrix in [h for h in held.values() if len(h.axes) == 2 and h.axes[0].dim == h.axes[1].dim]:
        i, j = matrix.axes
        key, order = signature(contract(canonical(rename(matrix.node, {j: i})), (i,)))
        if key in held and not order:
            trace = held.pop(key).symbol
            diagonal = contract(Get(matrix.symbol, (i, i)), (i,))
            written = [replace_symbol(n, trace, lambda index, d=diagonal: freshen(d)) for n in written]  # type: ignore[misc]
    return written


def _part(piece: Node, learned: frozenset[Symbol], around: _Around, held: dict[Node, Held]) -> Node | None:
    """One monomial with its data replaced by the symbol of their sum."""
    factors, axes = flat(piece)
    stray = {a: BATCH for a in axes if a.dim == BATCH.dim}
    factors, axes = [rename(f, dict(stray)) for f in factors], tuple(stray.get(a, a) for a in axes)
    data = [f for f in factors if around.of_data(f)]
    rest = [f for f in factors if not around.of_data(f)]
    if any(f.symbols & learned or f.symbols & frozenset(around.steps.values()) for f in data):
        return None
    if BATCH not in axes:
        return None if data or any(BATCH in f.free for f in rest) else piece
    outside = frozenset(a for f in rest for a in f.free)
    bound = tuple(a for a in axes if a not in outside)  # the batch axis among them
    node = around.filled(sum_over(mul(*data), bound) if data else contract(Lit(1.0), (BATCH,)))
    if not data:
        return contract(multiply(node, *rest), tuple(a for a in axes if a != BATCH))
    return contract(multiply(_hold(node, data, around, held), *rest), tuple(a for a in axes if a in outside))


def _hold(node: Node, data: list[Node], around: _Around, held: dict[Node, Held]) -> Node:
    """The symbol of a sum over ``data``, entered where it is new."""
    key, order = signature(node)
    if key not in held:
        name = "_".join(["sum", *dict.fromkeys(_names(data)), *([str(len(held))] if len(held) else [])])
        domain = Domain("nonnegative") if sign(node) in ("nonnegative", "positive") else REAL
        held[key] = Held(Symbol(name, "const", tuple(a.dim for a in order), domain), node, order, around.fixed(node))
    return Get(held[key].symbol, order)


def _collected(parts: list[Node]) -> Node:
    """The sum of monomials, those that are the same but for a number as one."""
    found: dict[Node, tuple[float, Node]] = {}
    for part in parts:
        scale, rest = 1.0, part
        if isinstance(part, Lit):
            scale, rest = part.value, Lit(1.0)
        elif isinstance(part, Mul) and isinstance(part.factors[0], Lit):
            scale, rest = part.factors[0].value, mul(*part.factors[1:])
        key = canonical(rest)
        before, rest = found.get(key, (0.0, rest))
        found[key] = (before + scale, rest)
    return add(*(mul(Lit(scale), rest) for scale, rest in found.values() if scale))


def flat(node: Node) -> tuple[list[Node], tuple[Axis, ...]]:
    """Factors and axes of ``c Σ_axes Π factors``."""
    if isinstance(node, Sum):
        factors, axes = flat(node.body)
        return factors, (*node.axes, *axes)
    if isinstance(node, Mul):
        found: list[Node] = []
        bound: tuple[Axis, ...] = ()
        for f in node.factors:
            if isinstance(f, Sum):
                inside, axes = flat(f)
                found, bound = [*found, *inside], (*bound, *axes)
            else:
                found.append(f)
        return found, bound
    return [node], ()


def _names(factors: list[Node]) -> list[str]:
    return sorted({s.name for f in factors for s in f.symbols if s.per_sample})


class _Around:
    """Differences of data and parameters whose product is weighted by a parameter are split at the old parameters.

    ``(y - μ)' Λ (y - μ)`` multiplied out would lose its digits. With ``r = y - μ₀`` at the old ``μ₀`` and the
    step ``δ = μ - μ₀`` it is ``(r - δ)' Λ (r - δ)``, whose sums are as large as what they stand for.
    """

    def __init__(self, learned: frozenset[Symbol], given: frozenset[Symbol]) -> None:
        self.learned = learned
        self.given = given
        self.steps: dict[Symbol, Symbol] = {}
        self.residuals: dict[Symbol, tuple[Node, tuple[Axis, ...]]] = {}

    def of_data(self, node: Node) -> bool:
        return BATCH in node.free or any(s.per_sample or s in self.given for s in node.symbols)

    def fixed(self, node: Node) -> bool:
        return all(s.role in ("observed", "const") and s not in self.given for s in node.symbols)

    def leaf(self, node: Node) -> Node | None:
        if not isinstance(node, Sum | Mul):
            return None
        factors, axes = flat(node)
        mixed = [f for f in factors if self._mixed(f)]
        coefficients = [f for f in factors if f.symbols & self.learned and not self.of_data(f)]
        if not mixed or not coefficients or (len(mixed) == 1 and not _is_square(mixed[0])):
            return None
        if len(mixed) == 1 and _grows(mixed[0]):
            return None  # too large as a tensor: multiplied out
        return sum_over(mul(*(self._split(f) if f in mixed else f for f in factors)), axes)

    def _mixed(self, node: Node) -> bool:
        base = node.base if _is_square(node) and isinstance(node, Pow) else node
        return isinstance(base, Add) and self.of_data(base) and bool(base.symbols & self.learned)

    def _split(self, node: Node) -> Node:
        if isinstance(node, Pow):
            return power(self._split(node.base), node.exponent)
        axes = tuple(sorted(node.free - {BATCH}, key=lambda a: a.name))
        residual = Symbol(f"residual~{len(self.residuals)}", "observed", tuple(a.dim for a in axes), REAL)
        for known, (other, order) in self.residuals.items():
            if len(order) == len(axes) and signature(rename(other, dict(zip(order, axes, strict=True)))) == signature(
                node
            ):
                residual = known
        if residual not in self.residuals:
            self.residuals[residual] = (node, axes)
        moved = [t for t in node.terms if t.symbols & self.learned] if isinstance(node, Add) else []
        steps = []
        for t in moved:
            stepped = t
            for p in sorted(t.symbols & self.learned, key=lambda s: s.name):
                step = self.steps.setdefault(p, Symbol(f"{p.name}~step", "const", p.shape, REAL))
                stepped = replace_symbol(stepped, p, lambda index, step=step: Get(step, index))  # type: ignore[misc]
            steps.append(stepped)
        return add(Get(residual, (BATCH, *axes)), *steps)

    def filled(self, node: Node) -> Node:
        """Residuals written out."""
        for symbol, (whole, axes) in self.residuals.items():

            def by(index: tuple[Axis | int, ...], whole: Node = whole, axes: tuple[Axis, ...] = axes) -> Node:
                return rename(whole, dict(zip(axes, index[1:], strict=True)))

            node = replace_symbol(node, symbol, by)
        return node


def _is_square(node: Node) -> bool:
    return isinstance(node, Pow) and node.exponent == Lit(2.0)


def _grows(square: Node) -> bool:
    """Whether the base has more axes than any of its terms."""
    assert isinstance(square, Pow)
    terms = square.base.terms if isinstance(square.base, Add) else (square.base,)
    return not any(t.free == square.base.free for t in terms)
