"""``ebdsl specs``: the specs that come with ebdsl."""

from __future__ import annotations

from pathlib import Path

import click

from ebdsl.commands import shown

ORDER = 11


@click.command("specs", short_help="List, print or copy the specs that come with ebdsl.")
@click.argument("name", required=False)
@click.option("--copy", "copied", metavar="NAME", help="Copy a spec into this folder, or to --output.")
@click.option("-o", "--output", metavar="FILE", help="Where to copy to.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to list.")
def command(name: str | None, copied: str | None, output: str | None, form: str) -> None:
    """List the shipped specs with a line about each; with NAME, print that one."""
    from ebdsl.run.files import refuse, shipped_specs, write_atomically

    if name is not None and copied is not None:
        raise click.UsageError("either a NAME to print or --copy NAME, not both")
    if output is not None and copied is None:
        raise click.UsageError("--output goes with --copy NAME")
    if copied is not None:
        path = Path(output or f"{Path(copied).stem}.ebm")
        text = text_of(copied)
        if path.exists():
            raise refuse("EB0806", f"{path} exists: it is left as it is", "name another file with --output")
        write_atomically(path, text)
        shown.say(f"wrote {path}")
    elif name is not None:
        click.echo(text_of(name), nl=False)
    else:
        rows = {spec: about(text_of(spec)) for spec in shipped_specs()}
        if form == "json":
            shown.print_json(rows)
            return
        width = max(map(len, rows), default=0)
        for spec, line in rows.items():
            click.echo(f"{spec:{width}}  {line}".rstrip())


def text_of(name: str) -> str:
    from difflib import get_close_matches

    from ebdsl.run.files import refuse, shipped_spec, shipped_specs

    file = shipped_spec(name)
    if file is None:
        close = get_close_matches(name, shipped_specs(), 1, 0.4)
        raise refuse("EB0814", f"no spec {name} comes with ebdsl", *([f"did you mean {close[0]} ?"] if close else []))
    return file.read_text(encoding="utf-8")


def about(text: str) -> str:
    """A spec's first comment."""
    comments = (line.partition("#")[2].strip() for line in text.splitlines() if "#" in line)
    return next((c for c in comments if c), "")
