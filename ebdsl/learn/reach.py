"""What a reconstruction can reach: a squared distance ``‖y - g‖²`` is low wherever ``g`` can go."""

from __future__ import annotations

from ebdsl.facts.convexity import sign
from ebdsl.facts.forms import flatten
from ebdsl.facts.normal import normal, split
from ebdsl.facts.quadratic import quadratic
from ebdsl.learn.limits import limited
from ebdsl.learn.noisy_codes import judge_noise
from ebdsl.model.algebra import addends, degree, factors_of, modules_in
from ebdsl.model.build import add
from ebdsl.model.finding import Finding
from ebdsl.model.ir import Add, Apply, Axis, Dim, Get, Module, Mul, Node, Pow, Sum, Symbol
from ebdsl.model.model import Model, Term


def judge_distance(
    model: Model, energy: Node, term: Term, piece: Node, y: Symbol
) -> tuple[int, str, Finding | None] | None:
    """Judge ``c Σ (a y - g)²`` (or ``Σ |y - g|``): strategy, reason, and a finding where ``g`` can be ``y``."""
    core = split(piece, frozenset({y})).core
    inner: Node | None = None
    if isinstance(core, Pow) and isinstance(core.base, Add):
        inner = core.base
    elif getattr(core, "atom", "") in ("abs", "huber") and isinstance(core.args[0], Add):  # type: ignore[attr-defined]
        inner = core.args[0]  # type: ignore[attr-defined]
    if isinstance(core, Pow) and isinstance(core.base, Sum):
        inner_part = split(core.base, frozenset({y})).core
        if isinstance(inner_part, Pow) and isinstance(inner_part.base, Add):
            inner = inner_part.base
    if not isinstance(inner, Add):
        return None
    own: list[Node] = [t for t in inner.terms if isinstance(t, Get | Mul) and t.symbols == {y} and _entry(t, y)]
    if not own:
        return None
    rest = [t for t in inner.terms if t not in own]
    latents = frozenset(model.role("latent"))
    through_y = [t for t in rest if y in t.symbols and not _apart(_places(own, y), _places([t], y))]
    held = frozenset(s for t in rest for s in t.symbols) & latents
    if through_y and not held:
        return _through_own_code(model, term, through_y, y)
    if held:
        return _through_latents(model, energy, term, held, y)
    weighed = piece.symbols & latents and all(s.domain.row.finite for s in latents)
    return _wells(y, model.role("latent")) if weighed else _bowl(term)


def _bowl(term: Term) -> tuple[int, str, None]:
    around = "is a bowl around one prediction: its volume does not depend on the parameters"
    return 1, f"for what is given, {term.text} {around}", None


def judge_square(model: Model, energy: Node, y: Symbol) -> tuple[int, str, Finding | None] | None:
    """The same for a square that was multiplied out: where all terms in y together are ``c ‖y - g‖²`` and a rest."""
    held = [(t, p) for t in model.terms for p in addends(normal(t.node)) if _bare(p, y)]
    form = quadratic(add(*(p for _, p in held)), y)
    if form is None or not form.diagonal or sign(form.matrix) != "positive":
        return None
    if any(s.role != "const" for s in form.matrix.symbols):
        return None
    latents = frozenset(model.role("latent")) & form.linear.symbols
    return _through_latents(model, energy, held[0][0], latents, y) if latents else _bowl(held[0][0])


def _numbers(count: int) -> str:
    return f"{count} number{'s' * (count != 1)}"


def _entry(node: Node, y: Symbol) -> bool:
    """An entry of y, perhaps times a number."""
    factors = factors_of(node)
    return any(isinstance(f, Get) and f.symbol == y for f in factors)


def _apart(some: set[tuple[int, ...]], others: set[tuple[int, ...]]) -> bool:
    """Whether one entry of a vector is compared with what others say: ``(y[1] - w y[0]^2)^2`` copies nothing."""
    return bool(some) and bool(others) and some.isdisjoint(others)


