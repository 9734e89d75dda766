"""Many finite latents whose energy is a sum of parts that hold few of them: one is eliminated after the other.

A *site* is a part of a latent that takes its value alone: an entry of a ``{0,1}[N]``, a row of a ``onehot[T, K]``. On a
tree of sites this is min-sum or sum-product, on a chain Viterbi's or the forward algorithm (Dechter 1999; Koller &
Friedman 2009, ch. 9). The derivative of the free energy in a part's table is its posterior (Darwiche 2003).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ebdsl.facts.normal import normal
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.posterior import Statistic
from ebdsl.infer.rules.enumeration import LIMIT, count, in_words
from ebdsl.model import build
from ebdsl.model.algebra import contract, delta, expand, factors_of, multiply, rename, replace_symbol
from ebdsl.model.build import add
from ebdsl.model.domains import Domain
from ebdsl.model.ir import Axis, Dim, Get, Mul, Node, Shift, Sum, Symbol, extent

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "variable elimination"
FEW = 256
MOST_SITES = 4096
LONG = 64  # entries of a long dimension by which its structure is judged: further ones repeat it
TRIAL = 5  # a size for dimensions that the data has still to tell, to judge the structure by


@dataclass(frozen=True)
class Ahead:
    """The entry ``offset`` places after that of ``axis``."""

    axis: Axis
    offset: int


Place = tuple[Axis | int | Ahead, ...]


@dataclass(frozen=True)
class Site:
    """``latent[place]``, with ``state`` the axis that numbers its values."""

    latent: Symbol
    place: Place
    state: Axis


@dataclass(frozen=True)
class Part:
    """An addend of the energy: ``node`` over ``lead`` (places) and states of ``sites``. ``weights``: its posterior."""

    node: Node
    lead: tuple[Axis, ...]
    sites: tuple[Site, ...]
    weights: Symbol | None = None

    @property
    def axes(self) -> tuple[Axis, ...]:
        return (*self.lead, *(s.state for s in self.sites))

    @property
    def key(self) -> object:
        number = {a: k for k, a in enumerate(self.lead)}
        places = tuple((s.latent, tuple(_numbered(i, number) for i in s.place)) for s in self.sites)
        return tuple(a.dim for a in self.lead), places


@dataclass(frozen=True)
class Elimination:
    """``parts`` over sites of ``latents``; ``rest`` holds none of them."""

    kind: str
    latents: tuple[Symbol, ...]
    parts: tuple[Part, ...]
    rest: Node
    beta: Node | None

    @property
    def replaced(self) -> bool:
        return True

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        if self.kind == "min":
            return ()
        return tuple(Statistic(p.weights, None, p.weights.name) for p in self.parts if p.weights is not None)

    def expected(self, node: Node) -> Node:
        """Every part weighted by the posterior of its states."""
        found, rest = parts_of(node, self.latents)
        assert not isinstance(found, str)
        known = {p.key: p for p in self.parts}
        total = [rest]
        for p in found:
            weights = known[p.key].weights
            assert weights is not None
            total.append(contract(multiply(Get(weights, p.axes), p.node), p.axes))
        return add(*total)


def _numbered(i: Axis | int | Ahead, number: dict[Axis, int]) -> tuple[str, int, int]:
    if isinstance(i, Ahead):
        return ("axis", number[i.axis], i.offset)
    return ("axis", number[i], 0) if isinstance(i, Axis) else ("at", i, 0)


def values_of(latent: Symbol) -> Symbol:
    """The constant that holds the values of a site of a latent that is not one-hot, one number each."""
    return Symbol(f"{latent.name}~points", "const", (site_count(latent),), Domain("real"))


def site_count(latent: Symbol) -> Dim:
    if latent.domain.kind == "onehot":
        return latent.shape[-1]
    points = latent.domain.row.points
    assert points is not None
    return len(points(()))


def lead_of(latent: Symbol) -> tuple[Dim, ...]:
    """The shape of a latent's sites."""
    return latent.shape[:-1] if latent.domain.kind == "onehot" else latent.shape


def parts_of(energy: Node, latents: tuple[Symbol, ...]) -> tuple[list[Part] | str, Node]:
    """The energy as parts over sites, and what holds none; or why it does not come apart."""
    held = frozenset(latents)
    rest: list[Node] = []
    found: dict[object, Part] = {}
    for piece in expand(normal(energy)):
        if not piece.symbols & held:
            rest.append(piece)
            continue
        part = _part(piece, latents)
        if isinstance(part, str):
            return part, add(*rest)
        old = found.get(part.key)
        if old is not None:
            same = rename(part.node, dict(zip(part.axes, old.axes, strict=True)))
            part = Part(add(old.node, same), old.lead, old.sites)
        found[part.key] = part
    return list(found.values()), add(*rest)


