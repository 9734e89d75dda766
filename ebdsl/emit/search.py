"""Local search as text: the sites of the latents, or the matrix of a quadratic, and the call."""

from __future__ import annotations

from ebdsl.emit.context import called
from ebdsl.emit.newton import NewtonBody
from ebdsl.emit.stacked import stacked_row
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import number
from ebdsl.infer.rules.local_search import STARTS, Search
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, Symbol


class SearchBody(NewtonBody):
    """A body that can look for low energies among too many states to try."""

    def search(self, p: Search) -> None:
        latents = p.latents
        start = self._start(latents)
        self.line(f"begin = {start}")
        self.line(f"count = {STARTS} if start is None else 1")
        self.context.runtime.add("starting_points")
        self.line("if start is None:")
        self.line(f"    begin = starting_points(begin, {STARTS}, -3, 3, grid=False)")
        snapped = [self._snapped(s, x) for s, x in zip(latents, self._unpack(latents, "begin"), strict=True)]
        self.line(f"    begin = {self._pack(latents, snapped)}")
        if p.form is None:
            self._by_sites(p)
        else:
            self._by_flips(p)
        for s, text in zip(latents, self._unpack(latents, "point"), strict=True):
            self.line(f"{self.name(s)} = {text}")
        observed = [self.name(s) for s in (*self.context.observed, *self.fixed)]
        repeated = [f"{n}.repeat_interleave(count, 0)" for n in observed]
        everyone = self._energy_args(repeated, {s: self.name(s) for s in latents})
        self.line(f"energy, best = self.{self.energy_name}({everyone}).reshape(-1, count).min(1)")
        self.line(f"best = best + count * torch.arange({self.like}.shape[0], device={self.like}.device)")
        for s in latents:
            self.answer(s, f"{self.name(s)}[best]")
        self.finish("energy", "residual[best]", "iterations[best]")

    def _snapped(self, s: Symbol, x: str) -> str:
        """The nearest value: an entry's draw is as likely to be on either side."""
        text = s.domain.row.torch
        assert text is not None
        self.context.runtime |= called(text)
        low, high = s.domain.row.bounds(s.domain.args)
        n = self.context.dim(s.shape[-1]) if s.shape else "1"
        shifted = f"{x} + {number((low + high) / 2)}" if low + high and s.domain.row.whole == 0 else x
        return text.format(*map(number, s.domain.args), x=shifted, ndim=len(s.shape), n=n)

    def _by_sites(self, p: Search) -> None:
        self.context.runtime.add("site_search")
        node, texts, given = self._hoist(p.energy, frozenset(p.latents))
        names = [texts.get(s) or self.name(s) for s in given]
        inner = self._loop_scope(texts, p.latents, [self.name(s) for s in p.latents])
        inner.count(with_batch(node))
        value = inner.tensor(with_batch(node), (BATCH,))
        self._closure("held", names, p.latents, [*inner.lines, f"return {value.code}"])
        begin, pieces = "0", []
        for s in p.latents:
            row = s.domain.row
            options = f"dtype={self.like}.dtype, device={self.like}.device"
            n = self.context.dim(s.shape[-1]) if s.shape else "1"
            assert row.points_torch is not None
            table = row.points_torch.format(n=n, options=options)
            if row.whole == 0:
                table, n = f"{table}[:, None]", "1"
            end = f"{begin} + {self._numel(s)}" if begin != "0" else self._numel(s)
            pieces.append(f"*((k, {table}) for k in range({begin}, {end}, {n}))")
            begin = end
        self.line(f"sites = [{', '.join(pieces)}]")
        each = tuple_text([f"{n}.repeat_interleave(count, 0)" for n in names])
        self.line(f"point, residual, iterations = site_search(held, begin, {each}, sites, max_steps)")

    def _by_flips(self, p: Search) -> None:
        assert p.form is not None
        self.context.runtime.add("flip_search")
        matrix, parts = self._joint_system(p.form)
        each = "" if p.form.shared else ".repeat_interleave(count, 0)"
        self.line(f"gram = {matrix}")
        self.line(f"linear = {stacked_row(self.scope, p.form.second.at, parts)}")
        low, high = ([], [])  # type: tuple[list[str], list[str]]
        for s in p.latents:
            for ends, v in zip((low, high), s.domain.row.bounds(s.domain.args), strict=True):
                ends.append(f"{self.like}.new_full(({self._numel(s)},), {number(v)})")
        ends = [x[0] if len(x) == 1 else f"torch.cat(({', '.join(x)}))" for x in (low, high)]
        self.line(
            f"point, residual, iterations = flip_search(gram{each}, linear.repeat_interleave(count, 0), "
            f"{ends[0]}, {ends[1]}, begin, max_steps)"
        )
