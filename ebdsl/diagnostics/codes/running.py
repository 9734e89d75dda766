"""EB07xx: training, resuming, inferring."""

from __future__ import annotations

from ebdsl.diagnostics.catalogue import register

register(
    "EB0701",
    "error",
    "no data",
    """
A model is trained on, or asked about, data. Name it in the spec or on the command line:

    train
        data patches(natural, size = 12)

    ebdsl train spec.ebm --data digits.npy
""",
)
register(
    "EB0702",
    "error",
    "a dimension has no size",
    """
Sizes come from the spec (`dim N = 256`), from the data (the shape of an observed variable), or
from the command line. The number of atoms, clusters or hidden units is nothing data can tell:

    ebdsl train kmeans.ebm --set K=20
""",
)
register(
    "EB0703",
    "error",
    "the energy is not a number",
    """
A term of the energy became NaN or infinite, so no update after it means anything. Training
stopped and the last good checkpoint is kept. What usually does it:

  - a step that is too large: `--lr` ten times smaller;
  - log, sqrt or a division at or beyond the edge of its domain: keep the argument positive
    (a domain such as `>= 0`, or `+ 1e-6` inside);
  - a variance or a matrix that collapsed onto a single sample: add a prior or a floor;
  - NaN in the data.
""",
)
register(
    "EB0704",
    "error",
    "the energy runs away",
    """
The energy is a million times what it was at the start and still a number: a step that is too
large makes it grow without bound, and an energy that is not bounded below (a missing `log det`,
a missing constraint) lets it fall without bound. Training stopped and the last good checkpoint
is kept.

  - growing: `--lr` ten times smaller;
  - falling: look for the parameter that can go to infinity or to zero, and bound it
    (`unit columns`, a prior, the normaliser of the density).
""",
)
register(
    "EB0705",
    "error",
    "the checkpoint cannot be used",
    """
Every checkpoint carries a checksum of each tensor. None in this run is whole, or they do not
belong to this spec: they were truncated, damaged or replaced. The last two are kept for this
reason; with both gone the run has to be begun again.
""",
)
register(
    "EB0706",
    "warning",
    "the newest checkpoint is damaged",
    """
The newest checkpoint is truncated or fails its checksum; the one before it is whole and is used.
The steps between the two are done again, with the same results.
""",
)
register(
    "EB0707",
    "error",
    "the spec changed since the run began",
    """
Resuming goes on with the same energy, to the bit. The spec now reads differently from the one
that the run began with (a comment counts, since the whole text is compared). Either go on with
the run's own copy:

    ebdsl train runs/NAME --resume

or begin a run with the new text: `ebdsl train spec.ebm`.
""",
)
register(
    "EB0708",
    "error",
    "an option differs from the run's",
    """
A resumed run keeps its seed, batch size, learning rate, precision, data and held-out share: another
value would be another run. Leave the option out, or begin a new run. `--epochs` (to train longer)
and `--device` can be given anew.
""",
)
register(
    "EB0709",
    "error",
    "the data changed since the run began",
    """
The run remembers shapes and a checksum of its data. What was loaded now differs, so the run
cannot be taken up where it stood. Bring the data back, or begin a new run.
""",
)
register(
    "EB0710",
    "warning",
    "resuming, but not to the bit",
    """
The run goes on from its checkpoint on other ground: another version of ebdsl or of torch, another
device, another number of threads. Sums are then rounded differently, and the losses may differ in
their last digits from those of a run that was never interrupted.
""",
)
register(
    "EB0711",
    "error",
    "nothing to resume",
    """
`--resume` takes up a run that `ebdsl train` began. There is none in the folder, or under
runs/NAME where no folder is named.
""",
)
register(
    "EB0712",
    "error",
    "out of memory",
    """
The device or the machine has no room for this batch. `--batch` with a smaller number needs less;
so does `--dtype float32`. Learning that wants the whole data set at once (Lloyd's means, EM)
keeps all of it in memory.
""",
)
register(
    "EB0713",
    "error",
    "a linear system is singular",
    """
A closed-form step had to solve a linear system that has no unique solution: two columns of a
dictionary became equal, a component lost all its samples, or there are fewer samples than
unknowns. A small quadratic term in the energy (`+ 1e-6 ||W||^2`) makes the system regular.
""",
)
register(
    "EB0714",
    "error",
    "no such device",
    """
`--device` takes cpu, cuda, cuda:1, mps, or auto for the best that the machine has.
""",
)
register(
    "EB0715",
    "error",
    "a setting has a value it cannot have",
    """
Settings of the `train` block and the options of `ebdsl train` are checked alike: epochs and batch
are positive whole numbers, lr is a positive number, holdout is a share from 0 to below 1, dtype is
float32 or float64.
""",
)
register(
    "EB0716",
    "error",
    "--set names nothing that can be set",
    """
`--set NAME=VALUE` gives a constant or a dimension of the spec another value, or changes a setting
of its `train` block. Both spellings of a name do: `--set λ=0.3` and `--set lambda=0.3`.
""",
)
register(
    "EB0717",
    "error",
    "nothing to infer",
    """
The energy has no latent variable, so there is no code to answer with. `ebdsl eval` gives the
energy of each sample.
""",
)
register(
    "EB0718",
    "error",
    "the model is not trained yet",
    """
Codes and free energies need parameters. Train first, or load a run:

    spec = ebdsl.load("sparse_coding.ebm").fit(Y)
    spec = ebdsl.load("runs/sparse_coding")
""",
)
register(
    "EB0719",
    "error",
    "the data does not fit the trained model",
    """
The model was trained on samples of one shape and is asked about samples of another.
""",
)
register(
    "EB0720",
    "error",
    "too few samples",
    """
Training needs at least one sample after the held-out share is taken away, and a held-out share
at least one as well.
""",
)
register(
    "EB0722",
    "error",
    "the generated model failed",
    """
PyTorch refused an operation of the generated model. The message says which line of the generated
file it was and which term of the spec that line computes.
""",
)
register(
    "EB0723",
    "warning",
    "inference did not converge everywhere",
    """
Some samples ran out of iterations before the optimality condition was met within the tolerance.
Their codes are the best that was found. A larger number of iterations, or a smaller condition
number of the parameters, helps.

An energy that is not finite belongs to no answer: squares of such numbers are too large for float32. Scale the
data, or train with `--dtype float64`.
""",
)
register(
    "EB0724",
    "error",
    "a value does not fit",
    """
What was passed to a function of the Python interface has the wrong kind or shape; the message
says what is wanted.
""",
)
register(
    "EB0725",
    "warning",
    "the run's spec was edited",
    """
A run's parameters belong to the spec that they were learned with, which every checkpoint holds
too. `infer`, `eval` and `plot` use that text; the edited copy in the folder is not looked at.
""",
)
register(
    "EB0726",
    "warning",
    "the target is not used",
    """
`--target inductor` compiles the steps of iterative inference with PyTorch's Inductor, which needs a C++
compiler (`g++` or `clang++`) on a CPU, and a plan that iterates. `--target native` runs kernels in C++ where the plan
has any, which serve a CPU. The answers are the same without them.
""",
)
register(
    "EB0727",
    "error",
    "several starts cannot be told apart",
    """
`starts 5` tries five starts for a few steps and goes on with the one of lowest energy. A strategy raises the energy
off the data by changing it everywhere, so that the energies of two starts do not compare.
""",
)
register(
    "EB0799",
    "error",
    "internal fault",
    """
This is a fault of ebdsl and not of your spec. Please report it with the spec, the command and
what this command prints when the environment variable EBDSL_TRACEBACK=1 is set.
""",
)
