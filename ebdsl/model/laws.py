"""Laws of noise: what ``noise u ~ normal(0, 1) : R[N]`` draws from, entry by entry and each for itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class LawKind:
    """A law with ``arguments``. ``mean`` and ``variance`` are those of an entry, by the arguments.

    ``torch`` gives the text of a draw from that of a base and the arguments. The base is standard normal, or uniform
    from 0 to 1 where ``uniform``; its text stands in a draw once. ``problem``: what is wrong
    with arguments, None where nothing is.
    """

    name: str
    doc: str
    arguments: tuple[str, ...]
    mean: Callable[..., float]
    variance: Callable[..., float]
    torch: Callable[..., str]
    uniform: bool = False
    problem: Callable[..., str | None] = lambda *_: None


@dataclass(frozen=True)
class Law:
    """``normal(0, 1)``: a row of :data:`LAWS` and its arguments."""

    kind: str
    args: tuple[float, ...]

    @property
    def row(self) -> LawKind:
        return LAWS[self.kind]

    @property
    def mean(self) -> float:
        return self.row.mean(*self.args)

    @property
    def variance(self) -> float:
        return self.row.variance(*self.args)

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(f'{a:g}' for a in self.args)})"


def _affine(base: str, shift: float, scale: float) -> str:
    """``shift + scale * base`` without what changes nothing."""
    scaled = base if scale == 1 else f"{scale!r} * {base}"
    return scaled if shift == 0 else f"{shift!r} + {scaled}"


LAWS: dict[str, LawKind] = {}


def register(row: LawKind) -> LawKind:
    """Add one row. Raises ``ValueError`` for a name that is taken."""
    if row.name in LAWS:
        raise ValueError(f"law {row.name} is registered twice")
    LAWS[row.name] = row
    return row


register(
    LawKind(
        "normal",
        "the normal distribution, by its mean and its standard deviation",
        ("mean", "standard deviation"),
        mean=lambda m, s: m,
        variance=lambda m, s: s * s,
        torch=lambda base, m, s: _affine(base, m, s),
        problem=lambda m, s: None if s > 0 else f"a standard deviation is above zero, and this one is {s:g}",
    )
)
register(
    LawKind(
        "uniform",
        "all numbers between two alike",
        ("low", "high"),
        mean=lambda a, b: (a + b) / 2,
        variance=lambda a, b: (b - a) ** 2 / 12,
        torch=lambda base, a, b: _affine(base, a, b - a),
        uniform=True,
        problem=lambda a, b: None if a < b else f"{a:g} is not below {b:g}",
    )
)
register(
    LawKind(
        "bernoulli",
        "1 with a probability, else 0: noise that drops entries",
        ("probability of 1",),
        mean=lambda p: p,
        variance=lambda p: p * (1 - p),
        torch=lambda base, p: f"1 - torch.ceil({base} - {p!r})",
        uniform=True,
        problem=lambda p: None if 0 < p < 1 else f"a probability lies between 0 and 1, and {p:g} does not",
    )
)
