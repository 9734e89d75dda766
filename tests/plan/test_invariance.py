"""Shipped specs and energies of textbooks keep their plans under other names, orders, spellings and units."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random
from textwrap import dedent
from typing import Any

import pytest

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.plan import Plan
from ebdsl.syntax import ast
from tests.plan import rewriting
from tests.plan.textbook import TEXTBOOK

ROOT = Path(__file__).parents[2]
SHIPPED = {p.stem: p for place in ("specs", "examples") for p in sorted((ROOT / place).rglob("*.ebm"))}
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in SHIPPED.items()} | {
    n: dedent(t) for n, t in TEXTBOOK.items()
}


def planned(spec: ast.Spec, text: str) -> Plan:
    checked = driver.check(spec, Source("spec.ebm", text))
    assert checked.value is not None, checked.diagnostics
    found = driver.plan(checked.value, allow_flat=True)
    assert found.value is not None, found.diagnostics
    return found.value


def decided(plan: Plan, names: dict[str, str]) -> dict[str, Any]:
    """All that is decided, and every reason that quotes no term, in the names of the spec as it is shipped."""

    def words(text: str) -> list[str]:
        for old, new in names.items():
            text = text.replace(new, old)
        return sorted(re.findall(r"[^ ,;]+", text))  # in which order variables are named is that of their declarations

    def told(d: Any) -> Any:
        cost = [] if "energies" in d.cost else words(d.cost)  # counted for one of several orders of elimination
        refused = [(r.rule, words(r.reason)) for r in d.refused]
        return d.rule, d.guarantee, cost, words(d.algorithm), sorted(map(words, d.facts)), refused

    return {
        "inference": [told(d) for d in plan.inference],
        "learning": sorted((words(w.name), told(d)) for w, d in plan.learning),
        "schedule": plan.schedule,
        "volume": plan.volume.strategy,
        "by name": [words(n.sentence) for n in plan.named],
        "loops": len(plan.loops),
        "sweeps": plan.sweeps and plan.sweeps.samples,
    }


@pytest.mark.parametrize("name", TEXTS)
def test_the_plan_is_that_of_the_mathematics(name: str) -> None:
    text = TEXTS[name]
    spec = driver.parse(Source("spec.ebm", text)).value
    assert spec is not None
    random = Random(name)
    wanted = decided(planned(spec, text), {})
    fresh = {old: f"q{''.join(random.choices('abcdfghk', k=4))}{k}" for k, old in enumerate(rewriting.declared(spec))}
    respelled = rewriting.scaled(rewriting.respelled(spec, random), random.choice(["3", "0.001"]))
    assert decided(planned(rewriting.renamed(respelled, fresh), text), fresh) == wanted
    assert decided(planned(rewriting.reordered(spec, random), text), {}) == wanted
