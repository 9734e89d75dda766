"""``ebdsl sample``: samples of a trained model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ebdsl.commands import shown
from ebdsl.commands.options import answering, data_option, device_option, format_option, python_option

if TYPE_CHECKING:
    from ebdsl.run.sampling.sampler import Sampled

ORDER = 7.5
METHODS = ("hmc", "mala", "langevin", "gibbs", "generator")


def _given(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise click.BadParameter(f"{text!r} is not NAME=VALUE, as in --given x=0.3", ctx, parameter)
        found[name.strip()] = value.strip()
    return found


@click.command("sample", short_help="Draw samples of a trained model.")
@click.argument("run", metavar="RUN")
@click.option("-n", "--number", "n", type=click.IntRange(1), default=1000, show_default=True, help="How many.")
@click.option("-o", "--output", metavar="FILE", help="Where to: .npz, .npy, .csv.  [default: RUN/samples.npz]")
@click.option(
    "--given", multiple=True, metavar="NAME=VALUE", callback=_given,
    help="Hold an observed variable at numbers (x=0.3 or x=0.3,1.2) or at the rows of a .npy file; can be repeated.",
)  # fmt: skip
@click.option("--method", type=click.Choice(METHODS), help="Kind of chain, or the model's generator.")
@click.option("--chains", type=click.IntRange(1), default=64, show_default=True, help="How many chains.")
@click.option("--warmup", type=click.IntRange(0), default=500, show_default=True, help="Steps before any is kept.")
@click.option("--steps", type=click.IntRange(1), default=500, show_default=True, help="Steps after that.")
@click.option("--step-size", type=click.FloatRange(0, min_open=True), help="Length of a step, in spreads of the data.")
@click.option("--beta", type=click.FloatRange(0, min_open=True), help="Inverse temperature.  [default: the model's]")
@click.option("--seed", type=int, default=0, show_default=True, help="Of the chains.")
@data_option
@device_option
@format_option
@python_option
def command(
    run: str, n: int, output: str | None, given: dict[str, str], method: str | None, chains: int, warmup: int,
    steps: int, step_size: float | None, beta: float | None, seed: int, data: str | None, device: str | None,
    form: str, allow_python: bool,
) -> None:  # fmt: skip
    """Draw samples of exp(-β F) with chains, and say whether these have mixed (R-hat, effective sample size).

    The chains start near samples of --data (the run's own data without it). Other observed variables are those of the
    data, or what --given says.
    """
    from ebdsl.run.folder import Folder

    with answering(form):
        Folder(Path(run)).facts()
        from ebdsl.run.sampling.files import fixed, write
        from ebdsl.run.sampling.sampler import Plan, sample
        from ebdsl.run.trained import trained
        from ebdsl.run.use import using

        path = Path(output) if output is not None else Path(run) / "samples.npz"
        model = trained(Path(run), on=device, allow_python=allow_python)
        shown.diagnostics(model.warnings, model.program.source)
        seen = model.samples(data)
        shown.diagnostics(seen.warnings, model.program.source)
        model = model.fit(seen.arrays)
        held = fixed(model, given)
        with using(model.program.model, "while sampling"):
            found = sample(model, seen.arrays, held, Plan(n, method, chains, warmup, steps, step_size, beta, seed))
        write(path, found)
        shown.diagnostics(found.warnings, model.program.source)
    if form == "json":
        shown.print_json({"output": str(path), **found.to_json()})
        return
    shown.say(f"data    {seen.about}")
    if found.method == "generator":
        shown.say("drawn   by the generator, without chains")
    else:
        chains_lines(found)
    shown.say(f"energy  {found.energy.mean():.4g} on average")
    shown.say(f"wrote   {path}: {found.symbol.name} {list(found.values.shape[1:])}, {shown.count(n, 'sample')}")


def chains_lines(found: Sampled) -> None:
    """Which chains, and whether they have mixed."""
    kind = f"{found.method} at β = {found.beta:g}, {shown.count(found.chains, 'chain')}"
    moved = "entries changed by a sweep" if found.method == "gibbs" else "proposals accepted"
    rate = "" if found.method == "langevin" else f", {100 * found.acceptance:.3g} % of {moved}"
    shown.say(f"chains  {kind}{rate}")
    if found.r_hat == found.r_hat:
        shown.say(f"mixing  R-hat {found.r_hat:.3f}, effective sample size {found.effective:.4g}")
