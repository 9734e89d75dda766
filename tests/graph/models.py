"""Small models built from the IR by hand, so that the diagrams do not hang on parser and checker."""

from __future__ import annotations

from ebdsl.diagnostics import Source, Span
from ebdsl.model.build import add, fn, fresh, lit, mul, neg, power, sub, sum_over
from ebdsl.model.domains import REAL, Domain
from ebdsl.model.ir import Apply, Axis, Dim, Get, Layer, Module, Node, Symbol, Tensor
from ebdsl.model.model import Elimination, Model, Term

NOWHERE = Span(0, 0)


def symbol(name: str, role: str, *shape: Dim, domain: Domain = REAL, value: float | None = None) -> Symbol:
    return Symbol(name, role, shape, domain, value=value)


def term(text: str, node: Node) -> Term:
    return Term(node, text, NOWHERE)


def model(name: str, symbols: tuple[Symbol, ...], terms: tuple[Term, ...], **more: object) -> Model:
    dims = {d: None for s in symbols for d in s.shape if isinstance(d, str)}
    settings: dict = {"modules": (), "dims": dims, **more}
    return Model(name, Source(f"{name}.ebm", ""), symbols, terms=terms, **settings)


def norm2(body: Node, *axes: Axis) -> Node:
    return sum_over(power(body, 2), axes)


def product(w: Symbol, x: Node, i: Axis, j: Axis) -> Node:
    return sum_over(mul(Get(w, (i, j)), x), (j,))


def apply(f: Module, *args: Tensor, at: tuple[Axis, ...]) -> Node:
    return Apply(f, args, at)


def vector(s: Symbol) -> Tensor:
    axes = tuple(fresh(d) for d in s.shape)
    return Tensor(Get(s, axes), axes)


def sparse_coding(**names: str) -> Model:
    """``E(y, z) = ||y - W z||^2 + λ|z|``; ``names`` renames ``y``, ``z`` and ``W``."""
    y = symbol(names.get("y", "y"), "observed", "M")
    z = symbol(names.get("z", "z"), "latent", "N")
    w = symbol(names.get("W", "W"), "param", "M", "N", domain=Domain("unit columns"))
    weight = symbol("λ", "const", value=0.5)
    m, n, k = fresh("M"), fresh("N"), fresh("N")
    fit = norm2(sub(Get(y, (m,)), product(w, Get(z, (n,)), m, n)), m)
    sparse = mul(Get(weight), sum_over(fn("abs", Get(z, (k,))), (k,)))
    terms = (term(f"||{y.name} - {w.name} {z.name}||^2", fit), term(f"λ|{z.name}|", sparse))
    return model(
        names.get("model", "sparse_coding"),
        (y, z, w, weight),
        terms,
        dims={"M": 144, "N": 256},
        eliminations=(Elimination("min", (z,)),),
    )


def psd() -> Model:
    """Sparse coding with an encoder: ``+ ||z - Enc(y)||^2``, ``infer z by Enc``."""
    base = sparse_coding(model="psd")
    y, z = base.symbol("y"), base.symbol("z")
    encoder = Module("Enc", (("M",),), ("N",), (Layer("linear"), Layer("sh")))
    n = fresh("N")
    near = norm2(sub(Get(z, (n,)), apply(encoder, vector(y), at=(n,))), n)
    k = fresh("N")
    return model(
        "psd",
        base.symbols,
        (base.terms[0], term("||z - Enc(y)||^2", near), base.terms[1]),
        modules=(encoder,),
        dims=base.dims,
        eliminations=base.eliminations,
        amortised={"z": Tensor(apply(encoder, vector(y), at=(k,)), (k,))},
    )


def mixture(kind: str = "softmin", beta: float | None = 1.0) -> Model:
    """``E(y, z) = ||y - W z||^2`` with one-hot ``z``: K-means, or its soft form."""
    y, w = symbol("y", "observed", "D"), symbol("W", "param", "D", "K")
    z = symbol("z", "latent", "K", domain=Domain("onehot"))
    d, k = fresh("D"), fresh("K")
    fit = norm2(sub(Get(y, (d,)), product(w, Get(z, (k,)), d, k)), d)
    away = (Elimination(kind, (z,), lit(beta) if beta is not None else None),)
    return model("mixture", (y, z, w), (term("||y - W z||^2", fit),), dims={"D": None, "K": 20}, eliminations=away)


