"""The text of a Riccati recursion: what each step costs, and how it reads those before it."""

from __future__ import annotations

from ebdsl.emit.bands import BandBody
from ebdsl.emit.values import bracket
from ebdsl.facts.controlled import Controlled, Follows
from ebdsl.model.algebra import with_batch
from ebdsl.model.build import neg
from ebdsl.model.ir import BATCH, ZERO, Dim, Node, Tensor, difference


class RiccatiBody(BandBody):
    """What the rule ``Riccati recursion`` writes."""

    def riccati(self, found: Controlled) -> None:
        self.context.runtime.add("solve_riccati")
        like, shared, band = self.like, found.shared, found.band
        nodes: list[Node] = [neg(b) for b in band.linear]
        nodes += [p.value for p in band.pieces if p.offset >= 0]
        nodes += [p.value for f in found.follows for p in f.links] + [f.drift for f in found.follows]
        self.scope.count(*(with_batch(n) for n in nodes))
        sizes, spans = self._assembled(band, shared)
        steps, count = self.scope.dim(band.steps), len(found.follows)
        states, whole = " + ".join(sizes[:count]), " + ".join(sizes)
        lead, before = ("", "") if shared else (f"{like}.shape[0], ", ":, ")
        free = []
        self.line(f"ways = {like}.new_zeros(({lead}{found.reach + 1}, {steps}, {states}, {whole}))")
        self.line(f"drift = {like}.new_zeros(({like}.shape[0], {steps}, {states}))")
        for k, f in enumerate(found.follows):
            rows = f"{spans[k][: spans[k].index(':')]}:{self._end(sizes, k) if k + 1 < count else ''}"
            for link in f.links:
                text = self._link(link, sizes, k)
                when = self._when(f, band.steps)
                self.line(f"ways[{before}{f.lag(link)}, {when}, {rows}, {spans[link.column]}] += {text}")
            if f.drift != ZERO:
                code = self._flat_code(f.drift, (f.time, *f.at), sizes[k], self.scope.dim(f.time.dim))
                self.line(f"drift[:, {self._when(f, band.steps)}, {rows}] = {code}  # {f.text}")
            for step, start in enumerate(f.starts or ()):
                code = self._flat_code(start.body, start.axes, sizes[k])
                self.line(f"drift[:, {step}, {rows}] = {code}")
            if f.chosen is not None:
                at = spans[k][: spans[k].index(":")] or "0"
                eye = f"torch.eye({sizes[k]}, dtype={like}.dtype, device={like}.device)"
                self.line(f"ways[{before}1, 0, {rows}, {spans[k]}] = {eye}  # {f.state.name} starts where it is best")
                free.append(f"*range({at}, {self._end(sizes, k)})")
        more = f", ({', '.join(free)},)" if free else ""
        self.line(f"found, left = solve_riccati(bands, right, ways, drift{more})")
        self._answers(band, tuple(s for s in found.latents if s in band.latents))
        for k, f in enumerate(found.follows):
            if f.chosen is None:
                continue
            code = f"found[:, 0, {spans[k]}]"
            if len(f.chosen.shape) != 1:
                code += f".reshape(-1{''.join(f', {self.scope.dim(d)}' for d in f.chosen.shape)})"
            self.answer(f.chosen, code)
        self.finish_system("right", "drift")

    def _end(self, sizes: list[str], k: int) -> str:
        return " + ".join(sizes[: k + 1])

    def _when(self, f: Follows, steps: Dim) -> str:
        """The steps whose states follow from those before."""
        past = difference(steps, f.time.dim)
        stop = "" if past == f.order else f"{f.order} + {self.scope.dim(f.time.dim)}"
        return f"{f.order}:{stop}"

    def _link(self, link: object, sizes: list[str], k: int) -> str:
        from dataclasses import replace

        from ebdsl.facts.bands import Piece

        assert isinstance(link, Piece)
        return self._block(replace(link, row=k), with_batch(link.value), sizes)

    def _flat_code(self, node: Node, axes: tuple[object, ...], size: str, steps: str | None = None) -> str:
        """A state, or one for each step, as rows of numbers: ``(B, steps, size)``."""
        whole = Tensor(node, axes)  # type: ignore[arg-type]
        code = self.scope.tensor(with_batch(node), (BATCH, *whole.axes)).code
        if len(axes) - (steps is not None) == 1:
            return code
        shape = ", ".join(["-1", *([steps] if steps is not None else []), size])
        return f"{bracket(code)}.reshape({shape})"
