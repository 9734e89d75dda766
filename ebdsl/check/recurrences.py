"""``s[t+1] = A s[t] + B a[t]`` with ``s[0] = x``: sequences that follow step by step from how they start."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ebdsl.check import shifts
from ebdsl.check.dims import same, shape_text, type_text
from ebdsl.check.lower import lower
from ebdsl.check.scope import Context, Env, Value
from ebdsl.check.steps import Step, count_of, lowered, recurrence
from ebdsl.check.walk import everything
from ebdsl.check.words import count, key, listed
from ebdsl.diagnostics import Span
from ebdsl.model.build import fresh
from ebdsl.model.domains import REAL
from ebdsl.model.ir import Apply, Axis, Dim, Symbol, Tensor, shorter
from ebdsl.syntax import ast


@dataclass
class Sequence:
    """What the spec says of one sequence: how it starts, and the one equation that leads on."""

    name: ast.Name
    starts: dict[int, ast.Equation] = field(default_factory=dict)
    step: Step | None = None
    declared: Symbol | None = None
    broken: bool = False


def recurrences(spec: ast.Spec, ctx: Context) -> None:
    """Every sequence of the spec as a value, in ``ctx.states``; one with an error is broken."""
    found: dict[str, Sequence] = {}
    for s in spec.statements:
        if isinstance(s, ast.Equation):
            _note(s, found, ctx)
    for k, q in found.items():
        _roles(k, q, ctx)
        if not q.broken:
            ctx.symbols.pop(k, None)
    for group in _groups(found):
        members = {k: found[k] for k in group}
        if any(q.broken for q in members.values()) or not _follow(members, ctx):
            ctx.broken.update(members)


# --------------------------------------------------------------------------- what equations say


def _note(s: ast.Equation, found: dict[str, Sequence], ctx: Context) -> None:
    left = s.left
    assert isinstance(left, ast.Index)
    if not isinstance(left.base, ast.Name) or len([i for i in left.items if not isinstance(i, ast.Slice)]) != 1:
        _no_equation(left, "one index of time stands on the left", ctx)
        if isinstance(left.base, ast.Name):
            ctx.broken.add(key(left.base.id))
        return
    k = key(left.base.id)
    q = found.setdefault(k, Sequence(left.base))
    item = left.items[0]
    known = {*ctx.dims, *(n for n, v in ctx.symbols.items() if v.role == "const")}
    names = {key(e.id) for e in everything(item) if isinstance(e, ast.Name)} - known
    if isinstance(item, ast.Number | ast.Negate) or not names:
        at = shifts.fixed(item, 1_000_000, ctx)
        if at is None or at != at // 1 or at < 0:
            _no_equation(left, "a start is at an entry 0, 1, …", ctx)
            q.broken = True
        elif int(at) in q.starts:
            _twice(left, q.starts[int(at)].left, ctx)
            q.broken = True
        else:
            q.starts[int(at)] = s
        return
    picked = shifts.shifted(item, names, ctx)
    if picked is None or picked[1] != int(picked[1]):
        _no_equation(left, "the left side is s[t], s[t+1], …", ctx)
        q.broken = True
    elif q.step is not None:
        _twice(left, q.step.equation.left, ctx)
        q.broken = True
    else:
        index, offset = picked
        if key(index.id) in ctx.indices:
            ctx.used.add(key(index.id))
        q.step = Step(k, left.base, index, int(offset), s)


def _no_equation(left: ast.Expr, what: str, ctx: Context) -> None:
    ctx.report.add(
        "EB0238",
        f"{ctx.text(left.span)} = … is no recurrence: {what}",
        (left.span, "an equation between entries"),
        help=("how a sequence goes on: s[t+1] = A s[t] + B a[t], and how it starts: s[0] = x",
              "a definition has a name and arguments on its left: h(y) = …"),
    )  # fmt: skip


def _twice(left: ast.Expr, before: ast.Expr, ctx: Context) -> None:
    ctx.report.add(
        "EB0236",
        f"{ctx.text(left.span)} is said twice",
        (left.span, "the second equation"),
        (before.span, "the first"),
        help="leave one of the two; a residual that is only small stands in the energy: + ||s[t+1] - A s[t]||^2",
    )


def _roles(k: str, q: Sequence, ctx: Context) -> None:
    """A sequence is not declared, or as a latent variable, whose shape it then has."""
    symbol = q.declared = ctx.symbols.get(k)
    name = q.name.id
    q.broken = q.broken or k in ctx.broken
    what = None
    if symbol is not None and symbol.role != "latent":
        what = {"observed": "observed", "param": "a parameter", "const": "a constant"}.get(symbol.role, symbol.role)
    elif k in ctx.definitions or k in ctx.modules or k in ctx.dims or k in ctx.indices:
        what = "declared as something else"
    at = f"{name}[{q.step.index.id}]" if q.step else f"{name}[0]"
    if what is not None:
        place = symbol.span if symbol is not None else None
        ctx.report.add(
            "EB0236",
            f"{name} is {what}, and computed by an equation",
            (q.name.span, "computed here"),
            *(((place, f"{what} here"),) if place is not None else ()),
            help=(f"to compare the two, put their distance into the energy: Σ_t ||{at} - …||^2",
                  f"if only its start is given: observed {name}[0] : R[…]"),
        )  # fmt: skip
        q.broken = True
    elif symbol is not None and symbol.domain.kind != "real":
        ctx.report.add(
            "EB0238",
            f"{name} follows from its recurrence, and cannot be kept {symbol.domain} besides",
            (symbol.span or q.name.span, "a constraint"),
            (q.name.span, "computed here"),
            help=f"a penalty on {at} can stand in the energy; constraints go on what is chosen, such as the actions",
        )
        q.broken = True
    elif symbol is not None and not symbol.shape:
        ctx.report.add(
            "EB0238", f"{name} is a number, and has no steps", (symbol.span or q.name.span, "no axis of time"),
            help=f"give it one: latent {name} : R[T], or leave the declaration out",
        )  # fmt: skip
        q.broken = True


# --------------------------------------------------------------------------- sequences that need each other


def _groups(found: dict[str, Sequence]) -> list[list[str]]:
    """Sequences that follow from each other together, those that others need first."""
    import networkx as nx

    graph = nx.DiGraph()
    for k, q in found.items():
        graph.add_node(k)
        bodies = [q.step.equation.right] if q.step else []
        bodies += [s.right for s in q.starts.values()]
        for body in bodies:
            for e in everything(body):
                if isinstance(e, ast.Name):
                    base = key(e.id) if key(e.id) in found else key(e.id.rpartition("_")[0])
                    if base in found:
                        graph.add_edge(base, k)
    order = {k: i for i, k in enumerate(found)}
    merged = nx.condensation(graph)
    ready = nx.lexicographical_topological_sort(merged, key=lambda n: min(order[k] for k in merged.nodes[n]["members"]))
    return [sorted(merged.nodes[n]["members"], key=order.__getitem__) for n in ready]


def _follow(group: dict[str, Sequence], ctx: Context) -> bool:
    """One group's values; False after an error."""
    steps: list[Step] = []
    for q in group.values():
        if q.step is None:
            first = q.starts[min(q.starts)]
            ctx.report.add(
                "EB0237",
                f"{ctx.text(first.left.span)} is said, and not how {q.name.id} goes on",
                (first.left.span, "a start without a recurrence"),
                help=f"write it: {q.name.id}[t+1] = f({q.name.id}[t])",
            )
            return False
        steps.append(q.step)
        q.step.states = tuple(group)
    offsets = {s.offset for s in steps}
    if len(offsets) > 1:
        ctx.report.add(
            "EB0238",
            f"{listed(s.name.id for s in steps)} follow from each other, and their equations are of different steps",
            *((s.equation.left.span, "here") for s in steps),
            help="write all of them for the same step: x[t+1] = …, v[t+1] = …",
        )
        return False
    order = max([1, *(lag for s in steps for lag in s.lags(ctx))])
    starts = [_starts(q, order, ctx) for q in group.values()]
    shapes = _shapes(group, [s for s in starts if s is not None], ctx) if None not in starts else None
    if shapes is None:
        return False
    held = next((q.declared for q in group.values() if q.declared is not None), None)
    counted = count_of(steps, order, None if held is None else held.shape[0], ctx)
    if counted is None:
        return False
    number, from_ = counted
    time = fresh(number, steps[0].index.id)
    windows = tuple(
        tuple(Symbol(f"{s.name.id}~{j}", "latent", shape, REAL) for j in range(order))
        for s, shape in zip(steps, shapes, strict=True)
    )
    bodies = lowered(steps, windows, shapes, time, order, from_, ctx)
    if bodies is None:
        return False
    tensors = [t for values in starts if values is not None for t in values]
    fitted = [_fitted(t, shapes[i // order]) for i, t in enumerate(tensors)]
    texts = tuple(f"{ctx.text(s.equation.left.span)} = {ctx.text(s.equation.right.span)}" for s in steps)
    function, given = recurrence(tuple(s.name.id for s in steps), windows, bodies, time, texts)
    length: Dim = shorter(number, -order) if held is None else held.shape[0]
    for i, (k, shape) in enumerate(zip(group, shapes, strict=True)):
        axes = (fresh(length), *(fresh(d) for d in shape))
        body = Apply(replace(function, which=i), (*fitted, *given), axes)
        ctx.states[k] = Value(body, axes, group[k].name.span)
    return True


def _starts(q: Sequence, order: int, ctx: Context) -> list[Value] | None:
    """The values of the first entries; None after an error."""
    assert q.step is not None
    name, left = q.name.id, q.step.equation.left
    past = [s for at, s in q.starts.items() if at >= order]
    if past:
        _twice(past[0].left, left, ctx)
        return None
    missing = [f"{name}[{at}]" for at in range(order) if at not in q.starts]
    if missing:
        which = "each step reads one before it" if order == 1 else f"each step reads {count(order, 'step')} before it"
        ctx.report.add(
            "EB0237",
            f"nothing says {listed(missing)}, where {name} starts",
            (left.span, which),
            *((s.left.span, "said here") for s in q.starts.values()),
            help=(f"say it: {missing[0]} = x, of something observed, learned or chosen",
                  f"or declare it: observed {missing[0]} : R[…]; latent, where it is chosen too"),
        )  # fmt: skip
        return None
    values = [lower(q.starts[at].right, Env(ctx)) for at in range(order)]
    return None if None in values else [v for v in values if v is not None]


def _shapes(group: dict[str, Sequence], starts: list[list[Value]], ctx: Context) -> list[tuple[Dim, ...]] | None:
    """The shape of one state of each sequence: as declared, else that of its start."""
    found: list[tuple[Dim, ...]] = []
    for q, values in zip(group.values(), starts, strict=True):
        shape = q.declared.shape[1:] if q.declared is not None else max((v.dims for v in values), key=len)
        for v, at in zip(values, sorted(q.starts), strict=True):
            fits = v.scalar or (len(v.dims) == len(shape) and all(map(lambda a, b: same(ctx, a, b), v.dims, shape)))
            if fits and not v.row:
                continue
            place = q.declared.span if q.declared is not None and q.declared.span else q.name.span
            _differ(f"{q.name.id}[{at}]", shape, v, place, ctx)
            return None
        found.append(shape)
    return found


def _differ(name: str, shape: tuple[Dim, ...], value: Value, place: Span, ctx: Context) -> None:
    ctx.report.add(
        "EB0203",
        f"dimensions differ: {name} is {shape_text(shape)}, {ctx.text(value.span)} is {type_text(value)}",
        (value.span, type_text(value)),
        (place, f"{name} is {shape_text(shape)}"),
    )


def _fitted(value: Value, shape: tuple[Dim, ...]) -> Tensor:
    """A start as a tensor of its shape; a number stands for all entries."""
    if value.scalar and shape:
        return Tensor(value.body, tuple(fresh(d) for d in shape))
    axes: tuple[Axis, ...] = tuple(fresh(d) for d in shape)
    return value.over(axes).tensor
