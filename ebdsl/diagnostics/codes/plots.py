"""EB079x: pictures of results."""

from ebdsl.diagnostics.catalogue import register

register(
    "EB0790",
    "error",
    "there is no such picture",
    """
`ebdsl plot RUN KIND` draws one kind of picture, or `all` that fit: atoms, curves, reconstructions, surface, field,
codes and
predictions. Files end in .png, .svg or .pdf.
""",
)
register(
    "EB0791",
    "error",
    "this picture does not fit the model",
    """
Each kind of picture needs something to show: a surface needs two observed numbers, atoms need samples that are
pictures (or a
parameter of pictures), codes need a latent variable. The message says what is missing. `ebdsl plot RUN all` draws
whatever fits.
""",
)
register(
    "EB0792",
    "error",
    "pictures need matplotlib",
    """
Training, inference and evaluation work without it; only pictures are left out. `pip install "ebdsl[plot]"` brings
it, and
`ebdsl plot RUN all` draws the pictures of a run that is already there.
""",
)
register(
    "EB0793",
    "warning",
    "a picture could not be drawn",
    """
The run itself is complete and kept. The message says which picture is missing and why; `ebdsl plot RUN all` tries
again.
""",
)
register(
    "EB0794",
    "error",
    "a picture could not be drawn",
    """
The model's answers could not be turned into a picture: numbers that are not finite, a shape that the picture does
not expect, too
little memory. The other kinds of pictures can still be drawn by name.
""",
)
