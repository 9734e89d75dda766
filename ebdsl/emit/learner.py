"""The class ``Learner`` of a generated file, for the plan's schedule."""

from __future__ import annotations

from ebdsl.emit.context import Context
from ebdsl.emit.learner_batches import batch_learner
from ebdsl.emit.learner_full import full_learner
from ebdsl.emit.learner_smooth import smooth_learner
from ebdsl.emit.learner_strategy import strategy_learner
from ebdsl.emit.learner_sweeps import choice_lines, sweep_lines
from ebdsl.emit.learner_whole import whole_learner
from ebdsl.emit.text import template


def learner_lines(c: Context) -> list[str]:
    """The whole class, unindented."""
    if c.plan.strategy is not None:
        return strategy_learner(c, c.plan.strategy)
    match c.plan.schedule:
        case "full":
            return full_learner(c) if c.plan.sums is not None else whole_learner(c)
        case "together":
            return smooth_learner(c)
        case "batches":
            parts = (batch_learner(c), sweep_lines(c), choice_lines(c))
            return [line for part in parts if part for line in ("", "", *part)][2:]
    return _idle(c)


def _idle(c: Context) -> list[str]:
    arguments = ", ".join(f'batch["{c.name(s)}"]' for s in c.observed)
    return template(f'''
        class Learner:
            """There is nothing to learn: a step measures the energy."""

            full_batch = True

            def __init__(self, model: {c.class_name}, *, lr: float | None = None, seed: int = 0) -> None:
                self.model = model
                self.converged = True

            def start(self, data: dict[str, Tensor]) -> None:
                """Nothing to set from the data."""

            def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
                """The mean energy."""
                return {{"energy": self.model.infer({arguments}).energy.mean()}}

            def state_dict(self) -> dict[str, Tensor]:
                """Nothing."""
                return {{}}

            def load_state_dict(self, state: dict[str, Tensor]) -> None:
                """Nothing."""
    ''')
