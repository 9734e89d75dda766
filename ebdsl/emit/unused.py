"""Parameters that no sample uses: a prototype without members, an atom that is in no code.

Their energy is flat, so that no update moves them. What can be done is read off the algebra: where a block falls apart
by state, one state's part is fitted to a sample that all others explain badly (scikit-learn's K-means does the same
with an empty cluster); where a slice is multiplied by an entry of a code, it takes the direction in which slice and
entry together lower the energy of such a sample (Aharon, Elad & Bruckstein 2006, section IV.D, take the sample itself).
"""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.emit.answers import enumeration
from ebdsl.emit.context import Context
from ebdsl.emit.systems import symmetric_code
from ebdsl.emit.tensors import Scope
from ebdsl.emit.text import template, words
from ebdsl.emit.updates import LearnBody, kept_lines, keys
from ebdsl.emit.values import bracket
from ebdsl.facts.quadratic import Quadratic
from ebdsl.infer.core import Decision
from ebdsl.infer.rules.enumeration import Enumeration
from ebdsl.learn.core import RULES
from ebdsl.learn.sums import Held
from ebdsl.model.algebra import contract, rename, transform, with_batch, zeroed
from ebdsl.model.build import add, neg, sub
from ebdsl.model.canonical import signature
from ebdsl.model.derivative import NoDerivative, derivative, fresh_index
from ebdsl.model.domains import REAL
from ebdsl.model.ir import BATCH, ZERO, Axis, Dim, Get, Node, Symbol
from ebdsl.plan import Plan

LEAST_SHARE = 0.01
"""Of an even share of the samples: a state that takes less of those of late is unused."""
LEAST_CURVATURE = 1e-3
"""Of the mean over the slices: a slice whose codes' mean square is less is unused."""
STATES_CHECKED_EACH, SLICES_CHECKED_EACH = 10, 50
"""Steps between two looks: each waits for the device."""


@dataclass(frozen=True)
class StateBlock:
    """A block with an axis of states at ``place``. ``alone``: each state can be fitted without the others."""

    symbol: Symbol
    place: int
    decision: Decision
    alone: bool


@dataclass(frozen=True)
class SliceBlock:
    """A block of slices along ``place``.

    ``direction`` is that in which the energy of one sample falls, ``(B, *shape)``; ``constant`` the part of the
    matrix that is there without any code, ZERO if there is none.
    """

    symbol: Symbol
    form: Quadratic
    place: int
    direction: Node
    constant: Node


def state_dim(plan: Plan) -> Dim | None:
    """The dimension that numbers the states of the only finite latent, if parameters can have it."""
    payload = plan.inference[0].payload if plan.inference else None
    if not isinstance(payload, Enumeration) or len(payload.states) != 1 or payload.states[0].table is not None:
        return None
    return payload.states[0].axis.dim


def state_place(plan: Plan, w: Symbol) -> int | None:
    """The axis of ``w`` that numbers the states: the one that the energy of a state reads by the state's number.

    A size tells nothing, since prototypes of four numbers may be four.
    """
    if state_dim(plan) is None:
        return None
    payload = plan.inference[0].payload
    assert isinstance(payload, Enumeration)
    found: set[tuple[int, ...]] = set()

    def read(n: Node) -> None:
        if isinstance(n, Get) and n.symbol == w:
            found.add(tuple(k for k, a in enumerate(n.index) if a == payload.states[0].axis))

    transform(payload.energy, read)
    places = {k for read_at in found for k in read_at}
    return places.pop() if len(places) == 1 else None


def state_blocks(plan: Plan) -> tuple[StateBlock, ...]:
    """All blocks that have a part for each state; none where no part can be set apart from the others."""
    found = []
    for w, decision in plan.learning:
        place = state_place(plan, w)
        if place is None:
            continue
        found.append(StateBlock(w, place, decision, place in getattr(decision.payload, "apart", ())))
    return tuple(found) if any(b.alone for b in found) else ()


def slice_blocks(plan: Plan) -> tuple[SliceBlock, ...]:
    """Blocks learned from batches whose slices are each multiplied by an entry of a code."""
    if plan.schedule != "batches" or plan.weights is not None or plan.statistics or plan.answers:
        return ()
    found = []
    latents = plan.model.role("latent")
    for w, decision in plan.learning:
        form = getattr(decision.payload, "form", None)
        if not isinstance(form, Quadratic) or len(form.coupled) != 1 or form.varies:
            continue
        try:
            slope = derivative(plan.energy, w, form.at)
            parts = [
                contract(derivative(slope, z, at), at)
                for z in latents
                if z in slope.symbols
                for at in (fresh_index(z),)
            ]
        except NoDerivative:
            continue
        direction = with_batch(neg(add(*parts))) if parts else ZERO
        if direction != ZERO:
            found.append(SliceBlock(w, form, form.coupled[0], direction, zeroed(form.matrix, latents)))
    return tuple(found)


