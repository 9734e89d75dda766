"""The volume of low energy: collapsing specs are found out in any spelling, sound ones are let through."""

from __future__ import annotations

import pytest

from tests.plan.planning import codes, plan, planned

COLLAPSING: dict[str, tuple[str, str]] = {
    "free dictionary, L1": ("EB0512", """
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N]
        F(y) = min_z ||y - W z||^2 + 0.5|z|
    """),
    "free dictionary, ridge": ("EB0512", """
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N]
        F(y) = min_z ½ Σ_m (y[m] - Σ_n W[m, n] z[n])^2 + ½||z||^2
    """),
    "free dictionary, groups": ("EB0512", """
        observed y : R[M]
        latent z : R[G, J]
        param W : R[M, G, J]
        F(y) = min_z ||y - Σ_g W[:, g, :] z[g]||^2 + Σ_g ||z[g]||
    """),
    "free nonnegative dictionary": ("EB0512", """
        observed y : R[M]
        latent z : R[N], >= 0
        param W : R[M, N], >= 0
        F(y) = min_z ||y - W z||^2 + 0.1 Σ_n z_n
    """),
    "free filters": ("EB0512", """
        observed y : R[8, 8]
        latent z : R[K, 8, 8]
        param D : R[K, 3, 3]
        F(y) = min_z ||y - Σ_k D[k] * z[k]||^2 + 0.1 Σ_k |z[k]|
    """),
    "free decoder with an encoder": ("EB0512", """
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N]
        module Enc : R[M] -> R[N] = linear >> tanh
        F(y) = min_z ||y - W z||^2 + ||z - Enc(y)||^2 + |z|
    """),
    "one of two dictionaries is free": ("EB0512", """
        observed y : R[M]
        latent u : R[K], s : R[N]
        param A : R[M, K], unit columns
        param B : R[M, N]
        F(y) = min_{u,s} ||y - A u - B s||^2 + |u| + |s|
    """),
    "mixture without log det": ("EB0513", """
        dim K = 3
        observed y : R[D]
        latent z : onehot[K]
        param μ : R[K, D]
        param Λ : R[K, D, D], positive definite
        F(y) = softmin_z[1] Σ_k z_k ½ (y - μ[k])' Λ[k] (y - μ[k])
    """),
    "precisions without logarithm": ("EB0513", """
        observed y : R[D]
        param μ : R[D], τ : R[D], > 0
        F(y) = Σ_d τ_d (y_d - μ_d)^2
    """),
    "one precision without logarithm": ("EB0513", """
        observed x : R[P], y : R[D]
        param A : R[D, P], τ : R, > 0
        F(x, y) = τ ||y - A x||^2
    """),
    "wide auto-encoder": ("EB0510", """
        observed y : R[2]
        module Enc : R[2] -> R[8] = mlp(32, tanh)
        module Dec : R[8] -> R[2] = mlp(32, tanh)
        F(y) = ||y - Dec(Enc(y))||^2
    """),
    "wide auto-encoder, turned round": ("EB0510", """
        observed y : R[2]
        module Enc : R[2] -> R[8] = mlp(32, tanh)
        module Dec : R[8] -> R[2] = mlp(32, tanh)
        C(a, b) = ½ (b - a)'(b - a)
        F(y) = C(Dec(Enc(y)), y)
    """),
    "wide auto-encoder, by indices": ("EB0510", """
        observed y : R[2]
        module Enc : R[2] -> R[8] = mlp(32, tanh)
        module Dec : R[8] -> R[2] = mlp(32, tanh)
        h = Enc(y)
        F(y) = Σ_i (Dec(h)[i] - y[i])^2
    """),
    "wide auto-encoder, absolute values": ("EB0510", """
        observed y : R[3]
        module f : R[3] -> R[3] = mlp(32, relu)
        F(y) = |y - f(y)|
    """),
    "wide auto-encoder, norm": ("EB0510", """
        observed y : R[3]
        module f : R[3] -> R[3] = mlp(32, relu)
        F(y) = ||f(y) - y||
    """),
    "wide transparent auto-encoder": ("EB0510", """
        observed y : R[2]
        param A : R[8, 2], B : R[2, 8]
        F(y) = ||y - B tanh(A y)||^2
    """),
    "wide transparent auto-encoder with biases": ("EB0510", """
        observed y : R[2]
        param A : R[8, 2], B : R[2, 8], a : R[8], b : R[2]
        F(y) = Σ_i (y[i] - b[i] - Σ_k B[i, k] relu(Σ_j A[k, j] y[j] + a[k]))^2
    """),
    "square linear map": ("EB0510", """
        observed y : R[D]
        param W : R[D, D]
        F(y) = ||y - W y||^2
    """),
    "wide linear bottleneck": ("EB0510", """
        dim D = 4, K = 6
        observed y : R[D]
        param W : R[K, D]
        F(y) = ||y - W'W y||^2
    """),
    "wide free code": ("EB0510", """
        dim M = 4, N = 6
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N], unit columns
        F(y) = min_z ||y - W z||^2
    """),
    "wide code whose penalty can be switched off": ("EB0510", """
        dim M = 4
        observed y : R[M]
        latent k : {0,1}[M], z : R[M]
        param W : R[M, M], unit columns
        F(y) = min_{k,z} ||y - W z||^2 + Σ_m k[m] z[m]^2
    """),
    "two wide codes near each other": ("EB0510", """
        dim M = 4
        observed y : R[M]
        latent a : R[M], b : R[M]
        param W : R[M, M], unit columns
        F(y) = min_{a,b} ||y - W a||^2 + ||a - b||^2
    """),
    "wide free code through a decoder": ("EB0510", """
        observed y : R[4]
        latent z : R[4]
        module Dec : R[4] -> R[4] = mlp(16, tanh)
        F(y) = min_z ||y - Dec(z)||^2
    """),
    "code as wide as the data, of one name": ("EB0510", """
        observed y : R[M]
        latent z : R[M]
        param W : R[M, M]
        F(y) = min_z ||y - W z||^2
    """),
    "learned function alone": ("EB0511", """
        observed y : R[2]
        module f : R[2] -> R = mlp(16, silu)
        F(y) = f(y)
    """),
    "learned function squared": ("EB0511", """
        observed y : R[2]
        module f : R[2] -> R[5] = mlp(16, silu)
        F(y) = ||f(y)||^2
    """),
    "machine without a partition function": ("EB0511", """
        observed v : {0,1}[M]
        latent h : {0,1}[3]
        param W : R[M, 3], b : R[M], c : R[3]
        F(v) = softmin_h[1] (-v'W h - b'v - c'h)
    """),
    "experts that may do nothing": ("EB0511", """
        observed y : R[M]
        param W : R[K, M]
        F(y) = Σ_k log(1 + ½ (W[k, :]'y)^2)
    """),
}  # fmt: skip

