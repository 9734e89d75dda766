"""``ebdsl train``: from a spec to a trained model in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ebdsl.commands import shown
from ebdsl.commands.options import (
    chain,
    data_option,
    device_option,
    flat_option,
    python_option,
    set_option,
    target_option,
)
from ebdsl.driver import TARGETS

if TYPE_CHECKING:
    from ebdsl.run.report import Report
    from ebdsl.run.train import Outcome

ORDER = 6

training_options = chain(
    click.option("--epochs", type=int, help="How often to go through the data."),
    click.option("--batch", type=int, help="Samples for each step."),
    click.option("--lr", type=float, help="Step size of gradient descent."),
    click.option("--seed", type=int, help="What all random choices start from.  [default: 0]"),
    click.option("--dtype", type=click.Choice(["float32", "float64"]), help="Numbers to compute with."),
    device_option,
    target_option(*TARGETS, "auto"),
    click.option("--holdout", type=float, help="Share of the samples that is kept for evaluation.  [default: 0]"),
    click.option("--checkpoint-steps", type=int, metavar="N", help="A checkpoint every N steps, whatever the time."),
    click.option("--checkpoint-seconds", type=float, metavar="S", help="A checkpoint every S seconds.  [default: 15]"),
)


@click.command("train", short_help="Train a spec; --resume goes on with a run.")
@click.argument("spec", metavar="SPEC|RUN")
@data_option
@set_option
@training_options
@click.option("--out", metavar="DIR", help="The run folder.  [default: runs/NAME, then runs/NAME-2, ...]")
@click.option("--resume", is_flag=True, help="Go on with a run, to the bit: that in --out, or the last of this name.")
@click.option("--force", is_flag=True, help="Replace the run that is in the folder.")
@click.option("-q", "--quiet", is_flag=True, help="No progress, only warnings and errors.")
@python_option
@flat_option
def command(
    spec: str, data: str | None, settings: dict[str, str], out: str | None, resume: bool, force: bool, quiet: bool,
    allow_python: bool, allow_flat: bool, **given: Any,
) -> int:  # fmt: skip
    """Train SPEC and leave a run folder: spec, generated model, metrics, checkpoints, pictures.

    Ctrl-C finishes the step and writes a checkpoint. `ebdsl train RUN --resume` goes on from there and
    gives, on a CPU, the same numbers as a run that was never interrupted.
    """
    from ebdsl.run.files import read_source, refuse
    from ebdsl.run.folder import is_run
    from ebdsl.run.prepare import prepare

    if resume and force:
        raise click.UsageError("--resume goes on with a run and --force replaces it: say one of them")
    report = reporter(quiet)
    if resume:
        source = None if is_run(Path(spec)) else read_source(spec)
        path = Path(spec) if source is None else run_to_resume(source, out)
        from ebdsl.run.train import take_up

        outcome = take_up(
            path, source=source, data=data, settings=settings, given=given, report=report, allow_python=allow_python
        )
        return conclude(outcome, quiet)
    if is_run(Path(spec)):
        raise refuse("EB0802", f"{spec} is a run and not a spec", f"ebdsl train {spec} --resume goes on with it")
    ready = prepare(
        read_source(spec), data=data, settings=settings, given=given, allow_python=allow_python, allow_flat=allow_flat
    )
    from ebdsl.run.train import train_ready  # torch, and seconds, only for what can be trained

    return conclude(train_ready(ready, out, force=force, report=report), quiet)


def run_to_resume(source: Any, out: str | None) -> Path:
    """``--out``, or the last run of this model under ``runs/``."""
    from ebdsl.run.files import refuse
    from ebdsl.run.folder import Folder, folder_name, latest
    from ebdsl.run.program import parsed

    if out is not None:
        Folder(Path(out)).facts()
        return Path(out)
    spec, _, _ = parsed(source)
    name = folder_name(spec.name or Path(source.name).stem)
    found = latest(name)
    if found is None:
        raise refuse("EB0711", f"there is no run runs/{name} to go on with", "name the run: ebdsl train RUN --resume")
    return found


def reporter(quiet: bool) -> Report:
    from ebdsl.run.progress import progress
    from ebdsl.run.report import Report

    if quiet:
        return Report(warn=shown.diagnostics)
    return Report(shown.say, shown.diagnostics, progress)


def conclude(outcome: Outcome, quiet: bool) -> int:
    """What was reached, where it is, and what to do next. Gives the exit code."""
    from ebdsl.commands import INTERRUPTED

    path, position = outcome.folder.path if outcome.folder else Path(), outcome.session.position
    if outcome.ending == "interrupted":
        shown.say(f"interrupted after step {position.step}; everything is kept in {path}")
        shown.say(f"go on with:  ebdsl train {path} --resume")
        return INTERRUPTED if outcome.signal in (None, 2) else 128 + int(outcome.signal)
    if quiet:
        return 0
    how = "converged" if outcome.ending == "converged" else "finished"
    energy = f", energy {position.energy:.6g}" if position.energy is not None else ""
    held = f", held out {position.held_out:.6g}" if position.held_out is not None else ""
    shown.say(f"{how} after {shown.count(position.step, 'step')}{energy}{held}")
    for picture in outcome.pictures:
        shown.say(f"drew    {picture}")
    shown.say(f"next    ebdsl eval {path}    ebdsl plot {path} all")
    click.echo(str(path))
    return 0
