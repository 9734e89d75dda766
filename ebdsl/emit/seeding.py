"""``Learner.start``: prototypes at far apart samples, wherever states are enumerated and can be fitted to a sample."""

from __future__ import annotations

from ebdsl.emit.answers import enumeration, observed_lines
from ebdsl.emit.context import Context
from ebdsl.emit.systems import solve_code
from ebdsl.emit.text import template, words
from ebdsl.emit.updates import LearnBody
from ebdsl.facts.quadratic import Quadratic
from ebdsl.model.ir import Symbol


def start_lines(c: Context) -> list[str]:
    """The methods ``start`` and, where it helps, ``fit_state``."""
    seeds = _seeds(c)
    states = enumeration(c)
    if not seeds or states is None:
        return template('''
            def start(self, data: dict[str, Tensor]) -> None:
                """Nothing to set from the data."""
        ''')
    c.runtime.add("draw_far_points")
    count = c.dim(states.states[0].axis.dim, "model")
    like, arguments = c.like, c.args(c.observed)
    one = ", ".join(f"{c.name(s)}[sample : sample + 1]" for s in c.observed)
    whole = ", ".join(f'data["{c.name(s)}"]' for s in c.observed)
    rest = []
    if len(c.plan.learning) > len(seeds):  # the other blocks begin at their minimum for hard assignments
        rest = [
            f"state = model.state_energies({whole}).argmin(1)",
            f"self.update({whole}, nn.functional.one_hot(state, {count}).to({like}.dtype))",
        ]
    fits = _fits(c, seeds)
    return template(
        f'''
        @torch.no_grad()
        def start(self, data: dict[str, Tensor]) -> None:
            """Fit each state to one sample, drawn far from those already fitted (k-means++)."""
            model = self.model
            <observed>
            few = torch.randperm({like}.shape[0], generator=self.generator)[: max(2048, 30 * {count})].to({like}.device)
            <few>
            distance = {like}.new_ones({like}.shape[0])
            for number in range({count}):
                sample = int(draw_far_points(distance, self.generator))
                self.fit_state(number, {one})
                energy = model.state_energies({arguments})[:, number]
                energy = energy - energy.min()
                distance = energy if number == 0 else torch.minimum(distance, energy)
            <rest>

        @torch.no_grad()
        def fit_state(self, number: int, {c.args(c.observed, typed=True)}) -> None:
            """The parameters of state ``number`` at their minimum for a few samples."""
            model = self.model
            <sized>
            weights = torch.zeros({like}.shape[0], {count}, dtype={like}.dtype, device={like}.device)
            weights[:, number] = 1
            <fits>
        ''',
        observed=observed_lines(c, "data"),
        few=[f"{c.name(s)} = {c.name(s)}[few]" for s in c.observed],
        rest=rest,
        sized=[f"samples = {like}.shape[0]"] if "samples" in words("\n".join(fits)) else [],
        fits=fits,
    )


def _seeds(c: Context) -> list[tuple[Symbol, Quadratic, int]]:
    """Blocks that fall apart by state and are quadratic: each state's part can be fitted alone."""
    states = enumeration(c)
    if states is None or len(states.states) != 1:
        return []
    dim = states.states[0].axis.dim
    found = []
    for w, decision in c.plan.learning:
        form = getattr(decision.payload, "form", None)
        if isinstance(form, Quadratic) and w.shape.count(dim) == 1:
            place = w.shape.index(dim)
            if place in form.varies:
                found.append((w, form, place))
    return found


def _fits(c: Context, seeds: list[tuple[Symbol, Quadratic, int]]) -> list[str]:
    lines: list[str] = []
    for w, form, place in seeds:
        body = LearnBody(c, full=True)
        scope = body.scope()
        name = c.name(w)
        code = body.project(w, solve_code(scope, form, per_sample=False, keep=f"model.{name}"))
        at = ", ".join("number" if p == place else ":" for p in range(len(w.shape)))
        lines += [*scope.lines, f"fitted = {code}", f"model.{name}[{at}] = fitted[{at}]"]
    return lines
