"""``Σ_k``, ``max_k`` and ``min_k`` inside a formula, and what the other big operators say where they cannot stand."""

from __future__ import annotations

from ebdsl.check import ranges
from ebdsl.check.dispatch import lower
from ebdsl.check.identifiers import undeclared
from ebdsl.check.scope import Env, Value
from ebdsl.check.words import key
from ebdsl.model import build
from ebdsl.model.ir import Apply, Axis, Lit, Node, Size, Symbol, Tensor
from ebdsl.syntax import ast

LATER = {
    "prod": "products over an index",
    "argmax": "argmax as a value",
}


@lower.register
def _(e: ast.BigOp, env: Env) -> Value | None:
    """A sum, a mean or an extreme over indices, or an argmin; the other operators are reported."""
    ctx = env.ctx
    latents = [n for n in e.names if key(n.id) in ctx.symbols and ctx.symbols[key(n.id)].role == "latent"]
    if e.kind in LATER:
        ctx.report.add("EB0230", f"{LATER[e.kind]} have their place in the grammar and come later", (e.span, "here"))
        return None
    if e.kind == "argmin":
        from ebdsl.check.argmin import lower_argmin

        return lower_argmin(e, env)
    if e.kind in ("sum", "mean") and not latents:
        inner = bind_all(e, env)
        value = None if inner is None else lower(e.body, inner)
        if value is None or inner is None:
            return None
        axes = bound_axes(e, inner)
        body = build.sum_over(value.body, axes)
        if e.kind == "mean":
            body = build.div(body, build.mul(*(extent(a) for a in axes)))
        return Value(body, value.axes, e.span, value.row, value.origins)
    if is_extreme(e, env):
        return _extreme(e, env)
    if not (noise_of(e, env) if e.kind == "expect" else valid_names(e, env)):
        return None
    report_inside(e, env)
    return None


def is_extreme(e: ast.BigOp, env: Env) -> bool:
    """Whether it is ``max_k`` or ``min_k`` over indices; the least of what holds no latent is a choice to declare."""
    ctx = env.ctx
    if e.kind not in ("max", "min") or not e.names:
        return False
    for n in e.names:
        k = key(n.id)
        if k in ctx.symbols or k in ctx.states or k in env.values:
            return False
        if k not in ctx.indices and not any(True for _ in ranges.uses(e.body, n.id, env.muted())):
            return False
    if e.kind == "max":
        return True
    inner = bind_all(e, env.muted())
    value = None if inner is None else lower(e.body, inner)
    return value is not None and any(s.role == "latent" for s in value.body.symbols)


def _extreme(e: ast.BigOp, env: Env) -> Value | None:
    """The greatest or the least over all values of the indices."""
    inner = bind_all(e, env)
    value = None if inner is None else lower(e.body, inner)
    if value is None or inner is None:
        return None
    axes = bound_axes(e, inner)
    open_ended = isinstance(e.body, ast.Sum) and e.body.span.end == e.span.end
    if e.kind == "min" and open_ended and isinstance(e.body, ast.Sum):
        bare = next((t for _, t in e.body.terms if not _holds(t, axes, inner)), None)
        if bare is not None:
            names = ", ".join(n.id for n in e.names)
            env.report.add(
                "EB0306",
                f"where does the minimum over {names} end? This term does not depend on {names}",
                (bare.span, "inside or outside"),
                (e.span, "the minimum"),
                help=f"bracket what belongs under it: min_{names} (…)",
            )
            return None
    body = value.body if e.kind == "max" else build.neg(value.body)
    for a in reversed(axes):
        body = Apply("maximum", (Tensor(body, (a,)),), ())
    return Value(body if e.kind == "max" else build.neg(body), value.axes, e.span, value.row, value.origins)


def _holds(e: ast.Expr, axes: tuple[Axis, ...], env: Env) -> bool:
    value = lower(e, env.muted())
    return value is None or bool(value.body.free & set(axes))


