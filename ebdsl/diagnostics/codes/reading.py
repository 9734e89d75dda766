"""EB01xx: reading the text."""

from __future__ import annotations

from ebdsl.diagnostics.catalogue import register

register(
    "EB0101",
    "error",
    "this is not where it belongs",
    """
The line cannot be read on from the marked place. The label says what was found, the help what could stand there.

    E(y, z) = ||y - W z||^2 + * |z|       a term is missing between + and *
    latent z R[N]                         the colon is missing:  latent z : R[N]

Every statement of the file is read on its own, so that one mistake does not hide another.
""",
)
register(
    "EB0102",
    "error",
    "a character that is no part of the language",
    """
Outside of comments and quoted text a spec holds letters, digits, the operators of mathematics and brackets.
Characters that only look like these (full-width brackets, typographic quotes) come from copying; the message names
what was probably meant, and `ebdsl check --fix` puts it there.
""",
)
register(
    "EB0103",
    "error",
    "brackets do not match",
    """
Every ( [ { needs its own ) ] }. A bracket that is still open where a new statement begins is reported there, and
reading goes on with that statement.
""",
)
register(
    "EB0104",
    "error",
    "bars that can be read in more than one way",
    """
A bar does not say whether it opens or closes. Most of the time only one reading nests and gives every operator its
operands:  λ|z|  ||z| - 1|  ||y - W z||^2 + |z|.  Where two do, spaces decide: a bar with a space on its left alone
opens, one with a space on its right alone closes. What is left is asked about instead of guessed:

    |a|b|c|          |a| b |c|   or   abs(a abs(b) c) ?
    |x||y||z|        |x| |y| |z| or   abs(x norm(y) z) ?

Write abs(...) or norm(...), or put spaces.
""",
)
register(
    "EB0105",
    "error",
    "a bar without a partner",
    """
The bars of an expression come in pairs, | with | and || with ||, inside the same brackets. With this one, no way of
pairing them leaves every operator with its operands.
""",
)
register(
    "EB0106",
    "error",
    "nested too deeply",
    """
An expression may nest 100 levels deep. Sums and products are flat, however long: only what stands inside of
something else counts. Give the inner part a name on a line of its own:  r(y, z) = y - W z.
""",
)
register(
    "EB0107",
    "error",
    "a line that starts with an unknown word",
    """
A line is a declaration (model, dim, index, time, observed, latent, param, module, const, noise), a definition
(E(y, z) = ...), `infer z by ...`, `plan a by ...` or `train`.
""",
)
register(
    "EB0108",
    "error",
    "numbers side by side",
    """
Names side by side are a product, numbers are not:  2 3  is more likely a slip than 6. Write 2 * 3.
""",
)
register(
    "EB0109",
    "error",
    "quoted text that does not end",
    """
Text in double quotes ends on the line where it starts:  data "patches.npy".
""",
)
register(
    "EB0110",
    "error",
    "an indented line that belongs to nothing",
    """
Indentation is for the settings of `train` and what belongs to one of them. Elsewhere a line continues the one before
when it starts, or that one ends, with an operator, or while a bracket is open.
""",
)
register(
    "EB0111",
    "error",
    "this cannot stand to the left of =",
    """
On the left of = stands what is defined: a name, a name with its arguments, or a recurrence.

    E(y, z) = ||y - W z||^2
    S = 1/L
    s[t+1] = f(s[t], a[t])
""",
)
register(
    "EB0112",
    "error",
    "two names for one model",
    """
A file is one model and has one `model` line. Two models are two files.
""",
)
register(
    "EB0113",
    "error",
    "LaTeX that is not understood",
    r"""
The usual commands of a formula may be pasted: \frac{1}{\beta}, \sum_{k=1}^{K}, \min_{z}, \lambda, W^T, \| y \|.
What only sets type, as \left, \right and spacing, is passed over. Other commands have to be written out.
""",
)
register(
    "EB0119",
    "error",
    "more errors than are shown",
    """
Reading stopped being useful: the file has many errors, most likely because it is not a spec at all.
""",
)
register(
    "EB0120",
    "error",
    "nothing to read",
    """
The file is empty, or holds comments alone. The smallest model is a declaration and an energy:

    observed y : R[2]
    E(y) = ||y||^2
""",
)
register(
    "EB0121",
    "error",
    "no such file",
    """
There is no file of this name. `ebdsl specs` lists the models that come with ebdsl, `-` reads standard input.
""",
)
register(
    "EB0122",
    "error",
    "a folder where a file is wanted",
    """
The name is that of a folder. Name the .ebm file in it.
""",
)
register(
    "EB0123",
    "error",
    "not text",
    """
A spec is UTF-8 text. The file holds bytes that are not: it may be a picture, an archive or a checkpoint, or text in
another encoding (save it as UTF-8).
""",
)
register(
    "EB0124",
    "error",
    "too large for a spec",
    """
A spec is a page of mathematics; 256 KiB is the most that is read. Data belongs in its own file, which the
`train` block names.
""",
)
register(
    "EB0125",
    "error",
    "the file cannot be read",
    """
The system refuses to open or to read the file; the message says why.
""",
)
