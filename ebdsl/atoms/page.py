"""The catalogue as a page: ``docs/atoms.md`` is what :func:`page` gives, kept so by a test."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ebdsl.atoms.core import LAYERS, OPAQUES, SCALARS, TENSORS, ScalarAtom
from ebdsl.model.domains import DOMAINS, DomainKind


def page() -> str:
    """All rows as Markdown tables."""
    return "\n".join(
        [
            "# What a spec may be made of",
            "",
            "The tables of the catalogue, written from its rows. A name that a spec declares goes before one of these.",
            "",
            "## Domains",
            "",
            *_table(("written", "holds", "convex", "finite"), (_domain(d) for d in DOMAINS.values())),
            "",
            "## Functions of numbers",
            "",
            "On a tensor they act entry by entry.",
            "",
            *_table(
                ("written", "is", "values", "curvature", "rises or falls", "smooth", "prox"),
                (_scalar(a) for a in SCALARS.values()),
            ),
            "",
            "## Functions of tensors",
            "",
            "These are written out in sums and products, so that all algebra sees through them.",
            "",
            *_table(("written", "is"), ((_names(a.spellings), a.doc) for a in TENSORS.values())),
            "",
            "These stay as they are.",
            "",
            *_table(
                ("written", "is", "curvature"),
                (
                    (_names(a.spellings), a.doc, a.curvature if not all(a.linear) else "linear in each")
                    for a in OPAQUES.values()
                ),
            ),
            "",
            "## Layers of modules",
            "",
            *_table(("written", "is"), ((_names(a.spellings), a.doc) for a in LAYERS.values())),
            "",
        ]
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    def line(cells: Iterable[str]) -> str:
        return "| " + " | ".join(cells) + " |"

    body = [line(c.replace("|", r"\|") for c in row) for row in sorted(rows, key=lambda r: r[0].lower())]
    return [line(head), line("---" for _ in head), *body]


def _names(spellings: tuple[str, ...]) -> str:
    return ", ".join(f"`{s}`" for s in spellings)


def _yes(fact: bool) -> str:
    return "yes" if fact else ""


def _domain(d: DomainKind) -> tuple[str, ...]:
    numbers = {0: "", 1: "(r)", 2: "(a, b)"}[d.nargs]
    return _names(tuple(s + numbers for s in d.spellings)), d.doc, _yes(d.convex), _yes(d.finite)


def _scalar(a: ScalarAtom) -> tuple[str, ...]:
    slopes = {"increasing": "rises", "decreasing": "falls", "neither": ""}
    return (
        _names(a.spellings),
        a.doc,
        _interval(*a.range),
        "" if a.curvature == "neither" else a.curvature,
        " / ".join(s for m in a.monotone if (s := slopes[m])) if len(set(a.monotone)) > 1 else slopes[a.monotone[0]],
        _yes(a.smooth),
        _yes(bool(a.prox)) or ("of the negative" if a.prox_negative else ""),
    )


def _interval(low: float, high: float) -> str:
    if low == -math.inf:
        return "" if high == math.inf else f"at most {high:.3g}"
    return f"at least {low:.3g}" if high == math.inf else f"{low:.3g} to {high:.3g}"