def noise_of(e: ast.BigOp, env: Env) -> tuple[Symbol, ...] | None:
    """The noise that ``E_u[…]`` averages over; ``E[…]`` takes all that its body holds. None after an error."""
    ctx = env.ctx
    found: list[Symbol] = []
    if not e.names:
        value = lower(e.body, env.muted())
        within = value.body.symbols if value is not None else frozenset(ctx.symbols.values())
        found = [s for s in ctx.symbols.values() if s.role == "noise" and s in within]
        if not found:
            ctx.report.add(
                "EB0313",
                "an expectation, and nothing random under it",
                (e.span, "over what?"),
                help="declare what is random: noise u ~ normal(0, 1) : R[N]",
            )
            return None
    good = True
    for n in e.names:
        s = ctx.symbols.get(key(n.id))
        if s is None:
            undeclared(n.id, n.span, env)
            good = False
        elif s.role != "noise":
            ctx.report.add(
                "EB0313",
                f"E_{n.id} is over {n.id}, which is no noise",
                (n.span, "not noise"),
                *(((s.span, "declared here"),) if s.span else ()),
                help=f"an expectation over a latent variable is a softmin: softmin_{n.id}[β] E"
                if s.role == "latent"
                else f"what is random is declared so: noise {n.id} ~ normal(0, 1) : R[N]",
            )
            good = False
        else:
            found.append(s)
    ctx.used.update(key(s.name) for s in found)
    return tuple(found) if good and not any(key(s.name) in ctx.broken for s in found) else None


def extent(axis: Axis) -> Node:
    return Lit(float(axis.dim)) if isinstance(axis.dim, int) else Size(axis.dim)


def bind_all(e: ast.BigOp, env: Env) -> Env | None:
    """The scope of a sum's body; None after an error."""
    inner: Env | None = env
    limits = (*e.ranges, *(None for _ in e.names))
    for n, limit in zip(e.names, limits, strict=False):
        inner = ranges.bind(n, limit, e.body, inner) if inner is not None else None
    return inner


def bound_axes(e: ast.BigOp, inner: Env) -> tuple[Axis, ...]:
    """The axes that a sum runs over."""
    found = (inner.indices[key(n.id)].at for n in e.names)
    return tuple(a for a in found if isinstance(a, Axis))


def valid_names(e: ast.BigOp, env: Env) -> bool:
    """Whether everything under ``min``, ``softmin`` or ``∫`` is a latent variable; reported where it is not."""
    ctx = env.ctx
    word = {"sum": "Σ", "integral": "∫"}.get(e.kind, e.kind)
    if e.kind in ("max", "argmax"):
        ctx.report.add(
            "EB0230",
            f"{e.kind} has its place in the grammar and comes later",
            (e.span, "here"),
            help="a maximum over z of E is a minimum of -E, with a minus before it",
        )
        return False
    good = True
    for n in e.names:
        k = key(n.id)
        s = ctx.symbols.get(k)
        if s is not None and s.role == "latent":
            ctx.used.add(k)
            good = good and k not in ctx.broken
            continue
        if k in ctx.states and e.kind in ("min", "softmin"):
            continue
        good = False
        if s is None and k not in ctx.indices and k not in env.values:
            index = len(n.id) == 1 and any(True for _ in ranges.uses(e.body, n.id, env.muted()))
            if not index:
                undeclared(n.id, n.span, env)
                continue
            what = "an index"
            hint = f"for the best of them, declare a choice: latent z : onehot[{n.id.upper()}], with W z for W_{n.id}"
        elif s is None:
            what, hint = "not a variable", "minima are over latent variables"
        else:
            what = {
                "observed": "observed: it is given",
                "param": "a parameter: training minimises over it by itself",
                "const": "a constant",
                "noise": "a noise variable",
            }[s.role]
            hint = (
                f"if the energy may choose it, declare it so: latent {n.id} : …"
                if s.role == "observed"
                else f"leave {word}_{n.id} out"
            )
        ctx.report.add(
            "EB0305",
            f"{word}_{n.id} is over {n.id}, which is {what}",
            (n.span, "not a latent variable"),
            *(((s.span, "declared here"),) if s is not None and s.span else ()),
            help=hint,
        )
    return good


def report_inside(e: ast.BigOp, env: Env) -> None:
    """A minimum or an integral over latents in a place that keeps it from moving out."""
    names = ", ".join(n.id for n in e.names)
    if e.kind == "expect":
        env.report.add(
            "EB0306",
            "an expectation stands inside another function, and cannot be moved out of it",
            (e.span, "inside a function"),
            help="terms are averaged as a whole: E_u[||y - Dec(z + u)||^2] + …",
        )
        return
    if e.kind in ("sum", "integral", "mean"):
        sign = "Σ" if e.kind == "sum" else "∫"
        env.report.add(
            "EB0306",
            f"{sign} over the latent variable {names} stands only in a log-sum-exp",
            (e.span, "over a latent variable"),
            help=f"the free energy is -1/β log {sign}_{names} exp(-β E), or softmin_{names}[β] E",
        )
        return
    env.report.add(
        "EB0306",
        f"{e.kind}_{names} stands inside another function, and cannot be moved out of it",
        (e.span, "inside a function"),
        help=f"a free energy is {e.kind}_{names} of an energy; terms without {names} may be added to it",
    )
