"""A learner that keeps the codes of all samples, and lowers codes and parameters in turn."""

from __future__ import annotations

from dataclasses import replace

from ebdsl import settings
from ebdsl.emit.bodies import InferBody
from ebdsl.emit.context import Context, called
from ebdsl.emit.learner_full import sum_lines, update_lines
from ebdsl.emit.text import quoted, template, tuple_text
from ebdsl.emit.unused import far_start_lines, refit_slices_lines, slice_blocks
from ebdsl.emit.updates import LearnBody, kept_lines, keys
from ebdsl.emit.values import bracket, number
from ebdsl.learn.core import RULES
from ebdsl.learn.sweeps import SWEEPS


def improve_lines(c: Context) -> list[str]:
    """The model's method ``improve``, where there are sweeps."""
    found = c.plan.sweeps
    if found is None:
        return []
    body = InferBody(c)
    body.improve(found.codes, found.passes)
    (z,) = found.codes.latents
    over = "once" if found.passes == 1 else f"{found.passes} times"
    return [
        "    @torch.no_grad()",
        f"    def improve(self, {c.typed((*c.observed, z))}) -> Tensor:",
        f'        """``{c.name(z)}`` ``(B, *shape)`` with entry after entry at its minimum, {over}."""',
        *("        " + x if x else "" for x in body.lines),
    ]


def sweep_lines(c: Context) -> list[str]:
    """The class ``Sweeps`` and the function that chooses between it and ``Learner``; nothing where there are none."""
    found = c.plan.sweeps
    if found is None:
        return []
    blocks, start, refit = slice_blocks(c.plan), far_start_lines(c), refit_slices_lines(c, kept=True)
    c = replace(c, plan=replace(c.plan, schedule="full", learning=found.learning, sums=found.sums))
    (z,) = found.codes.latents
    name, domain = c.name(z), z.domain
    body = LearnBody(c, full=True, passes=1)
    for _, decision in found.learning:
        RULES[decision.rule].emit(decision.payload, body)
    updates = [*kept_lines(c, body.lines), *body.lines]
    passing = {k: h for k, h in keys(c).items() if f'sums["{k}"]' in "\n".join(updates)}
    shape = tuple_text([*(c.dim(d, "model") for d in z.shape), "samples"])  # entry after entry in memory
    options = f"dtype={c.first_weight}.dtype, device={c.first_weight}.device"
    n = c.dim(z.shape[-1], "model")
    centre = domain.row.centre.format(*map(number, domain.args), shape=shape, options=options, n=n, ndim=len(z.shape))
    c.runtime |= called(centre) | {"precise_sum"}
    width = " * ".join(c.dim(d, "self.model") for d in z.shape)
    names = c.args((*c.observed, z))
    whole = ", ".join([*(f'batch["{c.name(s)}"]' for s in c.observed), f"self.{name}"])
    return template(
        f'''
        class Sweeps:
            """Keeps every sample's {name}, and minimises in turn: one step is {SWEEPS} sweeps over all data.

            A sweep is ``improve`` for all samples, then each block at its minimum given what is kept of all samples.
            """

            full_batch = True

            def __init__(
                self, model: {c.class_name}, samples: int, *, lr: float | None = None, seed: int = 0
            ) -> None:
                self.model = model
                self.steps = 0
                self.last = math.inf
                self.converged = False
                self.generator = torch.Generator().manual_seed(seed)
                self.{name} = {centre}.movedim(-1, 0)

            <start>

            @torch.no_grad()
            def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
                """{SWEEPS} sweeps over all data; gives the mean energy after them, and that of every term."""
                model, samples = self.model, len(self.{name})
                <refit>
                for _ in range({SWEEPS}):
                    sums: dict[str, Tensor] = {{}}
                    for {names} in self.tiles(batch):
                        {name}.copy_(model.improve({names}))
                        self.add_sums(sums, {names})
                    self.update(sums, samples)
                energies: dict[str, Tensor] = {{}}
                for {names} in self.tiles(batch):
                    for name, term in model.terms({names}).items():
                        self.add(energies, name, precise_sum(term))
                terms = {{f"energy/{{name}}": value / samples for name, value in energies.items()}}
                energy = torch.stack(tuple(terms.values())).sum()
                self.steps += 1
                value = float(energy)
                self.converged = abs(self.last - value) <= 1e-6 * max(1e-30, abs(value))
                self.last = value
                return {{"energy": energy, **terms}}

            def tiles(self, batch: dict[str, Tensor]) -> Iterator[tuple[Tensor, ...]]:
                """Some samples at a time and their {name}, which are views: what is written into them is kept."""
                rows = len(self.{name}) if self.{name}.is_cuda else max(1024, 2**18 // {bracket(width)})
                return zip(*(t.split(max(1, rows)) for t in ({whole})), strict=True)

            <sums>

            <update>

            def state_dict(self) -> dict[str, Tensor]:
                """What resuming needs besides the model."""
                return {{
                    "steps": torch.tensor(self.steps),
                    "last": torch.tensor(self.last, dtype=torch.float64),
                    {quoted(name)}: self.{name}.clone(),
                }}

            def load_state_dict(self, state: dict[str, Tensor]) -> None:
                """Go on from what ``state_dict`` gave."""
                self.steps = int(state["steps"])
                self.last = float(state["last"])
                self.{name}.copy_(state[{quoted(name)}])

        ''',
        start=start,
        refit=["if self.steps:", *(f"    self.refit_unused_{c.name(b.symbol)}({whole})" for b in blocks)]
        if blocks
        else [],
        sums=sum_lines(c, passing, [name]),
        update=update_lines(updates, refit),
    )


def choice_lines(c: Context) -> list[str]:
    """The function that makes the learner for so many samples, where their number counts; nothing elsewhere."""
    if not settings.keeps_answers(c.plan):
        return []
    found = c.plan.sweeps
    doc, sweeping, kind = "The learner, which keeps the answers of all samples.", [], "Learner"
    if found is not None:
        doc, kind = f"Up to {found.samples:,} samples are learned from in sweeps, more by batches.", "Learner | Sweeps"
        sweeping = [
            f"if samples <= {found.samples}:",
            "    return Sweeps(model, samples, lr=lr, seed=seed)",
        ]
    return template(
        f'''
        def learner(model: {c.class_name}, samples: int, *, lr: float | None = None, seed: int = 0) -> {kind}:
            """{doc}"""
            <sweeping>
            return Learner(model, lr=lr, seed=seed, samples=samples)
        ''',
        sweeping=sweeping,
    )
