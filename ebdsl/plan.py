"""The plan: which rule takes each latent and each block of parameters, and why."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from ebdsl import infer, learn, strategies
from ebdsl.diagnostics import Checked, Diagnostic, Label, Span
from ebdsl.facts.moments import averaged
from ebdsl.facts.normal import normal
from ebdsl.infer.answers import Answered, answered, wanted_way
from ebdsl.infer.core import Decision, Problem, Refusal, total_energy
from ebdsl.infer.loops import Loop, loop_of
from ebdsl.infer.named import Named, named
from ebdsl.infer.posterior import Posterior, Statistic
from ebdsl.learn.core import RULES as LEARN_RULES
from ebdsl.learn.core import Block, load_rules, optimiser, quick
from ebdsl.learn.rules.gradient import by_autograd
from ebdsl.learn.sums import Sums, sums
from ebdsl.learn.sweeps import Sweeps, sweeps
from ebdsl.learn.volume import Volume, volume_of_low_energy
from ebdsl.model.algebra import contract, modules_in, multiply, with_batch
from ebdsl.model.canonical import canonical
from ebdsl.model.ir import BATCH, ONE, Dim, Get, Module, Node, Symbol
from ebdsl.model.model import Answer, Elimination, Model
from ebdsl.model.outer import outer
from ebdsl.strategies.core import Chosen, No

EXACT = ("enumeration", "Gaussian integral", "variable elimination", "Monte Carlo", "quadrature")
"""Rules whose free energy is written out, so that it can be differentiated twice."""


@dataclass(frozen=True)
class Plan:
    """``schedule``: ``full`` (every block exact, all data at a time), ``together`` (all blocks in one descent, on all
    data in the end), ``batches``, or ``none`` (nothing to learn).

    ``energy`` is one sample's; ``learned_energy`` that with latents at their answers, responsibilities in
    the symbol ``weights`` where latents were enumerated; ``statistics`` of another posterior, where it is averaged.
    ``answers``: the argmins that the energy holds, whose decisions are those of ``inference``.
    ``sums``: what a full schedule needs of the data. ``averaged``: the texts of terms whose expectation is written out.
    ``sweeps``: how few samples are learned from instead of by batches.
    """

    model: Model
    energy: Node
    inference: tuple[Decision, ...]
    learning: tuple[tuple[Symbol, Decision], ...]
    modules: tuple[Module, ...]
    schedule: str
    learned_energy: Node
    weights: Symbol | None
    volume: Volume
    statistics: tuple[Statistic, ...] = ()
    strategy: Chosen | None = None
    named: tuple[Named, ...] = ()
    sums: Sums | None = None
    averaged: tuple[str, ...] = ()
    answers: tuple[Answered, ...] = ()
    sweeps: Sweeps | None = None

    @cached_property
    def loops(self) -> tuple[Loop, ...]:
        """The fused loops of inference and of algorithms asked for by name: what the emitter writes them from."""
        found = (loop_of(p) for p in (*(d.payload for d in self.inference), *self.named))
        return tuple(loop for loop in found if loop is not None)

    @property
    def inference_rule(self) -> Decision | None:
        return self.inference[0] if self.inference else None


def plan(model: Model, allow_flat: bool = False) -> Checked[Plan]:
    """Decide everything, or say with reasons why it cannot be."""
    model, averaged_ = averaged(model)
    energy = total_energy(model)
    if wanted_way(model) == "unrolled" and not model.answers:
        model = _of_its_own_argmin(model)
    if model.answers or wanted_way(model) == "unrolled":
        return _bilevel(model, energy, allow_flat)
    groups = _merged(model.eliminations)
    inference: list[Decision] = []
    found: list[Diagnostic] = []
    if len(groups) > 1:
        answer = _nested(model, groups, energy)
        if isinstance(answer, Diagnostic):
            return Checked(None, (answer,))
        inference.append(answer)
    for group in groups[: len(groups) == 1]:
        decided = infer.decide(Problem(model, group.kind, group.latents, energy, group.beta))
        if isinstance(decided, Decision):
            inference.append(decided)
        else:
            found.append(_undecided(model, group, decided))
    if found:
        return Checked(None, tuple(found))
    learned, weights, statistics = _at_answers(energy, inference)
    chosen = strategies.choose(model, energy, any(d.rule not in EXACT for d in inference))
    if isinstance(chosen, tuple):
        return Checked(None, (_does_not_apply(model, *chosen),))
    named_, refused = _named(model, groups, energy, chosen is not None)
    if refused:
        return Checked(None, refused)
    for group in groups:
        held = [] if group.beta is None else [s for s in group.beta.symbols if s.role == "param"]
        if held and chosen is None:
            return Checked(None, (_temperature(model, group, held),))
    encoder = any(n.chosen.algorithm.learned for n in named_)
    learning, schedule, parts = _learning(
        model, energy, learned, tuple(inference), chosen is not None, encoder, statistics
    )
    by_batches = schedule == "batches" and chosen is None and not (_modules(energy) or model.answers_otherwise)
    swept = sweeps(_blocks(model, energy, learned, tuple(inference)), tuple(inference)) if by_batches else None
    volume = volume_of_low_energy(model, energy, chosen)
    result = Plan(
        model, energy, tuple(inference), learning, _modules(energy), schedule, learned, weights, volume, statistics,
        chosen, named_, parts, averaged_, sweeps=swept,
    )  # fmt: skip
    diagnostics = volume.diagnostics(model, allow_flat)
    if any(d.severity == "error" for d in diagnostics):
        return Checked(None, diagnostics)
    return Checked(result, diagnostics)


def _of_its_own_argmin(model: Model) -> Model:
    """``min_z E`` as the energy ``E`` at its argmin, which is then not taken for exact."""
    latents = [z for e in model.eliminations for z in e.latents if e.kind == "min"]
    if len(latents) != 1 or len(model.eliminations) != 1:
        return model
    answer = Answer(latents[0], model.terms, latents[0].span or Span(0, 0))
    return replace(model, answers=(answer,), eliminations=())


def _bilevel(model: Model, energy: Node, allow_flat: bool) -> Checked[Plan]:
    """An energy of the answers of others: each is found by itself, and all is learned by gradient through them."""
    refused = _no_answer(model)
    if refused is not None:
        return Checked(None, (refused,))
    found: list[Answered] = []
    for a in model.answers:
        answer = answered(model, a)
        if isinstance(answer, Diagnostic):
            return Checked(None, (answer,))
        found.append(answer)
    chosen = strategies.choose(model, energy, True)
    if isinstance(chosen, tuple):
        return Checked(None, (_does_not_apply(model, *chosen),))
    if chosen is not None and chosen.method.number == 4:
        no = No("it learns from slopes, and those of an argmin are not differentiated again", ("contrastive",))
        return Checked(None, (_does_not_apply(model, chosen.method.name, no),))
    inside = [a.problem.energy for a in found]
    decisions = tuple(a.decision for a in found)
    learning = _through_answers(model, energy, found, chosen is not None)
    modules = tuple(dict.fromkeys(m for e in (energy, *inside) for m in _modules(e)))
    whole = outer(model)
    volume = volume_of_low_energy(whole, total_energy(whole), chosen)
    named_ = tuple(a.named for a in found if a.named is not None)
    learned = learning or modules or any(n.chosen.algorithm.learned for n in named_)
    result = Plan(
        model, energy, decisions, learning, modules, "batches" if learned else "none", energy, None, volume, (),
        chosen, named_, answers=tuple(found),
    )  # fmt: skip
    diagnostics = volume.diagnostics(model, allow_flat)
    if any(d.severity == "error" for d in diagnostics):
        return Checked(None, diagnostics)
    return Checked(result, diagnostics)


def _through_answers(
    model: Model, energy: Node, found: list[Answered], strategy: bool
) -> tuple[tuple[Symbol, Decision], ...]:
    """Parameters that an answer depends on go by gradient through it, others as if the answers were data."""
    load_rules()
    rows = []
    total = contract(with_batch(energy), (BATCH,))
    allowed = [name for name, rule in LEARN_RULES.items() if (rule.streams or not rule.exact) and not rule.joint]
    for w in model.role("param"):
        through = [a for a in found if w in a.problem.energy.symbols]
        if strategy and (through or w in energy.symbols):
            rows.append((w, _through_strategy(model, w)))
        elif through:
            names = ", ".join(f"the argmin over {a.symbol.name}" for a in through)
            facts = tuple(dict.fromkeys(a.sentence for a in through))
            rows.append((w, by_autograd(model, w, f"through {names}, which depends on it", facts)))
        elif w in energy.symbols:
            d = learn.decide(Block(model, w, energy, total), allowed)
            apart = ("no argmin depends on it: to it the answers are data",)
            rows.append((w, d if LEARN_RULES[d.rule].exact else replace(d, facts=apart)))
    return tuple(rows)


def _no_answer(model: Model) -> Diagnostic | None:
    """Why there is nothing to differentiate, or too much."""
    if not model.answers:
        setting = model.setting("differentiate")
        assert setting is not None
        return Diagnostic(
            "EB0505", f"{model.free_energy_name} is no minimum over one latent variable: there is nothing to unroll",
            (Label(setting.span, "differentiated where?"),),
        )  # fmt: skip
    if model.eliminations:
        held = ", ".join(s.name for e in model.eliminations for s in e.latents)
        word = {"mean": "expectation"}.get(model.eliminations[0].kind, model.eliminations[0].kind)
        return Diagnostic(
            "EB0505", f"a {word} over {held} of an energy that holds an argmin comes later",
            (Label(model.answers[0].span, "the argmin"),),
            (f"let the argmin's energy hold {held}, or the energy do without",),
        )  # fmt: skip
    return None


def _merged(eliminations: tuple[Elimination, ...]) -> list[Elimination]:
    """Neighbours of one kind, softmins of one β, are one elimination of all their latents."""
    groups: list[Elimination] = []
    for e in eliminations:
        if groups and groups[-1].kind == e.kind != "mean" and _same(groups[-1].beta, e.beta):
            groups[-1] = replace(groups[-1], latents=groups[-1].latents + e.latents)
        else:
            groups.append(e)
    return groups


def _same(a: Node | None, b: Node | None) -> bool:
    return canonical(ONE if a is None else a) == canonical(ONE if b is None else b)


def _modules(energy: Node) -> tuple[Module, ...]:
    return modules_in(energy)


def _at_answers(energy: Node, inference: list[Decision]) -> tuple[Node, Symbol | None, tuple[Statistic, ...]]:
    """The energy that learning lowers: latents fixed, or averaged over their posterior."""
    from ebdsl.infer.rules.enumeration import Enumeration
    from ebdsl.model.domains import Domain

    payload = inference[0].payload if inference else None
    if isinstance(payload, Posterior) and payload.statistics:
        return payload.expected(energy), None, payload.statistics
    if not isinstance(payload, Enumeration):
        return energy, None, ()
    axes = tuple(s.axis for s in payload.states)
    dims: tuple[Dim, ...] = tuple(a.dim for a in axes)
    weights = Symbol("weights", "latent", dims, Domain("nonnegative"))
    return contract(multiply(Get(weights, axes), payload.energy), axes), weights, ()


def _learning(
    model: Model,
    pointwise: Node,
    energy: Node,
    inference: tuple[Decision, ...],
    by_gradient: bool = False,
    encoder: bool = False,
    statistics: tuple[Statistic, ...] = (),
) -> tuple[tuple[tuple[Symbol, Decision], ...], str, Sums | None]:
    params = model.role("param")
    modules = _modules(energy)
    if not params and not modules:
        return (), "batches" if encoder else "none", None
    if by_gradient:
        held = pointwise.symbols | {s for e in model.eliminations if e.beta is not None for s in e.beta.symbols}
        return tuple((w, _through_strategy(model, w)) for w in params if w in held), "batches", None
    blocks = _blocks(model, pointwise, energy, inference)
    cheap = quick(inference)
    first = [(b.symbol, learn.decide(b)) for b in blocks]
    passes = cheap and not modules and not encoder and all(LEARN_RULES[d.rule].exact for _, d in first)
    if passes:
        terms = [] if inference else [contract(with_batch(normal(t.node)), (BATCH,)) for t in model.terms]
        moments = [m for _, d in first for m in getattr(d.payload, "moments", ())]
        found = sums(contract(with_batch(energy), (BATCH,)), params, terms, [s.symbol for s in statistics], moments)
        if found is not None:
            again = [(b.symbol, learn.decide(replace(b, total=found.block(b.symbol), sums=found))) for b in blocks]
            if all(LEARN_RULES[d.rule].exact for _, d in again):
                return tuple(again), "full", found
    allowed = [name for name, rule in LEARN_RULES.items() if (rule.streams or not rule.exact) and not rule.joint]
    of_batches = tuple((b.symbol, learn.decide(b, allowed)) for b in blocks)
    by_batches = all(LEARN_RULES[d.rule].exact for _, d in of_batches)
    if not encoder and not passes and not by_batches:
        joint = [name for name, rule in LEARN_RULES.items() if rule.joint]
        others = "not every block has an exact minimum in each step, and together they go down sooner than in turn"
        together = tuple((b.symbol, learn.decide(b, [*joint, "stochastic gradient"], others)) for b in blocks)
        if all(d.rule in joint for _, d in together):
            return together, "together", None
    if passes and not by_batches:
        return tuple(first), "full", None  # a minimum that takes all samples at once
    return of_batches, "batches", None


def _blocks(model: Model, pointwise: Node, energy: Node, inference: tuple[Decision, ...]) -> list[Block]:
    total = contract(with_batch(energy), (BATCH,))
    return [Block(model, w, energy, total, inference, pointwise) for w in model.role("param") if w in energy.symbols]


def _through_strategy(model: Model, symbol: Symbol) -> Decision:
    how = f"{optimiser(model)} on batches, through the loss of the strategy"
    if symbol.domain.row.project:
        how += f", then projection onto {symbol.domain}"
    fact = "the loss is not the energy: an exact minimum of the energy is none of the loss"
    return Decision("stochastic gradient", f"learn {symbol.name}", how, "local", "one gradient a batch", (fact,))


def _does_not_apply(model: Model, name: str, no: No) -> Diagnostic:
    setting = model.setting("strategy")
    assert setting is not None
    return Diagnostic(
        "EB0520", f"{name} does not apply to this energy: {no.reason}", (Label(setting.span, "this strategy"),),
        tuple(f"what would: {w}" for w in no.instead),
    )  # fmt: skip


def _named(
    model: Model, groups: list[Elimination], energy: Node, strategy: bool
) -> tuple[tuple[Named, ...], tuple[Diagnostic, ...]]:
    """The algorithms that the spec asks for by name, or why they do not fit."""
    found, refused = [], []
    for name, chosen in model.algorithms.items():
        symbol = model.symbol(name)
        group = next(g for g in groups if symbol in g.latents)
        answer = named(Problem(model, group.kind, group.latents, energy, group.beta), chosen, symbol)
        if strategy and chosen.algorithm.learned:
            answer = Refusal(chosen.algorithm.name, "training follows the loss of a strategy, which knows no encoder")
        if isinstance(answer, Named):
            found.append(answer)
            continue
        label = (Label(symbol.span, "this latent variable"),) if symbol.span else ()
        what = f"{answer.rule} does not fit this energy: {answer.reason}"
        help = ("without the line, the algorithm is chosen by the energy",)
        refused.append(Diagnostic("EB0503", what, label, help))
    return tuple(found), tuple(refused)


def _temperature(model: Model, group: Elimination, held: list[Symbol]) -> Diagnostic:
    names = ", ".join(s.name for s in group.latents)
    beta = held[0].name
    return Diagnostic(
        "EB0504",
        f"the free energy falls without bound as {beta} goes to zero: its temperature is not learned by lowering it",
        tuple(
            Label(s.span, f"learned, and in the inverse temperature of the softmin over {names}")
            for s in held
            if s.span
        ),
        (f"fix it: const {beta} = 1", "or train with a strategy that pushes up elsewhere: strategy maximum_likelihood"),
    )


def _undecided(model: Model, group: Elimination, refused: tuple[Refusal, ...]) -> Diagnostic:
    names = ", ".join(s.name for s in group.latents)
    span = group.latents[0].span
    reasons = tuple(f"{r.rule}: {r.reason}" for r in refused)
    return Diagnostic(
        "EB0501", f"no rule of inference finds the {group.kind} over {names}",
        (Label(span, "this latent variable"),) if span else (), reasons,
    )  # fmt: skip


def _nested(model: Model, groups: list[Elimination], energy: Node) -> Decision | Diagnostic:
    """Two eliminations, one inside of the other, by a rule for both; more are not planned for."""
    order = " of ".join(f"{g.kind} over {', '.join(s.name for s in g.latents)}" for g in groups)
    refused: tuple[Refusal, ...] = ()
    if len(groups) == 2:
        outer, inner = groups
        beta = inner.beta if outer.beta is None else outer.beta
        kind = f"{outer.kind} of {inner.kind}"
        answer = infer.decide(Problem(model, kind, outer.latents, energy, beta, inner=inner.latents))
        if isinstance(answer, Decision):
            return answer
        refused = answer
    span = groups[0].latents[0].span
    return Diagnostic(
        "EB0502", f"no rule of inference finds the {order}", (Label(span, "here"),) if span else (),
        (*(f"{r.rule}: {r.reason}" for r in refused), "use one min over all latents, or one softmin"),
    )  # fmt: skip


__all__ = ["Plan", "plan"]
