"""``ebdsl new``: a spec to begin with."""

from __future__ import annotations

import re
from pathlib import Path

import click

from ebdsl.commands import shown

ORDER = 10

TEMPLATE = """\
model {name}                    # what the energy is of, in a line

# Sizes that the data does not tell. `ebdsl train {name}.ebm --set N=64` gives another one.
dim N = 32

# What is given, with its shape. M is read off the data.
observed y : R[M]

# What explains it. Other domains: R[N], >= 0   onehot[N]   {{0,1}}[N]   simplex[N]   sphere[N]   box(-1, 1)[N]
latent   z : R[N]

# What is learned, and how it is kept from growing: unit columns, orthonormal, >= 0
param    W : R[M, N], unit columns
const    λ = 0.1                # `lambda` is the same name

# The energy of one sample: low where y and z fit together. ||·||^2 and |·| mean what they mean on paper.
E(y, z) = ||y - W z||^2 + λ|z|

# The latent variable is minimised out (or softmin_z[β] E(y, z), which weighs all of its values).
F(y)    = min_z E(y, z)

# What training needs. All but the data has a default: `ebdsl explain {name}.ebm` says which.
train
    data   digits               # or a file: "mine.npy", .npz, .csv, .parquet, a folder of images
    epochs 10
"""


def template(name: str) -> str:
    """The template in the one layout."""
    from ebdsl.syntax import format as formatted

    text = TEMPLATE.format(name=name)
    return formatted(text).value or text


@click.command("new", short_help="Begin a spec from a commented template.")
@click.argument("name")
@click.option("-o", "--output", metavar="FILE", help="Where to; NAME.ebm without it, - for standard output.")
def command(name: str, output: str | None) -> None:
    """Write NAME.ebm, a working spec with a comment on every line."""
    from ebdsl.run.files import refuse, write_atomically

    if output is None and name.endswith(".ebm"):
        output = name
    name = Path(name).stem
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise click.UsageError(f"a model's name is letters, digits and _, beginning with a letter; {name!r} is not")
    text = template(name)
    if output == "-":
        click.echo(text, nl=False)
        return
    path = Path(output or f"{name}.ebm")
    if path.exists():
        raise refuse("EB0806", f"{path} exists: it is left as it is", "choose another name")
    write_atomically(path, text)
    shown.say(f"wrote {path}; next: ebdsl explain {path}, ebdsl train {path}")
