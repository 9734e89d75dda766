"""Quadratics whose states follow from linear recurrences: what is chosen, how a step reads those before it.

The states are put beside the latents as variables of their own: then the energy has a band along time
(:mod:`ebdsl.facts.bands`), and each recurrence is one linear equation between near steps.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ebdsl.facts.bands import Band, Piece, band, piece
from ebdsl.model.algebra import contract, degree, expand, multiply, rename, replace_symbol, transform, zeroed
from ebdsl.model.build import fresh
from ebdsl.model.deltas import shift
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.domains import REAL
from ebdsl.model.ir import ZERO, Apply, Axis, Get, Node, Recurrence, Symbol, Tensor, shorter


@dataclass(frozen=True)
class Follows:
    """One sequence: ``state[i + order]`` is ``links`` times near entries, summed, and ``drift``, over ``(time, *at)``.

    ``starts`` are its first states; None where the latent ``chosen`` is the first.
    """

    state: Symbol
    order: int
    time: Axis
    at: tuple[Axis, ...]
    links: tuple[Piece, ...]
    drift: Node
    starts: tuple[Tensor, ...] | None
    chosen: Symbol | None
    text: str

    def lag(self, link: Piece) -> int:
        """How many steps back a link reads."""
        return self.order - link.offset


@dataclass(frozen=True)
class Controlled:
    """``band`` is that of the energy in the states, then the choices; ``follows`` goes with its first latents."""

    latents: tuple[Symbol, ...]
    band: Band
    follows: tuple[Follows, ...]

    @property
    def reach(self) -> int:
        free = [1 for f in self.follows if f.chosen is not None]
        return max([0, *free, *(f.lag(p) for f in self.follows for p in f.links)])

    @property
    def shared(self) -> bool:
        """One recursion for all samples."""
        links = (p.value for f in self.follows for p in f.links)
        return self.band.shared and not any(s.per_sample for value in links for s in value.symbols)


def controlled(energy: Node, latents: tuple[Symbol, ...]) -> Controlled | str:
    """The problem with its states written out, or why it is none."""
    held = frozenset(latents)
    calls: dict[Apply, Symbol] = {}

    def collect(n: Node) -> None:
        if isinstance(n, Apply) and isinstance(n.function, Recurrence) and n.symbols & held:
            for k, name in enumerate(n.function.sequences):
                key = Apply(replace(n.function, which=k), n.args)
                if key not in calls:
                    shape = (shorter(n.function.steps, -n.function.order), *n.function.windows[k][0].shape)
                    calls[key] = Symbol(name, "latent", shape, REAL)
        for c in n.children:
            collect(c)

    collect(energy)
    if not calls:
        return "no state follows from the one before it"
    names = ", ".join(s.name for s in latents)

    def written_out(n: Node) -> Node:
        return transform(n, lambda x: Get(calls[key], x.index) if (key := _key(x)) in calls else None)  # type: ignore[attr-defined]

    chosen: dict[Symbol, Symbol] = {}
    for call, state in calls.items():
        assert isinstance(call.function, Recurrence)
        if degree(call, held) != 1:
            return f"{state.name} does not follow linearly: {call.function.texts[call.function.which]}"
        start = call.args[call.function.which * call.function.order]
        z = start.body.symbol if isinstance(start.body, Get) and start.body.index == start.axes else None
        if z in held and call.function.order == 1 and z not in chosen and z.domain.kind == "real":
            chosen[z] = state
    states = tuple(calls.values())
    left = tuple(s for s in latents if s not in chosen)

    def plain(n: Node) -> Node:
        for z, state in chosen.items():
            n = replace_symbol(n, z, lambda index, state=state: Get(state, (0, *index)))  # type: ignore[misc]
        return n

    everyone = (*states, *left)
    found = band(plain(written_out(energy)), everyone, len(states))
    if isinstance(found, str):
        return found.replace(", ".join(s.name for s in everyone), names)
    follows = []
    for call in calls:
        one = _follows(call, calls, written_out, everyone, found, chosen)
        if isinstance(one, str):
            return one
        follows.append(one)
    return Controlled(latents, found, tuple(follows))


def _key(n: Node) -> Apply | None:
    return Apply(n.function, n.args) if isinstance(n, Apply) else None


def _follows(
    call: Apply,
    calls: dict[Apply, Symbol],
    written_out: Callable[[Node], Node],
    everyone: tuple[Symbol, ...],
    found: Band,
    chosen: dict[Symbol, Symbol],
) -> Follows | str:
    r, state = call.function, calls[call]
    assert isinstance(r, Recurrence)
    time = fresh(r.steps, "t")
    body = r.bodies[r.which]
    node = body.body
    states = [calls[Apply(replace(r, which=k), call.args)] for k in range(len(r.sequences))]
    for k, window in enumerate(r.windows):
        for back, symbol in enumerate(window):

            def entry(index: tuple[Axis | int, ...], k: int = k, back: int = back) -> Node:
                there = fresh(states[k].shape[0])
                link = shift(time, there, r.order - 1 - back)
                return contract(multiply(link, Get(states[k], (there, *index))), (there,))

            node = replace_symbol(node, symbol, entry)
    for symbol, timed, arg in zip(r.given, r.timed, call.args[r.starts :], strict=True):
        inside = written_out(arg.body)
        axes = arg.axes

        def value(
            index: tuple[Axis | int, ...], inside: Node = inside, axes: tuple[Axis, ...] = axes, timed: bool = timed
        ) -> Node:
            return rename(inside, dict(zip(axes, ((time, *index) if timed else index), strict=True)))

        node = replace_symbol(node, symbol, value)
    if any(z in node.symbols for z in chosen):
        return f"{state.name} starts from what its steps read as well"
    links = []
    at = (time, *body.axes)
    for column, symbol in enumerate(everyone):
        if symbol not in node.symbols:
            continue
        twin = fresh_index(symbol)
        place = found.places[column]
        try:
            slope = derivative(node, symbol, twin)
        except NoDerivative:
            return f"how {state.name} follows has no derivative that is known"
        for n in () if slope == ZERO else expand(slope):
            link = piece(n, 0, column, at, twin, 0, place)
            if link is None or link.time is None or link.first or r.order - link.offset < 0:
                return f"{state.name} reads {symbol.name} at other steps than those before it"
            links.append(link)
    drift = zeroed(node, everyone)
    starts = call.args[r.which * r.order : (r.which + 1) * r.order]
    z = next((z for z, s in chosen.items() if s == state), None)
    if z is None and any(s.symbols & set(everyone) or s.symbols & set(chosen) for s in starts):
        return f"where {state.name} starts is neither given nor chosen freely"
    if z is None and any(written_out(s.body) != s.body for s in starts):
        return f"where {state.name} starts follows from what is chosen"
    return Follows(state, r.order, time, body.axes, tuple(links), drift, None if z else starts, z, r.texts[r.which])
