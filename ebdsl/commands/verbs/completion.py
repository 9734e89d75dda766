"""``ebdsl completion``: a script that makes a shell complete commands and options."""

from __future__ import annotations

import click

ORDER = 12


@click.command("completion", short_help="Print a script for completion in bash, zsh or fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script: put `eval "$(ebdsl completion bash)"` into ~/.bashrc, say."""
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "ebdsl", "_EBDSL_COMPLETE").source())
