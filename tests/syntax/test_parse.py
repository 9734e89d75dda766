"""From text to tree: declarations, expressions, big operators, modules, train blocks, lines of slides."""

from __future__ import annotations

import re

import pytest

from ebdsl.diagnostics import Source
from ebdsl.syntax import ast, parse, show
from tests.syntax.expressions import AT, number, read_back
from tests.syntax.samples import SLIDES, SPECS


def statements(text: str) -> tuple[ast.Statement, ...]:
    found = parse(Source("text", text))
    assert not found.diagnostics, (text, found.diagnostics)
    assert found.value is not None
    return ast.bare(found.value.statements)


def one(text: str) -> ast.Statement:
    (statement,) = statements(text)
    return statement


def name(id_: str) -> ast.Name:
    return ast.Name(AT, id_)


def domain(text: str) -> tuple[ast.TypeExpr, ...]:
    statement = one(f"latent z : {text}")
    assert isinstance(statement, ast.VarDecl) and statement.type is not None
    return (statement.type, *statement.constraints)


def kind(name_: str, *dims: ast.Expr, args: tuple[ast.Expr, ...] = ()) -> ast.TypeExpr:
    return ast.TypeExpr(AT, name_, dims, args)


@pytest.mark.parametrize("text", [*SPECS, *SLIDES])
def test_samples_parse(text: str) -> None:
    assert statements(text)


def test_sparse_coding_tree() -> None:
    spec = parse(Source("text", SPECS[0])).value
    assert spec is not None
    assert spec.name == "sparse_coding"
    assert [text for _, text in spec.comments] == ['# "Sparse coding" in the talk']
    model, m, n, y, z, w, lam, energy, free, train = ast.bare(spec.statements)
    assert model == ast.ModelName(AT, "sparse_coding")
    assert (m, n) == (ast.DimDecl(AT, name("M"), number(144)), ast.DimDecl(AT, name("N"), number(256)))
    assert y == ast.VarDecl(AT, "observed", name("y"), kind("R", name("M")))
    assert z == ast.VarDecl(AT, "latent", name("z"), kind("R", name("N")))
    assert w == ast.VarDecl(AT, "param", name("W"), kind("R", name("M"), name("N")), (kind("unit columns"),))
    assert lam == ast.ConstDecl(AT, name("λ"), ast.Number(AT, 0.5, "0.5"))
    wz = ast.Product(AT, (("", name("W")), ("", name("z"))))
    residual = ast.Bars(AT, "norm", ast.Sum(AT, ((1, name("y")), (-1, wz))))
    penalty = ast.Product(AT, (("", name("λ")), ("", ast.Bars(AT, "abs", name("z")))))
    body = ast.Sum(AT, ((1, ast.Power(AT, residual, number(2))), (1, penalty)))
    assert energy == ast.Define(AT, name("E"), (name("y"), name("z")), body)
    call = ast.Call(AT, "E", AT, (name("y"), name("z")))
    assert free == ast.Define(AT, name("F"), (name("y"),), ast.BigOp(AT, "min", (name("z"),), call))
    patches = ast.Call(AT, "patches", AT, (name("natural"),), (("size", number(12)),))
    assert train == ast.Train(AT, (ast.Setting(AT, name("data"), patches),))


