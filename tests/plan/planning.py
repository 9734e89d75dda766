"""Specs as text, planned."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

from ebdsl import driver
from ebdsl.diagnostics import Checked, Source
from ebdsl.plan import Plan


def planned(text: str, settings: Mapping[str, float] | None = None, allow_flat: bool = False) -> Checked[Plan]:
    """All phases up to the plan."""
    return driver.plan_source(Source("spec.ebm", textwrap.dedent(text)), settings=settings, allow_flat=allow_flat)


def plan(text: str, settings: Mapping[str, float] | None = None, allow_flat: bool = False) -> Plan:
    """The plan of a sound spec."""
    found = planned(text, settings, allow_flat)
    assert found.value is not None, [(d.code, d.message) for d in found.diagnostics]
    return found.value


def codes(text: str) -> list[str]:
    """Codes of the errors, in order."""
    return [d.code for d in planned(text).diagnostics if d.severity == "error"]
