"""Around every use of a trained model: what PyTorch throws becomes a diagnostic."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ebdsl.diagnostics import SpecError
from ebdsl.model.model import Model
from ebdsl.run.faults import translated


@contextmanager
def using(model: Model, when: str) -> Iterator[None]:
    """``when`` completes the message: ``"during inference"``. Raises :class:`SpecError` (EB0712, EB0713, EB0722)."""
    try:
        yield
    except SpecError:
        raise
    except Exception as error:
        known = translated(error, model, when)
        if known is None:
            raise
        raise known from None
