"""What ``ebdsl explain`` says of a spec: facts, decisions with their reasons, defaults, conventions."""

from __future__ import annotations

from ebdsl.emit.learner_full import looks_at_changes
from ebdsl.emit.unused import explained
from ebdsl.facts.convexity import curvature
from ebdsl.facts.ledger import ledger
from ebdsl.facts.normal import is_smooth, normal, through_module
from ebdsl.infer.core import Decision
from ebdsl.learn.core import RULES
from ebdsl.learn.known_as import known_as, promised
from ebdsl.learn.sweeps import KEPT
from ebdsl.learn.volume import STRATEGY_WORDS
from ebdsl.model.algebra import degree, modules_in
from ebdsl.model.ir import Symbol
from ebdsl.model.model import Model, Term
from ebdsl.plan import Plan
from ebdsl.settings import defaults, keeps_answers
from ebdsl.strategies.core import Chosen

_WORDS = {"mean": "E"}

GUARANTEES = {
    "global": "the global minimum",
    "local": "a local minimum",
    "approximate": "an approximation",
    "exact": "exact",
}


def to_json(plan: Plan) -> dict[str, object]:
    """The same as :func:`text`, as plain data."""
    model = plan.model
    return {
        "model": model.name,
        "variables": [_variable(model, s) for s in model.symbols],
        "dims": dict(model.dims),
        "terms": [{"text": t.text, "facts": _facts(model, t)} for t in model.terms],
        "inference": [_decision(d) for d in plan.inference],
        "learning": [_decision(d) for _, d in plan.learning]
        + [{"task": f"learn {m.name}", "rule": "stochastic gradient"} for m in plan.modules],
        "answers": [{"of": a.symbol.name, "derivative": a.sentence, "facts": list(a.facts)} for a in plan.answers],
        "named": [n.sentence for n in plan.named],
        "averaged": list(plan.averaged),
        "schedule": plan.schedule,
        "known as": known_as(plan.schedule, plan.inference, tuple(d for _, d in plan.learning)),
        "steps": _step_lines(plan),
        "volume": {"strategy": plan.volume.strategy, "reasons": list(plan.volume.reasons)},
        "strategy": _strategy(plan.strategy),
        "conventions": ledger(model),
        "settings": {name: {"value": value, "from": origin} for name, value, origin in defaults(plan)},
        "notes": list(model.notes),
    }


def _variable(model: Model, s: Symbol) -> dict[str, object]:
    return {"name": s.name, "role": s.role, "shape": list(s.shape), "domain": str(s.domain), "value": s.value}


def _strategy(chosen: Chosen | None) -> dict[str, object] | None:
    if chosen is None:
        return None
    return {
        "method": chosen.method.name,
        "over": chosen.case.over.name,
        "options": dict(chosen.case.options),
        "facts": list(chosen.use.facts),
        "cost": chosen.use.cost,
        "applies": list(chosen.open),
        "refused": [{"method": name, "reason": reason} for name, reason in chosen.refused],
    }


def _decision(d: Decision) -> dict[str, object]:
    return {
        "task": d.task,
        "rule": d.rule,
        "algorithm": d.algorithm,
        "guarantee": d.guarantee,
        "cost": d.cost,
        "facts": list(d.facts),
        "refused": [{"rule": r.rule, "reason": r.reason} for r in d.refused],
    }


