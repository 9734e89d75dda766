"""Data by name and from files: :func:`load` gives a spec's observed symbols their samples.

A source is a row of :data:`SOURCES`, one file each in ``sources``. Nothing here opens a network
connection, unpickles or runs anything of a user's.
"""

from ebdsl.run.data.core import SOURCES, Data, Keyword, Raw, Request, Source, register
from ebdsl.run.data.loading import load

__all__ = ["SOURCES", "Data", "Keyword", "Raw", "Request", "Source", "load", "register"]
