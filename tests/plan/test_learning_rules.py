"""Which rule learns each block, and in what order of events."""

from __future__ import annotations

import pytest

from tests.plan.planning import plan

CHOICES: dict[str, tuple[str, dict[str, str]]] = {
    "latent z : onehot[K]\nparam W : R[M, K]\nF(y) = min_z ||y - W z||^2": ("full", {"W": "normal equations"}),
    "latent z : onehot[K]\nparam W : R[M, K], unit columns\nF(y) = min_z ||y - W z||^2": (
        "full", {"W": "projected moment"}),
    "latent z : onehot[K]\nparam W : R[M, K], ball columns\nF(y) = min_z ||y - W z||^2": (
        "full", {"W": "exact slices"}),
    "latent z : onehot[K]\nparam W : R[M, K], >= 0\nF(y) = min_z ||y - W z||^2": ("full", {"W": "exact slices"}),
    "latent z : onehot[K]\nparam W : R[M, K]\nF(y) = min_z Σ_m |y_m - Σ_k W[m, k] z_k|": (
        "full", {"W": "weighted median"}),
    "latent z : onehot[K]\nparam W : R[M, K]\nF(y) = min_z ||y - W z||": ("full", {"W": "convex program"}),
    "latent z : onehot[K]\nparam W : R[M, K]\nF(y) = min_z Σ_m tanh((y_m - Σ_k W[m, k] z_k)^2)": (
        "together", {"W": "quasi-Newton"}),
    "latent z : onehot[K]\nparam W : R[M, K]\nF(y) = min_z Σ_m tanh(|y_m - Σ_k W[m, k] z_k|)": (
        "batches", {"W": "stochastic gradient"}),
    "latent z : onehot[K]\nparam μ : R[K, M], π : simplex[K]\nF(y) = softmin_z[1] Σ_k z_k (||y - μ_k||^2 - log π_k)": (
        "full", {"μ": "normal equations", "π": "log barrier"}),
    "latent z : R[N]\nparam W : R[M, N], unit columns\nF(y) = min_z ||y - W z||^2 + |z|": (
        "batches", {"W": "exact slices"}),
    "latent z : R[N]\nparam W : R[M, N]\nF(y) = min_z ||y - W z||^2 + |z| + ||W||^2": (
        "batches", {"W": "normal equations"}),
    "latent z : R[N]\nparam W : R[M, N]\nF(y) = min_z ||y - W z||^2 + ||z||^2 + ||W||^2": (
        "full", {"W": "normal equations"}),
    "latent z : R[N]\nparam W : R[M, N], orthonormal\nF(y) = min_z ||y - W z||^2 + |z|": (
        "batches", {"W": "stochastic gradient"}),
    "param W : R[K, M]\nF(y) = ||y - W'W y||^2": ("full", {"W": "leading subspace"}),
    "latent z : R[K]\nparam W : R[M, K]\nF(y) = min_z ||y - W z||^2": ("full", {"W": "leading subspace"}),
    "param W : R[K, M]\nF(y) = ||y - W'W y||^2 + ||W||^2": ("together", {"W": "quasi-Newton"}),
    "param W : R[K, M], V : R[M, K]\nF(y) = ||y - V W y||^2": (
        "full", {"W": "normal equations", "V": "normal equations"}),
    "param A : R[M, M], positive definite\nparam μ : R[M]\nF(y) = (y - μ)' A (y - μ) - log det A": (
        "full", {"A": "log barrier", "μ": "normal equations"}),
    "observed x : R[P]\nparam A : R[M, P]\nmodule f : R[P] -> R[M] = linear\n"
    "F(x, y) = ||y - f(x) - A x||^2 + ||A||^2": (
        "batches", {"A": "normal equations"}),
    "observed x : R[P]\nparam a : R[M]\nmodule f : R[P] -> R[M] = linear\nF(x, y) = ||y - tanh(f(x) + a)||^2": (
        "batches", {"a": "stochastic gradient"}),
}  # fmt: skip


@pytest.mark.parametrize("text", CHOICES)
def test_choice(text: str) -> None:
    schedule, rules = CHOICES[text]
    p = plan(f"observed y : R[M]\n{text}\n")
    assert p.schedule == schedule
    assert {s.name: d.rule for s, d in p.learning} == rules
    for _, d in p.learning:
        assert d.algorithm and d.cost and all(r.reason for r in d.refused)


def test_one_block_by_gradient_puts_the_others_on_batches() -> None:
    text = "observed x : R[P], y : R\nparam a : R[P], b : R\nF(x, y) = (y - a'x - b)^2 + tanh(|a'x|)\n"
    p = plan(text)
    rules = {s.name: d for s, d in p.learning}
    assert (
        p.schedule == "batches" and rules["a"].rule == "stochastic gradient" and rules["b"].rule == "normal equations"
    )


def test_a_rule_for_all_data_at_once_says_why_it_steps_back() -> None:
    text = """
        observed y : R[D]
        latent z : onehot[K]
        param μ : R[K, D], s : R[K, D], > 0, π : simplex[K]
        F(y) = softmin_z[1] Σ_k z_k (Σ_d tanh((y_d - μ[k, d])^2) + Σ_d s[k, d] y_d^2 - Σ_d log s[k, d] - log π_k)
    """
    p = plan(text.replace("s : R[K, D], > 0, π", "π").replace("Σ_d s[k, d] y_d^2 - Σ_d log s[k, d]", "0"))
    share = {s.name: d for s, d in p.learning}["π"]
    assert p.schedule == "batches"
    assert any("all data at once" in r.reason for r in share.refused)


@pytest.mark.parametrize("sizes", [{}, {"M": 5, "N": 8}, {"M": 300, "N": 20}])
def test_bound_sizes_leave_the_rules(sizes: dict[str, int]) -> None:
    """Telling the sizes changes what is said of widths, not which rules apply."""
    text = "observed y : R[M]\nlatent z : R[N]\nparam W : R[M, N], unit columns\nF(y) = min_z ||y - W z||^2 + |z|\n"
    head = "dim " + ", ".join(f"{k} = {v}" for k, v in sizes.items()) + "\n" if sizes else ""
    p = plan(head + text)
    assert [d.rule for d in p.inference] == ["proximal gradient"]
    assert [d.rule for _, d in p.learning] == ["exact slices"]
