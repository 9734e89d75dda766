"""Figures to files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ebdsl.diagnostics import Diagnostic, SpecError
from ebdsl.plots import style
from ebdsl.plots.core import Kind, NotApplicable, load_kinds
from ebdsl.plots.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FORMATS = (".png", ".svg", ".pdf")
MISSING, INSTALL = "pictures need matplotlib, which is not installed", 'pip install "ebdsl[plot]"'


def draw_all(run_dir: Path, fitted: Any, warn: Callable[[Diagnostic], None]) -> list[Path]:
    """See :func:`ebdsl.plots.after_training`."""
    if _missing():
        warn(Diagnostic("EB0793", f"no pictures: {MISSING}", (), (INSTALL,)))
        return []
    data = fitted.data
    view = View(fitted.model, fitted.spec_model, data.arrays, data.image_shapes, run_dir)
    written: list[Path] = []
    for kind in (k for k in load_kinds().values() if not k.on_demand):
        try:
            written += _write(_figures(kind, view), run_dir / "pictures", ".png")
        except NotApplicable:
            continue
        except SpecError as why:
            for found in why.diagnostics:
                warn(found)
        except Exception as why:
            warn(Diagnostic("EB0793", f"no picture {kind.name}: {_reason(why)}"))
    return written


def draw_run(
    run_dir: Path, name: str, out: Path | None, on: str | None, data: str | None = None, allow_python: bool = False
) -> list[Path]:
    """See :func:`ebdsl.plots.plot`."""
    from ebdsl.run.data.options import close
    from ebdsl.run.trained import trained

    known = load_kinds()
    if name != "all" and name not in known:
        raise SpecError([Diagnostic("EB0790", f"there is no picture {name}", (), (close(name, (*known, "all")),))])
    require_matplotlib()
    folder, suffix, stem = _place(run_dir, out)
    run = trained(run_dir, on=on, allow_python=allow_python)
    seen = run.samples(data)
    run = run.fit(seen.arrays)
    beta, sampler = _sampling(run, seen.arrays)

    def anew() -> Any:
        return run.samples(data, seed=run.options.seed + 1).arrays

    view = View(run.network, run.program.model, seen.arrays, seen.image_shapes, run_dir, beta, sampler, anew)
    written: list[Path] = []
    wanted = [k for k in known.values() if not k.on_demand] if name == "all" else [known[name]]
    for kind in wanted:
        try:
            written += _write(_figures(kind, view), folder, suffix, stem)
        except NotApplicable as why:
            if name != "all":
                raise SpecError([Diagnostic("EB0791", f"no picture {name} of {view.spec.name}: {why}")]) from None
        except (ValueError, ArithmeticError, RuntimeError, MemoryError) as why:
            message = f"the picture {kind.name} could not be drawn: {_reason(why)}"
            raise SpecError([Diagnostic("EB0794", message)]) from None
    return written


def _sampling(run: Any, arrays: Any) -> tuple[float, Callable[[int], tuple[str, Any, str]]]:
    """The model's inverse temperature, and a function that draws samples of it."""
    from ebdsl.run.sampling.sampler import Plan, sample, temperature

    def sampler(count: int) -> tuple[str, Any, str]:
        try:
            found = sample(run, arrays, {}, Plan(count))
        except SpecError as why:
            raise NotApplicable(why.diagnostics[0].message) from None
        mixed = f", R-hat {found.r_hat:.2f}" if found.r_hat == found.r_hat else ""
        how = "the generator" if found.method == "generator" else f"{found.method} at β = {found.beta:g}"
        return found.symbol.name, found.values, f"{count} samples by {how}{mixed}"

    return temperature(run), sampler


def require_matplotlib() -> None:
    """Raises :class:`SpecError` (EB0792) where there is none."""
    if _missing():
        raise SpecError([Diagnostic("EB0792", MISSING, (), (INSTALL,))])


def save(draw: Callable[[], Figure], path: Path) -> Path:
    """One figure as one file, in the format of its ending."""
    with style.look():
        figure = draw()
    return _write([(path.stem, figure)], path.parent, path.suffix.lower())[0]


def _missing() -> bool:
    return find_spec("matplotlib") is None


def _reason(why: Exception) -> str:
    """The first line of what went wrong, without a library's names."""
    text = str(why).strip().splitlines()
    return text[0][:200] if text else "its numbers could not be drawn"


def _place(run_dir: Path, out: Path | None) -> tuple[Path, str, str | None]:
    """Folder, format and (for a file) stem."""
    if out is None:
        return run_dir / "pictures", ".png", None
    suffix = out.suffix.lower()
    if out.is_dir() or not suffix:
        return out, ".png", None
    if suffix not in FORMATS:
        help = (f"the formats are {', '.join(FORMATS)}",)
        raise SpecError([Diagnostic("EB0790", f"{out} names no format that pictures are written in", (), help)])
    return out.parent, suffix, out.stem


def _figures(kind: Kind, view: View) -> list[tuple[str, Figure]]:
    with style.look():
        return list(kind.draw(view))


def _write(figures: Iterable[tuple[str, Figure]], folder: Path, suffix: str, stem: str | None = None) -> list[Path]:
    """One file for each figure, whole or not at all, the same bytes for the same figure."""
    from ebdsl.run.files import make_folder, write_atomically

    figures = list(figures)
    written = []
    make_folder(folder)
    metadata = {".png": {"Software": None}, ".svg": {"Date": None, "Creator": None}, ".pdf": {"CreationDate": None}}
    for name, fig in figures:
        file = name if stem is None else stem if len(figures) == 1 else f"{stem}-{name}"
        path = folder / f"{file}{suffix}"
        with style.look():

            def save(part: Path, fig: Any = fig) -> None:
                fig.savefig(part, format=suffix[1:], metadata=metadata[suffix])

            write_atomically(path, save)
        written.append(path)
    return written
