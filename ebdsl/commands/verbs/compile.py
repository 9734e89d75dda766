"""``ebdsl compile``: a spec as one PyTorch file that stands alone."""

from __future__ import annotations

from pathlib import Path

import click

from ebdsl.commands import shown
from ebdsl.commands.options import flat_option, python_option, set_option, spec_argument, target_option
from ebdsl.driver import TARGETS

ORDER = 5


@click.command("compile", short_help="Write the PyTorch for a spec.")
@spec_argument
@click.option("-o", "--output", metavar="FILE", default="-", help="Where to; standard output without it.")
@click.option(
    "--dump", type=click.Choice(["ast", "model", "facts", "plan"]), help="Print the result of a phase instead."
)
@click.option("--force", is_flag=True, help="Overwrite the output even if ebdsl did not write it.")
@target_option(*TARGETS)
@click.option("--time", "show_times", is_flag=True, help="Say how long each phase took.")
@set_option
@python_option
@flat_option
def command(
    spec: str,
    output: str,
    dump: str | None,
    target: str | None,
    force: bool,
    show_times: bool,
    settings: dict[str, str],
    allow_python: bool,
    allow_flat: bool,
) -> None:
    """Write SPEC as one readable file: the model as nn.Module, its inference, its learner and a training loop.

    The file needs torch and nothing else. Dimensions that only data tells become keywords of its class.
    """
    from ebdsl import driver
    from ebdsl.commands.dump import dumped
    from ebdsl.run.files import make_folder, read_source, refuse
    from ebdsl.run.generated import is_ours, signed, write
    from ebdsl.run.program import planned

    source = read_source(spec)
    if dump is not None:
        click.echo(dumped(dump, source, settings, allow_python=allow_python, allow_flat=allow_flat).rstrip("\n"))
        return
    (model, plan, warnings), before = driver.timed(
        lambda: planned(source, settings, allow_python=allow_python, allow_flat=allow_flat)
    )
    shown.diagnostics(warnings, model.source)
    text, after = driver.timed(lambda: driver.emit(plan, target or "eager"))
    if show_times:
        shown.say(f"from text to plan {1000 * before:.0f} ms, from plan to PyTorch {1000 * after:.0f} ms")
    if output == "-":
        click.echo(signed(text), nl=False)
        return
    path = Path(output)
    if path.exists() and not force and not is_ours(path):
        whose = f"{path} was not written by ebdsl, or was edited since: it is left as it is"
        raise refuse("EB0806", whose, "write to another name, or say --force")
    make_folder(path.parent)
    write(path, text)
    shown.say(f"wrote {path}")