def _part(piece: Node, latents: tuple[Symbol, ...]) -> Part | str:
    axes: tuple[Axis, ...] = ()
    factors = [piece]
    while any(isinstance(f, Sum | Mul) for f in factors):  # every sum outside, as far as products go
        opened: list[Node] = []
        for f in factors:
            if isinstance(f, Sum):
                axes, f = (*axes, *f.axes), f.body
            opened += f.factors if isinstance(f, Mul) else [f]
        factors = opened
    body = build.mul(*factors)
    sites: dict[tuple[Symbol, Place], Site] = {}
    bound = frozenset(axes)
    for latent in latents:
        for place in _places(body, latent):
            if not {i for i in place if isinstance(i, Axis)} <= bound:
                return f"{latent.name} stands in a sum inside of a function"
            if (latent, place) not in sites:
                sites[latent, place] = Site(latent, place, build.fresh(site_count(latent), "k"))
    for latent in latents:

        def value(index: tuple[Axis | int, ...], latent: Symbol = latent) -> Node:
            if latent.domain.kind == "onehot":
                return delta(index[-1], sites[latent, index[:-1]].state)
            return Get(values_of(latent), (sites[latent, index].state,))

        body = replace_symbol(body, latent, value)
    body, moved = _neighbours(body, {i for s in sites.values() for i in s.place if isinstance(i, Axis)})
    found = tuple(replace(s, place=_moved(s.place, moved)) for s in sites.values())
    lead = tuple(dict.fromkeys(a for s in found for a in map(_axis, s.place) if a is not None))
    return Part(contract(body, tuple(a for a in axes if a not in lead and a not in moved)), lead, found)


def _neighbours(body: Node, places: set[Axis]) -> tuple[Node, dict[Axis, Ahead]]:
    """``shift(t, j, k)`` taken out where ``j`` is only the place of a latent, which is then ``k`` after t."""
    factors = factors_of(body)
    moved: dict[Axis, Ahead] = {}
    for f in factors:
        if not (isinstance(f, Shift) and isinstance(f.right, Axis) and f.right in places and f.right not in moved):
            continue
        if not any(f.right in g.free for g in factors if g is not f):
            moved[f.right] = Ahead(f.left, f.offset)
            factors = tuple(g for g in factors if g is not f)
    return build.mul(*factors), moved


def _moved(place: Place, moved: dict[Axis, Ahead]) -> Place:
    return tuple(moved.get(i, i) if isinstance(i, Axis) else i for i in place)


def _axis(i: Axis | int | Ahead) -> Axis | None:
    return i.axis if isinstance(i, Ahead) else i if isinstance(i, Axis) else None


def _places(node: Node, latent: Symbol) -> list[Place]:
    """The places at which a node holds a latent, in order of occurrence."""
    found: dict[Place, None] = {}

    def go(n: Node) -> None:
        if isinstance(n, Get) and n.symbol == latent:
            found[n.index[:-1] if latent.domain.kind == "onehot" else n.index] = None
        for c in n.children:
            if latent in c.symbols:
                go(c)

    go(node)
    return list(found)


# --------------------------------------------------------------------------- the rule


def consider(problem: Problem) -> Decision | Refusal:
    for s in problem.latents:
        if not s.domain.row.finite:
            return Refusal(NAME, f"{s.name} takes infinitely many values")
        if s.domain.row.whole > 1 or s.domain.row.whole < 0:
            return Refusal(NAME, f"the entries of {s.name} do not take their values alone")
    if len(problem.latents) == 1 and not lead_of(problem.latents[0]):
        return Refusal(NAME, f"{problem.names} is one variable: there is nothing to take apart")
    counts = [count(s, problem) for s in problem.latents]
    total = None if None in counts else math.prod(c for c in counts if c is not None)
    if total is not None and total <= FEW:
        return Refusal(NAME, problem.says("has", "have") + f" only {total} values: all can be tried")
    if total is None and not any(lead_of(s) for s in problem.latents):
        return Refusal(NAME, f"how many values {problem.names} takes is not known before the data is")
    parts, rest = parts_of(problem.energy, problem.latents)
    if isinstance(parts, str):
        return Refusal(NAME, parts)
    sizes, exact = _sizes(problem)
    variables = sum(math.prod(extent(d, sizes) or 1 for d in lead_of(s)) for s in problem.latents)
    graph = _graph(problem, parts, sizes)
    if graph is None:
        return Refusal(NAME, f"there are more than {MOST_SITES} pairs of variables: no structure was looked for")
    width, largest, work = _simulated(graph)
    if total is not None and largest >= total:
        return Refusal(
            NAME, f"every variable meets every other: a table of all {in_words(total)} values would be needed"
        )
    if largest > LIMIT:
        return Refusal(
            NAME,
            f"the variables are tied too closely: one after the other, fewest neighbours first, there is a table of "
            f"{largest:.3g} values of {width + 1} variables, more than {LIMIT}",
        )
    parts = [replace(p, weights=_weights(p, k)) for k, p in enumerate(parts)]
    shape = {0: "no two variables meet", 1: "the variables form a tree"}.get(
        width, f"at most {width + 1} variables meet"
    )
    soft = problem.kind == "softmin"
    how = {
        0: "each variable alone", 1: "sum-product on the tree" if soft else "min-sum on the tree",
    }.get(width, "sum-product" if soft else "min-sum")  # fmt: skip
    if width == 1 and _is_chain(graph):
        shape, how = "the variables form a chain", "forward algorithm" if soft else "Viterbi's algorithm"
    about = "" if exact else ", judged with 5 entries along dimensions that the data has still to tell"
    facts = (problem.says("takes", "take") + " finitely many values, the energy is a sum of parts with few of them",)
    return Decision(
        NAME, f"{problem.kind} over {problem.names}",
        f"one variable after the other ({how}), exact for all values together", "exact" if soft else "global",
        f"{work * variables / len(graph[0]):.3g} energies, {variables} variables", (*facts, shape + about), (),
        Elimination(problem.kind, problem.latents, tuple(parts), rest, problem.beta),
    )  # fmt: skip