def _places(nodes: list[Node], y: Symbol) -> set[tuple[int, ...]]:
    """The entries of y that nodes pick by number; empty where one takes an axis, and so any entry."""
    found: set[tuple[int, ...]] = set()
    stack = list(nodes)
    while stack:
        n = stack.pop()
        if isinstance(n, Get) and n.symbol == y:
            if not all(isinstance(i, int) for i in n.index) or not n.index:
                return set()
            found.add(tuple(i for i in n.index if isinstance(i, int)))
        stack += n.children
    return found


def judge_wells(term: Term, piece: Node, y: Symbol, latents: tuple[Symbol, ...]) -> tuple[int, str, None] | None:
    """Any energy that is convex and quadratic in y at each of finitely many codes."""
    if not latents or not all(s.domain.row.finite for s in latents):
        return None
    if degree(piece, frozenset({y})) != 2:
        return None
    return _wells(y, latents)


def _wells(y: Symbol, latents: tuple[Symbol, ...]) -> tuple[int, str, None]:
    names = ", ".join(s.name for s in latents)
    return 1, f"for each of the finitely many values of {names}, the energy is a bowl in {y.name}", None


def _through_own_code(model: Model, term: Term, rest: list[Node], y: Symbol) -> tuple[int, str, Finding | None]:
    """The reconstruction sees y itself: only a bottleneck narrower than y keeps it from copying."""
    width = _numel(model, y.shape)
    narrow, name = _bottleneck(model, rest, y)
    if narrow is None:
        # dimensions the data has yet to tell: named ones that differ are taken to be narrower
        if name is not None:
            return 1, f"the code of {term.text} has dimension {name}, taken to be less than that of {y.name}", None
    elif width is None:
        return 1, f"the code of {term.text} has {_numbers(narrow)}; it is a bottleneck where {y.name} has more", None
    elif narrow < width:
        return (
            1,
            f"the reconstruction in {term.text} goes through {_numbers(narrow)}, fewer than the {width} of {y.name}",
            None,
        )
    code = f"{narrow}" if narrow is not None else "as many"
    noisy = judge_noise(model, term)
    if noisy is not None:
        return noisy
    regular = _penalised_codes(model, y)
    if regular:
        return 7, f"the code is penalised by {regular}", None
    return 7, f"{term.text} can copy {y.name}", Finding(
        "EB0510",
        f"this energy is flat: the identity function makes {term.text} zero for every {y.name}",
        term, None,
        (f"the code has {code} numbers and {y.name} has {width}: nothing is lost on the way",
         "make the code narrower than the data (strategy 1), or penalise it, + λ|Enc(y)|, with a bounded decoder (7)",
         "or use a sparse latent variable: E(y, z) = ||y - W z||^2 + λ|z| with unit columns (7)"),
    )  # fmt: skip


def _through_latents(
    model: Model, energy: Node, term: Term, held: frozenset[Symbol], y: Symbol
) -> tuple[int, str, Finding | None]:
    latents = [s for s in model.role("latent") if s in held]
    finite = [s for s in latents if s.domain.row.finite]
    free = [s for s in latents if not s.domain.row.finite]
    if not free:
        names = ", ".join(s.name for s in finite)
        return 1, f"finitely many values of {names}: low energy is a union of wells of fixed shape", None
    total, width = 0, _numel(model, y.shape)
    symbolic = False
    for s in free:
        n = _numel(model, s.shape)
        if n is None:
            symbolic = symbolic or s.shape != y.shape
        else:
            total += n
    kept = limited(model, y)
    regular = [s for s in free if s in kept]
    if len(regular) == len(free):
        names = ", ".join(s.name for s in free)
        return 7, f"{names} {'is' if len(free) == 1 else 'are'} regularised", None
    names = ", ".join(s.name for s in free)
    if width is None and not any(s.shape == y.shape for s in free):
        return 1, f"{names} is taken to have fewer dimensions than {y.name}, whose size the data tells", None
    if symbolic or (width is not None and total < width):
        return 1, f"{names} has fewer dimensions than {y.name}", None
    left = [s for s in free if s not in regular]
    sizes = [_numel(model, s.shape) for s in left]
    if width is not None and sum(n or width for n in sizes) < width:
        few, many = (", ".join(s.name for s in which) for which in (left, regular))
        return 7, f"{many} is regularised, and {few} has fewer dimensions than {y.name}", None
    loose = left[0]
    moving = {s for t in model.terms if t != term and loose in t.node.symbols for s in t.node.symbols if s.per_sample}
    limits = "nothing limits it"
    if moving:
        beside = ", ".join(sorted(s.name for s in moving - {loose, *kept}))
        limits = f"what else holds it moves with {beside}" if beside else "no term grows with it everywhere"
    return 7, f"{loose.name} is neither small nor penalised", Finding(
        "EB0510",
        f"this energy is flat: {loose.name} is as large as {y.name}, and {limits}: it reaches every {y.name}",
        term, None,
        (f"penalise it: + λ|{loose.name}| or + λ||{loose.name}||^2 (strategy 7)",
         f"or make it smaller than {y.name}, or discrete: {loose.name} : onehot[K] (strategy 1)"),
    )  # fmt: skip


