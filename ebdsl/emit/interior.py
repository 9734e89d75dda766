"""Interior points as text: the affine maps, the slope, and how far the slopes of the kinks reach."""

from __future__ import annotations

from ebdsl.emit.proximal import ProximalBody
from ebdsl.emit.values import Value, bracket
from ebdsl.infer.rules.interior import Interior
from ebdsl.model.algebra import with_batch
from ebdsl.model.derivative import derivative, fresh_index
from ebdsl.model.ir import BATCH, Axis, Node


class InteriorBody(ProximalBody):
    """A body that can minimise kinks beside a quadratic, of one sample."""

    def interior(self, p: Interior) -> None:
        latents, held = p.latents, frozenset(p.latents)
        self.context.runtime.add("interior_point")
        start = self._start(latents)
        ats = [fresh_index(s) for s in latents]
        maps = [(piece.maps[0].node, piece.outer) for piece in p.pieces]
        slopes = [(derivative(p.smooth, s, at), at) for s, at in zip(latents, ats, strict=True)]
        hoisted = [(self._hoist(node, held), axes) for node, axes in (*maps, *slopes)]
        texts = {s: t for (_, found, _), _ in hoisted for s, t in found.items()}

        def closure(name: str, parts: list[tuple[Node, tuple[Axis, ...]]], flat: bool) -> None:
            inner = self._loop_scope(texts, latents, [self.name(s) for s in latents])
            inner.count(*(with_batch(n) for n, _ in parts))
            values = [inner.tensor(with_batch(n), (BATCH, *axes)) for n, axes in parts]
            rows = [v.code if len(a) == 1 else f"{v.atom}.reshape(point.shape[0], -1)"
                    for v, (_, a) in zip(values, parts, strict=True)]  # fmt: skip
            whole = self._pack(latents, [v.code if flat else v.atom for v in values]) if name == "gradient" else None
            whole = whole or (rows[0] if len(rows) == 1 else f"torch.cat(({', '.join(rows)}), 1)")
            self._closure(name, [], latents, [*inner.lines, f"return {whole}"])

        nodes = [(node, axes) for (node, _, _), axes in hoisted]
        closure("forward", nodes[: len(maps)], self._flat(latents))
        closure("gradient", nodes[len(maps) :], self._flat(latents))
        high = []
        for piece in p.pieces:
            weight = self.scope.tensor(piece.weight, piece.outer)
            number = not weight.axes and not self.scope.is_tensor(piece.weight)
            code = self.scope.constant(weight) if number else bracket(weight.code)
            high.append(self.scope.assign("weight", Value(f"{code}.reshape(-1)")).code)
        low = [f"torch.zeros_like({h})" if piece.kind == "relu" else f"-{h}"
               for h, piece in zip(high, p.pieces, strict=True)]  # fmt: skip
        ends = [parts[0] if len(parts) == 1 else f"torch.cat(({', '.join(parts)}))" for parts in (low, high)]
        self.line(f"begin = {start}")
        self.line(f"cold = {self._cold('begin')}")
        self._goal(self.energy_of(dict(zip(latents, self._unpack(latents, "cold"), strict=True))))
        self.line("point, residual, iterations = interior_point(")
        self.line(f"    forward, gradient, {ends[0]}, {ends[1]}, begin, goal, max_steps")
        self.line(")")
        self._found(latents)
