"""What keeps the energy from being flat: which of the talk's seven strategies holds, proved from the spec.

A squared distance ``‖y - g‖²`` is low wherever ``g`` can reach. What ``g`` is made of decides how much of the space
that is: a code of fewer dimensions, finitely many codes, a penalised code, or nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.diagnostics import Diagnostic, Label
from ebdsl.facts.normal import normal
from ebdsl.learn.finding import Finding
from ebdsl.learn.reach import judge_distance, judge_wells
from ebdsl.learn.symmetries import unbounded
from ebdsl.model.algebra import addends, modules_in
from ebdsl.model.ir import Node
from ebdsl.model.model import Model

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


def volume_of_low_energy(model: Model, energy: Node) -> Volume:
    """Judge the free energy of a checked model."""
    chosen = model.setting("strategy")
    if chosen is not None:
        return Volume(None, (f"the spec chooses: {_word(chosen.value)}",))
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
    if strategy is not None:
        findings = [f for f in findings if f.code != "EB0510"]
    findings += unbounded(model, energy, latents)
    if strategy is None and not findings:
        alone = [t for t in model.terms if modules_in(t.node) and not latents]
        if alone:
            findings.append(
                Finding(
                    "EB0511", "nothing keeps this energy high off the data: training would only push it down",
                    alone[0], None,
                    ("compare what is observed with a reconstruction through a small code: ||y - Dec(Enc(y))||^2",
                     "or with a prediction from what is given: ||y - Pred(x)||^2"),
                )
            )  # fmt: skip
    return Volume(strategy, tuple(dict.fromkeys(reasons)), tuple(findings))


def _word(value: object) -> str:
    return str(getattr(value, "head", value))
