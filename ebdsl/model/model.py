"""The checked model: what the planner, the diagrams and the emitter read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from ebdsl.diagnostics import Source, Span
from ebdsl.model.algorithms import Chosen
from ebdsl.model.build import add
from ebdsl.model.ir import Dim, Module, Node, Symbol, Tensor, extent
from ebdsl.model.laws import Law


@dataclass(frozen=True)
class Term:
    """One addend of the energy: ``node`` is its number (sign and weight included).

    ``text`` is how the spec writes it (without leading sign), for explanations and metrics.
    ``span`` is where. ``functions`` are the modules it calls, in order of first use.
    """

    node: Node
    text: str
    span: Span


@dataclass(frozen=True)
class Elimination:
    """``min_z``, ``softmin_z[β]`` or ``E_u``: how latents, or noise, leave the energy.

    ``kind`` in ``min softmin mean``; ``beta`` None but for ``softmin``. Of a ``mean``, ``latents`` are noise.
    """

    kind: str
    latents: tuple[Symbol, ...]
    beta: Node | None = None


@dataclass(frozen=True)
class Answer:
    """``argmin_z E`` in another energy: the value of ``latent`` at which its ``terms`` are least."""

    latent: Symbol
    terms: tuple[Term, ...]
    span: Span

    @property
    def energy(self) -> Node:
        return add(*(t.node for t in self.terms))


@dataclass(frozen=True)
class Setting:
    """One setting of the ``train`` block: ``value`` is a number, a word, a text or a :class:`Word`."""

    key: str
    value: object
    span: Span

    @property
    def word(self) -> Word:
        """The value as a word, with the arguments that it has."""
        return self.value if isinstance(self.value, Word) else Word(str(self.value))


@dataclass(frozen=True)
class Word:
    """``adam(lr = 1e-3)`` in a setting: a head, positional and keyword arguments."""

    head: str
    args: tuple[object, ...] = ()
    keywords: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class Model:
    """A checked spec.

    ``terms`` add up to the energy ``E``; ``eliminations``, outermost first, lead from ``E`` to the
    free energy ``F``. ``dims`` has every named dimension with its size, or None until data is
    bound, in order of declaration. ``amortised`` maps a latent's name to the expression (as a
    :class:`~ebdsl.model.ir.Tensor`) that ``infer z by …`` answers with, ``algorithms`` to one asked for by name.
    ``answers`` are latents that the energy holds as the ``argmin`` of others.
    ``laws`` maps the name of noise to what it is drawn from, ``generated`` is where a generator puts samples.
    """

    name: str
    source: Source
    symbols: tuple[Symbol, ...]
    modules: tuple[Module, ...]
    dims: dict[str, int | None]
    terms: tuple[Term, ...]
    eliminations: tuple[Elimination, ...] = ()
    energy_name: str = "E"
    free_energy_name: str = "F"
    amortised: dict[str, Node] = field(default_factory=dict)
    algorithms: dict[str, Chosen] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    train: tuple[Setting, ...] = ()
    laws: dict[str, Law] = field(default_factory=dict)
    generated: Tensor | None = None
    notes: tuple[str, ...] = ()

    def role(self, *roles: str) -> tuple[Symbol, ...]:
        return tuple(s for s in self.symbols if s.role in roles)

    def symbol(self, name: str) -> Symbol:
        """Raises ``KeyError`` for a name that is not declared."""
        for s in self.symbols:
            if s.name == name:
                return s
        raise KeyError(name)

    def size(self, dim: Dim) -> int | None:
        """Extent of a dimension, None where the data has still to tell."""
        return extent(dim, self.dims)

    def shape(self, symbol: Symbol) -> tuple[int | None, ...]:
        return tuple(self.size(d) for d in symbol.shape)

    def bind(self, sizes: dict[str, int]) -> Model:
        """The same model with free dimensions given a size."""
        return replace(self, dims={**self.dims, **sizes})

    def inner(self, answer: Answer) -> Model:
        """The model whose free energy is the minimum that an answer is at."""
        name = answer.latent.name
        held = answer.energy.symbols | (self.amortised[name].symbols if name in self.amortised else frozenset())
        symbols = tuple(s for s in self.symbols if s.role in ("param", "const") or s in held)
        return replace(
            self, symbols=symbols, terms=answer.terms, eliminations=(Elimination("min", (answer.latent,)),), answers=(),
            amortised={k: v for k, v in self.amortised.items() if k == name},
            algorithms={k: v for k, v in self.algorithms.items() if k == name}, laws={}, generated=None,
        )  # fmt: skip

    @property
    def averaged(self) -> tuple[Symbol, ...]:
        """The noise that expectations are taken over."""
        return tuple(s for e in self.eliminations if e.kind == "mean" for s in e.latents)

    @property
    def shaped(self) -> Symbol | None:
        """The observed variable whose energy is shaped: ``over`` in the strategy, or the last one in the energy."""
        setting = self.setting("strategy")
        said = dict(setting.word.keywords) if setting is not None else {}
        held = [s for s in self.role("observed") if any(s in t.node.symbols for t in self.terms)]
        named = next((s for s in self.role("observed") if s.name == said.get("over")), None)
        return named or (held[-1] if held else None)

    @property
    def answers_otherwise(self) -> bool:
        """Whether a trained model answers with something else than the planner's exact inference."""
        return bool(self.amortised or self.algorithms)

    def setting(self, key: str) -> Setting | None:
        return next((s for s in self.train if s.key == key), None)
