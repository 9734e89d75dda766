"""Generated text with kernels in C++ against the same text through PyTorch, over the whole corpus."""

from __future__ import annotations

from functools import cache

import pytest
import torch

from ebdsl import driver
from ebdsl.runtime.compiling import cpp_compiler
from tests.emit.compiled import case, load
from tests.emit.corpus import CORPUS

pytestmark = pytest.mark.skipif(cpp_compiler() is None, reason="there is no C++ compiler")


@cache
def native(name: str) -> str:
    """The text where it has a kernel."""
    text = driver.emit(case(name).plan, "native")
    return "" if text == case(name).text else text


@pytest.mark.parametrize("name", sorted(CORPUS))
def test_answers_are_those_of_pytorch(name: str) -> None:
    c = case(name)
    if not native(name):
        return
    nets = [c.randomise(c.build())]
    nets.append(load(native(name)).build(**{c.python(d): c.sizes[d] for d, n in c.model.dims.items() if n is None}))
    nets[1].double().load_state_dict(nets[0].state_dict())
    given = {**c.observed(20), **c.draw("input", 20, 1)}
    eager, found = (net.infer(**given, tolerance=1e-8) for net in nets)
    assert bool(found.converged.all())
    torch.testing.assert_close(found.energy, eager.energy, rtol=1e-7, atol=1e-7)


def test_the_corpus_has_such_kernels() -> None:
    assert sum(bool(native(name)) for name in CORPUS) >= 5
