"""EB08xx: files, folders and what a command is pointed at."""

from __future__ import annotations

from ebdsl.diagnostics.catalogue import register

register(
    "EB0802",
    "error",
    "a run where a spec is wanted",
    """
The folder is what `ebdsl train` left. `train RUN --resume`, `infer`, `eval` and `plot` take one; the other commands
want a spec, such as the copy in the run: RUN/spec.ebm.
""",
)
register(
    "EB0804",
    "error",
    "the file cannot be read",
    """
The system refused to read a file of a run, or one that was to be replaced; the message says why (permissions, a
broken disk or network mount).
""",
)
register(
    "EB0806",
    "error",
    "the output is not ours to overwrite",
    """
The file that was to be written exists and was not written by ebdsl, or was edited since. It is
left as it is. Write to another name, or say `--force` to replace it.
""",
)
register(
    "EB0807",
    "error",
    "the output cannot be written",
    """
The system refused to write there; the message says why (the folder is missing or is a file, no
permission, a read-only disk). Nothing was changed.
""",
)
register(
    "EB0808",
    "error",
    "the disk is full",
    """
There was no room for what was to be written. Files are written beside their final place and
renamed when they are complete, so what was there before is whole: a training run can be taken up
again from its last checkpoint with `--resume` when there is room.
""",
)
register(
    "EB0809",
    "error",
    "unknown file format",
    """
The format of an output is taken from the end of its name. The message lists the ones that this
command writes.
""",
)
register(
    "EB0810",
    "error",
    "the output folder holds something else",
    """
A run wants a folder of its own, and this one holds files that are no run's. They are left as
they are, with `--force` too. Name a folder that does not exist yet, or an empty one.
""",
)
register(
    "EB0811",
    "error",
    "the output folder holds a run",
    """
Training never replaces a run unless told to:

    ebdsl train spec.ebm --out DIR --resume     go on with it
    ebdsl train spec.ebm --out DIR --force      replace it
    ebdsl train spec.ebm                        a fresh folder: runs/NAME, runs/NAME-2, ...
""",
)
register(
    "EB0812",
    "error",
    "not a run",
    """
`infer`, `eval`, `plot` and `train --resume` take the folder that `ebdsl train` left: it holds
run.json, spec.ebm and checkpoints/.
""",
)
register(
    "EB0813",
    "error",
    "another process is training in this folder",
    """
Two processes that write the same checkpoints would ruin both. Wait for the other one, stop it,
or train into another folder with `--out`.
""",
)
register(
    "EB0814",
    "error",
    "no shipped spec of that name",
    """
`ebdsl specs` lists the specs that come with ebdsl.
""",
)
register(
    "EB0815",
    "error",
    "no such diagnostic",
    """
Codes are EB and four digits, as in `error[EB0203]`. `ebdsl explain EB0203` prints the long story
of one.
""",
)
register(
    "EB0816",
    "error",
    "a package is missing",
    """
The command needs an optional package that is not installed; the message names it and the extra
that brings it, as in `pip install "ebdsl[plot]"`.
""",
)
register(
    "EB0817",
    "error",
    "the output would overwrite an input",
    """
Input and output are the same file. The output is streamed while the input is still being read,
so this would lose both.
""",
)
