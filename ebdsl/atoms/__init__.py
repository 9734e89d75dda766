"""The catalogue of primitives. A file here is found by itself; a row is one ``register`` call."""

import importlib
import pkgutil

from ebdsl.atoms.core import LAYERS, OPAQUES, SCALARS, SPELLINGS, TENSORS, ShapeError, register

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")

__all__ = ["LAYERS", "OPAQUES", "SCALARS", "SPELLINGS", "TENSORS", "ShapeError", "register"]
