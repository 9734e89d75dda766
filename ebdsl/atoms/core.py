"""What an atom is: a row that states each fact once, so that everybody can read it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ebdsl.model.ir import Axis, Dim, Node, Tensor

ANY = (float("-inf"), float("inf"))


@dataclass(frozen=True)
class ScalarAtom:
    """A function of numbers; on tensors it acts entry by entry.

    ``domain`` is where it is defined (closed interval, one for each argument), ``range`` where its
    values lie. ``curvature`` in ``affine convex concave neither``; ``monotone`` in ``increasing
    decreasing neither``, an entry an argument. ``smooth``: differentiable everywhere in its domain.
    ``lipschitz``: bound of the second derivative's size, None where there is none.
    ``derivative(args)`` builds the partial derivatives, one :class:`Node` an argument (a
    subgradient where it is not smooth). ``torch`` is a format string over argument texts,
    ``numpy`` the reference, ``latex`` a format string. ``prox`` names the runtime function
    ``(v, t) -> argmin_x t f(x) + ½(x-v)²``. ``conjugate`` is the convex conjugate on numpy arrays.

    ``even``: f(-x) = f(x), so that a convex f increases on x >= 0. ``positive``: its values
    are greater than 0. ``slope`` bounds the first derivative's size.
    ``prox_negative`` is the proximal function of -f. ``sympy(sp, x, …)`` is the same function in sympy, where
    scalar facts are to be found by algebra. ``module`` is the text of its ``nn.Module``, where there is one.
    ``saturation``: a format string of the distance to the nearest point where it is flat, where it is flat somewhere.
    ``summed`` names the runtime function ``x -> (Σ f(x) over the last axis, f'(x))``, where one is quicker than both.
    Texts of torch use the names ``torch``, ``nn`` and ``F`` (``torch.nn.functional``).
    """

    name: str
    spellings: tuple[str, ...]
    doc: str
    latex: str
    torch: str
    numpy: Callable[..., Any]
    derivative: Callable[[tuple[Node, ...]], tuple[Node, ...]]
    domain: tuple[tuple[float, float], ...] = (ANY,)
    range: tuple[float, float] = ANY
    curvature: str = "neither"
    monotone: tuple[str, ...] = ("neither",)
    smooth: bool = True
    lipschitz: float | None = None
    prox: str | None = None
    conjugate: Callable[..., Any] | None = None
    even: bool = False
    positive: bool = False
    slope: float | None = None
    prox_negative: str | None = None
    sympy: Callable[..., Any] | None = None
    module: str | None = None
    saturation: str | None = None
    summed: str | None = None

    @property
    def arity(self) -> int:
        return len(self.domain)


@dataclass(frozen=True)
class TensorAtom:
    """A function of tensors that index notation can spell out: ``norm1``, ``trace``, ``dot``.

    ``lower(*args)`` gets :class:`Tensor` nodes (numbers have no axes) and gives one. It raises
    ``ShapeError`` when the shapes do not fit. The last ``optional`` of the ``arity`` arguments may be left out.
    ``numpy`` is the reference on arrays, and ``example(rng)`` draws arguments to check the row with.
    """

    name: str
    spellings: tuple[str, ...]
    doc: str
    latex: str
    arity: int
    lower: Callable[..., Tensor]
    numpy: Callable[..., Any]
    example: Callable[[Any], tuple[Any, ...]]
    optional: int = 0


@dataclass(frozen=True)
class OpaqueAtom:
    """A function of tensors that stays one: ``logdet``, ``inverse``, ``conv``.

    ``shape(*shapes)`` gives the result's shape or raises ``ShapeError``; ``torch`` is a format string over
    argument texts that acts on the trailing axes and broadcasts over the leading ones; ``numpy``
    the reference, without leading axes. ``derivative(args, index)`` gives for each argument the
    node d value[index] / d arg[axes], as ``(Tensor over fresh axes of the argument)``, or None where autograd
    must do it. ``linear`` tells for each argument whether the value is linear in it.

    ``torch`` may also use ``{ndim}``, the number of axes of the first argument; ``needs`` names the runtime functions
    in it. ``range`` and ``smooth`` are as for a :class:`ScalarAtom`. ``vjp(args, cotangent)``, with the cotangent a
    :class:`Tensor` over the value's axes, gives for each argument
    the gradient of ``Σ cotangent · value`` as a :class:`Tensor` over fresh axes of the argument. ``curvature`` is that
    of the whole function of all arguments, on positive definite matrices for ``logdet``. ``example(rng)`` draws
    arguments to check the row with.
    """

    name: str
    spellings: tuple[str, ...]
    doc: str
    latex: str
    arity: int
    shape: Callable[..., tuple[Dim, ...]]
    torch: str
    numpy: Callable[..., Any]
    example: Callable[[Any], tuple[Any, ...]]
    derivative: Callable[[tuple[Tensor, ...], tuple[Axis | int, ...]], tuple[Tensor, ...]] | None = None
    linear: tuple[bool, ...] = ()
    curvature: str = "neither"
    vjp: Callable[[tuple[Tensor, ...], Tensor], tuple[Tensor, ...]] | None = None
    needs: tuple[str, ...] = ()
    range: tuple[float, float] = ANY
    smooth: bool = True


@dataclass(frozen=True)
class LayerAtom:
    """A stage of a module: ``linear``, ``mlp``, ``conv``, ``tanh``.

    ``shape(input_shape, output_shape_or_None, args, keywords)`` gives the stage's output shape (``None`` entries are
    not allowed) or raises ``ShapeError``; ``output_shape`` is what the declaration asks for where the stage is the
    last one that can set it. ``torch(input_shape, output_shape, args, keywords)`` gives the text of an ``nn.Module``;
    shapes come as tuples of texts (``("self.M",)`` or ``("144",)``), and ``output_shape`` is the stage's own.
    ``keywords`` are pairs or a mapping. ``needs`` names the classes of ``runtime/layers.py`` that the text uses,
    ``imports(args)`` lines that it wants at the top of the file. ``foreign``: it runs the user's own Python.
    ``examples`` are (input shape, output shape or None, args, keywords) to check the row with.
    """

    name: str
    spellings: tuple[str, ...]
    doc: str
    sets_shape: bool
    shape: Callable[..., tuple[Dim, ...]]
    torch: Callable[..., str]
    keywords: tuple[str, ...] = field(default=())
    needs: tuple[str, ...] = ()
    imports: Callable[[tuple[Any, ...]], tuple[str, ...]] | None = None
    foreign: bool = False
    examples: tuple[tuple[tuple[int, ...], tuple[int, ...] | None, tuple[Any, ...], dict[str, Any]], ...] = ()


class ShapeError(Exception):
    """Shapes do not fit; the message says so in the user's terms. The checker adds the place."""


