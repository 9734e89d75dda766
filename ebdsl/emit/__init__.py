"""From a plan to PyTorch text."""

from ebdsl.emit.file import MARK, generate

__all__ = ["MARK", "generate"]
