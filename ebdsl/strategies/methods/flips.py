"""Strategy 3 without sampling: binary data against the same with one entry flipped."""

from __future__ import annotations

from ebdsl.strategies.core import Case, Method, No, Use, register
from ebdsl.strategies.needs import binary


def _flips(function: str) -> object:
    def consider(case: Case) -> Use | No:
        refused = binary(case)
        if refused:
            return refused
        size = case.size()
        return Use(
            f"{function}(free_energy, {{y}}, {{given}})",
            (f"every entry of {case.over.name} is flipped in turn",),
            f"{size if size is not None else 'as many'} energies a sample" + ("" if size else " as it has entries"),
        )

    return consider


register(
    Method(
        "ratio_matching",
        3,
        "the energy lies below that of each neighbour by one flip",
        _flips("ratio_matching"),  # type: ignore[arg-type]
        source="Hyvärinen, Computational Statistics & Data Analysis 51, 2007",
    )
)
register(
    Method(
        "minimum_probability_flow",
        3,
        "little probability flows from the data to neighbours by one flip; all of these count",
        _flips("minimum_probability_flow"),  # type: ignore[arg-type]
        source="Sohl-Dickstein, Battaglino & DeWeese, ICML 2011",
    )
)
