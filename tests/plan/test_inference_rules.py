"""Which rule of inference takes a latent, and why the others do not."""

from __future__ import annotations

import pytest

from tests.plan.planning import plan, planned

CHOICES: dict[str, tuple[str, str, str]] = {
    # spec: rule, guarantee, a word of the algorithm
    "latent z : R[N]\nparam W : R[M, N], unit columns\nF(y) = min_z ||y - W z||^2 + ||z||^2": (
        "closed form", "global", "one Cholesky factor for all samples"),
    "latent z : R[M]\nF(y) = min_z ||y - z||^2 + ||z||^2": ("closed form", "global", "entry by entry"),
    "observed m : {0,1}[M]\nlatent z : R[N]\nparam W : R[M, N], unit columns\n"
    "F(m, y) = min_z Σ_i m_i (y_i - Σ_k W[i, k] z_k)^2 + ||z||^2": ("closed form", "global", "factor for each sample"),
    "latent z : R[N]\nparam W : R[M, N], unit columns\nF(y) = min_z ||y - W z||^2 + |z|": (
        "proximal gradient", "global", "soft threshold"),
    "latent z : R[N], >= 0\nparam W : R[M, N], unit columns\nF(y) = min_z ||y - W z||^2 + |z|": (
        "proximal gradient", "global", "projection onto nonnegative"),
    "latent z : simplex[N]\nparam W : R[M, N]\nF(y) = min_z ||y - W z||^2": (
        "proximal gradient", "global", "projection onto simplex"),
    "latent z : box(0, 1)[N]\nparam W : R[M, N], unit columns\nF(y) = min_z ||y - W z||^2": (
        "proximal gradient", "global", "projection onto box"),
    "latent z : R[G, J]\nparam W : R[M, G, J], unit filters\n"
    "F(y) = min_z ||y - Σ_g W[:, g, :] z[g]||^2 + Σ_g ||z[g]||": (
        "proximal gradient", "global", "group soft threshold"),
    "latent z : R[M]\nF(y) = min_z ||y - z||^2 + |z|": ("proximal gradient", "global", "one step"),
    "latent z : R[N]\nparam W : R[M, N], unit columns\nF(y) = min_z Σ_i log cosh(y_i - Σ_k W[i, k] z_k) + |z|": (
        "Newton", "global", "orthants"),
    "latent z : R[N]\nparam W : R[M, N], unit columns\nF(y) = min_z Σ_i log cosh(y_i - Σ_k W[i, k] z_k) + ||z||": (
        "proximal gradient", "global", "backtracking"),
    "latent z : onehot[K]\nparam W : R[M, K]\nF(y) = min_z ||y - W z||^2": ("enumeration", "global", "try all"),
    "latent z : onehot[K]\nparam W : R[M, K]\nF(y) = softmin_z[2] ||y - W z||^2": (
        "enumeration", "exact", "logsumexp"),
    "latent z : {0,1}[5]\nparam W : R[M, 5]\nF(y) = min_z ||y - W z||^2": ("enumeration", "global", "32"),
    "latent z : onehot[3], c : R[M]\nF(y) = min_{z,c} ||y - c||^2 + ||c||^2 + z[0]": (
        "every state solved", "global", "for each of the 3 values"),
    "latent z : sphere[N]\nparam W : R[M, N]\nF(y) = min_z ||y - W z||^2": ("descent with restarts", "local", "starts"),
    "latent z : R[M]\nF(y) = min_z ||y - z||^2 + Σ_i z_i^4 - 2||z||^2": ("descent with restarts", "local", "starts"),
    "latent z : R[2]\nmodule Dec : R[2] -> R[M] = mlp(4, tanh)\nF(y) = min_z ||y - Dec(z)||^2 + |z|": (
        "descent with restarts", "local", "grid"),
    "latent z : R[M], > 0\nF(y) = min_z ||y - z||^2 - Σ_i log z_i": ("Newton", "global", "division"),
    "latent z : R[N], k : onehot[K]\nparam W : R[M, N], unit columns\nparam V : R[M, K]\n"
    "F(y) = min_z softmin_k[2] ||y - W z - V k||^2 + |z|": ("minimum of a softmin", "local", "starts"),
    "latent z : R[N], k : onehot[3]\nparam W : R[M, N], unit columns\nparam V : R[M, 3]\n"
    "F(y) = softmin_k[2] min_z ||y - W z - V k||^2 + |z|": ("softmin of minima", "exact", "logsumexp"),
    "latent z : R[N], >= 0\nparam W : R[M, N]\nF(y) = min_z Σ_i softplus(-y[i] (W z)[i]) + ||z||^2 + ||W||^2": (
        "Newton", "global", "two-metric projection"),
    "latent z : R[50]\nparam W : R[M, 50]\nF(y) = min_z Σ_i softplus(-y[i] (W z)[i]) + ||z||^2 + ||W||^2": (
        "Newton", "global", "L-BFGS"),
}  # fmt: skip