SCALARS: dict[str, ScalarAtom] = {}
TENSORS: dict[str, TensorAtom] = {}
OPAQUES: dict[str, OpaqueAtom] = {}
LAYERS: dict[str, LayerAtom] = {}
SPELLINGS: dict[str, ScalarAtom | TensorAtom | OpaqueAtom] = {}
LAYER_SPELLINGS: dict[str, LayerAtom] = {}


def register(atom: ScalarAtom | TensorAtom | OpaqueAtom | LayerAtom) -> Any:
    """Add one row. Raises ``ValueError`` for a name or a spelling that is taken.

    A scalar atom of one argument that is defined everywhere is at once an activation of modules.
    """
    tables: dict[type, dict[str, Any]] = {
        ScalarAtom: SCALARS,
        TensorAtom: TENSORS,
        OpaqueAtom: OPAQUES,
        LayerAtom: LAYERS,
    }
    table = tables[type(atom)]
    spellings: dict[str, Any] = LAYER_SPELLINGS if isinstance(atom, LayerAtom) else SPELLINGS
    if atom.name in table:
        raise ValueError(f"atom {atom.name} is registered twice")
    for spelling in atom.spellings:
        if spelling in spellings:
            raise ValueError(f"the spelling {spelling} belongs to {spellings[spelling].name}")
    spellings.update(dict.fromkeys(atom.spellings, atom))
    table[atom.name] = atom
    if isinstance(atom, ScalarAtom) and atom.domain == (ANY,) and atom.spellings:
        register(activation(atom))
    return atom


def activation(atom: ScalarAtom) -> LayerAtom:
    """The layer that applies a scalar atom entry by entry."""
    text = atom.module or f"Pointwise(lambda x: {atom.torch.format('x')})"
    return LayerAtom(
        name=atom.name,
        spellings=atom.spellings,
        doc=f"{atom.doc}, entry by entry",
        sets_shape=False,
        shape=lambda inputs, output, args, keywords: inputs,
        torch=lambda inputs, output, args, keywords: text,
        needs=() if atom.module else ("Pointwise",),
        examples=(((5,), None, (), {}), ((2, 3), None, (), {})),
    )
