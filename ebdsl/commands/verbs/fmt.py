"""``ebdsl fmt``: the one layout of a spec, in Unicode or in ASCII."""

from __future__ import annotations

import difflib
from typing import Literal

import click

from ebdsl.commands.options import spec_argument
from ebdsl.diagnostics import SpecError

ORDER = 2


@click.command("fmt", short_help="Format a spec, in Unicode or ASCII.")
@spec_argument
@click.option("--unicode", "style", flag_value="unicode", help="λ, Σ_k, ‖·‖, Wᵀ")
@click.option("--ascii", "style", flag_value="ascii", help="lambda, sum_k, ||.||, W'")
@click.option("--check", "only_check", is_flag=True, help="Change nothing; exit with 1 and show what would change.")
@click.option("-w", "--write", is_flag=True, help="Change the file in place.")
def command(spec: str, style: Literal["unicode", "ascii"] | None, only_check: bool, write: bool) -> int:
    """Print SPEC in the one layout, comments kept. Without a style, letters stay as they are."""
    from pathlib import Path

    from ebdsl.commands import shown
    from ebdsl.run.files import read_source, refuse, shipped_spec, write_atomically
    from ebdsl.syntax import format as formatted

    if write and only_check:
        raise click.UsageError("--write and --check exclude each other")
    if write and spec == "-":
        raise click.UsageError("--write needs a file: standard input cannot be changed")
    source = read_source(spec)
    result = formatted(source, style)
    if result.value is None or result.errors:
        raise SpecError(result.diagnostics, source)
    shown.diagnostics(result.diagnostics, source)
    if only_check:
        if result.value == source.text:
            return 0
        old, new = source.text.splitlines(keepends=True), result.value.splitlines(keepends=True)
        click.echo("".join(difflib.unified_diff(old, new, source.name, f"{source.name}, formatted")), nl=False)
        return 1
    if write:
        if not Path(spec).exists() and shipped_spec(spec):
            raise refuse("EB0807", f"{spec} is a spec that comes with ebdsl", f"take a copy: ebdsl specs --copy {spec}")
        if result.value != source.text or b"\r" in Path(spec).read_bytes():
            write_atomically(Path(spec), result.value)
        return 0
    click.echo(result.value, nl=False)
    return 0
