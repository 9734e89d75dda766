"""Descent from several starts as text."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from ebdsl.emit.newton import NewtonBody
from ebdsl.emit.text import tuple_text
from ebdsl.infer.rules.descent import Descent
from ebdsl.infer.rules.newton import Smooth
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

PROBES = 3


class DescentBody(NewtonBody):
    """A body that can go downhill from several points."""

    def descent(self, d: Descent, improve: Callable[[list[str]], None] | None = None, prox: str | None = None) -> None:
        """``improve`` may write lines that replace ``begin`` by better points, before all latents go down together."""
        latents = d.latents
        self.context.runtime |= {"starting_points", "lowest_rows"}
        like = self.like
        start = self._start(latents)
        low, high = span(latents)
        observed = [self.name(s) for s in (*self.context.observed, *self.fixed)]
        repeated = [f"{n}_each" for n in observed]
        everyone = self._energy_args(repeated, dict(zip(latents, self._unpack(latents, "begin"), strict=True)))
        self.line(f"begin = {start}")
        self.line(f"probes = starting_points({self._cold('begin')}, {PROBES}, {low:g}, {high:g}, grid=False)")
        self.line(f"count = {d.keep} if start is None else 1")
        if d.solved is not None:
            held, inner = d.solved
            cast("InferBody", self)._turn(held, inner, tuple(s for s in latents if s not in held))
        if prox is None and all(_projects(s) for s in latents):
            prox = self._prox_lines(d.penalties, latents)
        self.line("if start is None:")
        if d.wide:
            self._promising(d, prox)
        else:
            self.line(f"    begin = starting_points(begin, {d.starts}, {low:g}, {high:g}, grid={d.grid})")
        if d.keep < d.starts and not d.wide:
            if prox is not None:
                self.line("    begin = prox(begin, torch.zeros_like(begin[:, :1]))")
            for n, r in zip(observed, repeated, strict=True):
                self.line(f"    {r} = {n}.repeat_interleave({d.starts}, 0)")
            self.line(
                f"    begin = lowest_rows(begin, self.{self.energy_name}({everyone}).reshape(-1, {d.starts}), count)"
            )
        for n, r in zip(observed, repeated, strict=True):
            self.line(f"{r} = {n}.repeat_interleave(count, 0)")
        if improve is not None:
            if prox is not None:
                self.line("begin = prox(begin, torch.zeros_like(begin[:, :1]))")
            improve(repeated)
        if d.newton is not None:
            self._each_newton(d.newton)
        else:
            self._each_proximal(d, prox)
        for s, text in zip(latents, self._unpack(latents, "point"), strict=True):
            self.line(f"{self.name(s)} = {text}")
        everyone = self._energy_args(repeated, {s: self.name(s) for s in latents})
        self.line(f"energy = self.{self.energy_name}({everyone}).reshape(-1, count)")
        self.line("blur = torch.where(residual > goal, 10 * tolerance, 0).reshape(energy.shape)")
        self.line("best = torch.where(energy.isnan(), torch.inf, energy + blur * energy.abs()).argmin(1)")
        self.line("energy = energy.gather(1, best[:, None])[:, 0]")
        self.line(f"best = best + count * torch.arange({like}.shape[0], device={like}.device)")
        for s in latents:
            self.answer(s, f"{self.name(s)}[best]")
        self.finish("energy", "residual[best]", "iterations[best]", goal="goal[best]")

    def _promising(self, d: Descent, prox: str | None) -> None:
        """``begin`` as the most promising points."""
        self.context.runtime.add("promising_points")
        names = [self.name(s) for s in (*self.context.observed, *self.fixed)]
        parts = dict(zip(d.latents, self._unpack(d.latents, "begin"), strict=True))
        energy = f"self.{self.energy_name}({self._energy_args(names, parts)})"
        low, high = self._ends(d.latents)
        if d.solved is None:
            tried, placed = "list(range(begin.shape[1]))", "begin"
        else:
            tried, placed = self._tried(d, d.solved[0]), self._placed(d, names, parts)
        if prox is not None:
            placed = f"{prox}({placed}, torch.zeros_like(begin[:, :1]))"
        arguments = ", ".join(["begin", *names])
        self.line("    begin = promising_points(")
        self.line(f"        lambda {arguments}: {energy},")
        self.line(f"        lambda {arguments}: {placed},")
        self.line(f"        begin, {tuple_text(names)}, ({low}, {high}), {tried}, {d.starts}, count,")
        self.line("    )")

    def _tried(self, d: Descent, held: tuple[Symbol, ...]) -> str:
        """Text of the places of what is not solved for, of which all sizes are known."""
        places, begin = [], 0
        for s in d.latents:
            size = math.prod(n or 0 for n in self.context.model.shape(s))
            places += [] if s in held else list(range(begin, begin + size))
            begin += size
        return str(places)

    def _placed(self, d: Descent, names: list[str], parts: dict[Symbol, str]) -> str:
        """Text of ``begin`` with what is solved for at its best."""
        assert d.solved is not None
        held, _ = d.solved
        others = [parts[s] for s in d.latents if s not in held]
        call = f"solve_{'_'.join(map(self.name, held))}({', '.join([*names, *others])}, start={{}}).latents"
        found = [f'{call}["{self.name(s)}"]' if s in held else parts[s] for s in d.latents]
        return self._pack(d.latents, found)

    def _each_proximal(self, d: Descent, prox: str | None) -> None:
        self.context.runtime.add("descend")
        latents = d.latents
        node, texts, given_symbols = self._hoist(d.smooth, frozenset(latents))
        inner = self._loop_scope(texts, latents, [self.name(s) for s in latents])
        inner.count(with_batch(node))
        value = inner.tensor(with_batch(node), (BATCH,))
        names = [texts.get(s) or self.name(s) for s in given_symbols]
        self._closure("smooth", names, latents, [*inner.lines, f"return {value.code}"])
        self.context.runtime.add("slope_of")
        self._goal_at_probes("slope_of(smooth, probes", names)
        where = tuple_text(
            [f"{texts[s]}.repeat_interleave(count, 0)" if s in texts else f"{self.name(s)}_each" for s in given_symbols]
        )
        self.line(f"point, _, residual, iterations = descend(smooth, {prox}, begin, {where}, goal, max_steps)")

    def _each_newton(self, p: Smooth) -> None:
        self.context.runtime.add("smooth_minimum")
        names, bend = self._smooth_functions(p.energy, p.latents, p.second)
        self._goal_at_probes("gradient(probes", names)
        given = tuple_text([f"{n}.repeat_interleave(count, 0)" for n in names])
        self.line(f"point, residual, iterations = {self._smooth_call(p, bend, given)}")

    def _goal_at_probes(self, call: str, names: list[str]) -> None:
        """A residual is measured by the slope at a few points, since the one at the centre may vanish."""
        call = ", ".join([call, *(f"{n}.repeat_interleave({PROBES}, 0)" for n in names)])
        self.line(f"slope = {call}).abs().amax(1).reshape(-1, {PROBES}).median(1).values")
        self.context.runtime.add("residual_goals")
        self.line("goal = residual_goals(slope, tolerance).repeat_interleave(count, 0)")


def _projects(s: Symbol) -> bool:
    return s.domain.kind == "real" or s.domain.row.project is not None


def span(latents: tuple[Symbol, ...]) -> tuple[float, float]:
    """Where starts are looked for: the latents' bounds where they have them, else three units about zero."""
    bounds = [s.domain.row.bounds(s.domain.args) for s in latents]
    if all(math.isfinite(low) and math.isfinite(high) for low, high in bounds):
        return min(b[0] for b in bounds), max(b[1] for b in bounds)
    return (0.0 if all(b[0] == 0 for b in bounds) else -3.0), 3.0
