"""Several specs trained on the same data, and their energies in one picture."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ebdsl.plots.compare import Panel, panels
from ebdsl.plots.core import NotApplicable
from ebdsl.plots.draw import FORMATS, require_matplotlib, save
from ebdsl.plots.view import View
from ebdsl.run.alternatives import shaped
from ebdsl.run.files import read_source, refuse, shipped_folder
from ebdsl.run.folder import fresh, is_run
from ebdsl.run.gauge import gauge_of
from ebdsl.run.report import Report
from ebdsl.run.trained import Trained, trained

POINTS = 1000
"""Samples and uniform points whose energies are compared."""


def compare(
    what: Sequence[str],
    *,
    report: Report,
    out: str | None = None,
    output: Path | None = None,
    data: str | None = None,
    settings: Mapping[str, str] | None = None,
    device: str | None = None,
    allow_python: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Train each spec of ``what`` below ``out``, open each run, and draw. ``say`` is told one line for each.

    Raises :class:`SpecError` (EB0770, EB0809, and what training raises).
    """
    require_matplotlib()
    if output is not None and output.suffix.lower() not in FORMATS:
        formats = f"the formats are {', '.join(FORMATS)}"
        raise refuse("EB0809", f"{output} names no format that pictures are written in", formats)
    found = [path for name in what for path in _expanded(name)]
    folder = None if all(is_run(Path(p)) for p in found) else fresh(out, "compare", force=False)[0].path
    drawn: list[Panel] = []
    names: list[str] = []
    for name in found:
        run = Path(name)
        if not is_run(run):
            run = _train(name, folder, names, data, settings or {}, device, allow_python, report)
        model = trained(run, on=device, allow_python=allow_python)
        panel, line = _panel(model, data, run, Path(name).stem)
        say(line)
        drawn.append(panel)
    path = output or ((folder or Path("runs")) / "compare.png")
    over = ", ".join(dict.fromkeys(shaped(p.view.spec).name for p in drawn))
    whose = Path(what[0]).stem.replace("_", " ") + ": " if len(what) == 1 else ""
    title = f"{whose}{len(drawn)} energies of {over}"
    try:
        return save(lambda: panels(drawn, title), path)
    except NotApplicable as why:
        raise refuse("EB0770", f"these energies cannot be drawn over one plane: {why}", "`ebdsl plot RUN`") from None


def _expanded(name: str) -> list[str]:
    """The specs in a folder, of the user's or of those that are shipped; else the name itself."""
    path = Path(name)
    if is_run(path):
        return [name]
    shipped = shipped_folder(name)
    folder = path if path.is_dir() else shipped
    if folder is None:
        return [name]
    specs = sorted(str(p) for p in folder.glob("*.ebm"))
    if not specs:
        raise refuse("EB0770", f"there is no spec in {name}", "name specs, runs or a folder of specs")
    return specs


def _train(
    name: str,
    folder: Path | None,
    names: list[str],
    data: str | None,
    settings: Mapping[str, str],
    device: str | None,
    allow_python: bool,
    report: Report,
) -> Path:
    from ebdsl.run.prepare import prepare
    from ebdsl.run.train import train_ready

    assert folder is not None
    given = {"device": device} if device is not None else {}
    ready = prepare(read_source(name), data=data, settings=settings, given=given, allow_python=allow_python)
    stem, count = Path(name).stem, 2
    own = stem
    while own in names:
        own, count = f"{stem}-{count}", count + 1
    names.append(own)
    run = folder / own
    train_ready(ready, str(run), report=report)
    return run


def _panel(model: Trained, data: str | None, run: Path, stem: str) -> tuple[Panel, str]:
    seen = model.samples(data)
    model = model.fit(seen.arrays)
    gauge = gauge_of(model, seen, POINTS)
    contrast = gauge.read().contrast
    auc = next((a.auc for a in contrast.against if a.kind == "uniform"), None)
    number = model.program.plan.volume.strategy
    name = model.program.model.name.replace("_", " ")
    title = name if number is None else f"{number} {name}"
    caption = "AUC none" if auc is None else f"AUC {auc:.3f}"
    view = View(model.network, model.program.model, seen.arrays, seen.image_shapes, run)
    over = shaped(model.program.model).name
    return Panel(view, title, caption), f"{stem:24} {caption} of {over} against uniform points"
