"""``ebdsl explain``: what follows from an energy, or what a diagnostic means."""

from __future__ import annotations

import re

import click

from ebdsl.commands import shown
from ebdsl.commands.options import answering, flat_option, format_option, python_option, set_option

ORDER = 3


@click.command("explain", short_help="Say what follows from a spec, or what EBxxxx means.")
@click.argument("subject", metavar="SPEC|EBxxxx")
@set_option
@format_option
@python_option
@flat_option
def command(subject: str, settings: dict[str, str], form: str, allow_python: bool, allow_flat: bool) -> None:
    """Facts, the rules of inference and learning that they allow, with guarantee and cost, and the refused ones.

    With the code of a diagnostic, its long story.
    """
    with answering(form):
        if re.fullmatch(r"(?i)eb\s*-?\d+", subject):
            return story(subject.upper().replace("-", "").replace(" ", ""), form)
        return energy(subject, settings, form, allow_python, allow_flat)


def story(code: str, form: str) -> None:
    from difflib import get_close_matches

    from ebdsl.diagnostics.catalogue import CATALOGUE
    from ebdsl.run.files import refuse

    entry = CATALOGUE.get(code)
    if entry is None:
        close = get_close_matches(code, CATALOGUE, 1, 0.8)
        near = f"did you mean {close[0]} ?" if close else "codes are EB and four digits, as in EB0203"
        raise refuse("EB0815", f"there is no diagnostic {code}", near)
    if form == "json":
        shown.print_json({"code": code, "severity": entry.severity, "title": entry.title, "story": entry.story})
    else:
        click.echo(f"{entry.severity} {code}: {entry.title}\n\n{entry.story}")


def energy(subject: str, settings: dict[str, str], form: str, allow_python: bool, allow_flat: bool) -> None:
    from ebdsl import explain
    from ebdsl.run.files import read_source
    from ebdsl.run.program import planned

    model, plan, warnings = planned(read_source(subject), settings, allow_python=allow_python, allow_flat=allow_flat)
    if form == "json":
        shown.print_json({**explain.to_json(plan), **shown.as_json(warnings, model.source)})
        return
    shown.diagnostics(warnings, model.source)
    click.echo(explain.text(plan).rstrip("\n"))
