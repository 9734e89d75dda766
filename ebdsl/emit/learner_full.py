"""A learner that sees all data at each step: every block goes to its minimum in turn.

Its updates need sums over the samples alone, which add up, a piece of the data at a time.
"""

from __future__ import annotations

import re

from ebdsl.emit.again import Again, again, again_lines
from ebdsl.emit.answers import answer_names, enumeration, found_lines, observed_lines
from ebdsl.emit.context import Context, called, make_context
from ebdsl.emit.differences import one_sided, widens
from ebdsl.emit.program import certificates
from ebdsl.emit.scores import NAME, constants
from ebdsl.emit.seeding import start_lines
from ebdsl.emit.states import state_parts
from ebdsl.emit.text import quoted, template, uses
from ebdsl.emit.unused import refit_full_lines, taken
from ebdsl.emit.updates import LearnBody, kept_lines, keys
from ebdsl.learn.core import RULES
from ebdsl.learn.sums import Held
from ebdsl.model.algebra import zeroed
from ebdsl.model.ir import BATCH, Add, Axis, Fn, Mul, Node, Pow, Sum
from ebdsl.plan import Plan

FEW_CHANGE = 2e-3
"""Of the energy: where a step lowers it by less, few samples change their state, some 5 % where it was measured."""
SEEN = ["self.seen: tuple[tuple[Tensor, int], ...] = ()", "self.fixed: dict[str, Tensor] = {}"]


def looks_at_changes(plan: Plan) -> bool:
    """Whether a step on the samples of the last one looks at what changes alone, for ``explain``."""
    if plan.schedule != "full" or plan.sums is None or [d.rule for d in plan.inference] != ["enumeration"]:
        return False
    return any("def collect_again" in line for line in full_learner(make_context(plan)))


def full_learner(c: Context) -> list[str]:
    """The whole class, unindented."""
    plan = c.plan
    body = LearnBody(c, full=True)
    for _, decision in plan.learning:
        RULES[decision.rule].emit(decision.payload, body)
    energies = [] if plan.inference else _energies(c)
    updates = [*kept_lines(c, body.lines), *body.lines]
    refit = taken(c)
    text = "\n".join([*updates, *energies])
    needed = {k: h for k, h in keys(c).items() if f'sums["{k}"]' in text} | refit
    fixed = {k: h for k, h in needed.items() if h.fixed}
    passing = {k: h for k, h in needed.items() if not h.fixed}
    states = enumeration(c)
    common = states is not None and len(states.states) == 1 and c.common(states)
    c.runtime |= {"precise_sum"}
    measured = energies or [
        'energy = self.energies["energy"] / samples',
        "metrics = {name: value / samples for name, value in self.energies.items()}",
        *_only_term(c),
    ]
    width = _tile_width(c, passing)
    certified, residuals = certificates(body, "samples")
    once_more = again(c, passing, _given(c))
    observed = ", ".join(c.name(s) for s in c.observed)
    arguments = c.args(c.observed, typed=True)
    answers = _answers(c)
    return template(
        f'''
        class Learner:
            """Minimises each block exactly, given all data: one step is one pass, or several calls of ``collect``.

            <decisions>
            """

            full_batch = True

            def __init__(self, model: {c.class_name}, *, lr: float | None = None, seed: int = 0) -> None:
                self.model = model
                self.steps = 0
                self.last = math.inf
                self.converged = False
                self.generator = torch.Generator().manual_seed(seed)
                self.samples = 0
                self.sums: dict[str, Tensor] = {{}}
                <state>

            <start>

            def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
                """One update on all data; gives the mean energy before it, and that of every term."""
                self.collect(batch)
                <finished>

            @torch.no_grad()
            def collect(self, batch: dict[str, Tensor]) -> None:
                """Add what the update needs to know of some of the data."""
                <observed>
                self.samples += {c.like}.shape[0]
                <fixed>
                <passes>

            <parts>

            @torch.no_grad()
            def finish(self) -> dict[str, Tensor]:
                """The update, from what has been collected."""
                <finish>
                <taken>
                before = [p.clone() for p in model.parameters()]
                self.update(self.sums, samples)
                unmoved = all(map(torch.equal, before, model.parameters()))
                self.samples, self.sums = 0, {{}}
                <clear>
                self.steps += 1
                value = float(energy)
                self.converged = unmoved or abs(self.last - value) <= 1e-9 * max(1e-30, abs(value))
                <settled>
                self.last = value
                <residuals>
                return metrics

            <update>

            def state_dict(self) -> dict[str, Tensor]:
                """What resuming needs besides the model."""
                return {{
                    "steps": torch.tensor(self.steps),
                    "last": torch.tensor(self.last, dtype=torch.float64),
                    <kept>
                    "generator": self.generator.get_state(),
                }}

            def load_state_dict(self, state: dict[str, Tensor]) -> None:
                """Go on from what ``state_dict`` gave."""
                self.steps = int(state["steps"])
                self.last = float(state["last"])
                self.generator.set_state(state["generator"].cpu())
                <loaded>
        ''',
        decisions=[f"{d.task}: {d.algorithm}." for _, d in plan.learning],
        state=[
            *(["self.energies: dict[str, Tensor] = {}"] if plan.inference else []),
            *(SEEN if fixed or common or once_more else []),
            *(["self.again = False", "self.members: Members | None = None"] if once_more else []),
            *(["self.taken = torch.ones(1)"] if refit else []),
            *certified,
        ],
        taken=[f'self.taken = self.sums["{k}"]' for k in refit],
        start=start_lines(c, width),
        finished=["metrics = self.finish()", "self.refit_unused(lambda: [batch])", "return metrics"]
        if refit
        else ["return self.finish()"],
        observed=observed_lines(c, "batch"),
        fixed=_fixed(c, fixed, common, observed, once_more),
        passes=_passes(c, width, once_more) if plan.inference or passing else [],
        parts=[
            *([*again_lines(c, once_more), ""] if once_more else []),
            *(_parts(c, passing, answers, arguments) if plan.inference or passing else []),
        ],
        finish=["model, samples = self.model, self.samples", *(["sums = self.sums"] if energies else []), *measured],
        clear=["self.energies = {}"] if plan.inference else [],
        settled=[f"self.again = samples == len(self.seen[0][0]) and self.last - value <= {FEW_CHANGE} * abs(value)"]
        if once_more
        else [],
        kept=['"again": torch.tensor(self.again),'] if once_more else [],
        loaded=['self.again, self.members = bool(state["again"]), None'] if once_more else [],
        update=update_lines(updates, refit_full_lines(c, width)),
        residuals=residuals,
    )


