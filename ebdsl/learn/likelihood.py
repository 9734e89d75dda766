"""Energies that are negative log-likelihoods: ``Σ_y exp(-E) = 1`` whatever the parameters, tested at random ones.

Where the energy is quadratic in all that is continuous, the same is asked of ``∫ exp(-β E)``, a Gaussian integral.

An energy that is not normalised fails at a random point with probability one, however either is written.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from ebdsl.facts.normal import normal
from ebdsl.model.algebra import addends
from ebdsl.model.ir import Node, Part, Symbol, extent
from ebdsl.model.like_terms import apart
from ebdsl.model.model import Model

if TYPE_CHECKING:
    import numpy as np

MOST_VALUES = 1024
MOST_ENTRIES = 24


def normalised(model: Model) -> tuple[str, float] | None:
    """Name of the observed symbol over whose finitely many values ``exp(-β E)`` adds up to a constant, and that β.

    β is what takes the number off one of the terms. A term without data is a price on parameters, and weighs all
    values alike.
    """
    import numpy as np

    from ebdsl.model import reference

    finite = [s for s in model.role("observed") if s.domain.row.finite]
    if len(finite) != 1 or model.role("latent"):
        return None
    (y,) = finite
    free = [d for d, size in model.dims.items() if size is None]
    of_data = tuple(t for t in model.terms if any(s.per_sample for s in t.node.symbols))
    small = replace(model.bind({d: 2 + k for k, d in enumerate(free)}), terms=of_data)
    sizes = {d: size for d, size in small.dims.items() if size is not None}
    shape = [small.size(d) or 0 for d in y.shape]
    if math.prod(shape) > 16 and y.domain.kind != "onehot":
        return None
    values = list(reference.points(y, sizes))
    if len(values) > MOST_VALUES:
        return None
    rng = np.random.default_rng(7)
    draws = []
    for _ in range(3):
        given = reference.random_values(small, rng)
        functions = reference.random_functions(small, rng)
        draws.append(np.array([reference.energy(small, {**given, y: v}, functions) for v in values]))
    if not np.isfinite(draws).all():
        return None
    weights = {1.0} | {_size(a, sizes) for t in of_data for a in addends(normal(t.node))}
    for beta in sorted((1 / w for w in weights if w > 0), key=lambda b: (b != 1, b)):
        totals = [float(np.logaddexp.reduce(-beta * e)) for e in draws]
        if max(totals) - min(totals) < 1e-9 * max(1.0, abs(totals[0])):
            return y.name, beta
    return None


def _size(addend: Node, sizes: dict[str, int]) -> float:
    """Of the number that an addend is multiplied by."""
    from ebdsl.model.reference import evaluate

    weight, _ = apart(addend)
    return 0.0 if any(s.value is None for s in weight.symbols) else abs(float(evaluate(weight, {}, sizes=sizes)))


def integrates_to_one(model: Model, energy: Node) -> str | None:
    """Names of the observed symbols where ``∫∫ exp(-β E) dz dy`` is one number for all parameters; else None.

    For an energy of degree two in all continuous observed and latent symbols together, summed over the finite ones.
    """
    import numpy as np

    from ebdsl.facts.identity import dims_in
    from ebdsl.model import reference
    from ebdsl.model.algebra import degree

    held = [s for s in model.symbols if s.per_sample and s in energy.symbols]
    finite = [s for s in held if s.domain.row.finite]
    smooth = [s for s in held if s not in finite]
    if any(s.domain.kind != "real" for s in smooth) or degree(energy, frozenset(smooth)) != 2:
        return None
    if any(e.kind != "softmin" for e in model.eliminations) or any(s.role == "noise" for s in held):
        return None
    less = max((d.less for d in dims_in(energy) if isinstance(d, Part)), default=0)
    free = [d for d, size in model.dims.items() if size is None or size > 4]
    small = model.bind({d: 2 + less + k for k, d in enumerate(free)})
    sizes = {d: size for d, size in small.dims.items() if size is not None}
    lengths = [int(np.prod([extent(d, sizes) or 0 for d in s.shape])) for s in smooth]
    shapes = [tuple(extent(d, sizes) or 0 for d in s.shape) for s in smooth]
    n = sum(lengths)
    if n > MOST_ENTRIES:
        return None
    choices = [list(reference.points(s, sizes)) for s in finite]
    if math.prod(len(c) for c in choices) > MOST_VALUES // 8:
        return None
    rng = np.random.default_rng(9)
    totals = []
    for _ in range(3):
        given = reference.random_values(small, rng)
        functions = reference.random_functions(small, rng)
        beta = model.eliminations[0].beta
        b = 1.0 if beta is None else reference.evaluate(beta, given, sizes=sizes, functions=functions)
        logs = []
        for values in itertools.product(*choices):

            def at(x: np.ndarray, values: tuple[np.ndarray, ...] = values) -> float:
                parts = np.split(x, np.cumsum(lengths)[:-1])
                placed = {s: p.reshape(shape) for s, p, shape in zip(smooth, parts, shapes, strict=True)}
                point = {**given, **placed, **dict(zip(finite, values, strict=True))}  # noqa: B023
                return b * reference.energy(small, point, functions)  # noqa: B023

            logs.append(_log_gaussian(at, n))
        totals.append(float(np.logaddexp.reduce(logs)))
    if not np.isfinite(totals).all() or max(totals) - min(totals) > 1e-6 * max(1.0, abs(totals[0])):
        return None
    return ", ".join(s.name for s in smooth + finite if s.role == "observed")


def changes_variables(model: Model, energy: Node) -> tuple[str, str, float] | None:
    """Names of W and y where ``β F(y) = g(W y) - log |det W|``: ``∫ exp(-β F) dy = ∫ exp(-g) ds`` whatever W is, and
    that β; else None.

    The change of variables ``s = W y`` (Bell & Sejnowski, Neural Computation 7, 1995). The logarithm of a square
    orthonormal W is 0, and is not written.
    """
    from ebdsl.facts.convexity import bounds
    from ebdsl.model.algebra import transform
    from ebdsl.model.ir import Apply, Axis, Get, Mul, Sum

    volumes = [
        (p, a, bounds(weight)) for p, (weight, a) in ((p, apart(p)) for p in addends(energy))
        if isinstance(a, Apply) and a.function == "logabsdet" and isinstance(a.args[0].body, Get)
    ]  # fmt: skip
    turned = [s for s in energy.symbols if s.role == "param" and s.domain.kind == "orthonormal" and _square(model, s)]
    beta = 1.0
    if len(volumes) == 1:
        piece, volume, weight = volumes[0]
        if weight.low != weight.high or weight.low >= 0:
            return None
        beta = -1 / weight.low
        inner = volume.args[0].body
        assert isinstance(inner, Get)
        w = inner.symbol
        if w.role != "param" or w.domain.kind != "real" or inner.index != volume.args[0].axes:
            return None
    elif len(turned) == 1 and not volumes:
        piece, w = None, turned[0]
    else:
        return None
    observed = [s for s in energy.symbols if s.role == "observed"]
    if len(observed) != 1 or any(s.role in ("latent", "noise") for s in energy.symbols):
        return None
    (y,) = observed
    source = Symbol(f"{y.name}~sources", "observed", y.shape, y.domain)

    def leaf(n: Node) -> Node | None:
        if not (isinstance(n, Sum) and len(n.axes) == 1 and isinstance(n.body, Mul) and len(n.body.factors) == 2):
            return None
        gets = {f.symbol: f for f in n.body.factors if isinstance(f, Get)}
        if gets.keys() != {w, y} or gets[y].index != (n.axes[0],):
            return None
        row, column = gets[w].index
        return Get(source, (row,)) if column == n.axes[0] and isinstance(row, Axis | int) else None

    rest = [transform(p, leaf) for p in addends(energy) if p is not piece]
    if any(s in (w, y) for p in rest for s in p.symbols):
        return None
    return w.name, y.name, beta


def _square(model: Model, w: Symbol) -> bool:
    rows, *columns = model.shape(w)
    return rows is not None and columns == [rows]


def _log_gaussian(energy: Callable[[np.ndarray], float], n: int) -> float:
    """``log ∫ exp(-E)`` of a quadratic in ``n`` numbers, NaN where it diverges."""
    import numpy as np

    eye = np.eye(n)
    zero = energy(np.zeros(n))
    one = np.array([energy(e) for e in eye])
    back = np.array([energy(-e) for e in eye])
    linear = (one - back) / 2
    bend = np.zeros((n, n))
    for i in range(n):
        bend[i, i] = one[i] + back[i] - 2 * zero
        for j in range(i):
            bend[i, j] = bend[j, i] = energy(eye[i] + eye[j]) - one[i] - one[j] + zero
    sign, log_det = np.linalg.slogdet(bend / (2 * math.pi))
    if sign <= 0 or np.linalg.eigvalsh(bend)[0] <= 0:
        return math.nan
    return float(-zero + 0.5 * linear @ np.linalg.solve(bend, linear) - 0.5 * log_det)
