"""Whether the second derivative of a quadratic is positive definite: what a Gaussian integral needs to exist."""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.facts.convexity import curvature, sign
from ebdsl.facts.forms import is_definite
from ebdsl.facts.quadratic import quadratic
from ebdsl.model.algebra import addends, factors_of
from ebdsl.model.build import add
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.ir import Add, Get, Node, Symbol, Tensor
from ebdsl.model.model import Model

LARGEST = 400


@dataclass(frozen=True)
class Proof:
    """``holds`` and why, or why not."""

    holds: bool
    reason: str


def definite(model: Model, energy: Node, latents: tuple[Symbol, ...]) -> Proof:
    """Whether ``energy``, of degree two in ``latents``, has a positive definite second derivative in them together.

    It has where it is convex and, for each latent, one convex addend curves up in every direction. Failing that, where
    all sizes are known, it is tried at random parameters and data: a matrix that is definite there is so almost surely.
    """
    names = ", ".join(z.name for z in latents)
    together = frozenset(latents)
    held = [a for a in addends(energy) if a.symbols & together]
    if curvature(add(*held), together) != "convex":
        return Proof(False, f"the energy is not known to be convex in {names}: the integral may diverge")
    strict = curved_alone(energy, latents)
    if len(strict) == len(latents):
        return Proof(True, f"it is convex, and one term curves up in every direction of {names}")
    tried = _tried(model, energy, latents)
    if tried:
        return Proof(True, f"it is convex, and at random parameters its second derivative in {names} has full rank")
    loose = ", ".join(z.name for z in latents if z not in strict)
    return Proof(
        False,
        f"its second derivative may be singular: no term alone curves up in every direction of {loose}, and the "
        f"integral diverges along a flat one; a term like ½||{loose.split(', ')[0]}||^2 mends that",
    )


def curved_alone(energy: Node, latents: tuple[Symbol, ...]) -> list[Symbol]:
    """Of an energy that is convex in the ``latents`` together those in which one addend curves up in every direction.

    Where it is all of them, the second derivative is positive definite.
    """
    together = frozenset(latents)
    held = [a for a in addends(energy) if a.symbols & together]
    alone = len(latents) == 1
    return [z for z in latents if any(_strict(a, z) and (alone or a.symbols & together == {z}) for a in held)]


def _strict(addend: Node, z: Symbol) -> bool:
    form = quadratic(addend, z)
    if form is None or curvature(addend, frozenset({z})) != "convex":
        return False
    if form.diagonal:
        return sign(form.matrix) == "positive"
    pieces = form.matrix.terms if isinstance(form.matrix, Add) else (form.matrix,)
    return len(form.coupled) == 1 and all(_link(p) for p in pieces)


def _link(piece: Node) -> bool:
    """A positive number times an entry of a positive definite matrix."""
    factors = factors_of(piece)
    links = [f for f in factors if is_definite(f) and (not isinstance(f, Get) or f.symbol.domain.row.definite)]
    return len(links) == 1 and all(sign(f) == "positive" for f in factors if f is not links[0])


def _tried(model: Model, energy: Node, latents: tuple[Symbol, ...]) -> bool:
    import numpy as np

    from ebdsl.model import reference

    if any(size is None for size in model.dims.values()):
        return False
    sizes = {d: size for d, size in model.dims.items() if size is not None}
    shapes = [model.shape(z) for z in latents]
    counts = [int(np.prod([n or 1 for n in shape])) for shape in shapes]
    if sum(counts) > LARGEST:
        return False
    rng = np.random.default_rng(5)
    free = sorted(energy.free, key=lambda a: a.name)
    for _ in range(2):
        values = {**reference.random_values(model, rng), **_tables(energy, sizes)}
        functions = reference.random_functions(model, rng)
        rows = []
        for a, m in zip(latents, counts, strict=True):
            row = []
            for b, n in zip(latents, counts, strict=True):
                at, twin = fresh_index(a), fresh_index(b)
                try:
                    bend = derivative(derivative(energy, a, at), b, twin)
                    table = reference.evaluate(
                        Tensor(bend, (*free, *at, *twin)), values, sizes=sizes, functions=functions
                    )
                except (NoDerivative, KeyError, ValueError):
                    return False
                row.append(np.reshape(table, (-1, m, n)))
            rows.append(np.concatenate(row, axis=2))
        eigenvalues = np.linalg.eigvalsh(np.concatenate(rows, axis=1))
        if not (np.isfinite(eigenvalues).all() and (eigenvalues[:, 0] > 1e-9 * np.abs(eigenvalues[:, -1])).all()):
            return False
    return True


def _tables(energy: Node, sizes: dict[str, int]) -> dict[Symbol, object]:
    """The values of finite latents, which an enumerated energy reads from tables."""
    from ebdsl.model import reference

    found: dict[Symbol, object] = {}
    for s in energy.symbols:
        if s.name.endswith("_values") and s.role == "const" and s.value is None and s.domain.row.finite:
            import numpy as np

            own = Symbol(s.name, "latent", s.shape[1:], s.domain)
            found[s] = np.stack(list(reference.points(own, sizes)))
    return found
