"""The same mathematics gets the same plan and the same answers, however it is written."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

from tests.emit.compiled import Compiled, compile_spec
from tests.emit.families import FAMILIES, Family

BY_NAME = {f.name: f for f in FAMILIES}


def compiled(text: str, sizes: dict[str, int]) -> Compiled:
    c = compile_spec(text)
    return Compiled(c.plan, c.text, c.module, {**c.sizes, **sizes}, c.names)


@cache
def plain(name: str) -> Compiled:
    family = BY_NAME[name]
    return compiled(family.plain(), family.sizes)


def summary(c: Compiled) -> tuple[Any, ...]:
    """What a plan decides, without names."""
    inference = [
        (d.rule, d.guarantee, getattr(d.payload, "kind", ""), getattr(d.payload, "gram", "")) for d in c.plan.inference
    ]
    return inference, [d.rule for _, d in c.plan.learning], c.plan.schedule, c.plan.volume.strategy


def same_weights(one: Any, other: Any) -> None:
    """The parameters of ``one`` given to ``other``, in order of declaration."""
    with torch.no_grad():
        for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
            b.copy_(a)


def tightened(net: Any) -> Any:
    """Inference to full accuracy in training too, so that two spellings can be compared in the eighth digit."""
    infer = net.infer
    net.infer = lambda *args, **options: infer(*args, **options | {"tolerance": 1e-12, "max_steps": 20000})
    return net


def agree(one: Compiled, other: Compiled, seed: int) -> None:
    assert summary(one) == summary(other)
    nets = tightened(one.randomise(one.build(), seed)), tightened(other.build())
    same_weights(*nets)
    data = [one.observed(20, seed)]
    order = [[c.python(s) for s in c.model.role("observed")] for c in (one, other)]
    data.append({b: data[0][a] for a, b in zip(*order, strict=True)})
    found = [n.infer(*(d[k] for k in o)) for n, d, o in zip(nets, data, order, strict=True)]
    tolerance = {"rtol": 1e-8, "atol": 1e-8}
    assert torch.allclose(found[0].energy, found[1].energy, **tolerance)
    for a, b in zip(one.model.role("latent"), other.model.role("latent"), strict=True):
        first, second = found[0].latents[one.python(a)], found[1].latents[other.python(b)]
        assert torch.allclose(first, second, rtol=1e-6, atol=1e-6)
    learners = [c.module.Learner(n, seed=1) for c, n in zip((one, other), nets, strict=True)]
    for learner, d in zip(learners, data, strict=True):
        learner.start(d)
    for _ in range(2):
        energies = [learner.step(d)["energy"] for learner, d in zip(learners, data, strict=True)]
        assert torch.allclose(energies[0], energies[1], rtol=1e-7, atol=1e-7)
    for a, b in zip(nets[0].state_dict().values(), nets[1].state_dict().values(), strict=True):
        assert torch.allclose(a, b, rtol=1e-5, atol=1e-5)


SPELLINGS = [(f.name, k, n) for f in FAMILIES for k, t in enumerate(f.terms) for n in range(1, len(t))]


@pytest.mark.parametrize(("name", "term", "spelling"), SPELLINGS)
def test_each_spelling(name: str, term: int, spelling: int) -> None:
    """One term written another way."""
    family = BY_NAME[name]
    chosen = [t[spelling if k == term else 0] for k, t in enumerate(family.terms)]
    agree(plain(name), compiled(family.text({n: n for n in family.names}, chosen), family.sizes), seed=1)


def test_projection_multiplied_out() -> None:
    """A polynomial of degree four in W is known for a projection error, though nothing in it looks like one."""
    family = BY_NAME["pca"]
    text = family.plain().splitlines()[:2]
    c = compiled("\n".join([*text, "E(y) = y'y - 2 y'W'W y + y'W'W W'W y"]) + "\n", family.sizes)
    assert [d.rule for _, d in c.plan.learning] == ["leading subspace"]


def other_sizes(family: Family, names: dict[str, str]) -> dict[str, int]:
    return {names[d]: size for d, size in family.sizes.items()}


@pytest.mark.parametrize("name", BY_NAME)
@pytest.mark.parametrize("seed", range(5))
def test_random_rewriting(name: str, seed: int) -> None:
    """Every name changed, terms reordered and respelled, ½ and constants moved about."""
    family = BY_NAME[name]
    text, names = family.rewritten(seed)
    agree(plain(name), compiled(text, other_sizes(family, names)), seed=seed)
