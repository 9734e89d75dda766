"""Energies that textbooks name an algorithm for, as small specs."""

from __future__ import annotations

TEXTBOOK: dict[str, str] = {
    "basis analysis": """
        dim M = 30, N = 20
        observed y : R[M]
        latent x : R[M]
        param D : R[N, M], unit rows
        F(y) = min_x ½||y - x||^2 + 0.3|D x|
    """,
    "box": """
        dim M = 30, N = 10
        observed y : R[M]
        latent x : box(-1, 1)[N]
        param W : R[M, N]
        E(y, x) = ½||W x - y||^2
        F(y) = min_x E(y, x)
    """,
    "conv codes": """
        dim S = 32, K = 4
        observed y : R[S, S]
        latent z : R[K, S, S]
        param D : R[K, 5, 5], unit filters
        F(y) = min_z ½||y - Σ_k circular_conv(D[k], z[k])||^2 + 0.1|z|
    """,
    "deblur": """
        dim H = 32
        observed y : R[H, H]
        latent x : R[H, H]
        param k : R[3, 3]
        F(y) = min_x ||y - circular_conv(k, x)||^2 + 0.1 ||x||^2 + ||k||^2
    """,
    "elastic net": """
        dim M = 30, N = 10
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N], unit columns
        const α = 0.3, ρ = 0.7
        E(y, z) = ||y - W z||^2/(2 M) + α ρ |z| + ½ α (1 - ρ) ||z||^2
        F(y) = min_z E(y, z)
    """,
    "entropy simplex": """
        dim M = 10, N = 5
        observed y : R[M]
        latent z : simplex[N]
        param W : R[M, N]
        F(y) = min_z ||y - W z||^2 + 0.1 Σ_n z[n] log z[n] + 0.1||W||^2
    """,
    "factor analysis": """
        dim K = 3, D = 10
        observed y : R[D]
        latent z : R[K]
        param W : R[D, K], τ : R[D], > 0
        F(y) = softmin_z[1] (½ Σ_d τ[d] (y[d] - (W z)[d])^2 - ½ Σ_d log τ[d] + ½ z'z)
    """,
    "gmm sph": """
        dim K = 3
        observed y : R[D]
        latent k : onehot[K]
        param μ : R[K, D], π : simplex[K]
        F(y) = softmin_k[1] Σ_c k[c] (½||y - μ[c]||^2 - log π[c])
    """,
    "group lasso": """
        dim M = 30, G = 5, J = 3
        observed y : R[M]
        latent z : R[G, J]
        param W : R[M, G, J]
        E(y, z) = ½ Σ_m (y[m] - Σ_{g,j} W[m,g,j] z[g,j])^2 + 0.3 Σ_g ||z[g,:]|| + 0.1 |z| + 0.1||W||^2
        F(y) = min_z E(y, z)
    """,
    "hmm viterbi": """
        dim T = 40, K = 3
        observed y : R[T]
        latent s : onehot[T, K]
        param μ : R[K], A : simplex[K, K], p : simplex[K]
        E(y, s) = ½ Σ_t Σ_k s[t, k] (y[t] - μ[k])^2 - Σ_t s[t]' log(A) s[t+1] - Σ_k s[0, k] log p[k]
        F(y) = min_s E(y, s)
    """,
    "huber": """
        dim M = 30, N = 5
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N]
        F(y) = min_z Σ_m huber(y[m] - Σ_n W[m,n] z[n], 1) + 0.1||z||^2 + 0.1||W||^2
    """,
    "ising grid": """
        dim H = 12
        observed y : R[H, H]
        latent s : {-1,1}[H, H]
        F(y) = min_s -Σ_{i,j} y[i,j] s[i,j] - 0.5 Σ_{i,j} s[i,j] s[i+1,j] - 0.5 Σ_{i,j} s[i,j] s[i,j+1]
    """,
    "kmedians": """
        dim K = 3
        observed y : R[D]
        latent k : onehot[K]
        param W : R[K, D]
        F(y) = min_k Σ_c k[c] |y - W[c]|
    """,
    "ksubspaces": """
        dim M = 20, K = 4, P = 2
        observed y : R[M]
        latent k : onehot[K], a : R[P]
        param W : R[K, M, P], μ : R[K, M]
        E(y, k, a) = Σ_c k[c] ||y - μ[c] - W[c] a||^2 + 0.01||a||^2 + 0.01||W||^2
        F(y) = min_{k,a} E(y, k, a)
    """,
    "l0": """
        dim M = 30, N = 10
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N], unit columns
        F(y) = min_z ½||y - W z||^2 + 0.1||z||_0
    """,
    "l1 trend": """
        dim T = 200
        observed y : R[T]
        latent x : R[T]
        F(y) = min_x ½||y - x||^2 + 50 Σ_t |x[t+1] - 2 x[t] + x[t-1]|
    """,
    "lad": """
        dim M = 30, N = 5
        observed y : R[M], A : R[M, N]
        latent x : R[N]
        F(y, A) = min_x |y - A x|
    """,
    "lasso": """
        dim M = 30, N = 10
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N], unit columns
        const λ = 0.3
        E(y, z) = 1/2 ||y - W z||^2 + λ||z||_1
        F(y) = min_z E(y, z)
    """,
    "lda codes": """
        dim V = 50, K = 5
        observed y : R[V], >= 0
        latent z : simplex[K]
        param W : R[V, K], >= 0
        F(y) = min_z (-Σ_v y[v] log(Σ_k W[v,k] z[k] + 0.001)) + 0.1||W||^2
    """,
    "linear blur tv": """
        dim T = 100
        observed y : R[T]
        latent x : R[T], >= 0
        const h = 0.3
        F(y) = min_x Σ_t (y[t] - h x[t-1] - (1 - 2 h) x[t] - h x[t+1])^2 + 0.2 Σ_t |x[t+1] - x[t]|
    """,
    "linreg": """
        observed x : R[P], t : R
        param w : R[P], b : R
        F(x, t) = ½(t - w'x - b)^2
    """,
    "logistic code": """
        dim M = 30, K = 5
        observed y : {0,1}[M]
        latent z : R[K]
        param W : R[M, K], b : R[M]
        E(y, z) = Σ_m (softplus(Σ_k W[m,k] z[k] + b[m]) - y[m] (Σ_k W[m,k] z[k] + b[m])) + ½||z||^2 + 0.1||W||^2
        F(y) = min_z E(y, z)
    """,
    "logreg": """
        observed x : R[P], t : {0,1}
        param w : R[P], b : R
        F(x, t) = log(1 + exp(w'x + b)) - t (w'x + b) + 0.01||w||^2
    """,
    "lqr": """
        observed x : R[N]
        latent a : R[T, M]
        param A : R[N, N], B : R[N, M]
        s[0] = x
        s[t+1] = A s[t] + B a[t]
        E(x, a) = Σ_t ||s[t]||^2 + Σ_t ||a[t]||^2 + 0.01||A||^2 + 0.01||B||^2
        F(x) = min_a E(x, a)
    """,
    "matrix completion": """
        dim M = 20, N = 30, K = 3
        observed y : R[M, N], m : {0,1}[M, N]
        latent U : R[M, K], V : R[K, N]
        E(y, m, U, V) = ||m ⊙ (y - U V)||^2 + 0.1||U||^2 + 0.1||V||^2
        F(y, m) = min_{U,V} E(y, m, U, V)
    """,
    "mixed softmin": """
        dim K = 3, P = 2, D = 6
        observed y : R[D]
        latent k : onehot[K], z : R[P]
        param W : R[K, D, P], μ : R[K, D], π : simplex[K]
        F(y) = softmin_{k,z}[1] (Σ_c k[c] (½||y - μ[c] - W[c] z||^2 - log π[c]) + ½||z||^2)
    """,
    "mlp code": """
        observed y : R[30]
        latent z : R[4]
        module Dec : R[4] -> R[30] = mlp(32, tanh)
        F(y) = min_z ||y - Dec(z)||^2 + 0.01||z||^2
    """,
    "nnls": """
        dim M = 30, N = 10
        observed y : R[M], A : R[M, N]
        latent x : R[N], >= 0
        E(y, A, x) = ||A x - y||^2
        F(y, A) = min_x E(y, A, x)
    """,
    "nnls shared": """
        dim M = 30, N = 10
        observed y : R[M]
        latent x : R[N], >= 0
        param W : R[M, N], unit columns
        E(y, x) = ||W x - y||^2
        F(y) = min_x E(y, x)
    """,
    "orth dict": """
        dim M = 10
        observed y : R[M]
        latent z : R[M]
        param W : R[M, M], orthonormal
        F(y) = min_z ||y - W z||^2 + 0.3|z|
    """,
    "overlapping groups": """
        dim M = 30, N = 12
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N], unit columns
        E(y, z) = ½||y - W z||^2 + 0.3 Σ_n sqrt(z[n]^2 + z[n+1]^2 + z[n+2]^2)
        F(y) = min_z E(y, z)
    """,
    "plsa": """
        dim V = 50, K = 5
        observed y : R[V], >= 0
        latent z : simplex[K]
        param W : simplex[K, V]
        F(y) = min_z (-Σ_v y[v] log(Σ_k z[k] W[k,v]))
    """,
    "potts chain": """
        dim T = 50, K = 4
        observed y : R[T, K]
        latent s : onehot[T, K]
        const J = 0.7
        E(y, s) = -Σ_t Σ_k y[t,k] s[t,k] - J Σ_t Σ_k s[t,k] s[t+1,k]
        F(y) = min_s E(y, s)
    """,
    "potts tree": """
        dim K = 6
        observed y : R[7, K]
        latent s : onehot[7, K]
        param A : R[K, K]
        E(y, s) = Σ_{i,k} y[i,k] s[i,k] + s[0]'A s[1] + s[0]'A s[2] + s[1]'A s[3] + s[1]'A s[4] + s[2]'A s[5]
            + s[2]'A s[6] + ||A||^2
        F(y) = min_s E(y, s)
    """,
    "ppca min": """
        dim M = 10, N = 3
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N], orthonormal columns
        F(y) = min_z ||y - W z||^2
    """,
    "procrustes": """
        dim M = 5
        observed x : R[M], y : R[M]
        param Q : R[M, M], orthonormal
        F(x, y) = ||y - Q x||^2
    """,
    "ridge": """
        dim M = 30, N = 10
        observed y : R[M]
        latent z : R[N]
        param W : R[M, N]
        const λ = 0.3
        E(y, z) = ||y - W z||^2 + λ||z||^2 + 0.1||W||^2
        F(y) = min_z E(y, z)
    """,
    "robust pca": """
        dim M = 20, N = 30
        observed y : R[M, N]
        latent L : R[M, N], S : R[M, N]
        F(y) = min_{L,S} ½||y - L - S||^2 + 1.0||L||_* + 0.2|S|
    """,
    "robust pca exact": """
        dim M = 20, N = 30
        observed y : R[M, N]
        latent L : R[M, N]
        F(y) = min_L ||L||_* + 0.2|y - L|
    """,
    "simplex ls": """
        dim M = 30, N = 10
        observed y : R[M]
        latent x : simplex[N]
        param W : R[M, N]
        E(y, x) = ||W x - y||^2
        F(y) = min_x E(y, x)
    """,
    "softmin small": """
        observed y : R[2]
        latent z : R[1]
        param a : R[2], b : R[2]
        F(y) = softmin_z[1] (½ Σ_i (y[i] - a[i] tanh(z[0]) - b[i])^2 + ½ z[0]^2)
    """,
    "spherical kmeans": """
        dim K = 3
        observed y : R[D]
        latent k : onehot[K]
        param W : R[D, K], unit columns
        F(y) = min_k -y'W k
    """,
    "svm": """
        observed x : R[P], t : R
        param w : R[P], b : R
        const C = 10
        F(x, t) = C relu(1 - t (w'x + b)) + ½||w||^2
    """,
    "switching": """
        dim T = 12, K = 2, N = 2
        observed y : R[T, N]
        latent k : onehot[T, K], s : R[T, N]
        param A : R[K, N, N]
        E(y, k, s) = Σ_t ||y[t] - s[t]||^2 + Σ_t Σ_c k[t, c] ||s[t+1] - A[c] s[t]||^2
        F(y) = min_{k, s} E(y, k, s)
    """,
    "switching pen": """
        dim T = 12, K = 2, N = 2
        observed y : R[T, N]
        latent k : onehot[T, K], s : R[T, N]
        param A : R[K, N, N]
        E(y, k, s) = Σ_t ||y[t] - s[t]||^2 + Σ_t Σ_c k[t, c] ||s[t+1] - A[c] s[t]||^2 + 0.01||A||^2 + 0.1||s||^2
        F(y) = min_{k, s} E(y, k, s)
    """,
    "tv1d": """
        dim T = 200
        observed y : R[T]
        latent x : R[T]
        F(y) = min_x ½||y - x||^2 + 2 Σ_t |x[t+1] - x[t]|
    """,
    "tv2d": """
        dim H = 16
        observed y : R[H, H]
        latent x : R[H, H]
        F(y) = min_x ½||y - x||^2 + 0.5 Σ_{i,j} |x[i+1,j] - x[i,j]| + 0.5 Σ_{i,j} |x[i,j+1] - x[i,j]|
    """,
}  # fmt: skip
