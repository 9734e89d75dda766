"""``Learner.start``: prototypes at far apart samples, wherever states are enumerated and can be fitted to a sample."""

from __future__ import annotations

from ebdsl.emit.answers import enumeration, observed_lines
from ebdsl.emit.context import Context
from ebdsl.emit.text import template
from ebdsl.emit.unused import fit_state_lines, state_blocks


def start_lines(c: Context, width: str) -> list[str]:
    """The methods ``start`` and, where it helps, ``fit_state``. ``width``: numbers that a sample takes in a tile."""
    seeds = [b for b in state_blocks(c.plan) if b.alone]
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
    rest = []
    if len(c.plan.learning) > len(seeds):  # the other blocks begin at their minimum for hard assignments
        whole = ", ".join(f'data["{c.name(s)}"]' for s in c.observed)
        rest = [
            f"state = model.state_energies({whole}).argmin(1)",
            f"self.update({whole}, nn.functional.one_hot(state, {count}).to({like}.dtype))",
        ]
    if rest and c.plan.sums is not None:
        answer = "state" if states.kind == "min" else f"nn.functional.one_hot(state, {count}).to({like}.dtype)"
        rest = [
            "sums: dict[str, Tensor] = {}",
            c.each_tile(width, "data"),
            f"    state = model.state_energies({arguments}).argmin(1)",
            f"    self.add_sums(sums, {arguments}, {answer})",
            f'self.update(sums, data["{like}"].shape[0])',
        ]
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

        <fit_state>
        ''',
        observed=observed_lines(c, "data"),
        few=[f"{c.name(s)} = {c.name(s)}[few]" for s in c.observed],
        rest=rest,
        fit_state=fit_state_lines(c),
    )
