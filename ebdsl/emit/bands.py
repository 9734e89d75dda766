"""The text of a banded solve: the blocks of the second derivative, written where they belong."""

from __future__ import annotations

from ebdsl.emit.body import Body
from ebdsl.emit.values import bracket
from ebdsl.facts.bands import Band, Piece
from ebdsl.model.algebra import with_batch
from ebdsl.model.build import neg
from ebdsl.model.ir import BATCH, ZERO, Axis, Dim, Symbol


class BandBody(Body):
    """What the rule ``banded solve`` writes."""

    def band(self, found: Band) -> None:
        self.context.runtime.add("solve_band")
        self.scope.count(*(with_batch(n) for n in (*(neg(b) for b in found.linear), *(p.value for p in _upper(found)))))
        self._assembled(found, found.shared)
        self.line("found, left = solve_band(bands, right)")
        self._answers(found, found.latents)
        self.finish_system("right")

    def _assembled(self, found: Band, shared: bool) -> tuple[list[str], list[str]]:
        """Lines that make ``bands`` and ``right``; the latents' sizes and stretches in one step."""
        dim, like = self.scope.dim, self.like
        steps = dim(found.steps)
        sizes = [self._size(s.shape[:p] + s.shape[p + 1 :]) for s, p in zip(found.latents, found.places, strict=True)]
        whole, spans = " + ".join(sizes), self._spans(sizes)
        lead = "" if shared else f"{like}.shape[0], "
        upper = _upper(found)
        values = [with_batch(p.value) for p in upper]
        linear = [with_batch(neg(n)) for n in found.linear]
        self.line(f"bands = {like}.new_zeros(({lead}{found.width + 1}, {steps}, {whole}, {whole}))")
        before = "" if shared else ":, "
        for p, value in zip(upper, values, strict=True):
            rows = self._rows(p, found)
            text = self._block(p, value, sizes)
            self.line(f"bands[{before}{p.offset}, {rows}, {spans[p.row]}, {spans[p.column]}] += {text}")
        for k, s in enumerate(found.latents):
            if found.less(k):
                eye = f"torch.eye({sizes[k]}, dtype={like}.dtype, device={like}.device)"
                self.line(f"bands[{before}0, -{found.less(k)}:, {spans[k]}, {spans[k]}] = {eye}  # {s.name} has ended")
        self.line(f"right = {like}.new_zeros(({like}.shape[0], {steps}, {whole}))")
        for k, (s, place) in enumerate(zip(found.latents, found.places, strict=True)):
            if linear[k] == ZERO:
                continue
            at = found.at[k]
            axes = (BATCH, at[place], *(a for j, a in enumerate(at) if j != place))
            code = self.scope.tensor(linear[k], axes).code
            if len(at) != 2:
                code = f"{bracket(code)}.reshape(-1, {dim(s.shape[place])}, {sizes[k]})"
            stop = f":-{found.less(k)}" if found.less(k) else ":"
            self.line(f"right[:, {stop}, {spans[k]}] = {code}")
        return sizes, spans

    def _answers(self, found: Band, latents: tuple[Symbol, ...]) -> None:
        """Those of ``latents``, picked out of what was found for all of them."""
        dim = self.scope.dim
        sizes = [self._size(s.shape[:p] + s.shape[p + 1 :]) for s, p in zip(found.latents, found.places, strict=True)]
        spans = self._spans(sizes)
        for k, (s, place) in enumerate(zip(found.latents, found.places, strict=True)):
            if s not in latents:
                continue
            stop = f":-{found.less(k)}" if found.less(k) else ":"
            rest = [d for j, d in enumerate(s.shape) if j != place]
            code = f"found[:, {stop}, {spans[k]}]"
            if len(rest) != 1:
                shape = ", ".join([dim(s.shape[place]), *(dim(d) for d in rest)])
                code = f"{code}.reshape(-1, {shape})"
            if place:
                code = f"{code}.movedim(1, {place + 1})"
            self.answer(s, code)

    def finish_system(self, *sides: str) -> None:
        """The residual is what the equations leave, against the size of their right sides."""
        self.context.runtime.add("residual_goals")
        scale = " + ".join(f"residual_goals({side}, 1.0)" for side in sides)
        self.finish(self.energy_call(), f"left / {bracket(scale)}", "torch.ones_like(residual, dtype=torch.int64)")

    def _spans(self, sizes: list[str]) -> list[str]:
        """Where each latent's entries of one step stand."""
        ends: list[str] = []
        for k, size in enumerate(sizes):
            ends.append(size if not k else f"{ends[-1]} + {size}")
        return [f"{ends[k - 1] if k else ''}:{ends[k] if k + 1 < len(ends) else ''}" for k in range(len(ends))]

    def _size(self, dims: tuple[Dim, ...]) -> str:
        known = [self.scope.extent(d) for d in dims]
        if all(isinstance(d, int) for d in dims):
            total = 1
            for n in known:
                total *= n or 1
            return str(total)
        return " * ".join(bracket(self.scope.dim(d)) for d in dims)

    def _rows(self, p: Piece, found: Band) -> str:
        """The steps at which a piece stands."""
        if p.time is None:
            return str(p.first if p.first >= 0 else p.first - found.less(p.row))
        length = self.scope.dim(p.time.dim)
        if not p.first:
            return f":{length}" if p.time.dim != found.steps else ":"
        return f"{p.first}:{p.first} + {length}"

    def _block(self, p: Piece, value: object, sizes: list[str]) -> str:
        from ebdsl.model.ir import Node

        assert isinstance(value, Node)
        lead: tuple[Axis, ...] = tuple(a for a in (BATCH, p.time) if a is not None and a in value.free)
        axes = (*lead, *p.left, *p.right)
        flat = len(p.left) == 1 and len(p.right) == 1
        if not axes:
            return self.scope.emit(value).code
        if flat:
            code = self.scope.tensor(value, axes).code
        else:
            shape = ", ".join([*(self.scope.dim(a.dim) for a in lead), sizes[p.row], sizes[p.column]])
            code = f"{bracket(self.scope.tensor(value, axes).code)}.reshape({shape})"
        if lead == (BATCH,) and p.time is not None:
            code = f"{bracket(code)}[:, None]"
        return code


def _upper(found: Band) -> list[Piece]:
    return [p for p in found.pieces if p.offset >= 0]
