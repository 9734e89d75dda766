"""Descent from several starts as text."""

from __future__ import annotations

import math
from collections.abc import Callable

from ebdsl.emit.newton import NewtonBody
from ebdsl.emit.text import tuple_text
from ebdsl.infer.rules.descent import Descent
from ebdsl.infer.rules.newton import Smooth
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, Symbol

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
        if prox is None and all(_projects(s) for s in latents):
            prox = self._prox_lines(d.penalties, latents)
        self.line("if start is None:")
        self.line(f"    begin = starting_points(begin, {d.starts}, {low:g}, {high:g}, grid={d.grid})")
        if d.keep < d.starts:
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
        self.line("energy, best = torch.where(energy.isnan(), torch.inf, energy).min(1)")
        self.line(f"best = best + count * torch.arange({like}.shape[0], device={like}.device)")
        for s in latents:
            self.answer(s, f"{self.name(s)}[best]")
        self.finish("energy", "residual[best]", "iterations[best]", goal="goal[best]")

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