def test_spans_cover_what_was_written() -> None:
    text = "F(y) = ½ ||y - (W z)||^2 + Σ_k |z[k]|\n"
    spec = parse(Source("text", text)).value
    assert spec is not None
    (define,) = spec.statements
    assert isinstance(define, ast.Define) and isinstance(define.body, ast.Sum)

    def at(node: ast.Expr | ast.Statement) -> str:
        return text[node.span.start : node.span.end]

    assert at(define) == text.strip()
    (_, square), (_, total) = define.body.terms
    assert at(square) == "½ ||y - (W z)||^2"
    assert at(total) == "Σ_k |z[k]|"
    assert isinstance(square, ast.Product) and isinstance(square.factors[2][1], ast.Power)
    norm = square.factors[2][1].base
    assert at(norm) == "||y - (W z)||"
    assert isinstance(norm, ast.Bars) and isinstance(norm.body, ast.Sum)
    assert at(norm.body.terms[1][1]) == "(W z)"
    for _, node in define.body.terms:
        for child in ast.children(node):
            assert node.span.start <= child.span.start and child.span.end <= node.span.end


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("R", (kind("R"),)),
        ("ℝ[N]", (kind("R", name("N")),)),
        ("ℝ^N", (kind("R", name("N")),)),
        ("R^{M×N}", (kind("R", name("M"), name("N")),)),
        ("R^(M x N)", (kind("R", name("M"), name("N")),)),
        ("R[N], >= 0", (kind("R", name("N")), kind(">= 0"))),
        ("R[N] ≥ 0", (kind("R", name("N")), kind(">= 0"))),
        ("R+[N]", (kind("R", name("N")), kind(">= 0"))),
        ("ℝ₊[N]", (kind("R", name("N")), kind(">= 0"))),
        ("R[M,N], unit columns", (kind("R", name("M"), name("N")), kind("unit columns"))),
        ("R[M,N], orthonormal rows, > -1", (kind("R", name("M"), name("N")), kind("orthonormal rows"), kind("> -1"))),
        ("positive definite[N, N]", (kind("positive definite", name("N"), name("N")),)),
        ("low-rank(3)[M, N]", (kind("low-rank", name("M"), name("N"), args=(number(3),)),)),
        ("onehot[K]", (kind("onehot", name("K")),)),
        ("onehot(K)", (kind("onehot", name("K")),)),
        ("simplex(K)", (kind("simplex", name("K")),)),
        ("{0,1}[N]", (kind("{0,1}", name("N")),)),
        ("{0, 1}^N", (kind("{0,1}", name("N")),)),
        ("{-1,1}[N]", (kind("{-1,1}", name("N")),)),
        ("sphere[N]", (kind("sphere", name("N")),)),
        ("ball(1)[N]", (kind("ball", name("N"), args=(number(1),)),)),
        ("box(0, 1)", (kind("box", args=(number(0), number(1))),)),
        ("R[2], box(-1, 1)", (kind("R", number(2)), kind("box", args=(ast.Negate(AT, number(1)), number(1))))),
        ("R[2 K, N + 1]", None),
    ],
)
def test_domains(text: str, expected: tuple[ast.TypeExpr, ...] | None) -> None:
    found = domain(text)
    assert expected is None or found == expected


@pytest.mark.parametrize(("sign"), [":", "∈", "in"])
def test_membership(sign: str) -> None:
    assert one(f"latent z {sign} onehot(K)") == one("latent z : onehot[K]")


def test_declarations_of_several() -> None:
    r2, r3 = kind("R", number(2)), kind("R", number(3))
    x, y = statements("observed x, y : R[2]")
    assert (x, y) == tuple(ast.VarDecl(AT, "observed", name(n), r2) for n in "xy")
    x, y, z = statements("latent x : R[2], >= 0, y : R[3], z in R[2]")
    assert x == ast.VarDecl(AT, "latent", name("x"), r2, (kind(">= 0"),))
    assert (y, z) == (ast.VarDecl(AT, "latent", name("y"), r3), ast.VarDecl(AT, "latent", name("z"), r2))
    a, b, c = statements('const a = 1, b = -2, c : R[2] = file("c.npy")')
    assert a == ast.ConstDecl(AT, name("a"), number(1))
    assert b == ast.ConstDecl(AT, name("b"), ast.Negate(AT, number(2)))
    assert c == ast.ConstDecl(AT, name("c"), ast.Call(AT, "file", AT, (ast.Text(AT, "c.npy"),)), r2)
    assert statements("dim M = 1, N, K = 2 M")[1] == ast.DimDecl(AT, name("N"), None)


