"""The fused loops of the plan against the eager kernels that they stand for, and through Inductor."""

from __future__ import annotations

import shutil
import subprocess
import sys
import warnings
from functools import cache
from pathlib import Path

import pytest
import torch

from ebdsl import driver
from ebdsl.infer.loops import loop_of
from ebdsl.infer.loops.core import inputs
from ebdsl.infer.loops.cost import cost
from tests.emit.compiled import Compiled, case, load, planned
from tests.emit.corpus import CORPUS
from tests.emit.test_named import spec as named_spec

RUFF = Path(sys.executable).with_name("ruff")
PATIENT = {"tolerance": 1e-9, "max_steps": 20_000}


@cache
def loops() -> tuple[str, ...]:
    return tuple(n for n in CORPUS if (d := case(n).plan.inference) and loop_of(d[0].payload) is not None)


def fused(text: str, compiled: bool = False) -> str:
    """The text for Inductor; without its decorator the same functions run as they are."""
    return text if compiled else text.replace("    @compiled\n", "")


def same_answers(c: Compiled, compiled: bool) -> None:
    text = driver.emit(c.plan, "inductor")
    assert "@compiled" in text and text == driver.emit(planned(CORPUS[c.model.name], c.model.name), "inductor")
    eager = c.randomise(c.build())
    twin = Compiled(c.plan, text, load(fused(text, compiled)), c.sizes, c.names).build()
    twin.load_state_dict(eager.state_dict())
    seen = c.observed(11)
    ours, theirs = twin.infer(**seen, **PATIENT), eager.infer(**seen, **PATIENT)
    assert bool(ours.converged.all()) and bool(theirs.converged.all())
    torch.testing.assert_close(ours.energy, theirs.energy, atol=1e-8, rtol=1e-8)
    again = {name: z + 0.1 for name, z in theirs.latents.items()}
    goals = [net.infer(**seen, start=again, tolerance=1e-3).residual for net in (twin, eager)]
    assert all(bool(g.isfinite().all()) for g in goals)


@pytest.mark.parametrize("name", loops())
def test_the_same_minimum_as_the_kernel(name: str) -> None:
    same_answers(case(name), compiled=False)


@pytest.mark.parametrize("by", ["ista(steps = 7)", "fista(steps = 9)", "cod(steps = 11)", "ista", "fista", "cod"])
@pytest.mark.parametrize("energy", ["half", "one", "nonnegative", "elastic"])
def test_an_algorithm_by_name_makes_the_same_steps(energy: str, by: str) -> None:
    plan = planned(named_spec(energy, by).removeprefix("model m\n"), "m")
    eager = load(driver.emit(plan)).build(dtype=torch.float64)
    twin = load(fused(driver.emit(plan, "inductor"))).build(dtype=torch.float64)
    y = torch.randn(13, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours, theirs = twin.infer(y), eager.infer(y)
    fixed = "steps" in by
    torch.testing.assert_close(ours.energy, theirs.energy, atol=1e-9, rtol=0)
    if fixed:
        torch.testing.assert_close(ours.latents["z"], theirs.latents["z"], atol=1e-12, rtol=0)
        torch.testing.assert_close(ours.residual, theirs.residual, atol=1e-12, rtol=0)
        assert torch.equal(ours.iterations, theirs.iterations)


@pytest.mark.parametrize("name", loops())
def test_a_loop_is_whole(name: str) -> None:
    """Every symbol is set before it is read, and what is carried has a next value."""
    loop = loop_of(case(name).plan.inference[0].payload)
    assert loop is not None
    carried = {c.symbol for c in loop.carried}
    assert {c.next for c in loop.carried} <= {s.symbol for s in loop.step} | carried
    known = {s.symbol for s in loop.once} | set(loop.latents)
    outside = inputs((*loop.step, *loop.check), frozenset(carried))
    assert all(s in known or s.role in ("param", "const", "observed") for s in outside)
    assert set(loop.answers) | set(loop.residual) <= {s.symbol for s in loop.check} | carried


@pytest.mark.skipif(shutil.which("ruff") is None and not RUFF.exists(), reason="no ruff")
def test_the_text_is_clean(tmp_path: Path) -> None:
    for name in loops():
        (tmp_path / f"{name}.py").write_text(driver.emit(case(name).plan, "inductor"), encoding="utf-8")
    ruff = str(RUFF) if RUFF.exists() else "ruff"
    rules = ["--select", "F,E9,W,I,B,UP,C4", "--isolated", "--line-length", "120", "--target-version", "py311"]
    done = subprocess.run([ruff, "check", *rules, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_where_inductor_fails_the_steps_run_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(function: object) -> object:
        def call(*_: object) -> None:
            raise RuntimeError("no C++ compiler was found\nand more")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    c = case("lasso")
    net = load(driver.emit(c.plan, "inductor")).build(**{c.python(d): c.sizes[d] for d in c.model.dims})
    y = torch.randn(5, *c.shape(c.model.role("observed")[0]))
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler was found$") as told:
        first = net.infer(y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(net.infer(y).energy, first.energy)
    assert len(told) == 1 and bool(first.converged.all())


def test_the_cost_of_a_step_is_counted() -> None:
    plan = planned("""
        dim M = 6, N = 10
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        E(y, z) = ||y - W z||^2 + 0.3|z|
        F(y)    = min_z E(y, z)
    """)
    (loop,) = plan.loops
    found = cost(loop, lambda d: d if isinstance(d, int) else plan.model.dims[str(d)] or 0, samples=7)
    assert found.products == 2 * 7 * 10 * 10
    assert found.products < found.operations < 2 * found.products
    assert found.bytes == 4 * (2 * 7 * 10 + 7 * 10 + 10 * 10 + 1)  # v in and out, shift, forward, rho


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None and shutil.which("clang++") is None, reason="no C++ compiler")
@pytest.mark.parametrize("name", ["lasso", "nonnegative"])
def test_inductor(name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        same_answers(case(name), compiled=True)