def _only_term(c: Context) -> list[str]:
    states = enumeration(c)
    if len(c.model.terms) != 1 or c.plan.statistics or (states is not None and states.kind == "softmin"):
        return []
    return [f"metrics[{quoted('energy/' + c.model.terms[0].text)}] = energy"]


def _answers(c: Context) -> list[str]:
    """What stands for the latents: their values, ``weights`` of states, or the one ``state``."""
    return ["state"] if _picked(c) else answer_names(c)


def _picked(c: Context) -> bool:
    """Whether each sample is in one state of one one-hot latent."""
    states = enumeration(c)
    return states is not None and states.kind == "min" and len(states.states) == 1 and states.states[0].table is None


def _energies(c: Context) -> list[str]:
    """The mean energy and that of every term, from the sums."""
    assert c.plan.sums is not None
    scope = LearnBody(c, full=True).scope()
    lines = []
    names = []
    for node, term in zip(c.plan.sums.terms, c.model.terms, strict=True):
        name = scope.name("term")
        node = zeroed(node, c.plan.sums.steps.values())
        value = scope.emit(node)
        code = value.code if scope.is_tensor(node) else scope.constant(value)
        lines += [*scope.lines, f"{name} = ({code}) / samples"]
        scope.lines.clear()
        names.append((name, term.text))
    total = " + ".join(n for n, _ in names)
    entries = ", ".join(f"{quoted('energy/' + text)}: {n}" for n, text in names)
    return [*lines, f"energy = {total}", f'metrics = {{"energy": energy, {entries}}}']


