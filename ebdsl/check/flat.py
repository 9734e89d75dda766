"""The lint on linear codes: zero energy all along a subspace."""

from __future__ import annotations

from ebdsl.check.monomial import monomial
from ebdsl.check.scope import Context
from ebdsl.model import algebra
from ebdsl.model.ir import Add, Get, Lit, Mul, Node, Pow, Sum, Symbol
from ebdsl.model.model import Model


def lint_flat(model: Model, ctx: Context) -> None:
    """EB0405: every term with data is a square that is linear in data and free codes, and a code can make it zero."""
    latents = frozenset(model.role("latent"))
    data = frozenset(model.role("observed"))
    moving = latents | data
    if any(s.domain.kind != "real" for s in latents):
        return
    holding = [t for t in model.terms if t.node.symbols & moving]
    if len(holding) != 1:
        return
    residual = _residual(holding[0].node)
    if residual is None or algebra.degree(residual, moving) != 1:
        return
    addends = residual.terms if isinstance(residual, Add) else (residual,)
    bare = [a for a in addends if _bare(a, data)]
    codes = [a for a in addends if a.symbols & moving and a not in bare]
    if len(bare) != 1 or len(codes) != 1:
        return
    if codes[0].symbols & data - bare[0].symbols:
        return  # a prediction from something else
    params = _params(codes[0])
    if not codes[0].symbols & latents and len(params) < 2:
        return  # y - A y: flat everywhere or nowhere, which the plan decides
    if not params:
        return
    y = next(iter(bare[0].symbols & data))
    ctx.report.add(
        "EB0405",
        f"{holding[0].text} is zero all along the subspace that the code can reach, at any distance",
        (holding[0].span, f"flat in {y.name} along these directions"),
        help=(
            "as a reconstruction error this is fine; as a density it is not: ∫ exp(-βF) diverges, at every β",
            _way_out(codes[0], latents),
        ),
    )


def _way_out(code: Node, latents: frozenset[Symbol]) -> str:
    z = next((s.name for s in code.symbols if s in latents), None)
    return f"to bound it, limit the code: + λ||{z}||^2" if z else "to bound it, limit the code by a penalty"


def _residual(node: Node) -> Node | None:
    """``r`` of ``c Σ r²`` with c > 0."""
    product = monomial(node)
    if len(product.powers) != 1 or product.number <= 0 or product.powers[0][1] != 1:
        return None
    core = product.powers[0][0]
    if isinstance(core, Sum) and isinstance(core.body, Pow) and core.body.exponent == Lit(2.0):
        return core.body.base
    return None


def _bare(node: Node, data: frozenset[Symbol]) -> bool:
    """``y[i]`` or ``-y[i]``."""
    inner = (
        node.factors[-1] if isinstance(node, Mul) and len(node.factors) == 2 and node.factors[0] == Lit(-1.0) else node
    )
    return isinstance(inner, Get) and inner.symbol in data


def _params(node: Node) -> list[Get]:
    """Every entry of a parameter in a node, with repetition."""
    if isinstance(node, Get):
        return [node] if node.symbol.role == "param" else []
    return [g for c in node.children for g in _params(c)]
