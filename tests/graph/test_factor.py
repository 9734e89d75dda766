"""The factor graph: which variables, functions and energies there are, and what is linked to what."""

from __future__ import annotations

import networkx as nx
import pytest

from ebdsl.graph import factor_graph
from ebdsl.model.build import fresh, lit, mul, sub, sum_over
from ebdsl.model.ir import Get
from tests.graph import models


def nodes(graph: nx.MultiDiGraph, kind: str) -> list[str]:
    return [d["label"] for _, d in graph.nodes(data=True) if d["kind"] == kind]


def links(graph: nx.MultiDiGraph) -> set[tuple[str, str, str]]:
    """``(tail, head, dims)`` in the words of the labels."""
    label = dict(graph.nodes(data="label"))
    return {(label[a], label[b], d["dims"]) for a, b, d in graph.edges(data=True)}


def test_sparse_coding() -> None:
    g = factor_graph(models.sparse_coding())
    assert nodes(g, "variable") == ["y", "z"]
    assert nodes(g, "function") == ["W"]
    assert nodes(g, "energy") == ["||y - W z||^2", "λ|z|"]
    assert links(g) == {
        ("y", "||y - W z||^2", "M = 144"),
        ("W", "W", "144 × 256"),
        ("z", "W", "N = 256"),
        ("W", "||y - W z||^2", "M = 144"),
        ("z", "λ|z|", "N = 256"),
    }
    assert g.nodes["variable z"]["mark"] == "min"
    assert g.nodes["variable y"]["mark"] is None
    assert g.graph["caption"] == "F(y) = min_z E(y, z)"


def test_names_do_not_matter() -> None:
    g = factor_graph(models.sparse_coding())
    h = factor_graph(models.sparse_coding(y="Φ", z="class", W="Enc"))
    same = nx.is_isomorphic(g, h, node_match=lambda a, b: (a["kind"], a.get("form")) == (b["kind"], b.get("form")))
    assert same
    assert "class" in nodes(h, "variable")


def test_temperature_and_domain_are_told() -> None:
    z = factor_graph(models.mixture(beta=0.25)).nodes["variable z"]
    assert (z["mark"], z["beta"], z["domain"], z["dims"]) == ("softmin", "β = 0.25", "onehot", "K = 20")
    assert factor_graph(models.mixture("min", None)).nodes["variable z"]["beta"] is None


def test_a_product_of_matrices_shows_the_code_between_them() -> None:
    g = factor_graph(models.pca())
    assert nodes(g, "function") == ["W", "Wᵀ"]
    assert ("W", "Wᵀ", "K = 1") in links(g)
    assert ("Wᵀ", "||Wᵀ W y - y||^2", "D = 2") in links(g)


def test_a_nested_product_is_the_flat_one() -> None:
    y, w = models.symbol("y", "observed", "D"), models.symbol("W", "param", "K", "D")
    k, i, j = fresh("K"), fresh("D"), fresh("D")
    code = models.product(w, Get(y, (j,)), k, j)
    back = sum_over(mul(Get(w, (k, i)), code), (k,))
    nested = models.model("pca", (y, w), (models.term("t", models.norm2(sub(back, Get(y, (i,))), i)),))
    assert nodes(factor_graph(nested), "function") == ["W", "Wᵀ"]


def test_what_two_terms_share_is_one_function() -> None:
    g = factor_graph(models.auto_encoder())
    assert nodes(g, "function") == ["Enc", "Dec"]
    assert ("Enc", "0.1 ||Enc(y)||^2", "32") in links(g)
    assert ("Enc", "Dec", "32") in links(g)


def test_a_module_called_on_two_things_is_two_functions() -> None:
    m = models.auto_encoder()
    y = m.symbol("y")
    u = models.symbol("u", "observed", 784)
    k = fresh(32)
    more = models.term("t", models.norm2(models.apply(m.modules[0], models.vector(u), at=(k,)), k))
    both = models.model("m", (y, u), (*m.terms, more), modules=m.modules)
    assert nodes(factor_graph(both), "function") == ["Enc", "Dec", "Enc"]


