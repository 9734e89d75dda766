"""One step of a recurrence: how many steps there are, what a step reads, and the function that it makes."""

from __future__ import annotations

from dataclasses import dataclass, field

from ebdsl.check import shifts
from ebdsl.check.dims import same, shape_text, size, type_text
from ebdsl.check.lower import lower
from ebdsl.check.ranges import uses
from ebdsl.check.scope import Bound, Context, Env, Value
from ebdsl.check.shifts import Use, fits, longer
from ebdsl.check.walk import mapped
from ebdsl.check.words import key, listed
from ebdsl.model import build
from ebdsl.model.algebra import rebuild, rename, replace_symbol
from ebdsl.model.domains import REAL
from ebdsl.model.ir import Add, Axis, Dim, Get, Mul, Node, Recurrence, Symbol, Tensor, shorter
from ebdsl.syntax import ast


@dataclass
class Step:
    """``name[index + offset] = …``; ``states`` are the keys of the sequences that follow together."""

    key: str
    name: ast.Name
    index: ast.Name
    offset: int
    equation: ast.Equation
    states: tuple[str, ...] = ()
    _lags: list[int] = field(default_factory=list)

    def back(self, e: ast.Expr, ctx: Context) -> tuple[str, int, tuple[ast.Expr, ...]] | None:
        """Which state an entry is, how many steps before the new one, and what further brackets pick of it."""
        if isinstance(e, ast.Name):
            base, _, tail = e.id.rpartition("_")
            if key(base) in self.states and key(tail) == key(self.index.id) and not ctx.is_variable(key(e.id)):
                return key(base), self.offset, ()
        if isinstance(e, ast.Index) and isinstance(e.base, ast.Name) and key(e.base.id) in self.states:
            picked = shifts.shifted(e.items[0], {key(self.index.id)}, ctx)
            if picked is not None and picked[1] == int(picked[1]):
                return key(e.base.id), self.offset - int(picked[1]), e.items[1:]
        return None

    def lags(self, ctx: Context) -> list[int]:
        """How far back the states are that a step reads."""
        if not self._lags:

            def note(e: ast.Expr) -> ast.Expr | None:
                found = self.back(e, ctx)
                if found is not None:
                    self._lags.append(found[1])
                    return e
                return None

            mapped(self.equation.right, note)
        return self._lags


# --------------------------------------------------------------------------- how many steps


def count_of(steps: list[Step], order: int, length: Dim | None, ctx: Context) -> tuple[Dim, dict[str, int]] | None:
    """The number of steps, and for each equation the entry that its index picks first; None after an error.

    ``length`` is how many states were declared. An undeclared sequence has a state for each point of a ``time``; an
    ``index`` says which equations hold; else there are as many steps as what they read has entries for.
    """
    first = order - steps[0].offset
    if first < 0:
        s = steps[0]
        ctx.report.add(
            "EB0238",
            f"{ctx.text(s.equation.left.span)} = … leaves out entries after the start",
            (s.equation.left.span, f"the first that it gives is {s.name.id}[{s.offset}]"),
            help=f"write it for the next step: {s.name.id}[{s.index.id}+{order}] = …",
        )
        return None
    picks: list[tuple[Step, list[Use]]] = []
    for s in steps:
        masked = mapped(s.equation.right, lambda e, s=s: ast.Number(e.span, 0.0, "0") if s.back(e, ctx) else None)  # type: ignore[misc]
        own = [u for u in uses(masked, s.index.id, Env(ctx.muted())) if len(u.dims) == 1]
        picks.append((s, own))
    reads = [u for _, own in picks for u in own]
    number: Dim | None = None
    ranges = [ctx.indices[key(s.index.id)] for s in steps if key(s.index.id) in ctx.indices]
    timed = any(_is_time(s, ctx) for s in steps)
    if length is not None:
        number = shorter(length, order)
    elif ranges and timed:
        number = shorter(ranges[0].dim, order - ranges[0].low)
    elif ranges:
        number = shorter(ranges[0].dim, max(0, first - ranges[0].low))
        if ranges[0].low > first and not _fits_from(ranges[0].dim, ranges[0].low, first, reads, ctx):
            s = steps[0]
            ctx.report.add(
                "EB0237",
                f"{s.index.id} starts at {ranges[0].low}, so that nothing says "
                f"{s.name.id}[{ranges[0].low + s.offset - 1}]",
                (s.equation.left.span, f"the first that it gives is {s.name.id}[{ranges[0].low + s.offset}]"),
                (ranges[0].span, "the range"),
                help=f"let {s.index.id} start at {first}",
            )
            return None
    elif reads:
        number = _shortest(reads, first, ctx)
    if number is None:
        s = steps[0]
        ctx.report.add(
            "EB0209",
            f"nothing tells how many steps {s.name.id} takes",
            (s.equation.left.span, f"{s.index.id} runs over what?"),
            help=(f"say it: index {s.index.id} in {first}..T{'-1' if first == 0 else ''}",
                  f"or declare the states: latent {s.name.id} : R[T, N]"),
        )  # fmt: skip
        return None
    known = size(ctx, number)
    if known is not None and known < 1:
        s = steps[0]
        ctx.report.add(
            "EB0238", f"{s.name.id} takes no step: there are not enough entries", (s.equation.left.span, "no step"),
        )  # fmt: skip
        return None
    starts: dict[str, int] = {}
    for s, own in picks:
        outside = fits(number, first, own, ctx)
        if outside is not None and (first == 0 or fits(number, first - 1, own, ctx) is not None or ranges == []):
            shifts.report_outside(s.index, outside, Env(ctx))
            return None
        starts[s.key] = first if outside is None else first - 1  # counted from 1
    return number, starts


