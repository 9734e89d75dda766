"""Functions of numbers with a kink or a jump: absolute value, rectifier, shrinkage, maximum."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ebdsl.atoms.core import ANY, ScalarAtom, register
from ebdsl.model.build import add, fn, lit, mul, neg, sub
from ebdsl.model.ir import ONE, ZERO, Node

if TYPE_CHECKING:
    import numpy as np
else:
    from ebdsl.lazy import numpy as np

INF = math.inf

register(
    ScalarAtom(
        name="abs",
        spellings=("abs",),
        doc="the absolute value",
        latex=r"|{0}|",
        torch="torch.abs({0})",
        numpy=lambda x: np.abs(x),
        derivative=lambda args: (fn("sign", args[0]),),
        range=(0.0, INF),
        curvature="convex",
        smooth=False,
        slope=1.0,
        even=True,
        prox="soft_threshold",
        conjugate=lambda u: np.where(np.abs(u) > 1, INF, 0.0),
        sympy=lambda sp, x: sp.Abs(x),
    )
)

register(
    ScalarAtom(
        name="sign",
        spellings=("sign", "sgn"),
        doc="-1, 0 or 1",
        latex=r"\mathrm{{sign}}({0})",
        torch="torch.sign({0})",
        numpy=lambda x: np.sign(x),
        derivative=lambda args: (ZERO,),
        range=(-1.0, 1.0),
        monotone=("increasing",),
        smooth=False,
        sympy=lambda sp, x: sp.sign(x),
    )
)

register(
    ScalarAtom(
        name="step",
        spellings=("step", "heaviside"),
        doc="1 where x > 0, else 0",
        latex=r"\mathbb{{1}}[{0} > 0]",
        torch="torch.relu(torch.sign({0}))",
        numpy=lambda x: np.where(np.asarray(x) > 0, 1.0, 0.0),
        derivative=lambda args: (ZERO,),
        range=(0.0, 1.0),
        monotone=("increasing",),
        smooth=False,
        sympy=lambda sp, x: sp.Piecewise((1, x > 0), (0, True)),
    )
)

register(
    ScalarAtom(
        name="relu",
        spellings=("relu", "hinge"),
        doc="x where positive, else 0",
        latex=r"[{0}]_+",
        torch="torch.relu({0})",
        numpy=lambda x: np.maximum(x, 0.0),
        derivative=lambda args: (fn("step", args[0]),),
        range=(0.0, INF),
        curvature="convex",
        monotone=("increasing",),
        smooth=False,
        slope=1.0,
        prox="prox_relu",
        conjugate=lambda u: np.where((u < 0) | (u > 1), INF, 0.0),
        sympy=lambda sp, x: sp.Max(x, 0),
        module="nn.ReLU()",
        saturation="torch.relu({0})",
    )
)

register(
    ScalarAtom(
        name="satlin",
        spellings=("satlin", "saturated_linear"),
        doc="x between 0 and 1, else the nearer of the two",
        latex=r"\mathrm{{satlin}}({0})",
        torch="F.hardtanh({0}, 0.0, 1.0)",
        numpy=lambda x: np.clip(x, 0.0, 1.0),
        derivative=lambda args: (sub(fn("step", args[0]), fn("step", sub(args[0], ONE))),),
        range=(0.0, 1.0),
        monotone=("increasing",),
        smooth=False,
        slope=1.0,
        sympy=lambda sp, x: sp.Min(sp.Max(x, 0), 1),
        module="nn.Hardtanh(0.0, 1.0)",
        saturation="torch.relu(torch.minimum({0}, 1 - {0}))",
    )
)

register(
    ScalarAtom(
        name="leaky_relu",
        spellings=("leaky_relu",),
        doc="x where positive, else x / 100",
        latex=r"\mathrm{{leaky\,relu}}({0})",
        torch="F.leaky_relu({0})",
        numpy=lambda x: np.maximum(x, 0.01 * x),
        derivative=lambda args: (add(lit(0.01), mul(lit(0.99), fn("step", args[0]))),),
        curvature="convex",
        monotone=("increasing",),
        smooth=False,
        slope=1.0,
        conjugate=lambda u: np.where((u < 0.01) | (u > 1), INF, 0.0),
        sympy=lambda sp, x: sp.Max(x, x / 100),
        module="nn.LeakyReLU()",
    )
)

register(
    ScalarAtom(
        name="huber1",
        spellings=("huber1",),
        doc="½x² where |x| <= 1, else |x| - ½",
        latex=r"\mathrm{{huber}}({0})",
        torch='F.huber_loss({0}, torch.zeros_like({0}), reduction="none")',
        numpy=lambda x: np.where(np.abs(x) <= 1, 0.5 * np.asarray(x) ** 2, np.abs(x) - 0.5),
        derivative=lambda args: (fn("max", fn("min", args[0], ONE), neg(ONE)),),
        range=(0.0, INF),
        curvature="convex",
        lipschitz=1.0,
        slope=1.0,
        even=True,
        prox="prox_huber",
        conjugate=lambda u: np.where(np.abs(u) > 1, INF, 0.5 * u**2),
        sympy=lambda sp, x: sp.Piecewise((x**2 / 2, sp.Abs(x) <= 1), (sp.Abs(x) - sp.Rational(1, 2), True)),
    )
)


def _shrink_slopes(args: tuple[Node, ...]) -> tuple[Node, ...]:
    x, t = args
    alive = fn("step", sub(fn("abs", x), t))
    return (alive, neg(mul(fn("sign", x), alive)))


register(
    ScalarAtom(
        name="sh",
        spellings=("sh", "shrink", "soft_threshold"),
        doc="shrinkage of x by t: sign(x) max(|x| - t, 0)",
        latex=r"\mathrm{{sh}}_{{{1}}}({0})",
        torch="torch.sign({0}) * torch.relu(torch.abs({0}) - ({1}))",
        numpy=lambda x, t: np.sign(x) * np.maximum(np.abs(x) - t, 0.0),
        derivative=_shrink_slopes,
        domain=(ANY, (0.0, INF)),
        monotone=("increasing", "neither"),
        smooth=False,
        slope=1.0,
        sympy=lambda sp, x, t: sp.sign(x) * sp.Max(sp.Abs(x) - t, 0),
    )
)

register(
    ScalarAtom(
        name="max",
        spellings=("max",),
        doc="the greater of two numbers",
        latex=r"\max({0}, {1})",
        torch="torch.maximum({0}, {1})",
        numpy=lambda x, y: np.maximum(x, y),
        derivative=lambda args: (fn("step", sub(args[0], args[1])), sub(ONE, fn("step", sub(args[0], args[1])))),
        domain=(ANY, ANY),
        curvature="convex",
        monotone=("increasing", "increasing"),
        smooth=False,
        slope=1.0,
        sympy=lambda sp, x, y: sp.Max(x, y),
    )
)

register(
    ScalarAtom(
        name="min",
        spellings=("min",),
        doc="the smaller of two numbers",
        latex=r"\min({0}, {1})",
        torch="torch.minimum({0}, {1})",
        numpy=lambda x, y: np.minimum(x, y),
        derivative=lambda args: (sub(ONE, fn("step", sub(args[0], args[1]))), fn("step", sub(args[0], args[1]))),
        domain=(ANY, ANY),
        curvature="concave",
        monotone=("increasing", "increasing"),
        smooth=False,
        slope=1.0,
        sympy=lambda sp, x, y: sp.Min(x, y),
    )
)
