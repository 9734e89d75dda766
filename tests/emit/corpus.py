"""Energies of many shapes, as text. None of them is a shipped spec; every one compiles, infers and learns.

Free dimensions take their sizes from ``SIZES``, all different, so that a transpose in the wrong place is seen.
"""

from __future__ import annotations

from tests.emit.averages import AVERAGED

SIZES = {"D": 4, "M": 5, "N": 7, "K": 3, "P": 2, "Q": 6, "G": 3, "J": 2, "H": 4, "L": 3, "T": 6}

CLOSED: dict[str, str] = {
    "ridge_code": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        E(y, z) = ||y - W z||^2 + 0.3||z||^2
        F(y) = min_z E(y, z)
    """,
    "factor": """
        observed y : R[M]
        latent   z : R[K]
        param    W : R[M, K]
        const    μ = 0.1, ν = 0.2
        E(y, z) = ½||y - W z||^2 + μ||z||^2 + ν||W||^2
        F(y) = min_z E(y, z)
    """,
    "scalar_everything": """
        observed y : R
        latent   z : R
        param    w : R
        E(y, z) = (y - w z)^2 + 2 z^2 + w^2
        F(y) = min_z E(y, z)
    """,
    "scalar_observed_vector_latent": """
        observed t : R
        latent   v : R[N]
        param    a : R[N]
        E(t, v) = (t - a'v)^2 + ½ v'v + 0.1 a'a
        F(t) = min_v E(t, v)
    """,
    "quadratic_form": """
        observed y : R[D]
        latent   z : R[D]
        param    A : R[D, D], positive definite
        E(y, z) = (y - z)'(y - z) + z' A z
        F(y) = min_z E(y, z)
    """,
    "smoother": """
        dim T = 6
        observed y : R[T]
        latent   z : R[T]
        param    g : R[T], >= 0
        E(y, z) = Σ_t (y_t - z_t)^2 + 3 Σ_t g_t^2 z_t^2 + (z[1] - z[0])^2 + (z[2] - z[1])^2 + ||g||^2 + ½ (z[5] - 1)^2
        F(y) = min_z E(y, z)
    """,
    "random_walk": """
        observed y : R[T, P]
        latent   s : R[T, P]
        E(y, s) = ||y - s||^2 + 2 Σ_t ||s[t+1] - s[t]||^2
        F(y) = min_s E(y, s)
    """,
    "state_space": """
        observed y : R[T, P]
        latent   s : R[T, K]
        param    A : R[K, K], C : R[P, K]
        E(y, s) = ½ Σ_t ||y[t] - C s[t]||^2 + Σ_t ||s[t+1] - A s[t]||^2 + ||s[0]||^2 + 0.1||A||^2 + 0.1||C||^2
        F(y) = min_s E(y, s)
    """,
    "trend": """
        observed y : R[T]
        latent   x : R[T]
        E(y, x) = ||y - x||^2 + 3 Σ_t (x[t+1] - 2 x[t] + x[t-1])^2 + (x[-1] - x[0])^2
        F(y) = min_x E(y, x)
    """,
    "smooth_picture": """
        observed y : R[H, L]
        latent   x : R[H, L]
        E(y, x) = ||y - x||^2 + Σ_{i,j} (x[i+1, j] - x[i, j])^2 + Σ_{i,j} (x[i, j+1] - x[i, j])^2
        F(y) = min_x E(y, x)
    """,
    "matrix_latent_rows": """
        observed Y : R[M, P]
        latent   Z : R[K, P]
        param    W : R[M, K]
        E(Y, Z) = ||Y - W Z||^2 + 0.5||Z||^2 + 0.1||W||^2
        F(Y) = min_Z E(Y, Z)
    """,
    "matrix_latent_columns": """
        observed Y : R[P, M]
        latent   Z : R[P, K]
        param    W : R[K, M]
        E(Y, Z) = trace((Y - Z W)'(Y - Z W)) + 0.5 trace(Z'Z) + 0.1 trace(W'W)
        F(Y) = min_Z E(Y, Z)
    """,
    "two_sided": """
        observed Y : R[M, P]
        latent   Z : R[K, J]
        param    A : R[M, K], B : R[J, P]
        E(Y, Z) = ||Y - A Z B||^2 + ||Z||^2 + 0.1||A||^2 + 0.1||B||^2
        F(Y) = min_Z E(Y, Z)
    """,
    "mask_per_sample": """
        observed m : {0,1}[M], y : R[M]
        latent   z : R[K]
        param    W : R[M, K]
        E(m, y, z) = Σ_i m_i (y_i - Σ_k W[i, k] z_k)^2 + 0.2||z||^2 + 0.1||W||^2
        F(m, y) = min_z E(m, y, z)
    """,
    "two_views": """
        observed x : R[P], y : R[M]
        latent   z : R[K]
        param    A : R[P, K], B : R[M, K], c : R[M]
        E(x, y, z) = ||x - A z||^2 + 2||y - B z - c||^2 + ||z||^2 + 0.1||A||^2 + 0.1||B||^2
        F(x, y) = min_z E(x, y, z)
    """,
    "bank_by_subscript": """
        observed y : R[M]
        latent   z : R[G, J]
        param    W : R[G, M, J]
        E(y, z) = ||y - Σ_g W[g] z[g]||^2 + Σ_{g,j} z[g, j]^2 + 0.1||W||^2
        F(y) = min_z E(y, z)
    """,
    "separable_bank": """
        observed Y : R[G, M]
        latent   z : R[G, J]
        param    W : R[G, M, J]
        E(Y, z) = Σ_g ||Y[g] - W[g] z[g]||^2 + ||z||^2 + 0.1||W||^2
        F(Y) = min_z E(Y, z)
    """,
    "local_means": """
        observed y : R[M]
        latent   z : R[M]
        E(y, z) = 3||y - z||^2 + (½)||z - 1||^2
        F(y) = min_z E(y, z)
    """,
    "mask_without_prior": """
        observed m : {0,1}[M], y : R[M]
        latent   z : R[M]
        E(m, y, z) = Σ_i m_i (y_i - z_i)^2
        F(m, y) = min_z E(m, y, z)
    """,
    "scale_of_template": """
        observed y : R[M]
        latent   s : R
        param    w : R[M], sphere
        E(y, s) = ||y - s w||^2 + 0.1 s^2
        F(y) = min_s E(y, s)
    """,
}

PROXIMAL: dict[str, str] = {
    "lasso": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        const    λ = 0.3
        E(y, z) = ½||y - W z||^2 + λ|z|
        F(y) = min_z E(y, z)
    """,
    "wide_lasso": """
        observed y : R[2]
        latent   z : R[60]
        param    W : R[2, 60], unit columns
        E(y, z) = ||y - W z||^2 + 0.3|z|
        F(y) = min_z E(y, z)
    """,
    "lasso_by_indices": """
        observed v : R[M]
        latent   n : R[N]
        param    batch : R[N, M], unit rows
        const    class = 0.3
        E(v, n) = 2 Σ_i (Σ_j batch[j, i] n[j] - v[i])^2 + class Σ_j |n_j|
        F(v) = min_n E(v, n)
    """,
    "elastic": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        const    λ = 0.2, μ = 0.4
        E(y, z) = ||y - W z||^2 + λ(|z| + μ||z||^2)
        F(y) = min_z E(y, z)
    """,
    "weighted_l1": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        E(y, z) = ||y - W z||^2 + 0.1 Σ_k (k + 1) |z_k|
        F(y) = min_z E(y, z)
    """,
    "learned_weights_l1": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        param    r : R[N], > 0
        E(y, z) = ||y - W z||^2 + Σ_k r_k |z_k| - 0.1 Σ_k log r_k
        F(y) = min_z E(y, z)
    """,
    "nonnegative": """
        observed y : R[M]
        latent   z : R[N], >= 0
        param    W : R[M, N], unit columns
        E(y, z) = ||y - W z||^2 + 0.2|z|
        F(y) = min_z E(y, z)
    """,
    "nonnegative_sum": """
        observed y : R[M]
        latent   z : R[N], >= 0
        param    W : R[M, N], unit columns
        E(y, z) = (y - W z)'(y - W z) + 0.2 Σ_i z_i
        F(y) = min_z E(y, z)
    """,
    "factorisation": """
        observed y : R[M], >= 0
        latent   z : R[K], >= 0
        param    W : R[M, K], >= 0
        E(y, z) = ||y - W z||^2
        F(y) = min_z E(y, z)
    """,
    "archetypes": """
        observed y : R[M]
        latent   z : simplex[K]
        param    W : R[M, K]
        E(y, z) = ||y - W z||^2
        F(y) = min_z E(y, z)
    """,
    "mixed_proportions": """
        observed Y : R[P, M]
        latent   Z : simplex[P, K]
        param    W : R[K, M]
        E(Y, Z) = ||Y - Z W||^2 + 0.01||W||^2
        F(Y) = min_Z E(Y, Z)
    """,
    "bounded": """
        observed y : R[M]
        latent   z : box(-½, 1)[N]
        param    W : R[M, N], unit columns
        E(y, z) = ||y - W z||^2 + 0.05|z|
        F(y) = min_z E(y, z)
    """,
    "in_ball": """
        observed y : R[M]
        latent   z : ball(1)[K]
        param    W : R[M, K], unit columns
        E(y, z) = ½||W z - y||^2
        F(y) = min_z E(y, z)
    """,
    "groups": """
        observed y : R[M]
        latent   z : R[G, J]
        param    W : R[M, G, J], unit filters
        const    λ = 0.4
        E(y, z) = ||y - Σ_g W[:, g, :] z[g]||^2 + λ Σ_g ||z[g]||
        F(y) = min_z E(y, z)
    """,
    "groups_nonnegative": """
        observed y : R[M]
        latent   z : R[G, J], >= 0
        param    W : R[G, J, M]
        E(y, z) = Σ_m (y_m - Σ_g Σ_j W[g, j, m] z[g, j])^2 + 0.3 Σ_g sqrt(Σ_j z[g, j]^2) + 0.1||W||^2
        F(y) = min_z E(y, z)
    """,
    "groups_by_size": """
        observed y : R[M]
        latent   z : R[G, J]
        param    W : R[M, G, J], r : R[G], > 0
        E(y, z) = ||y - Σ_{g,j} W[:, g, j] z[g, j]||^2 + Σ_g r_g ||z[g]|| - 0.1 Σ_g log r_g + 0.1||W||^2
        F(y) = min_z E(y, z)
    """,
    "sparse_groups": """
        observed y : R[M]
        latent   z : R[G, J]
        param    W : R[M, G, J]
        E(y, z) = ||y - Σ_g W[:, g, :] z[g]||^2 + 0.2 Σ_g ||z[g]|| + 0.1 Σ_g |z[g]| + 0.1||W||^2
        F(y) = min_z E(y, z)
    """,
    "norm_of_code": """
        observed y : R[M]
        latent   z : R[K]
        param    W : R[M, K], unit columns
        E(y, z) = ||y - W z||^2 + 0.4||z||
        F(y) = min_z E(y, z)
    """,
    "denoise_entrywise": """
        observed y : R[M]
        latent   z : R[M]
        E(y, z) = ½||y - z||^2 + 0.3|z|
        F(y) = min_z E(y, z)
    """,
    "denoise_masked": """
        observed m : {0,1}[M], y : R[M]
        latent   z : R[M]
        E(m, y, z) = Σ_i m_i (y_i - z_i)^2 + 0.3|z|
        F(m, y) = min_z E(m, y, z)
    """,
    "straight_in_box": """
        observed y : R[M]
        latent   z : box(-1, 1)[M]
        E(y, z) = y'z + ||y||^2
        F(y) = min_z E(y, z)
    """,
    "straight_on_simplex": """
        observed y : R[M]
        latent   z : simplex[M]
        E(y, z) = Σ_i y_i z_i + ||y||^2
        F(y) = min_z E(y, z)
    """,
    "steps": """
        observed y : R[T]
        latent   x : R[T], >= 0
        param    w : R[T]
        E(y, x) = ||y - x||^2 + Σ_{t=1}^{T-1} (x_{t+1} - x_t - w_t)^2 + 0.1 ||w||^2 + 0.2 Σ_{t=0}^{T-2} x[t+1]
        F(y) = min_x E(y, x)
    """,
    "with_barrier": """
        observed y : R[M]
        latent   z : R[N], > 0
        param    W : R[M, N], >= 0
        E(y, z) = Σ_n (z_n - log z_n) + ||y - W z||^2 + ||W||^2
        F(y) = min_z E(y, z)
    """,
    "filters": """
        observed y : R[5, 6]
        latent   z : R[P, 5, 6]
        param    D : R[P, 3, 3], unit filters
        E(y, z) = ||y - Σ_k D[k] * z[k]||^2 + 0.2 Σ_k |z[k]|
        F(y) = min_z E(y, z)
    """,
    "huber_code": """
        observed y : R[D]
        latent   z : R[K]
        param    W : R[D, K], unit columns
        F(y) = min_z Σ_d huber(y_d - Σ_k W[d, k] z_k) + 0.1|z|
    """,
    "nearest_in_simplex": """
        observed y : R[M]
        latent   z : simplex[M]
        E(y, z) = ||y - z||^2
        F(y) = min_z E(y, z)
    """,
    "nearest_in_box": """
        observed y : R[M]
        latent   z : box(0, 1)[M]
        param    g : R[M], > 0
        E(y, z) = Σ_i g_i (y_i - z_i)^2 - 0.1 Σ_i log g_i + 0.1|z|
        F(y) = min_z E(y, z)
    """,
    "weighted_simplex": """
        observed y : R[M]
        latent   z : simplex[M]
        E(y, z) = Σ_i (i + 1) (y_i - z_i)^2
        F(y) = min_z E(y, z)
    """,
    "weighted_group_denoise": """
        observed y : R[G, J]
        latent   z : R[G, J]
        E(y, z) = Σ_{g,j} (1 + j) (y[g, j] - z[g, j])^2 + 0.5 Σ_g ||z[g]||
        F(y) = min_z E(y, z)
    """,
    "matrix_lasso": """
        observed Y : R[M, P]
        latent   Z : R[N, P]
        param    W : R[M, N], unit columns
        E(Y, Z) = ||Y - W Z||^2 + 0.3|Z|
        F(Y) = min_Z E(Y, Z)
    """,
    "matrix_lasso_last": """
        observed Y : R[P, M]
        latent   Z : R[P, N]
        param    W : R[M, N], unit columns
        E(Y, Z) = Σ_p ||Y[p] - W Z[p]||^2 + 0.3 Σ_{p,n} |Z[p, n]|
        F(Y) = min_Z E(Y, Z)
    """,
    "two_codes": """
        observed y : R[M]
        latent   u : R[K], s : R[M]
        param    W : R[M, K], unit columns
        E(y, u, s) = ||y - W u - s||^2 + 0.1||u||^2 + 0.3|s|
        F(y) = min_u min_s E(y, u, s)
    """,
    "two_codes_nonnegative": """
        observed y : R[M]
        latent   u : R[K], >= 0
        latent   s : R[N]
        param    A : R[M, K], unit columns
        param    B : R[M, N], unit columns
        E(y, u, s) = ||y - A u - B s||^2 + 0.1|u| + 0.3|s|
        F(y) = min_{u,s} E(y, u, s)
    """,
    "logistic_code": """
        observed y : {-1,1}[M]
        latent   z : R[K]
        param    W : R[M, K], unit columns
        E(y, z) = Σ_i log(1 + exp(-y_i Σ_k W[i, k] z_k)) + 0.1|z|
        F(y) = min_z E(y, z)
    """,
    "robust": """
        observed y : R[M]
        latent   z : R[K]
        param    W : R[M, K], unit columns
        E(y, z) = Σ_i sqrt(1 + (y_i - Σ_k W[i, k] z_k)^2) + 0.2||z||^2
        F(y) = min_z E(y, z)
    """,
    "bilinear": """
        observed Y : R[M, P]
        latent   a : R[M], b : R[P]
        E(Y, a, b) = Σ_{i,j} (Y[i, j] - a_i b_j)^2 + 0.5||a||^2 + 0.5||b||^2
        F(Y) = min_{a,b} E(Y, a, b)
    """,
    "on_sphere": """
        observed y : R[M]
        latent   z : sphere[P]
        param    W : R[M, P]
        E(y, z) = ||y - W z||^2
        F(y) = min_z E(y, z)
    """,
    "double_well_latent": """
        observed y : R[M]
        latent   z : R[M]
        E(y, z) = ||y - z||^2 + Σ_i z_i^4 - 2||z||^2
        F(y) = min_z E(y, z)
    """,
    "prediction_of_code": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        module   Enc : R[M] -> R[N] = linear >> tanh
        E(y, z) = ||y - W z||^2 + ||z - Enc(y)||^2 + 0.3|z|
        F(y) = min_z E(y, z)
    """,
}

FINITE: dict[str, str] = {
    "prototypes_rows": """
        observed y : R[D]
        latent   z : onehot[K]
        param    W : R[K, D]
        E(y, z) = 2||y - W'z||^2
        F(y) = min_z E(y, z)
    """,
    "prototypes_by_sum": """
        observed y : R[D]
        latent   n : onehot[K]
        param    t : R[K, D]
        E(y, n) = ½ Σ_k n_k Σ_d (y_d - t[k, d])^2
        F(y) = min_n E(y, n)
    """,
    "prototypes_soft": """
        observed y : R[D]
        latent   z : onehot[K]
        param    W : R[D, K]
        const    β = 3
        E(y, z) = ||y - W z||^2
        F(y) = softmin_z[β] E(y, z)
    """,
    "prototypes_l1": """
        observed y : R[D]
        latent   z : onehot[K]
        param    W : R[D, K]
        E(y, z) = ||y - W z||_1
        F(y) = min_z E(y, z)
    """,
    "scalar_mixture": """
        dim K = 4
        observed y : R
        latent   c : onehot[K]
        param    μ : R[K], τ : R[K], > 0
        param    π : simplex[K]
        E(y, c) = Σ_k c_k (½ τ_k (y - μ_k)^2 - ½ log τ_k - log π_k)
        F(y) = softmin_c[1] E(y, c)
    """,
    "diagonal_mixture": """
        observed y : R[D]
        latent   z : onehot[K]
        param    μ : R[K, D], τ : R[K, D], > 0
        param    π : simplex[K]
        E(y, z) = Σ_k z_k (½ Σ_d τ[k, d] (y_d - μ[k, d])^2 - ½ Σ_d log τ[k, d] - log π_k)
        F(y) = -log Σ_z exp(-E(y, z))
    """,
    "full_mixture_min": """
        observed y : R[D]
        latent   z : onehot[K]
        param    m : R[K, D]
        param    S : R[K, D, D], positive definite
        E(y, z) = Σ_k z_k ((y - m[k])' S[k] (y - m[k]) - log det S[k])
        F(y) = min_z E(y, z)
    """,
    "shared_precision_mixture": """
        observed y : R[D]
        latent   z : onehot[K]
        param    m : R[K, D]
        param    S : R[D, D], positive definite
        param    w : simplex[K]
        E(y, z) = ½ (y - m'z)' S (y - m'z) - ½ log det S - Σ_k z_k log w_k
        F(y) = softmin_z[1] E(y, z)
    """,
    "binary_code": """
        dim N = 4
        observed y : R[M]
        latent   h : {0,1}[N]
        param    W : R[M, N]
        E(y, h) = ||y - W h||^2 + 0.1 Σ_i h_i
        F(y) = min_h E(y, h)
    """,
    "spin_code_soft": """
        dim N = 3
        observed y : R[M]
        latent   s : {-1,1}[N]
        param    W : R[M, N], b : R[M]
        E(y, s) = ½||y - W s - b||^2
        F(y) = softmin_s[2] E(y, s)
    """,
    "two_onehots": """
        observed y : R[D]
        latent   a : onehot[K], b : onehot[P]
        param    A : R[D, K], B : R[D, P]
        E(y, a, b) = ||y - A a - B b||^2
        F(y) = min_{a,b} E(y, a, b)
    """,
    "two_onehots_soft": """
        observed y : R[D]
        latent   a : onehot[K], b : onehot[P]
        param    A : R[D, K], B : R[D, P]
        E(y, a, b) = ||y - A a - B b||^2
        F(y) = softmin_{a,b}[2] E(y, a, b)
    """,
    "onehot_rows": """
        dim G = 2, K = 3
        observed y : R[D]
        latent   z : onehot[G, K]
        param    W : R[G, D, K]
        E(y, z) = ||y - Σ_g W[g] z[g]||^2
        F(y) = min_z E(y, z)
    """,
    "mixture_of_predictors": """
        observed x : R[P]
        observed y : R[D]
        latent   z : onehot[K]
        param    A : R[K, D, P]
        E(x, y, z) = Σ_k z_k ||y - A[k] x||^2
        F(x, y) = min_z E(x, y, z)
    """,
    "subspaces": """
        observed y : R[D]
        latent   z : onehot[K]
        param    U : R[K, D], μ : R[K, D]
        E(y, z) = Σ_k z_k (||y - μ_k||^2 + 0.1 (U[k]'y - 1)^2 + 0.01||U[k]||^2)
        F(y) = min_z E(y, z)
    """,
    "scalar_bit": """
        observed y : R
        latent   z : {0,1}
        param    a : R
        F(y) = min_z (y - a z)^2
    """,
    "three_finite": """
        observed y : R[D]
        latent   a : onehot[3], b : {0,1}[2], c : {-1,1}
        param    A : R[D, 3], B : R[D, 2], e : R[D]
        F(y) = min_{a,b,c} ||y - A a - B b - c e||^2
    """,
    "choice_of_predictor": """
        dim K = 3
        observed x : R[P], y : R
        latent   z : onehot[K]
        module   Pred : R[P] -> R[K] = mlp(6, tanh)
        E(x, y, z) = (y - z'Pred(x))^2
        F(x, y) = min_z E(x, y, z)
    """,
}

MIXED: dict[str, str] = {
    "mixed_factors": """
        dim K = 2
        observed y : R[M]
        latent   c : onehot[K], z : R[P]
        param    A : R[K, M, P], μ : R[K, M]
        E(y, c, z) = Σ_k c_k ||y - A[k] z - μ_k||^2 + 0.3||z||^2 + 0.1||A||^2
        F(y) = min_c min_z E(y, c, z)
    """,
    "mixed_sparse": """
        dim K = 2
        observed y : R[M]
        latent   s : {-1,1}, z : R[N]
        param    A : R[M, N], unit columns
        param    b : R[M]
        E(y, s, z) = ||y - A z - s b||^2 + 0.3|z|
        F(y) = min_{s,z} E(y, s, z)
    """,
}

DESCENT: dict[str, str] = {
    "decoder": """
        observed y : R[M]
        latent   z : R[P]
        module   Dec : R[P] -> R[M] = mlp(6, tanh)
        E(y, z) = ||y - Dec(z)||^2 + 0.1||z||^2
        F(y) = min_z E(y, z)
    """,
    "decoder_of_two": """
        observed x : R[D], y : R[M]
        latent   z : R[P]
        module   Pred : R[D] -> R[Q] = linear >> relu
        module   Dec : R[Q], R[P] -> R[M] = mlp(5, silu)
        const    λ = 0.1
        h = Pred(x)
        E(x, y, z) = ||y - Dec(h, z)||^2 + λ|z|
        F(x, y) = min_z E(x, y, z)
    """,
    "decoder_bounded": """
        observed y : R[M]
        latent   a : box(-1, 1)[1]
        module   Dec : R[1] -> R[M] = mlp(6, tanh)
        E(y, a) = ||y - Dec(a)||^2
        F(y) = min_a E(y, a)
    """,
    "curved_decoder": """
        observed y : R[D]
        latent   z : R[P]
        param    W : R[D, P], unit columns
        F(y) = min_z ||y - tanh(W z)||^2 + 0.1|z|
    """,
    "decoder_plus_linear": """
        observed y : R[M]
        latent   z : R[P]
        param    W : R[M, P], unit columns
        module   Dec : R[P] -> R[M] = linear >> tanh
        E(y, z) = ||y - Dec(z) - W z||^2 + 0.2 z'z
        F(y) = min_z E(y, z)
    """,
}

SIZED: dict[str, str] = {
    "counted": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns, w : R[N], > 0
        E(y, z) = ||y - W z||^2 + Σ_n (0.1 + w[n]) step(|z[n]|) + ||w||^2
        F(y) = min_z E(y, z)
    """,
    "roots_masked": """
        observed y : R[M], m : R[M]
        latent   Z : R[K, P], >= 0, b : R
        param    W : R[M, K, P]
        E(y, m, Z, b) = Σ_i m[i]^2 (y[i] - b - Σ_{k,p} W[i,k,p] Z[k,p])^2 + 0.3 Σ_{k,p} √Z[k,p] + 0.1 b^2 + 0.1||W||^2
        F(y, m) = min_{Z, b} E(y, m, Z, b)
    """,
}

PLAIN: dict[str, str] = {
    "projection": """
        observed y : R[D]
        param    W : R[K, D]
        F(y) = ½ Σ_d (y_d - Σ_k W[k, d] Σ_e W[k, e] y_e)^2
    """,
    "projection_orthonormal": """
        observed y : R[D]
        param    Q : R[D, P], orthonormal
        F(y) = ||y - Q Q'y||^2
    """,
    "gaussian": """
        observed y : R[D]
        param    A : R[D, D], positive definite
        param    μ : R[D]
        F(y) = ½ (y - μ)' A (y - μ) - ½ log det A
    """,
    "gaussian_diagonal": """
        observed y : R[D]
        param    τ : R[D], > 0
        param    μ : R[D]
        F(y) = ½ Σ_d (τ_d (y_d - μ_d)^2 - log τ_d)
    """,
    "regression": """
        observed x : R[P], y : R[M]
        param    A : R[M, P], b : R[M]
        F(x, y) = ||y - A x - b||^2 + 0.1||A||^2
    """,
    "regression_scalar": """
        observed x : R, y : R
        param    a : R, b : R
        F(x, y) = ½(y - a x - b)^2
    """,
    "robust_regression": """
        observed x : R[P], y : R
        param    a : R[P]
        F(x, y) = log cosh(y - a'x) + 0.01||a||^2
    """,
    "quadric": """
        observed y : R[2]
        param    w : R
        F(y) = (y[1] - w y[0]^2)^2
    """,
    "components": """
        dim D = 4
        observed y : R[D]
        param    W : R[D, D]
        F(y) = Σ_k log cosh(W[k, :]'y) - log |det W|
    """,
    "tied_encoder": """
        observed y : R[M]
        param    W : R[P, M], b : R[P]
        F(y) = ||y - W' tanh(W y + b)||^2
    """,
    "bottleneck": """
        observed y : R[M]
        module   Enc : R[M] -> R[P] = mlp(6, tanh)
        module   Dec : R[P] -> R[M] = mlp(6, tanh)
        F(y) = ||y - Dec(Enc(y))||^2
    """,
    "regressor": """
        observed x : R[P], y : R[M]
        module   f : R[P] -> R[M] = mlp(6, silu)
        param    τ : R[M], > 0
        F(x, y) = Σ_i τ_i (y_i - f(x)_i)^2 - Σ_i log τ_i
    """,
    "regressor_clear_and_module": """
        observed x : R[P], y : R[M]
        param    A : R[M, P]
        module   f : R[P] -> R[M] = linear
        F(x, y) = ||y - f(x) - A x||^2 + 0.5||A||^2
    """,
    "gated": """
        observed x : R[P], y : R[M]
        param    A : R[M, P], B : R[M, P]
        F(x, y) = ||y - (A x) ⊙ sigmoid(B x)||^2 + 0.01||A||^2 + 0.01||B||^2
    """,
    "softmax_regression": """
        observed x : R[P]
        observed y : onehot[K]
        param    A : R[K, P], b : R[K]
        F(x, y) = log Σ_k exp(Σ_p A[k, p] x_p + b_k) - y'(A x + b) + 0.01||A||^2
    """,
}

NAMES: dict[str, str] = {
    "names_of_python": """
        dim class = 3
        observed self : R[D]
        latent   lambda : onehot[class]
        param    energy : R[D, class]
        E(self, lambda) = ||self - energy lambda||^2
        F(self) = min_lambda E(self, lambda)
    """,
    "names_of_torch": """
        observed torch : R[M]
        latent   point : R[N]
        param    gram : R[M, N], unit columns
        const    step = 0.2, tolerance = 0.1
        E(torch, point) = ||torch - gram point||^2 + step|point| + tolerance||point||^2
        F(torch) = min_point E(torch, point)
    """,
    "names_that_collide": """
        observed λ : R[D]
        latent   ξ : onehot[K]
        param    lam : R[D, K], lam2 : R[K]
        E(λ, ξ) = ||λ - lam ξ||^2 + Σ_k ξ_k (lam2[k] - 1)^2
        F(λ) = softmin_ξ[½] E(λ, ξ)
    """,
    "same_term_twice": """
        observed y : R[M]
        latent   z : R[N]
        param    W : R[M, N], unit columns
        E(y, z) = 0.1|z| + ||y - W z||^2 + 0.1|z| + 3
        F(y) = min_z E(y, z)
    """,
}

CORPUS: dict[str, str] = CLOSED | PROXIMAL | FINITE | MIXED | DESCENT | SIZED | PLAIN | NAMES | AVERAGED
