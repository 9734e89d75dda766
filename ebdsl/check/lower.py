"""From syntax tree to index notation: all cases of :func:`ebdsl.check.dispatch.lower` in their places."""

from ebdsl.check import arithmetic, bigops, calls, identifiers
from ebdsl.check.dispatch import lower

__all__ = ["arithmetic", "bigops", "calls", "identifiers", "lower"]
