"""EB085x: diagrams."""

from ebdsl.diagnostics.catalogue import register

register(
    "EB0850",
    "error",
    "no such picture format",
    """
The extension of the file (or the format asked for) decides how a diagram is written. There are

    .svg  for pages and slides        .png  for everything else
    .pdf  for LaTeX                   .dot  Graphviz source
    .mmd  Mermaid, which many wikis and README pages draw themselves

Example:  ebdsl draw sparse_coding.ebm -o sparse_coding.jpg
Instead:  ebdsl draw sparse_coding.ebm -o sparse_coding.png
""",
)

register(
    "EB0851",
    "error",
    "a picture cannot be written",
    """
The diagram was made, and the file system refused it: the folder does not exist, or is not yours to write in,
or the disk is full, or the name is that of a folder. Nothing was changed; a picture that was there is still there.
""",
)

register(
    "EB0852",
    "error",
    "there is no layout engine",
    """
Diagrams in .svg, .png and .pdf are laid out by Graphviz's algorithm. The package graphviz-pure brings it along and is
installed with ebdsl; here it is missing, and there is no program dot either.

    pip install graphviz-pure

The formats .dot and .mmd need no layout engine.
""",
)

register(
    "EB0853",
    "error",
    "the layout engine gave up",
    """
The graph was built, and the program that finds places for its nodes failed or took too long. That happens for very
large models: split the energy, or ask for .dot or .mmd and use a tool of your own.
""",
)

register(
    "EB0854",
    "warning",
    "a picture's typeface lacks a character",
    """
Pictures are drawn with a typeface that ebdsl brings along, so that they look alike on every machine. It has Latin,
Greek, Cyrillic and mathematics. A name in another script is drawn in .png with a typeface of this machine, if it
has one, and as a box in .pdf. In .svg the reader's own typefaces are used.
""",
)
