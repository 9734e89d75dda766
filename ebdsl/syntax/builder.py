"""From what the grammar found to the tree: one short method for each rule."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from lark import Token, Transformer

from ebdsl.diagnostics import Span
from ebdsl.syntax import ast
from ebdsl.syntax.show import show
from ebdsl.syntax.spellings import COMPARE, SUBSCRIPTS, SUPERSCRIPTS, ascii_name, canonical
from ebdsl.syntax.tokens import end, span, start

_OPERATORS = {**dict.fromkeys("∗⋆⊛×", "*"), **dict.fromkeys((".*", "∘"), "⊙"), **dict.fromkeys(".⋅•", "·")}
_BIG = {**dict.fromkeys("Σ∑", "sum"), **dict.fromkeys("Π∏", "prod"), "∫": "integral", "int": "integral"}
_DIMS_IN_PARENTHESES = frozenset({"onehot", "simplex"})

Parts = list[Any]
"""Children of a rule: tokens (none is dropped, for the sake of spans), nodes, and lists of them."""


def _span(parts: Sequence[Any]) -> Span:
    """From the first to the last of some parts."""
    first, last = parts[0], parts[-1]
    while isinstance(first, list | tuple):
        first = first[0]
    while isinstance(last, list | tuple):
        last = last[-1]
    begin = start(first) if isinstance(first, Token) else first.span.start
    finish = end(last) if isinstance(last, Token) else last.span.end
    return Span(begin, finish)


def _nodes(parts: Parts) -> Parts:
    return [part for part in parts if not isinstance(part, Token)]


def _name(token: Token, text: str | None = None) -> ast.Name:
    return ast.Name(span(token), canonical(text if text is not None else str(token)))


def _function(token: Token) -> str:
    return "sqrt" if token == "√" else canonical(token)


def _names(parts: Parts) -> tuple[ast.Name, ...]:
    return tuple(_name(part) for part in parts if isinstance(part, Token) and part.type == "NAME")


def _word(token: Token) -> str:
    """Words that the language knows (settings, arguments, domains) are ASCII: ``β = 2`` is ``beta``."""
    return ascii_name(str(token))


def _subscript(token: Token) -> str:
    """``_k``, ``ₖ`` -> ``k``."""
    return canonical("".join(SUBSCRIPTS.get(c, c) for c in token.lstrip("_")))


class Builder(Transformer):  # type: ignore[type-arg]
    """Lark calls these while it parses; nothing here recurses, however deep the text nests."""

    # -------------------------------------------------------------- expressions

    def number(self, parts: Parts) -> ast.Expr:
        return ast.Number(span(parts[0]), float(parts[0]), str(parts[0]))

    def name(self, parts: Parts) -> ast.Expr:
        if parts[0] == "ℯ":  # the base of e^x, where no line declares an e
            return ast.Name(span(parts[0]), "ℯ")
        return _name(parts[0], "inf" if parts[0] == "∞" else None)

    def text(self, parts: Parts) -> ast.Expr:
        return ast.Text(span(parts[0]), parts[0][1:-1])

    def slice(self, parts: Parts) -> ast.Expr:
        return ast.Slice(span(parts[0]))

    def group(self, parts: Parts) -> ast.Expr:
        return replace(parts[1], span=_span(parts))

    def sum(self, parts: Parts) -> ast.Expr:
        terms: list[tuple[int, ast.Expr]] = []
        sign = 1
        for part in parts:
            if isinstance(part, Token):
                sign = -1 if part.type == "MINUS" else 1
            elif not terms and isinstance(part, ast.Negate):
                terms.append((-1, part.body))
            else:
                terms.append((sign, part))
        return ast.Sum(_span(parts), tuple(terms))

    def negate(self, parts: Parts) -> ast.Expr:
        return ast.Negate(_span(parts), parts[1])

    def plus(self, parts: Parts) -> ast.Expr:
        return parts[1]

    def operator(self, parts: Parts) -> str:
        return _OPERATORS.get(parts[0], str(parts[0]))

    def product(self, parts: Parts) -> ast.Expr:
        factors: list[tuple[str, ast.Expr]] = []
        operator = ""
        for part in parts:
            if isinstance(part, str):
                operator = part
            else:
                factors.append((operator, part))
                operator = ""
        return ast.Product(_span(parts), tuple(factors))

    def function(self, parts: Parts) -> ast.Expr:
        """``log x y`` is the logarithm of both, ``√2 x`` the root of 2 times x."""
        factors = parts[1:]
        if _function(parts[0]) == "sqrt" and len(factors) > 1:
            root = ast.Call(_span(parts[:2]), "sqrt", span(parts[0]), (factors[0],), ())
            return ast.Product(_span(parts), tuple(("", f) for f in (root, *factors[1:])))
        body = factors[0] if len(factors) == 1 else ast.Product(_span(factors), tuple(("", f) for f in factors))
        return ast.Call(_span(parts), _function(parts[0]), span(parts[0]), (body,))

    def call(self, parts: Parts) -> ast.Expr:
        args, keywords = parts[2] if len(parts) == 4 else ((), ())
        return ast.Call(_span(parts), _function(parts[0]), span(parts[0]), args, keywords)

    def arg(self, parts: Parts) -> Any:
        return parts[0] if len(parts) == 1 else (_word(parts[0]), parts[2])

    def args(self, parts: Parts) -> Any:
        args = tuple(part for part in parts if isinstance(part, ast.Expr))
        return args, tuple(part for part in parts if isinstance(part, tuple))

    def items(self, parts: Parts) -> Parts:
        return _nodes(parts)

    def index_of(self, parts: Parts) -> ast.Expr:
        return ast.Index(_span(parts), parts[0], tuple(parts[2]))

    def subscript(self, parts: Parts) -> ast.Expr:
        text = _subscript(parts[1])
        item = ast.Number(span(parts[1]), float(text), text) if text.isdigit() else _name(parts[1], text)
        return ast.Index(_span(parts), parts[0], (item,))

    def transpose(self, parts: Parts) -> ast.Expr:
        return ast.Transpose(_span(parts), parts[0])

    def power(self, parts: Parts) -> ast.Expr:
        base, exponent = parts[0], parts[2]
        if isinstance(base, ast.Name) and base.id == "ℯ":
            return ast.Call(_span(parts), "exp", base.span, (exponent,))
        return ast.Power(_span(parts), base, exponent)

    def superscript(self, parts: Parts) -> ast.Expr:
        text = "".join(SUPERSCRIPTS[c] for c in parts[1])
        digits = text.lstrip("+-")
        exponent: ast.Expr = ast.Number(span(parts[1]), float(digits), digits)
        if text[0] == "-":
            exponent = ast.Negate(span(parts[1]), exponent)
        return ast.Power(_span(parts), parts[0], exponent)

    def bars(self, parts: Parts) -> ast.Expr:
        order = None
        kind = "abs" if parts[0] in ("|", "∣") else "norm"
        if len(parts) == 4:
            order = "".join(SUBSCRIPTS.get(c, c) for c in parts[3].lstrip("_").strip("{}")).replace("∞", "inf")
            kind = "norm"
        return ast.Bars(_span(parts), kind, parts[1], order)

    def derivative(self, parts: Parts) -> ast.Expr:
        return ast.Derivative(_span(parts), parts[1], parts[4])

    # -------------------------------------------------------------- big operators

    def binder(self, parts: Parts) -> Any:
        return _name(parts[0]), (parts[2], parts[4]) if len(parts) > 1 else None

    def binders(self, parts: Parts) -> Any:
        """A list of names, each with its range or None."""
        if parts[0].type == "SUB":
            return [(_name(parts[0], _subscript(parts[0])), None)]
        if isinstance(parts[-1], ast.Expr):
            return [(_name(parts[1]), (parts[3], parts[-1]))]
        return [part for part in parts if isinstance(part, tuple)]

    def big(self, parts: Parts) -> ast.Expr:
        bound = parts[1] if isinstance(parts[1], list) else []
        beta = parts[3] if len(parts) == 6 else None
        return self._big(parts, _BIG.get(parts[0], str(parts[0])), bound, parts[-1], beta)

    def enclosed(self, parts: Parts) -> ast.Expr:
        """``E_u[f]``, and ``∫ f dz`` as ``∫ [f]`` with a bracket that says ``dz``."""
        bound = parts[1] if isinstance(parts[1], list) else []
        closer = parts[-1]
        known = {name.id for name, _ in bound}
        if closer != "]":
            by = [_name(closer, word[1:]) for word in closer.split(" ")]
            bound = bound + [(name, None) for name in by if name.id not in known]
        return self._big(parts, _BIG.get(parts[0], "expect"), bound, parts[-2])

    def _big(self, parts: Parts, kind: str, bound: Parts, body: ast.Expr, beta: ast.Expr | None = None) -> ast.Expr:
        names = tuple(name for name, _ in bound)
        ranges = tuple(limits for _, limits in bound)
        return ast.BigOp(_span(parts), kind, names, body, beta, ranges if any(ranges) else ())

    # -------------------------------------------------------------- domains

    def set(self, parts: Parts) -> Any:
        return parts[0], parts[1], parts[2]

    def suffix(self, parts: Parts) -> Any:
        return parts

    def domain(self, parts: Parts) -> list[ast.TypeExpr]:
        """One or two: ``R+[N]`` is ``R[N]`` and ``>= 0``."""
        first = parts[0]
        if isinstance(first, ast.TypeExpr):
            return [first]
        if isinstance(first, Token):
            name = " ".join(ascii_name(word) for word in first.split(" "))
        else:
            name = "{" + ",".join(show(item) for item in first[1]) + "}"
        dims: tuple[ast.Expr, ...] = ()
        args: tuple[ast.Expr, ...] = ()
        nonnegative: list[ast.TypeExpr] = []
        for suffix in parts[1:]:
            if suffix[0].type == "LSQ":
                dims += tuple(suffix[1])
            elif suffix[0].type == "LPAR":
                args += suffix[1][0]
            else:
                nonnegative.append(ast.TypeExpr(span(suffix[0]), ">= 0"))
        if name in _DIMS_IN_PARENTHESES and not dims:
            dims, args = args, ()
        return [ast.TypeExpr(_span(parts), name, dims, args), *nonnegative]

    def relation(self, parts: Parts) -> ast.TypeExpr:
        return ast.TypeExpr(_span(parts), f"{COMPARE.get(parts[0], str(parts[0]))} {show(parts[1])}")

    def domains(self, parts: Parts) -> list[ast.TypeExpr]:
        out: list[ast.TypeExpr] = []
        for part in parts:
            if isinstance(part, ast.TypeExpr):
                out.append(part)
            elif isinstance(part, list):
                out.extend(part)
        return out

    # -------------------------------------------------------------- statements

    def start(self, parts: Parts) -> list[ast.Statement]:
        return parts[0] if isinstance(parts[0], list) else [parts[0]]

    def model(self, parts: Parts) -> ast.Statement:
        return ast.ModelName(_span(parts), str(parts[1]))

    def names(self, parts: Parts) -> tuple[ast.Name, ...]:
        return _names(parts)

    def dims(self, parts: Parts) -> list[ast.Statement]:
        return _nodes(parts)

    def dim(self, parts: Parts) -> ast.Statement:
        return ast.DimDecl(_span(parts), _name(parts[0]), parts[2] if len(parts) == 3 else None)

    def index(self, parts: Parts) -> list[ast.Statement]:
        low, high = parts[3], parts[5]
        return [ast.IndexDecl(_span(parts), name, low, high, parts[0] == "time") for name in parts[1]]

    def head(self, parts: Parts) -> Any:
        return _name(parts[0]), tuple(parts[2]) if len(parts) > 1 else (), parts[-1]

    def heads(self, parts: Parts) -> Any:
        return [part for part in parts if isinstance(part, tuple)]

    def law(self, parts: Parts) -> Any:
        return parts[0], parts[1]

    def declaration(self, parts: Parts) -> Any:
        heads = parts[0]
        law = next((part[1] for part in parts[1:] if isinstance(part, tuple)), None)
        domains = next((part for part in parts[1:] if isinstance(part, list)), [])
        return heads, law, domains, _span(parts).end

    def variables(self, parts: Parts) -> list[ast.Statement]:
        role = str(parts[0])
        begin = start(parts[0])
        out: list[ast.Statement] = []
        for part in parts:
            if isinstance(part, Token):
                continue
            heads, law, domains, finish = part
            for name, subscripts, _ in heads:
                kind = domains[0] if domains else None
                where = Span(begin if not out else name.span.start, finish)
                out.append(ast.VarDecl(where, role, name, kind, tuple(domains[1:]), subscripts, law))
        return out

    def constants(self, parts: Parts) -> list[ast.Statement]:
        return _nodes(parts)

    def constant(self, parts: Parts) -> ast.Statement:
        domains = parts[2] if len(parts) == 5 else []
        return ast.ConstDecl(_span(parts), _name(parts[0]), parts[-1], domains[0] if domains else None)

    def signature(self, parts: Parts) -> Any:
        return tuple(parts[0]), parts[2][0]

    def layers(self, parts: Parts) -> list[ast.Expr]:
        return _nodes(parts)

    def modules(self, parts: Parts) -> list[ast.Statement]:
        names = parts[1]
        inputs, output = next((part for part in parts[2:] if isinstance(part, tuple)), ((), None))
        body = next((tuple(part) for part in parts[2:] if isinstance(part, list)), None)
        return [ast.ModuleDecl(_span(parts), name, inputs, output, body) for name in names]

    def infer(self, parts: Parts) -> list[ast.Statement]:
        return [ast.InferBy(_span(parts), name, parts[3], str(parts[0])) for name in parts[1]]

    def setting(self, parts: Parts) -> ast.Statement:
        value = parts[-1] if isinstance(parts[-1], ast.Expr) else None
        return ast.Setting(_span(parts), ast.Name(span(parts[0]), _word(parts[0])), value)

    def definition(self, parts: Parts) -> Any:
        left, right = parts[0], parts[2]
        if isinstance(left, ast.Name):
            return ast.Define(_span(parts), left, (), right)
        if isinstance(left, ast.Call) and not left.keywords and all(isinstance(a, ast.Name) for a in left.args):
            params = tuple(a for a in left.args if isinstance(a, ast.Name))
            return ast.Define(_span(parts), ast.Name(left.func_span, left.func), params, right)
        return ast.Equation(_span(parts), left, right)