def test_indices_time_and_noise() -> None:
    assert statements("index i, j in 1..K") == statements("index i ∈ {1, …, K}; index j = 1..K")
    assert one("time t in 0..T") == ast.IndexDecl(AT, name("t"), number(0), name("T"), True)
    law = ast.Call(AT, "normal", AT, (number(0), number(1)))
    u = ast.VarDecl(AT, "noise", name("u"), kind("R", number(64)), (), (), law)
    assert one("noise u ~ normal(0,1) : R[64]") == u == one("noise u : R[64] ~ normal(0, 1)")
    step = ast.VarDecl(AT, "latent", name("a"), kind("R", number(2)), (), (name("t"),))
    assert one("latent a[t] : R[2]") == step


def test_modules() -> None:
    r4, r2 = kind("R", number(4)), kind("R", number(2))
    two = statements("module f, g : R[4], R[2] -> R[4] = linear(8) >> 2 tanh >> max_pool")
    body = (
        ast.Call(AT, "linear", AT, (number(8),)),
        ast.Product(AT, (("", number(2)), ("", name("tanh")))),
        name("max_pool"),
    )
    assert two == tuple(ast.ModuleDecl(AT, name(n), (r4, r2), r4, body) for n in "fg")
    assert one("module f : R[4] -> R[2]") == ast.ModuleDecl(AT, name("f"), (r4,), r2, None)
    assert one("module f ...") == ast.ModuleDecl(AT, name("f"), (), None, None)
    python = one('module f : R[4] -> R[2] = python("package.module:Class")')
    assert isinstance(python, ast.ModuleDecl) and python.body is not None
    assert python.body[0] == ast.Call(AT, "python", AT, (ast.Text(AT, "package.module:Class"),))


def test_definitions_recurrences_inference() -> None:
    assert one("S = 1") == ast.Define(AT, name("S"), (), number(1))
    recurrence = one("s[t+1] = f(s[t])")
    assert isinstance(recurrence, ast.Equation) and isinstance(recurrence.left, ast.Index)
    assert one("infer z by Enc") == ast.InferBy(AT, name("z"), name("Enc"))
    plan = one("plan a by min_a E")
    assert plan == ast.InferBy(AT, name("a"), ast.BigOp(AT, "min", (name("a"),), name("E")), "plan")


def test_keywords_are_names_elsewhere() -> None:
    text = "const time = 1, data = 2, plan = 3\nindex = time + data\nE(by, model) = by - model + train + index(3)"
    assert len(statements(text)) == 5


