"""What keeps the energy from being flat: which of the talk's seven strategies holds, proved from the spec.

A squared distance ``‖y - g‖²`` is low wherever ``g`` can reach. What ``g`` is made of decides how much of the space
that is: a code of fewer dimensions, finitely many codes, a penalised code, or nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.diagnostics import Diagnostic, Label
from ebdsl.facts.convexity import sign
from ebdsl.facts.identity import dims_in
from ebdsl.facts.normal import normal
from ebdsl.learn.likelihood import changes_variables, integrates_to_one, normalised
from ebdsl.learn.reach import judge_distance, judge_square, judge_wells
from ebdsl.learn.symmetries import unbounded
from ebdsl.model.algebra import addends, degree, modules_in, zeroed
from ebdsl.model.finding import Finding
from ebdsl.model.ir import Node, Symbol
from ebdsl.model.model import Model, Term
from ebdsl.strategies.core import Chosen

STRATEGY_WORDS = {
    1: "constant volume of low energy",
    2: "maximum likelihood",
    3: "contrastive",
    4: "score matching",
    5: "constant G",
    6: "denoising and masking",
    7: "regularised latent variable",
}


@dataclass(frozen=True)
class Volume:
    """``strategy``: the talk's number, None where nothing holds; ``reasons``: what was found."""

    strategy: int | None
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    def diagnostics(self, model: Model, allow_flat: bool) -> tuple[Diagnostic, ...]:
        result = []
        for f in self.findings:
            labels = []
            if f.term is not None:
                labels.append(Label(f.term.span, "this term alone is low everywhere" if f.symbol is None else ""))
            if f.symbol is not None and f.symbol.span is not None:
                labels.insert(0, Label(f.symbol.span, "nothing bounds it" if f.term is not None else ""))
            d = Diagnostic(f.code, f.message, tuple(labels), f.help)
            if allow_flat and d.severity == "error":
                continue
            result.append(d)
        return tuple(result)


def volume_of_low_energy(model: Model, energy: Node, chosen: Chosen | None = None) -> Volume:
    """Judge the free energy of a checked model, or take the strategy that the spec chose."""
    if chosen is not None:
        why = f"the spec chooses {chosen.method.name}: {chosen.method.doc}"
        return Volume(chosen.method.number, (why,), chosen.use.findings)
    if not model.role("param") and not any(modules_in(t.node) for t in model.terms):
        return Volume(None, ("nothing is learned: the energy is what the spec says",))
    reasons: list[str] = []
    findings: list[Finding] = []
    strategy: int | None = None
    latents = model.role("latent")
    for term in model.terms:
        for piece in addends(normal(term.node)):
            for y in model.role("observed"):
                if y not in piece.symbols:
                    continue
                judged = judge_distance(model, energy, term, piece, y) or judge_wells(term, piece, y, latents)
                if judged is None:
                    continue
                number, reason, finding = judged
                reasons.append(reason)
                if finding is not None:
                    findings.append(finding)
                elif strategy is None or number in (1, 7):
                    strategy = number
    for y in model.role("observed") if not reasons else ():
        judged = judge_square(model, energy, y)
        if judged is not None:
            strategy, reason, finding = judged
            reasons.append(reason)
            findings += [finding] if finding is not None else []
            strategy = strategy if finding is None else None
    if strategy is not None:
        findings = [f for f in findings if f.code != "EB0510"]
    averaged = {s for e in model.eliminations if e.kind == "softmin" for s in e.latents if not s.domain.row.finite}
    # an integral over z changes with the scale of z: what a scaling takes from the penalty, the volume gives back
    findings += unbounded(model, energy, tuple(z for z in latents if z not in averaged))
    constant = integrates_to_one(model, energy) if averaged and not findings else None
    if constant is not None:
        strategy = 1
        reasons.append(f"∫ exp(-β F) over {constant} is the same for all parameters: a negative log-likelihood")
    changed = changes_variables(model, energy) if strategy is None and not findings else None
    if changed is not None:
        matrix, data, beta = changed
        strategy = 1
        whole = f"by s = {matrix} {data}, ∫ {_gibbs(beta)} d{data}"
        reasons.append(f"{whole} does not depend on {matrix}: a negative log-likelihood")
    if strategy is None and not findings:
        found = normalised(model)
        if found is not None:
            strategy, (name, beta) = 2, found
            whole = f"{_gibbs(beta)} adds up to one over all values of {name}"
            reasons.append(f"{whole}: the energy is a negative log-likelihood")
    if strategy is None and not findings:
        loose = _pushed_down(model, energy)
        if loose is not None:
            findings.append(
                Finding(
                    "EB0511", "nothing keeps this energy high off the data: training would only push it down",
                    loose, None,
                    ("compare what is observed with a reconstruction through a small code: ||y - Dec(Enc(y))||^2",
                     "or with a prediction from what is given: ||y - Pred(x)||^2"),
                )
            )  # fmt: skip
    return Volume(strategy, tuple(dict.fromkeys(reasons)), tuple(findings))


def _gibbs(beta: float) -> str:
    return "exp(-F)" if beta == 1 else f"exp(-{beta:g} F)"


def _pushed_down(model: Model, energy: Node) -> Term | None:
    """A term that training lowers for every y at once: a learned function alone, one that is linear in a free
    parameter, or one that is never negative and zero where the parameters are.
    """
    learned = [t for t in model.terms if modules_in(t.node) and not model.role("latent")]
    if learned:
        return learned[0]
    free = [w for w in model.role("param") if w.domain.kind == "real" and w in energy.symbols]
    for w in free:
        if degree(energy, frozenset({w})) == 1:
            return next(t for t in model.terms if w in t.node.symbols)
    if free and sign(energy) == "nonnegative" and value_at_zero(energy, free) == 0:
        return next(t for t in model.terms if free[0] in t.node.symbols)
    return None


def value_at_zero(node: Node, symbols: list[Symbol]) -> float | None:
    """The number that the node is where the symbols are zero; None where it still depends on something."""
    from ebdsl.model.reference import evaluate

    fixed = zeroed(node, symbols)
    if any(s.value is None for s in fixed.symbols) or modules_in(fixed):
        return None
    return float(evaluate(fixed, {}, sizes=dict.fromkeys(map(str, dims_in(fixed)), 2)))
