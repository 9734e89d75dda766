"""The command line. ``main`` is the entry point; each verb is a file of ``verbs``, found by itself.

Exit codes: 0 fine, 1 the spec, the data or a file is wrong, 2 the command line is wrong,
3 answers that `infer --check` verified do not hold, 130 interrupted
by Ctrl-C (143 by a polite kill).
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

FINE, WRONG, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit code."""
    # Threads that wait asleep: torch's default spins, which is up to 30 times slower where the cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # A polite kill unwinds, so that what is half written goes away; training finishes its step first.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        code = run(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:  # before there is a command to interrupt
        code = INTERRUPTED
    sys.exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. No exception leaves, whatever happens inside."""
    import click

    from ebdsl.commands import shown
    from ebdsl.commands.group import cli
    from ebdsl.diagnostics import SpecError

    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show λ gets an escape and no failure
            stream.reconfigure(errors="backslashreplace")
    try:
        code = cli.main(list(arguments), prog_name="ebdsl", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else FINE
    except SpecError as error:
        return guarded(shown.errors, error, WRONG)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.ClickException as error:
        return guarded(click.ClickException.show, error, USAGE)
    except (KeyboardInterrupt, click.Abort) as error:
        return guarded(lambda _: shown.say("interrupted"), error, INTERRUPTED)
    except BrokenPipeError:  # the reader has seen enough, as `head` has
        silence()
        return FINE
    except Exception as error:
        full = isinstance(error, OSError) and error.errno == errno.ENOSPC  # behind standard output: `> /dev/full`
        code = guarded(shown.no_room if full else shown.fault, error, WRONG)
        silence()
        return code


def guarded(show: Callable[[Any], None], error: BaseException, code: int) -> int:
    """Say something and give the exit code; if nobody listens any more, be silent."""
    try:
        show(error)
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        silence()
    except Exception:  # what shows faults is itself at fault
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
    return code


def silence() -> None:
    """Let the interpreter's last flush go nowhere, so that it does not complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(nowhere, stream.fileno())