# ------------------------------------------------------------------ expressions


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("a - b + c", "(a) - (b) + (c)"),
        ("-a + b", "(-a) + b"),
        ("a b / x * y", "(a) (b) / (x) * (y)"),
        ("-a^2", "-(a^2)"),
        ("x^2^3", "x^(2^3)"),
        ("x^-1", "x⁻¹"),
        ("x²", "x^2"),
        ("x¹²", "x^12"),
        ("x'^2", "(x')^2"),
        ("W^T W", "W' W"),
        ("W′ y", "W' y"),
        ("2z", "2 z"),
        ("½ z", "1/2 z"),
        ("λ ½ z", "λ (1/2) z"),
        ("½^2", "(1/2)^2"),
        ("λz", "λ z"),
        ("α_1 z", "alpha_1 z"),
        ("λ|z|", "lambda |z|"),
        ("Wz", "W z"),
        ("WWz", "W W z"),
        ("a .* b", "a ⊙ b"),
        ("x . y", "x · y"),
        ("x × y", "x * y"),
        ("x ∗ y − z", "x * y - z"),
        ("W_{k}", "W_k"),
        ("Wₖ", "W_k"),
        ("e^{-x}", "exp(-x)"),
        ("e^2", "exp(2)"),
        ("exp[-x]", "exp(-x)"),
        ("log det W", "log(det(W))"),
        ("log x y + z", "log(x y) + z"),
        ("log a log z", "log(a) log(z)"),
        ("√x", "sqrt(x)"),
        ("√2 |x| y", "sqrt(2) |x| y"),
        ("sqrt 2 x", "sqrt(2) x"),
        ("log x y", "log(x y)"),
        ("√(x + y)^2", "sqrt(x + y)^2"),
        ("∞", "inf"),
        ("W (y - z)^2", "W ((y - z)^2)"),
        ("a (y)' ", "a ((y)')"),
        ("z_k(y - z)^2", "z_k ((y - z)^2)"),
        # big operators
        ("Σ_k a_k z_k + x", "(Σ_k (a_k z_k)) + x"),
        ("Σ_k -log x", "Σ_k (-log(x))"),
        ("y Σ_k a_k z / x", "y (Σ_k (a_k z / x))"),
        ("sum_k a_k", "Σ_k a_k"),
        ("∑_k x", "Σₖ x"),
        ("Σ_{k} x", "Σ_k x"),
        ("Σ_{i,j} x", "sum_{i, j} x"),
        ("Σ_{k=1}^W x", "Σ_{k=1..W} x"),
        ("Σ_{k=1}^{W} x", "Σ_{k in 1..W} x"),
        ("Σ_{k=1,…,W} x", "sum_{k=1..W} x"),
        ("prod_k x", "∏_k x"),
        ("mean_k x", "mean_{k} x"),
        ("min_z x + y", "min_z (x + y)"),
        ("a + min_z x + y", "a + (min_z (x + y))"),
        ("-min_z x + y", "-(min_z (x + y))"),
        ("a min_z x + y", "a (min_z (x + y))"),
        ("Σ_k min_z x + y", "Σ_k (min_z (x + y))"),
        ("min_z Σ_k x + y", "min_z ((Σ_k x) + y)"),
        ("min_z [x + y]", "min_{z} (x + y)"),
        ("softmin_z[α] x + y", "softmin_z[alpha] (x + y)"),
        ("∫ x dz", "∫_z x"),
        ("int exp(-x) dz + y", "(∫_z exp(-x)) + y"),
        ("∫ x + y dz", "∫_z (x + y)"),
        ("∫ x dz y", "(∫_z x) y"),
        ("∫ x dy dz", "∫_{y,z} x"),
        ("∫∫ x dy dz", "∫_z (∫_y x)"),
        ("E_u[x] y", "(E_u[x]) y"),
        ("𝔼[x]", "E[x]"),
        ("partial f(x) / partial y", "∂f(x)/∂y"),
    ],
)
def test_same_tree(text: str, same: str) -> None:
    left, right = read_back(text), read_back(same)
    assert left == right, (show(left), show(right))


def test_integrals_name_what_they_bind() -> None:
    tree = read_back("-1/α log ∫ exp(-α x) dz")
    assert show(tree) == "-1/α log(∫_z exp(-α x))"
    assert read_back("log ∫ exp(-x)") == ast.Call(
        AT, "log", AT, (ast.BigOp(AT, "integral", (), ast.Call(AT, "exp", AT, (ast.Negate(AT, name("x")),))),)
    )


def test_declared_names_are_not_taken_apart() -> None:
    spec = statements("param λz, Wz, min_x : R\nparam W, z : R\nE = λz + Wz + min_x z")
    define = spec[-1]
    assert isinstance(define, ast.Define) and show(define.body) == "λz + Wz + min_x z"


def test_calls_and_products() -> None:
    calls = [type(read_back(text)).__name__ for text in ("f(x)", "x(y)", "x(y, z)", "x()", "f (x)", "2 (x)", "(x)(y)")]
    assert calls == ["Call", "Product", "Call", "Call", "Call", "Product", "Product"]
    tree = read_back("f(x, size = 2, β = 3)")
    assert isinstance(tree, ast.Call) and [key for key, _ in tree.keywords] == ["size", "beta"]