Graph = tuple[dict[object, int], list[frozenset[object]]]


def _sizes(problem: Problem) -> tuple[dict[str, int | None], bool]:
    known = dict(problem.model.dims)
    return {d: TRIAL if size is None else size for d, size in known.items()}, None not in known.values()


def _graph(problem: Problem, parts: Sequence[Part], sizes: dict[str, int | None]) -> Graph | None:
    """Sites with their numbers of values, and the sets of them that parts tie together."""

    longest = max([extent(d, sizes) or 0 for s in problem.latents for d in lead_of(s)], default=0)

    def size(d: Dim) -> int:
        found = extent(d, sizes)
        assert found is not None
        return found

    def length(d: Dim) -> int:
        found = size(d)
        return found - (longest - LONG) if found > LONG and longest - found < LONG // 2 else min(found, LONG)

    sites: dict[object, int] = {}
    for s in problem.latents:
        for place in itertools.product(*(range(length(d)) for d in lead_of(s))):
            sites[s.name, place] = size(site_count(s))
    ties: list[frozenset[object]] = []
    for p in parts:
        if math.prod(length(a.dim) for a in p.lead) > MOST_SITES:
            return None
        for at in itertools.product(*(range(length(a.dim)) for a in p.lead)):
            here = dict(zip(p.lead, at, strict=True))
            ties.append(frozenset(site_at(s, here, [length(d) for d in lead_of(s.latent)]) for s in p.sites))
    return sites, ties


def site_at(site: Site, here: dict[Axis, int], extents: Sequence[int]) -> object:
    """A site by name and number where its axes are at ``here``; a negative place counts from the end."""
    at = []
    for i, n in zip(site.place, extents, strict=True):
        at.append(here[i.axis] + i.offset if isinstance(i, Ahead) else here[i] if isinstance(i, Axis) else i % n)
    return site.latent.name, tuple(at)


def _simulated(graph: Graph) -> tuple[int, float, float]:
    """Neighbours of a variable when its turn comes at most, the largest table, and the entries of all tables."""
    sites, ties = graph
    near: dict[object, set[object]] = {s: set() for s in sites}
    for tie in ties:
        for s in tie:
            near[s] |= tie - {s}
    width, largest, work = 0, 1.0, 0.0
    waiting = dict.fromkeys(sites)
    while waiting:
        s = min(waiting, key=lambda v: len(near[v]))
        del waiting[s]
        table = float(sites[s]) * math.prod(float(sites[n]) for n in near[s])
        width, largest, work = max(width, len(near[s])), max(largest, table), work + table
        for n in near[s]:
            near[n] |= near[s] - {n}
            near[n].discard(s)
        near[s] = set()
        if table > 1e12:
            break
    return width, largest, work


def _weights(part: Part, number: int) -> Symbol:
    return Symbol(f"weights{number}", "latent", tuple(a.dim for a in part.axes), Domain("nonnegative"))


def _is_chain(graph: Graph) -> bool:
    sites, ties = graph
    pairs = {t for t in ties if len(t) == 2}
    degree = dict.fromkeys(sites, 0)
    for pair in pairs:
        for s in pair:
            degree[s] += 1
    return max(degree.values()) == 2


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Elimination)
    body.eliminate(payload)


register(Rule(NAME, 8, "finite latents are eliminated one after the other", consider, emit))
