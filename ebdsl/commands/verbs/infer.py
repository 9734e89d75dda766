"""``ebdsl infer``: the latent variables of new samples."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ebdsl.commands import shown
from ebdsl.commands.options import answering, data_option, device_option, format_option, python_option, target_option
from ebdsl.diagnostics import Diagnostic
from ebdsl.driver import TARGETS

if TYPE_CHECKING:
    from ebdsl.run.certify import Certificates

ORDER = 7
FAILED = 3
"""Exit code where --check finds answers that do not hold."""


@click.command("infer", short_help="Infer the latent variables of samples with a trained model.")
@click.argument("run", metavar="RUN")
@data_option
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to: .npz (all), .npy (the code), .csv.")
@click.option("--steps", type=click.IntRange(1), help="Most steps of one inference.")
@click.option("--tolerance", type=click.FloatRange(0, min_open=True), help="Residual at which inference stops.")
@click.option("--exact", is_flag=True, help="Solve for the minimum where the spec says to answer otherwise.")
@click.option("--check", is_flag=True, help="Verify every answer in float64; exit code 3 where some do not hold.")
@device_option
@target_option(*TARGETS, "auto")
@format_option
@python_option
def command(
    run: str, data: str | None, output: str, steps: int | None, tolerance: float | None, exact: bool, check: bool,
    device: str | None, target: str | None, form: str, allow_python: bool,
) -> None:  # fmt: skip
    """Write the codes of --data (the run's own data without it), in the order of the samples.

    Data that does not fit in memory is read, and codes are written, a batch at a time. --check measures from the
    energy itself, in float64, how far each answer is from optimal.
    """
    from ebdsl.run.files import refuse
    from ebdsl.run.folder import Folder

    if tolerance is not None and not tolerance < float("inf"):  # NaN is within any range
        raise click.BadParameter(f"{tolerance} is no tolerance", param_hint="--tolerance")
    with answering(form):
        Folder(Path(run)).facts()  # what is no run is told before torch is imported
        if data is not None and Path(data).exists() and Path(output).exists() and Path(data).samefile(output):
            raise refuse("EB0817", f"{output} is the data itself", "write to another file")
        from ebdsl.run.infer import infer, require_latents
        from ebdsl.run.trained import trained
        from ebdsl.run.use import using

        model = trained(Path(run), on=device, allow_python=allow_python)
        shown.diagnostics(model.warnings, model.program.source)
        require_latents(model.program)
        seen = model.samples(data)
        shown.diagnostics(seen.warnings, model.program.source)
        model = model.fit(seen.arrays)
        if target is not None:
            before = len(model.warnings)
            model = model.by(target, seen.arrays)
            shown.diagnostics(model.warnings[before:], model.program.source)
        with using(model.program.model, "during inference"):
            certifier = None
            if check:
                from ebdsl.run.certify import Certifier, report

                certifier = Certifier(model.program.plan, model.network, tolerance)
            options = {"exact": True} if exact and model.program.model.answers_otherwise else {}
            tally = infer(
                model.program,
                model.network,
                model.batches(seen.arrays),
                Path(output),
                certifier,
                max_steps=steps,
                tolerance=tolerance,
                **options,
            )
    found = certifier.found if certifier is not None else None
    if form == "json":
        shown.print_json(
            {
                "output": output,
                "samples": tally.samples,
                "converged": tally.converged,
                "energy": tally.energy / max(tally.samples, 1),
                "latents": {name: list(shape) for name, shape in tally.shapes.items()},
                **({"check": summary(found)} if found is not None else {}),
            }
        )
        raise click.exceptions.Exit(0 if found is None or bool(found.good.all()) else FAILED)
    codes = ", ".join(f"{name} {list(shape)}" for name, shape in tally.shapes.items())
    shown.say(f"data    {seen.about}")
    shown.say(f"wrote   {output}: {codes} of {shown.count(tally.samples, 'sample')}")
    shown.unconverged(tally.converged, tally.samples, tally.lost, model.program.model.answers_otherwise and not exact)
    if found is None:
        return
    for line in report(found):
        shown.say(line)
    if found.reason is not None:
        shown.diagnostics([Diagnostic("EB0732", f"the answers were not checked: {found.reason}")], None)
    failed = int((~found.good).sum())
    if failed:
        message = (
            f"{failed} of {shown.count(tally.samples, 'answer')} {'is' if failed == 1 else 'are'} not at the target"
        )
        solved = tally.converged == tally.samples - tally.lost
        help = [] if solved else [shown.MORE]
        if options == {} and model.program.model.answers_otherwise:
            help.append("--exact solves for the minimum")
        if tally.lost or not found.energies_hold.all():
            help.append(shown.RESCALE)
        shown.diagnostics([Diagnostic("EB0731", message, (), tuple(help))], None)
        raise click.exceptions.Exit(FAILED)


def summary(found: Certificates) -> dict[str, object]:
    """The certificates in numbers, for ``--format json``."""
    import numpy as np

    if found.reason is not None:
        return {"reason": found.reason}
    residual = found.residual
    return {
        "measure": found.measure,
        "good": int(found.good.sum()),
        "target": found.target,
        "median": float(np.median(residual)) if len(residual) else None,
        "worst": float(residual.max()) if len(residual) else None,
    }