def explained(plan: Plan, symbol: Symbol) -> str | None:
    """What happens to the parts of ``symbol`` that no sample uses, for ``explain``."""
    for block in state_blocks(plan):
        if block.symbol == symbol:
            when = "no sample takes" if plan.schedule == "full" else f"takes under {LEAST_SHARE:.0%} of an even share"
            what = "is fitted to the sample of highest energy" if block.alone else "is that of the state used most"
            return f"the part of a state that {when} {what}"
    for other in slice_blocks(plan):
        if other.symbol == symbol:
            what = "takes what the sample of highest energy lacks"
            return f"a slice that no code uses {what}, looked for each {SLICES_CHECKED_EACH} steps"
    return None


# --------------------------------------------------------------------------- the text


def fit_state_lines(c: Context) -> list[str]:
    """The method ``fit_state``; there have to be blocks by state."""
    blocks = [b for b in state_blocks(c.plan) if b.alone]
    dim = state_dim(c.plan)
    states = enumeration(c)
    assert dim is not None and states is not None
    fits = _fits(c, blocks)
    like, count = c.like, c.dim(dim, "model")
    if c.plan.sums is None or states.kind != "min":
        answer = [
            f"weights = torch.zeros({like}.shape[0], {count}, dtype={like}.dtype, device={like}.device)",
            "weights[:, number] = 1",
        ]
    else:
        answer = [f"state = torch.full(({like}.shape[0],), number, device={like}.device)"]
    if c.plan.sums is not None:
        name = answer[0].split(" ")[0]
        answer += ["sums: dict[str, Tensor] = {}", f"self.add_sums(sums, {c.args(c.observed)}, {name})"]
    return template(
        f'''
        @torch.no_grad()
        def fit_state(self, number: int, {c.args(c.observed, typed=True)}) -> None:
            """The parameters of state ``number`` at their minimum for a few samples."""
            model = self.model
            <sized>
            <answer>
            <kept>
            <fits>
        ''',
        sized=[f"samples = {like}.shape[0]"] if "samples" in words("\n".join(fits)) else [],
        answer=answer,
        kept=kept_lines(c, fits),
        fits=fits,
    )


def _fits(c: Context, blocks: list[StateBlock]) -> list[str]:
    lines: list[str] = []
    for b in blocks:
        body = LearnBody(c, full=True)
        body.fitted = True
        RULES[b.decision.rule].emit(b.decision.payload, body)
        at = _at("number", b.place)
        lines += [*body.lines, f"model.{c.name(b.symbol)}[{at}] = fitted[{at}]"]
    return lines


def _at(number: str, place: int) -> str:
    """The index of one part along axis ``place``."""
    return ", ".join([*([":"] * place), number])


def taken(c: Context) -> dict[str, Held]:
    """How many samples each state takes, as a sum over the samples, where states have parameters of their own."""
    if not state_blocks(c.plan) or c.plan.weights is None:
        return {}
    k = Axis("k", c.plan.weights.shape[0])
    node = contract(Get(c.plan.weights, (BATCH, k)), (BATCH,))
    among = [key for key, h in keys(c).items() if signature(h.node)[0] == signature(node)[0]]
    held = Held(Symbol("taken", "const", (k.dim,), REAL), node, (k,), False)
    return {among[0]: keys(c)[among[0]]} if among else {"taken": held}


def _same_lines(c: Context) -> list[str]:
    """State ``number`` gets what it can not be fitted in from the state ``fullest``."""
    lines = []
    for b in state_blocks(c.plan):
        if not b.alone:
            name = c.name(b.symbol)
            lines.append(f"model.{name}[{_at('number', b.place)}] = model.{name}[{_at('fullest', b.place)}]")
            if b.symbol.domain.row.whole and b.symbol.domain.row.torch:  # its entries are tied to those of other states
                code = LearnBody(c, full=True).project(b.symbol, f"model.{name}")
                lines.append(f"model.{name}.copy_({code})")
    return lines