def _is_time(s: Step, ctx: Context) -> bool:
    declared = ctx.declarations.get(key(s.index.id))
    return isinstance(declared, ast.IndexDecl) and declared.time


def _fits_from(dim: Dim, low: int, first: int, reads: list[Use], ctx: Context) -> bool:
    """Whether a range that starts later counts from 1 what is meant to count from 0: ``t in 1..T`` of T actions."""
    from_first, from_low = (fits(dim, at, reads, ctx) for at in (first, low))
    return low == first + 1 and bool(reads) and from_first is None and from_low is not None


def _shortest(reads: list[Use], first: int, ctx: Context) -> Dim | None:
    """As many steps as there are entries in all that is read."""
    base = reads[0].dims[0]
    ends = [longer(ctx, u.dims[0], base) for u in reads]
    if None in ends:
        return None
    rest = min((e or 0) - first - u.offset for e, u in zip(ends, reads, strict=True))
    return shorter(base, -rest)


# --------------------------------------------------------------------------- what a step is


def lowered(
    steps: list[Step],
    windows: tuple[tuple[Symbol, ...], ...],
    shapes: list[tuple[Dim, ...]],
    time: Axis,
    order: int,
    first: dict[str, int],
    ctx: Context,
) -> list[Tensor] | None:
    """The next state of each sequence over ``time`` and the states before it; None after an error."""
    places = {k: i for i, k in enumerate(steps[0].states)}
    newest = {
        k: Symbol(f"{s.name.id}~new", "latent", shape, REAL) for k, s, shape in zip(places, steps, shapes, strict=True)
    }
    found: list[Tensor] = []
    for s, shape in zip(steps, shapes, strict=True):
        values: dict[str, Value | None] = {}
        good = True

        def change(e: ast.Expr, s: Step = s, values: dict[str, Value | None] = values) -> ast.Expr | None:
            nonlocal good
            entry = s.back(e, ctx)
            if entry is None:
                if isinstance(e, ast.Name) and key(e.id) in s.states and good:
                    good = False
                    _whole(e, s, ctx)
                return None
            k, lag, rest = entry
            if lag < 0 or (lag == 0 and k == s.key):
                good = False
                _ahead(e, s, ctx)
                return e
            symbol = newest[k] if lag == 0 else windows[places[k]][lag - 1]
            name = f"{symbol.name}@"
            t = build.tensor(symbol)
            values[name] = Value(t.body, t.axes, e.span)
            picked = ast.Name(e.span, name)
            return ast.Index(e.span, picked, rest) if rest else picked

        right = mapped(s.equation.right, change)
        if not good:
            return None
        t = key(s.index.id)
        env = Env(ctx, values, {t: Bound(time, first[s.key], first[s.key])})
        value = lower(right, env)
        if value is None:
            return None
        fitting = len(value.dims) == len(shape) and not value.row
        fitting = fitting and all(same(ctx, a, b) for a, b in zip(value.dims, shape, strict=True))
        if not fitting and not (value.scalar and not value.body.symbols):
            _misfit(s, shape, value, ctx)
            return None
        axes = tuple(build.fresh(d) for d in shape)
        found.append(Tensor(value.body if value.scalar else value.over(axes).body, axes))
    return _substituted(steps, found, newest, places, ctx)


def _misfit(s: Step, shape: tuple[Dim, ...], value: Value, ctx: Context) -> None:
    left = ctx.text(s.equation.left.span)
    ctx.report.add(
        "EB0203",
        f"dimensions differ: {left} is {shape_text(shape)}, {ctx.text(s.equation.right.span)} is {type_text(value)}",
        (s.equation.right.span, type_text(value)),
        (s.equation.left.span, f"{shape_text(shape)}, as its start is"),
        help="a step leads from a state to one of the same shape",
    )


