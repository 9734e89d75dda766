"""Several starts: the lowest goes on, by the seed alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ebdsl.diagnostics import Source, SpecError
from ebdsl.run.options import Options
from ebdsl.run.program import checked_model, program
from ebdsl.run.session import Session, begin, session

SPEC = """model {name}
observed y : R[M]
latent z : onehot[K]
param W : R[M, K]
dim K = 7
F(y) = {energy}
train
    starts {starts}
"""


def started(starts: int, energy: str = "min_z ||y - W z||^2", seed: int = 0, more: str = "") -> Session:
    text = SPEC.format(name="several", energy=energy, starts=starts) + more
    model, _ = checked_model(Source("several.ebm", text))
    g = np.random.default_rng(0)
    centres = g.normal(size=(7, 5)) * 4
    y = (centres[g.integers(0, 7, 300)] + g.normal(size=(300, 5)) * 0.2).astype(np.float32)
    s = session(program(model, {"M": 5}), {"y": y}, Options(device="cpu", seed=seed))
    begin(s)
    return s


def energy(s: Session) -> float:
    return float(s.network.free_energy(s.data.all()["y"]).detach().double().mean())  # type: ignore[operator]


def test_the_lowest_goes_on() -> None:
    """Of five seeds the best after ten steps each, which is where the session stands."""
    alone = []
    for seed in range(5):
        s = started(1, seed=seed)
        for _ in range(10):
            s.learner.step(s.data.all())
        alone.append(energy(s))
    assert max(alone) > 2 * min(alone)  # starts differ, so that the choice is one
    five = started(5)
    assert energy(five) == pytest.approx(min(alone), rel=1e-6)
    assert int(five.learner.state_dict()["steps"]) == 10
    again = started(5)
    torch.testing.assert_close(five.network.state_dict(), again.network.state_dict(), rtol=0, atol=0)


def test_batches_are_tried_too() -> None:
    energy_text = "min_z Σ_m tanh(|y_m - Σ_k W[m, k] z_k|)"
    one, three = started(1, energy_text), started(3, energy_text)
    assert not three.learner.full_batch and energy(three) < energy(one)


def test_a_strategy_is_refused() -> None:
    with pytest.raises(SpecError) as raised:
        started(2, "min_z ||y - W z||^2", more="    strategy score_matching\n")
    assert raised.value.diagnostics[0].code == "EB0727"
