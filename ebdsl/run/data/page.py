"""The sources as a page: ``docs/data.md`` is what :func:`page` gives, kept so by a test."""

from __future__ import annotations

from collections.abc import Iterable

from ebdsl.run.data.core import Keyword, Source, load_sources
from ebdsl.run.data.preprocess import UNIFORM
from ebdsl.run.data.words import shown

HEAD = """\
# Data

The samples of a spec come from its `train` block, or from `--data`, which goes before it:

```ebm
model sparse_coding
dim N = 256
observed y : R[M]
latent   z : R[N]
param    W : R[M, N], unit columns
E(y, z) = ||y - W z||^2 + 0.5 |z|
F(y)    = min_z E(y, z)

train
    data patches(natural, size = 12, count = 20000)
```

```text
data digits                              # a source by name
data blobs(1000, 5, dim = 3)             # values by position, then by keyword
data "measurements.csv"                  # a file of yours
data file("patches.npy", size = 12)      # the same, with keywords
data "holiday/photos"                    # a folder of pictures

ebdsl train spec.ebm --data digits
ebdsl train spec.ebm --data "spiral(500, noise = 0.1)"
ebdsl train spec.ebm --data measurements.csv
```

No source ever opens a network connection. What a source needs beyond numpy comes with `pip install "ebdsl[data]"`;
where it is missing, the
next best stands in and the run says so. The seed of the run fixes every random choice, so that the same command
gives the same
samples.

## How samples meet the spec

* The first axis of an array counts the samples, the others are a sample's shape. A dimension that the spec gives no
size (`R[M]` without `dim M = …`)
  takes the data's; a size that is given has to agree, and where it does not the message names both.
* Pictures are flattened for `R[M]` and folded back for `R[H, W]` where the number of pixels agrees. Colour pictures
are `R[H, W, 3]` or `R[3, H, W]`.
* A spec with several observed variables takes one array for each: by name where the names agree, else in the order
of the declarations. In a table,
  `y`, `y1 y2 …`, `y_1 y_2 …` and `y[1] y[2] …` are columns of `y`; without such names the columns are dealt out from
  the left. A second
  observed variable that the data has no array for is the label of the samples, if they have labels: a whole number,
  or one-hot for `onehot[K]` and `R[K]`.
* Values are checked: NaN and infinity are refused, and so is a sample outside the variable's domain.
* Means, covariances and scales are estimated on the training samples and kept with the run: `infer`, `eval` and
  `plot --data` prepare new samples with the same numbers, unless their source or your keywords say how. Arrays handed
  to the Python API are taken as they are.

## What every source can do to its samples

In this order. Means, covariances and scales are estimated on the samples that are trained on, and the held-out ones
are treated alike.

"""

READ_AS = {
    "`.npy`": "one array, memory-mapped: it may be larger than memory. Used in its own type unless "
    "something is done to it",
    "`.npz`": "one array for each key; the key `labels` is the labels. 4 GiB unpacked at most",
    "`.csv`, `.tsv`": "a table of numbers, separated by commas, semicolons or tabs; a first line "
    "without a number in it is a header",
    "`.parquet`": 'columns of numbers, or of lists of one length; needs `pip install "ebdsl[data]"`',
    "a folder": "pictures (`.png .jpg .bmp .gif .tif .pgm .ppm .webp`), grey values 0 to 1, colour "
    "where the variable is declared with three channels. Their size is that of the declaration, else of the first: "
    "others are cut to their middle and averaged down. Sub-folders are classes",
}

FILES = """
Nothing is unpickled. Bytes from 0 to 255 in an array stay as they are, with a warning; `scale = unit` brings them into
[0, 1].
"""

LIMITS = """
* The data is read where its package is installed; none of it is part of ebdsl.
* 5,000 digits, 40 faces and 11 photographs are enough to show every effect, not to match numbers from the literature.
* Patches of one photograph overlap and are alike: energies on held-out patches look better than they would on other
photographs.
"""


def page() -> str:
    """The whole text."""
    sources = load_sources()
    named = [sources[name] for name in sorted(sources) if name != "file"]
    lines = [*_flowed(HEAD), "", *_table(UNIFORM), "", "## Sources by name", ""]
    for source in named:
        lines += _source(source)
    lines += ["## Your own files", "", "| file | is read as |", "| --- | --- |"]
    lines += [f"| {kind} | {how} |" for kind, how in READ_AS.items()]
    lines += [*_flowed(FILES), "", *_source(sources["file"])]
    lines += ["## Licences and limits", *_flowed(LIMITS), "", "| source | what to know |", "| --- | --- |"]
    lines += [f"| `{s.name}` | {s.limits} |" for s in (*named, sources["file"]) if s.limits != _GENERATED]
    lines += ["", "All other sources are generated."]
    return "\n".join(lines).rstrip("\n") + "\n"


def _flowed(text: str) -> list[str]:
    """Lines of text in which every paragraph and every point is one line; fenced blocks stay as they are."""
    out: list[str] = []
    fenced = False
    for line in text.rstrip("\n").split("\n"):
        fence = line.startswith("```")
        fenced = fenced != fence
        own = (
            fenced or fence or not line or not out or not out[-1] or line.startswith("* ") or out[-1].startswith("```")
        )
        if own:
            out.append(line)
        else:
            out[-1] += " " + line.strip()
    return out


_GENERATED = Source("", "", lambda request: None).limits  # type: ignore[arg-type, return-value]


def _source(source: Source) -> list[str]:
    call = source.name + (f"({', '.join(source.positional)}, …)" if source.positional else "")
    lines = [f"### `{call}`", "", source.doc[0].upper() + source.doc[1:] + "."]
    defaults = ", ".join(f"`{k} = {shown(v)}`" for k, v in source.defaults.items())
    if defaults:
        lines[-1] += f" Unless told otherwise: {defaults}."
    return [*lines, "", *_table(source.keywords), ""]


def _table(keywords: Iterable[Keyword]) -> list[str]:
    rows = [f"| `{k.name}` | {_kind(k)} | {_default(k)} | {k.doc} |" for k in keywords]
    return ["| keyword | takes | by default | |", "| --- | --- | --- | --- |", *rows] if rows else []


def _default(keyword: Keyword) -> str:
    return "" if keyword.default is None else f"`{shown(keyword.default)}`"


def _kind(keyword: Keyword) -> str:
    words = ", ".join(f"`{c}`" for c in keyword.choices)
    number = "a number" if keyword.low > -1e300 else ""
    return {
        "count": "a whole number",
        "number": "a number",
        "flag": "`true`, `false`",
        "word": words,
        "text": "a word or a text in quotes",
        "option": ", ".join(filter(None, ["`true`, `false`", number, words])),
    }[keyword.kind]