def test_indices() -> None:
    assert read_back("W[:, k]") == ast.Index(AT, name("W"), (ast.Slice(AT), name("k")))
    assert read_back("z_{k+1}") == read_back("z[k+1]")
    assert read_back("(W z)_k") == read_back("(W z)[k]")


def test_names_in_one_spelling() -> None:
    left = one("E(lambda_1, µ, y_hat) = Y̌ + lambda_1 ϕ")
    right = one("E(λ₁, μ, ŷ) = Y_check + λ_1 φ")
    assert left == right


# ------------------------------------------------------------------ lines


@pytest.mark.parametrize(
    "text",
    [
        "E = a +\n b",
        "E = a\n + b",
        "E = (a\n+\nb)",
        "E =\n\n a + b",
        "E = a # first\n # between\n + b # second",
        "E\n= a + b",
        "E = (a +\n  # a comment\n  b\n)",
        "  E = a + b",
        "E = a + b;",
        "\ufeffE = a + b\r\n",
        "E = a\t+ b\r",
        "E = a\u00a0+\u2003b",
    ],
)
def test_continuation(text: str) -> None:
    assert one(text) == one("E = a + b")


def test_lines_that_look_continued_and_are_not() -> None:
    assert len(statements("E = a;\nF = b\nG(y) = c; H = d")) == 4
    assert len(parse(Source("text", "E = a +\nlatent z : R\n")).diagnostics) == 1


@pytest.mark.parametrize(
    "text",
    [
        "train\n    epochs 10\n    lr 0.5\n",
        "train:\n  epochs = 10\n  lr: 0.5\n",
        "train epochs 10; lr 0.5",
        "train epochs 10\n    lr 0.5",
        "train: epochs 10; lr 0.5",
        "train\n\tepochs 10\n\n\t# comment\n\tlr 0.5\n",
        "train\n    epochs 10; lr 0.5",
    ],
)
def test_train_blocks(text: str) -> None:
    half = ast.Number(AT, 0.5, "0.5")
    expected = ast.Train(AT, (ast.Setting(AT, name("epochs"), number(10)), ast.Setting(AT, name("lr"), half)))
    assert one(text) == expected


def test_nested_settings() -> None:
    text = (
        "train\n    strategy contrastive(margin = 10)\n        negatives G(u)\n            k 3\n    data spiral(20)\n"
    )
    text += "    verbose\nE = 1\n"
    train, energy = statements(text)
    assert isinstance(train, ast.Train) and isinstance(energy, ast.Define)
    strategy, data, verbose = train.settings
    assert [s.key.id for s in strategy.children] == ["negatives"]
    assert [s.key.id for s in strategy.children[0].children] == ["k"]
    assert (data.children, verbose.value) == ((), None)
    assert one("train\n").settings == ()  # type: ignore[attr-defined]


def test_settings_keep_their_words() -> None:
    train = one('train\n  β 2\n  strategy min_prob_flow(steps = 3)\n  method max_likelihood\n  data "a.npy"\n')
    assert isinstance(train, ast.Train)
    assert [s.key.id for s in train.settings] == ["beta", "strategy", "method", "data"]
    assert isinstance(train.settings[1].value, ast.Call) and train.settings[2].value == name("max_likelihood")


def test_large_sums_are_flat() -> None:
    define = one("E = " + " + ".join(f"x_{i} y" for i in range(1000)))
    assert isinstance(define, ast.Define) and isinstance(define.body, ast.Sum) and len(define.body.terms) == 1000


def test_the_grammar_is_the_reference() -> None:
    """Every terminal that is declared is given by words.py or bars.py, and none else is."""
    from pathlib import Path

    from ebdsl.resources import folder

    grammar = (folder("grammars") / "ebm.lark").read_text(encoding="utf-8")
    declared = {word for line in re.findall(r"%declare (.*)", grammar) for word in line.split()}
    code = "".join(path.read_text(encoding="utf-8") for path in (Path(ast.__file__).parent).glob("*.py"))
    assert declared and all(re.search(rf'"{word}"|BAR\{{', code) for word in declared)
