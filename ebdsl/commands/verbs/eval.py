"""``ebdsl eval``: the energy of samples under a trained model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from ebdsl.commands import shown
from ebdsl.commands.options import answering, data_option, device_option, format_option, python_option

ORDER = 8
OFF_DATA = 1000
"""Points of each kind at which the energy is measured off the data."""


@click.command("eval", short_help="Measure the energy of samples with a trained model.")
@click.argument("run", metavar="RUN")
@data_option
@click.option("-o", "--output", metavar="FILE.npy", help="Also write the free energy of every sample.")
@click.option("--likelihood", "log_likelihood", is_flag=True, help="The log-likelihood of the samples as well.")
@click.option(
    "--temperatures", type=click.IntRange(10), default=500, show_default=True, help="Of the annealing for it."
)
@device_option
@format_option
@python_option
def command(
    run: str, data: str | None, output: str | None, log_likelihood: bool, temperatures: int, device: str | None,
    form: str, allow_python: bool,
) -> None:  # fmt: skip
    """Print the free energy of --data (the run's own data without it), term by term, and how it compares with that of
    points off the data: uniform, noise, shuffled, neighbours.
    """
    from ebdsl.run.files import refuse
    from ebdsl.run.folder import Folder

    with answering(form):
        Folder(Path(run)).facts()  # what is no run is told before torch is imported
        if output is not None and Path(output).suffix.lower() != ".npy":
            raise refuse("EB0809", f"{output} names no format that energies are written in", "the format is .npy")
        from ebdsl.run.evaluate import evaluate
        from ebdsl.run.gauge import gauge_of, margin_of
        from ebdsl.run.infer import SIZE
        from ebdsl.run.trained import trained
        from ebdsl.run.use import using

        model = trained(Path(run), on=device, allow_python=allow_python)
        shown.diagnostics(model.warnings, model.program.source)
        seen = model.samples(data)
        shown.diagnostics(seen.warnings, model.program.source)
        model = model.fit(seen.arrays)
        with using(model.program.model, "during evaluation"):
            result = evaluate(model.network, model.batches(seen.arrays), SIZE)
            gauge = gauge_of(model, replace(seen, held_out={}) if data is not None else seen, OFF_DATA)
            reading = gauge.read(margin=margin_of(model.program.plan.strategy), volume=True)
            found = None
            if log_likelihood:
                from ebdsl.run.likelihood import likelihood

                found = likelihood(model, seen.arrays, result.free_energy, temperatures=temperatures)
                shown.diagnostics(found.warnings, model.program.source)
        if output is not None:
            save(Path(output), result.free_energy)
    said = {**result.to_json(), **reading.to_json(), **({"likelihood": found.to_json()} if found is not None else {})}
    if form == "json":
        shown.print_json({"run": run, "data": seen.about, **said})
        return
    more = []
    if found is not None:
        about = f" ± {found.error:.2g}" if found.error else ""
        more = [
            f"log-likelihood {found.log_likelihood:.5g}{about} nats a sample, at β = {found.beta:g}",
            f"  log ∫ exp(-β F) = {found.log_z:.5g}{about}: {found.how}",
        ]
    click.echo("\n".join([*table(seen.about, said), *off_data(said), *more]))


def off_data(result: dict) -> list[str]:  # type: ignore[type-arg]
    """What was measured off the data, and what it means."""
    found = result["contrast"]
    lines = [f"contrast: {found['samples']} samples against as many points of each kind"]
    width = max(len(a["points"]) for a in found["against"].values())
    for a in found["against"].values():
        auc, gap = (f"{a[k]:.3g}" if a[k] is not None else "none" for k in ("auc", "gap"))
        active = f"   active hinges {100 * a['active hinges']:.3g} %" if "active hinges" in a else ""
        lines.append(f"  {a['points']:{width}}  AUC {auc:<6} gap {gap}{active}")
    return [*lines, *(f"  {text}" for text in (*found["said"], *result["codes said"]))]


def save(path: Path, energies: object) -> None:
    import numpy as np

    from ebdsl.run.files import make_folder, write_atomically

    def fill(part: Path) -> None:
        with part.open("wb") as file:
            np.save(file, energies, allow_pickle=False)  # type: ignore[arg-type]

    make_folder(path.parent)
    write_atomically(path, fill)


def table(data: str, result: dict) -> list[str]:  # type: ignore[type-arg]
    """Lines of ``name  number``."""
    rows = [("samples", f"{result['samples']}")]
    rows += [(f"free energy, {name}", f"{value:.6g}") for name, value in result["free_energy"].items()]
    rows += [(f"term {name}, mean", f"{value:.6g}") for name, value in result["terms"].items()]
    if result["converged"] is not None:
        rows.append(("inference converged", f"{100 * result['converged']:.4g} %"))
        rows.append(("steps of inference, mean", f"{result['iterations']:.4g}"))
    width = max(len(name) for name, _ in rows)
    return [f"data: {data}", *(f"  {name:{width}}  {value:>12}" for name, value in rows)]
