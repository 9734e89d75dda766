"""Functions of tensors that index notation spells out: norms, sums, traces, divergences."""

from __future__ import annotations

import math

from ebdsl.atoms.core import ShapeError, TensorAtom, register
from ebdsl.atoms.fold import apply_scalar, log_of
from ebdsl.model.algebra import contract, delta, multiply, rename
from ebdsl.model.build import ONE, add, div, fn, fresh, lit, mul, neg, power, sub
from ebdsl.model.ir import Apply, Axis, Dim, Lit, Node, Size, Tensor


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


# --------------------------------------------------------------------------- entry by entry


def _sqrt(x: Tensor) -> Tensor:
    return Tensor(power(x.body, 0.5), x.axes)


register(
    TensorAtom("sqrt", ("sqrt", "√"), "the square root, entry by entry", r"\sqrt{{{0}}}", 1, _sqrt),
)
register(
    TensorAtom(
        "square", ("square",), "the square, entry by entry", r"{0}^2", 1, lambda x: Tensor(power(x.body, 2), x.axes)
    )
)
register(
    TensorAtom(
        "logsigmoid",
        ("logsigmoid",),
        "the logarithm of the logistic function, entry by entry",
        r"\log\sigma({0})",
        1,
        lambda x: Tensor(neg(fn("softplus", neg(x.body))), x.axes),
    )
)


def _clip(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    if low.axes or high.axes:
        raise ShapeError("the ends of clip are numbers")
    return Tensor(fn("min", fn("max", x.body, low.body), high.body), x.axes)


register(TensorAtom("clip", ("clip", "clamp"), "x kept between two numbers", r"[{0}]_{{{1}}}^{{{2}}}", 3, _clip))


def _huber(x: Tensor, delta: Tensor | None = None) -> Tensor:
    if delta is None:
        return Tensor(fn("huber1", x.body), x.axes)
    if delta.axes:
        raise ShapeError("the width of huber is a number")
    return Tensor(mul(power(delta.body, 2), fn("huber1", div(x.body, delta.body))), x.axes)


register(
    TensorAtom(
        "huber",
        ("huber",),
        "½x² where |x| <= δ (1 if not said), else δ(|x| - ½δ), entry by entry",
        r"\mathrm{{huber}}({0})",
        2,
        _huber,
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


register(TensorAtom("sum", ("sum",), "the sum of all entries", r"\sum {0}", 1, _sum))
register(TensorAtom("mean", ("mean",), "the mean of all entries", r"\mathrm{{mean}}({0})", 1, _mean))
register(TensorAtom("var", ("var",), "the variance of all entries", r"\mathrm{{var}}({0})", 1, _var))
register(TensorAtom("sumsq", ("sumsq",), "the sum of squares of all entries", r"\|{0}\|^2", 1, _sumsq))
register(
    TensorAtom(
        "norm",
        ("norm",),
        "the Euclidean norm of all entries, or the norm of order p",
        r"\|{0}\|",
        2,
        _norm,
        optional=1,
    )
)
register(TensorAtom("norm1", ("norm1",), "the sum of absolute values", r"\|{0}\|_1", 1, _norm1))
register(TensorAtom("norminf", ("norminf", "norm_inf"), "the greatest absolute value", r"\|{0}\|_\infty", 1, _norm_inf))
register(
    TensorAtom(
        "groupnorm",
        ("groupnorm", "norm21"),
        "the sum of the Euclidean norms of the rows (along the last axis)",
        r"\|{0}\|_{{2,1}}",
        2,
        _groupnorm,
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


register(TensorAtom("dot", ("dot", "inner"), "the sum of products of entries", r"\langle {0}, {1} \rangle", 2, _dot))
register(TensorAtom("outer", ("outer",), "all products of an entry and an entry", r"{0} \otimes {1}", 2, _outer))
register(TensorAtom("trace", ("trace", "tr", "Tr"), "the sum of the diagonal", r"\mathrm{{tr}}\,{0}", 1, _trace))
register(
    TensorAtom(
        "diag", ("diag",), "a vector's diagonal matrix, or a matrix's diagonal", r"\mathrm{{diag}}({0})", 1, _diag
    )
)
register(TensorAtom("transpose", ("transpose",), "the last two axes exchanged", r"{0}^\top", 1, _transpose))

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
        "logsumexp",
        ("logsumexp", "lse"),
        "log Σ exp along the last axis",
        r"\log\textstyle\sum\exp({0})",
        1,
        _logsumexp,
    )
)
register(
    TensorAtom(
        "softmax", ("softmax",), "exp(x) / Σ exp(x) along the last axis", r"\mathrm{{softmax}}({0})", 1, _softmax
    )
)
register(
    TensorAtom(
        "logsoftmax",
        ("logsoftmax", "log_softmax"),
        "x - log Σ exp(x) along the last axis",
        r"\log\mathrm{{softmax}}({0})",
        1,
        _logsoftmax,
    )
)
register(TensorAtom("entropy", ("entropy",), "-Σ p log p", r"H({0})", 1, _entropy))
register(
    TensorAtom(
        "cross_entropy", ("cross_entropy", "crossentropy", "CE"), "-Σ p log q", r"H({0}, {1})", 2, _cross_entropy
    )
)
register(TensorAtom("kl", ("KL", "kl"), "Σ p log(p / q)", r"\mathrm{{KL}}({0} \,\|\, {1})", 2, _kl))
register(
    TensorAtom(
        "bce",
        ("bce", "binary_cross_entropy", "BCE"),
        "-Σ y log p + (1 - y) log(1 - p)",
        r"\mathrm{{bce}}({0}, {1})",
        2,
        _bce,
    )
)
