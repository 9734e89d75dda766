"""The factor graph of a model and its pictures."""

from ebdsl.graph.draw import FORMATS, draw, picture, save
from ebdsl.graph.factor import factor_graph

__all__ = ["FORMATS", "draw", "factor_graph", "picture", "save"]
