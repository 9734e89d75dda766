"""``ebdsl compare``: energies side by side."""

from __future__ import annotations

from pathlib import Path

import click

from ebdsl.commands import shown
from ebdsl.commands.options import data_option, device_option, python_option, set_option

ORDER = 9.5


@click.command("compare", short_help="Draw the energies of several models side by side.")
@click.argument("what", metavar="SPEC|RUN|FOLDER", nargs=-1, required=True)
@click.option("-o", "--output", metavar="FILE", help="The picture: .png, .svg or .pdf.  [default: DIR/compare.png]")
@click.option("--out", metavar="DIR", help="Where runs of specs go.  [default: runs/compare, then runs/compare-2, ...]")
@data_option
@set_option
@device_option
@click.option("-q", "--quiet", is_flag=True, help="No progress, only warnings and errors.")
@python_option
def command(
    what: tuple[str, ...], output: str | None, out: str | None, data: str | None, settings: dict[str, str],
    device: str | None, quiet: bool, allow_python: bool,
) -> None:  # fmt: skip
    """Train specs (runs are taken as they are) and draw their energies over the same plane with one colour bar.

    A FOLDER stands for all specs in it: `ebdsl compare seven_panels` draws the parabola under all seven strategies.
    Above each map stands the measured contrast, its AUC against uniform points.
    """
    from ebdsl.commands.verbs.train import reporter
    from ebdsl.run.compare import compare

    path = compare(
        what, out=out, output=None if output is None else Path(output), data=data, settings=settings, device=device,
        allow_python=allow_python, report=reporter(quiet), say=(lambda text: None) if quiet else shown.say,
    )  # fmt: skip
    click.echo(str(path))
