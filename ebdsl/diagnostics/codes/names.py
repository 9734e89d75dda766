"""EB02xx: names, roles, domains, dimensions, indices, modules, settings."""

from __future__ import annotations

from ebdsl.diagnostics.catalogue import register

register(
    "EB0201",
    "error",
    "a name that nothing declares",
    """
Every name of an energy is declared: `observed`, `latent`, `param`, `module`, `const`, `dim`, or defined by a
line of its own (`C(a, b) = ||a - b||^2`). Upper and lower case are different: `Y` is not `y`.

    observed y : R[M]
    F(y) = ||Y||^2          # error: Y is not declared; did you mean y ?
""",
)
register(
    "EB0202",
    "error",
    "one name for two things",
    """
A name is declared once, and a function is not called like a variable or a dimension: in `W : R[M, W]` nobody
could tell which `W` is meant. Rename one of the two.
""",
)
register(
    "EB0203",
    "error",
    "dimensions differ",
    """
Only what is declared equal is equal: two dimensions fit if they have one name or one size. Nothing is
stretched to fit but a number.

    observed y : R[M]
    latent   z : R[N]
    param    W : R[P, N]
    E(y, z) = ||y - W z||^2     # error: y is R[M], W z is R[P]

Either give both the same name (`W : R[M, N]`), or give both a size (`dim M = 144`), or transpose (`W' z`).
""",
)
register(
    "EB0204",
    "error",
    "a domain that does not exist",
    """
After the colon stands where a variable may lie: `R[N]`, `onehot[K]`, `{0,1}[N]`, `simplex[K]`, `sphere[N]`,
`ball[N]`, `box(a, b)`, and, after a comma, what constrains it: `unit columns`, `orthonormal`, `>= 0`.
""",
)
register(
    "EB0205",
    "error",
    "a domain with the wrong numbers or dimensions",
    """
`box(a, b)` takes two numbers in parentheses, `onehot[K]` at least one dimension in brackets, a positive
definite matrix two equal ones.
""",
)
register(
    "EB0206",
    "error",
    "a constraint that does not suit the role",
    """
Constraints on columns and on whole matrices (`unit columns`, `orthonormal`, positive definite) are for what
is learned: `param`. A finite set (`onehot`, `{0,1}`) is for what is observed or latent: it has no gradient to
learn by.
""",
)
register(
    "EB0207",
    "error",
    "a vector next to a vector",
    """
`y z` could mean two things for two vectors. Write `y'z` for the dot product (a number), `y ⊙ z` (in ASCII `y
.* z`) for the product entry by entry (a vector), `y z'` for the matrix of all products.
""",
)
register(
    "EB0208",
    "error",
    "a product of things that do not multiply",
    """
Side by side, numbers scale anything, a matrix multiplies a vector or a matrix on its right, and a row (a
transposed vector, `y'`) a matrix or a vector on its right. Anything with three axes and more is taken apart
with brackets (`D[k]`).
""",
)
register(
    "EB0209",
    "error",
    "an index whose range cannot be told",
    """
`Σ_k` runs over the axis that `k` picks in the body: `z[k]`, `W[:, k]`, `W_k`. If `k` picks nothing, or axes
of different length, say what it runs over: `index k in 1..K`.
""",
)
register(
    "EB0210",
    "error",
    "a subscript that fits two axes",
    """
`W_k` picks the axis of `W` that `k` runs over. Where two axes have that dimension, write brackets: `W[k, :]`
is a row, `W[:, k]` a column.
""",
)
register(
    "EB0211",
    "error",
    "brackets that do not fit",
    """
Brackets pick entries by position, the first being 0, an entry of the brackets for each axis: `z[0]`, `W[:,
k]`, `D[k]` (the axes that are left out stay whole). Outside a sum, an index has no value.
""",
)
register(
    "EB0212",
    "error",
    "the wrong number of arguments",
    """
A function is called with as many arguments as its definition, its module or its catalogue entry has.
""",
)
register(
    "EB0213",
    "error",
    "a definition that calls itself",
    """
Definitions are written out where they are called, so they cannot go round in a circle. Sequences in time have
a place of their own in the language (`s[t+1] = f(s[t], a[t])`), which comes later.
""",
)
register(
    "EB0214",
    "error",
    "a function without its arguments",
    """
A module or a function stands with what it is applied to: `Enc(y)`, `C(y, x)`.
""",
)
register(
    "EB0215",
    "error",
    "a dimension without a usable size",
    """
The size of a dimension is a whole number above zero, or a formula of numbers and of dimensions that have one:
`dim M = 144, P = 2 * M`. Leave the size out (`dim M`) and the data tells it.
""",
)
register(
    "EB0216",
    "error",
    "a constant that is not a number",
    """
`const λ = 0.5` is a number, or a formula of numbers and of constants above it. No number of a spec is larger than
10^308, which is what computers hold. Arrays as constants come later; until then, declare an `observed` and bring it
with the data, or a `param`.
""",
)
register(
    "EB0217",
    "error",
    "layers that do not fit",
    """
A module is a chain of layers: `module Enc : R[M] -> R[N] = linear >> tanh >> linear`. The last layer that can
set a shape takes the declared output. Layers: `linear`, `mlp(128, 128, silu)`, `conv`, any function of one
number (`relu`, `tanh`, `sh`), or `python("package.module:Class")`.
""",
)
register(
    "EB0218",
    "error",
    "a module that says too little",
    """
A module says what goes in, what comes out and how: `module f : R[2] -> R = mlp(128, 128, silu)`.
""",
)
register(
    "EB0219",
    "error",
    "a module of the user's own Python",
    """
A spec is data: reading, checking, explaining or compiling it runs none of its author's code.
`python("package.module:Class")` breaks with this, so it must be asked for on the command line, by whoever
trusts the spec: `--allow-python`.
""",
)
register(
    "EB0220",
    "error",
    "a star between two vectors",
    """
`*` multiplies by a number, and between maps it is convolution (`D[k] * z[k]`). Between two vectors of one
dimension it could be either, so it is written out: `a ⊙ b` entry by entry, `a'b` the dot product, `conv(a,
b)` the convolution.
""",
)
register(
    "EB0221",
    "error",
    "a quotient that can be read in two ways",
    """
`1/2σ` is ½σ to some and 1/(2σ) to others. Parentheses say which. With a space before a function or a norm
(`1/β log x`, `1/2 ||y||^2`) the quotient is 1/β and 1/2.
""",
)
register(
    "EB0222",
    "error",
    "a power that is not defined here",
    """
A number has any power, a vector has powers entry by entry. For a matrix `W^2` could be `W W` or `W ⊙ W`;
write which. The exponent is a number.
""",
)
register(
    "EB0223",
    "error",
    "bars around a matrix",
    """
`|x|` is the absolute value of a number and, for a vector, the sum of absolute values (the L1 norm). Around a
matrix it could be that, or the determinant. Write `||W||_1` for the sum of absolute values, `logdet(W)` for
the logarithm of the determinant. `||x||` is the Euclidean (for matrices, Frobenius) norm, `||x||_1` and
`||x||_inf` are the others.
""",
)
register(
    "EB0224",
    "error",
    "an argument that does not fit its function",
    """
Each function of the catalogue says which shapes it takes: `logdet` a square matrix, `trace` a square matrix,
`dot` two vectors of one dimension.
""",
)
register(
    "EB0225",
    "error",
    "something that cannot stand here",
    """
Quoted text, comparisons and `:` have their places (settings, constraints, brackets), and a formula is not one
of them.
""",
)
register(
    "EB0226",
    "error",
    "a setting that does not exist",
    """
A setting stands on a line of its own: `epochs 20`. There are `data`, `epochs`, `batch`, `lr`, `optimizer`,
`seed`, `dtype`, `device`, `holdout`, `starts`, `steps`, `tolerance`, `restarts`,
`checkpoint_steps` and `checkpoint_seconds`.
""",
)
register(
    "EB0227",
    "error",
    "a setting whose value does not fit",
    """
Each setting has a kind (a number in a range, a word, a data source), shown in the message.
""",
)
register(
    "EB0228",
    "error",
    "--set names nothing",
    """
`--set NAME=VALUE` changes a constant (`--set λ=0.3`), the size of a dimension (`--set N=64`) or a setting of
the `train` block (`--set epochs=3`). The name must be one of the spec's or of the settings'.
""",
)
register(
    "EB0229",
    "error",
    "`infer … by …` that does not fit",
    """
`infer z by Enc` tells how a trained model answers for the latent `z`: by a module or a formula of the
observed variables that has z's shape.
""",
)
register(
    "EB0230",
    "error",
    "has its place in the grammar and comes later",
    """
The language has a place for time, recurrences, derivatives, expectations over noise and plans; this version
reads them but cannot use them yet. It says so instead of doing something else.
""",
)
register(
    "EB0231",
    "error",
    "an energy that grows beyond bounds",
    """
Definitions are written out where they are called. `a(y) = y'y`, `b(y) = a(y) + a(y)`, `c(y) = b(y) + b(y)`
and so on doubles with each line. Say what is meant in one: `2^20 ||y||^2`.
""",
)
register(
    "EB0232",
    "error",
    "a shifted index that leaves its axis",
    """
`s[t+1]` has no entry where `t` is the last one. `Σ_t` without a range takes those `t` for which all entries in it
exist; a range that is written must do so itself: `Σ_{t=0}^{T-2} (s[t+1] - s[t])^2`.
""",
)
register(
    "EB0233",
    "error",
    "a computed position that is no shift",
    """
A position in brackets is an index, an index with a whole number added to it (`t+1`, `t-2`), or a number: `0` is the
first entry, `-1` and `T-1` are the last.
""",
)
register(
    "EB0234",
    "error",
    "a range that may count from 0 or from 1",
    """
Entries are numbered from 0, and a range such as `1..T`, which would leave the axis, counts from 1. `Σ_{t=1}^{T-1} s[t]`
may be all entries but the first, or all but the last. Declare the index: `index t in 0..T-1` or `index t in 1..T`.
""",
)
register(
    "EB0235",
    "error",
    "a shift along an axis without order",
    """
The values of `z : onehot[K]` are names, none of which comes after another, so that `z[k+1]` says nothing. Shifts are
along axes of time and space, `z[t+1, k]` for a `z : onehot[T, K]`.
""",
)
register(
    "EB0236",
    "error",
    "an entry that is said twice",
    """
A sequence has one equation for how it starts, `s[0] = x`, and one for how it goes on, `s[t+1] = A s[t] + B a[t]`. What
they give is not also observed, learned or defined. Where both sides only come close, their distance is a term of the
energy: `+ κ ||s[t+1] - A s[t]||^2`.
""",
)
register(
    "EB0237",
    "error",
    "a sequence without a start, or without a step",
    """
`s[t+1] = A s[t]` reads the entry before it: the first of all has to be said, `s[0] = x`, of something observed, learned
or chosen. An equation that reads two steps back takes two starts.
""",
)
register(
    "EB0238",
    "error",
    "an equation that is no recurrence",
    """
On the left of a recurrence stands one entry, `s[t]`, `s[t+1]` or `s[0]`; on the right, entries that are there
before it.
""",
)
register(
    "EB0239",
    "error",
    "noise without a law, or a law without noise",
    """
What is random says what it is drawn from: `noise u ~ normal(0, 1) : R[N]`. The laws are normal(mean, standard
deviation), uniform(low, high) and bernoulli(probability of 1); every entry is drawn for itself. Nothing but noise is
drawn: a latent variable is chosen, or summed over.
""",
)
register(
    "EB0240",
    "error",
    "a variable for each value of an index that is none",
    """
`latent a[t] : R[2]` declares a variable for each value of `t`, which has to be an index: `time t in 0..T`, or
`index t in 1..K`.
""",
)
