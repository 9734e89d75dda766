"""``ebdsl check``: is the spec right?"""

from __future__ import annotations

import click

from ebdsl.commands import shown
from ebdsl.commands.options import flat_option, format_option, python_option, set_option
from ebdsl.diagnostics import Diagnostic, Source, SpecError

ORDER = 1


@click.command("check", short_help="Say what is wrong with a spec.")
@click.argument("specs", nargs=-1, required=True, metavar="SPEC...")
@set_option
@format_option
@python_option
@flat_option
def command(specs: tuple[str, ...], settings: dict[str, str], form: str, allow_python: bool, allow_flat: bool) -> int:
    """Read, check and plan each SPEC (a file, - for standard input, or the name of a shipped spec).

    All that is wrong is said at once. The exit code is 1 if there is an error in any of them.
    """
    from ebdsl.run.files import read_source
    from ebdsl.run.program import planned

    rows, failed = [], False
    for name in specs:
        source: Source | None = None
        found: tuple[Diagnostic, ...] = ()
        ok = True
        try:
            source = read_source(name)
            model, _, warnings = planned(source, settings, allow_python=allow_python, allow_flat=allow_flat)
            source, found = model.source, tuple(warnings)
        except SpecError as error:
            source, found, ok = error.source or source, error.diagnostics, False
        failed |= not ok
        shown_as = source.name if source is not None else name
        if form == "json":
            rows.append({"spec": shown_as, "ok": ok, **shown.as_json(found, source)})
            continue
        shown.diagnostics(found, source)
        if ok:
            click.echo(
                f"{shown_as}: fine" if not found else f"{shown_as}: fine, with {shown.count(len(found), 'warning')}"
            )
    if form == "json":
        shown.print_json(rows[0] if len(rows) == 1 else rows)
    return 1 if failed else 0
