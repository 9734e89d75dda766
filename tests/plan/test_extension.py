"""A new rule of inference, a new rule of learning and a new diagnostic: one call each, and everything knows them."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from ebdsl import driver, infer, learn
from ebdsl.commands import run
from ebdsl.diagnostics import catalogue
from ebdsl.explain import text as explain
from ebdsl.facts.convexity import sign
from ebdsl.facts.normal import split
from ebdsl.infer.core import Decision, Problem, Refusal
from ebdsl.learn.core import Block
from ebdsl.model.build import fresh, sub, sum_over
from ebdsl.model.canonical import canonical
from ebdsl.model.ir import Fn, Get, Node, Symbol
from tests.plan.planning import plan

NAME = "median of a test"


@dataclass(frozen=True)
class Deviation:
    """``Σ_i |y_i - x_i|``, which is least at ``y``, and for many samples at their median."""

    observed: Symbol
    symbol: Symbol


def absolute_deviation(energy: Node, y: Symbol, x: Symbol) -> bool:
    if len(x.shape) != 1 or x.shape != y.shape or x.domain.kind != "real":
        return False
    i = fresh(y.shape[0])
    part = split(energy, frozenset({x}))
    wanted = sum_over(Fn("abs", (sub(Get(y, (i,)), Get(x, (i,))),)), (i,))
    return sign(part.weight) == "positive" and canonical(sum_over(part.core, part.axes)) == canonical(wanted)


def consider_latent(problem: Problem) -> Decision | Refusal:
    if problem.model.role("observed") == ():
        return Refusal(NAME, "nothing is observed: a block of parameters")
    (y,), (z,) = problem.model.role("observed"), problem.latents
    if not absolute_deviation(problem.energy, y, z):
        return Refusal(NAME, "the energy is no absolute deviation")
    return Decision(
        NAME, f"min over {z.name}", "copy what is observed", "global", "nothing", (), (), Deviation(y, z)
    )  # fmt: skip


def emit_latent(payload: object, body: infer.core.InferBody) -> None:  # type: ignore[name-defined]
    assert isinstance(payload, Deviation)
    body.answer(payload.symbol, f"{body.name(payload.observed)}.clone()")
    body.finish_at_answer()


def consider_block(block: Block) -> Decision | Refusal:
    (y,) = block.model.role("observed")
    if not absolute_deviation(block.energy, y, block.symbol):
        return Refusal(NAME, "the energy is no absolute deviation")
    return Decision(
        NAME, f"learn {block.symbol.name}", "the median, entry by entry", "global", "a sort", (), (),
        Deviation(y, block.symbol),
    )  # fmt: skip


def emit_block(payload: object, body: learn.core.LearnBody) -> None:  # type: ignore[name-defined]
    assert isinstance(payload, Deviation)
    x, y = (body.context.name(s) for s in (payload.symbol, payload.observed))
    body.lines.append(f"model.{x}.copy_({y}.median(0).values)")


@pytest.fixture
def rules() -> Iterator[None]:
    infer.core.load_rules()
    learn.core.load_rules()
    infer.core.register(infer.core.Rule(NAME, 1, "copies what is observed", consider_latent, emit_latent))
    learn.core.register(learn.core.Rule(NAME, 1, "the median of the data", consider_block, emit_block))
    yield
    del infer.core.RULES[NAME], learn.core.RULES[NAME]


def loaded(text: str) -> types.ModuleType:
    module = types.ModuleType("generated_by_extension")
    sys.modules[module.__name__] = module
    exec(compile(text, "generated", "exec"), module.__dict__)
    return module


@pytest.mark.usefixtures("rules")
def test_a_rule_of_inference() -> None:
    decided = plan("observed y : R[4]\nlatent z : R[4]\nF(y) = min_z 2 Σ_i |y_i - z_i|\n")
    assert decided.inference[0].rule == NAME
    assert "copy what is observed" in explain(decided)
    y = torch.randn(5, 4)
    found = loaded(driver.emit(decided)).build().infer(y)
    assert torch.equal(found.latents["z"], y) and torch.equal(found.energy, torch.zeros(5))
    other = plan("observed y : R[4]\nlatent z : R[4]\nF(y) = min_z ||z - y||^2\n").inference[0]
    assert NAME in {r.rule for r in other.refused}


@pytest.mark.usefixtures("rules")
def test_a_rule_of_learning() -> None:
    decided = plan("observed y : R[4]\nparam m : R[4]\nF(y) = 3 Σ_i |y_i - m_i|\n")
    ((_, decision),) = decided.learning
    assert decision.rule == NAME and decided.schedule == "full"
    assert "the median, entry by entry" in explain(decided)
    module, y = loaded(driver.emit(decided)), torch.randn(31, 4)
    net = module.build()
    module.fit(net, {"y": y}, report=None)
    torch.testing.assert_close(net.m.detach(), y.median(0).values)


def test_a_name_is_taken_once() -> None:
    infer.core.load_rules()
    with pytest.raises(ValueError, match="twice"):
        infer.core.register(infer.core.RULES["enumeration"])


def test_a_diagnostic(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    catalogue.register("EB0599", "error", "a test was here", "A story of a test.")
    try:
        assert run(["explain", "EB0599"]) == 0
    finally:
        del catalogue.CATALOGUE["EB0599"]
    printed = capsys.readouterr().out
    assert "a test was here" in printed and "A story of a test." in printed
    assert run(["explain", "EB0599"]) != 0
