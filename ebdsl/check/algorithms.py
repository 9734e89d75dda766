"""``infer z by fista(steps = 50)``: an algorithm by its name."""

from __future__ import annotations

from ebdsl.check.scope import Context
from ebdsl.check.words import key, listed
from ebdsl.model.algorithms import ALGORITHMS, Chosen
from ebdsl.syntax import ast

WORDS = {"on": ("code", "energy"), "weights": ("shared", "untied")}


def named(by: ast.Expr, ctx: Context) -> bool:
    """Whether ``by`` names an algorithm; what the spec itself calls so comes first."""
    name = by.id if isinstance(by, ast.Name) else by.func if isinstance(by, ast.Call) else ""
    own = key(name) in ctx.symbols or key(name) in ctx.modules or key(name) in ctx.definitions
    return name in ALGORITHMS and not own


def chosen(by: ast.Expr, ctx: Context) -> Chosen | None:
    """The algorithm with its options, or None after saying what is wrong with them."""
    row = ALGORITHMS[by.id if isinstance(by, ast.Name) else by.func]  # type: ignore[attr-defined]
    options: dict[str, object] = {"steps": row.steps}
    allowed = ("steps", "on", "weights") if row.learned else ("steps",)
    given = list(by.keywords) if isinstance(by, ast.Call) else []
    if isinstance(by, ast.Call) and by.args:
        given = [*(("steps", a) for a in by.args[:1]), *(("", a) for a in by.args[1:]), *given]
    for name, value in given:
        text = ctx.text(value.span)
        if name not in allowed:
            ctx.report.add(
                "EB0229", f"{row.name} has no option {name or text}", (value.span, "not an option"),
                help=f"its options are {listed(allowed)}",
            )  # fmt: skip
            return None
        if name == "steps":
            count = value.value if isinstance(value, ast.Number) else None
            least = 0 if row.learned else 1
            if count is None or not float(count).is_integer() or not least <= count <= 100_000:
                ctx.report.add(
                    "EB0229", f"steps of {row.name} is {text}, and not a whole number from {least} to 100000",
                    (value.span, "a number of steps"),
                )  # fmt: skip
                return None
            options["steps"] = int(count)
            continue
        if not isinstance(value, ast.Name) or value.id not in WORDS[name]:
            ctx.report.add(
                "EB0229", f"{name} is {text}", (value.span, "not one of its values"),
                help=f"{name} is {listed(WORDS[name], 'or')}",
            )  # fmt: skip
            return None
        options[name] = value.id
    return Chosen(row, **options)  # type: ignore[arg-type]
