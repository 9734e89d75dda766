"""ebdsl: a language and a compiler for energy-based models.

    import ebdsl

    spec = ebdsl.load("sparse_coding.ebm")
    print(spec.explain())
    spec.fit(Y)                      # Y : (samples, M), numpy or torch
    z = spec.infer(Y)

Importing this module is cheap: torch is imported when something is computed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ebdsl.api import Spec, load
    from ebdsl.diagnostics import Diagnostic, SpecError

__version__ = "0.1.0"
__all__ = ["Diagnostic", "Spec", "SpecError", "load"]

_HOMES = {"Diagnostic": "ebdsl.diagnostics", "SpecError": "ebdsl.diagnostics", "Spec": "ebdsl.api", "load": "ebdsl.api"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'ebdsl' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
