"""What several methods need of an energy: each a reason why not, or None."""

from __future__ import annotations

from ebdsl.atoms import SCALARS
from ebdsl.model.algebra import modules_in
from ebdsl.model.ir import Add, Apply, Get, Module, Mul, Node, Sum, Symbol
from ebdsl.strategies.core import Case, No


def real(case: Case) -> No | None:
    """Derivatives with respect to the data: these have to be free real numbers."""
    if case.real:
        return None
    if case.over.domain.row.finite:
        return No(
            f"{case.over.name} takes finitely many values, so there is no derivative with respect to it",
            ("maximum_likelihood", "ratio_matching", "minimum_probability_flow"),
        )
    return No(
        f"{case.over.name} is confined to {case.over.domain}: the density has an edge, where the formula does not hold",
        ("contrastive", "noise_contrastive"),
    )


def binary(case: Case) -> No | None:
    """Single flips: every entry has two values."""
    if case.binary:
        return None
    return No(f"{case.over.name} is not made of entries 0 and 1", ("score_matching", "contrastive_divergence"))


def bends(case: Case) -> No | None:
    """Curvature of the energy: it has to be there, and to be the energy's own."""
    if case.argmin:
        return No(
            "the latent variables leave by a search: the curvature of the energy at its answer is not that of the "
            "free energy",
            ("denoising_score_matching", "contrastive_divergence"),
        )
    flat = straight_layers(case)
    if flat:
        return No(
            f"{flat} is made of straight pieces: the curvature in {case.over.name} is zero almost everywhere",
            ("a smooth activation: silu, softplus, tanh", "denoising_score_matching", "contrastive_divergence"),
        )
    return None


def encoder(case: Case) -> Module | None:
    """The first learned function that is applied to ``over`` alone."""
    return next((m for m in modules_in(case.energy) if len(m.inputs) == 1 and sees(case.energy, m, case.over)), None)


def sees(node: Node, module: Module, y: Symbol) -> bool:
    """Whether the module is applied to ``y`` itself somewhere."""
    if isinstance(node, Apply) and node.function == module:
        body = node.args[0].body
        if isinstance(body, Get) and body.symbol == y:
            return True
    return any(sees(c, module, y) for c in node.children)


def straight_layers(case: Case) -> str | None:
    """A learned function whose value the energy takes as it is, made of straight pieces; None where there is none."""

    def go(node: Node) -> Module | None:
        match node:
            case Apply(Module() as module, _, _):
                used = [str(a) for layer in module.layers for a in (layer.name, *layer.args) if str(a) in SCALARS]
                straight = bool(used) and all(not SCALARS[a].smooth and a != "huber1" for a in used)
                return module if straight else None
            case Add(parts) | Mul(parts):
                return next((found for p in parts if (found := go(p)) is not None), None)
            case Sum(body, _):
                return go(body)
        return None

    found = go(case.energy)
    return None if found is None else f"{found.name}, with {_activation(found)},"


def _activation(module: Module) -> str:
    return next(str(a) for layer in module.layers for a in (layer.name, *layer.args) if str(a) in SCALARS)