def text(plan: Plan) -> str:
    """Several short paragraphs, in the spec's own names."""
    model = plan.model
    lines = [f"model {model.name}", ""]
    lines += _table([(s.role, _declaration(model, s)) for s in model.symbols])
    for m in model.modules:
        lines.append(f"  module    {m.name}: {' >> '.join(layer.name for layer in m.layers)}")
    lines += ["", f"energy  {_signature(model)}"]
    lines += _table([(t.text, "; ".join(_facts(model, t))) for t in model.terms])
    lines += ["", f"inference  {_free_energy(model)}"]
    for d in plan.inference:
        lines += _decision_lines(d)
    for a in plan.answers:
        lines.append(f"  {a.symbol.name}: its derivative is {a.sentence}")
        lines += [f"    because    {fact}" for fact in a.facts]
    if plan.averaged:
        lines.append(f"  {', '.join(plan.averaged)}: quadratic in the noise, whose mean and variance say all: exact")
    elif not plan.inference:
        lines.append("  there is no latent variable: the free energy is the energy")
    for latent in model.amortised:
        lines.append(f"  a trained model answers with its encoder for {latent}; exact inference starts there")
    lines += [f"  {n.sentence}" for n in plan.named]
    lines += ["", f"learning  {_schedule(plan)}", *(f"  {line}" for line in _step_lines(plan)), *_sweep_lines(plan)]
    for w, d in plan.learning:
        lines += _decision_lines(d)
        unused = explained(plan, w)
        lines += [f"    unused     {unused}"] if unused else []
    for m in plan.modules:
        lines += [f"  learn {m.name}: gradient on batches, through autograd", "    guarantee  a local minimum"]
    made = model.generated
    for m in modules_in(made.body) if made is not None else ():
        if m not in plan.modules:
            lines += [
                f"  learn {m.name}: gradient on batches, against the energy",
                "    guarantee  none: a game of two",
            ]
    lines += ["", "volume of low energy"]
    if plan.volume.strategy is not None:
        lines.append(f"  strategy {plan.volume.strategy}: {STRATEGY_WORDS[plan.volume.strategy]}")
    lines += [f"    because    {r}" for r in plan.volume.reasons]
    if plan.strategy is not None:
        lines += _strategy_lines(plan.strategy)
    conventions = ledger(model)
    if conventions:
        lines += ["", "conventions", *(f"  {c}" for c in conventions)]
    lines += ["", "settings", *_table([(name, f"{value}  ({origin})") for name, value, origin in defaults(plan)])]
    if model.notes:
        lines += ["", "notes", *(f"  {n}" for n in model.notes)]
    return "\n".join(lines) + "\n"


def _strategy_lines(chosen: Chosen) -> list[str]:
    method, case = chosen.method, chosen.case
    said = ", ".join(f"{name} = {value}" for name, value in case.options.items() if value is not None)
    given = f", given {', '.join(s.name for s in case.given)}" if case.given else ""
    lines = [f"    method     {method.name}({said}) over {case.over.name}{given}"]
    lines += [f"    because    {fact}" for fact in chosen.use.facts]
    lines += [f"    cost       {chosen.use.cost}"]
    if method.source:
        lines.append(f"    source     {method.source}")
    if chosen.open:
        lines.append(f"    or else    {', '.join(chosen.open)}")
    return lines + _refused(list(chosen.refused))


def _table(rows: list[tuple[str, str]]) -> list[str]:
    from unicodedata import combining

    def width(text: str) -> int:
        return sum(not combining(c) for c in text)

    wide = min(36, max((width(a) for a, _ in rows), default=0))
    return [f"  {a}{' ' * max(2, wide + 2 - width(a))}{b}" for a, b in rows]


def _declaration(model: Model, s: Symbol) -> str:
    if s.role == "const":
        return f"{s.name} = {s.value:g}" if s.value is not None else s.name
    dims = ", ".join(
        f"{d} = {model.size(d)}" if isinstance(d, str) and model.size(d) is not None else str(d) for d in s.shape
    )
    where = "R" if s.domain.kind == "real" else str(s.domain)
    law = f" ~ {model.laws[s.name]}" if s.name in model.laws else ""
    free = [d for d in s.shape if model.size(d) is None]
    return f"{s.name}{law} : {where}{f'[{dims}]' if dims else ''}" + (
        f"  ({', '.join(map(str, dict.fromkeys(free)))} from the data)" if free else ""
    )


def _signature(model: Model) -> str:
    names = ", ".join(s.name for s in (*model.role("observed", "latent"), *model.averaged))
    return f"{model.energy_name}({names})"


def _free_energy(model: Model) -> str:
    observed = ", ".join(s.name for s in model.role("observed"))
    steps = " ".join(
        f"{_WORDS.get(e.kind, e.kind)}_{{{','.join(s.name for s in e.latents)}}}" for e in model.eliminations
    )
    where = "".join(
        f", {a.latent.name} = argmin_{a.latent.name} {' + '.join(t.text for t in a.terms)}" for a in model.answers
    ).replace("+ -", "- ")
    if not steps and not where:
        return f"{model.free_energy_name}({observed})"
    return f"{model.free_energy_name}({observed}) = {(steps + ' ') if steps else ''}{_signature(model)}{where}"


