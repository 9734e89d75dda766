"""Loops of quadratics that all samples share, plus penalties with a proximal operator."""

from __future__ import annotations

from ebdsl.facts.penalties import Penalty
from ebdsl.facts.quadratic import Quadratic
from ebdsl.infer.loops.core import Call, Carried, Let, Loop, Prox, Statement, along, minus, row, shared
from ebdsl.infer.loops.weights import weighed
from ebdsl.model.algebra import contract, multiply, rename
from ebdsl.model.build import add, div, fn, fresh, lit, mul, neg, power, sum_over
from ebdsl.model.ir import ONE, ZERO, Apply, Delta, Get, Node, Size, Symbol, Tensor

RELAXED = 1.75


class Pieces:
    """``gram`` ``(n, n)`` and ``linear``, the axes of a latent, and its product with a matrix of that size."""

    def __init__(self, form: Quadratic) -> None:
        self.latent = form.symbol
        self.at = form.at
        (self.place,) = form.coupled
        self.i, self.j = form.at[self.place], form.twin[self.place]
        n = self.i.dim
        self.gram, self.linear = shared("gram", (n, n)), row("linear", form.symbol.shape)
        self.once: list[Statement] = [
            Let(self.gram, (self.i, self.j), form.matrix),
            Let(self.linear, self.at, form.linear),
        ]
        self.scale = (Let(row("slope", form.symbol.shape), self.at, self.get(self.linear)),)

    def row(self, name: str) -> Symbol:
        return row(name, self.latent.shape)

    def get(self, s: Symbol) -> Node:
        return Get(s, self.at)

    def times(self, node: Node, matrix: Symbol) -> Node:
        """``Σ_j node[j] matrix[j, i]``."""
        j = fresh(self.i.dim)
        return contract(multiply(rename(node, {self.i: j}), Get(matrix, (j, self.i))), (j,))

    def total(self, node: Node) -> Node:
        """The sum over all entries of a sample."""
        new = {a: fresh(a.dim) for a in self.at}
        return sum_over(rename(node, dict(new)), new.values())


def splitting(form: Quadratic, penalties: tuple[Penalty, ...]) -> Loop:
    """Douglas-Rachford splitting, relaxed: one product a step with ``(gram + rho)⁻¹`` (Lions & Mercier 1979)."""
    p = Pieces(form)
    i, j, k = p.i, p.j, fresh(p.i.dim)
    n = i.dim
    rho, inverse, forward, shift = shared("rho"), shared("inverse", (n, n)), shared("forward", (n, n)), p.row("shift")
    moved = Tensor(add(Get(p.gram, (i, j)), mul(Get(rho), Delta(i, j))), (i, j))
    p.once += [
        Let(rho, (), div(sum_over(Get(p.gram, (k, k)), (k,)), Size(n))),
        Let(inverse, (i, j), Apply("inverse", (moved,), (i, j))),
        Let(forward, (i, j), minus(mul(lit(RELAXED), Get(rho), Get(inverse, (i, j))), Delta(i, j))),
        Let(shift, p.at, mul(lit(-RELAXED), p.times(p.get(p.linear), inverse))),
    ]
    v, x, new, slope = (p.row(name) for name in ("v", "x", "new", "slope"))
    penalties = weighed(penalties, p.once)
    prox = Prox(x, p.at, p.latent, penalties, v, power(Get(rho), -1))
    twice = minus(mul(lit(2), p.get(x)), p.get(v))
    ahead = add(p.times(twice, forward), p.get(shift), mul(lit(2 - RELAXED), p.get(x)))
    certificate = add(p.get(p.linear), p.times(p.get(x), p.gram), mul(Get(rho), minus(p.get(v), p.get(x))))
    begin = add(p.get(p.linear), p.times(p.get(p.latent), p.gram))
    start = minus(p.get(p.latent), mul(begin, power(Get(rho), -1)))
    return Loop(
        "quadratic_splitting", (p.latent,), tuple(p.once), (Carried(v, p.at, start, new),),
        (prox, Let(new, p.at, ahead)), (prox, Let(slope, p.at, certificate)), (x,), (slope,), p.scale,
        every=10, first=20,
    )  # fmt: skip