def test_several_inputs_and_arithmetic_on_the_way() -> None:
    g = factor_graph(models.predictor())
    assert {("x", "Pred", "P = 3"), ("u", "Pred", "P = 3"), ("Pred", "Dec", "H = 8"), ("z", "Dec", "")} <= links(g)
    assert ("Dec", "||y - Dec(Pred(x + u), z)||^2", "28 × 28") in links(g)
    assert g.nodes["variable u"]["role"] == "noise"
    assert "-½ z^2" in nodes(g, "energy")  # the sign that the spec has before the term


def test_a_learned_elementwise_function_holds_its_offset() -> None:
    g = factor_graph(models.elementwise())
    assert nodes(g, "function") == ["V", "tanh"]
    assert ("b", "tanh", "N") in links(g)
    assert ("V", "tanh", "N") in links(g)
    # the penalty's log is the energy itself, not a function of its own
    assert ("z", "Σ_n log(1 + z_n²)", "N") in links(g)


def test_a_quadratic_form_is_no_function() -> None:
    y, a = models.symbol("y", "observed", "D"), models.symbol("A", "param", "D", "D")
    i, j = fresh("D"), fresh("D")
    form = sum_over(mul(lit(0.5), Get(y, (i,)), Get(a, (i, j)), Get(y, (j,))), (i, j))
    nested = mul(lit(0.5), sum_over(mul(Get(y, (i,)), models.product(a, Get(y, (j,)), i, j)), (i,)))
    assert nodes(factor_graph(models.model("m", (y, a), (models.term("t", nested),))), "function") == []
    g = factor_graph(models.model("quadratic", (y, a), (models.term("½ y' A y", form),)))
    assert nodes(g, "function") == []
    assert links(g) == {("y", "½ y' A y", "D"), ("A", "½ y' A y", "D × D")}


def test_the_encoder_that_answers_is_the_one_in_the_energy() -> None:
    g = factor_graph(models.psd())
    assert nodes(g, "function") == ["W", "Enc"]
    answers = [(a, b) for a, b, d in g.edges(data=True) if d["relation"] == "infers"]
    assert [(g.nodes[a]["label"], b) for a, b in answers] == [("Enc", "variable z")]


@pytest.mark.parametrize("name", models.ALL)
def test_every_energy_and_variable_is_linked(name: str) -> None:
    g = factor_graph(models.ALL[name]())
    assert [n for n in g if g.degree(n) == 0] == []
    assert all(g.out_degree(n) == 0 for n, kind in g.nodes(data="kind") if kind == "energy")


def test_a_generator_makes_what_is_observed() -> None:
    from ebdsl import driver
    from ebdsl.diagnostics import Source

    text = (
        "observed x : R[2], y : R[3]\nnoise u ~ normal(0, 1) : R[4]\nmodule f : R[2], R[3] -> R = mlp(8, silu)\n"
        "module G : R[2], R[4] -> R[3] = mlp(8, silu)\nF(x, y) = f(x, y)\n"
        "train\n    strategy contrastive(loss = logistic)\n        negatives G(x, u)\n"
    )
    model = driver.check_source(Source("gan.ebm", text)).value
    assert model is not None
    graph = factor_graph(model)
    (made,) = [(a, b) for a, b, d in graph.edges(data=True) if d["relation"] == "infers"]
    assert graph.nodes[made[0]]["label"] == "G" and made[1] == "variable y"
    assert {a for a, b in graph.in_edges(made[0])} == {"variable x", "variable u"}
    assert graph.graph["caption"] == "F(x, y)"


def test_an_argmin_is_inferred_from_what_its_energy_observes() -> None:
    from ebdsl import driver
    from ebdsl.diagnostics import Source

    text = (
        "observed y : R[M], x : R[P]\nlatent z : R[N]\nparam D : R[M, N], V : R[P, N]\n"
        "F(y, x) = ||x - V argmin_z (||y - D z||^2 + |z|)||^2\n"
    )
    m = driver.check_source(Source("m.ebm", text)).value
    assert m is not None
    g = factor_graph(m)
    assert g.nodes["variable z"]["mark"] == "argmin"
    inferred = [(a, b) for a, b, d in g.edges(data=True) if d["relation"] == "infers"]
    assert inferred == [("variable y", "variable z")]
    assert g.graph["caption"] == "F(y, x, z), z = argmin_z ||y - D z||^2 + |z|"
