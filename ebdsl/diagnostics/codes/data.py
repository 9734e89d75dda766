"""EB06xx: data that is missing, broken, or does not fit the spec."""

from ebdsl.diagnostics.catalogue import register

register(
    "EB0601",
    "error",
    "the data's shape does not fit the declaration",
    """
The spec says how many numbers a sample has, and the data has another number of them:

    dim M = 144
    observed y : R[M]
    train
        data "faces.npy"            # 5000 x 784

Either the declaration is to follow the data (leave out `= 144`: a dimension without a size takes the
data's), or the data is the wrong file, or it was cut into patches of another size. Pictures are
flattened, or folded back, wherever the number of pixels agrees.
""",
)
register(
    "EB0602",
    "error",
    "no such data source",
    """
`data` names a source that ebdsl has (`patches(natural)`, `digits`, `spiral(2000)`, ...) or a file of yours
(`"measurements.csv"`, `file("x.npy")`). The list of sources with their keywords is in docs/data.md.
""",
)
register(
    "EB0603",
    "error",
    "a data source was asked for something it does not offer",
    """
Each source has keywords of its own, and all share `centre`, `normalise`, `whiten`, `scale`, `times`, `threshold` and
`count`:

    data patches(natural, size = 12, count = 100000, whiten = true)

The keyword is not one of them, is given twice, or has a value that it cannot take. docs/data.md lists them all.
""",
)
register(
    "EB0604",
    "error",
    "a data file cannot be read",
    """
The file is missing, is a folder where a file is wanted (or the other way round), is a link that leads nowhere, may
not be read, is cut short,
or is not of the kind that its name says. ebdsl reads .npy, .npz, .csv, .tsv, .parquet and folders of pictures. A
relative path is looked for in the
current folder first, then beside the spec.
""",
)
register(
    "EB0605",
    "error",
    "the data holds NaN or infinity",
    """
One missing value makes the energy NaN, and a step later every parameter. Drop those samples or fill them in:

    rows = np.isfinite(x).all(axis=1)
    np.save("clean.npy", x[rows])
""",
)
register(
    "EB0606",
    "error",
    "the data is not made of numbers",
    """
Samples are arrays of real numbers. Texts, Python objects (which numpy could only read by running what the file says,
so ebdsl never
does), complex numbers, dates and cells such as `n/a` must be turned into numbers first. In a table, only the columns
that a symbol needs are read:
name the columns like the observed symbols to choose them.
""",
)
register(
    "EB0607",
    "error",
    "there are no samples, or too few",
    """
The file or folder is empty, its first axis has length zero, or the hold-out leaves nothing to train on. The first
axis of an array counts the samples.
""",
)
register(
    "EB0608",
    "error",
    "a sample lies outside the symbol's domain",
    """
The spec promises that every sample lies in the domain, and inference relies on it:

    observed y : {0,1}[784]
    train
        data digits                 # grey values between 0 and 1

Bring the data into the domain (`threshold = 0.5` makes grey values black or white, `scale = unit` brings them into
[0, 1]), or declare what it is: `R[784]`.
""",
)
register(
    "EB0609",
    "error",
    "the data has other parts than the spec observes",
    """
A spec with several observed symbols takes one array for each: by name where the names agree (columns of a table,
keys of an .npz file, parts of a
source), else in the order of the declarations. A single table is cut into columns in that order where the declared
sizes add up.
""",
)
register(
    "EB0610",
    "error",
    "reading this needs a package that is not installed",
    """
Parquet files are read with pyarrow (or pandas with an engine), pictures with pillow: `pip install "ebdsl[data]"`, or
install the one package. Without it, convert the file to
.npy or .csv elsewhere.
""",
)
register(
    "EB0611",
    "error",
    "the data is larger than is safe to load",
    """
Compressed files and pictures can hold far more than their size on disk; ebdsl looks at what they announce before
unpacking and stops at 4 GiB for an .npz or table, 64 million pixels for a
picture. Save large arrays as .npy: these are memory-mapped and may be of any size.
""",
)
register(
    "EB0612",
    "error",
    "the arrays have different numbers of samples",
    """
Sample i of each observed symbol belongs together, so all arrays have the same first axis. Something was dropped or
filtered in one of them and not in the other.
""",
)
register(
    "EB0613",
    "warning",
    "the data is on a scale that the energy will feel",
    """
Bytes from 0 to 255 make squared errors tens of thousands of times those of pictures between 0 and 1, and λ is
measured against them. `times = 0.00392157` or
`scale = unit` brings bytes into [0, 1].
""",
)
