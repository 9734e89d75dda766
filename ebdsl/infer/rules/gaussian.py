"""A softmin over latents in which the energy is quadratic: a Gaussian integral, at each value of finite latents.

``-1/β log ∫ exp(-β E) dz = min_z E + 1/(2β) log det (β Q / 2π)`` with ``Q`` the second derivative, and given the data
z is normal with mean ``argmin_z E`` and covariance ``(β Q)⁻¹``.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ebdsl.facts.definite import definite
from ebdsl.facts.quadratic import Quadratic, quadratic
from ebdsl.infer.core import Decision, Problem, Refusal, Rule, register
from ebdsl.infer.posterior import Statistic
from ebdsl.infer.rules.enumeration import LIMIT, States, at_states, count, in_words, states_of
from ebdsl.model.algebra import contract, degree, delta, multiply, replace_symbol
from ebdsl.model.build import add, lit
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.domains import REAL, Domain
from ebdsl.model.ir import Axis, Get, Node, Symbol

if TYPE_CHECKING:
    from ebdsl.emit.bodies import InferBody

NAME = "Gaussian integral"


@dataclass(frozen=True)
class Gaussian:
    """``energy``: over the axes of ``states``, quadratic in ``latents``.

    ``form``: its form where there is one latent, whose structure is then used; several are one vector. ``shared``: one
    second derivative for all samples. ``means`` and ``covariances`` hold a symbol for each latent, and for each pair
    of them; ``weights`` the share of each state.
    """

    states: tuple[States, ...]
    latents: tuple[Symbol, ...]
    energy: Node
    beta: Node | None
    form: Quadratic | None
    shared: bool
    means: tuple[Symbol, ...]
    covariances: tuple[Symbol, ...]
    weights: Symbol | None

    @property
    def axes(self) -> tuple[Axis, ...]:
        return tuple(s.axis for s in self.states)

    @property
    def pairs(self) -> tuple[tuple[Symbol, Symbol], ...]:
        return tuple(itertools.combinations_with_replacement(self.latents, 2))

    @property
    def replaced(self) -> bool:
        return bool(self.states)

    @property
    def statistics(self) -> tuple[Statistic, ...]:
        found = [Statistic(self.weights, None, "weights")] if self.weights is not None else []
        if self.states:
            found += [Statistic(m, z, "means") for m, z in zip(self.means, self.latents, strict=True)]
        for (a, b), c in zip(self.pairs, self.covariances, strict=True):
            found.append(Statistic(c, a, "covariance" if a == b else f"covariance_{self.latents.index(b)}"))
        return tuple(found)

    def at_means(self, node: Node) -> Node:
        """The node at each state with latents at their means."""
        node = at_states(node, self.states)
        for z, m in zip(self.latents, self.means, strict=True):
            node = replace_symbol(node, z, lambda index, m=m: Get(m, (*self.axes, *index)))  # type: ignore[misc]
        return node

    def covariance_axes(self, at: tuple[Axis, ...], twin: tuple[Axis, ...]) -> tuple[Axis, ...]:
        """The axes of a covariance's symbol after those of the states."""
        if self.form is None:
            return (*at, *twin)
        f = self.form
        return (*(at[k] for k in f.varies), *(at[k] for k in f.coupled), *(twin[k] for k in f.coupled))

    def expected(self, node: Node) -> Node:
        """``Σ_s w_s (E(m_s) + ½ <∇²E, C_s>)``, exact for what is quadratic."""
        if not node.symbols & ({*self.latents} | {s.symbol for s in self.states}):
            return node
        inside = add(self.at_means(node), *self._spreads(at_states(node, self.states)))
        if self.weights is None:
            return inside
        return contract(multiply(Get(self.weights, self.axes), inside), self.axes)

    def _spreads(self, node: Node) -> Iterator[Node]:
        for (a, b), c in zip(self.pairs, self.covariances, strict=True):
            at, twin = fresh_index(a), fresh_index(b)
            bend = derivative(derivative(node, a, at), b, twin)
            separable = () if self.form is None else self.form.separable
            spread = Get(c, (*self.axes, *self.covariance_axes(at, twin)))
            apart = [delta(at[k], twin[k]) for k in separable]
            yield contract(multiply(lit(0.5 if a == b else 1.0), bend, spread, *apart), (*at, *twin))


