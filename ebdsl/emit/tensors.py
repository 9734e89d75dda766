"""From index notation to PyTorch text: contractions become matrix products, the rest broadcasts.

:class:`Scope` is a function body under construction: what is used twice is computed once and gets a name.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from ebdsl.emit.channels import CHANNELS, are_channels, convolved
from ebdsl.emit.economy import economical
from ebdsl.emit.logarithms import inverse_root, log_of_sum
from ebdsl.emit.products import contracted, fused
from ebdsl.emit.stems import signature_axes, stem
from ebdsl.emit.symmetric import as_symmetric
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import Value, aligned, bracket, is_number, is_product, is_tight, number, padded, stretched, union
from ebdsl.model.canonical import signature
from ebdsl.model.ir import (
    BATCH,
    Add,
    Apply,
    Axis,
    Delta,
    Dim,
    Fn,
    Get,
    Lit,
    Module,
    Mul,
    Node,
    Part,
    Position,
    Pow,
    Recurrence,
    Shift,
    Size,
    Sum,
    Symbol,
    Tensor,
    difference,
    nodes_of,
)

ARGUMENT = r"(?:(?<=\()|(?<=, ))\{\d\}(?=[,)])"  # a place in a template that is all of an argument, or in brackets
GUESS = {"batch": 1024}
FREE_GUESS = 64
LONG = 72  # an expression longer than this gets a name: for the reader, and for the line


@dataclass
class Scope:
    """One function body. ``symbol`` gives the text of a symbol, ``size`` that of a dimension.

    ``picks``: the names of one-hot tensors ``(B, k)`` that are given by their positions ``(B,)`` and ``k``. ``fuse``:
    sums with matrix products are written as one call. ``columns``: the names of tensors ``(B, k)``, and those of the
    same with the samples last; what is made of these has them last too, and may be overwritten.
    """

    symbol: Callable[[Symbol], str]
    dim: Callable[[Dim], str]
    extent: Callable[[Dim], int | None]
    module: Callable[[Module | Recurrence], str] = lambda m: f"self.{m.name}"
    lines: list[str] = field(default_factory=list)
    taken: set[str] = field(default_factory=set)
    cache: dict[Node, tuple[str, tuple[Axis, ...]]] = field(default_factory=dict)
    uses: Counter[Node] = field(default_factory=Counter)
    known: dict[Symbol, tuple[Axis, ...]] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)
    rollouts: dict[str, str] = field(default_factory=dict)
    like: str = ""
    picks: dict[str, tuple[str, str]] = field(default_factory=dict)
    fuse: bool = False
    columns: dict[str, str] = field(default_factory=dict)
    handed: set[str] = field(default_factory=set)

    # ----------------------------------------------------------------- names

    def name(self, stem: str) -> str:
        """A variable name that is free in this body."""
        new, count = stem, 2
        while new in self.taken:
            new, count = f"{stem}{count}", count + 1
        self.taken.add(new)
        return new

    def assign(self, stem: str, value: Value) -> Value:
        """``stem = value`` as a line; the value is then the name. What the last line named is only renamed."""
        name = self.name(stem)
        self.handed.add(name)  # and is somebody's: it stays
        if value.code not in self.handed and self.lines and self.lines[-1].startswith(f"{value.code} = "):
            self.lines[-1] = name + self.lines[-1].removeprefix(value.code)
            for key, (held, order) in self.cache.items():
                if held == value.code:
                    self.cache[key] = (name, order)
        else:
            self.lines.append(f"{name} = {value.code}")
        return Value(name, value.axes)

    def count(self, *nodes: Node) -> None:
        """Tell the scope what will be asked for, so that it knows what is used twice."""

        def go(n: Node) -> None:
            if isinstance(n, Lit | Get | Size | Position):
                return
            key, _ = signature(n)
            self.uses[key] += 1
            if self.uses[key] > 1:
                return
            for c in n.children:
                go(c)

        for n in nodes:
            go(economical(n))

    # ----------------------------------------------------------------- nodes

    def emit(self, node: Node) -> Value:
        """The value of a node."""
        return self._emit(economical(node))

    def tensor(self, node: Node, axes: Sequence[Axis]) -> Value:
        """The value with its axes in the given order and all of them there (broadcast by ``expand``)."""
        value = self.emit(node)
        if value.axes != tuple(axes):
            value = replace(value, axes=as_symmetric(node, value.axes, tuple(axes)))
        missing = [a for a in axes if a not in value.axes]
        code = aligned(value, tuple(axes), explicit=True)
        if missing:
            sizes = ", ".join(str(self.dim(a.dim)) if a in missing else "-1" for a in axes)
            if value.axes:
                return Value(f"{bracket(code)}.expand({sizes})", tuple(axes))
            return Value(f"{self.constant(value)}.expand({', '.join(self.dim(a.dim) for a in axes)})", tuple(axes))
        return Value(code, tuple(axes), is_tight(code))

    def constant(self, value: Value) -> str:
        """A number's text as a tensor's."""
        made = f"full((), {value.code}" if is_number(value.code) else f"as_tensor({value.code}"
        return f"torch.{made}, dtype={self.like}.dtype, device={self.like}.device)"

    def _emit(self, node: Node) -> Value:
        if isinstance(node, Lit):
            return Value(number(node.value), (), node.value >= 0)
        if isinstance(node, Get):
            return self._get(node)
        if isinstance(node, Size):
            return Value(self.dim(node.dim), (), not isinstance(node.dim, Part))
        key, axes = signature(node)
        if key in self.cache:
            name, order = self.cache[key]
            back = dict(zip(signature_axes(key, axes), axes, strict=True))
            return Value(name, tuple(back.get(a, a) for a in order))
        value = self._compute(node)
        long = len(value.code) > LONG and value.axes
        if (self.uses[key] > 1 or long) and value.axes and not value.code.isidentifier():
            value = self.assign(stem(node), value)
            there = dict(zip(axes, signature_axes(key, axes), strict=True))
            self.cache[key] = (value.code, tuple(there.get(a, a) for a in value.axes))
            self.handed.discard(value.code)
        return value

    def _compute(self, node: Node) -> Value:
        match node:
            case Add(terms):
                return self._add(terms)
            case Mul(factors):
                return self._product(factors, ())
            case Sum(Apply(str() as f, args, index), axes) if f in CHANNELS and are_channels(args, axes):
                return convolved(self, f, args, index, axes)
            case Sum(body, axes):
                return self._product(body.factors if isinstance(body, Mul) else (body,), axes)
            case Pow(base, exponent):
                return self._power(base, exponent)
            case Fn("log", (inside,)) if (value := log_of_sum(self, inside)) is not None:
                return value
            case Fn(atom, args):
                from ebdsl.atoms import SCALARS

                values = [self._emit(a) for a in args]
                axes = union(*(v.axes for v in values))
                numbers = [not v.axes and is_number(v.code) for v in values]
                texts = [aligned(v, axes) if len(values) > 1 else v.code for v in values]
                texts = [self.constant(v) if n else t for n, v, t in zip(numbers, values, texts, strict=True)]
                template = SCALARS[atom].torch
                if len(re.findall(ARGUMENT, template)) < template.count("{"):
                    texts = [bracket(t) for t in texts]
                code = template.format(*texts)
                return Value(code, axes, is_tight(code))
            case Delta(left, right):
                return self._delta(left, right)
            case Shift(left, right, offset):
                return self._shift(left, right, offset)
            case Position(axis):
                options = f"dtype={self.like}.dtype, device={self.like}.device"
                return Value(f"torch.arange({self.dim(axis.dim)}, {options})", (axis,))
            case Apply(function, args, index):
                return self._apply(function, args, index)
        raise TypeError(type(node).__name__)

    def _get(self, node: Get) -> Value:
        code = self.symbol(node.symbol)
        if code in self.columns and len(set(node.index)) == 2 and node.index[0] == BATCH:
            return self._at(self.columns[code], node.index[::-1])
        if not any(isinstance(i, int) for i in node.index) and len(set(node.index)) == len(node.index):
            picks = (*self.picks[code], f"{self.like}.dtype") if code in self.picks else None
            return Value(code, tuple(i for i in node.index if isinstance(i, Axis)), picks=picks)
        return self._at(code, node.index)

    def _at(self, code: str, index: tuple[Axis | int, ...]) -> Value:
        """``code[index]`` where fixed positions are picked and repeated axes taken on the diagonal."""
        if any(isinstance(i, int) for i in index):
            picked = ", ".join(":" if isinstance(i, Axis) else str(i) for i in index)
            code = f"{bracket(code)}[{picked}]"
        axes = [i for i in index if isinstance(i, Axis)]
        while len(set(axes)) < len(axes):
            twice = next(a for a in axes if axes.count(a) > 1)
            i = axes.index(twice)
            j = axes.index(twice, i + 1)
            code = f"{bracket(code)}.diagonal(dim1={i}, dim2={j})"
            axes = [a for k, a in enumerate(axes) if k not in (i, j)] + [twice]
        return Value(code, tuple(axes))

    def _delta(self, left: Axis | int, right: Axis | int) -> Value:
        def eye(d: Dim) -> str:
            return f"torch.eye({self.dim(d)}, dtype={self.like}.dtype, device={self.like}.device)"

        if isinstance(left, Axis) and isinstance(right, Axis):
            return Value(eye(left.dim), (left, right))
        axis, at = (left, right) if isinstance(left, Axis) else (right, left)
        assert isinstance(axis, Axis)
        return Value(f"{eye(axis.dim)}[{at}]", (axis,))

    def _shift(self, left: Axis, right: Axis | int, offset: int) -> Value:
        """The matrix of a shift, for where it is not a stretch or a padding of something else."""
        n = self.dim(left.dim)
        kind = f"dtype={self.like}.dtype, device={self.like}.device"
        if isinstance(right, int):
            place = f"torch.arange({n}, device={self.like}.device) == {right - offset}"
            return Value(f"({place}).to({self.like}.dtype)", (left,))
        eye = Value(f"torch.eye({n}, {kind})", (left, right))
        return padded(eye, right, right, offset, self._after(Shift(left, right, offset)))

    def _add(self, terms: tuple[Node, ...]) -> Value:
        held: list[tuple[float, Value, Node]] = []
        for t in terms:
            sign = 1.0
            if isinstance(t, Lit) and t.value < 0:
                sign, t = -1.0, Lit(-t.value)
            elif isinstance(t, Mul) and isinstance(t.factors[0], Lit) and t.factors[0].value < 0:
                from ebdsl.model.build import mul

                sign, t = -1.0, mul(Lit(-t.factors[0].value), *t.factors[1:])
            held.append((sign, self._emit(t), t))
        axes = union(*(v.axes for _, v, _ in held))
        parts = [(sign, replace(v, axes=as_symmetric(t, v.axes, axes))) for sign, v, t in held]
        if self.fuse:
            added = fused(parts, axes)
            if added is not None:
                self.imports.add("add_product")
                return added
        ordered = sorted(parts, key=lambda p: (p[0] < 0, not p[1].axes))  # begin with a plus, and with a tensor
        text = ""
        for sign, v in ordered:
            piece = aligned(v, axes)
            if sign < 0 and not is_product(piece):
                piece = bracket(piece)
            if not text:
                text = piece if sign > 0 else f"-{bracket(piece)}"
            else:
                text += f" {'+' if sign > 0 else '-'} {piece}"
        return Value(text, axes, False, fresh=bool(self.columns) and len(ordered) > 1)

    def _power(self, base: Node, exponent: Node) -> Value:
        b = self._emit(base)
        if isinstance(exponent, Lit):
            if not b.axes and not self.is_tensor(base):
                return Value(f"{b.atom}**{number(exponent.value)}", (), False)
            square = "square_()" if b.code.startswith("add_product(") else "square()"  # nothing else holds that
            methods = {2.0: square, 0.5: "sqrt()", -1.0: "reciprocal()", -0.5: inverse_root(base)}
            method = methods.get(exponent.value, f"pow({number(exponent.value)})")
            return Value(f"{b.atom}.{method}", b.axes, last=b.last)
        e = self._emit(exponent)
        axes = union(b.axes, e.axes)
        return Value(f"torch.pow({aligned(b, axes)}, {aligned(e, axes)})", axes)

    def is_tensor(self, node: Node) -> bool:
        """Whether the value is a tensor even when it has no axes: anything but numbers given as constants is."""
        return any(s.role != "const" or s.shape for s in node.symbols) or any(
            isinstance(n, Apply) for n in nodes_of(node)
        )

    def _apply(
        self, function: str | Module | Recurrence, args: tuple[Tensor, ...], index: tuple[Axis | int, ...]
    ) -> Value:
        if isinstance(function, Recurrence):
            return self._call_recurrence(function, args, index)
        values = [self._emit(a.body) for a in args]
        outer = union(*(tuple(x for x in v.axes if x not in a.axes) for v, a in zip(values, args, strict=True)))
        texts = []
        for v, a in zip(values, args, strict=True):
            texts.append(self._full(v, outer, a.axes))
        if isinstance(function, Module):
            return self._call_module(function, texts, outer, args, index)
        from ebdsl.atoms import OPAQUES

        row = OPAQUES[function]
        self.imports |= set(row.needs)
        if len(re.findall(ARGUMENT, row.torch)) < row.torch.count("{"):
            texts = [bracket(t) for t in texts]
        code = row.torch.format(*texts, ndim=len(args[0].axes))
        return self._indexed(code, outer, index)

    def _indexed(self, code: str, outer: tuple[Axis, ...], index: tuple[Axis | int, ...]) -> Value:
        whole = (*outer, *index)
        if all(isinstance(i, Axis) for i in index) and len(set(whole)) == len(whole):
            return Value(code, tuple(i for i in whole if isinstance(i, Axis)), is_tight(code))
        return self._at(code, whole)

    def _full(self, value: Value, outer: tuple[Axis, ...], inner: tuple[Axis, ...]) -> str:
        """An argument's text with all bound axes there, after those outer axes that it has."""
        mine = tuple(a for a in outer if a in value.axes)
        missing = [a for a in inner if a not in value.axes]
        code = aligned(value, (*mine, *inner), explicit=True)
        if missing or not value.axes:
            if not value.axes and is_number(value.code):
                code = self.constant(value)
            sizes = ["-1" if a in value.axes else self.dim(a.dim) for a in (*mine, *inner)]
            if sizes:
                code = f"{bracket(code)}.expand({', '.join(sizes)})"
        # axes of outer that this argument has not, but that lie between those it has
        spread = [a for a in outer if a in value.axes or any(b in value.axes for b in outer[: outer.index(a)])]
        if len(spread) != len(mine):
            parts = ", ".join(":" if a in value.axes else "None" for a in spread)
            code = f"{bracket(code)}[{parts}, ...]"
        return code

    def _call_recurrence(self, function: Recurrence, args: tuple[Tensor, ...], index: tuple[Axis | int, ...]) -> Value:
        """The states of one sequence, all sequences made once for each set of arguments."""
        batch = next((b for a in args for b in a.free if b.dim == BATCH.dim), BATCH)
        texts = []
        for k, a in enumerate(args):
            lead = (batch,) if k < function.starts or function.given[k - function.starts].per_sample else ()
            texts.append(self.tensor(a.body, (*lead, *a.axes)).code)
        code = f"{self.module(function)}({', '.join(texts)})"
        if code not in self.rollouts:
            name = self.name("_".join(function.sequences) if len(function.sequences) == 1 else "states")
            self.lines.append(f"{name} = {code}")
            self.rollouts[code] = name
        found = self.rollouts[code] + (f"[{function.which}]" if len(function.sequences) > 1 else "")
        return self._indexed(found, (batch,), index)

    def _call_module(
        self,
        module: Module,
        texts: list[str],
        outer: tuple[Axis, ...],
        args: tuple[Tensor, ...],
        index: tuple[Axis | int, ...],
    ) -> Value:
        if not outer:
            code = (
                f"{self.module(module)}({', '.join(t + '[None]' if is_tight(t) else f'({t})[None]' for t in texts)})[0]"
            )
        elif len(outer) == 1 and all(outer[0] in a.free for a in args):
            code = f"{self.module(module)}({', '.join(texts)})"
        else:
            ranks = [str(len(a.axes)) for a in args]
            self.imports.add("call_batched")
            code = f"call_batched({self.module(module)}, {tuple_text(texts)}, {tuple_text(ranks)})"
        return self._indexed(code, outer, index)

    # ----------------------------------------------------------------- products and sums

    def _product(self, factors: tuple[Node, ...], axes: tuple[Axis, ...]) -> Value:
        """``Σ_axes Π factors`` as a sequence of pairwise contractions, the smallest result first."""
        scale, upper, lower = 1.0, [], []
        shifts: list[Shift] = []
        for f in factors:
            if isinstance(f, Lit):
                scale *= f.value
            elif isinstance(f, Shift):
                shifts.append(f)
            elif isinstance(f, Pow) and f.exponent == Lit(-1.0):
                lower.append(self._emit(f.base))
            else:
                upper.append(self._emit(f))
        if (axes or shifts) and lower:  # a sum wants its factors whole
            upper += [
                Value(f"{v.atom}.reciprocal()", v.axes) if v.axes else Value(f"(1 / {v.atom})", ()) for v in lower
            ]
            lower = []
        if shifts:
            upper, remaining = self._moved(shifts, upper, axes)
            axes = tuple(remaining)
        value = contracted(upper, axes, self.volume) if upper else None
        for v in lower:
            if value is None:
                value, scale = Value(f"{number(scale)} / {v.atom}", v.axes, False), 1.0
                continue
            both = union(value.axes, v.axes)
            left = aligned(value, both)
            if not (is_tight(left) or is_product(left)):
                left = f"({left})"
            value = Value(f"{left} / {bracket(aligned(v, both))}", both, False)
        assert value is not None
        if scale == 1.0:
            return value
        scaled = (*value.factors[:2], scale * value.factors[2]) if value.factors is not None else None
        if scale == -1.0:
            negated = (*value.factors[:2], -value.factors[2]) if value.factors is not None else None
            return Value(f"-{value.atom}", value.axes, False, factors=negated)
        body = value.code if value.tight or (is_product(value.code) and "@" not in value.code) else f"({value.code})"
        return Value(f"{number(scale)} * {body}", value.axes, False, factors=scaled)

    def _after(self, shift: Shift) -> int:
        """The entries of the axis on the right past the last that the left one meets."""
        assert isinstance(shift.right, Axis)
        more = difference(shift.right.dim, shift.left.dim)
        if more is None:
            m, n = self.extent(shift.right.dim), self.extent(shift.left.dim)
            assert m is not None and n is not None
            more = m - n
        return more - shift.offset

    def _moved(
        self, shifts: list[Shift], values: list[Value], axes: tuple[Axis, ...]
    ) -> tuple[list[Value], list[Axis]]:
        """Shifts carried out on the other factors: ``Σ_j shift(t, j) s[j]`` is a stretch of s, ``Σ_t shift(t, j) r[t]``
        is r with zeros around it. What is neither becomes a matrix."""
        left = list(axes)
        while shifts:
            for f in shifts:
                for gone, stays in ((f.right, f.left), (f.left, f.right)):
                    alone = not any(gone in g.free for g in shifts if g is not f)
                    if gone not in left or not isinstance(gone, Axis) or not isinstance(stays, Axis) or not alone:
                        continue
                    if any(gone in v.axes and stays in v.axes for v in values):
                        continue
                    after = self._after(f)
                    if gone == f.left and not any(gone in v.axes for v in values):
                        values = [*values, Value(f"{self.like}.new_ones({self.dim(gone.dim)})", (gone,))]
                    change = stretched if gone == f.right else padded
                    values = [change(v, gone, stays, f.offset, after) if gone in v.axes else v for v in values]
                    left.remove(gone)
                    break
                else:
                    continue
                break
            else:
                f = shifts[0]
                values = [*values, self._shift(f.left, f.right, f.offset)]
            shifts = [g for g in shifts if g is not f]
        return values, left

    def volume(self, axes: Sequence[Axis]) -> float:
        return math.prod(self.extent(a.dim) or GUESS.get(str(a.dim), FREE_GUESS) for a in axes)
