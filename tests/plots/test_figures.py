"""Pictures from arrays: what is on them, where, and on which scale."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from ebdsl.plots import style
from ebdsl.plots.kinds import atoms, codes, curves, reconstructions, surface
from ebdsl.plots.mosaic import columns, mosaic, poster, shades
from ebdsl.plots.planes import Plane, grid, held, limits

RNG = np.random.default_rng(0)


def texts(fig: object) -> str:
    from matplotlib.text import Text

    return "\n".join(t.get_text() for t in fig.findobj(Text))  # type: ignore[attr-defined]


def overlap(fig: object) -> bool:
    """Whether any visible words lie on each other or leave the figure."""
    from matplotlib.text import Text

    fig.canvas.draw()  # type: ignore[attr-defined]
    axes = [a for ax in fig.axes for a in (ax.xaxis, ax.yaxis)]  # type: ignore[attr-defined]
    ticks = {id(t) for a in axes for tick in (*a.majorTicks, *a.minorTicks) for t in (tick.label1, tick.label2)}
    words = [t for t in fig.findobj(Text) if t.get_text().strip() and t.get_visible() and id(t) not in ticks]  # type: ignore[attr-defined]
    boxes = [t.get_window_extent() for t in words]
    frame = fig.bbox  # type: ignore[attr-defined]
    inside = [b for b in boxes if b.x1 > 0 and b.y1 > 0 and b.x0 < frame.x1 and b.y0 < frame.y1]
    cut = any(b.x0 < -1 or b.y0 < -1 or b.x1 > frame.x1 + 1 or b.y1 > frame.y1 + 1 for b in inside)
    pairs = [(a, b) for i, a in enumerate(inside) for b in inside[:i]]
    return cut or any(
        a.overlaps(b) and min(a.x1, b.x1) - max(a.x0, b.x0) > 2 and min(a.y1, b.y1) - max(a.y0, b.y0) > 2
        for a, b in pairs
    )


# --------------------------------------------------------------------------- mosaics


def test_zero_is_middle_grey_and_each_has_its_own_scale() -> None:
    x = np.array([[[0.0, 2.0], [-1.0, 0.5]], [[0.0, -0.1], [0.05, 0.0]]])
    cells, meaning = shades(x)
    np.testing.assert_allclose(cells[0], [[0.5, 1], [0.25, 0.625]])
    np.testing.assert_allclose(cells[1], [[0.5, 0], [0.75, 0.5]])
    assert "grey is zero" in meaning
    positive, meaning = shades(np.abs(x))
    assert positive.min() == 0 and positive.max() == 1 and "black is zero" in meaning
    assert not np.isnan(shades(np.zeros((2, 3, 3)))[0]).any()


def test_every_cell_is_where_it_belongs() -> None:
    cells = np.linspace(0, 0.9, 6)[:, None, None] * np.ones((6, 2, 3))
    picture = mosaic(cells, across=3, gap=1)
    zoom = (picture.shape[1] - 1) // 3 // 3
    assert picture.shape[0] - 1 == 2 * (2 * zoom + 1)
    for i in range(6):
        row, column = divmod(i, 3)
        assert picture[row * (2 * zoom + 1) + 2, column * (3 * zoom + 1) + 2] == pytest.approx(cells[i, 0, 0])
    assert (picture[0] == 1).all() and picture.dtype == np.float32


@pytest.mark.parametrize(("n", "across"), [(256, 16), (1, 1), (20, 6), (10, 4), (7, 4)])
def test_columns(n: int, across: int) -> None:
    assert columns(n) == across


@pytest.mark.parametrize("n", [1, 7, 64, 1024])
@pytest.mark.parametrize("side", [3, 12, 28])
def test_a_poster_has_the_pixels_of_its_picture(n: int, side: int) -> None:
    picture = mosaic(RNG.random((n, side, side)))
    with style.look():
        fig = poster(picture, "W of m", "a note that is rather long " * 6, ("data", "reconstruction"))
        fig.canvas.draw()
        box = fig.axes[0].get_window_extent()
        assert (round(box.height), round(box.width)) == picture.shape[:2]
        assert not overlap(fig)


def test_colour_and_channels_first() -> None:
    x = RNG.random((4, 3, 5, 6))
    pictures = atoms.as_pictures(x, (3, 5, 6), (5, 6, 3))
    np.testing.assert_array_equal(pictures[1, 2, 3], x[1, :, 2, 3])
    assert mosaic(shades(pictures)[0]).shape[-1] == 3


def test_atoms_are_sorted_by_use_and_told() -> None:
    x = np.arange(20)[:, None, None] * np.ones((20, 8, 8)) - 5
    use = np.r_[np.arange(19.0), 0]
    with style.look():
        fig = atoms.figure("m", atoms.Atoms("W", x, use))
    assert "20 pictures of 8 × 8" in texts(fig) and "2 of 20 never used" in texts(fig).replace("\n", " ")
    assert "oriented" not in texts(fig)
    with style.look():
        assert "oriented" in texts(atoms.figure("m", atoms.Atoms("W", x, use, signed=True)))
        assert "in their places, 5 in a row" in texts(atoms.figure("m", atoms.Atoms("W", x, use, across=5)))


def test_maps_and_groups_keep_their_rows() -> None:
    assert atoms._across((20,)) is None and atoms._across((20, 20)) == 20
    assert atoms._across((64, 4)) == 16  # four groups of four side by side
    assert atoms._across((2, 30)) == 30


# --------------------------------------------------------------------------- curves


def rows(n: int, scale: float = 1.0) -> list[dict]:
    fall = 5 * scale ** (np.arange(n) / max(n - 1, 1))
    noise = RNG.uniform(0.9, 1.1, n)
    return [
        {"step": i + 1, "epoch": 0, "energy": e, "energy/||y - W z||^2": 0.7 * e, "energy/λ|z|": 0.3 * e}
        for i, e in enumerate(fall * noise)
    ]


def test_terms_are_named_at_the_ends_and_do_not_collide() -> None:
    table = [*rows(1000), {"step": 1000, "epoch": 0, "held_out": 5.1}]
    with style.look():
        fig = curves.figure("m", table)
        assert not overlap(fig)
    said = texts(fig)
    assert all(w in said for w in ("energy", "||y - W z||^2", "λ|z|", "held out", "step", "1000 steps"))
    assert fig.axes[0].get_yscale() == "linear"


def test_a_long_fall_is_drawn_on_a_log_scale() -> None:
    with style.look():
        fig = curves.figure("m", rows(300, scale=1e-3))
        assert fig.axes[0].get_yscale() == "log" and "log scale" in texts(fig) and not overlap(fig)
        negative = [{"step": 1, "energy": -5.0}, {"step": 2, "energy": -500.0}]
        assert curves.figure("m", negative).axes[0].get_yscale() == "linear"


def test_gaps_and_single_steps() -> None:
    with style.look():
        fig = curves.figure("m", [{"step": 1, "energy": None}, {"step": 2, "energy": 3.0}, {"epoch": 1}])
    assert "last energy 3" in texts(fig)


def test_bins_keep_means_and_extremes() -> None:
    x = np.stack([np.arange(1000.0), RNG.standard_normal(1000)], axis=1)
    steps, mean, least, most = curves.binned(x, 100)
    np.testing.assert_allclose(mean, x[:, 1].reshape(100, 10).mean(axis=1))
    assert least.min() == x[:, 1].min() and most.max() == x[:, 1].max() and len(steps) == 100


# --------------------------------------------------------------------------- surfaces


def bowl() -> tuple[Plane, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    points = RNG.standard_normal((300, 2))
    plane = Plane(lambda p: {"y": p}, points, ("y₁", "y₂"))
    u, v, at = grid(*limits(points, True), 41)
    return plane, (u, v, ((at - [0.5, -0.25]) ** 2).sum(axis=1).reshape(41, 41))


def test_the_grid_is_read_in_its_own_order() -> None:
    u, v, at = grid(np.array([0.0, 10.0]), np.array([1.0, 12.0]), 3)
    image = (at[:, 0] + 100 * at[:, 1]).reshape(3, 3)
    np.testing.assert_allclose(image, u[None, :] + 100 * v[:, None])


def test_levels_are_closer_where_the_energy_is_low() -> None:
    steps = surface.levels([np.linspace(3, 4, 1000)])
    gaps = np.diff(steps)
    assert steps[0] == 3 and steps[-1] == pytest.approx(3.9) and (np.diff(gaps) > 0).all()
    assert len(np.unique(surface.levels([np.full(9, 2.0)]))) == surface.LEVELS
    assert np.isfinite(surface.levels([np.array([1.0, np.inf, np.nan, 2.0])])).all()


def test_one_colour_bar_and_one_frame() -> None:
    plane, drawn = bowl()
    with style.look():
        one = surface.surface("F(y) of m", [plane], [drawn], "F")
        three = surface.surface("F(x, y) of m", [plane] * 3, [drawn] * 3, "F")
        assert len(one.axes) == 2 and len(three.axes) == 4
        assert len({ax.get_xlim() for ax in three.axes[:3]}) == 1
        assert "energy" in texts(three) and not overlap(one)


def test_arrows_point_downhill() -> None:
    from matplotlib.quiver import Quiver

    plane, drawn = bowl()
    with style.look():
        fig = surface.field("-∇F(y) of m", [plane], [drawn], "F")
    (arrows,) = fig.findobj(Quiver)
    down = np.array([0.5, -0.25]) - arrows.XY
    length = np.linalg.norm(down, axis=1)
    cosine = (down * np.stack([arrows.U, arrows.V], axis=1)).sum(axis=1) / (length * np.hypot(arrows.U, arrows.V))
    assert (cosine[length > 0.2] > 0.99).all() and np.hypot(arrows.U, arrows.V).max() < 1


def test_held_samples_are_spread_and_their_neighbours_near() -> None:
    flat = {"x": RNG.uniform(-1, 1, (500, 1)), "y": RNG.standard_normal((500, 2))}
    cases = held(flat, "y")
    at = [float(flat["x"][i, 0]) for i, _ in cases]
    assert at[0] < -0.6 < at[1] < 0.3 < 0.6 < at[2]
    for i, near in cases:
        assert i in near and np.abs(flat["x"][near] - flat["x"][i]).max() < 0.3


# --------------------------------------------------------------------------- codes, reconstructions


def test_codes_tell_how_sparse_they_are() -> None:
    x = RNG.standard_normal((200, 40)) * (RNG.random((200, 40)) < 0.1)
    x[:, :3] = 0
    with style.look():
        fig = codes.activations("z of m", "z", x)
        assert not overlap(fig)
        dense = codes.activations("z of m", "z", RNG.standard_normal((200, 2)))
        used = codes.usage("z of m", "z", np.eye(4)[RNG.integers(2, size=100)])
    assert f"{(x != 0).mean():.1%}" in texts(fig) and "3 never" in texts(fig)
    assert len(fig.axes) == 2 and len(dense.axes) == 1
    assert "as if 2.0 of 4" in texts(used)


def test_reconstructions_of_each_shape() -> None:
    x = RNG.standard_normal((8, 6, 6))
    with style.look():
        signed = reconstructions.pictures("y of m", "", x, 0.9 * x)
        positive = reconstructions.pictures("y of m", "", np.abs(x), np.abs(x))
        assert not overlap(signed)
        reconstructions.plane("y of m", "", "y", x[:, 0, :2], x[:, 1, :2])
        reconstructions.parity("y of m", "", "y", x, 0.5 * x)
    assert "grey is zero" in texts(signed) and "black is zero" in texts(positive)
    picture = np.asarray(positive.axes[0].get_images()[0].get_array())
    third = picture.shape[0] // 3
    np.testing.assert_allclose(picture[: third - 3], picture[third : 2 * third - 3], atol=1e-6)
    assert picture[-8, 8] == pytest.approx(0.5)