def proximal_steps(form: Quadratic, penalties: tuple[Penalty, ...], kernel: str, momentum: str) -> Loop:
    """``x ← prox(v - step (gram v + linear))``, ``v`` ahead of ``x``.

    ``momentum``: ``none``; ``fista``, ``(t - 1) / t⁺`` for all samples (Beck & Teboulle 2009); ``restart``,
    ``k / (k + 3)``, ``k`` steps after the restart of each (Tseng 2008; O'Donoghue & Candès 2015).
    """
    p = Pieces(form)
    i, j, n = p.i, p.j, p.i.dim
    bound, step, matrix, shift = shared("bound"), shared("step"), shared("matrix", (n, n)), p.row("shift")
    p.once += [
        Call(bound, "largest_eigenvalue", (p.gram,)),
        Let(step, (), power(Get(bound), -1)),
        Let(matrix, (i, j), minus(Delta(i, j), mul(Get(step), Get(p.gram, (i, j))))),
        Let(shift, p.at, neg(mul(Get(step), p.get(p.linear)))),
    ]
    penalties = weighed(penalties, p.once)
    x, before, v, down, new, last = (p.row(name) for name in ("x", "before", "v", "down", "new", "last"))
    count, again = row("count", ()), row("again", ())
    k = Get(count)
    grown: Node
    if momentum == "fista":
        grown = add(lit(0.5), power(add(lit(0.25), mul(k, k)), 0.5))
        share = div(minus(k, ONE), grown)
    else:
        uphill = fn("step", neg(p.total(mul(minus(p.get(new), p.get(v)), minus(p.get(new), p.get(x))))))
        share = div(k, add(k, lit(3)))
        grown = mul(minus(ONE, uphill), add(k, ONE))

    def descent(at: Symbol) -> Node:
        return add(p.times(p.get(at), matrix), p.get(shift))

    carried = [Carried(last, p.at, p.get(p.latent), down), Carried(x, p.at, p.get(p.latent), new)]
    body: list[Statement] = [Let(down, p.at, descent(x if momentum == "none" else v)),
                             Prox(new, p.at, p.latent, penalties, down, Get(step))]  # fmt: skip
    if momentum != "none":
        carried += [Carried(before, p.at, p.get(p.latent), x), Carried(count, (), ZERO, again)]
        ahead = row("ahead", ())
        body = [Let(ahead, (), share), Let(v, p.at, along(x, before, Get(ahead), p.at)), *body, Let(again, (), grown)]
    slope = p.row("slope")
    check = (Let(slope, p.at, div(minus(p.get(last), descent(x)), Get(step))),)  # x is the prox of what it came from
    return Loop(
        kernel, (p.latent,), tuple(p.once), tuple(carried), tuple(body), check, (x,), (slope,), p.scale, every=10
    )  # fmt: skip


def coordinate_steps(form: Quadratic, penalties: tuple[Penalty, ...]) -> Loop:
    """Of each sample the entry that would move furthest is set to its minimum (Li & Osher 2009)."""
    p = Pieces(form)
    i, n = p.i, p.i.dim
    scale, beside = shared("scale", (n,)), shared("beside", (n, n))
    j = p.j
    own = rename(form.matrix, {j: i})
    off = mul(Get(p.gram, (i, j)), Get(scale, (j,)), minus(ONE, Delta(i, j)))
    p.once += [Let(scale, (i,), power(own, -1)), Let(beside, (i, j), off)]
    penalties = weighed(penalties, p.once)
    x, inside, aim, new, within = (p.row(name) for name in ("x", "inside", "aim", "new", "within"))
    move, pick, found, back, slope = (p.row(name) for name in ("move", "pick", "found", "back", "slope"))
    size = Tensor(fn("abs", p.get(move)), p.at)
    change = mul(p.get(pick), p.get(move))

    def without(at: Node) -> Node:
        return neg(add(mul(p.get(p.linear), Get(scale, (i,))), p.times(at, beside)))

    body = (
        Prox(aim, p.at, p.latent, penalties, inside, Get(scale, (i,))),
        Let(move, p.at, minus(p.get(aim), p.get(x))),
        Let(pick, p.at, Apply("onehot_argmax", (size,), p.at)),
        Let(new, p.at, add(p.get(x), change)),
        Let(within, p.at, minus(p.get(inside), p.times(change, beside))),
    )
    at_found = add(p.get(p.linear), p.times(p.get(found), p.gram))
    check = (
        Prox(found, p.at, p.latent, penalties, inside, Get(scale, (i,))),
        Let(aim, p.at, minus(p.get(found), mul(at_found, Get(scale, (i,))))),
        Prox(back, p.at, p.latent, penalties, aim, Get(scale, (i,))),
        Let(slope, p.at, div(minus(p.get(found), p.get(back)), Get(scale, (i,)))),
    )
    carried = (Carried(x, p.at, p.get(p.latent), new), Carried(inside, p.at, without(p.get(p.latent)), within))
    return Loop(
        "coordinate_steps", (p.latent,), tuple(p.once), carried, body, check, (found,), (slope,), p.scale, every=16
    )  # fmt: skip


__all__ = ["coordinate_steps", "proximal_steps", "splitting"]
