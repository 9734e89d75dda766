"""What keeps the energy from being flat: which of the talk's seven strategies holds, proved from the spec.

A squared distance ``‖y - g‖²`` is low wherever ``g`` can reach. What ``g`` is made of decides how much of the space
that is: a code of fewer dimensions, finitely many codes, a penalised code, or nothing at all.
"""

from __future__ import annotations

from dataclasses import dataclass

from ebdsl.diagnostics import Diagnostic, Label
from ebdsl.facts.convexity import sign
from ebdsl.facts.normal import normal, split
from ebdsl.infer.penalties import match
from ebdsl.model.algebra import addends, degree, zeroed
from ebdsl.model.ir import ZERO, Add, Apply, Axis, Dim, Get, Module, Mul, Node, Pow, Sum, Symbol, Tensor
from ebdsl.model.model import Model, Term

STRATEGY_WORDS = {
    1: "constant volume of low energy",
    2: "maximum likelihood",
    3: "contrastive",
    4: "score matching",
    5: "constant G",
    6: "denoising and masking",
    7: "regularised latent variable",
}


@dataclass(frozen=True)
class Finding:
    """A hole in the proof: where, why, and the ways out."""

    code: str
    message: str
    term: Term | None
    symbol: Symbol | None
    help: tuple[str, ...]


@dataclass(frozen=True)
class Volume:
    """``strategy``: the talk's number, None where nothing holds; ``reasons``: what was found."""

    strategy: int | None
    reasons: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    def diagnostics(self, model: Model, allow_flat: bool) -> tuple[Diagnostic, ...]:
        result = []
        for f in self.findings:
            labels = []
            if f.term is not None:
                labels.append(Label(f.term.span, "this term alone is low everywhere" if f.symbol is None else ""))
            if f.symbol is not None and f.symbol.span is not None:
                labels.insert(0, Label(f.symbol.span, "nothing bounds it" if f.term is not None else ""))
            d = Diagnostic(f.code, f.message, tuple(labels), f.help)
            if allow_flat and d.severity == "error":
                continue
            result.append(d)
        return tuple(result)


def volume_of_low_energy(model: Model, energy: Node) -> Volume:
    """Judge the free energy of a checked model."""
    chosen = model.setting("strategy")
    if chosen is not None:
        return Volume(None, (f"the spec chooses: {_word(chosen.value)}",))
    if not model.role("param") and not any(_modules(t.node) for t in model.terms):
        return Volume(None, ("nothing is learned: the energy is what the spec says",))
    reasons: list[str] = []
    findings: list[Finding] = []
    strategy: int | None = None
    latents = model.role("latent")
    for term in model.terms:
        for piece in addends(normal(term.node)):
            for y in model.role("observed"):
                if y not in piece.symbols:
                    continue
                judged = _judge_distance(model, energy, term, piece, y) or _judge_wells(term, piece, y, latents)
                if judged is None:
                    continue
                number, reason, finding = judged
                reasons.append(reason)
                if finding is not None:
                    findings.append(finding)
                elif strategy is None or number in (1, 7):
                    strategy = number
    if strategy is not None:
        findings = [f for f in findings if f.code != "EB0510"]
    findings += _unbounded(model, energy, latents)
    if strategy is None and not findings:
        alone = [t for t in model.terms if _modules(t.node) and not latents]
        if alone:
            findings.append(
                Finding(
                    "EB0511", "nothing keeps this energy high off the data: training would only push it down",
                    alone[0], None,
                    ("choose a strategy in the train block: contrastive, score_matching, maximum_likelihood, denoising",
                     "or compare y with a reconstruction through a small code: ||y - Dec(Enc(y))||^2"),
                )
            )  # fmt: skip
    return Volume(strategy, tuple(dict.fromkeys(reasons)), tuple(findings))


def _word(value: object) -> str:
    return str(getattr(value, "head", value))


def _modules(node: Node) -> tuple[Module, ...]:
    from ebdsl.model.algebra import modules_in

    return modules_in(node)


