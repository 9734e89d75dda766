"""Functions of each entry's size as text: their values, and their proximal operator in closed form or by pieces."""

from __future__ import annotations

import math

from ebdsl.emit.descent import DescentBody
from ebdsl.emit.tensors import Scope
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import aligned, bracket, is_number, number
from ebdsl.facts.convexity import bounds
from ebdsl.facts.roots import Root
from ebdsl.facts.sizes import Piece, Sizes
from ebdsl.model.algebra import replace_symbol, with_batch
from ebdsl.model.build import add, lit, mul, neg, power
from ebdsl.model.ir import BATCH, ONE, ZERO, Add, Axis, Get, Lit, Node, Symbol


class SizesBody(DescentBody):
    """A body that knows functions of sizes."""

    def size_prox(self, s: Sizes) -> str:
        """Define the proximal operator; its text, to be formatted with ``v`` and ``t``."""
        low, high = s.symbol.domain.row.bounds(s.symbol.domain.args)
        if s.within:
            name = self._closed_prox(s, 0.0, math.inf) if s.closed else self._norm_prox(s)
            self.context.runtime.add("prox_of_norm")
            dims = tuple_text([str(k - len(s.symbol.shape)) for k in s.within])
            v = "{v}" if low < 0 else "({v}).clamp_min(0)"
            return f"prox_of_norm({name}, {v}, {{t}}, {dims})"
        if s.closed:
            return f"{self._closed_prox(s, low, high)}({{v}}, {{t}})"
        self.context.runtime.add("prox_of_size")
        return f"prox_of_size({{v}}, {{t}}, {self._pieces(s)}, {number(low)}, {number(high)})"

    def _norm_prox(self, s: Sizes) -> str:
        """Define the operator of a norm by its pieces; its name."""
        self.context.runtime.add("prox_of_size")
        pieces, name = self._pieces(s), self.scope.name(f"{self.name(s.symbol)}_prox")
        self.line(f"def {name}(point: Tensor, step: Tensor) -> Tensor:")
        self.line(f"    return prox_of_size(point, step, {pieces}, 0.0, math.inf)")
        self.line("")
        return name

    def _closed_prox(self, s: Sizes, low: float, high: float) -> str:
        """Define the operator as the lowest of the roots in the pieces; its name.

        Of a piece whose slope rises the root, put between its ends, is least; else 0 may be lower, or its right end.
        Other left ends need no comparison: a minimum there is one of the right end that they meet, since functions
        only jump up.
        """
        signed, never_negative = low < 0, low < 0 or bool(s.within)
        candidates = [Symbol(self.scope.name("root"), "latent", s.size.shape, s.size.domain) for _ in s.pieces]
        variables = (s.point, s.step, *candidates)
        texts: dict[Symbol, str] = {}

        def hoisted(node: Node) -> Node:
            found, new, _ = self._hoist(node, frozenset(variables))
            texts.update(new)
            return with_batch(found)

        v, t = Get(s.point, s.at), Get(s.step, s.at)

        def height(x: Node, value: Node) -> Node:
            """The energy above that of 0 without a penalty."""
            square = mul(lit(-0.5), power(v, 2)) if x == v else mul(x, add(mul(lit(0.5), x), neg(v)))
            return hoisted(add(mul(t, _at(value, s.size, x)), square))

        pieces = [p for p in s.pieces if not any(isinstance(e, Lit) and e.value >= high for e in p.low)]
        rows: list[tuple[Node, Node, Piece | None, tuple[Node, ...]]] = []  # where, how high, and what gives it
        for piece, candidate in zip(pieces, candidates, strict=False):
            root = piece.root
            assert root is not None
            if ZERO in piece.high:
                rows.append((ZERO, height(ZERO, piece.value), None, ()))
                continue
            if not piece.low and not piece.rises:
                rows.append((ZERO, height(ZERO, piece.value), None, ()))
            whole = never_negative and high == math.inf and not piece.low and not piece.high
            where: Node = v if whole and _root_of_line(root) == v else Get(candidate, s.at)
            wanted = piece if isinstance(where, Get) and where.symbol == candidate else None
            rows.append((where, height(where, piece.value), wanted, tuple(map(hoisted, root.coefficients))))
        wall = () if high == math.inf else (lit(high),)
        edges = [
            (self._edge((*p.low, ZERO), s.at, "maximum", "0"), self._edge((*p.high, *wall), s.at, "minimum", ""))
            for _, _, p, _ in rows
            if p is not None
        ]
        names = [self.scope.name(stem) for stem in ("size", "height", "least", "best")]
        size, high_name, least_name, best_name = names
        inner = self._loop_scope(texts, variables, [size if signed else "point", "step", *(x.name for x in candidates)])
        if len(rows) > 1:
            inner.count(*(h for _, h, _, _ in rows))
        ends = iter(edges)
        found: list[tuple[str, str]] = []
        for x, h, p, coefficients in rows:
            text = "0.0" if x == ZERO else self._whole(inner, with_batch(x), s.at, False)
            if p is not None:
                left, right = next(ends)
                root_text = self._root(inner, p, s.at, coefficients, right)
                inner.lines.append(f"{text} = {_clipped(root_text, left, right)}")
            found.append((text, self._whole(inner, h, s.at, False) if len(rows) > 1 else ""))
        name = self.scope.name(f"{self.name(s.symbol)}_prox")
        if self.lines[-1:] != [""]:
            self.line("")
        self.line(f"def {name}(point: Tensor, step: Tensor) -> Tensor:")
        lines = [f"{size} = point.abs()"] * signed + inner.lines
        best, least = found[0]
        for k, (text, high_text) in enumerate(found[1:], 1):
            if k == len(found) - 1:
                best = f"torch.where({high_text} < {least}, {text}, {best})"
                continue
            lines.append(f"{high_name} = {high_text}")
            lines.append(f"{best_name} = torch.where({high_name} < {least}, {text}, {best})")
            lines.append(f"{least_name} = {_lower(high_name, least)}")
            best, least = best_name, least_name
        self.lines.extend(f"    {x}" for x in lines)
        self.line(f"    return {bracket(best)}.copysign(point)" if signed else f"    return {best}")
        self.line("")
        return name

    def _root(self, inner: Scope, p: Piece, at: tuple[Axis, ...], coefficients: tuple[Node, ...], right: str) -> str:
        """Text of the largest root of a piece's equation."""
        assert p.root is not None
        *rest, lead = coefficients
        degree = p.root.degree
        if degree == 1 and p.rises:
            return self._whole(inner, mul(_minus(rest[0]), power(lead, -1)), at, False)
        if degree > 2 and lead != ONE:
            rest = [mul(n, power(lead, -1)) for n in rest]
        name = ("line_root", "quadratic_root", "cubic_root", "quartic_root")[degree - 1]
        nodes = {1: [lead, *rest], 2: [lead, *rest[::-1]], 3: rest[::-1], 4: rest[1::-1]}[degree]
        texts = [self._whole(inner, n, at, False) for n in nodes] + [right] * (degree == 1)
        self.context.runtime.add(name)
        s = f"{name}({', '.join(texts)})"
        return s if p.root.power == 1 else f"{s}.clamp_min(0) ** {p.root.power}"

    def _pieces(self, s: Sizes) -> str:
        """Define the pieces of a function of sizes; the name of their list."""
        stem = self.name(s.symbol)
        rows = []
        for k, piece in enumerate(s.pieces):
            value = self._function(f"{stem}_value{k + 1}", s, s.size, (piece.value,))
            slopes = self._function(f"{stem}_slopes{k + 1}", s, s.size, (piece.slope, piece.bend))
            low, high = self._edge(piece.low, s.at, "maximum", "0"), self._edge(piece.high, s.at, "minimum", "math.inf")
            rows.append(f"({value}, {slopes}, {low}, {high}, {piece.way})")
        name = self.scope.name(f"{stem}_pieces")
        self.line(f"{name} = [{', '.join(rows)}]")
        return name

    def _edge(self, ends: tuple[Node, ...], at: tuple[Axis, ...], of: str, none: str) -> str:
        """The greatest of lower ends, or the least of upper ones."""
        numbers = [e.value for e in ends if isinstance(e, Lit)]
        texts = [self.scope.tensor(e, at).code if at else self._number(e) for e in ends if not isinstance(e, Lit)]
        if numbers:
            one = max(numbers) if of == "maximum" else min(numbers)
            texts.append(number(one) if not texts else f"torch.full_like({texts[0]}, {number(one)})")
        if not texts:
            return none
        text = texts[0]
        for other in texts[1:]:
            text = f"torch.{of}({text}, {other})"
        return text

    def _number(self, node: Node) -> str:
        return self.scope.constant(self.scope.emit(node))

    def _function(self, stem: str, s: Sizes, variable: Symbol, nodes: tuple[Node, ...]) -> str:
        """Define a function of one tensor that gives these nodes, entry by entry; its name."""
        hoisted: list[Node] = []
        texts: dict[Symbol, str] = {}
        for n in nodes:
            node, found, _ = self._hoist(n, frozenset({variable}))
            hoisted.append(with_batch(node))
            texts |= found
        inner = self._loop_scope(texts, (variable,), ["point"])
        inner.count(*hoisted)
        codes = [self._whole(inner, n, s.at) for n in hoisted]
        name = self.scope.name(stem)
        if self.lines[-1:] != [""]:
            self.line("")
        gives = "Tensor" if len(nodes) == 1 else f"tuple[{', '.join(['Tensor'] * len(nodes))}]"
        self.line(f"def {name}(point: Tensor) -> {gives}:")
        self.lines.extend(f"    {x}" for x in inner.lines)
        self.line(f"    return {', '.join(codes)}")
        self.line("")
        return name

    def _whole(self, inner: Scope, node: Node, at: tuple[Axis, ...], expanded: bool = True) -> str:
        """The text of a node for every entry of ``point``, or what broadcasts to that."""
        value = inner.emit(node)
        if not expanded:
            return aligned(value, (BATCH, *at)) if value.axes else value.code
        if value.axes:
            return inner.tensor(node, (BATCH, *at)).code
        if is_number(value.code):
            return f"torch.full_like(point, {value.code})" if value.code != "0" else "torch.zeros_like(point)"
        return f"{inner.constant(value)}.expand(point.shape)"


def _at(value: Node, size: Symbol, x: Node) -> Node:
    """The function at a size; a number where it is one."""
    found = replace_symbol(value, size, lambda index: x)
    known = bounds(found)
    return lit(known.low) if x == ZERO and known.low == known.high else found


def _lower(height: str, least: str) -> str:
    return f"{height}.clamp_max({least})" if is_number(least) else f"torch.minimum({height}, {least})"


def _minus(node: Node) -> Node:
    return add(*map(neg, node.terms)) if isinstance(node, Add) else neg(node)


def _root_of_line(root: Root) -> Node:
    """The root where it is that of a line that rises by 1."""
    return _minus(root.coefficients[0]) if root.degree == 1 and root.coefficients[1] == ONE else ZERO


def _clipped(x: str, left: str, right: str) -> str:
    if right and is_number(left) and is_number(right):
        return f"{bracket(x)}.clamp({left}, {right})"
    return f"{bracket(x)}.clamp_min({left})" + (f".clamp_max({right})" if right else "")