def refit_states_lines(c: Context) -> list[str]:
    """The method ``refit_unused`` of a learner from batches, and nothing where states have no parameters."""
    blocks = state_blocks(c.plan)
    if not blocks:
        return []
    cleared = []
    for b in blocks:
        if b.alone:  # what was gathered for the old part is forgotten
            name, form = c.name(b.symbol), getattr(b.decision.payload, "form", None)
            if isinstance(form, Quadratic) and b.place in form.varies:
                cleared.append(f'self.statistics["{name}_matrix"][{_at("number", form.varies.index(b.place))}] = 0')
            cleared.append(f'self.statistics["{name}_linear"][{_at("number", b.place)}] = 0')
    one = ", ".join(f"{c.name(s)}[sample : sample + 1]" for s in c.observed)
    same = _same_lines(c)
    return template(
        f'''
        @torch.no_grad()
        def refit_unused(self, usage: Tensor, energy: Tensor, {c.args(c.observed, typed=True)}) -> None:
            """States that hardly any sample takes are fitted to the samples of highest energy, one each."""
            <model>
            numbers = (usage < {LEAST_SHARE} / len(usage)).nonzero()[:, 0].tolist()
            <fullest>
            samples = energy.topk(min(len(numbers), len(energy))).indices.tolist()
            for number, sample in zip(numbers, samples, strict=False):
                <same>
                self.fit_state(number, {one})
                <cleared>
                usage[number] = 1 / len(usage)
        ''',
        model=["model = self.model"] if same else [],
        fullest=["fullest = int(usage.argmax())"] if same else [],
        same=same,
        cleared=cleared,
    )


def refit_full_lines(c: Context, width: str) -> list[str]:
    """The methods ``refit_unused`` and ``energies`` of a learner that sees all data, a piece at a time."""
    if not state_blocks(c.plan):
        return []
    c.runtime.add("worst_samples")
    args = c.args(c.observed)
    same = _same_lines(c)
    tile = f"({args},)" if len(c.observed) == 1 else f"({args})"
    return template(
        f'''
        @torch.no_grad()
        def refit_unused(self, pieces: Callable[[], Iterable[dict[str, Tensor]]]) -> None:
            """States that no sample takes are fitted to the samples of highest energy, one each, if that helps."""
            numbers = (self.taken < 1e-3).nonzero()[:, 0].tolist()
            if not numbers:
                return
            model = self.model
            <fullest>
            before = {{name: value.clone() for name, value in model.state_dict().items()}}
            worst: tuple[Tensor, ...] = ()
            for energy, *tile in self.energies_of(pieces()):
                worst = worst_samples(len(numbers), worst, (energy, *tile))
            samples = [t.split(1) for t in worst[1:]]
            for number, {tile} in zip(numbers, zip(*samples, strict=True), strict=False):
                <same>
                self.fit_state(number, {args})
            after = [(float(precise_sum(energy)), len(energy)) for energy, *_ in self.energies_of(pieces())]
            if not sum(e for e, _ in after) < self.last * sum(n for _, n in after):
                model.load_state_dict(before)
            else:
                self.converged = False

        def energies_of(self, pieces: Iterable[dict[str, Tensor]]) -> Iterator[tuple[Tensor, ...]]:
            """The energies of some samples at a time, and these samples."""
            for piece in pieces:
                <tiles>
        ''',
        fullest=["fullest = int(self.taken.argmax())"] if same else [],
        same=same,
        tiles=[c.each_tile(width, "piece"), f"    yield self.model.infer({args}).energy, {args}"],
    )


def refit_slices_lines(c: Context, kept: bool = False) -> list[str]:
    """A method ``refit_unused_W`` for each block of slices. ``kept``: given all codes; else there are statistics.

    A slice that costs something by itself stays as it was unless the energy of the batch falls; where codes are kept,
    sweeps follow, which take it back.
    """
    lines: list[str] = []
    for b in slice_blocks(c.plan):
        name = c.name(b.symbol)
        at = _at("number", b.place)
        body = LearnBody(c, full=False)
        scope, direction = direction_of(c, b)
        seen = [c.name(s) for s in c.observed]
        names = [*seen, *(c.name(s) for s in c.latents)]
        project = body.project(b.symbol, "slope")
        arguments = ", ".join(f"{n}: Tensor" for n in names)
        costs = not kept and b.constant != ZERO
        mean = f"float(model.infer({c.args(c.observed)}).energy.mean())"
        if lines:
            lines.append("")
        lines += template(
            f'''
            @torch.no_grad()
            def refit_unused_{name}(self, {arguments if kept else f"energy: Tensor, {arguments}"}) -> None:
                """Slices that no code uses take the direction in which the samples of highest energy would use them."""
                model = self.model
                <use>
                if not numbers:
                    return
                <before>
                worst = energy.topk(min(len(numbers), len(energy))).indices
                <worst>
                <sized>
                <direction>
                for number, slope in zip(numbers, {direction}, strict=False):
                    model.{name}[{at}] = {project}[{at}]
                    <forgotten>
                <kept>
            ''',
            use=_use_of_codes(c, b) if kept else _running_use(c, b),
            before=[f"energy = torch.stack(tuple(model.terms({', '.join(names)}).values())).sum(0)"]
            if kept
            else [f"before, lowest = model.{name}.clone(), {mean}", *(f"every_{n} = {n}" for n in seen)]
            if costs
            else [],
            worst=[f"{n} = {n}[worst]" for n in names],
            sized=["samples = len(worst)"] if "samples" in words(direction + "".join(scope.lines)) else [],
            direction=scope.lines,
            forgotten=[]
            if kept
            else [
                f'self.statistics["{name}_matrix"][number] = 0',
                f'self.statistics["{name}_matrix"][:, number] = 0',
                f'self.statistics["{name}_linear"][{at}] = 0',
            ],
            kept=[
                f"if not float(model.infer({', '.join(f'every_{n}' for n in seen)}).energy.mean()) < lowest:",
                f"    model.{name}.copy_(before)",
            ]
            if costs
            else [],
        )
    return lines


