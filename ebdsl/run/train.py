"""Train a spec into a run folder, and take a run up again where it stopped."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from contextlib import ExitStack, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import ebdsl
from ebdsl.diagnostics import Source, SpecError
from ebdsl.model.model import Model
from ebdsl.run import checkpoint as checkpoints
from ebdsl.run import folder as folders
from ebdsl.run import generated, loop, preprocessing
from ebdsl.run.events import Events
from ebdsl.run.faults import translated
from ebdsl.run.files import exists, read_source, refuse, write_atomically
from ebdsl.run.folder import Folder
from ebdsl.run.interrupt import Interrupt
from ebdsl.run.metrics import Lines
from ebdsl.run.observations import Observations, observations
from ebdsl.run.options import FIXED, Options, merged, options
from ebdsl.run.prepare import Ready, prepare
from ebdsl.run.program import Program, checked_model, parsed, program
from ebdsl.run.report import Report
from ebdsl.run.session import Session, begin, facts, resume, session, tensors
from ebdsl.run.target import settled
from ebdsl.run.use import using


@dataclass(frozen=True)
class Outcome:
    """``ending``: ``finished``, ``converged`` or ``interrupted`` (then ``signal`` is what interrupted it)."""

    ending: str
    session: Session
    folder: Folder | None
    signal: int | None = None
    pictures: tuple[Path, ...] = ()


def train(
    source: Source, *, out: str | None = None, force: bool = False, report: Report | None = None, **options: Any
) -> Outcome:
    """Compile ``source``, train it and leave a run folder; ``options`` as for :func:`~ebdsl.run.prepare.prepare`."""
    return train_ready(prepare(source, **options), out, force=force, report=report)


def train_ready(ready: Ready, out: str | None = None, *, force: bool = False, report: Report | None = None) -> Outcome:
    """Train in a fresh run folder: ``out``, or the next of ``runs/NAME``. ``force`` replaces a run that is there.

    Raises :class:`SpecError`.
    """
    report = report or Report()
    live = session_of(ready, report)
    name = live.program.model.name
    folder, unfinished = folders.fresh(out, folders.folder_name(name), force=force)
    if unfinished is not None:
        report.say(f"{unfinished} was not finished: ebdsl train {unfinished} --resume goes on with it")
    with folder.lock():
        found_folder(folder, live, ready)
        introduce(live, ready.seen, folder, report)
        return with_pictures(go(live, folder, report, fresh=True), ready.seen, report)


def session_of(ready: Ready, report: Report) -> Session:
    """Build what was compiled. Raises :class:`SpecError`, also for what PyTorch says to it."""
    built = ready.program
    report.warn(built.warnings, built.source)
    chosen = options(built.model, built.namespace.DEFAULTS, ready.given)
    built, chosen, found = settled(built, chosen, ready.seen.arrays)
    report.warn(found, built.source)
    return live_session(built, ready.seen, chosen)


@dataclass(frozen=True)
class Fitted:
    """What pictures are drawn of."""

    model: Any
    spec_model: Model
    data: Observations


def with_pictures(outcome: Outcome, seen: Observations, report: Report) -> Outcome:
    """Draw what was learned, unless training was cut short. A picture that cannot be drawn is a warning."""
    if outcome.ending == "interrupted" or outcome.folder is None:
        return outcome
    from ebdsl.plots import after_training

    live, model = outcome.session, outcome.session.program.model
    live.network.eval()
    fitted = Fitted(live.network, model, seen)
    drawn = after_training(outcome.folder.path, fitted, lambda found: report.warn([found], model.source))
    return replace(outcome, pictures=tuple(drawn))


def found_folder(folder: Folder, live: Session, ready: Ready) -> None:
    """Write all that stays as it is while a run goes on."""
    built, seen = live.program, ready.seen
    about = {
        "name": built.model.name,
        "status": "training",
        "version": ebdsl.__version__,
        "began": now(),
        "spec": where(built.source.name),
        "data": where(ready.data),
        "samples": seen.about,
        "settings": dict(ready.settings),
        "options": live.options.to_json(),
        "sizes": dict(built.model.dims),
        "image_shapes": {name: list(shape) for name, shape in seen.image_shapes.items()},
    }
    folder.write_facts(about)
    write_atomically(folder.spec, built.source.text)
    generated.write(folder.generated, built.text)
    preprocessing.write(folder.preprocessing, seen.transforms)


def take_up(
    path: Path,
    *,
    source: Source | None = None,
    data: str | None = None,
    settings: Mapping[str, str] | None = None,
    given: Mapping[str, Any] | None = None,
    report: Report | None = None,
    allow_python: bool = False,
) -> Outcome:
    """Go on with the run in ``path``, to the bit. ``source``, where given, has to be the run's.

    Raises :class:`SpecError`: EB0705 to EB0709, EB0812, EB0813, and as :func:`train`.
    """
    report, given = report or Report(), given or {}
    folder = Folder(path)
    about = folder.facts()
    with folder.lock():
        folder.sweep()
        saved, found = checkpoints.newest(folder.checkpoints)
        text = str(saved.facts.get("spec", "")) if saved else read_source(str(folder.spec)).text
        theirs = Source(str(about.get("spec", folder.spec)), text)
        report.warn(found, theirs)
        edited = read_source(str(folder.spec)).text if folder.spec.is_file() else text
        require_same_spec(text, edited, str(folder.spec), path)
        if source is not None or settings:
            other = parsed(source or theirs, settings)[1]
            require_same_spec(text, other.text, source.name if source else "with --set it", path)
        old = merged(saved.facts.get("options") if saved else about.get("options"), folder.path)
        chosen = require_same_options(old, given, path)
        model, warnings = checked_model(theirs, allow_python=allow_python)
        seen = observations(model, data if data is not None else about.get("data"), chosen.seed)
        built = program(model, seen.sizes, [*warnings, *seen.warnings], allow_flat=True, target=chosen.target)
        live = live_session(built, seen, chosen)
        if saved is None:
            introduce(live, seen, folder, report)
            return with_pictures(go(live, folder, report, fresh=True), seen, report)
        report.warn(resume(live, saved), theirs)
        per_epoch = loop.steps_per_epoch(live.learner, len(live.data), chosen)
        last, step = chosen.epochs * per_epoch, live.position.step
        if live.position.converged:
            report.say(f"{path} converged at step {step}: there is nothing left to do")
        elif step >= last:
            report.say(f"{path} has all of its {last} steps: --epochs {2 * chosen.epochs} would train it further")
        else:
            report.say(f"going on with {path} from step {step} of {last}")
        folder.update(options=chosen.to_json())
        outcome = go(live, folder, report, offset=saved.facts.get("metrics"))
        return with_pictures(outcome, seen, report)


def go(s: Session, folder: Folder | None, report: Report, *, fresh: bool = False, offset: Any = None) -> Outcome:
    """The loop and all that listens to it. No ``folder``: nothing is written. metrics.jsonl is cut at ``offset``."""
    model = s.program.model
    with ExitStack() as stack:
        stop = stack.enter_context(Interrupt())
        lines: Lines | None = None
        last: Path | None = None

        def save(position: loop.Position) -> None:
            nonlocal last
            state = tensors(s)
            if folder is not None and lines is not None:
                header = {**facts(s), "metrics": lines.offset()}
                last = checkpoints.write(folder.checkpoints, position.step, state, header)

        try:
            listeners: list[loop.Listener] = []
            if folder is not None:
                cut = offset if isinstance(offset, int) and not fresh else None
                lines = stack.enter_context(Lines(folder.metrics, cut))
                listeners += [lines, stack.enter_context(Events(folder.events, s.position.step))]
                last = next(iter(checkpoints.found(folder.checkpoints)), None)
                folder.update(status="training")
            if fresh:
                begin(s)
                save(s.position)
            total = s.options.epochs * loop.steps_per_epoch(s.learner, len(s.data), s.options)
            bar = report.progress(total, s.position.step, s.options.epochs)
            stack.enter_context(bar if bar is not None else nullcontext())
            ending = loop.run(
                s.learner,
                s.data,
                s.options,
                position=s.position,
                watch=s.watch,
                listeners=(*listeners, *([bar] if bar is not None else [])),
                save=save,
                stopped=lambda: stop.signal is not None,
                measure=s.measure if s.held_out is not None else None,
                contrast=s.contrast,
            )
            report.warn(s.watch.warned, model.source)
        except Exception as error:
            known = (
                error if isinstance(error, SpecError) else translated(error, model, f"at step {s.position.step + 1}")
            )
            if folder is not None:
                _mark_failed(folder)
            if known is None:
                raise
            raise with_last_checkpoint(known, folder, last, model.source) from None
    if folder is not None:
        status = "interrupted" if ending == "interrupted" else "finished"
        folder.update(status=status, step=s.position.step, energy=s.position.energy, held_out=s.position.held_out)
    return Outcome(ending, s, folder, stop.signal)


def _mark_failed(folder: Folder) -> None:
    with suppress(SpecError):  # the disk that failed the run may refuse this too: the first failure is the one to tell
        folder.update(status="failed")


def with_last_checkpoint(error: SpecError, folder: Folder | None, last: Path | None, source: Source) -> SpecError:
    """The same diagnostics, and where the last good state is."""
    if folder is None or last is None or not error.diagnostics:
        return error
    step = int(last.stem[5:])
    first, *rest = error.diagnostics
    help = (*first.help, f"the state of step {step} is kept: {last}")
    return SpecError([replace(first, help=help), *rest], error.source or source)


def live_session(built: Program, seen: Observations, chosen: Options) -> Session:
    """Raises :class:`SpecError`, also for what PyTorch says when the model is built."""
    with using(built.model, "while the model was built"):
        return session(built, seen.arrays, chosen, seen.held_out)


def introduce(s: Session, seen: Observations, folder: Folder, report: Report) -> None:
    """What is about to happen, in three lines."""
    count = sum(p.numel() for p in s.network.parameters())
    held = f", {len(s.held_out)} more held out" if s.held_out is not None else ""
    report.say(f"model   {s.program.model.name}: {count:,} parameters, {s.options.dtype} on {s.data.device}")
    report.say(f"data    {seen.about}: {len(s.data):,} samples to train on{held}")
    way = "all samples in every step" if s.learner.full_batch else f"{s.options.batch} samples a step"
    epochs = "1 epoch" if s.options.epochs == 1 else f"{s.options.epochs} epochs"
    report.say(f"run     {folder.path}: {epochs}, {way}, seed {s.options.seed}")


def require_same_spec(run: str, other: str, name: str, path: Path) -> None:
    """Raises :class:`SpecError` (EB0707), naming the first line that differs."""
    if run == other:
        return
    old, new = run.split("\n"), other.split("\n")
    at = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    was = old[at].strip() if at < len(old) else "nothing"
    reads = new[at].strip() if at < len(new) else "nothing"
    raise refuse(
        "EB0707",
        f"{name} is not the spec that the run in {path} began with: line {at + 1} was `{was}`, is `{reads}`",
        f"go on with the run's own spec: ebdsl train {path} --resume",
        "or begin another run: leave --resume out",
    )


def require_same_options(old: Options, given: Mapping[str, Any], path: Path) -> Options:
    """``old`` with what may change on the way. Raises :class:`SpecError` (EB0708, EB0715)."""
    asked = {key: value for key, value in given.items() if value is not None}
    before = asdict(old)
    changed = [key for key in FIXED if key in asked and asked[key] != before[key]]
    if changed:
        told = ", ".join(f"{key} is {before[key]} and not {asked[key]}" for key in changed)
        raise refuse(
            "EB0708", f"the run in {path} keeps its options: {told}", "leave the option out, or begin another run"
        )
    return merged({**before, **asked}, path)


def where(data: str | None) -> str | None:
    """A file's absolute path, so that a run can be resumed from another folder; any other word as it is."""
    return str(Path(data).resolve()) if data is not None and exists(data) else data


def now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
