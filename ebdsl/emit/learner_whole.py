"""A learner whose updates need every sample at once, as a median does."""

from __future__ import annotations

from ebdsl.emit.answers import answer_names, enumeration, found_lines, observed_lines
from ebdsl.emit.context import Context
from ebdsl.emit.learner_full import tile_width
from ebdsl.emit.program import certificates
from ebdsl.emit.seeding import start_lines
from ebdsl.emit.states import state_parts
from ebdsl.emit.text import template, words
from ebdsl.emit.unused import refit_full_lines
from ebdsl.emit.updates import LearnBody
from ebdsl.learn.core import RULES


def whole_learner(c: Context) -> list[str]:
    """The whole class, unindented."""
    plan = c.plan
    body = LearnBody(c, full=True)
    for _, decision in plan.learning:
        RULES[decision.rule].emit(decision.payload, body)
    names = answer_names(c)
    arguments = ", ".join([c.args(c.observed), *names])
    tiled = _tiled(c)
    energy = "found.energy.mean()" if plan.inference else f"model.energy({c.args(c.observed)}).mean()"
    energy = "torch.cat(energies).mean()" if tiled else energy
    sized = [f"samples = {c.like}.shape[0]"] if "samples" in words("\n".join(body.lines)) else []
    certified, residuals = certificates(body, f"len({c.like})")
    width = _width(c)
    refit = refit_full_lines(c, width)
    if refit:
        c.runtime.add("precise_sum")
    return template(
        f'''
        class Learner:
            """Minimises each block exactly, given all data: one step is one pass.

            <decisions>
            """

            full_batch = True

            def __init__(self, model: {c.class_name}, *, lr: float | None = None, seed: int = 0) -> None:
                self.model = model
                self.steps = 0
                self.last = math.inf
                self.converged = False
                self.generator = torch.Generator().manual_seed(seed)
                <certified>

            <start>

            @torch.no_grad()
            def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
                """One update on all data; gives the mean energy before it, and that of every term."""
                model = self.model
                <tiled>
                <observed>
                <found>
                energy = {energy}
                metrics = {{"energy": energy}}
                <terms>
                self.update({arguments})
                self.steps += 1
                value = float(energy)
                self.converged = abs(self.last - value) <= 1e-9 * max(1e-30, abs(value))
                self.last = value
                <refit>
                <residuals>
                return metrics

            @torch.no_grad()
            def update(self, {", ".join(f"{n}: Tensor" for n in [*(c.name(s) for s in c.observed), *names])}) -> None:
                """Every block at its minimum, the others fixed."""
                model = self.model
                <sized>
                <updates>

            <refit_unused>

            def state_dict(self) -> dict[str, Tensor]:
                """What resuming needs besides the model."""
                return {{
                    "steps": torch.tensor(self.steps),
                    "last": torch.tensor(self.last, dtype=torch.float64),
                    "generator": self.generator.get_state(),
                }}

            def load_state_dict(self, state: dict[str, Tensor]) -> None:
                """Go on from what ``state_dict`` gave."""
                self.steps = int(state["steps"])
                self.last = float(state["last"])
                self.generator.set_state(state["generator"].cpu())
        ''',
        decisions=[f"{d.task}: {d.algorithm}." for _, d in plan.learning],
        start=start_lines(c, width),
        observed=observed_lines(c, "batch"),
        tiled=tiled,
        found=[] if tiled else found_lines(c),
        terms=_terms(c),
        certified=certified,
        residuals=residuals,
        sized=sized,
        updates=body.lines,
        refit=["self.taken = weights.sum(0)", "self.refit_unused(lambda: [batch])"] if refit else [],
        refit_unused=refit,
    )


def _tiled(c: Context) -> list[str]:
    """Inference a tile at a time, where the energies of all states at all samples would take the memory."""
    states = enumeration(c)
    if states is None:
        return []
    names = ["weights", *(c.name(s) for s in c.latents)]
    values = ", ".join(["weights", *(f'found.latents["{n}"]' for n in names[1:])])
    return [
        "energies, answers = [], []",
        c.each_tile(tile_width(c, [state_parts(states).scores]), "batch"),
        *("    " + x for x in found_lines(c)),
        "    energies.append(found.energy)",
        f"    answers.append(({values}))",
        f"{', '.join(names)} = (torch.cat(part) for part in zip(*answers, strict=True))",
    ]


def _width(c: Context) -> str:
    states = enumeration(c)
    if states is None:
        return "1"
    return " * ".join(c.dim(s.axis.dim, "self.model") for s in states.states)


def _terms(c: Context) -> list[str]:
    states = enumeration(c)
    if c.plan.statistics or (states is not None and states.kind == "softmin"):
        return []  # the free energy is no sum of terms
    latents = [c.name(s) if states is not None else f'found.latents["{c.name(s)}"]' for s in c.latents]
    arguments = ", ".join([c.args(c.observed), *latents])
    return [
        f"for name, term in model.terms({arguments}).items():",
        '    metrics[f"energy/{name}"] = term.mean()',
    ]
