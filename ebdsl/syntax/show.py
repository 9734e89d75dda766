"""The one-line text of an expression, as a person would have typed it; it reads back to the same tree."""

from __future__ import annotations

from ebdsl.syntax import ast
from ebdsl.syntax.spellings import ENGLISH

SUM, SIGN, PRODUCT, FACTOR, POSTFIX, ATOM = range(6)
"""How tightly a text holds together: what is looser than its place is put in parentheses."""

_OPERATORS = {"": " ", "*": " * ", "⊙": " ⊙ ", "·": " · ", "/": "/"}
_SIGNS = {"sum": "Σ", "prod": "∏", "integral": "∫", "expect": "E"}


def show(expr: ast.Expr) -> str:
    """``y - W z``, ``λ|z|``, ``Σ_k |z[k]|``."""
    return _show(expr)[0]


def _at(expr: ast.Expr, least: int) -> str:
    text, level = _show(expr)
    return text if level >= least else f"({text})"


def _show(expr: ast.Expr) -> tuple[str, int]:
    match expr:
        case ast.Number(text=text):
            return text, ATOM
        case ast.Text(value=value):
            return f'"{value}"', ATOM
        case ast.Name(id=name):
            return ("∞" if name == "inf" else name), ATOM
        case ast.Slice():
            return ":", ATOM
        case ast.Call(func=func, args=args, keywords=keywords):
            inside = [show(arg) for arg in args] + [f"{key} = {show(value)}" for key, value in keywords]
            return f"{func}({', '.join(inside)})", ATOM
        case ast.Index(base=base, items=items):
            return f"{_at(base, POSTFIX)}[{', '.join(map(show, items))}]", POSTFIX
        case ast.Transpose(base=base):
            return f"{_at(base, POSTFIX)}'", POSTFIX
        case ast.Power(base=base, exponent=exponent):
            least = ATOM if isinstance(base, ast.Power) else POSTFIX
            return f"{_at(base, least)}^{_exponent(exponent)}", POSTFIX
        case ast.Bars(kind=kind, body=body, order=order):
            return _bars(kind, show(body), order), ATOM
        case ast.Negate(body=body):
            return f"-{_at(body, SIGN)}", SIGN
        case ast.Sum(terms=terms):
            return _sum(terms), SUM
        case ast.Product(factors=factors):
            return _product(factors), PRODUCT
        case ast.Derivative(of=of, by=by):
            return f"∂{_at(of, POSTFIX)}/∂{_at(by, POSTFIX)}", FACTOR
        case ast.Relation(left=left, op=op, right=right):
            return f"{show(left)} {op} {show(right)}", SUM
        case ast.BigOp():
            return _big(expr)
    raise TypeError(type(expr))


def _exponent(expr: ast.Expr) -> str:
    if isinstance(expr, ast.Number | ast.Call) or (isinstance(expr, ast.Name) and expr.id not in ("T", "inf")):
        return show(expr)
    if isinstance(expr, ast.Negate) and isinstance(expr.body, ast.Number):
        return show(expr)
    return f"({show(expr)})"


def _bars(kind: str, inside: str, order: str | None) -> str:
    bar = "|" if kind == "abs" else "||"
    room = " " if inside.startswith("|") or inside.endswith("|") else ""
    after = "" if order is None else f"_{order}" if order.isalnum() or order == "*" else f"_{{{order}}}"
    return f"{bar}{room}{inside}{room}{bar}{after}"


def _sum(terms: tuple[tuple[int, ast.Expr], ...]) -> str:
    text = ""
    for at, (sign, term) in enumerate(terms):
        last = at == len(terms) - 1
        least = PRODUCT if last or not _swallows(term) else ATOM
        body = _at(term, least)
        if at == 0:
            text = body if sign > 0 else "-" + body
        else:
            text += (" + " if sign > 0 else " - ") + body
    return text


def _product(factors: tuple[tuple[str, ast.Expr], ...]) -> str:
    text = ""
    for at, (operator, factor) in enumerate(factors):
        open_ended = isinstance(factor, ast.BigOp) and factor.kind not in ("expect",)
        least = ATOM if open_ended and at < len(factors) - 1 else FACTOR
        if isinstance(factor, ast.BigOp) and at == len(factors) - 1:
            least = PRODUCT
        body = _at(factor, least)
        if body[0] in "0123456789." and at and operator == "":
            body = f"({body})"
        between = _OPERATORS[operator] if at else ""
        if operator == "" and at == 1 and body[0] == "|" and _tight(factors[0][1]):
            between = ""
        if operator == "" and at and body[0] == "(" and isinstance(factors[at - 1][1], ast.Name):
            between = " "
        text += between + body
    return text


def _tight(expr: ast.Expr) -> bool:
    """``λ|z|`` and ``2|z|`` are set without a space."""
    return isinstance(expr, ast.Number) or (isinstance(expr, ast.Name) and expr.id in ENGLISH)


def _swallows(expr: ast.Expr) -> bool:
    """Whether a term would take the following terms into its own body."""
    while True:
        if isinstance(expr, ast.BigOp):
            if expr.kind in ("min", "argmin", "argmax", "softmin"):
                return True
            if expr.kind == "expect":
                return False
            expr = expr.body
        elif isinstance(expr, ast.Product):
            expr = expr.factors[-1][1]
        elif isinstance(expr, ast.Negate):
            expr = expr.body
        else:
            return False


def _big(expr: ast.BigOp) -> tuple[str, int]:
    head = _SIGNS.get(expr.kind, expr.kind) + _binders(expr)
    if expr.kind == "expect":
        return f"{head}[{show(expr.body)}]", ATOM
    if expr.beta is not None:
        head += f"[{show(expr.beta)}]"
    least = SUM if expr.kind in ("min", "argmin", "argmax", "softmin") else SIGN
    return f"{head} {_at(expr.body, least)}", PRODUCT


def _binders(expr: ast.BigOp) -> str:
    ranges = expr.ranges or (None,) * len(expr.names)
    if len(expr.names) == 1 and ranges[0] is None:
        return f"_{expr.names[0].id}"
    inside = [
        name.id if limits is None else f"{name.id}={show(limits[0])}..{show(limits[1])}"
        for name, limits in zip(expr.names, ranges, strict=True)
    ]
    return "_{" + ", ".join(inside) + "}" if inside else ""
