"""Smooth functions of one number."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ebdsl.atoms.core import ScalarAtom, register
from ebdsl.model.build import add, fn, lit, mul, neg, power, sub
from ebdsl.model.ir import ONE, Node

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np

INF = math.inf

register(
    ScalarAtom(
        name="exp",
        spellings=("exp",),
        doc="the exponential",
        latex=r"e^{{{0}}}",
        torch="torch.exp({0})",
        numpy=lambda x: np.exp(x),
        derivative=lambda args: (fn("exp", args[0]),),
        positive=True,
        range=(0.0, INF),
        curvature="convex",
        monotone=("increasing",),
        conjugate=lambda u: np.where(u < 0, INF, _xlogx(np.maximum(u, 0)) - u),
        sympy=lambda sp, x: sp.exp(x),
    )
)

register(
    ScalarAtom(
        name="log",
        spellings=("log", "ln"),
        doc="the natural logarithm",
        latex=r"\log {0}",
        torch="torch.log({0})",
        numpy=lambda x: np.log(x),
        derivative=lambda args: (power(args[0], -1),),
        domain=((0.0, INF),),
        curvature="concave",
        monotone=("increasing",),
        prox_negative="prox_negative_log",
        sympy=lambda sp, x: sp.log(x),
    )
)

register(
    ScalarAtom(
        name="log1p",
        spellings=("log1p",),
        doc="log(1 + x), exact near 0",
        latex=r"\log(1 + {0})",
        torch="torch.log1p({0})",
        numpy=lambda x: np.log1p(x),
        derivative=lambda args: (power(add(ONE, args[0]), -1),),
        domain=((-1.0, INF),),
        curvature="concave",
        monotone=("increasing",),
        sympy=lambda sp, x: sp.log(1 + x),
    )
)

register(
    ScalarAtom(
        name="sin",
        spellings=("sin",),
        doc="the sine",
        latex=r"\sin {0}",
        torch="torch.sin({0})",
        numpy=lambda x: np.sin(x),
        derivative=lambda args: (fn("cos", args[0]),),
        range=(-1.0, 1.0),
        lipschitz=1.0,
        slope=1.0,
        sympy=lambda sp, x: sp.sin(x),
    )
)

register(
    ScalarAtom(
        name="cos",
        spellings=("cos",),
        doc="the cosine",
        latex=r"\cos {0}",
        torch="torch.cos({0})",
        numpy=lambda x: np.cos(x),
        derivative=lambda args: (neg(fn("sin", args[0])),),
        range=(-1.0, 1.0),
        lipschitz=1.0,
        slope=1.0,
        even=True,
        sympy=lambda sp, x: sp.cos(x),
    )
)

register(
    ScalarAtom(
        name="sinh",
        spellings=("sinh",),
        doc="the hyperbolic sine",
        latex=r"\sinh {0}",
        torch="torch.sinh({0})",
        numpy=lambda x: np.sinh(x),
        derivative=lambda args: (fn("cosh", args[0]),),
        monotone=("increasing",),
        sympy=lambda sp, x: sp.sinh(x),
    )
)

register(
    ScalarAtom(
        name="cosh",
        spellings=("cosh",),
        doc="the hyperbolic cosine",
        latex=r"\cosh {0}",
        torch="torch.cosh({0})",
        numpy=lambda x: np.cosh(x),
        derivative=lambda args: (fn("sinh", args[0]),),
        positive=True,
        range=(1.0, INF),
        curvature="convex",
        even=True,
        conjugate=lambda u: u * np.arcsinh(u) - np.sqrt(1 + u**2),
        sympy=lambda sp, x: sp.cosh(x),
    )
)

register(
    ScalarAtom(
        name="logcosh",
        spellings=("logcosh", "log cosh"),
        doc="log cosh x, without overflow: an absolute value that is smooth at 0",
        latex=r"\log\cosh {0}",
        torch="(torch.logaddexp({0}, -({0})) - 0.6931471805599453)",
        numpy=lambda x: np.logaddexp(x, -x) - math.log(2),
        derivative=lambda args: (fn("tanh", args[0]),),
        range=(0.0, INF),
        curvature="convex",
        lipschitz=1.0,
        slope=1.0,
        even=True,
        conjugate=lambda u: np.where(
            np.abs(u) > 1, INF, (_xlogx(np.maximum(1 + u, 0)) + _xlogx(np.maximum(1 - u, 0))) / 2
        ),
        sympy=lambda sp, x: sp.log(sp.cosh(x)),
        summed="log_cosh_sum",
    )
)

register(
    ScalarAtom(
        name="tanh",
        spellings=("tanh",),
        doc="the hyperbolic tangent",
        latex=r"\tanh {0}",
        torch="torch.tanh({0})",
        numpy=lambda x: np.tanh(x),
        derivative=lambda args: (sub(ONE, power(fn("tanh", args[0]), 2)),),
        range=(-1.0, 1.0),
        monotone=("increasing",),
        lipschitz=4 / (3 * math.sqrt(3)),
        slope=1.0,
        sympy=lambda sp, x: sp.tanh(x),
        module="nn.Tanh()",
    )
)


def _sigmoid(x: Node) -> Node:
    return fn("sigmoid", x)


register(
    ScalarAtom(
        name="sigmoid",
        spellings=("sigmoid", "logistic", "σ"),
        doc="the logistic function 1 / (1 + exp(-x))",
        latex=r"\sigma({0})",
        torch="torch.sigmoid({0})",
        numpy=lambda x: 0.5 * (1 + np.tanh(0.5 * x)),
        derivative=lambda args: (mul(_sigmoid(args[0]), sub(ONE, _sigmoid(args[0]))),),
        positive=True,
        range=(0.0, 1.0),
        monotone=("increasing",),
        lipschitz=1 / (6 * math.sqrt(3)),
        slope=0.25,
        sympy=lambda sp, x: 1 / (1 + sp.exp(-x)),
        module="nn.Sigmoid()",
    )
)

register(
    ScalarAtom(
        name="softplus",
        spellings=("softplus",),
        doc="log(1 + exp(x)), without overflow",
        latex=r"\mathrm{{softplus}}({0})",
        torch="F.softplus({0})",
        numpy=lambda x: np.logaddexp(0.0, x),
        derivative=lambda args: (_sigmoid(args[0]),),
        positive=True,
        range=(0.0, INF),
        curvature="convex",
        monotone=("increasing",),
        lipschitz=0.25,
        slope=1.0,
        conjugate=lambda u: np.where((u < 0) | (u > 1), INF, _xlogx(np.clip(u, 0, 1)) + _xlogx(np.clip(1 - u, 0, 1))),
        sympy=lambda sp, x: sp.log(1 + sp.exp(x)),
        module="nn.Softplus()",
        summed="softplus_sum",
    )
)


def _silu_slope(args: tuple[Node, ...]) -> tuple[Node, ...]:
    x = args[0]
    return (mul(_sigmoid(x), add(ONE, mul(x, sub(ONE, _sigmoid(x))))),)


register(
    ScalarAtom(
        name="silu",
        spellings=("silu", "swish"),
        doc="x times the logistic function of x",
        latex=r"\mathrm{{silu}}({0})",
        torch="F.silu({0})",
        numpy=lambda x: x * 0.5 * (1 + np.tanh(0.5 * x)),
        derivative=_silu_slope,
        range=(-0.2784645427610739, INF),
        lipschitz=0.5,
        slope=1.0999,
        sympy=lambda sp, x: x / (1 + sp.exp(-x)),
        module="nn.SiLU()",
    )
)


def _gelu_slope(args: tuple[Node, ...]) -> tuple[Node, ...]:
    x = args[0]
    cdf = mul(lit(0.5), add(ONE, fn("erf", mul(lit(math.sqrt(0.5)), x))))
    density = mul(lit(1 / math.sqrt(2 * math.pi)), fn("exp", mul(lit(-0.5), power(x, 2))))
    return (add(cdf, mul(x, density)),)


register(
    ScalarAtom(
        name="gelu",
        spellings=("gelu",),
        doc="x times the normal distribution function of x",
        latex=r"\mathrm{{gelu}}({0})",
        torch="F.gelu({0})",
        numpy=lambda x: 0.5 * x * (1 + _erf(x / math.sqrt(2))),
        derivative=_gelu_slope,
        range=(-0.1699712075, INF),
        lipschitz=2 / math.sqrt(2 * math.pi),
        slope=1.129,
        sympy=lambda sp, x: x * (1 + sp.erf(x / sp.sqrt(2))) / 2,
        module="nn.GELU()",
    )
)

register(
    ScalarAtom(
        name="elu",
        spellings=("elu",),
        doc="x where positive, else exp(x) - 1",
        latex=r"\mathrm{{elu}}({0})",
        torch="F.elu({0})",
        numpy=lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        derivative=lambda args: (fn("exp", fn("min", args[0], lit(0.0))),),
        range=(-1.0, INF),
        curvature="convex",
        monotone=("increasing",),
        lipschitz=1.0,
        slope=1.0,
        conjugate=lambda u: np.where((u < 0) | (u > 1), INF, _xlogx(np.clip(u, 0, 1)) - u + 1),
        sympy=lambda sp, x: sp.Piecewise((x, x > 0), (sp.exp(x) - 1, True)),
        module="nn.ELU()",
    )
)

register(
    ScalarAtom(
        name="atan",
        spellings=("atan", "arctan"),
        doc="the inverse tangent",
        latex=r"\arctan {0}",
        torch="torch.atan({0})",
        numpy=lambda x: np.arctan(x),
        derivative=lambda args: (power(add(ONE, power(args[0], 2)), -1),),
        range=(-math.pi / 2, math.pi / 2),
        monotone=("increasing",),
        lipschitz=3 * math.sqrt(3) / 8,
        slope=1.0,
        sympy=lambda sp, x: sp.atan(x),
    )
)


def _erf(x: np.ndarray) -> np.ndarray:
    return np.vectorize(math.erf, otypes=[float])(x)


register(
    ScalarAtom(
        name="erf",
        spellings=("erf",),
        doc="the error function",
        latex=r"\mathrm{{erf}}({0})",
        torch="torch.erf({0})",
        numpy=_erf,
        derivative=lambda args: (mul(lit(2 / math.sqrt(math.pi)), fn("exp", neg(power(args[0], 2)))),),
        range=(-1.0, 1.0),
        monotone=("increasing",),
        lipschitz=4 / math.sqrt(2 * math.pi * math.e),
        slope=2 / math.sqrt(math.pi),
        sympy=lambda sp, x: sp.erf(x),
    )
)


def _xlogx(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, dtype=float)
    return np.where(x > 0, x * np.log(np.where(x > 0, x, 1.0)), np.where(x == 0, 0.0, np.nan))


register(
    ScalarAtom(
        name="xlogx",
        spellings=("xlogx",),
        doc="x log x, 0 at 0",
        latex=r"{0} \log {0}",
        torch="torch.xlogy({0}, torch.clamp_min({0}, 1e-30))",  # at 0 a slope that is steep, and a number
        numpy=_xlogx,
        derivative=lambda args: (add(ONE, fn("log", args[0])),),
        domain=((0.0, INF),),
        range=(-math.exp(-1), INF),
        curvature="convex",
        conjugate=lambda u: np.exp(u - 1),
        sympy=lambda sp, x: x * sp.log(x),
    )
)
