"""Every row of the catalogue in a spec: the generated file's energy is the interpreter's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from ebdsl.atoms import LAYERS, OPAQUES, SCALARS, TENSORS
from ebdsl.atoms.core import OpaqueAtom, ScalarAtom, TensorAtom
from ebdsl.diagnostics import Source
from ebdsl.driver import check_source, compile_source
from ebdsl.model.reference import energy, gradient

INTERNAL = {"onehot_argmax", "kernel_gradient", "correlate", "circular_kernel_gradient", "circular_correlate"}


def generated(spec: str) -> dict[str, Any]:
    """The names of the generated file."""
    found = compile_source(Source("row.ebm", spec), allow_flat=True)
    assert found.value is not None, [d.message for d in found.diagnostics]
    space: dict[str, Any] = {"__name__": "row"}
    exec(compile(found.value, "row.py", "exec"), space)
    return space


def compare(spec: str, values: dict[str, np.ndarray], batch: int = 3, slopes: bool = True) -> None:
    """Energy, and its gradient in y by autograd, of each sample of a batch."""
    model = check_source(Source("row.ebm", spec)).value
    assert model is not None
    module = generated(spec)["build"](dtype=torch.float64)
    rng = np.random.default_rng(0)
    samples = {
        s: np.stack([values[s.name] + 0.01 * rng.random() for _ in range(batch)]) for s in model.role("observed")
    }
    tensors = {s.name: torch.tensor(v, requires_grad=True) for s, v in samples.items()}
    found = module.energy(**tensors)
    assert found.shape == (batch,)
    for k in range(batch):
        at = {s: v[k] for s, v in samples.items()}
        assert float(found[k].detach()) == pytest.approx(energy(model, at), rel=1e-8, abs=1e-9)
    if slopes:
        found.sum().backward()
        for s, v in samples.items():
            at = {o: w[0] for o, w in samples.items()}
            del v
            slope = tensors[s.name].grad
            assert slope is not None
            np.testing.assert_allclose(slope[0].numpy(), gradient(model, s, at), rtol=1e-5, atol=1e-6)


def declared(args: list[np.ndarray]) -> str:
    return "".join(
        f"observed a{k} : R" + (f"[{', '.join(map(str, a.shape))}]" if a.ndim else "") + "\n"
        for k, a in enumerate(args)
    )


@pytest.mark.parametrize("row", SCALARS.values(), ids=SCALARS.keys())
def test_scalars(row: ScalarAtom) -> None:
    rng = np.random.default_rng(1)
    args = [np.abs(rng.standard_normal(4)) + 0.2 for _ in range(row.arity)]
    names = [f"a{k}" for k in range(row.arity)]
    spec = f"{declared(args)}E({', '.join(names)}) = sum({row.spellings[0]}({', '.join(names)}))\n"
    spec += f"F({', '.join(names)}) = E({', '.join(names)})\n"
    compare(spec, dict(zip(names, args, strict=True)))


@pytest.mark.parametrize("row", [*TENSORS.values(), *OPAQUES.values()], ids=[*TENSORS.keys(), *OPAQUES.keys()])
def test_tensors(row: TensorAtom | OpaqueAtom) -> None:
    if row.name in INTERNAL:
        return
    args = [np.asarray(a) for a in row.example(np.random.default_rng(2))]
    shown = [f"a{k}" if a.ndim else f"{float(a):g}" for k, a in enumerate(args)]
    given = [f"a{k}" for k, a in enumerate(args) if a.ndim]
    spec = declared([a for a in args if a.ndim])
    spec += f"E({', '.join(given)}) = sumsq({row.spellings[0]}({', '.join(shown)}))\n"
    spec += f"F({', '.join(given)}) = E({', '.join(given)})\n"
    compare(spec, {f"a{k}": a for k, a in enumerate(args) if a.ndim})


@pytest.mark.parametrize("name", [r.name for r in LAYERS.values() if not r.foreign])
def test_layers(name: str) -> None:
    """A module of the layer compiles and runs: its text, its classes and its imports are there."""
    row = LAYERS[name]
    for inputs, output, args, keywords in row.examples:
        shape = row.shape(inputs, output, args, keywords)
        given = [*(str(a) for a in args), *(f"{k} = {v}" for k, v in keywords.items())]
        stage = row.spellings[0] + (f"({', '.join(given)})" if given else "")
        spec = f"observed y : {text(inputs)}\nmodule f : {text(inputs)} -> {text(shape)} = {stage}\n"
        spec += "E(y) = sumsq(f(y))\nF(y) = E(y)\n"
        module = generated(spec)["build"]()
        y = torch.randn(5, *inputs)
        assert module.eval().energy(y).shape == (5,)


def text(shape: tuple[Any, ...]) -> str:
    return f"R[{', '.join(map(str, shape))}]" if shape else "R"