def _bottleneck(model: Model, rest: list[Node], y: Symbol) -> tuple[int | None, str | None]:
    """The narrowest width on the way from y to the reconstruction: modules' outputs and linear maps."""
    widths: list[int] = []
    names: list[str] = []

    def note(shape: tuple[Dim, ...]) -> None:
        n = _numel(model, shape)
        if n is not None:
            widths.append(n)
        elif shape != y.shape:
            names.append(" × ".join(map(str, shape)))

    def go(n: Node) -> None:
        if y not in n.symbols:
            return
        if isinstance(n, Apply) and isinstance(n.function, Module):
            if n not in tops:  # the reconstruction itself is no code
                note(n.function.output)
            for width in _inner_widths(n.function):
                widths.append(width)
        if isinstance(n, Sum):
            # Σ_e W_ke y_e: one number for each free axis of the sum
            note(tuple(a.dim for a in sorted(n.free, key=lambda a: a.name)))
            for a in _bridges(n, y):
                note((a.dim,))
        for c in n.children:
            go(c)

    tops = {f for t in rest for f in factors_of(t)}
    for t in rest:
        go(t)
    if widths:
        return min(widths), None
    return None, names[0] if names else None


def _bridges(node: Sum, y: Symbol) -> list[Axis]:
    """Axes that alone tie y to the result of a product: k in ``Σ_jk W_ki W_kj y_j``, however it is bracketed."""
    axes, factors = flatten(node)
    found = []
    for a in axes:
        reached = [f for f in factors if y in f.symbols]
        rest = [f for f in factors if y not in f.symbols]
        for f in reached:  # grows as factors are reached through axes other than a
            near = [g for g in rest if (f.free & g.free) - {a}]
            reached += near
            rest = [g for g in rest if g not in near]
        if not any(f.free & node.free for f in reached):
            found.append(a)
    return found


def _inner_widths(module: Module) -> list[int]:
    """Widths that a module's own layers state."""
    return (
        [int(a) for layer in module.layers for a in layer.args if isinstance(a, int) and not isinstance(a, bool)]
        if any(layer.name == "mlp" for layer in module.layers)
        else []
    )


def _penalised_codes(model: Model, y: Symbol) -> str | None:
    """The text of a term that penalises a learned code of y alone."""
    for term in model.terms:
        for piece in addends(normal(term.node)):
            core = split(piece, frozenset({y})).core
            atom = getattr(core, "atom", "")
            squared = isinstance(core, Pow) and isinstance(core.base, Apply | Sum) and modules_in(core)
            if (squared or (modules_in(piece) and atom == "abs")) and not _bare(core, y):
                return term.text
    return None


def _bare(node: Node, y: Symbol) -> bool:
    """Whether y stands in the node outside learned functions."""
    if isinstance(node, Apply) and isinstance(node.function, Module):
        return False
    return (isinstance(node, Get) and node.symbol == y) or any(_bare(c, y) for c in node.children)


def _numel(model: Model, shape: tuple[Dim, ...]) -> int | None:
    total = 1
    for d in shape:
        size = model.size(d)
        if size is None:
            return None
        total *= size
    return total
