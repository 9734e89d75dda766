"""The ``train`` block against the table of settings."""

from __future__ import annotations

from collections.abc import Mapping

from ebdsl import strategies
from ebdsl.check import numbers
from ebdsl.check.scope import Context
from ebdsl.check.settings import LATER, SETTINGS, Key
from ebdsl.check.sizes import known_numbers
from ebdsl.check.words import key, listed, nearest
from ebdsl.diagnostics import Span
from ebdsl.model.model import Setting, Word
from ebdsl.syntax import ast
from ebdsl.syntax.spellings import ascii_name


def settings(spec: ast.Spec, overrides: Mapping[str, float | int | str], ctx: Context) -> tuple[Setting, ...]:
    """All settings of the spec, with those of ``--set`` in their place."""
    found: dict[str, Setting] = {}
    first: dict[str, Span] = {}
    for block in (s for s in spec.statements if isinstance(s, ast.Train)):
        for s in block.settings:
            name = _plain(s.key.id)
            if name in first:
                ctx.report.add(
                    "EB0202",
                    f"{s.key.id} is set twice",
                    (s.key.span, "set again here"),
                    (first[name], "first set here"),
                    help="remove one of the two lines",
                )
                continue
            first[name] = s.key.span
            done = _setting(s, name, ctx)
            if done is not None:
                found[name] = done
    _one_rate(found, first, ctx)
    for name, value in overrides.items():
        row = SETTINGS.get(_plain(name))
        if row is None:
            continue
        problem = _range(row, value) if row.kind in ("count", "number") else None
        if problem:
            ctx.report.add("EB0228", f"--set {name}: {problem}", help=row.doc)
            continue
        stored = int(value) if row.kind == "count" and not isinstance(value, str) else value
        found[row.name] = Setting(row.name, stored, found[row.name].span if row.name in found else Span(0, 0))
    return tuple(found.values())


def _one_rate(found: Mapping[str, Setting], first: Mapping[str, Span], ctx: Context) -> None:
    """The step size stands in one place."""
    word = found["optimizer"].value if "optimizer" in found else None
    if "lr" in found and isinstance(word, Word) and "lr" in dict(word.keywords):
        ctx.report.add(
            "EB0202",
            "the step size is set twice",
            (first["lr"], "set here"),
            (first["optimizer"], f"and set in {word.head}(lr = …)"),
            help="remove one of the two",
        )


def _plain(name: str) -> str:
    return ascii_name(name).replace("-", "_")


def _setting(s: ast.Setting, name: str, ctx: Context) -> Setting | None:
    row = SETTINGS.get(name)
    if row is None:
        _unknown(s, ctx)
        return None
    for c in s.children:
        if not (row.name == "strategy" and _plain(c.key.id) == "negatives"):
            _child(c, ctx)
    if s.value is None:
        ctx.report.add(
            "EB0227",
            f"{name} has no value",
            (s.key.span, "what is it?"),
            help=f"{row.doc}; for example: {name} {_example(row)}",
        )
        return None
    value = _value(s.value, row, ctx)
    return None if value is None else Setting(row.name, value, s.span)


def _child(s: ast.Setting, ctx: Context) -> None:
    ctx.report.add(
        "EB0226",
        f"nothing can be said of this setting with {s.key.id}",
        (s.key.span, "a line under a setting"),
        help="put it in parentheses: data patches(natural, size = 12)",
    )


def _unknown(s: ast.Setting, ctx: Context) -> None:
    name = _plain(s.key.id)
    if name in LATER:
        ctx.report.add("EB0230", f"{LATER[name]} has its place and comes later", (s.key.span, "not there yet"))
        return
    known = {
        "unrolled": "differentiate",
        "learning_rate": "lr",
        "batch_size": "batch",
        "bs": "batch",
        "iterations": "epochs",
        "max_steps": "steps",
    }
    near = known.get(name.lower()) or nearest(name, SETTINGS)
    ctx.report.add(
        "EB0226",
        f"there is no setting {s.key.id}",
        (s.key.span, "not a setting"),
        help=f"did you mean {near} ?" if near else f"settings are {listed(sorted(SETTINGS))}",
        fix=(s.key.span, near) if near else None,
    )


# --------------------------------------------------------------------------- values


