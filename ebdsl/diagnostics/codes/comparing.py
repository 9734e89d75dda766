"""EB077x: models that cannot be compared."""

from __future__ import annotations

from ebdsl.diagnostics.catalogue import register

register(
    "EB0770",
    "error",
    "nothing to compare",
    """
`ebdsl compare` draws energies over one plane: all models observe two numbers, and no others. It takes specs, which are
trained, runs, which are taken as they are, and folders of specs.
""",
)
