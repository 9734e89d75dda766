"""The share of oriented, localised atoms, on pictures whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from ebdsl.plots.gabor import oriented_share

SIDE = 12
RNG = np.random.default_rng(0)
Y, X = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2


def gabor(
    angle: float, frequency: float, along: float, across: float, at: tuple[float, float] = (0, 0), phase: float = 0.0
) -> np.ndarray:
    """A plane wave in the direction ``angle`` under a Gaussian, ``along`` and ``across`` its direction."""
    u = (X - at[1]) * np.cos(angle) + (Y - at[0]) * np.sin(angle)
    v = -(X - at[1]) * np.sin(angle) + (Y - at[0]) * np.cos(angle)
    window = np.exp(-(u**2) / (2 * along**2) - v**2 / (2 * across**2))
    return window * np.cos(2 * np.pi * frequency * u + phase)


def share(pictures: list[np.ndarray] | np.ndarray) -> float:
    return oriented_share(np.asarray(pictures).reshape(len(pictures), -1), SIDE)[0]


def several(n: int) -> list[np.ndarray]:
    made = []
    for _ in range(n):
        frequency = RNG.uniform(0.1, 0.4)
        along = min(RNG.uniform(0.35, 0.6) / frequency, 2.2)
        place = tuple(RNG.uniform(-3, 3, 2))
        across = min(along * RNG.uniform(1, 1.8), 3)
        made.append(gabor(RNG.uniform(0, np.pi), frequency, along, across, place, RNG.uniform(0, 2 * np.pi)))
    return made


def test_gabors_count() -> None:
    assert share(several(200)) > 0.97


def test_signs_scales_and_turns_do_not_matter() -> None:
    atoms = np.asarray(several(50))
    same = [-3 * atoms, 1e-6 * atoms, atoms.transpose(0, 2, 1), atoms[:, ::-1], np.rot90(atoms, axes=(1, 2))]
    assert {share(a) for a in same} == {share(atoms)}


def test_a_line_across_the_patch_counts() -> None:
    assert share([np.exp(-(X**2) / 2) - np.exp(-((X - 2) ** 2) / 2)]) == 1


def cosines() -> list[np.ndarray]:
    c = [np.cos(np.pi * (np.arange(SIDE) + 0.5) * k / SIDE) for k in range(SIDE)]
    return [np.outer(a, b) for a in c for b in c][1:]


def gratings() -> list[np.ndarray]:
    angles, f = RNG.uniform(0, np.pi, 100), RNG.uniform(0.1, 0.4, 100)
    return [np.cos(2 * np.pi * k * (X * np.cos(a) + Y * np.sin(a)) + 9 * a) for a, k in zip(angles, f, strict=True)]


def surrounded() -> list[np.ndarray]:
    out = []
    for _ in range(100):
        (a, b), s = RNG.uniform(-3, 3, 2), RNG.uniform(0.8, 1.6)
        r = (X - a) ** 2 + (Y - b) ** 2
        out.append(np.exp(-r / (2 * s**2)) - 0.5 * np.exp(-r / (4 * s**2)))
    return out


@pytest.mark.parametrize(
    "pictures",
    [
        pytest.param(lambda: RNG.standard_normal((200, SIDE, SIDE)), id="white noise"),
        pytest.param(cosines, id="principal components of patches: waves and checkerboards everywhere"),
        pytest.param(gratings, id="gratings"),
        pytest.param(lambda: list(np.eye(SIDE * SIDE).reshape(-1, SIDE, SIDE)), id="single pixels"),
        pytest.param(surrounded, id="centre and surround"),
        pytest.param(lambda: [np.exp(-((X - a) ** 2 + Y**2) / 4) for a in np.linspace(-3, 3, 20)], id="blobs"),
        pytest.param(
            lambda: [gabor(a, 0.25, 1.8, 1.8) + gabor(a + np.pi / 2, 0.25, 1.8, 1.8) for a in np.linspace(0, 1.5, 20)],
            id="two orientations in one place",
        ),
        pytest.param(
            lambda: [gabor(a, 0.25, 1, 1.3, (-4, -4)) + gabor(a, 0.25, 1, 1.3, (4, 4)) for a in np.linspace(0, 3, 20)],
            id="one orientation in two places",
        ),
        pytest.param(lambda: [X + 0.5 * Y, np.ones_like(X), np.zeros_like(X)], id="slopes and nothing"),
    ],
)
def test_what_does_not_count(pictures: object) -> None:
    assert share(pictures()) <= 0.02  # type: ignore[operator]


@pytest.mark.parametrize("angle", [0.0, 0.6, np.pi / 2, 2.5])
@pytest.mark.parametrize("frequency", [0.15, 0.3])
def test_direction_and_frequency_are_found(angle: float, frequency: float) -> None:
    _, details = oriented_share(gabor(angle, frequency, 2, 2).reshape(1, -1), SIDE)
    apart = abs((details.angle[0] - angle + np.pi / 2) % np.pi - np.pi / 2)
    assert apart < 0.06 and details.frequency[0] == pytest.approx(frequency, abs=0.03)


def test_other_sides_and_wrong_shapes() -> None:
    big = np.kron(gabor(0.5, 0.2, 1.6, 2), np.ones((2, 2)))
    assert oriented_share(big.reshape(1, -1), 24)[0] == 1
    assert oriented_share(np.empty((0, 144)), 12)[0] == 0
    with pytest.raises(ValueError, match="144"):
        oriented_share(np.ones((3, 100)), 12)
