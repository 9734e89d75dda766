"""Energies with a softmin over latents that take infinitely many values, or many at once; part of the corpus."""

from __future__ import annotations

GAUSSIAN: dict[str, str] = {
    "factor_model": """
        observed y : R[D]
        latent   z : R[K]
        param    W : R[D, K], m : R[D], t : R[D], > 0
        E(y, z) = ½ Σ_d t_d (y_d - m_d - Σ_k W[d, k] z_k)^2 - ½ Σ_d log t_d + ½||z||^2
        F(y) = softmin_z[1] E(y, z)
    """,
    "factor_by_integral": """
        observed y : R[D]
        latent   u : R[K]
        param    A : R[D, K], v : R, > 0
        const    β = 2
        E(y, u) = ||y - A u||^2 / v + ||u||^2 + 4 log v + 0.1||A||^2
        F(y) = -1/β log ∫ exp(-β E(y, u)) du
    """,
    "averaged_offset": """
        observed y : R[D]
        latent   z : R[D]
        param    g : R[D], > 0
        E(y, z) = Σ_d (y_d - z_d)^2 + Σ_d g_d z_d^2 - Σ_d log g_d
        F(y) = softmin_z[3] E(y, z)
    """,
    "averaged_rows": """
        observed Y : R[M, P]
        latent   Z : R[K, P]
        param    W : R[M, K]
        E(Y, Z) = ||Y - W Z||^2 + 0.5||Z||^2 + 0.1||W||^2
        F(Y) = softmin_Z[1] E(Y, Z)
    """,
    "averaged_by_sample": """
        observed s : R[D], y : R[D]
        latent   z : R[K]
        param    W : R[D, K]
        E(s, y, z) = Σ_d s_d^2 (y_d - Σ_k W[d, k] z_k)^2 + ||z||^2 + 0.1||W||^2
        F(s, y) = softmin_z[1] E(s, y, z)
    """,
    "two_averaged": """
        observed y : R[D]
        latent   z : R[K], u : R[P, J]
        param    W : R[D, K], V : R[D, P, J]
        E(y, z, u) = ½||y - W z - Σ_{p,j} V[:, p, j] u[p, j]||^2 + ½||z||^2 + ||u||^2 + 0.1||W||^2 + 0.1||V||^2
        F(y) = softmin_{z, u}[2] E(y, z, u)
    """,
    "averaged_variances": """
        observed y : R[D]
        latent   z : R[K]
        param    W : R[D, K], s : R[D], > 0, v : R, > 0
        E(y, z) = ½ Σ_d (y_d - Σ_k W[d, k] z_k)^2 / s_d + ½ Σ_d log s_d + ||z||^2 / (2 v) + ½ K log v + 0.1||W||^2
        F(y) = softmin_z[1] E(y, z)
    """,
    "mixture_of_factors": """
        observed y : R[D]
        latent   c : onehot[G], z : R[K]
        param    W : R[G, D, K], m : R[G, D], p : simplex[G]
        E(y, c, z) = Σ_g c_g (½||y - m[g] - W[g] z||^2 - log p_g) + ½||z||^2
        F(y) = softmin_{c, z}[1] E(y, c, z)
    """,
    "switched_precision": """
        observed y : R[D]
        latent   b : {0,1}[2], z : R[D]
        param    q : R[D, D], positive definite
        param    a : R[2, D]
        E(y, b, z) = ||y - z - Σ_p b_p a[p]||^2 + z' q z - ½ log det q + Σ_p b_p
        F(y) = softmin_{b, z}[1.5] E(y, b, z)
    """,
}

ELIMINATED: dict[str, str] = {
    "hidden_chain": """
        observed y : R[7, 2]
        latent   s : onehot[7, 3]
        param    A : simplex[3, 3], m : R[3, 2]
        E(y, s) = ½ Σ_t Σ_k s[t, k] ||y[t] - m[k]||^2 - Σ_t Σ_{k, l} s[t, k] s[t+1, l] log A[k, l]
        F(y) = softmin_s[1] E(y, s)
    """,
    "chain_of_two": """
        observed y : R[4]
        latent   s : onehot[4, 3], b : {0,1}[4]
        param    A : R[3, 3], m : R[3], c : R
        E(y, s, b) = Σ_t (y_t - Σ_k s[t, k] m_k - c b_t)^2 + Σ_t s[t]' A s[t+1] + Σ_t (b[t+1] - b[t])^2 + ||A||^2 + c^2
        F(y) = min_{s, b} E(y, s, b)
    """,
    "many_switches": """
        observed y : R[12]
        latent   b : {0,1}[12]
        param    w : R[12], a : R
        E(y, b) = Σ_i b_i (w_i - y_i) + Σ_i (w_i - 1)^2 + a^2 Σ_i b_i
        F(y) = softmin_b[1] E(y, b)
    """,
    "short_chain": """
        observed y : R[6, 2]
        latent   s : onehot[6, 3]
        param    A : R[3, 3], m : R[3, 2]
        E(y, s) = Σ_t Σ_k s[t, k] ||y[t] - m[k]||^2
                + s[0]' A s[1] + s[1]' A s[2] + s[2]' A s[3] + s[3]' A s[4] + s[4]' A s[5] + ||A||^2
        F(y) = softmin_s[2] E(y, s)
    """,
    "short_chain_lowest": """
        observed y : R[6, 2]
        latent   s : onehot[6, 3]
        param    A : R[3, 3], m : R[3, 2]
        E(y, s) = Σ_t Σ_k s[t, k] ||y[t] - m[k]||^2
                + s[0]' A s[1] + s[1]' A s[2] + s[2]' A s[3] + s[3]' A s[4] + s[4]' A s[5] + ||A||^2
        F(y) = min_s E(y, s)
    """,
    "tree_of_latents": """
        observed y : R[D]
        latent   a : onehot[4], b : onehot[5], c : onehot[3], d : {-1,1}[4]
        param    P : R[4, 5], Q : R[4, 3], w : R[4, 4], m : R[4, D]
        E(y, a, b, c, d) = ||y - Σ_k a_k m[k]||^2 + a' P b + a' Q c + Σ_{k, i} a_k w[k, i] d_i
                          + ||P||^2 + ||Q||^2 + ||w||^2
        F(y) = softmin_{a, b, c, d}[1] E(y, a, b, c, d)
    """,
    "tree_lowest": """
        observed y : R[D]
        latent   a : onehot[4], b : onehot[5], c : onehot[3], d : {-1,1}[4]
        param    P : R[4, 5], Q : R[4, 3], w : R[4, 4], m : R[4, D]
        E(y, a, b, c, d) = ||y - Σ_k a_k m[k]||^2 + a' P b + a' Q c + Σ_{k, i} a_k w[k, i] d_i
                          + ||P||^2 + ||Q||^2 + ||w||^2
        F(y) = min_{a, b, c, d} E(y, a, b, c, d)
    """,
}

AVERAGED: dict[str, str] = GAUSSIAN | ELIMINATED
