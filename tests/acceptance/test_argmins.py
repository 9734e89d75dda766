"""Codes learned for what is told from them: through the steps of an encoder, and through the minimum itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import ebdsl
from ebdsl.run.data import load

ROOT = Path(ebdsl.__file__).parents[1]


def test_a_discriminative_recurrent_auto_encoder_tells_digits_and_draws_them() -> None:
    spec = ebdsl.load(ROOT / "specs" / "drsae.ebm", N=100, batch=64)
    found = load("digits", spec._model, 0).value
    assert found is not None
    order = np.random.default_rng(0).permutation(len(found.arrays["y"]))
    y, c = (found.arrays[name][order] for name in ("y", "c"))
    train, held = {"y": y[:-1000], "c": c[:-1000]}, {"y": y[-1000:], "c": c[-1000:]}
    spec = spec.fit(train, epochs=4, seed=0, device="cpu")
    codes, net = spec.infer(held)["z"], spec.module()
    D, C = net.D.detach().numpy(), net.C.detach().numpy()
    assert ((codes @ C.T).argmax(1) == held["c"].argmax(1)).mean() > 0.85
    assert codes.min() >= 0 and (codes > 0).mean() < 0.4
    assert ((held["y"] - codes @ D.T) ** 2).sum() < 0.35 * (held["y"] ** 2).sum()
    # the encoder has learned: its matrices are no longer those of the energy's own step
    assert float(net.z_encoder.lateral.detach().abs().max()) > 1e-3


RECONSTRUCTION = """
observed y : R[16]
latent   z : R[8]
param    D : R[16, 8], unit columns
const    λ = 0.1, μ = 0.01
F(y) = min_z ½||y - D z||^2 + λ|z| + ½μ||z||^2
"""


def signals(n: int, seed: int) -> dict[str, np.ndarray]:
    """Sums of a few of 20 atoms, more than a dictionary of 8 has room for; x is how much there is of four of them."""
    atoms = np.random.default_rng(7).standard_normal((16, 20))
    rng = np.random.default_rng(seed)
    codes = rng.standard_normal((n, 20)) * (rng.random((n, 20)) < 0.2)
    y = codes @ (atoms / np.linalg.norm(atoms, axis=0)).T + 0.01 * rng.standard_normal((n, 16))
    return {"y": y.astype(np.float32), "x": codes[:, :4].astype(np.float32)}


def test_a_dictionary_learned_for_its_task_tells_more_than_one_learned_to_reconstruct() -> None:
    train, held = signals(2000, 0), signals(1000, 1)
    plain = ebdsl.load(RECONSTRUCTION, lr=0.01, batch=200).fit(train["y"], epochs=20, seed=0, device="cpu")
    task = ebdsl.load(ROOT / "examples" / "task_driven_dictionary.ebm", N=8, lr=0.02, batch=200)
    task = task.fit(train, epochs=20, seed=0, device="cpu")

    def left(of_train: np.ndarray, of_held: np.ndarray) -> float:
        """The share of x on held-out signals that the best linear readout of the codes of training leaves."""
        readout = np.linalg.lstsq(of_train, train["x"], rcond=None)[0]
        return float(((held["x"] - of_held @ readout) ** 2).sum() / (held["x"] ** 2).sum())

    of_plain = left(plain.infer(train["y"])["z"], plain.infer(held["y"])["z"])
    of_task = left(task.infer(train)["z"], task.infer(held)["z"])
    assert of_task < 0.6 * of_plain  # 0.25 and 0.61 where this was written
    assert max(row["adjoint residual"] for row in task.history) < 1e-4