SOUND: dict[str, tuple[int | None, str]] = {
    "unit columns": (7, """
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N], unit columns
        F(y) = min_z ||y - W z||^2 + 0.5|z|
    """),
    "ball columns": (7, """
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N], ball columns
        F(y) = min_z ||y - W z||^2 + 0.5|z|
    """),
    "ridge on the dictionary": (7, """
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N]
        F(y) = min_z ||y - W z||^2 + 0.5|z| + 0.1||W||^2
    """),
    "ridge on the dictionary by indices": (7, """
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N]
        F(y) = min_z ||y - W z||^2 + ½||z||^2 + Σ_m Σ_n W[m, n]^2
    """),
    "encoder beside unit columns": (7, """
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N], unit columns
        module Enc : R[M] -> R[N] = linear >> sh
        F(y) = min_z ||y - W z||^2 + ||z - Enc(y)||^2 + 0.5|z|
    """),
    "expanded squares": (7, """
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N], unit columns
        F(y) = min_z y'y - 2 y'W z + z'W'W z + 0.5|z|
    """),
    "narrow linear bottleneck": (1, """
        observed y : R[D]
        param W : R[K, D]
        F(y) = ||y - W'W y||^2
    """),
    "narrow linear bottleneck, bracketed": (1, """
        observed y : R[D]
        param W : R[K, D]
        F(y) = ||y - (W'W) y||^2
    """),
    "two maps": (1, """
        dim K = 2
        observed y : R[6]
        param A : R[K, 6], B : R[6, K]
        F(y) = Σ_i (y[i] - Σ_k Σ_j B[i, k] A[k, j] y[j])^2
    """),
    "tied encoder": (1, """
        observed y : R[M]
        param W : R[P, M], b : R[P]
        F(y) = ||y - W' tanh(W y + b)||^2
    """),
    "narrow auto-encoder": (1, """
        observed y : R[16]
        module Enc : R[16] -> R[3] = mlp(32, tanh)
        module Dec : R[3] -> R[16] = mlp(32, tanh)
        F(y) = ||y - Dec(Enc(y))||^2
    """),
    "narrow auto-encoder in one module": (1, """
        observed y : R[16]
        module f : R[16] -> R[16] = mlp(32, 2, 32, tanh)
        F(y) = ||y - f(y)||^2
    """),
    "penalised code": (7, """
        observed y : R[4]
        module Enc : R[4] -> R[8] = mlp(16, tanh)
        module Dec : R[8] -> R[4] = linear
        F(y) = ||y - Dec(Enc(y))||^2 + |Enc(y)|
    """),
    "regressor": (1, """
        observed x : R[P], y : R[D]
        module f : R[P] -> R[D] = mlp(16, tanh)
        F(x, y) = ||y - f(x)||^2
    """),
    "regressor by absolute values": (1, """
        observed x : R[P], y : R[D]
        module f : R[P] -> R[D] = mlp(16, tanh)
        F(x, y) = |f(x) - y|
    """),
    "regressor by norm": (1, """
        observed x : R[P], y : R[D]
        module f : R[P] -> R[D] = mlp(16, tanh)
        F(x, y) = ||f(x) - y||
    """),
    "regressor of wide input": (1, """
        observed x : R[9], y : R[2]
        param A : R[2, 9]
        F(x, y) = ||y - A x||^2
    """),
    "next value": (1, """
        observed y : R[2]
        param w : R
        F(y) = (y[1] - w y[0]^2)^2
    """),
    "prototypes": (1, """
        observed y : R[D]
        latent z : onehot[K]
        param W : R[D, K]
        F(y) = min_z ||y - W z||^2
    """),
    "prototypes by sum": (1, """
        observed y : R[D]
        latent z : onehot[K]
        param W : R[K, D]
        F(y) = min_z Σ_k z_k ||y - W[k]||^2
    """),
    "mixture": (1, """
        observed y : R[D]
        latent z : onehot[K]
        param μ : R[K, D]
        param Λ : R[K, D, D], positive definite
        param π : simplex[K]
        F(y) = softmin_z[1] Σ_k z_k (½ (y - μ[k])' Λ[k] (y - μ[k]) - ½ log det Λ[k] - log π_k)
    """),
    "binary code": (1, """
        observed y : R[M]
        latent h : {0,1}[4]
        param W : R[M, 4]
        F(y) = min_h ||y - W h||^2
    """),
    "nonnegative factors": (1, """
        observed y : R[M], >= 0
        latent z : R[K], >= 0
        param W : R[M, K], >= 0
        F(y) = min_z ||y - W z||^2
    """),
    "nonnegative factors with unit columns": (7, """
        observed y : R[M], >= 0
        latent z : R[N], >= 0
        param W : R[M, N], unit columns
        F(y) = min_z ||y - W z||^2 + 0.1|z|
    """),
    "archetypes": (7, """
        observed y : R[M]
        latent z : simplex[K]
        param W : R[M, K]
        F(y) = min_z ||y - W z||^2
    """),
    "choice among predictions": (1, """
        observed x : R[1], y : R[1]
        latent z : onehot[5]
        module Pred : R[1] -> R[5] = mlp(16, tanh)
        F(x, y) = min_z ||y - z'Pred(x)||^2
    """),
    "prediction with a small latent": (7, """
        observed x : R[2], y : R[2]
        latent z : box(-1, 1)[1]
        module Dec : R[2], R[1] -> R[2] = mlp(16, tanh)
        F(x, y) = min_z ||y - Dec(x, z)||^2 + 0.01||z||^2
    """),
    "bounded small latent": (1, """
        observed y : R[M]
        latent a : box(-1, 1)[1]
        module Dec : R[1] -> R[M] = mlp(6, tanh)
        F(y) = min_a ||y - Dec(a)||^2
    """),
    "Gaussian": (None, """
        observed y : R[D]
        param A : R[D, D], positive definite
        param μ : R[D]
        F(y) = ½ (y - μ)' A (y - μ) - ½ log det A
    """),
    "square components": (None, """
        dim D = 4
        observed y : R[D]
        param W : R[D, D]
        F(y) = Σ_k log cosh(W[k, :]'y) - log |det W|
    """),
    "classifier by a network": (2, """
        observed x : R[P]
        observed y : onehot[3]
        module f : R[P] -> R[3] = mlp(16, tanh)
        F(x, y) = -y' log(softmax(f(x)))
    """),
    "bits one by one": (2, """
        observed x : R[P], y : {0,1}
        param a : R[P], b : R
        F(x, y) = log(1 + exp(a'x + b)) - y (a'x + b)
    """),
    "classifier": (2, """
        observed x : R[P]
        observed y : onehot[K]
        param A : R[K, P]
        F(x, y) = log Σ_k exp(Σ_p A[k, p] x_p) - y'A x
    """),
    "a system along time": (None, """
        index t in 1..4
        observed y : R[5, D]
        latent s : R[5, D]
        param A : R[D, D]
        F(y) = min_s ||y - s||^2 + Σ_t ||s[t+1] - A s[t]||^2 + ||s[1]||^2
    """),
    "a switching system along time": (7, """
        dim T = 5, K = 2
        observed y : R[T, D]
        latent k : onehot[T, K], s : R[T, D]
        param A : R[K, D, D]
        F(y) = min_{k,s} ||y - s||^2 + Σ_t Σ_c k[t, c] ||s[t+1] - A[c] s[t]||^2
    """),
    "wide code near a prediction": (7, """
        observed x : R[3], y : R[5]
        latent z : R[5]
        module f : R[3] -> R[5] = mlp(8, tanh)
        F(x, y) = min_z ||y - z||^2 + 0.5||z - f(x)||^2
    """),
    "wide code near a penalised one": (7, """
        observed y : R[5]
        latent a : R[5], b : R[5]
        param W : R[5, 5], unit columns
        F(y) = min_{a,b} ||y - W a||^2 + ||a - b||^2 + |b|
    """),
    "nothing learned": (None, """
        observed y : R[M]
        latent z : R[M]
        F(y) = min_z ||y - z||^2
    """),
}  # fmt: skip


