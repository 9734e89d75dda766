"""Interior points as text: the affine maps, the slope, and how far the slopes of the kinks reach."""

from __future__ import annotations

from ebdsl.emit.newton import NewtonBody
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import Value, bracket
from ebdsl.facts.composite import Piece
from ebdsl.facts.normal import defined_everywhere
from ebdsl.infer.rules.interior import Interior
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH

NONE = "torch.zeros_like({w})"
ENDS = {"abs": ("-{w}", "{w}", NONE), "relu": (NONE, "{w}", NONE), "huber": ("-{w}", "{w}", "1 / {w}"),
        "least": ("-torch.inf * {w}", NONE, NONE), "most": (NONE, "torch.inf * {w}", NONE)}  # fmt: skip
"""Of each kind of piece: from where to where its slope turns, and how softly."""


class InteriorBody(NewtonBody):
    """A body that can minimise kinks beside what is smooth."""

    def interior(self, p: Interior) -> None:
        latents = (*p.latents, *p.heights)
        held = frozenset(latents)
        self.context.runtime |= {"interior_point"}
        start = self._start(p.latents)
        if p.heights:
            start = self._with_heights(p)
        maps = [(piece.maps[0].node, piece.outer) for piece in p.pieces]
        hoisted = [(self._hoist(node, held), axes) for node, axes in maps]
        texts = {s: t for (_, found, _), _ in hoisted for s, t in found.items()}
        needed = dict.fromkeys(s for (_, _, of), _ in hoisted for s in of)
        given = [texts.get(s) or self.name(s) for s in needed]
        inner = self._loop_scope(texts, latents, [self.name(s) for s in latents])
        inner.count(*(with_batch(node) for (node, _, _), _ in hoisted))
        rows = []
        for (node, _, _), axes in hoisted:
            value = inner.tensor(with_batch(node), (BATCH, *axes))
            rows.append(value.code if len(axes) == 1 else f"{value.atom}.reshape(point.shape[0], -1)")
        whole = rows[0] if len(rows) == 1 else f"torch.cat(({', '.join(rows)}), 1)"
        self._closure("forward", given, latents, [*inner.lines, f"return {whole}"])
        names, bend = self._smooth_functions(p.smooth, latents, p.second, value=False)
        self.line(f"begin = {start}")
        ends = self._reaches(p.pieces)
        self.line(f"cold = {self._cold('begin')}")
        cold = dict(zip(latents, self._unpack(latents, "cold"), strict=True))
        level = self.energy_of({s: cold[s] for s in p.latents})
        if not defined_everywhere(p.smooth, frozenset(p.latents)):
            self.line(f"level = {level}")
            self.line("cold = torch.ones_like(begin)")
            level = f"torch.where(level.isfinite(), level, {level})"
        self._goal(level)
        low, high = self._ends(latents)
        bend = "bend" if p.second is not None else "None"
        self.line("point, residual, iterations = interior_point(")
        self.line(f"    (forward, gradient, {bend}), ({', '.join(ends)}), ({low}, {high}), begin,")
        self.line(f"    ({tuple_text(given)}, {tuple_text(names)}), goal, max_steps,")
        self.line(")")
        if p.heights:
            self.line(f"point = point[:, :{' + '.join(self._numel(s) for s in p.latents)}]")
        self._found(p.latents)

    def _with_heights(self, p: Interior) -> str:
        """Text of the packed start: the latents' and zeros."""
        zeros = []
        for t in p.heights:
            self.context.names[t.name] = self.scope.name("height")
            sizes = tuple_text([f"{self.like}.shape[0]", *(self.context.dim(d) for d in t.shape)])
            zeros.append(f"{self.like}.new_zeros({sizes})")
        return self._pack((*p.latents, *p.heights), [*(self.name(s) for s in p.latents), *zeros])

    def _reaches(self, pieces: tuple[Piece, ...]) -> list[str]:
        """Texts of the slopes between which each kink turns: ``(m,)``, or ``(B, m)`` where they differ by sample."""
        each = any(s.per_sample for piece in pieces for s in piece.weight.symbols)
        names = []
        for piece in pieces:
            own = any(s.per_sample for s in piece.weight.symbols)
            node = with_batch(piece.weight) if own else piece.weight
            weight = self.scope.tensor(node, (BATCH, *piece.outer) if own else piece.outer)
            number = not weight.axes and not self.scope.is_tensor(piece.weight)
            code = self.scope.constant(weight) if number else bracket(weight.code)
            shape = "begin.shape[0], -1" if own else "1, -1" if each else "-1"
            code = f"{code}.reshape({shape})" + ".expand(begin.shape[0], -1)" * (each and not own)
            names.append(self.scope.assign("weight", Value(code)).code)
        texts = []
        for k in range(3):
            parts = [ENDS[piece.kind][k].format(w=w) for piece, w in zip(pieces, names, strict=True)]
            texts.append(parts[0] if len(parts) == 1 else f"torch.cat(({', '.join(parts)}), -1)")
        return texts
