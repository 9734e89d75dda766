"""Total variation as text: what every step and every difference of neighbours costs."""

from __future__ import annotations

import math

from ebdsl.emit.proximal import ProximalBody
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import bracket, number
from ebdsl.facts.variation import Variation
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, ZERO, Axis, Node


class VariationBody(ProximalBody):
    """What the rule ``total variation`` writes."""

    def variation(self, p: Variation) -> None:
        self.context.runtime.add("minimise_variation")
        z, form = p.latent, p.form
        kinked = (p.below, p.above) != (ZERO, ZERO)
        self.scope.count(*(with_batch(n) for n in (form.matrix, form.linear, p.down, p.up)))
        self.line(f"curve = {self._sequences(form.matrix, form.at, p)}")
        self.line(f"slope = {self._sequences(form.linear, form.at, p, whole=True)}")
        prices = [self._sequences(n, p.edges, p) for n in (p.down, p.up)]
        self.line(f"prices = {tuple_text(prices)}")
        kink = tuple_text([self._sequences(n, form.at, p) for n in (p.below, p.above)]) if kinked else "None"
        if kinked:
            self.line(f"kink = {kink}")
        low, high = z.domain.row.bounds(z.domain.args) if z.domain.kind != "real" else (-math.inf, math.inf)
        ends = tuple_text([_number(low), _number(high)])
        self.line(f"point, residual = minimise_variation(curve, slope, prices, {'kink' if kinked else 'None'}, {ends})")
        rest = [d for k, d in enumerate(z.shape) if k != p.place]
        code = "point[..., 0]" if not rest else "point"
        if len(rest) > 1:
            code = f"point.reshape({', '.join(['-1', *(self.context.dim(d) for d in (z.shape[p.place], *rest))])})"
        if p.place:
            code = f"{code}.movedim(1, {p.place + 1})"
        self.answer(z, code)
        self.line(f"cold = torch.zeros_like({self.name(z)}).clamp({_number(low)}, {_number(high)})")
        self._goal(self.energy_of({z: "cold"}))
        entries = f'{{"{self.name(z)}": {self.name(z)}}}'
        self.line("iterations = torch.ones_like(residual, dtype=torch.int64)")
        self.line(f"return Inference({entries}, {self.energy_call()}, residual, iterations, residual <= goal)")

    def _sequences(self, node: Node, at: tuple[Axis, ...], p: Variation, whole: bool = False) -> str:
        """``(B, T, m)``: a row or one for all, the steps, and the sequences of a row."""
        node = with_batch(node)
        if not (whole or node.free):
            return f"{self.scope.constant(self.scope.emit(node))}.reshape(1, 1, 1)"
        lead = (BATCH,) if whole or BATCH in node.free else ()
        axes = (*lead, at[p.place], *(a for k, a in enumerate(at) if k != p.place))
        code = bracket(self.scope.tensor(node, axes).code)
        if len(at) == 2 and lead:
            return code
        if len(at) == 1:
            return f"{code}[..., None]" if lead else f"{code}[None, :, None]"
        if not lead and len(at) == 2:
            return f"{code}[None]"
        rest = " * ".join(bracket(self.context.dim(a.dim)) for k, a in enumerate(at) if k != p.place)
        return f"{code}.reshape({'-1' if lead else '1'}, {self.context.dim(at[p.place].dim)}, {rest})"


def _number(value: float) -> str:
    return number(value) if math.isfinite(value) else f"{'-' if value < 0 else ''}torch.inf"