def _facts(model: Model, term: Term) -> list[str]:
    """What the algebra says of one term in each latent and parameter that it holds."""
    node = normal(term.node)
    said = []
    for s in (*model.role("latent"), *model.role("param")):
        if s not in node.symbols:
            continue
        held = frozenset({s})
        if through_module(node, held):
            said.append(f"{s.name} goes through a learned function")
            continue
        kind = {1: "linear", 2: "quadratic"}.get(degree(node, held) or 0)
        if kind is None:
            kind = "smooth" if is_smooth(node, held) else "not smooth"
        shape = curvature(node, held)
        said.append(f"{kind}{', ' + shape if shape in ('convex', 'concave') and kind != 'linear' else ''} in {s.name}")
    learned = [m.name for m in modules_in(node)]
    if learned and not any("learned function" in text for text in said):
        said.append(f"holds the learned function{'s' * (len(learned) > 1)} {' and '.join(learned)}")
    if not said:
        said.append("a constant" if not node.symbols else "holds no latent variable and nothing that is learned")
    return said


def _schedule(plan: Plan) -> str:
    if plan.schedule == "none":
        return "there is nothing to learn"
    if plan.schedule == "full" and plan.sums is None:
        return "every block has an exact minimum, block after block; it takes all samples at once, in memory"
    if plan.schedule == "together":
        return "all blocks go down together on more and more of the data, which it takes all at once, in memory"
    if plan.schedule == "full":
        return "every block has an exact minimum: a step sees all data, block after block, until the energy stands"
    return "batches of the data, in an order drawn anew for each epoch"


def _step_lines(plan: Plan) -> list[str]:
    """What the steps of learning are called and come to, and what each takes over from the one before."""
    decisions = tuple(d for _, d in plan.learning)
    name = known_as(plan.schedule, plan.inference, decisions)
    end = promised(plan.schedule, plan.inference, decisions)
    lines = [f"this is {name}"] if name else []
    lines += [end] if end else []
    if looks_at_changes(plan):
        lines.append(
            "a step on the samples of the last one looks at what changes: sums gain and lose the samples that change "
            "their state, and of many states only those are compared whose bounds leave it open (Elkan 2003)"
        )
    if keeps_answers(plan):
        lines.append(
            f"inference starts at each sample's last answer, while those of all take no more than {KEPT:,} numbers"
        )
    return lines


def _sweep_lines(plan: Plan) -> list[str]:
    """What is done instead where samples are few enough."""
    found = plan.sweeps
    if found is None:
        return []
    (z,) = found.codes.latents
    often = "once" if found.passes == 1 else f"{found.passes} times"
    return [
        f"  up to {found.samples:,} samples: sweeps over all data, each sample's {z.name} kept, the energy falling",
        f"    algorithm  each entry of {z.name} at its minimum given the others, {often}, then block after block",
        "    guarantee  in the end no entry and no block lowers the energy alone: block coordinate descent",
        f"    because    one matrix is the curvature in {z.name} for all samples, and all else falls apart by entry",
        "    because    every block has an exact minimum, from sums over the samples",
        f"    because    counted in operations, {z.name} as exact as batches want them cost more for so few samples",
    ]


def _decision_lines(d: Decision) -> list[str]:
    lines = [f"  {d.task}: {d.algorithm}", f"    guarantee  {GUARANTEES[d.guarantee]}", f"    cost       {d.cost}"]
    if d.rule in RULES and RULES[d.rule].exact and d.guarantee == "global":
        together = [s.name for s in getattr(d.payload, "symbols", ())]
        block = f"over {' and '.join(together)} together" if len(together) > 1 else "of this block"
        lines[1] = f"    guarantee  the global minimum {block}, the others fixed"
    lines += [f"    because    {f}" for f in d.facts]
    return lines + _refused([(r.rule, r.reason) for r in d.refused])


def _refused(rows: list[tuple[str, str]]) -> list[str]:
    """A line for each reason, with all that it refuses."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in rows:
        by_reason.setdefault(reason, []).append(name)
    return [f"    refused    {', '.join(names)}: {reason}" for reason, names in by_reason.items()]
