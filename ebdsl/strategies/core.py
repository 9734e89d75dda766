"""What a method of a strategy is asked, and what it answers."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ebdsl.model.finding import Finding
from ebdsl.model.ir import Node, Symbol
from ebdsl.model.model import Model, Word

Option = float | int | str


@dataclass(frozen=True)
class Argument:
    """``contrastive_divergence(steps = 10)``: a number in ``[low, high]`` (without ``low`` where ``above``, whole where
    ``count``), or one of ``words``. ``default`` None: the method finds one and says which.
    """

    name: str
    default: Option | None
    doc: str
    low: float = 0.0
    high: float = float("inf")
    above: bool = False
    count: bool = False
    words: tuple[str, ...] = ()

    def problem(self, value: object) -> str | None:
        """What is wrong with a value, None where nothing is."""
        if self.words:
            return (
                None if value in self.words else f"{self.name} is one of {', '.join(self.words)}, and {value} is none"
            )
        if isinstance(value, bool) or not isinstance(value, int | float):
            return f"{self.name} is a number, and {value} is none"
        if self.count and value != int(value):
            return f"{self.name} is a whole number, and {value:g} is none"
        if value < self.low or value > self.high or (self.above and value == self.low):
            least = f"above {self.low:g}" if self.above else f"at least {self.low:g}"
            most = f" and at most {self.high:g}" if self.high < float("inf") else ""
            return f"{self.name} is {least}{most}, and not {value:g}"
        return None


BETA = Argument("beta", 1, "inverse temperature: probabilities are proportional to exp(-β F)", above=True)


@dataclass(frozen=True)
class Case:
    """An energy that a method is asked about.

    ``over`` is the observed variable whose energy is shaped, ``given`` the other observed ones. ``argmin``: latents
    leave by a search, so that second derivatives of the free energy are not those of the energy at the answer.
    """

    model: Model
    energy: Node
    over: Symbol
    given: tuple[Symbol, ...]
    options: Mapping[str, Option | None]
    argmin: bool = False

    def size(self) -> int | None:
        """Numbers in ``over``; None while a dimension is free."""
        total = 1
        for extent in self.model.shape(self.over):
            if extent is None:
                return None
            total *= extent
        return total

    @property
    def real(self) -> bool:
        return self.over.domain.kind == "real"

    @property
    def binary(self) -> bool:
        return self.over.domain.kind == "binary"

    def number(self, name: str, default: float | None = None) -> float:
        value = self.options[name]
        found = default if value is None else value
        assert isinstance(found, int | float)
        return found


@dataclass(frozen=True)
class Use:
    """A method that applies: what ``explain`` says, and what the learner holds.

    ``loss`` is the text of a call that gives a loss and a report, a dict of 0-dim tensors with ``energy`` first. In it
    and in ``start`` (statements, run once with ``data``) ``{y}`` is the variable, ``{given}`` the tuple of those given,
    ``{given:x}`` one of them, ``{shape}`` its shape; ``free_energy(y, *given)``, ``model``, ``self.state`` and
    ``self.generator`` are at hand.
    ``state`` maps names of tensors that are kept between steps to the text of their start, ``learned`` names of
    parameters of the method itself to that of theirs. ``adversary``: the text of a generator's loss, whose samples
    are ``made`` there and in ``loss``; ``rate``: its step size, in units of the energy's. ``findings`` are
    what may void it all the same.
    """

    loss: str
    facts: tuple[str, ...]
    cost: str
    guarantee: str = "local"
    start: tuple[str, ...] = ()
    state: tuple[tuple[str, str], ...] = ()
    learned: tuple[tuple[str, str], ...] = ()
    adversary: str = ""
    rate: float = 1
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class No:
    """A method that does not apply, and the fact that refused it. ``instead``: ways out."""

    reason: str
    instead: tuple[str, ...] = ()


@dataclass(frozen=True)
class Method:
    """A word of ``strategy``. ``number`` is that of its strategy in the talk.

    ``generator``: one may make its negatives.
    """

    name: str
    number: int
    doc: str
    consider: Callable[[Case], Use | No]
    arguments: tuple[Argument, ...] = ()
    source: str = ""
    generator: bool = False


@dataclass(frozen=True)
class Chosen:
    """The method of a plan. ``refused`` are the others that do not apply, ``open`` those that would."""

    method: Method
    case: Case
    use: Use
    open: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = field(default=())


METHODS: dict[str, Method] = {}


def register(method: Method) -> Method:
    """Add one row. Raises ``ValueError`` for a name that is taken."""
    if method.name in METHODS:
        raise ValueError(f"method {method.name} is registered twice")
    METHODS[method.name] = method
    return method


def load_methods() -> dict[str, Method]:
    """Import every file of ``strategies/methods``: each registers its own."""
    from ebdsl.strategies import methods

    for module in pkgutil.iter_modules(methods.__path__):
        importlib.import_module(f"{methods.__name__}.{module.name}")
    return METHODS


def words() -> dict[str, tuple[str, ...]]:
    """Names of the methods and of what may be said of each. ``over`` can be said of all."""
    return {m.name: (*(a.name for a in m.arguments), "over") for m in load_methods().values()}


def problem(word: object) -> tuple[str, str] | None:
    """Name of an argument with a wrong value, and what is wrong; None where nothing is."""
    if not isinstance(word, Word):
        return None
    rows = {a.name: a for a in load_methods()[word.head].arguments}
    for name, value in word.keywords:
        wrong = rows[name].problem(value) if name in rows else None
        if wrong:
            return name, wrong
    return None


def options(method: Method, word: object) -> dict[str, Option | None]:
    """All options of a method: those of the spec, and defaults."""
    said = dict(word.keywords) if isinstance(word, Word) else {}
    return {a.name: said.get(a.name, a.default) for a in method.arguments}  # type: ignore[misc]


def choose(model: Model, energy: Node, argmin: bool) -> Chosen | tuple[str, No] | None:
    """The method that the spec asks for, or its name and why not; None where it asks for none."""
    setting = model.setting("strategy")
    if setting is None:
        return None
    name = setting.value.head if isinstance(setting.value, Word) else str(setting.value)
    said = dict(setting.value.keywords) if isinstance(setting.value, Word) else {}
    observed = model.role("observed")
    held = [s for s in observed if s in energy.symbols]
    wanted = said.get("over")
    if wanted is not None and wanted not in [s.name for s in observed]:
        return name, No(f"{wanted} is not an observed variable", tuple(f"over = {s.name}" for s in held))
    if not held:
        return name, No("the energy holds no observed variable")
    over = model.symbol(str(wanted)) if wanted is not None else held[-1]
    given = tuple(s for s in observed if s != over)

    def ask(method: Method, word: object) -> tuple[Case, Use | No]:
        case = Case(model, energy, over, given, options(method, word), argmin)
        return case, method.consider(case)

    method = load_methods()[name]
    case, answer = ask(method, setting.value)
    if isinstance(answer, No):
        return name, answer
    others = {m.name: ask(m, None)[1] for m in METHODS.values() if m is not method}
    return Chosen(
        method,
        case,
        answer,
        tuple(n for n, a in others.items() if isinstance(a, Use)),
        tuple((n, a.reason) for n, a in others.items() if isinstance(a, No)),
    )
