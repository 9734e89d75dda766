"""Functions of tensors that index notation spells out: norms, sums, traces, divergences."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ebdsl.atoms.core import ShapeError, TensorAtom, register
from ebdsl.atoms.fold import apply_scalar, log_of
from ebdsl.model.algebra import contract, delta, multiply, rename
from ebdsl.model.build import ONE, add, div, fn, fresh, lit, mul, neg, power, sub
from ebdsl.model.ir import Apply, Axis, Dim, Lit, Node, Size, Tensor

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np


def show(shape: tuple[Dim, ...]) -> str:
    """A shape as a spec writes it."""
    return f"R[{', '.join(map(str, shape))}]" if shape else "a number"


def number(x: Tensor, what: str) -> float:
    """The value of an argument that must be a literal number."""
    if x.axes or not isinstance(x.body, Lit):
        raise ShapeError(f"{what} is a number that is written out, like 2")
    return x.body.value


def apart(*args: Tensor) -> tuple[Tensor, ...]:
    """The arguments with axes of their own each, so that they can stand in one expression."""
    seen: set[Axis] = set()
    result = []
    for x in args:
        if seen & set(x.axes):
            new = {a: fresh(a.dim) for a in x.axes}
            x = Tensor(rename(x.body, dict(new)), tuple(new.values()))
        seen |= set(x.axes)
        result.append(x)
    return tuple(result)


def aligned(name: str, x: Tensor, y: Tensor) -> tuple[Node, Node, tuple[Axis, ...]]:
    """Two tensors of one shape over the same axes; a number goes with every shape."""
    if not x.axes or not y.axes:
        return x.body, y.body, x.axes or y.axes
    if x.shape != y.shape:
        raise ShapeError(f"{name} needs two of the same shape, and these are {show(x.shape)} and {show(y.shape)}")
    return x.body, rename(y.body, dict(zip(y.axes, x.axes, strict=True))), x.axes


def at_least(name: str, x: Tensor, ndim: int) -> None:
    if len(x.axes) < ndim:
        wanted = {1: "a vector", 2: "a matrix"}[ndim]
        raise ShapeError(f"{name} takes {wanted}, and this is {show(x.shape)}")


def count(axes: tuple[Axis, ...]) -> Node:
    """The number of entries."""
    return mul(*(lit(a.dim) if isinstance(a.dim, int) else Size(a.dim) for a in axes))


def scalar(node: Node) -> Tensor:
    return Tensor(node, ())


# --------------------------------------------------------------------------- examples, references


def _matrix(rng: Any) -> tuple[Any, ...]:
    return (rng.standard_normal((2, 3)),)


def _two(rng: Any) -> tuple[Any, ...]:
    return rng.standard_normal((2, 3)), rng.standard_normal((2, 3))


def _distribution(rng: Any) -> tuple[Any, ...]:
    return (rng.dirichlet(np.ones(4)),)


def _distributions(rng: Any) -> tuple[Any, ...]:
    return rng.dirichlet(np.ones(4)), rng.dirichlet(np.ones(4))


def _numpy_huber(x: np.ndarray, delta: float = 1.0) -> np.ndarray:
    size = np.abs(x)
    return np.where(size <= delta, x**2 / 2, delta * (size - delta / 2))


def _numpy_logsoftmax(x: np.ndarray) -> np.ndarray:
    return x - np.logaddexp.reduce(x, axis=-1)[..., None]


# --------------------------------------------------------------------------- entry by entry


def _sqrt(x: Tensor) -> Tensor:
    return Tensor(power(x.body, 0.5), x.axes)


register(
    TensorAtom(
        name="sqrt",
        spellings=("sqrt", "√"),
        doc="the square root, entry by entry",
        latex=r"\sqrt{{{0}}}",
        arity=1,
        lower=_sqrt,
        numpy=lambda x: np.sqrt(x),
        example=lambda rng: (rng.uniform(0.1, 3.0, (2, 3)),),
    )
)
register(
    TensorAtom(
        name="square",
        spellings=("square",),
        doc="the square, entry by entry",
        latex=r"{0}^2",
        arity=1,
        lower=lambda x: Tensor(power(x.body, 2), x.axes),
        numpy=lambda x: x**2,
        example=_matrix,
    )
)
register(
    TensorAtom(
        name="logsigmoid",
        spellings=("logsigmoid",),
        doc="the logarithm of the logistic function, entry by entry",
        latex=r"\log\sigma({0})",
        arity=1,
        lower=lambda x: Tensor(neg(fn("softplus", neg(x.body))), x.axes),
        numpy=lambda x: -np.logaddexp(0.0, -x),
        example=_matrix,
    )
)


def _clip(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    if low.axes or high.axes:
        raise ShapeError("the ends of clip are numbers")
    return Tensor(fn("min", fn("max", x.body, low.body), high.body), x.axes)


register(
    TensorAtom(
        name="clip",
        spellings=("clip", "clamp"),
        doc="x kept between two numbers",
        latex=r"[{0}]_{{{1}}}^{{{2}}}",
        arity=3,
        lower=_clip,
        numpy=lambda x, low, high: np.clip(x, low, high),
        example=lambda rng: (rng.standard_normal(9), -0.5, 0.7),
    )
)


def _huber(x: Tensor, delta: Tensor | None = None) -> Tensor:
    if delta is None:
        return Tensor(fn("huber1", x.body), x.axes)
    if delta.axes:
        raise ShapeError("the width of huber is a number")
    return Tensor(mul(power(delta.body, 2), fn("huber1", div(x.body, delta.body))), x.axes)


register(
    TensorAtom(
        name="huber",
        spellings=("huber",),
        doc="½x² where |x| <= δ (1 if not said), else δ(|x| - ½δ), entry by entry",
        latex=r"\mathrm{{huber}}({0})",
        arity=2,
        lower=_huber,
        numpy=_numpy_huber,
        example=lambda rng: (2 * rng.standard_normal(9), 0.7),
        optional=1,
    )
)

# --------------------------------------------------------------------------- sums and norms


def _sum(x: Tensor) -> Tensor:
    return scalar(contract(x.body, x.axes))


def _mean(x: Tensor) -> Tensor:
    return scalar(div(contract(x.body, x.axes), count(x.axes)))


def _var(x: Tensor) -> Tensor:
    (y,) = apart(x)[:1]
    other = tuple(fresh(a.dim) for a in x.axes)
    middle = div(contract(rename(y.body, dict(zip(x.axes, other, strict=True))), other), count(x.axes))
    return _mean(Tensor(power(sub(x.body, middle), 2), x.axes))


def _sumsq(x: Tensor) -> Tensor:
    return scalar(contract(power(x.body, 2), x.axes))


def _norm(x: Tensor, order: Tensor | None = None) -> Tensor:
    p = 2.0 if order is None else number(order, "the order of a norm")
    if p == 2:
        return fn_abs(x) if not x.axes else scalar(power(_sumsq(x).body, 0.5))
    if p == 1:
        return _norm1(x)
    if p == math.inf:
        return _norm_inf(x)
    if p < 1:
        raise ShapeError(f"the order of a norm is at least 1, and this is {p:g}")
    return scalar(power(contract(power(fn("abs", x.body), p), x.axes), 1 / p))


def fn_abs(x: Tensor) -> Tensor:
    return Tensor(apply_scalar("abs", x.body), x.axes)


def _norm1(x: Tensor) -> Tensor:
    return scalar(contract(apply_scalar("abs", x.body), x.axes))


def _norm_inf(x: Tensor) -> Tensor:
    body: Node = apply_scalar("abs", x.body)
    for a in reversed(x.axes):
        body = Apply("maximum", (Tensor(body, (a,)),), ())
    return scalar(body)


def _groupnorm(x: Tensor, size: Tensor | None = None) -> Tensor:
    at_least("groupnorm", x, 1)
    last = x.axes[-1].dim
    if size is not None:
        wanted = number(size, "the size of the groups")
        if last != wanted:
            whole = f"R[{last // int(wanted)}, {wanted:g}]" if isinstance(last, int) else f"R[G, {wanted:g}]"
            raise ShapeError(
                f"the groups are the last axis, which has {last} entries here, not {wanted:g}; "
                f"declare the variable as {whole}"
            )
    return scalar(contract(power(contract(power(x.body, 2), x.axes[-1:]), 0.5), x.axes[:-1]))


register(
    TensorAtom(
        name="sum",
        spellings=("sum",),
        doc="the sum of all entries",
        latex=r"\sum {0}",
        arity=1,
        lower=_sum,
        numpy=lambda x: np.sum(x),
        example=_matrix,
    )
)
register(
    TensorAtom(
        name="mean",
        spellings=("mean",),
        doc="the mean of all entries",
        latex=r"\mathrm{{mean}}({0})",
        arity=1,
        lower=_mean,
        numpy=lambda x: np.mean(x),
        example=_matrix,
    )
)
register(
    TensorAtom(
        name="var",
        spellings=("var",),
        doc="the variance of all entries",
        latex=r"\mathrm{{var}}({0})",
        arity=1,
        lower=_var,
        numpy=lambda x: np.var(x),
        example=_matrix,
    )
)
register(
    TensorAtom(
        name="sumsq",
        spellings=("sumsq",),
        doc="the sum of squares of all entries",
        latex=r"\|{0}\|^2",
        arity=1,
        lower=_sumsq,
        numpy=lambda x: np.sum(x**2),
        example=_matrix,
    )
)
register(
    TensorAtom(
        name="norm",
        spellings=("norm",),
        doc="the Euclidean norm of all entries, or the norm of order p",
        latex=r"\|{0}\|",
        arity=2,
        lower=_norm,
        numpy=lambda x, p=2.0: np.sum(np.abs(x) ** p) ** (1 / p),
        example=lambda rng: (rng.standard_normal((2, 3)), 3.0),
        optional=1,
    )
)
register(
    TensorAtom(
        name="norm1",
        spellings=("norm1",),
        doc="the sum of absolute values",
        latex=r"\|{0}\|_1",
        arity=1,
        lower=_norm1,
        numpy=lambda x: np.sum(np.abs(x)),
        example=_matrix,
    )
)
register(
    TensorAtom(
        name="norminf",
        spellings=("norminf", "norm_inf"),
        doc="the greatest absolute value",
        latex=r"\|{0}\|_\infty",
        arity=1,
        lower=_norm_inf,
        numpy=lambda x: np.max(np.abs(x)),
        example=_matrix,
    )
)
register(
    TensorAtom(
        name="groupnorm",
        spellings=("groupnorm", "norm21"),
        doc="the sum of the Euclidean norms of the rows (along the last axis)",
        latex=r"\|{0}\|_{{2,1}}",
        arity=2,
        lower=_groupnorm,
        numpy=lambda x, size=None: np.sum(np.linalg.norm(x, axis=-1)),
        example=lambda rng: (rng.standard_normal((4, 3)), 3.0),
        optional=1,
    )
)

# --------------------------------------------------------------------------- matrices


def _dot(x: Tensor, y: Tensor) -> Tensor:
    left, right, axes = aligned("dot", *apart(x, y))
    return scalar(contract(multiply(left, right), axes))


def _outer(x: Tensor, y: Tensor) -> Tensor:
    x, y = apart(x, y)
    return Tensor(multiply(x.body, y.body), (*x.axes, *y.axes))


def _trace(x: Tensor) -> Tensor:
    at_least("trace", x, 2)
    *lead, i, j = x.axes
    if i.dim != j.dim:
        raise ShapeError(f"trace takes a square matrix, and this is {show(x.shape)}")
    return Tensor(contract(rename(x.body, {j: i}), (i,)), tuple(lead))


def _diag(x: Tensor) -> Tensor:
    at_least("diag", x, 1)
    if len(x.axes) == 1:
        (i,) = x.axes
        j = fresh(i.dim)
        return Tensor(multiply(x.body, delta(i, j)), (i, j))
    *lead, i, j = x.axes
    if i.dim != j.dim:
        raise ShapeError(f"diag takes a vector or a square matrix, and this is {show(x.shape)}")
    return Tensor(rename(x.body, {j: i}), (*lead, i))


def _transpose(x: Tensor) -> Tensor:
    if len(x.axes) < 2:
        return x
    *lead, i, j = x.axes
    return Tensor(x.body, (*lead, j, i))


register(
    TensorAtom(
        name="dot",
        spellings=("dot", "inner"),
        doc="the sum of products of entries",
        latex=r"\langle {0}, {1} \rangle",
        arity=2,
        lower=_dot,
        numpy=lambda x, y: np.sum(x * y),
        example=_two,
    )
)
register(
    TensorAtom(
        name="outer",
        spellings=("outer",),
        doc="all products of an entry and an entry",
        latex=r"{0} \otimes {1}",
        arity=2,
        lower=_outer,
        numpy=lambda x, y: np.multiply.outer(x, y),
        example=lambda rng: (rng.standard_normal(3), rng.standard_normal(2)),
    )
)
register(
    TensorAtom(
        name="trace",
        spellings=("trace", "tr", "Tr"),
        doc="the sum of the diagonal",
        latex=r"\mathrm{{tr}}\,{0}",
        arity=1,
        lower=_trace,
        numpy=lambda x: np.trace(x, axis1=-2, axis2=-1),
        example=lambda rng: (rng.standard_normal((3, 3)),),
    )
)
register(
    TensorAtom(
        name="diag",
        spellings=("diag",),
        doc="a vector's diagonal matrix, or a matrix's diagonal",
        latex=r"\mathrm{{diag}}({0})",
        arity=1,
        lower=_diag,
        numpy=lambda x: np.diag(x),
        example=lambda rng: (rng.standard_normal(3),),
    )
)
register(
    TensorAtom(
        name="transpose",
        spellings=("transpose",),
        doc="the last two axes exchanged",
        latex=r"{0}^\top",
        arity=1,
        lower=_transpose,
        numpy=lambda x: np.swapaxes(x, -1, -2),
        example=_matrix,
    )
)

# --------------------------------------------------------------------------- distributions


def _lse(x: Tensor) -> Node:
    """``log Σ exp`` over the last axis, with axes of its own."""
    new = fresh(x.axes[-1].dim)
    return fn("log", contract(fn("exp", rename(x.body, {x.axes[-1]: new})), (new,)))


def _logsumexp(x: Tensor) -> Tensor:
    at_least("logsumexp", x, 1)
    return Tensor(_lse(x), x.axes[:-1])


def _logsoftmax(x: Tensor) -> Tensor:
    at_least("softmax", x, 1)
    return Tensor(sub(x.body, _lse(x)), x.axes)


def _softmax(x: Tensor) -> Tensor:
    return Tensor(fn("exp", _logsoftmax(x).body), x.axes)


def _entropy(p: Tensor) -> Tensor:
    return scalar(neg(contract(fn("xlogx", p.body), p.axes)))


def _cross_entropy(p: Tensor, q: Tensor) -> Tensor:
    left, right, axes = aligned("cross_entropy", *apart(p, q))
    return scalar(neg(contract(multiply(left, log_of(right)), axes)))


def _kl(p: Tensor, q: Tensor) -> Tensor:
    left, right, axes = aligned("KL", *apart(p, q))
    return scalar(sub(contract(fn("xlogx", left), axes), contract(multiply(left, log_of(right)), axes)))


def _bce(y: Tensor, p: Tensor) -> Tensor:
    left, right, axes = aligned("bce", *apart(y, p))
    likely = add(multiply(left, log_of(right)), multiply(sub(ONE, left), log_of(sub(ONE, right))))
    return scalar(neg(contract(likely, axes)))


register(
    TensorAtom(
        name="logsumexp",
        spellings=("logsumexp", "lse"),
        doc="log Σ exp along the last axis",
        latex=r"\log\textstyle\sum\exp({0})",
        arity=1,
        lower=_logsumexp,
        numpy=lambda x: np.logaddexp.reduce(x, axis=-1),
        example=_matrix,
    )
)
register(
    TensorAtom(
        name="softmax",
        spellings=("softmax",),
        doc="exp(x) / Σ exp(x) along the last axis",
        latex=r"\mathrm{{softmax}}({0})",
        arity=1,
        lower=_softmax,
        numpy=lambda x: np.exp(_numpy_logsoftmax(x)),
        example=_matrix,
    )
)
register(
    TensorAtom(
        name="logsoftmax",
        spellings=("logsoftmax", "log_softmax"),
        doc="x - log Σ exp(x) along the last axis",
        latex=r"\log\mathrm{{softmax}}({0})",
        arity=1,
        lower=_logsoftmax,
        numpy=_numpy_logsoftmax,
        example=_matrix,
    )
)
register(
    TensorAtom(
        name="entropy",
        spellings=("entropy",),
        doc="-Σ p log p",
        latex=r"H({0})",
        arity=1,
        lower=_entropy,
        numpy=lambda p: -np.sum(p * np.log(p)),
        example=_distribution,
    )
)
register(
    TensorAtom(
        name="cross_entropy",
        spellings=("cross_entropy", "crossentropy", "CE"),
        doc="-Σ p log q",
        latex=r"H({0}, {1})",
        arity=2,
        lower=_cross_entropy,
        numpy=lambda p, q: -np.sum(p * np.log(q)),
        example=_distributions,
    )
)
register(
    TensorAtom(
        name="kl",
        spellings=("KL", "kl"),
        doc="Σ p log(p / q)",
        latex=r"\mathrm{{KL}}({0} \,\|\, {1})",
        arity=2,
        lower=_kl,
        numpy=lambda p, q: np.sum(p * np.log(p / q)),
        example=_distributions,
    )
)
register(
    TensorAtom(
        name="bce",
        spellings=("bce", "binary_cross_entropy", "BCE"),
        doc="-Σ y log p + (1 - y) log(1 - p)",
        latex=r"\mathrm{{bce}}({0}, {1})",
        arity=2,
        lower=_bce,
        numpy=lambda y, p: -np.sum(y * np.log(p) + (1 - y) * np.log(1 - p)),
        example=_distributions,
    )
)