def _fixed(c: Context, fixed: dict[str, Held], common: bool, observed: str, once_more: Again | None) -> list[str]:
    """Sums that no step changes, taken once."""
    if not fixed and not common and not once_more:
        return []
    c.runtime |= {"same_tensors", "remembered"}
    scope = c.scope("self.model", batch="self.samples")
    scope.count(*(h.node for h in fixed.values()))
    values = {k: re.sub(r"^(\w+)\.T @ \1$", r"gram(\1)", scope.tensor(h.node, h.axes).code) for k, h in fixed.items()}
    c.runtime |= called(" ".join(values.values())) & {"gram"}
    if common:
        tiled = c.each_tile(tile_width(c, []), "batch").removesuffix(":")
        values["common"] = f"torch.stack([precise_sum(self.model.common_energy({c.args(c.observed)})) {tiled}]).sum()"
    tensors = f"({observed},)"
    return [
        f"if not same_tensors(self.seen, {tensors}):",
        *(["    self.again, self.members = self.again and not self.seen, None"] if once_more else []),
        f"    self.seen = remembered({tensors})",
        *("    " + x for x in scope.lines),
        "    self.fixed = {",
        *(f'        "{k}": {code},' for k, code in values.items()),
        "    }",
        *(f'self.add(self.sums, "{k}", self.fixed["{k}"].clone())' for k in fixed),
        *(['self.add(self.energies, "energy", self.fixed["common"].clone())'] if common else []),
    ]


def _passes(c: Context, width: str, once_more: Again | None) -> list[str]:
    """Tiles of the samples, each from inference to its sums while it is in the cache."""
    given = _given(c)
    more = [f"{given} = self.model.{given}()"] if given else []
    arguments = ", ".join([c.args(c.observed), *([given] if given else [])])
    lines = [c.each_tile(width, "batch"), f"    self.collect_tile({arguments})"]
    if once_more is not None:
        known = f'self.again and {c.like}.dtype == torch.float32 and {c.like}.device.type == "cpu"'
        lines = [f"if {known}:", f"    self.collect_again({arguments})", "else:", *("    " + x for x in lines)]
    return [*more, *lines]


def _given(c: Context) -> str:
    """The variable with what the scores of states hold besides the data, where they hold such and are asked for."""
    states = enumeration(c)
    return NAME if states is not None and len(states.states) == 1 and constants(c) else ""


def _tile_width(c: Context, passing: dict[str, Held]) -> str:
    states = enumeration(c)
    return tile_width(
        c, [h.node for h in passing.values()] + ([state_parts(states).scores] if states is not None else [])
    )


def tile_width(c: Context, nodes: list[Node]) -> str:
    """The numbers that a sample takes: its data, and the largest intermediate of these nodes."""
    scope = c.scope("self.model")
    best: tuple[Axis, ...] = ()

    def go(n: Node) -> None:
        nonlocal best
        axes = tuple(sorted((a for a in n.free if a != BATCH), key=lambda a: a.name))
        made = isinstance(n, Add | Mul | Pow | Fn | Sum) and not (
            isinstance(n, Mul) and any(f.free >= n.free for f in n.factors)
        )
        if BATCH in n.free and made and scope.volume(axes) > scope.volume(best):
            best = axes
        contraction = isinstance(n, Sum) and isinstance(n.body, Mul)
        for child in n.body.children if contraction and isinstance(n, Sum) else n.children:
            go(child)

    from ebdsl.emit.economy import economical

    for n in nodes:
        go(economical(n))
    widths = [[a.dim for a in best], *(list(s.shape) for s in c.observed)]
    return " + ".join(" * ".join(scope.dim(d) for d in dims) for dims in widths if dims) or "1"


def _parts(c: Context, passing: dict[str, Held], answers: list[str], arguments: str) -> list[str]:
    given = f", {_given(c)}: tuple[Tensor, ...]" if _given(c) else ""
    return template(
        f'''
        def collect_tile(self, {arguments}{given}) -> None:
            """Inference on some samples, and what the update needs to know of them."""
            <named>
            <found>
            self.add_sums(self.sums, {", ".join([c.args(c.observed), *answers])})

        <sums>
        ''',
        named=["model = self.model"] if c.plan.inference else [],
        found=_found(c),
        sums=sum_lines(c, passing, answers),
    )


