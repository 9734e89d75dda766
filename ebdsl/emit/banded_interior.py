"""Interior points along time as text: the band of a Newton step, made anew from its weights."""

from __future__ import annotations

import math

from ebdsl.emit.bands import BandBody
from ebdsl.emit.splitting import SplittingBody
from ebdsl.emit.tensors import Scope
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import Value, bracket, number
from ebdsl.facts.bands import Piece as Coupling
from ebdsl.facts.composite import Piece
from ebdsl.facts.quadratic import without_deltas
from ebdsl.infer.rules.banded_interior import BandedInterior
from ebdsl.model.algebra import with_batch
from ebdsl.model.derivative import fresh_index
from ebdsl.model.ir import BATCH, ZERO

ENDS = {"least": (-math.inf, 0.0), "most": (0.0, math.inf)}


class BandedInteriorBody(SplittingBody, BandBody):
    """What the rule ``banded interior point`` writes."""

    def banded_interior(self, p: BandedInterior) -> None:
        z, pieces = p.problem.latent, p.problem.parts.pieces
        self.context.runtime.add("banded_interior_point")
        start = self._start((z,))
        at = fresh_index(z)
        given = self._split_functions(p.problem, at)
        self._split_bound(p.problem, at)
        upper = [c for c in p.band.pieces if c.offset >= 0]
        smooth = [c for c in upper if not c.value.symbols & set(p.weights)]
        shared = not any(s.per_sample for c in smooth for s in c.value.symbols)
        self._couplings(self.scope, p, smooth, "smooth", "1" if shared else f"{self.like}.shape[0]")
        self._curved(p, [c for c in upper if c.value.symbols & set(p.weights)])
        low, high = ([self._price(piece, k) for piece in pieces] for k in (0, 1))
        for name, parts in (("low", low), ("high", high)):
            self.line(f"{name} = {parts[0] if len(parts) == 1 else f'torch.cat({tuple_text(parts)})'}")
        offset = self._offset(p)
        self.line(f"begin = {start}")
        self.line(f"cold = {self._cold('begin')}")
        self._goal(self.energy_of({z: self._unpack((z,), "cold")[0]}))
        layout = tuple_text([tuple_text([self.context.dim(d) for d in z.shape]), str(p.band.places[0])])
        ends = z.domain.row.bounds(z.domain.args) if z.domain.kind != "real" else (-math.inf, math.inf)
        self.line("point, residual, iterations = banded_interior_point(")
        copies = self._copies(p)
        self.line(f"    (forward, back, gradient), bound, (smooth, curved), {layout}, {offset}, (low, high), {copies},")
        self.line(f"    {tuple_text([infinite(e) for e in ends])}, begin, {tuple_text(given)}, goal, max_steps")
        self.line(")")
        self._found((z,))

    def _offset(self, p: BandedInterior) -> str:
        """What the maps are at 0."""
        if not any(n != ZERO for n in p.offsets):
            return "None"
        parts = []
        for node, piece in zip(p.offsets, p.problem.parts.pieces, strict=True):
            code = self.scope.tensor(with_batch(node), (BATCH, *piece.outer)).code
            parts.append(code if len(piece.outer) == 1 else f"{bracket(code)}.reshape(-1, {self._length(piece)})")
        self.line(f"offset = {parts[0] if len(parts) == 1 else f'torch.cat({tuple_text(parts)}, 1)'}")
        return "offset"

    def _price(self, piece: Piece, k: int) -> str:
        """The least or greatest slope of each of a penalty's entries."""
        scope = self.scope
        if piece.kind in ENDS or (piece.kind == "relu" and not k):
            value = infinite(ENDS[piece.kind][k]) if piece.kind in ENDS else "0"
            return f"torch.full(({self._length(piece)},), {value}, dtype={self.like}.dtype, device={self.like}.device)"
        weight = scope.tensor(piece.weight, piece.outer)
        code = scope.assign("price", Value(f"{bracket(weight.code)}.reshape(-1)")).code
        return code if k else f"-{code}"

    def _copies(self, p: BandedInterior) -> str:
        """The stretches of the maps that are entries of the latent less a number, and that number."""
        z, pieces = p.problem.latent, p.problem.parts.pieces
        found = []
        for k, piece in enumerate(pieces):
            end = z.domain.row.bounds(z.domain.args)[piece.kind == "most"] if piece.kind in ENDS else 0.0
            if piece.kind not in ENDS and (p.offsets[k] != ZERO or not piece.is_copy_of(z)):
                continue
            stretch = [f"sum(sizes[:{n}])" for n in (k, k + 1)] if len(pieces) > 1 else ["0", self._length(piece)]
            found.append(tuple_text([*stretch, number(end)]))
        return f"[{', '.join(found)}]"

    def _curved(self, p: BandedInterior, couplings: list[Coupling]) -> None:
        """Define ``curved``, the band of ``K'wK``."""
        pieces = p.problem.parts.pieces
        lines = self._taken_apart("dual", pieces)
        names = {}
        for piece, w, text in zip(pieces, p.weights, self._named("dual", pieces), strict=True):
            names[w.name] = self.scope.name("weight_1")
            sizes = "".join(f", {self.context.dim(a.dim)}" for a in piece.outer)
            lines.append(f"{names[w.name]} = {text if len(piece.outer) == 1 else f'{text}.reshape(-1{sizes})'}")
        inner = self.context.scope(batch="dual.shape[0]", renamed=names)
        inner.taken |= self.scope.taken | set(names.values()) | {"bands"}
        inner.like = "dual"
        self._couplings(inner, p, couplings, "bands", "dual.shape[0]")
        self.line("")
        self.line("def curved(dual: Tensor) -> Tensor:")
        self.lines.extend("    " + x for x in [*lines, *inner.lines, "return bands"])
        self.line("")

    def _couplings(self, scope: Scope, p: BandedInterior, couplings: list[Coupling], name: str, batch: str) -> None:
        """Lines that make a band ``(T, p+1, B, rest)`` out of its pieces."""
        z, found = p.problem.latent, p.band
        rest = self._times(*(self.context.dim(d) for k, d in enumerate(z.shape) if k != found.places[0]))
        like = scope.like
        values = [without_deltas(c.value, list(zip(c.left, c.right, strict=True))) for c in couplings]
        scope.count(*(with_batch(v) for v in values))
        scope.lines.append(f"{name} = {like}.new_zeros(({scope.dim(found.steps)}, {found.width + 1}, {batch}, {rest}))")
        for c, value in zip(couplings, values, strict=True):
            assert c.time is not None
            node = with_batch(value)
            rows = f"{c.first}:{c.first} + {scope.dim(c.time.dim)}" if c.first else f":{scope.dim(c.time.dim)}"
            if not node.free:
                text = scope.emit(node).code
            elif not c.left:
                text = f"{bracket(scope.tensor(node, (c.time, BATCH) if BATCH in node.free else (c.time,)).code)}"
                text += "[..., None]" if BATCH in node.free else "[:, None, None]"
            else:
                lead = (c.time, BATCH) if BATCH in node.free else (c.time,)
                code = bracket(scope.tensor(node, (*lead, *c.left)).code)
                text = f"{code}.reshape({scope.dim(c.time.dim)}, {'-1' if BATCH in node.free else '1'}, {rest})"
            scope.lines.append(f"{name}[{rows}, {c.offset}] += {text}")


def infinite(value: float) -> str:
    return number(value) if math.isfinite(value) else f"{'-' if value < 0 else ''}torch.inf"
