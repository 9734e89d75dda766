"""The methods of the model that give the energies of enumerated states, and what these hold besides the data."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ebdsl.emit.context import Context
from ebdsl.emit.states import state_parts, summed
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import Value, bracket
from ebdsl.infer.rules.enumeration import Enumeration
from ebdsl.model.algebra import transform
from ebdsl.model.build import add, mul
from ebdsl.model.canonical import signature
from ebdsl.model.domains import REAL
from ebdsl.model.ir import BATCH, Add, Axis, Get, Lit, Mul, Node, Size, Sum, Symbol, Tensor

NAME = "state_constants"


def state_lines(c: Context) -> list[str]:
    payload = next(d.payload for d in c.plan.inference if isinstance(d.payload, Enumeration))
    axes = tuple(s.axis for s in payload.states)
    parts = state_parts(payload)
    held = _Held(frozenset(parts.roots))
    scores = held.taken_out(parts.scores)
    names = ", ".join(c.name(s.symbol) for s in payload.states)
    more = ", constants: tuple[Tensor, ...] | None = None" if held.nodes else ""
    texts = {s.name: f"constant{k + 1}" for k, s in enumerate(held.nodes)}
    opened = []
    if texts:
        left = ", ".join(texts.values()) if len(texts) > 1 else tuple_text(list(texts.values()))
        opened = [f"        {left} = self.{NAME}() if constants is None else constants"]
    whole = f'"""The energy of each sample at every value of {names}: ``(B, states)``, an axis for each latent."""'
    if parts.common is None:
        lines = [
            f"    def state_energies(self, {c.typed(c.observed)}{more}) -> Tensor:",
            f"        {whole}",
            *opened,
            *_returned(c, scores, (BATCH, *axes), texts),
        ]
    else:
        args, ones = c.args(c.observed), ", ".join([":", *(["None"] * len(axes))])
        lines = [
            f"    def state_energies(self, {c.typed(c.observed)}) -> Tensor:",
            f"        {whole}",
            f"        return self.state_scores({args}) + self.common_energy({args})[{ones}]",
            "",
            f"    def state_scores(self, {c.typed(c.observed)}{more}) -> Tensor:",
            '        """The energies of the states less ``common_energy``."""',
            *opened,
            *_returned(c, scores, (BATCH, *axes), texts),
            "",
            f"    def common_energy(self, {c.typed(c.observed)}) -> Tensor:",
            '        """What the energies of a sample\'s states have in common, ``(B,)``."""',
            *_returned(c, parts.common, (BATCH,), {}),
        ]
    if held.nodes:
        lines += ["", *_constant_lines(c, held, parts.roots)]
    if len(payload.states) > 1 or payload.states[0].table is not None:
        lines += ["", *_weight_lines(c, payload)]
    return lines


def constants(c: Context) -> bool:
    """Whether the states' energies hold something that parameters alone make, once for many calls."""
    payload = c.plan.inference[0].payload if c.plan.inference else None
    if not isinstance(payload, Enumeration):
        return False
    parts = state_parts(payload)
    held = _Held(frozenset(parts.roots))
    held.taken_out(parts.scores)
    return bool(held.nodes)


@dataclass(frozen=True)
class Linear:
    """Scores ``offset_k + alpha slopes_k'y``, and how many times ``y'y`` is in what the states have in common.

    ``texts``: of these four, in terms of the constants, which are ``unpacked``.
    """

    texts: tuple[str, str, str, str]
    unpacked: str


def linear_scores(c: Context) -> Linear | None:
    """The scores of the only latent's states where they are one product of the only observed vector."""
    payload = c.plan.inference[0].payload if c.plan.inference else None
    if not isinstance(payload, Enumeration) or len(payload.states) != 1 or len(c.observed) != 1:
        return None
    parts = state_parts(payload)
    held = _Held(frozenset(parts.roots))
    scores = held.taken_out(parts.scores)
    texts = {s.name: f"constant{k + 1}" for k, s in enumerate(held.nodes)}
    axes = {f"constant{k + 1}": a for k, (_, a) in enumerate(held.nodes.values())}
    found = re.fullmatch(
        rf"return add_product\((constant\d+), {c.like}, (constant\d+)\.T(?:, alpha=(\S+))?\)((?: [+-] constant\d+)*)",
        "\n".join(_returned(c, scores, (BATCH, *(s.axis for s in payload.states)), texts)).strip(),
    )
    if found is None or len(axes[found[2]]) != 2 or parts.roots:
        return None
    common = "" if parts.common is None else "\n".join(_returned(c, parts.common, (BATCH,), {})).strip()
    own = re.fullmatch(rf"return (?:(\S+) \* )?{c.like}\.square\(\)\.sum\(-1\)", common)
    scale = "1" if own is None else own[1] or "1"
    return Linear((found[2], found[1] + found[4], found[3] or "1", scale), ", ".join(texts.values()))