def update_lines(updates: list[str], refit: list[str]) -> list[str]:
    """The methods that a learner from sums has, full or in sweeps: ``update``, what refits unused parts, ``add``."""
    return template(
        '''
        @torch.no_grad()
        def update(self, sums: dict[str, Tensor], samples: int) -> None:
            """Every block at its minimum, the others fixed, from sums over the samples."""
            model = self.model
            <updates>

        <refit_unused>

        def add(self, sums: dict[str, Tensor], name: str, value: Tensor) -> None:
            """``sums[name] += value``."""
            if name in sums:
                sums[name] += value
            else:
                sums[name] = value
        ''',
        updates=updates,
        refit_unused=refit,
    )


def sum_lines(c: Context, passing: dict[str, Held], answers: list[str]) -> list[str]:
    """The method ``add_sums``."""
    scope = c.scope("model", batch=f"{c.like}.shape[0]")
    states = enumeration(c)
    if _picked(c):
        assert states is not None
        scope.picks = {"weights": ("state", c.dim(states.states[0].axis.dim, "model"))}
        c.runtime.add("sum_by_state")
    nodes = {k: one_sided(h.node) for k, h in passing.items()}
    scope.count(*nodes.values())
    if states is not None and states.kind == "softmin" and any(map(widens, nodes.values())):
        scope.columns = {n: scope.name(f"{n}_columns") for n in [*(c.name(s) for s in c.observed), "weights"]}
    adds = []
    for k, h in passing.items():
        value = scope.tensor(nodes[k], h.axes)
        adds.append(f'self.add(sums, "{k}", {value.code})')
    lines = [*scope.lines, *adds]
    turned = {n: t for n, t in scope.columns.items() if uses("\n".join(lines), t)}
    lines = [*(f"{t} = {n}.T.contiguous()" for n, t in turned.items()), *lines]
    if _picked(c) and uses(re.sub(r'"\w*"', "", "\n".join(lines)), "weights"):
        count = scope.picks["weights"][1]
        lines = [f"weights = nn.functional.one_hot(state, {count}).to({c.like}.dtype)", *lines]
    typed = ", ".join([c.args(c.observed, typed=True), *(f"{n}: Tensor" for n in answers)])
    return template(
        f'''
        def add_sums(self, sums: dict[str, Tensor], {typed}) -> None:
            """Add the sums over some samples and their answers."""
            <model>
            <lines>
        ''',
        model=["model = self.model"] if uses("\n".join(lines), "model.") else [],
        lines=lines,
    )


def _found(c: Context) -> list[str]:
    """Inference, the energies of its answers added up, and the answers as variables."""
    if not c.plan.inference:
        return []
    states = enumeration(c)
    args = ", ".join([c.args(c.observed), *([_given(c)] if _given(c) else [])])
    if states is None or len(states.states) > 1:
        return [*found_lines(c), 'self.add(self.energies, "energy", precise_sum(found.energy))', *_terms(c)]
    scores = f"model.state_{'scores' if c.common(states) else 'energies'}({args})"
    if states.kind == "min":
        c.runtime.add("lowest_state")
        lines = [f"energy, state = lowest_state({scores})"]
        if states.states[0].table is not None:
            count = c.dim(states.states[0].axis.dim, "model")
            lines.append(f"weights = nn.functional.one_hot(state, {count}).to({c.like}.dtype)")
    else:
        c.runtime.add("soft_states")
        beta = "1" if states.beta is None else c.scope("model").emit(states.beta).atom
        lines = [f"energy, weights = soft_states({scores}, {beta})"]
    return [*lines, 'self.add(self.energies, "energy", precise_sum(energy))', *_terms(c)]


def _terms(c: Context) -> list[str]:
    """The energy of every term, added up."""
    states = enumeration(c)
    soft = c.plan.statistics or (states is not None and states.kind == "softmin")
    if soft or len(c.model.terms) == 1:
        return []  # the free energy is no sum of terms
    latents = [f'found.latents["{c.name(s)}"]' for s in c.latents]
    if states is not None and len(states.states) == 1:
        table = states.states[0].table
        count = c.dim(states.states[0].axis.dim, "model")
        picked = f"nn.functional.one_hot(state, {count}).to({c.like}.dtype)"
        latents = [picked if table is None else f"model.{c.name(table)}[state]"]
    arguments = ", ".join([c.args(c.observed), *latents])
    return [
        f"for name, term in model.terms({arguments}).items():",
        '    self.add(self.energies, f"energy/{name}", precise_sum(term))',
    ]
