"""``ebdsl cache``: what is kept between runs."""

from __future__ import annotations

import click

from ebdsl.commands import shown

ORDER = 11.5


@click.command("cache", short_help="Show or clear what was compiled.")
@click.option("--clear", is_flag=True, help="Remove all of it.")
def command(clear: bool) -> None:
    """Show what --target inductor, native and auto keep under the user's cache directory.

    Each entry belongs to one text, version of torch or compiler, and processor, so none is ever stale; --clear only
    frees the disk. EBDSL_CACHE_DIR names another folder.
    """
    from ebdsl.run import cache

    if clear:
        count = cache.clear()
        shown.say(f"removed {shown.count(count, 'program')} from {cache.folder()}")
        return
    found = list(cache.entries())
    for name, size in found:
        click.echo(f"{size / 1e6:9.1f} MB  {name}")
    total = sum(size for _, size in found)
    shown.say(f"{shown.count(len(found), 'program')}, {total / 1e6:.1f} MB, in {cache.folder()}")
