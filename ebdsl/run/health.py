"""Is the energy still a number, and one of the size it had?"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from ebdsl.diagnostics import Diagnostic, SpecError
from ebdsl.diagnostics.core import Label
from ebdsl.model.model import Model

RUNAWAY = 1e6
"""Times the early energy (at least 1) at which training stops: no sane run passes it, 5e144 does."""

EARLY = 5
"""Steps whose largest energy is the measure."""

TERM = "energy/"


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

    ``by_gradient``: the learner takes steps of a size that ``--lr`` sets.
    """

    model: Model
    by_gradient: bool = True
    scale: float = field(default=1.0)

    def look(self, record: Record) -> None:
        """Raises :class:`SpecError` (EB0703 for NaN and infinity, EB0704 for divergence)."""
        values = record.values
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            raise self.stop("EB0703", record, *self.worst(bad, values), self.smaller())
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
