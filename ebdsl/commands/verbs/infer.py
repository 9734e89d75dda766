"""``ebdsl infer``: the latent variables of new samples."""

from __future__ import annotations

from pathlib import Path

import click

from ebdsl.commands import shown
from ebdsl.commands.options import answering, data_option, device_option, format_option, python_option

ORDER = 7


@click.command("infer", short_help="Infer the latent variables of samples with a trained model.")
@click.argument("run", metavar="RUN")
@data_option
@click.option("-o", "--output", metavar="FILE", required=True, help="Where to: .npz (all), .npy (the code), .csv.")
@click.option("--steps", type=click.IntRange(1), help="Most steps of one inference.")
@click.option("--tolerance", type=click.FloatRange(0, min_open=True), help="Residual at which inference stops.")
@device_option
@format_option
@python_option
def command(
    run: str, data: str | None, output: str, steps: int | None, tolerance: float | None, device: str | None,
    form: str, allow_python: bool,
) -> None:  # fmt: skip
    """Write the codes of --data (the run's own data without it), in the order of the samples.

    Data that does not fit in memory is read, and codes are written, a batch at a time.
    """
    from ebdsl.run.files import refuse
    from ebdsl.run.folder import Folder

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
        with using(model.program.model, "during inference"):
            tally = infer(
                model.program,
                model.network,
                model.batches(seen.arrays),
                Path(output),
                max_steps=steps,
                tolerance=tolerance,
            )
    if form == "json":
        shown.print_json(
            {
                "output": output,
                "samples": tally.samples,
                "converged": tally.converged,
                "energy": tally.energy / max(tally.samples, 1),
                "latents": {name: list(shape) for name, shape in tally.shapes.items()},
            }
        )
        return
    codes = ", ".join(f"{name} {list(shape)}" for name, shape in tally.shapes.items())
    shown.say(f"data    {seen.about}")
    shown.say(f"wrote   {output}: {codes} of {shown.count(tally.samples, 'sample')}")
    shown.unconverged(tally.converged, tally.samples)