def pca() -> Model:
    """``F(y) = ||Wᵀ W y - y||^2``, the product flat as the checker may leave it."""
    y, w = symbol("y", "observed", "D"), symbol("W", "param", "K", "D")
    k, i, j = fresh("K"), fresh("D"), fresh("D")
    back = sum_over(mul(Get(w, (k, i)), Get(w, (k, j)), Get(y, (j,))), (k, j))
    return model("pca", (y, w), (term("||Wᵀ W y - y||^2", norm2(sub(back, Get(y, (i,))), i)),), dims={"D": 2, "K": 1})


def auto_encoder() -> Model:
    """``F(y) = ||y - Dec(Enc(y))||^2``, with the encoder in two terms."""
    y = symbol("y", "observed", 784)
    enc = Module("Enc", ((784,),), (32,), (Layer("mlp", (128, "silu")),))
    dec = Module("Dec", ((32,),), (784,), (Layer("mlp", (128, "silu")),))
    i, j, k = fresh(784), fresh(32), fresh(32)
    code = Tensor(apply(enc, vector(y), at=(j,)), (j,))
    fit = norm2(sub(Get(y, (i,)), apply(dec, code, at=(i,))), i)
    small = mul(lit(0.1), norm2(apply(enc, vector(y), at=(k,)), k))
    terms = (term("||y - Dec(Enc(y))||^2", fit), term("0.1 ||Enc(y)||^2", small))
    return model("auto_encoder", (y,), terms, modules=(enc, dec))


def predictor() -> Model:
    """``E(x, y, z) = ||y - Dec(Pred(x), z)||^2 - log π`` with noise in it: several inputs, several roles."""
    x, y = symbol("x", "observed", "P"), symbol("y", "observed", 28, 28)
    z, u = symbol("z", "latent", domain=Domain("box", (0.0, 1.0))), symbol("u", "noise", "P")
    pred = Module("Pred", (("P",),), ("H",), (Layer("mlp", (64,)),))
    dec = Module("Dec", (("H",), ()), (28, 28), (Layer("mlp", (64,)),))
    p, h, r, c = fresh("P"), fresh("H"), fresh(28), fresh(28)
    noisy = Tensor(add(Get(x, (p,)), Get(u, (p,))), (p,))
    hidden = Tensor(apply(pred, noisy, at=(h,)), (h,))
    fit = norm2(sub(Get(y, (r, c)), apply(dec, hidden, vector(z), at=(r, c))), r, c)
    return model(
        "predictor",
        (x, y, z, u),
        (term("||y - Dec(Pred(x + u), z)||^2", fit), term("-½ z^2", neg(power(Get(z), 2)))),
        modules=(pred, dec),
        dims={"P": 3, "H": 8},
        eliminations=(Elimination("min", (z,)),),
    )


def elementwise() -> Model:
    """``||z - tanh(V y + b)||^2 + Σ_n log(1 + z_n²)``: a learned function written as algebra."""
    y, z = symbol("y", "observed", "M"), symbol("z", "latent", "N")
    v, b = symbol("V", "param", "N", "M"), symbol("b", "param", "N")
    n, m, k = fresh("N"), fresh("M"), fresh("N")
    code = fn("tanh", add(product(v, Get(y, (m,)), n, m), Get(b, (n,))))
    fit = norm2(sub(Get(z, (n,)), code), n)
    heavy = sum_over(fn("log", add(lit(1), power(Get(z, (k,)), 2))), (k,))
    return model("elementwise", (y, z, v, b), (term("||z - tanh(V y + b)||^2", fit), term("Σ_n log(1 + z_n²)", heavy)))


ALL = {
    "sparse_coding": sparse_coding,
    "psd": psd,
    "mixture": mixture,
    "pca": pca,
    "auto_encoder": auto_encoder,
    "predictor": predictor,
    "elementwise": elementwise,
}
