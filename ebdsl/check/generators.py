"""``negatives G(u)`` under a strategy: where a generator puts negative samples."""

from __future__ import annotations

from ebdsl import strategies
from ebdsl.check.dims import same, shape_text, type_text
from ebdsl.check.lower import lower
from ebdsl.check.scope import Context, Env
from ebdsl.check.words import listed
from ebdsl.model.ir import Tensor
from ebdsl.model.model import Model
from ebdsl.syntax import ast
from ebdsl.syntax.spellings import ascii_name


def generated(spec: ast.Spec, model: Model, ctx: Context) -> Tensor | None:
    """What the spec says; None where it says nothing, or after an error."""
    under = [(k, c) for s in spec.statements if isinstance(s, ast.Train) for k in s.settings for c in k.children]
    parent, line = next(((k, c) for k, c in under if _is(c)), (None, None))
    strategy = model.setting("strategy")
    if line is None or parent is None or parent.value is None or strategy is None:
        return None
    head = strategy.word.head
    takers = [m.name for m in strategies.load_methods().values() if m.generator]
    if head not in takers:
        ctx.report.add(
            "EB0226",
            f"{head} makes its own choice of where to push up: nothing can be said of its negatives",
            (line.key.span, "not of this strategy"),
            help=f"negatives go with {listed(takers, 'or')}",
        )
        return None
    if "negatives" in dict(strategy.word.keywords):
        ctx.report.add(
            "EB0202", "negatives are said twice", (line.key.span, "said here"), (parent.value.span, "and said here"),
            help="remove one of the two",
        )  # fmt: skip
        return None
    if line.value is None:
        ctx.report.add(
            "EB0227", "negatives has no value", (line.key.span, "where are they?"), help="for example: negatives G(u)"
        )
        return None
    value = lower(line.value, Env(ctx))
    over = model.shaped
    if value is None or over is None:
        return None
    value = value.fresh()
    fits = value.rank == len(over.shape) and all(same(ctx, a, b) for a, b in zip(value.dims, over.shape, strict=True))
    held = value.body.symbols
    latents = [s.name for s in held if s.role == "latent"]
    problem, help = None, f"a negative sample of {over.name} has its shape: G(u) with module G : … -> R[…]"
    if not fits:
        problem = f"{ctx.text(line.value.span)} gives {type_text(value)}, and {over.name} is {shape_text(over.shape)}"
    elif latents:
        problem = f"negatives hold {listed(latents)}, which the energy chooses"
        help = "a generator is made of noise, of what is given, of parameters and of modules"
    elif not any(s.per_sample for s in held):
        problem = "negatives hold nothing that changes: they would be one and the same point"
        help = "let it depend on noise: noise u ~ normal(0, 1) : R[8]"
    if problem:
        ctx.report.add("EB0227", problem, (line.value.span, type_text(value)), help=help)
        return None
    return value.tensor


def _is(s: ast.Setting) -> bool:
    return ascii_name(s.key.id).replace("-", "_") == "negatives"