def consider(problem: Problem) -> Decision | Refusal:
    finite = tuple(s for s in problem.latents if s.domain.row.finite)
    latents = tuple(s for s in problem.latents if not s.domain.row.finite)
    if not latents:
        return Refusal(NAME, problem.says("is", "are") + " discrete")
    for s in latents:
        if s.domain.kind != "real":
            return Refusal(NAME, f"{s.name} is constrained to {s.domain}: the integral is over a part of the space")
    total = 1
    for s in finite:
        number = count(s, problem)
        if number is None and not (s.domain.kind == "onehot" and len(s.shape) == 1):
            return Refusal(NAME, f"the number of values of {s.name} is not known before the data is")
        total *= number or 1
    if total > LIMIT:
        return Refusal(NAME, f"{', '.join(s.name for s in finite)} has {in_words(total)} values, more than {LIMIT}")
    names = ", ".join(s.name for s in latents)
    states = states_of(finite, problem)
    energy = at_states(problem.energy, states)
    if degree(energy, frozenset(latents)) != 2:
        return Refusal(NAME, f"the energy is not quadratic in {names}: the integral is not Gaussian")
    proof = definite(problem.model, energy, latents)
    if not proof.holds:
        return Refusal(NAME, proof.reason)
    form = quadratic(energy, latents[0]) if len(latents) == 1 else None
    try:
        shared = form.shared if form is not None else _shared(energy, latents)
    except NoDerivative:
        return Refusal(NAME, f"the second derivative in {names} is not known")
    payload = _payload(problem, states, latents, energy, form, shared)
    if form is not None and form.diagonal:
        how, cost = "entry by entry", "one pass"
    elif shared:
        how, cost = "one Cholesky factor for all samples", "O(n²) after O(n³) once"
    else:
        how, cost = "a Cholesky factor for each sample", "O(n³)"
    algorithm = f"Gaussian integral, min E + log det(β Q / 2π) / 2β with Q the second derivative: {how}"
    facts = [
        f"the energy is quadratic in {names}: given the data, {names} {'is' if len(latents) == 1 else 'are'} normal",
        proof.reason,
    ]
    if shared:
        facts.append("its second derivative is the same for all samples")
    if states:
        chosen = ", ".join(s.name for s in finite)
        algorithm = f"for each value of {chosen}, a {algorithm}; then logsumexp over them"
        cost = f"{' × '.join(str(s.axis.dim) for s in states)} times {cost}"
        facts.append(f"{chosen} takes finitely many values")
    return Decision(NAME, f"softmin over {problem.names}", algorithm, "exact", cost, tuple(facts), (), payload)


def _shared(energy: Node, latents: tuple[Symbol, ...]) -> bool:
    bends = [
        derivative(derivative(energy, a, fresh_index(a)), b, fresh_index(b))
        for a, b in itertools.combinations_with_replacement(latents, 2)
    ]
    return not any(s.per_sample for bend in bends for s in bend.symbols)


def _payload(
    problem: Problem, states: tuple[States, ...], latents: tuple[Symbol, ...], energy: Node, form: Quadratic | None,
    shared: bool,
) -> Gaussian:  # fmt: skip
    dims = tuple(s.axis.dim for s in states)
    means = tuple(Symbol(f"{z.name}~means", "latent", (*dims, *z.shape), REAL) if states else z for z in latents)
    weights = Symbol("weights", "latent", dims, Domain("nonnegative")) if states else None
    bare = Gaussian(states, latents, energy, problem.beta, form, shared, means, (), weights)
    covariances = []
    for a, b in bare.pairs:
        axes = bare.covariance_axes(fresh_index(a), fresh_index(b))
        role = "const" if shared else "latent"
        domain = Domain("nonnegative") if form is not None and form.diagonal else REAL
        if form is not None and len(form.coupled) == 1:
            domain = Domain("positive definite")
        covariances.append(Symbol(f"{a.name}~{b.name}~covariance", role, (*dims, *(x.dim for x in axes)), domain))
    return Gaussian(states, latents, energy, problem.beta, form, shared, means, tuple(covariances), weights)


def emit(payload: object, body: InferBody) -> None:
    assert isinstance(payload, Gaussian)
    body.gaussian(payload)


register(Rule(NAME, 20, "a softmin over a quadratic is a Gaussian integral", consider, emit, ("softmin",)))
