"""Small specs for tests of data."""

from __future__ import annotations

from ebdsl.diagnostics import Source
from ebdsl.driver import check_source
from ebdsl.model.model import Model, Word
from ebdsl.run.data import Data, load


def spec(*observed: str, dims: str = "", data: str = "", name: str = "m.ebm") -> Model:
    """A checked model that observes ``observed`` (``"y : R[M]"``) under an energy that touches each."""
    names = [o.split(":")[0].strip() for o in observed]
    lines = ["model m"] + ([f"dim {dims}"] if dims else [])
    lines += [f"observed {o}" for o in observed]
    lines += [f"F({', '.join(names)}) = {' + '.join(f'||{n}||^2' for n in names)}"]
    lines += ["train", f"    data {data}"] if data else []
    checked = check_source(Source(name, "\n".join(lines) + "\n"))
    assert checked.value is not None, checked.diagnostics
    return checked.value


def got(source: object, *observed: str, dims: str = "", seed: int = 0, holdout: float = 0.0) -> Data:
    """The data, which must be without fault."""
    checked = load(source, spec(*(observed or ("y : R[D]",)), dims=dims), seed, holdout)  # type: ignore[arg-type]
    assert checked.value is not None and not checked.errors, [d.message for d in checked.diagnostics]
    return checked.value


def refused(source: object, *observed: str, dims: str = "", holdout: float = 0.0) -> tuple[str, str]:
    """Code and message (with help) of the one error there must be."""
    checked = load(source, spec(*(observed or ("y : R[D]",)), dims=dims), 0, holdout)  # type: ignore[arg-type]
    assert checked.value is None and len(checked.errors) == 1, checked
    (found,) = checked.errors
    return found.code, " | ".join([found.message, *found.help])


__all__ = ["Word", "got", "refused", "spec"]
