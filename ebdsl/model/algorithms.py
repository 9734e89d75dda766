"""Algorithms of inference that a spec may ask for by name: ``infer z by fista(steps = 50)``."""

from __future__ import annotations

from dataclasses import dataclass

OPTIONS = ("steps", "on", "weights")


@dataclass(frozen=True)
class Algorithm:
    """A row. ``kind``: ``proximal`` or ``coordinate`` steps. ``learned``: the steps' matrices are learned, and
    ``steps`` counts them where the spec does not; None: to the tolerance. ``momentum`` as in FISTA."""

    name: str
    doc: str
    kind: str
    learned: bool = False
    momentum: bool = False
    steps: int | None = None


ALGORITHMS = {
    row.name: row
    for row in (
        Algorithm("ista", "proximal gradient steps (Daubechies, Defrise & De Mol 2004)", "proximal"),
        Algorithm("fista", "proximal gradient with momentum (Beck & Teboulle 2009)", "proximal", momentum=True),
        Algorithm("cod", "the coordinate that moves furthest, one a step (Li & Osher 2009)", "coordinate"),
        Algorithm("lista", "proximal steps with learned matrices (Gregor & LeCun 2010)", "proximal", True, steps=3),
        Algorithm("lcod", "coordinate steps with learned matrices (Gregor & LeCun 2010)", "coordinate", True, steps=50),
    )
}


@dataclass(frozen=True)
class Chosen:
    """What a spec asks for: ``steps`` None to the tolerance; the encoder learns ``on`` the ``code`` or the ``energy``
    (on the ``loss`` where learning goes through its steps), with ``weights`` ``shared`` by the steps or ``untied``."""

    algorithm: Algorithm
    steps: int | None
    on: str = "code"
    weights: str = "shared"

    def __str__(self) -> str:
        said = [f"steps = {self.steps}"] if self.steps is not None else []
        if self.algorithm.learned:
            said += [f"on = {self.on}", f"weights = {self.weights}"]
        return self.algorithm.name + (f"({', '.join(said)})" if said else "")