def _whole(e: ast.Name, s: Step, ctx: Context) -> None:
    ctx.report.add(
        "EB0238",
        f"{ctx.text(s.equation.left.span)} = … reads {e.id} as a whole, and {e.id} is made step by step",
        (e.span, "not there yet"),
        help=f"a step reads steps before it: {e.id}[{s.index.id}]",
    )


def _ahead(e: ast.Expr, s: Step, ctx: Context) -> None:
    ctx.report.add(
        "EB0238",
        f"{ctx.text(s.equation.left.span)} = … reads {ctx.text(e.span)}, which is not there yet",
        (e.span, "not before the step that is made"),
        (s.equation.left.span, "made here"),
        help="a step reads steps before it; an equation that both sides must fulfil is a term: + κ ||s[t+1] - …||^2",
    )


def _substituted(
    steps: list[Step],
    found: list[Tensor],
    newest: dict[str, Symbol],
    places: dict[str, int],
    ctx: Context,
) -> list[Tensor] | None:
    """``x[t+1] = x[t] + h v[t+1]`` where ``v[t+1]`` has an equation of its own: that is put in its place."""
    for _ in steps:
        for k, symbol in newest.items():
            by = found[places[k]]
            if symbol in by.symbols:
                continue

            def entry(index: tuple[Axis | int, ...], by: Tensor = by) -> Node:
                return rename(by.body, dict(zip(by.axes, index, strict=True)))

            found = [Tensor(replace_symbol(t.body, symbol, entry), t.axes) for t in found]
    if any(t.symbols & set(newest.values()) for t in found):
        ctx.report.add(
            "EB0238",
            f"{listed(s.name.id for s in steps)} read each other's new state, and none comes first",
            *((s.equation.left.span, "here") for s in steps),
            help="let one of them read the step before",
        )
        return None
    return found


# --------------------------------------------------------------------------- the function


def recurrence(
    names: tuple[str, ...],
    windows: tuple[tuple[Symbol, ...], ...],
    bodies: list[Tensor],
    time: Axis,
    texts: tuple[str, ...],
) -> tuple[Recurrence, tuple[Tensor, ...]]:
    """The recurrence, and what it is given: the largest parts of a step that hold no state, for all steps at once."""
    states = frozenset(s for w in windows for s in w)
    given: dict[Node, tuple[Symbol, Tensor, bool]] = {}
    taken: set[str] = set()

    def part(n: Node) -> Node:
        inline = all(s.role == "const" and s.value is not None and not s.shape for s in n.symbols)
        if inline and time not in n.free:
            return n
        axes = _in_order(n, time)
        if n not in given:
            timed = time in n.free
            stem = n.symbol.name if isinstance(n, Get) else "drive" if timed else "given"
            name, count = stem, 2
            while name in taken:
                name, count = f"{stem}{count}", count + 1
            taken.add(name)
            role = "observed" if any(s.per_sample for s in n.symbols) else "param"
            symbol = Symbol(f"{name}~", role, tuple(a.dim for a in axes), REAL)
            given[n] = symbol, Tensor(n, (*((time,) if timed else ()), *axes)), timed
        return Get(given[n][0], axes)

    def go(n: Node) -> Node:
        if not n.symbols & states:
            return part(n)
        if isinstance(n, Get):
            return n
        if isinstance(n, Add | Mul):
            whole = n.children
            free = [c for c in whole if not c.symbols & states]
            held = [c for c in whole if c.symbols & states]
            together = build.add if isinstance(n, Add) else build.mul
            return together(*([part(together(*free))] if free else []), *(go(c) for c in held))
        return rebuild(n, tuple(_bound(go, c) for c in n.children))

    made = tuple(Tensor(go(b.body), b.axes) for b in bodies)
    symbols = tuple(s for s, _, _ in given.values())
    timed = tuple(t for _, _, t in given.values())
    name = f"rollout_{'_'.join(names)}"
    function = Recurrence(name, names, windows, symbols, timed, made, time.dim, texts)
    return function, tuple(t for _, t, _ in given.values())


def _in_order(n: Node, time: Axis) -> tuple[Axis, ...]:
    """The axes of a part of a step, those of a variable as it has them."""
    if isinstance(n, Get):
        return tuple(dict.fromkeys(i for i in n.index if isinstance(i, Axis) and i != time))
    return tuple(sorted(n.free - {time}, key=lambda a: a.name))


def _bound(go: object, n: Node) -> Node:
    return Tensor(go(n.body), n.axes) if isinstance(n, Tensor) else go(n)  # type: ignore[operator]
