"""``ebdsl plot``: pictures of a trained model."""

from __future__ import annotations

from pathlib import Path

import click

from ebdsl.commands.options import data_option, device_option, python_option

ORDER = 9


def _list(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    from ebdsl.plots import available

    kinds = {**available(), "all": "all of these that fit the model"}
    width = max(map(len, kinds))
    for name, line in kinds.items():
        click.echo(f"{name:{width}}  {line}")
    ctx.exit()


@click.command("plot", short_help="Draw what a model learned: atoms, curves, reconstructions, surface, ...")
@click.argument("run", metavar="RUN")
@click.argument("kind", default="all", metavar="[KIND]")
@click.option("-o", "--output", metavar="PATH", help="A folder, or a file .png, .svg or .pdf.  [default: RUN/pictures]")
@click.option(
    "--list", "listing", is_flag=True, is_eager=True, expose_value=False, callback=_list, help="List the kinds."
)
@data_option
@device_option
@python_option
def command(
    run: str, kind: str, output: str | None, data: str | None, device: str | None, allow_python: bool
) -> None:  # fmt: skip
    """Draw one KIND of picture of RUN, or all that fit, and print the names of the files."""
    from ebdsl.plots import plot
    from ebdsl.run.folder import Folder

    Folder(Path(run)).facts()
    for path in plot(Path(run), kind, output, on=device, data=data, allow_python=allow_python):
        click.echo(str(path))