def far_start_lines(c: Context) -> list[str]:
    """The method ``start`` where the parameters are one block of slices, which take what samples lack without codes."""
    blocks = [b for b in slice_blocks(c.plan) if any(s.role == "observed" for s in b.direction.symbols)]
    if len(blocks) != 1:
        return template('''
            def start(self, data: dict[str, Tensor]) -> None:
                """Nothing to set from the data."""
        ''')
    (b,) = blocks
    name, project = c.name(b.symbol), LearnBody(c, full=False).project(b.symbol, f"model.{c.name(b.symbol)}")
    c.runtime.add("far_rows")
    scope, slope = direction_of(c, b, first=True)
    used = words("\n".join([*scope.lines, slope]))
    return template(
        f'''
        @torch.no_grad()
        def start(self, data: dict[str, Tensor]) -> None:
            """Slices take what samples lack without codes, each far from the span of those before, if there is room."""
            model, count = self.model, self.model.{name}.shape[{b.place}]
            if count > model.{name}.numel() // count:
                return
            room = 2**18 * count // model.{name}.numel()
            few = torch.randperm(len(self.{c.name(c.latents[0])}), generator=self.generator)[: max(room, 16 * count)]
            <few>
            <sized>
            <direction>
            slopes = {slope}
            for number, sample in enumerate(far_rows(slopes, count)):
                model.{name}[{_at("number", b.place)}] = slopes[sample]
            <project>
        ''',
        few=[
            *(f'{c.name(s)} = data["{c.name(s)}"][few]' for s in c.observed if c.name(s) in used),
            *(f"{c.name(s)} = self.{c.name(s)}[few]" for s in c.latents if c.name(s) in used),
        ],
        sized=["samples = len(few)"] if "samples" in used else [],
        direction=scope.lines,
        project=[f"model.{name}.copy_({project})"] if project != f"model.{name}" else [],
    )


def direction_of(c: Context, b: SliceBlock, first: bool = False) -> tuple[Scope, str]:
    """The lines and the text of a block's ``direction``, or of its ``first`` slice alone."""
    scope = LearnBody(c, full=False).scope()
    node = rename(b.direction, {b.form.at[b.place]: 0}) if first else b.direction
    scope.count(node)
    code = scope.tensor(node, (BATCH, *(a for a in b.form.at if a in node.free))).code
    return scope, code


def _running_use(c: Context, b: SliceBlock) -> list[str]:
    """``numbers`` of the slices that hardly any code of late used."""
    lines = [f'use = self.statistics["{c.name(b.symbol)}_matrix"].diagonal()']
    if b.constant != ZERO:
        own = c.scope("model", batch="1")  # as the statistics: the mean over samples
        code = symmetric_code(own, b.constant, (b.form.at[b.place], b.form.twin[b.place]))
        lines += [*own.lines, f"use = use - ({code}).diagonal()"]
    return [*lines, f"numbers = (use < {LEAST_CURVATURE} * use.mean()).nonzero()[:, 0].tolist()"]


def _use_of_codes(c: Context, b: SliceBlock) -> list[str]:
    """``numbers`` of the slices that no code uses at all: to move them changes no energy."""
    k = b.form.at[b.place]
    scope = c.scope("model", batch=f"{c.like}.shape[0]")
    use = scope.tensor(rename(sub(b.form.matrix, b.constant), {b.form.twin[b.place]: k}), (k,))
    return [*scope.lines, f"numbers = ({bracket(use.code)} <= 0).nonzero()[:, 0].tolist()"]
