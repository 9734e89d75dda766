"""Quadrature as text: energies at nodes, where the nodes are, and the answer of ``infer``."""

from __future__ import annotations

from math import inf

from ebdsl.emit.body import Body
from ebdsl.emit.context import Context
from ebdsl.emit.values import number
from ebdsl.infer.rules.quadrature import ACCURACY, ORDER, PANELS, Quadrature
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, Symbol


def node_lines(c: Context, q: Quadrature) -> list[str]:
    """The methods ``node_energies`` and ``nodes``."""
    scope = c.scope()
    node = with_batch(q.energy)
    scope.count(node)
    value = scope.tensor(node, (BATCH, q.axis))
    names = [c.name(n) for n in q.nodes]
    low, high = _ends(c, q)
    c.runtime.add("quadrature_nodes")
    beta = "" if q.beta is None else f"{c.scope().emit(q.beta).atom} * "
    parts, begin = [], 0
    for z in q.latents:
        count = _count(c, z)
        shape = "".join(f", {c.dim(d)}" for d in z.shape)
        cut = f"places[..., {begin}:{begin + count}]" if q.size != count else "places"
        parts.append(f"places[..., {begin}]" if not z.shape else f"{cut}.reshape(*places.shape[:2]{shape})")
        begin += count
    values = ", ".join(parts) + ("," if len(parts) == 1 else "")
    args = c.args(c.observed)
    return [
        f"    def node_energies(self, {c.typed(c.observed)}, {', '.join(f'{n}: Tensor' for n in names)}) -> Tensor:",
        '        """The energy of each sample at its nodes, ``(B, S)``."""',
        *("        " + x for x in scope.lines),
        f"        return {value.code}",
        "",
        "    @torch.no_grad()",
        f"    def nodes(self, {c.typed(c.observed)}) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:",
        '        """Nodes ``(B, S, *shape)`` where exp(-β E) is, the logarithms of their weights ``(B, S)``,',
        '        and what the integral may be off, relative to it, ``(B,)``."""',
        "",
        "        def latents(places: Tensor) -> tuple[Tensor, ...]:",
        f"            return ({values})",
        "",
        "        def energies(places: Tensor) -> Tensor:",
        f"            return {beta}self.node_energies({args}, *latents(places))",
        "",
        f"        low = torch.tensor([{', '.join(low)}], dtype={c.like}.dtype, device={c.like}.device)",
        f"        high = torch.tensor([{', '.join(high)}], dtype={c.like}.dtype, device={c.like}.device)",
        f"        batch = {c.like}.shape[0]",
        f"        sizes = ({PANELS[q.size]}, {ORDER}, {ACCURACY[q.size]:g})",
        "        places, log_weights, error = quadrature_nodes(energies, batch, low, high, *sizes)",
        "        return latents(places), log_weights, error",
    ]


def free_energy_of_nodes(c: Context, q: Quadrature) -> list[str]:
    """The body of ``free_energy``, differentiable: the nodes stay where they are."""
    args = c.args(c.observed)
    beta = "" if q.beta is None else c.scope().emit(q.beta).atom
    scaled = f"{beta} * " if beta else ""
    return [
        f"        nodes, log_weights, _ = self.nodes({args})",
        f"        energies = self.node_energies({args}, *nodes)",
        f"        return -torch.logsumexp(log_weights - {scaled}energies, 1)" + (f" / {beta}" if beta else ""),
    ]


def _count(c: Context, z: Symbol) -> int:
    total = 1
    for d in c.model.shape(z):
        assert d is not None
        total *= d
    return total


def _ends(c: Context, q: Quadrature) -> tuple[list[str], list[str]]:
    low, high = [], []
    for z in q.latents:
        a, b = z.domain.row.bounds(z.domain.args)
        low += ["-torch.inf" if a == -inf else number(a)] * _count(c, z)
        high += ["torch.inf" if b == inf else number(b)] * _count(c, z)
    return low, high


class QuadratureBody(Body):
    """A body that answers with weighted nodes."""

    def quadrature(self, q: Quadrature) -> None:
        beta = self.beta_code(q.beta)
        names = [self.name(n) for n in q.nodes]
        self.line(f"nodes, log_weights, error = self.nodes({self.observed_args})")
        self.line(f"{', '.join(names)}{',' if len(names) == 1 else ''} = nodes")
        energies = f"self.node_energies({self.observed_args}, *nodes)"
        self.line(f"log_weights = log_weights - {energies if beta == '1' else f'{beta} * {energies}'}")
        self.line("energy = -torch.logsumexp(log_weights, 1)" + ("" if beta == "1" else f" / {beta}"))
        self.line("weights = torch.softmax(log_weights, 1)")
        for z, n in zip(q.latents, names, strict=True):
            lift = f"[..., {', '.join(['None'] * len(z.shape))}]" if z.shape else ""
            self.answer(z, f"(weights{lift} * {n}).sum(1)")
        entries = ", ".join(f'"{n}": {n}' for n in names)
        self.line(f'posterior = {{"weights": weights, {entries}}}')
        self.finish(
            energy="energy", residual="error", iterations="torch.ones_like(energy, dtype=torch.int64)",
            posterior="posterior", goal=f"max(tolerance, {ACCURACY[q.size]:g})",
        )  # fmt: skip