def _value(e: ast.Expr, row: Key, ctx: Context) -> object | None:
    if row.kind in ("count", "number"):
        known = known_numbers(ctx)
        ctx.used.update(key(n.id) for n in (e,) if isinstance(n, ast.Name))
        value = numbers.evaluate(e, known, ctx.report, "EB0227", row.name)
        if value is None:
            return None
        problem = _range(row, value)
        if problem:
            ctx.report.add("EB0227", problem, (e.span, f"{value:g}"), help=f"{row.name}: {row.doc}")
            return None
        return int(value) if row.kind == "count" else value
    if row.kind == "word":
        found = _word(e, row, ctx)
        wrong = strategies.problem(found) if row.name == "strategy" else None
        if wrong:
            span = dict(e.keywords)[wrong[0]].span if isinstance(e, ast.Call) else e.span
            ctx.report.add("EB0227", wrong[1], (span, f"{wrong[0]} of the strategy"))
            return None
        return found
    return _source(e, ctx)


def _range(row: Key, value: object) -> str | None:
    """What is wrong with a number, None where nothing is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"{row.name} is a number, and {value} is none"
    if row.kind == "count" and value != int(value):
        return f"{row.name} is a whole number, and {value:g} is none"
    if value < row.low or value > row.high or (row.above and value == row.low):
        least = f"above {row.low:g}" if row.above else f"at least {row.low:g}"
        most = f" and at most {row.high:g}" if row.high < float("inf") else ""
        return f"{row.name} is {least}{most}, and not {value:g}"
    return None


def _word(e: ast.Expr, row: Key, ctx: Context) -> object | None:
    head, span = (
        (e.id, e.span)
        if isinstance(e, ast.Name)
        else (e.func, e.func_span)
        if isinstance(e, ast.Call)
        else ("", e.span)
    )
    head = _plain(head)
    if head in LATER:
        ctx.report.add("EB0230", f"{LATER[head]} has its place and comes later", (span, "not there yet"))
        return None
    if head not in row.words:
        near = nearest(head, row.words) if head else None
        ctx.report.add(
            "EB0227",
            f"{row.name} is one of {listed(row.words, 'or')}, and {ctx.text(e.span)} is none of them",
            (span, "not one of them"),
            help=f"did you mean {near} ?" if near else row.doc,
            fix=(span, near) if near else None,
        )
        return None
    if isinstance(e, ast.Name):
        return head
    assert isinstance(e, ast.Call)
    word = _call(e, ctx)
    if word is None:
        return None
    allowed = row.words[head]
    for (name, _), (_, value) in zip(word.keywords, e.keywords, strict=True):
        if name not in allowed:
            ctx.report.add(
                "EB0227",
                f"{head} has no setting {name}",
                (value.span, f"{name} = …"),
                help=f"it can have {listed(allowed)}" if allowed else f"{head} stands alone",
            )
            return None
    if word.args:
        ctx.report.add(
            "EB0227",
            f"the settings of {head} have names",
            (e.args[0].span, "without a name"),
            help=f"for example {head}({allowed[0]} = 0.01)" if allowed else f"{head} stands alone",
        )
        return None
    return word if word.keywords else head


def _source(e: ast.Expr, ctx: Context) -> object | None:
    if isinstance(e, ast.Call):
        return _call(e, ctx)
    if isinstance(e, ast.Name):
        return ascii_name(e.id)
    if isinstance(e, ast.Text):
        return e.value
    ctx.report.add(
        "EB0227",
        "data is a name, a call or a file in quotes",
        (e.span, "none of these"),
        help='for example: data patches(natural, size = 12), data digits, data "faces.npy"',
    )
    return None


def _call(e: ast.Call, ctx: Context) -> Word | None:
    args = [_argument(a, ctx) for a in e.args]
    keywords = [(k, _argument(v, ctx)) for k, v in e.keywords]
    if any(a is None for a in args) or any(v is None for _, v in keywords):
        return None
    return Word(ascii_name(e.func), tuple(args), tuple(keywords))


def _argument(e: ast.Expr, ctx: Context) -> object | None:
    """A number, a word, a text, or a call of these."""
    known = known_numbers(ctx)
    match e:
        case ast.Text(_, text):
            return text
        case ast.Call() if key(e.func) not in known and e.func not in numbers.FUNCTIONS:
            return _call(e, ctx)
        case ast.Name(_, name) if known.get(key(name)) is None:
            return ascii_name(name)
        case ast.Name(_, name):
            ctx.used.add(key(name))
    value = numbers.evaluate(e, known, ctx.report, "EB0227", "this argument")
    return int(value) if value is not None and value == int(value) else value


def _example(row: Key) -> str:
    if row.kind == "word":
        return next(iter(row.words))
    return {"count": "20", "number": "0.1", "source": "digits"}[row.kind]
