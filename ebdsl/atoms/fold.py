"""What a scalar atom of a known argument is: ``log exp x`` is ``x``, ``log |det W|`` has a name of its own."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ebdsl.atoms.core import SCALARS
from ebdsl.model.build import ONE, fn, mul, neg
from ebdsl.model.ir import Add, Apply, Fn, Lit, Mul, Node

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np


def apply_scalar(atom: str, *args: Node) -> Node:
    """``Fn(atom, args)``, or what it is equal to wherever it is defined.

    Literals are evaluated where the value is a finite number. Everybody who builds a scalar atom from a spec's
    text does so through this.
    """
    if all(isinstance(a, Lit) for a in args):
        value = _value(atom, *(a.value for a in args if isinstance(a, Lit)))
        if value is not None:
            return Lit(value)
    if atom == "log":
        return log_of(args[0])
    if atom == "abs":
        return _abs_of(args[0])
    return fn(atom, *args)


def _value(atom: str, *args: float) -> float | None:
    row = SCALARS[atom]
    if not all(low <= a <= high for a, (low, high) in zip(args, row.domain, strict=True)):
        return None
    with np.errstate(all="ignore"):
        value = float(row.numpy(*map(np.float64, args)))
    return value if math.isfinite(value) else None


def log_of(x: Node) -> Node:
    """``log x``: of a number, an exponential, a logistic function, its complement, a determinant."""
    if isinstance(x, Lit) and x.value > 0:
        return Lit(math.log(x.value))
    if isinstance(x, Fn) and x.atom == "exp":
        return x.args[0]
    if isinstance(x, Fn) and x.atom == "sigmoid":
        return neg(fn("softplus", neg(x.args[0])))
    if isinstance(x, Add) and (inner := _complement(x)) is not None and inner.atom == "sigmoid":
        return neg(fn("softplus", inner.args[0]))
    if isinstance(x, Apply) and x.function == "det":
        return Apply("logdet", x.args, x.index)
    if isinstance(x, Fn) and x.atom == "abs" and isinstance(x.args[0], Apply) and x.args[0].function == "det":
        return Apply("logabsdet", x.args[0].args, x.args[0].index)
    return fn("log", x)


def _complement(x: Add) -> Fn | None:
    """``f(u)`` of ``1 - f(u)``."""
    if len(x.terms) == 2 and ONE in x.terms:
        other = x.terms[0] if x.terms[1] == ONE else x.terms[1]
        if isinstance(other, Mul) and len(other.factors) == 2 and other.factors[0] == Lit(-1.0):
            return other.factors[1] if isinstance(other.factors[1], Fn) else None
    return None


def _abs_of(x: Node) -> Node:
    """``|x|``: of what is never negative it is that itself, and a literal's sign goes."""
    if isinstance(x, Fn) and SCALARS[x.atom].range[0] >= 0:
        return x
    if isinstance(x, Mul) and isinstance(x.factors[0], Lit):
        return mul(Lit(abs(x.factors[0].value)), _abs_of(mul(*x.factors[1:])))
    return fn("abs", x)
