"""Softmax, entropy and divergences, in index notation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ebdsl.atoms.core import TensorAtom, register
from ebdsl.atoms.fold import log_of
from ebdsl.atoms.shapes import a_distribution, a_matrix, aligned, apart, at_least, scalar, two_distributions
from ebdsl.model.algebra import contract, multiply, rename
from ebdsl.model.build import ONE, add, fn, fresh, neg, sub
from ebdsl.model.ir import Node, Tensor

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np


def _numpy_logsoftmax(x: np.ndarray) -> np.ndarray:
    return x - np.logaddexp.reduce(x, axis=-1)[..., None]


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
        example=a_matrix,
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
        example=a_matrix,
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
        example=a_matrix,
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
        example=a_distribution,
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
        example=two_distributions,
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
        example=two_distributions,
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
        example=two_distributions,
    )
)
