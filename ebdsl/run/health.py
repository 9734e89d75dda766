"""Is the energy still a number, one of the size it had, and higher off the data than on it?"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ebdsl.diagnostics import Diagnostic, SpecError
from ebdsl.diagnostics.core import Label
from ebdsl.model.finding import Finding
from ebdsl.model.model import Model
from ebdsl.run.codes_in_use import InUse

if TYPE_CHECKING:
    from ebdsl.run.gauge import Reading

RUNAWAY = 1e6
"""Times the early energy (at least 1) at which training stops: no sane run passes it, 5e144 does."""

EARLY = 5
"""Steps whose largest energy is the measure."""

TERM = "energy/"

FROZEN = {"chain noise": 1e-3, "chain flips": 1e-4, "chain acceptance": 1e-3}
"""Least share of noise in the moves of a chain, or of entries that are flipped: below it, chains do not sample."""

ACTIVE = "active share"
"""What a margin loss reports: the share of the hinges that are not met."""


@dataclass(frozen=True)
class Record:
    """One step: ``values`` has ``energy``, then ``energy/TEXT`` of each term; ``wall`` in seconds since the start."""

    step: int
    epoch: int
    wall: float
    values: Mapping[str, float]


@dataclass
class Watch:
    """Looks at every step's numbers. ``scale`` goes into the checkpoint, so that a resumed run judges alike.

    ``by_gradient``: the learner takes steps of a size that ``--lr`` sets. ``holes`` are what the volume check found:
    where it found errors, ``--allow-flat`` was said, and a collapse is told but does not stop the run.
    ``margin`` is that of a margin loss. ``suspect`` is the code of what one measurement found: the next one decides. No
    checkpoint is written meanwhile.
    """

    model: Model
    by_gradient: bool = True
    scale: float = field(default=1.0)
    holes: Callable[[], tuple[Finding, ...]] = field(default=lambda: ())
    suspect: str = ""
    margin: float | None = None
    warned: list[Diagnostic] = field(default_factory=list)
    _active: list[float] = field(default_factory=list)
    _moves: list[float] = field(default_factory=list)

    def look(self, record: Record) -> None:
        """Raises :class:`SpecError` (EB0703 for NaN and infinity, EB0704 for divergence)."""
        values = record.values
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise self.stop("EB0703", record, *self.worst(bad, values), self.smaller())
        if ACTIVE in values:
            self._active.append(values[ACTIVE])
        self._moves += [values[name] / least for name, least in FROZEN.items() if name in values]
        energy = values.get("energy", 0.0)
        if record.step <= EARLY:
            self.scale = max(self.scale, abs(energy))
        elif abs(energy) > RUNAWAY * self.scale:
            terms = {n: v for n, v in values.items() if n.startswith(TERM)} or {"energy": energy}
            term = max(terms, key=lambda n: abs(terms[n]))
            grew = "grew" if energy > 0 else "fell"
            verb = f"the energy {grew} to {energy:.3g}, from {self.scale:.3g} at the start; most of it is"
            bound = ("bound what can go to infinity or to zero: unit columns, >= 0, a penalty, a missing log det",)
            raise self.stop(
                "EB0704", record, term, f"{verb} {self.name(term)}", self.smaller() if energy > 0 else bound
            )

    def judge(self, reading: Reading, step: int, epoch: int, *, last: bool) -> None:
        """Raises :class:`SpecError` (EB0750, EB0751, EB0753) for what two measurements or the last one found."""
        found = self.collapse(reading)
        self._active.clear()
        self._moves.clear()
        before, self.suspect = self.suspect, found.code if found else ""
        if found is None or (before != found.code and not last):
            return
        placed = replace(found, message=f"{found.message}, at step {step} of epoch {epoch + 1}")
        if any(Diagnostic(hole.code, hole.message).severity == "error" for hole in self.holes()):
            if last:
                self.warned.append(replace(placed, code="EB0752"))
            return
        raise SpecError([placed], self.model.source)

    def collapse(self, reading: Reading) -> Diagnostic | None:
        """What is wrong with the energy off the data, its cause and the line of the spec; None where nothing is."""
        dead = next((c for c in reading.codes if c.died), None)
        if reading.contrast.undefined:
            what = f"the energy is not a number at {reading.contrast.undefined} of {reading.contrast.samples} samples"
            return Diagnostic("EB0703", what, (), (*self.smaller(), "`ebdsl explain EB0703` lists the usual causes"))
        if reading.contrast.flat:
            return self.flat(reading, dead)
        if self._moves and max(self._moves) < 1:
            setting = self.model.setting("strategy")
            labels = (Label(setting.span, "its chains"),) if setting is not None else ()
            what = "the chains are frozen: their moves hold next to no noise, as at temperature zero"
            help = ("a smaller inverse temperature: beta = 1", "`ebdsl explain EB0753` lists the usual causes")
            return Diagnostic("EB0753", what, labels, help)
        return None if dead is None else self.dead(dead)

    def flat(self, reading: Reading, dead: InUse | None) -> Diagnostic:
        what = "the energy is flat: it differs by next to nothing between the data and points off it"
        hole = next(iter(self.holes()), None)
        setting = self.model.setting("strategy")
        more = ("`ebdsl explain EB0750` lists the usual causes",)
        met = self.margin is not None and self.margin <= reading.contrast.resolution
        if met or (self._active and max(self._active) == 0):
            labels = (Label(setting.span, "no hinge is active"),) if setting is not None else ()
            help = ("a larger margin asks for more: strategy contrastive(margin = 1)",)
            return Diagnostic("EB0750", f"{what}, and the margin asks for no more", labels, (*help, *more))
        if hole is not None:
            labels = (Label(hole.term.span, "this term"),) if hole.term is not None else ()
            return Diagnostic("EB0750", f"{what}: {hole.message}", labels, (*hole.help, *more))
        if dead is not None:
            return replace(self.dead(dead), code="EB0750", message=f"{what}, since {dead.sentence()}")
        labels = (Label(setting.span, "this strategy"),) if setting is not None else ()
        return Diagnostic("EB0750", what, labels, (*self.smaller(), *more))

    def dead(self, code: InUse) -> Diagnostic:
        name = code.name.removesuffix("(·)")
        spans = {s.name: s.span for s in self.model.symbols} | {m.name: m.span for m in self.model.modules}
        span = spans.get(name)
        labels = (Label(span, "this code"),) if span is not None else ()
        weighs = "a smaller weight on its penalty, " if code.name == name else "fewer saturating units, "
        help = (*self.smaller(), f"{weighs}or data on the scale that the weights were chosen for")
        return Diagnostic("EB0751", code.sentence(), labels, (*help, "`ebdsl explain EB0751` lists the usual causes"))

    def smaller(self) -> tuple[str, ...]:
        return ("try --lr ten times smaller",) if self.by_gradient else ()

    def worst(self, bad: list[str], values: Mapping[str, float]) -> tuple[str, str]:
        """The term to blame, and what to say of it."""
        terms = [name for name in bad if name.startswith(TERM)]
        term = terms[0] if terms else bad[0]
        what = "NaN" if math.isnan(values[term]) else "infinite" if values[term] > 0 else "minus infinity"
        others = f" (and {len(terms) - 1} more term{'s' * (len(terms) > 2)})" if len(terms) > 1 else ""
        return term, f"{self.name(term)}{others} became {what}"

    def name(self, key: str) -> str:
        return f"the term {key.removeprefix(TERM)}" if key.startswith(TERM) else f"the {key}"

    def stop(self, code: str, record: Record, term: str, what: str, advice: tuple[str, ...]) -> SpecError:
        text = term.removeprefix(TERM)
        labels = tuple(Label(t.span, "this term") for t in self.model.terms if t.text == text)[:1]
        message = f"{what}, at step {record.step} of epoch {record.epoch + 1}"
        help = (*advice, f"`ebdsl explain {code}` lists the usual causes")
        return SpecError([Diagnostic(code, message, labels, help)], self.model.source)
