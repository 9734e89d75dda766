"""Arguments and options that several verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click

from ebdsl.diagnostics import SpecError


def _pairs(ctx: click.Context, parameter: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    result = {}
    for text in values:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"{text!r} is not NAME=VALUE, as in --set λ=0.3", ctx, parameter)
        result[name.strip()] = value
    return result


spec_argument = click.argument("spec", metavar="SPEC")

set_option = click.option(
    "--set", "settings", multiple=True, metavar="NAME=VALUE", callback=_pairs,
    help="Give a constant, a dimension or a setting of the train block another value; can be repeated.",
)  # fmt: skip

format_option = click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="How to answer."
)


def _here(ctx: click.Context, parameter: click.Parameter, allowed: bool) -> bool:
    """A user's module may lie in the current folder, as for ``python -m``."""
    if allowed and "" not in sys.path:
        sys.path.insert(0, "")
    return allowed


python_option = click.option(
    "--allow-python", is_flag=True, callback=_here,
    help='Let the spec use python("package.module:Class"): this runs its author\'s code.',
)  # fmt: skip

flat_option = click.option(
    "--allow-flat", is_flag=True, help="Go on although nothing in the spec keeps the energy from being flat."
)

data_option = click.option(
    "--data", metavar="FILE|NAME", help="Samples: .npy, .npz, .csv, .parquet, a folder of images, or a source by name."
)

device_option = click.option("--device", default=None, metavar="DEVICE", help="cpu, cuda, cuda:1, mps, or auto.")


def target_option(*targets: str) -> Callable[[Any], Any]:
    """How the plan is compiled."""
    auto = ", auto: the faster one" if "auto" in targets else ""
    return click.option(
        "--target", type=click.Choice(targets), default=None,
        help=f"As PyTorch runs it (eager), loops by Inductor, kernels in C++ (native){auto}.  [default: eager]",
    )  # fmt: skip


@contextmanager
def answering(form: str) -> Iterator[None]:
    """Errors inside go out as JSON where that was asked for."""
    try:
        yield
    except SpecError as error:
        error.as_json = form == "json"  # type: ignore[attr-defined]
        raise


def chain(*decorators: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Several decorators as one, in the order in which ``--help`` shows them."""

    def apply(function: Any) -> Any:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return apply
