"""The group of all verbs: found by their files, imported when called, and a suggestion for a slip of the keys."""

from __future__ import annotations

import importlib
import pkgutil
from difflib import get_close_matches

import click

from ebdsl import __version__
from ebdsl.commands import verbs


class Verbs(click.Group):
    """A verb is a module of ``ebdsl.commands.verbs`` with a click command ``command`` and its place ``ORDER``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = [m.name for m in pkgutil.iter_modules(verbs.__path__)]
        return sorted(names, key=lambda name: self._module(name).ORDER)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in {m.name for m in pkgutil.iter_modules(verbs.__path__)}:
            return None
        return self._module(name).command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if self.get_command(ctx, name) is None and not name.startswith("-"):
            known = self.list_commands(ctx)
            close = get_close_matches(name.lower(), known, 1, 0.5)
            hint = f"did you mean {close[0]} ?" if close else f"the commands are {', '.join(known)}"
            if name.endswith(".ebm"):
                hint = f"a command comes first, as in: ebdsl check {name}"
            raise click.UsageError(f"there is no command {name}; {hint}", ctx)
        return super().resolve_command(ctx, args)

    @staticmethod
    def _module(name: str):  # type: ignore[no-untyped-def]
        return importlib.import_module(f"{verbs.__name__}.{name}")


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, "-V", "--version", message="ebdsl %(version)s")
def cli() -> None:
    """Energy-based models, from the energy to a trained model.

    A .ebm file holds an energy as on a slide. ebdsl checks it, explains what follows from it,
    draws it, writes PyTorch for it and trains that.
    """
