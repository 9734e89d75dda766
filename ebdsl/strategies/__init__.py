"""The talk's seven strategies for keeping the energy high off the data: the words of ``strategy``, a file for each."""

from __future__ import annotations

from ebdsl.strategies.core import METHODS, Case, Method, Use, choose, load_methods, options, problem, words

__all__ = ["METHODS", "Case", "Method", "Use", "choose", "load_methods", "options", "problem", "words"]
