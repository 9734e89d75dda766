"""Products of two differences, ``(y - μ_k) (y - μ_k)'``, as matrix products that keep their digits.

Multiplied out, a quadratic form loses twice the digits of ``y / (y - μ)``; with one factor whole it loses them once,
as the difference itself does.
"""

from __future__ import annotations

from ebdsl.learn.sums import flat
from ebdsl.model.algebra import contract, freshen, multiply, rename, transform
from ebdsl.model.build import add, fresh, mul, power, sum_over
from ebdsl.model.canonical import canonical
from ebdsl.model.domains import REAL
from ebdsl.model.ir import BATCH, Add, Axis, Get, Mul, Node, Sum, Symbol, nodes_of


def whitened(node: Node) -> tuple[Node, dict[Symbol, Symbol]]:
    """``Σ_ij r_i Λ_kij r_j`` as ``Σ_e (Σ_i L_kie r_i)²`` for positive definite ``Λ = L L'``; each L with its Λ.

    Then ``L'y - L'μ`` is one matrix product for all k. A Λ that is the same for all k is left alone.
    """
    roots: dict[Symbol, Symbol] = {}

    def leaf(n: Node) -> Node | None:
        if not isinstance(n, Sum):
            return None
        factors, axes = flat(n)
        for form in factors:
            if not (isinstance(form, Get) and form.symbol.domain.row.definite) or form.symbol.per_sample:
                continue
            *own, i, j = form.index
            if i == j or i not in axes or j not in axes or not isinstance(i, Axis) or not isinstance(j, Axis):
                continue
            left = [f for f in factors if f is not form and i in f.free]
            right = [f for f in factors if f is not form and j in f.free]
            if len(left) != 1 or len(right) != 1 or not _same(left[0], right[0], i, j) or not _spread(left[0], own):
                continue
            root = Symbol(f"{form.symbol.name}~root", "const", form.symbol.shape, REAL)
            roots[root] = form.symbol
            e = fresh(i.dim)
            assert isinstance(left[0], Add)
            terms = [contract(multiply(Get(root, (*own, i, e)), freshen(t)), (i,)) for t in left[0].terms]
            rest = [f for f in factors if f is not form and f is not left[0] and f is not right[0]]
            outer = tuple(a for a in axes if a not in (i, j))
            return sum_over(multiply(*rest, power(add(*terms), 2)), (*outer, e))
        return None

    return transform(node, leaf), roots


def one_sided(node: Node) -> Node:
    """``Σ_b w_bk r_bki r_bkj`` as ``Σ_b v_bki y_bj - (Σ_b v_bki) μ_kj`` with ``v = w r``: a matrix product sums over b.

    ``v`` is one node, here and in ``Σ_b w_bk r_bki``, so that it is computed once.
    """

    def leaf(n: Node) -> Node | None:
        if not isinstance(n, Sum):
            return None
        factors, axes = flat(n)
        wide = [f for f in factors if isinstance(f, Add) and _grows(f)]
        if axes != (BATCH,) or len(factors) - len(wide) == 0:
            return None
        held = Mul(tuple(sorted((f for f in factors if f not in wide[1:]), key=lambda f: isinstance(f, Add))))
        if len(wide) == 1:
            return Sum(Mul((held,)), axes)
        if len(wide) != 2 or wide[0].free == wide[1].free:
            return None
        parts = []
        for t in wide[1].terms:
            summed = Sum(Mul((held, t) if BATCH in t.free else (held,)), axes)
            parts.append(summed if BATCH in t.free else mul(t, summed))
        return add(*parts)

    return transform(node, leaf)


def widens(node: Node) -> bool:
    """Whether a difference in the node has an entry for each sample, state and number: the largest tensor of a step."""
    return any(isinstance(n, Add) and _grows(n) for n in nodes_of(node))


def _same(left: Node, right: Node, i: Axis, j: Axis) -> bool:
    renamed = rename(right, {j: i})
    return right != left and canonical(renamed) == canonical(left)


def _spread(r: Node, own: list[Axis | int]) -> bool:
    """Whether the sample's part of a difference is made for each of the axes ``own`` only by the root."""
    return isinstance(r, Add) and BATCH in r.free and _grows(r) and any(a in r.free for a in own)


def _grows(node: Add) -> bool:
    """Whether the sum has more axes than any of its terms, the sample's among them."""
    return BATCH in node.free and not any(t.free == node.free for t in node.terms)
