"""The model as an ``nn.Module``: parameters, terms, energy, reconstruction."""

from __future__ import annotations

from ebdsl.emit.argmins import answer_lines
from ebdsl.emit.context import Context, called
from ebdsl.emit.elimination import part_lines
from ebdsl.emit.fused import fused_lines
from ebdsl.emit.gaussian import posterior_lines
from ebdsl.emit.generator import generate_lines
from ebdsl.emit.inference import free_energy_lines, infer_lines
from ebdsl.emit.learner_sweeps import improve_lines
from ebdsl.emit.modules import module_text
from ebdsl.emit.named import encode_lines, encoder_init_lines
from ebdsl.emit.nested import averaged_lines
from ebdsl.emit.noise import code_lines, draws_init_lines, draws_lines
from ebdsl.emit.quadrature import node_lines
from ebdsl.emit.recurrences import recurrence_lines
from ebdsl.emit.scores import state_lines
from ebdsl.emit.text import quoted, tuple_text
from ebdsl.emit.values import bracket, number
from ebdsl.facts.moments import at_means
from ebdsl.facts.normal import normal
from ebdsl.infer.rules.each_state import EachState
from ebdsl.infer.rules.elimination import Elimination
from ebdsl.infer.rules.enumeration import Enumeration
from ebdsl.infer.rules.gaussian import Gaussian
from ebdsl.infer.rules.nested import OfMinima, OfSoftmin
from ebdsl.infer.rules.quadrature import Quadrature
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, Dim, Symbol
from ebdsl.plan import Plan


def model_lines(c: Context, top: list[str]) -> list[str]:
    model, plan = c.model, c.plan
    shapes = {role: model.role(role) for role in ("observed", "latent", "param")}

    def table(symbols: tuple[Symbol, ...]) -> str:
        rows = ", ".join(f'"{c.name(s)}": {tuple_text([quoted(_dim_text(c, d)) for d in s.shape])}' for s in symbols)
        return "{" + rows + "}"

    lines = [
        f"class {c.class_name}(nn.Module):",
        f'    """{_energy_doc(plan)}"""',
        "",
        f"    OBSERVED = {table(shapes['observed'])}",
        f"    LATENT = {table(shapes['latent'])}",
        f"    PARAMS = {tuple_text([quoted(c.name(s)) for s in shapes['param']])}",
        "",
        *_init_lines(c, top),
        "",
        *recurrence_lines(c),
        *_terms_lines(c),
        "",
        *_energy_lines(c),
        "",
    ]
    if any(isinstance(d.payload, Enumeration) for d in plan.inference):
        lines += [*state_lines(c), ""]
    for d in plan.inference:
        if isinstance(d.payload, Gaussian):
            lines += [*posterior_lines(c, d.payload), ""]
        if isinstance(d.payload, Quadrature):
            lines += [*node_lines(c, d.payload), ""]
        if isinstance(d.payload, OfSoftmin):
            lines += [*averaged_lines(c, d.payload), ""]
        if isinstance(d.payload, Elimination):
            lines += [*part_lines(c, d.payload), ""]
    own = (answer_lines(c),) if plan.answers else (encode_lines(c), draws_lines(c), fused_lines(c))
    for more in own:
        lines += [*more, ""] if more else []
    lines += [*infer_lines(c), "", *free_energy_lines(c)]
    reconstruction = _reconstruct_lines(c)
    if reconstruction:
        lines += ["", *reconstruction]
    for more in (code_lines(c), generate_lines(c), improve_lines(c)):
        lines += ["", *more] if more else []
    return lines


def _dim_text(c: Context, dim: Dim) -> str:
    return c.dim(dim).removeprefix("self.")


def _energy_doc(plan: Plan) -> str:
    m = plan.model
    observed = ", ".join(s.name for s in m.role("observed"))
    latents = ", ".join(s.name for s in m.role("latent"))
    noise = ", ".join(s.name for s in m.averaged)
    over = (f", with latent {latents}" if latents else "") + (f", in the mean over {noise}" if noise else "")
    return f"The energy of {observed}{over}."


