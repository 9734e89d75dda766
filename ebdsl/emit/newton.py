"""Smooth minimisation as text: the energy, its slope and its second derivative as functions of packed latents."""

from __future__ import annotations

import math

from ebdsl.emit.proximal import ProximalBody
from ebdsl.emit.stacked import stacked_matrix
from ebdsl.emit.tensors import Scope
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import bracket, number
from ebdsl.facts.penalties import merged
from ebdsl.facts.second import Second
from ebdsl.infer.rules.newton import SMALL, Smooth
from ebdsl.model.adjoint import gradient
from ebdsl.model.algebra import with_batch
from ebdsl.model.derivative import NoDerivative, fresh_index
from ebdsl.model.ir import BATCH, ZERO, Node, Symbol

STARTS = 8


class NewtonBody(ProximalBody):
    """A body that can minimise a smooth energy between bounds."""

    def newton(self, p: Smooth) -> None:
        latents = p.latents
        self.context.runtime.add("smooth_minimum")
        start = self._start(latents)
        names, bend = self._smooth_functions(p.energy, latents, p.second)
        self.line(f"begin = {start}")
        if p.search:
            self._search(names)
            self.line(f"slope = gradient({', '.join(['torch.zeros_like(begin)', *names])})")
            self.line("defined = slope.isfinite().all(1, keepdim=True)")
            self.line(f"slope = torch.where(defined, slope, gradient({', '.join(['torch.ones_like(begin)', *names])}))")
            self._goal("slope")
        else:
            self._goal(f"gradient({', '.join([self._cold('begin'), *names])})")
        self.line(f"point, residual, iterations = {self._smooth_call(p, bend, tuple_text(names))}")
        self._found(latents)

    def _search(self, names: list[str]) -> None:
        """Begin at the lowest of a few points: the energy is not finite everywhere."""
        self.context.runtime |= {"starting_points", "lowest_rows"}
        self.line("if start is None:  # where the energy is finite")
        self.line(f"    begin = starting_points(begin, {STARTS}, 0, 2, grid=False)")
        each = [f"{n}.repeat_interleave({STARTS}, 0)" for n in names]
        self.line(f"    begin = lowest_rows(begin, smooth({', '.join(['begin', *each])}).reshape(-1, {STARTS}), 1)")

    def _smooth_call(self, p: Smooth, bend: str, given: str) -> str:
        low, high = self._ends(p.latents)
        weight = self._l1_weight(p)
        return f"smooth_minimum(smooth, gradient, {bend}, begin, {given}, {low}, {high}, goal, max_steps{weight})"

    def _l1_weight(self, p: Smooth) -> str:
        """The last argument where absolute values of entries are penalised: a weight for each entry."""
        if not any(found for _, found in p.penalties):
            return ""
        texts = []
        for s, found in p.penalties:
            at = fresh_index(s)
            code = self.scope.tensor(merged(list(found), at) or ZERO, at)
            text = code.code if code.axes else self.scope.constant(code)
            texts.append(text if len(at) == 1 else f"{bracket(text)}.reshape(-1)")
        return f", {texts[0] if len(texts) == 1 else 'torch.cat((' + ', '.join(texts) + '))'}"

    def _ends(self, latents: tuple[Symbol, ...]) -> tuple[str, str]:
        """Texts of the bounds: a number each where all entries have the same, else a row of them."""
        bounds = [s.domain.row.bounds(s.domain.args) for s in latents]
        bounds = [(max(low, 1e-6), high) if s.domain.row.strict else (low, high)
                  for s, (low, high) in zip(latents, bounds, strict=True)]  # fmt: skip
        if len(set(bounds)) == 1:
            return _end(bounds[0][0]), _end(bounds[0][1])
        texts = []
        for k in (0, 1):
            rows = [f"{self.like}.new_full(({self._numel(s)},), {_end(b[k])})"
                    for s, b in zip(latents, bounds, strict=True)]  # fmt: skip
            texts.append(f"torch.cat(({', '.join(rows)}))")
        return texts[0], texts[1]

    def _smooth_functions(
        self, energy: Node, latents: tuple[Symbol, ...], curved: Second | None, value: bool = True
    ) -> tuple[list[str], str]:
        """Define ``smooth``, where its ``value`` is asked for, ``gradient`` and, where it is given, ``bend``.

        Gives the names of the per-sample tensors that they take, and the text of the second derivative.
        """
        held = frozenset(latents)
        try:
            at = [fresh_index(s) for s in latents]
            slopes = [gradient(energy, s, a) for s, a in zip(latents, at, strict=True)]
        except NoDerivative:
            slopes = []
        nodes = [energy, *slopes, *(b for row in (curved.blocks if curved else ()) for b in row)]
        texts: dict[Symbol, str] = {}
        given: dict[Symbol, None] = {}
        hoisted = []
        for n in nodes:
            node, found, needed = self._hoist(n, held)
            hoisted.append(with_batch(node))
            texts |= found
            given |= dict.fromkeys(needed)
        names = [texts.get(s) or self.name(s) for s in given]

        def scope(*of: Node) -> Scope:
            inner = self._loop_scope(texts, latents, [self.name(s) for s in latents])
            inner.count(*of)
            return inner

        if value or not slopes:
            inner = scope(hoisted[0])
            result = inner.tensor(hoisted[0], (BATCH,)).code
            self._closure("smooth", names, latents, [*inner.lines, f"return {result}"])
        if slopes:
            own = hoisted[1 : 1 + len(slopes)]
            inner = scope(*own)
            values = [inner.tensor(n, (BATCH, *a)) for n, a in zip(own, at, strict=True)]
            result = self._pack(latents, [v.code if self._flat(latents) else v.atom for v in values])
            self._closure("gradient", names, latents, [*inner.lines, f"return {result}"])
        else:
            self.context.runtime.add("slope_of")
            self.line(f"def gradient({', '.join(f'{n}: Tensor' for n in ['point', *names])}) -> Tensor:")
            self.line(f"    return slope_of(smooth, {', '.join(['point', *names])})")
            self.line("")
        if curved is None:
            return names, "None"
        own = hoisted[1 + len(slopes) :]
        inner = scope(*own)
        result = self._curvature(inner, own, latents, curved)
        self._closure("bend", names, latents, [*inner.lines, f"return {result}"])
        sizes = [self.context.model.shape(s) for s in latents]
        known = all(n is not None for shape in sizes for n in shape)
        return names, "bend" if known or curved.diagonal else f"bend if begin.shape[1] <= {SMALL} else None"

    def _curvature(self, inner: Scope, blocks: list[Node], latents: tuple[Symbol, ...], curved: Second) -> str:
        """The text of the second derivative ``(B, n, n)``, or of its diagonal ``(B, n)``."""
        if curved.diagonal:
            code = inner.tensor(blocks[0], (BATCH, *curved.at[0])).code
            return code if self._flat(latents) else f"{bracket(code)}.reshape(-1, {self._numel(latents[0])})"
        return stacked_matrix(inner, curved, blocks, shared=False)


def _end(value: float) -> str:
    return number(value) if math.isfinite(value) else "math.inf" if value > 0 else "-math.inf"