@pytest.mark.parametrize("name", COLLAPSING)
def test_collapsing_specs_are_refused(name: str) -> None:
    code, text = COLLAPSING[name]
    found = planned(text)
    errors = [d for d in found.diagnostics if d.severity == "error"]
    assert found.value is None and [d.code for d in errors] == [code]
    assert all(d.labels and d.help for d in errors)


@pytest.mark.parametrize("name", COLLAPSING)
def test_collapse_may_be_looked_at(name: str) -> None:
    """``--allow-flat`` plans all the same."""
    assert planned(COLLAPSING[name][1], allow_flat=True).value is not None


@pytest.mark.parametrize("name", SOUND)
def test_sound_specs_pass(name: str) -> None:
    strategy, text = SOUND[name]
    assert codes(text) == []
    volume = plan(text).volume
    assert strategy is None or volume.strategy == strategy, volume
    assert volume.reasons or strategy is None


@pytest.mark.parametrize("name", ["wide linear bottleneck", "wide free code"])
def test_sizes_decide(name: str) -> None:
    """The same spec with a code narrower than the data is sound."""
    _, text = COLLAPSING[name]
    narrower = text.replace("K = 6", "K = 2").replace("N = 6", "N = 2")
    assert codes(narrower) == []


@pytest.mark.parametrize(("rows", "strategy"), [(4, 1), (3, None)])
def test_an_orthonormal_change_of_variables_keeps_the_volume(rows: int, strategy: int | None) -> None:
    found = plan(f"""
        dim M = 4, K = {rows}
        observed y : R[M]
        param W : R[K, M], orthonormal
        F(y) = Σ_k √((W y)[k]^2 + 0.1)
    """, allow_flat=True)  # fmt: skip
    assert found.volume.strategy == strategy