@dataclass
class _Held:
    """Symbols for parts of a node that hold parameters alone, with these parts and their axes.

    ``dense``: matrices whose entries lie one after the other in this order of their axes.
    """

    roots: frozenset[Symbol]
    nodes: dict[Symbol, tuple[Node, tuple[Axis, ...]]] = field(default_factory=dict)
    known: dict[tuple[Node, int | None], Symbol] = field(default_factory=dict)
    dense: set[Symbol] = field(default_factory=set)

    def taken_out(self, node: Node) -> Node:
        parts = node.terms if isinstance(node, Add) and any(isinstance(t, Add) for t in node.terms) else (node,)
        return summed(transform(p, self._leaf) for p in parts)

    def _leaf(self, n: Node) -> Node | None:
        if isinstance(n, Tensor):  # what a module is given stays with its call
            return None if BATCH in n.body.free else n
        if BATCH not in n.free:
            return n if self._plain(n) else self._symbol(n)
        if isinstance(n, Sum) and len(n.axes) == 1 and isinstance(n.body, Mul):
            own, rest = self._parted(n.body.factors)
            one = mul(*own)
            if rest and len(one.free) == 2 and n.axes[0] in one.free:
                rest = [transform(p, self._leaf) for p in rest]
                return Sum(mul(*rest, self._symbol(one, last=n.axes[0])), n.axes)
        if isinstance(n, Add | Mul):
            own, rest = self._parted(n.terms if isinstance(n, Add) else n.factors)
            one = add(*own) if isinstance(n, Add) else mul(*own)
            if len([p for p in own if not isinstance(p, Lit)]) > 1 and (
                isinstance(n, Add) or any(p.free == one.free for p in own)
            ):
                rest = [transform(p, self._leaf) for p in rest]
                return (add if isinstance(n, Add) else mul)(*rest, self._symbol(one))
        return None

    def _parted(self, parts: tuple[Node, ...]) -> tuple[list[Node], list[Node]]:
        """Those without data, and those with."""
        return [p for p in parts if BATCH not in p.free], [p for p in parts if BATCH in p.free]

    def _plain(self, n: Node) -> bool:
        if isinstance(n, Mul) and len(n.factors) == 2 and isinstance(n.factors[0], Lit):
            n = n.factors[1]
        return not n.symbols or isinstance(n, Size) or (isinstance(n, Get) and n.symbol not in self.roots)

    def _symbol(self, n: Node, last: Axis | None = None) -> Node:
        """A symbol for the node, its entries along the axis ``last`` side by side in memory."""
        key, axes = signature(n)
        known = (key, None if last is None else axes.index(last))
        axes = axes if last is None else (*(a for a in axes if a != last), last)
        if known not in self.known:
            symbol = Symbol(f"constant~{len(self.known)}", "const", tuple(a.dim for a in axes), REAL)
            self.known[known], self.nodes[symbol] = symbol, (n, axes)
            if last is not None:
                self.dense.add(symbol)
        return Get(self.known[known], axes)


def _constant_lines(c: Context, held: _Held, roots: dict[Symbol, Symbol]) -> list[str]:
    named = {root.name: "root" for root in roots}
    scope = c.scope(renamed=named)
    scope.like = f"self.{c.name(c.model.role('param')[0])}" if c.model.role("param") else scope.like
    for root, of in roots.items():
        c.runtime.add("square_root")
        named[root.name] = scope.assign("root", Value(f"square_root({scope.symbol(of)})")).code
    scope.count(*(n for n, _ in held.nodes.values()))
    texts = []
    for symbol, (n, axes) in held.nodes.items():
        value = scope.tensor(n, axes)
        code = f"{bracket(value.code)}.contiguous()" if symbol in held.dense else value.code
        texts.append(code if scope.is_tensor(n) or axes else scope.constant(value))
    return [
        f"    def {NAME}(self) -> tuple[Tensor, ...]:",
        '        """What the energies of the states hold besides the data."""',
        *("        " + x for x in scope.lines),
        f"        return {tuple_text(texts)}",
    ]


def _weight_lines(c: Context, payload: Enumeration) -> list[str]:
    lines = [f"    def state_weights(self, {c.typed(c.observed)}) -> Tensor:"]
    lines.append('        """The share of each state in the answer, shaped as ``state_energies``."""')
    lines.append(f"        energies = self.state_energies({c.args(c.observed)}).detach()")
    if payload.kind == "min":
        lines.append("        state = energies.flatten(1).argmin(1)")
        lines.append("        weights = nn.functional.one_hot(state, energies[0].numel()).to(energies.dtype)")
    else:
        beta = "" if payload.beta is None else f"{c.scope().emit(payload.beta).atom} * "
        lines.append(f"        weights = torch.softmax(-{beta}energies.flatten(1), 1)")
    return [*lines, "        return weights.reshape(energies.shape)"]


def _returned(c: Context, node: Node, axes: tuple[Axis, ...], named: dict[str, str]) -> list[str]:
    scope = c.scope(renamed=named)
    scope.fuse = True
    scope.taken |= set(named.values()) | {"constants"}
    scope.count(node)
    value = scope.tensor(node, axes)
    return [*("        " + x for x in scope.lines), f"        return {value.code}"]
