"""Specs compiled and trained in memory."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from ebdsl import driver
from ebdsl.diagnostics import Source
from ebdsl.run.load import load


def compiled(text: str) -> ModuleType:
    found = driver.compile_source(Source("spec.ebm", text))
    assert found.value is not None, [d.message for d in found.diagnostics]
    return load(found.value)


def refusal(text: str) -> str:
    found = driver.plan_source(Source("spec.ebm", text))
    assert found.value is None
    (d,) = [d for d in found.diagnostics if d.severity == "error"]
    assert d.code == "EB0520", d
    return d.message


def train(
    text: str, data: dict[str, Tensor], *, epochs: int, lr: float, batch: int = 256, double: bool = False
) -> tuple[Any, Any, dict[str, Tensor]]:
    """Model, learner, and what the last step reported."""
    file = compiled(text)
    model = file.build(**({"dtype": torch.float64} if double else {}))
    learner = file.Learner(model, lr=lr)
    learner.start(data)
    generator = torch.Generator().manual_seed(0)
    n = len(next(iter(data.values())))
    report: dict[str, Tensor] = {}
    for _ in range(epochs):
        for i in torch.randperm(n, generator=generator).split(batch):
            report = learner.step({k: v[i] for k, v in data.items()})
    return model, learner, report


def auc(model: Any, data: Tensor, other: Tensor) -> float:
    """Chance that a point of ``data`` has less energy than one of ``other``."""
    with torch.no_grad():
        a, b = model.free_energy(data), model.free_energy(other)
    rank = torch.cat([a, b]).argsort().argsort().double()[: len(a)]
    return 1 - float(rank.sum() - len(a) * (len(a) - 1) / 2) / (len(a) * len(b))


def goes_on(file: ModuleType, y: Tensor) -> None:
    """Three steps from a kept state are those of the learner that went on, to the bit."""
    model = file.build()
    learner = file.Learner(model)
    learner.start({"y": y})
    learner.step({"y": y})
    again = file.build()
    again.load_state_dict(model.state_dict())
    follower = file.Learner(again)
    follower.load_state_dict(learner.state_dict())
    for _ in range(3):
        ours, theirs = learner.step({"y": y}), follower.step({"y": y})
        assert {k: float(v) for k, v in ours.items()} == {k: float(v) for k, v in theirs.items()}
