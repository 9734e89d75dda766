"""The same networks on a GPU: inference, and three learning steps, give what the processor gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.emit.compiled import case
from tests.emit.corpus import CORPUS

DEVICES = ["cuda"] if torch.cuda.is_available() else []
LEARNED = [n for n, text in CORPUS.items() if "param " in text or "module " in text]

pytestmark = pytest.mark.skipif(not DEVICES, reason="no GPU")


def networks(name: str, device: str) -> tuple[Any, Any, Any, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """A network on the processor, the same on the device, and the data for both."""
    c = case(name)
    here, there = c.randomise(c.build(), seed=1), c.randomise(c.build(), seed=1).to(device)
    y = c.observed(12, seed=2)
    return c, here, there, y, {k: v.to(device) for k, v in y.items()}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", CORPUS)
def test_inference(name: str, device: str) -> None:
    c, here, there, y, moved = networks(name, device)
    order = [c.python(s) for s in c.model.role("observed")]
    with torch.no_grad():
        wanted, found = here.infer(*(y[k] for k in order)), there.infer(*(moved[k] for k in order))
    assert found.energy.device.type == torch.device(device).type
    torch.testing.assert_close(found.energy.cpu(), wanted.energy, rtol=1e-6, atol=1e-6)
    assert torch.equal(found.converged.cpu(), wanted.converged)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", LEARNED)
def test_learning(name: str, device: str) -> None:
    c, here, there, y, moved = networks(name, device)
    learners = c.module.Learner(here, seed=3), c.module.Learner(there, seed=3)
    for learner, data in zip(learners, (y, moved), strict=True):
        if learner.full_batch:
            learner.start(data)
    for _ in range(3):
        a, b = (learner.step(data) for learner, data in zip(learners, (y, moved), strict=True))
        torch.testing.assert_close(b["energy"].cpu(), a["energy"], rtol=1e-5, atol=1e-6)
    state = there.state_dict()
    for key, value in here.state_dict().items():
        assert bool(torch.isfinite(state[key]).all()), key
        assert state[key].shape == value.shape
