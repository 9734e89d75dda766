"""From syntax tree to checked model: names, dimensions, the energy, and all that is wrong with them."""

from ebdsl.check.check import check

__all__ = ["check"]