@pytest.mark.parametrize("text", CHOICES)
def test_choice(text: str) -> None:
    rule, guarantee, word = CHOICES[text]
    (decision,) = plan(f"observed y : R[M]\n{text}\n").inference
    assert (decision.rule, decision.guarantee) == (rule, guarantee)
    assert word in decision.algorithm
    assert decision.cost and decision.task
    asked = {r.rule for r in decision.refused}
    assert rule not in asked and all(r.reason for r in decision.refused)


@pytest.mark.parametrize(
    "energy", ["||y - W z||^2 + |z|", "3 Σ_i (Σ_k W[i, k] z[k] - y[i])^2 + Σ_k 2|z[k]|", "½||2y - W z||^2 + |z|"]
)
@pytest.mark.parametrize(("n", "word"), [(40, "one inverse for all samples"), (400, "factors applied in turn")])
def test_a_matrix_much_larger_than_its_factors_is_not_formed(energy: str, n: int, word: str) -> None:
    text = f"observed y : R[12]\nlatent z : R[{n}]\nparam W : R[12, {n}], unit columns\nF(y) = min_z {energy}\n"
    (decision,) = plan(text).inference
    assert word in decision.algorithm
    assert any("operations of its factors" in f for f in decision.facts) == (n == 400)


def test_refusals_say_which_fact_refused() -> None:
    (decision,) = plan(
        "observed y : R[M]\nlatent z : sphere[N]\nparam W : R[M, N]\nF(y) = min_z ||y - W z||^2\n"
    ).inference
    reasons = {r.rule: r.reason for r in decision.refused}
    assert reasons["enumeration"] == "z takes infinitely many values"
    assert reasons["closed form"] == "z is constrained to sphere"
    assert "sphere is not convex" in reasons["proximal gradient"]


IMPOSSIBLE: dict[str, tuple[str, str]] = {
    # spec: code, part of what is said
    "latent z : R[M]\nF(y) = min_z y'z + ||y||^2": ("EB0501", "no minimum"),
    "latent z : R[M], >= 0\nF(y) = min_z ||y||^2 - Σ_i z_i": ("EB0501", "no minimum"),
    "latent z : R[M]\nF(y) = min_z ||y||^2 - ||z||^2": ("EB0501", "no minimum"),
    "latent z : R[N], k : onehot[K]\nparam W : R[M, N], unit columns\nparam V : R[M, K]\n"
    "F(y) = softmin_z[2] min_k ||y - W z - V k||^2 + ||z||^2": ("EB0502", "softmin over z of min over k"),
}  # fmt: skip


@pytest.mark.parametrize("text", IMPOSSIBLE)
def test_what_no_rule_can_do(text: str) -> None:
    code, words = IMPOSSIBLE[text]
    found = planned(f"observed y : R[M]\n{text}\n")
    assert found.value is None
    (error,) = [d for d in found.diagnostics if d.severity == "error"]
    assert error.code == code
    assert words in " ".join([error.message, *error.help])
    assert error.labels


def test_too_many_values_are_not_enumerated() -> None:
    found = planned("observed y : R[M]\nlatent z : {0,1}[40]\nparam W : R[M, 40]\nF(y) = min_z ||y - W z||^2\n")
    said = [r.reason for d in found.value.inference for r in d.refused] if found.value else []
    assert any("more than 65536" in text for text in [*said, *(h for d in found.diagnostics for h in d.help)])


def test_sizes_that_the_data_tells() -> None:
    """A finite latent of a free size is not enumerated until the size is known and small."""
    text = "observed y : R[M]\nlatent z : {0,1}[N]\nparam W : R[M, N]\nF(y) = min_z ||y - W z||^2\n"
    assert plan(f"dim N = 3\n{text}").inference[0].rule == "enumeration"
    for head in ("", "dim N = 30\n"):
        found = planned(head + text)
        assert found.value is None or found.value.inference[0].rule != "enumeration"


def test_large_grams_are_not_formed() -> None:
    text = "dim M = 20, N = {}\nobserved y : R[M]\nlatent z : R[N]\nparam W : R[M, N], unit columns\n"
    text += "F(y) = min_z ||y - W z||^2 + |z|\n"
    small, large = (plan(text.format(n)).inference[0] for n in (100, 10_000))
    assert "one inverse" in small.algorithm and "factors" in large.algorithm
    assert small.rule == large.rule


def test_neighbouring_minima_are_one() -> None:
    text = "observed y : R[M]\nlatent u : R[M], v : R[M]\nF(y) = min_u min_v ||y - u - v||^2 + |u| + ||v||^2\n"
    (decision,) = plan(text).inference
    assert {s.name for s in decision.payload.latents} == {"u", "v"}
