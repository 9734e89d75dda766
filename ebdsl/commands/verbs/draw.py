"""``ebdsl draw``: the factor graph of a spec."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ebdsl.commands import shown
from ebdsl.commands.options import python_option, set_option, spec_argument

ORDER = 4
FORMATS = ("svg", "png", "pdf", "dot", "mmd")


@click.command("draw", short_help="Draw a spec's factor graph: SVG, PNG, PDF, DOT or Mermaid.")
@spec_argument
@click.option("-o", "--output", metavar="FILE", help="Where to; the name's end says the format. - is standard output.")
@click.option("--format", "form", type=click.Choice(FORMATS), help="The format, where no name says it (mmd then).")
@set_option
@python_option
def command(spec: str, output: str | None, form: str | None, settings: dict[str, str], allow_python: bool) -> None:
    """Draw SPEC in LeCun's convention: observed variables shaded, energies as red boxes.

    Without --output the text goes to standard output, as Mermaid or in the format asked for.
    """
    from ebdsl import graph
    from ebdsl.diagnostics import SpecError
    from ebdsl.run.files import make_folder, read_source, refuse
    from ebdsl.run.program import checked_model

    to_file = output not in (None, "-")
    if to_file and form is None and Path(str(output)).suffix.lower()[1:] not in FORMATS:
        endings = ", ".join(f".{f}" for f in FORMATS)
        raise refuse(
            "EB0809", f"the end of {output} names no picture format", f"write to a name that ends in {endings}"
        )
    if not to_file and form in ("png", "pdf") and sys.stdout.isatty():
        raise click.UsageError(f"a {form} is no text for a terminal: say -o picture.{form}")
    model, found = checked_model(read_source(spec), settings, allow_python=allow_python)
    shown.diagnostics(found, model.source)
    if to_file:
        path = Path(str(output))
        make_folder(path.parent)
        graph.draw(model, path, form)
        shown.say(f"wrote {path}")
        return
    result = graph.picture(model, form or "mmd")
    if result.value is None:
        raise SpecError(result.diagnostics, model.source)
    shown.diagnostics(result.diagnostics, model.source)
    if isinstance(result.value, bytes):
        sys.stdout.buffer.write(result.value)
    else:
        click.echo(result.value.rstrip("\n"))
