"""The user's own files as a source: ``file("x.npy")``, or just ``"x.npy"``."""

from ebdsl.run.data import files
from ebdsl.run.data.core import Keyword, Source, register

register(
    Source(
        "file",
        "a file of yours: `.npy` (memory-mapped), `.npz` (keys are the observed names), `.csv`, `.tsv`, `.parquet`, "
        "or a folder of pictures (sub-folders are classes)",
        files.load,
        keywords=(
            Keyword("path", "text", None, "where it is, from the current folder or from the spec's"),
            Keyword(
                "size",
                "count",
                None,
                "side of square pictures: folders are cut and brought to it, flat samples are folded",
                low=1,
                high=4096,
            ),
            Keyword("colour", "flag", None, "folders: red, green and blue; by default as the symbol is declared"),
            Keyword(
                "header", "flag", None, "tables: the first line holds names; by default where no cell of it is a number"
            ),
            Keyword(
                "labels",
                "text",
                None,
                "tables: the column of labels; by default `label`, `labels`, `class` or `target`",
            ),
        ),
        positional=("path",),
        limits="4 GiB for .npz and tables, 64 million pixels for a picture, no limit for .npy; Python objects "
        "are never read",
    )
)
