"""Specs and lines of slides that parse."""

from __future__ import annotations

SPECS = (
    """model sparse_coding                     # "Sparse coding" in the talk

dim M = 144, N = 256
observed y : R[M]
latent   z : R[N]
param    W : R[M, N], unit columns
const    λ = 0.5

E(y, z) = ||y - W z||^2 + λ|z|
F(y)    = min_z E(y, z)

train
    data patches(natural, size = 12)
""",
    """model psd                               # encoder, decoder and a code near what the encoder says
observed y : R[144]
latent   z : R[256]
param    W : R[144, 256], unit columns
module   Enc : R[144] -> R[256] = linear >> sh
E(y, z) = ||y - W z||^2 + ||z - Enc(y)||^2 + λ|z|
F(y)    = min_z E(y, z)
infer z by Enc                          # what a trained model answers with
""",
    """model score_matching_mlp
observed y : R[2]
module   f : R[2] -> R = mlp(128, 128, silu)
F(y) = f(y)
train
    strategy score_matching             # 4: small gradient, large curvature at the data
    data     spiral(2000)
""",
    """model kmeans
observed y : R[D]
latent   z : onehot[K]
param    W : R[D, K]
E(y, z) = ||y - W z||^2
F(y)    = min_z E(y, z)                 # softmin_z[β] E gives the mixture
""",
    """model pca
observed y : R[D]
param    W : R[K, D]
F(y) = ||Wᵀ W y - y||^2
""",
    """model convolutional_sparse_coding
observed y : R[H, W]                    # free dimensions: any image
latent   z : R[K, H, W]
param    D : R[K, 11, 11], unit filters
E(y, z) = ||y - Σ_k D[k] * z[k]||^2 + α Σ_k |z[k]|        # * between maps is convolution
""",
    """model ebgan
observed y : R[784];  noise u ~ normal(0, 1) : R[64]
module   Enc, Dec, G ...
F(y) = ||y - Dec(Enc(y))||^2
train
    strategy contrastive(margin = 10)   # 3: push down at y, push up at
        negatives G(u)                  #    what a generator proposes
""",
    """model plan                              # model-predictive control
time t in 0..T
observed s[0] : R[4]
latent   a[t] : R[2], box(-1, 1)
module   f : R[4], R[2] -> R[4]
s[t+1] = f(s[t], a[t])
E(s, a) = Σ_t C(s[t], a[t])
plan a by min_a E
""",
    "index k in 1..K\nE = 1\n",
    """observed y_hat : R[M]
latent   ẑ : sphere[N]
param    Λ : positive definite[N, N], V : low-rank(3)[M, N] >= 0
E(y_hat, ẑ) = ŷ' ŷ
""",
)

SLIDES = (
    "F(Y) = min_z Σ_i ||Y - W_i Z_i||²",
    "E(Y,Z) = ||Y - Σ_k W_k * Z_k||^2 + α Σ_k |Z_k|",
    "E(x,y,z)=C(y,Dec(h,z))+D(z,Enc(h,y))+R(z)",
    "F(y) = -1/β log ∫ exp(-β E(y,z)) dz",
    "F = -(1/β) log ∫_z exp(-βE)",
    "E(y) = log|W| + ½ ‖x‖² + ‖y - Wᵀ W' W^T y‖₂² + λ∣z∣",
    "E(y,z) = C(y,Dec(z))+λR(z)",
    "F(x,y)=min_z E(x,y,z)",
    "E(x, y, z) = Cost(y, Dec(Pred(x), z))",
    "F(Y) = ||W^T WY - Y||^2",
    "E = ½(y-μ_k)'Λ_k(y-μ_k)-½log∣Λ_k∣-log π_k",
    "E = Σ_k G(w_k y) - log∣det W∣",
    "E = Σ_k log(1+½(w_k y)²)",
    "E = ‖y-f(x,φ(y-g(x)))‖²",
    "E(Y̌) = |Y̌|",
    "L = ½||x - Σ_{k=1}^K D_k * z_k||_2^2 + Σ_{k=1}^{K} ||z_k - f(W_k*x)||_2^2 + |z|_1",
    "J = ½‖∂F(y)/∂y‖²",
    "L(Y,W) = E(Y,W) + 1/β log ∫_y exp(-β E(y,W))",
    "L = λ_r‖M⊙(y-G((1-M)⊙y))‖²",
    "E = E_u[ ||y - G(u)||² ] + E[f(u)]",
    "F = softmin_z[β] E(y,z)",
    "y̌ = argmin_y F(x,y)",
    "z = sh(W_e y + S z)",
    "G = λ_p‖y-ŷ‖_p^p",
    "P(y) = exp[-β F(y)] / ∫ exp[-βF(y)] dy",
    "E = e^{-βE} + x⁻¹ + x^-2 + √x + x·y",
    "E = lambda |z| + int exp(-beta E) dz",
    "E = ∫∫ f(x,y) dx dy + λ",
    "E = W_{k} z_{t+1} + Σ_{i,j} a[i] b[j] + Σ_{k=1,…,K} k",
    "observed z ∈ ℝ^{M×N}",
    "latent z in onehot(K), w : R+[N]",
    "latent z : {0,1}^N, x : ball(1)[N], c : R₊",
    'const a = 1, b = 2, c : R[N] = file("x.npy")',
    "index i, j ∈ {1, …, K}",
    "time t = 0..T",
    "noise u ~ normal(0, 1) : R[64], v : R ~ normal(0, ½)",
    "module Enc, Dec : R[4], R[2] -> R[4] = linear(4) >> max_pool(2) >> 2 tanh",
    "F(y) = min_z [ a + b ]",
    "const λ = 1\nE = ⅓ x + 2/3 y + λ (1/2) z + λ ½ z + 1/2^k + sqrt(x)^2 + √(y + z)",
    "E = z_{k}^{2} + A[:, k]' b[i+1, 0]",
    r"$$F(y) = -\frac{1}{\beta} \log \left[\int_{z} \exp(-\beta E(y, z)) \right]$$",
    r"$$F(x,y) = -\frac{1}{\beta} \log \left[\int \exp\left(-\beta E(x,y,z)\right) \right]$$",
    r"$$L(Y,W) = E(Y,W) + \frac{1}{\beta} \log \int_y e^{-\beta E(y,W)}$$",
    r"$\ E(Y,Z) = ||Y - \sum_k W_k * Z_k||^2 + \alpha \sum_k |Z_k|$",
    r"$$\mathcal{L}(x, z, \mathcal{D}) = \frac{1}{2} ||x - \sum_{k=1}^{K} \mathcal{D}_k * z_k||_2^2"
    r" + \sum_{k=1}^{K} ||z_k - f(W^k * x)||_2^2 + |z|_1$$",
    r"$$\overline{y} = \operatorname{argmin}_{y} F(x,y)$$",
    r"$$\hat{y} = \arg\min_y \| y - W z \|^2 + \sqrt{x + 1} + \frac{\partial L(Y,W)}{\partial W}$$",
)