def _init_lines(c: Context, top: list[str]) -> list[str]:
    model = c.model
    dims = list(model.dims)
    keywords = []
    for d in dims:
        size = model.dims[d]
        keywords.append(f"{c.names[d]}: int" + (f" = {size}" if size is not None else ""))
    consts = [s for s in model.symbols if s.role == "const"]
    keywords.sort(key=lambda k: " = " in k)
    for s in consts:
        keywords.append(f"{c.name(s)}: float" + (f" = {s.value!r}" if s.value is not None else ""))
    keywords += ["seed: int = 0", "dtype: torch.dtype = torch.float32"]
    one = f"    def __init__(self, *, {', '.join(keywords)}) -> None:"
    lines = (
        [one]
        if len(one) <= 120
        else [
            "    def __init__(",
            "        self,",
            "        *,",
            *(f"        {k}," for k in keywords),
            "    ) -> None:",
        ]
    )
    lines += ["        super().__init__()"]
    lines += [f"        self.{c.names[d]} = {c.names[d]}" for d in dims]
    lines += [f"        self.{c.name(s)} = {c.name(s)}" for s in consts]
    params = model.role("param")
    if params:
        lines.append("        generator = torch.Generator().manual_seed(seed)")
    for s in params:
        shape = tuple_text([c.dim(d, "self").removeprefix("self.") for d in s.shape])
        options = 'dtype=dtype, device="cpu", generator=generator'
        row = s.domain.row
        n = c.dim(s.shape[-1], "self").removeprefix("self.") if s.shape else "1"
        text = row.draw.format(
            *(f"{number(a)}" for a in s.domain.args), shape=shape, options=options, n=n, ndim=len(s.shape)
        )
        c.runtime |= called(text)
        lines.append(f"        self.{c.name(s)} = nn.Parameter({text})")
    if c.plan.modules or model.modules:
        lines.append("        with torch.random.fork_rng(devices=[]):")
        lines.append("            torch.manual_seed(seed)")
        for m in model.modules:
            text, needs, imports = module_text(m, lambda d: c.dim(d, "self").removeprefix("self."))
            c.runtime |= needs
            top += imports
            first, *rest = text.split("\n")
            lines.append(f"            self.{c.name(m)} = {first}")
            lines += ["            " + r for r in rest]
        lines.append("        self.to(dtype)")
    lines += encoder_init_lines(c)
    if any(not a.unrolled for a in c.plan.answers):
        lines.append('        self.register_buffer("adjoint_residual", torch.zeros((), dtype=dtype), persistent=False)')
    lines += draws_init_lines(c)
    for symbol in _tabulated(c):
        lines += _table_lines(c, symbol)
    for decision in c.plan.inference:
        if isinstance(decision.payload, Elimination):
            lines += [x for s in decision.payload.latents if s.domain.kind != "onehot" for x in _point_lines(c, s)]
    return lines


def _tabulated(c: Context) -> list[Symbol]:
    """The finite latents whose values inference reads from a table."""
    found: list[Symbol] = []
    for decision in c.plan.inference:
        if isinstance(decision.payload, Enumeration | Gaussian | OfSoftmin):
            found += [s.symbol for s in decision.payload.states if s.table is not None]
        if isinstance(decision.payload, EachState | OfMinima):
            found += decision.payload.finite
    return found


def _point_lines(c: Context, symbol: Symbol) -> list[str]:
    """A buffer with the values of one entry of a finite latent."""
    text = symbol.domain.row.points_torch
    assert text is not None
    points = text.format(n="1", options="dtype=dtype")
    return [f'        self.register_buffer("{c.name(symbol)}_points", {points}, persistent=False)']


def _table_lines(c: Context, symbol: Symbol) -> list[str]:
    """A buffer with every value of a finite latent."""
    row = symbol.domain.row
    whole = symbol.shape[len(symbol.shape) - row.whole :] if row.whole else ()
    free = symbol.shape[: len(symbol.shape) - row.whole]
    n = c.dim(whole[-1]) if whole else "1"
    assert row.points_torch is not None  # every finite kind has it
    points = row.points_torch.format(n=n, options="dtype=dtype")
    c.runtime |= {"all_assignments"}
    count = " * ".join(bracket(c.dim(d)) for d in free) or "1"
    sizes = "".join(f", {c.dim(d)}" for d in symbol.shape)
    name = f"{c.name(symbol)}_values"
    values = f"all_assignments({points}, {count}).reshape(-1{sizes})"
    return [f'        self.register_buffer("{name}", {values}, persistent=False)']


def _terms_lines(c: Context) -> list[str]:
    scope = c.scope()
    nodes = [(t, with_batch(normal(t.node))) for t in c.model.terms]
    scope.count(*(n for _, n in nodes))
    values = [(t, scope.tensor(n, (BATCH,))) for t, n in nodes]
    lines = [
        f"    def terms(self, {c.typed((*c.observed, *c.latents))}) -> dict[str, Tensor]:",
        '        """The energy of each sample, ``(B,)``, term by term."""',
        *("        " + x for x in scope.lines),
        "        return {",
    ]
    lines += [f"            {quoted(t.text)}: {v.code}," for t, v in values]
    return [*lines, "        }"]


def _energy_lines(c: Context) -> list[str]:
    args = c.args((*c.observed, *c.latents))
    return [
        f"    def energy(self, {c.typed((*c.observed, *c.latents))}) -> Tensor:",
        '        """The energy of each sample, ``(B,)``."""',
        f"        return torch.stack(tuple(self.terms({args}).values())).sum(0)" if len(c.model.terms) > 1
        else f"        return next(iter(self.terms({args}).values()))",
    ]  # fmt: skip


def _reconstruct_lines(c: Context) -> list[str]:
    """``reconstruct``: what a squared distance compares the observed with, where there is one."""
    from ebdsl.facts.reconstruction import reconstruction

    found = reconstruction(c.model)
    if found is None:
        return []
    target, node, axes = found
    noisy = ", noise at its mean" if any(s.role == "noise" for s in node.symbols) else ""
    node = at_means(node, {s: c.model.laws[s.name] for s in node.symbols if s.role == "noise"})
    scope = c.scope()
    scope.count(with_batch(node))
    value = scope.tensor(with_batch(node), (BATCH, *axes))
    needed = tuple(s for s in (*c.observed, *c.latents) if s in node.symbols)
    return [
        f"    def reconstruct(self, {c.typed(needed) or c.typed((target,))}) -> Tensor:",
        f'        """What the energy compares ``{c.name(target)}`` with{noisy}."""',
        *("        " + x for x in scope.lines),
        f"        return {value.code}",
    ]