def _judge_distance(
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
    own = [t for t in inner.terms if isinstance(t, Get) and t.symbol == y]
    own += [
        t
        for t in inner.terms
        if isinstance(t, Mul) and any(isinstance(f, Get) and f.symbol == y for f in t.factors) and len(t.symbols) == 1
    ]
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
    return (
        1,
        f"for what is given, {term.text} is a bowl around one prediction: its volume does not depend on the parameters",
        None,
    )


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


def _judge_wells(term: Term, piece: Node, y: Symbol, latents: tuple[Symbol, ...]) -> tuple[int, str, None] | None:
    """Any energy that is convex and quadratic in y at each of finitely many codes."""
    if not latents or not all(s.domain.row.finite for s in latents):
        return None
    if degree(piece, frozenset({y})) != 2:
        return None
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
        return 1, f"the code of {term.text} has {narrow} numbers; it is a bottleneck where {y.name} has more", None
    elif narrow < width:
        return (
            1,
            f"the reconstruction in {term.text} goes through {narrow} numbers, fewer than the {width} of {y.name}",
            None,
        )
    code = f"{narrow}" if narrow is not None else "as many"
    regular = _penalised_codes(model, y)
    if regular:
        return 7, f"the code is penalised by {regular}", None
    return 7, f"{term.text} can copy {y.name}", Finding(
        "EB0510",
        f"this energy is flat: the identity function makes {term.text} zero for every {y.name}",
        term, None,
        (f"the code has {code} numbers and {y.name} has {width if width is not None else 'no more'}: nothing is lost on the way",
         "make the code narrower than the data (strategy 1), or penalise it, + λ|Enc(y)|, with a bounded decoder (7)",
         "or train it as a denoiser: strategy denoising in the train block (6)",
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
    regular = [s for s in free if _regularised(model, s)]
    if len(regular) == len(free):
        names = ", ".join(s.name for s in free)
        return 7, f"{names} is regularised", None
    names = ", ".join(s.name for s in free)
    if width is None and not any(s.shape == y.shape for s in free):
        return 1, f"{names} is taken to have fewer dimensions than {y.name}, whose size the data tells", None
    if symbolic or (width is not None and total < width):
        return 1, f"{names} has fewer dimensions than {y.name}", None
    loose = next(s for s in free if s not in regular)
    return 7, f"{loose.name} is neither small nor penalised", Finding(
        "EB0510", f"this energy is flat: {loose.name} is as large as {y.name} and nothing limits it, so every {y.name} is reached",
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
            note(n.function.output)
            for width in _inner_widths(n.function):
                widths.append(width)
        if isinstance(n, Sum | Tensor) and isinstance(n, Sum):
            # Σ_e W_ke y_e: one number for each free axis of the sum
            note(tuple(a.dim for a in sorted(n.free, key=lambda a: a.name)))
        for c in n.children:
            go(c)

    for t in rest:
        go(t)
    if widths:
        return min(widths), None
    return None, names[0] if names else None


def _inner_widths(module: Module) -> list[int]:
    """Widths that a module's own layers state."""
    return (
        [int(a) for layer in module.layers for a in layer.args if isinstance(a, int) and not isinstance(a, bool)]
        if any(layer.name == "mlp" for layer in module.layers)
        else []
    )


def _numel(model: Model, shape: tuple[Dim, ...]) -> int | None:
    total = 1
    for d in shape:
        size = model.size(d)
        if size is None:
            return None
        total *= size
    return total


def _regularised(model: Model, z: Symbol) -> bool:
    """Whether a term that holds z alone among what varies grows with it, or its domain bounds it."""
    if z.domain.kind in ("simplex", "sphere"):
        return True
    for term in model.terms:
        for piece in addends(normal(term.node)):
            varying = {s for s in piece.symbols if s.per_sample}
            if varying == {z} and not _modules(piece):
                if not isinstance(match(piece, z), str):
                    return True
                if sign(piece) in ("nonnegative", "positive"):
                    return True
            elif z in piece.symbols and _modules(piece) and _near_prediction(piece, z):
                continue
    return z.domain.row.bounded and False


def _near_prediction(piece: Node, z: Symbol) -> bool:
    return False


def _penalised_codes(model: Model, y: Symbol) -> str | None:
    """The text of a term that penalises a learned code of y alone."""
    for term in model.terms:
        for piece in addends(normal(term.node)):
            core = split(piece, frozenset({y})).core
            atom = getattr(core, "atom", "")
            if (_modules(piece) and atom in ("abs",)) or (
                isinstance(core, Pow) and isinstance(core.base, Apply | Sum) and _modules(core)
            ):
                if not any(isinstance(t, Get) for t in getattr(getattr(core, "base", None), "terms", ())):
                    return term.text
    return None


def _unbounded(model: Model, energy: Node, latents: tuple[Symbol, ...]) -> list[Finding]:
    """Scale symmetries that void a penalty: a free dictionary next to a penalised code; a precision without log det."""
    findings: list[Finding] = []
    pieces = [(t, p) for t in model.terms for p in addends(normal(t.node))]
    for z in latents:
        if z.domain.row.finite or z.domain.row.bounded or not _regularised(model, z):
            continue
        partners: set[Symbol] = set()
        for _, piece in pieces:
            if z in piece.symbols:
                partners |= {w for w in piece.symbols if w.role == "param" and _multiplies(piece, w, z)}
        for w in sorted(partners, key=lambda s: s.name):
            free = w.domain.kind in ("real", "nonnegative", "positive")
            held = any(w in p.symbols and not any(s.per_sample for s in p.symbols) for _, p in pieces)
            if free and not held:
                term = next(t for t, p in pieces if w in p.symbols)
                findings.append(
                    Finding(
                        "EB0512",
                        f"nothing bounds {w.name}: with {w.name} c times as large and {z.name} c times as small, the penalty on {z.name} vanishes",
                        term, w,
                        (f"bound it: param {w.name} : R[{', '.join(map(str, w.shape))}], unit columns",
                         f"or penalise it: + μ||{w.name}||^2"),
                    )
                )  # fmt: skip
    for w in model.role("param"):
        findings += _precision(model, w, pieces)
    return findings


def _multiplies(piece: Node, w: Symbol, z: Symbol) -> bool:
    """Whether w and z stand in one product somewhere."""
    if isinstance(piece, Mul):
        has_w = [f for f in piece.factors if w in f.symbols]
        has_z = [f for f in piece.factors if z in f.symbols]
        if any(f is not g for f in has_w for g in has_z):
            return True
    return any(_multiplies(c, w, z) for c in piece.children)


def _precision(model: Model, w: Symbol, pieces: list[tuple[Term, Node]]) -> list[Finding]:
    """A positive weight on the distance to the data that nothing keeps from going to zero."""
    if w.domain.kind not in ("positive", "nonnegative", "psd", "positive definite"):
        return []
    scales, holds = [], []
    for term, piece in pieces:
        if w not in piece.symbols:
            continue
        has_log = _has_log(piece, w)
        if has_log:
            holds.append(term)
        elif any(s.role == "observed" for s in piece.symbols) and _homogeneous(piece, w):
            scales.append(term)
        elif not any(s.role == "observed" for s in piece.symbols):
            holds.append(term)
    if scales and not holds:
        name = w.name
        log = f"½ log det {name}" if len(w.shape) >= 2 else f"½ log {name}"
        return [
            Finding(
                "EB0513", f"nothing keeps {name} from shrinking to zero, which makes the energy zero everywhere",
                scales[0], w, (f"add its log-determinant: - {log}",),
            )
        ]  # fmt: skip
    return []


def _homogeneous(piece: Node, w: Symbol) -> bool:
    """Whether the piece is zero at w = 0 and grows as a power of w: without a constant that no w can shrink."""
    return degree(piece, frozenset({w})) in (1, 2) and zeroed(piece, [w]) == ZERO


def _has_log(node: Node, w: Symbol) -> bool:
    if getattr(node, "atom", "") == "log" and w in node.symbols:
        return True
    if isinstance(node, Apply) and node.function in ("logdet", "logabsdet") and w in node.symbols:
        return True
    return any(_has_log(c, w) for c in node.children)


__all__ = ["Axis", "Volume", "volume_of_low_energy"]
