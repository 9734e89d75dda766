"""Losses of the strategies, for generated learners. Torch only; copied into generated files by name.

``free_energy(y, *given)`` is that of each sample, ``(B,)``; ``y`` is ``(B, *shape)``, as ``given`` are. Each loss comes
with a report of 0-dim tensors, ``energy`` first: the mean at the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor


def score_matching(
    free_energy: Callable[..., Tensor], y: Tensor, given: tuple[Tensor, ...], beta: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """``½‖β∇F‖² - β ΔF`` at the data, the trace taken exactly (Hyvärinen 2005, equation 4)."""
    y = y.detach().requires_grad_(True)
    energy = free_energy(y, *given)
    (slope,) = torch.autograd.grad(energy.sum(), y, create_graph=True)
    flat = slope.flatten(1)
    rows = [
        torch.autograd.grad(flat[:, k].sum(), y, create_graph=True, materialize_grads=True)[0].flatten(1)[:, k]
        for k in range(flat.shape[1])
    ]
    loss = (0.5 * beta**2 * flat.square().sum(1) - beta * torch.stack(rows).sum(0)).mean()
    return loss, {"energy": energy.detach().mean(), "slope": flat.detach().norm(dim=1).mean()}


def sliced_score_matching(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    generator: torch.Generator,
    projections: int,
    beta: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """``½‖β∇F‖² - β v'∇²F v`` at the data, ``v = ±1`` (Song et al. 2019, with the slope's square taken exactly)."""
    y = y.detach().requires_grad_(True)
    energy = free_energy(y, *given)
    (slope,) = torch.autograd.grad(energy.sum(), y, create_graph=True)
    trace = torch.zeros_like(energy)
    for _ in range(projections):
        v = torch.randint(0, 2, y.shape, generator=generator, device=y.device, dtype=y.dtype) * 2 - 1
        (bend,) = torch.autograd.grad((slope * v).sum(), y, create_graph=True, materialize_grads=True)
        trace = trace + (bend * v).flatten(1).sum(1) / projections
    loss = (0.5 * beta**2 * slope.square().flatten(1).sum(1) - beta * trace).mean()
    return loss, {"energy": energy.detach().mean(), "slope": slope.detach().flatten(1).norm(dim=1).mean()}


def denoising_score_matching(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    generator: torch.Generator,
    sigma: float | Tensor,
    beta: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """``½σ²‖β∇F(ỹ) - (ỹ - y)/σ²‖²`` with ``ỹ = y + σn`` (Vincent 2011); σ² makes noises comparable."""
    n = torch.randn(y.shape, generator=generator, device=y.device, dtype=y.dtype)
    near = (y + sigma * n).detach().requires_grad_(True)
    energy = free_energy(near, *given)
    (slope,) = torch.autograd.grad(energy.sum(), near, create_graph=True)
    loss = 0.5 * (sigma * beta * slope - n).square().flatten(1).sum(1).mean()
    return loss, {"energy": energy.detach().mean(), "slope": slope.detach().flatten(1).norm(dim=1).mean()}


def repeated(x: Tensor, count: int) -> Tensor:
    """Each row ``count`` times, one after the other: ``(B·count, *shape)``."""
    return x.repeat_interleave(count, 0)


def one_hot_states(y: Tensor) -> Tensor:
    """Every value of a one-hot vector: ``(K, K)``."""
    return torch.eye(y.shape[-1], dtype=y.dtype, device=y.device)


def binary_states(y: Tensor) -> Tensor:
    """Every value of entries 0 and 1: ``(2^n, *shape)``."""
    n = math.prod(y.shape[1:])
    bits = torch.arange(2**n, device=y.device)[:, None] >> torch.arange(n, device=y.device)
    return (bits & 1).to(y.dtype).reshape(-1, *y.shape[1:])


def maximum_likelihood(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    states: Tensor,
    log_cell: float | Tensor,
    beta: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """``F(y) + 1/β log Σ_s exp(-β F(s))``, each state ``(S, *shape)`` with the volume ``exp(log_cell)``."""
    energy = free_energy(y, *given)
    if given:
        rows, count = len(y), len(states)
        tiled = states.repeat(rows, *[1] * (states.ndim - 1))
        everywhere = free_energy(tiled, *(repeated(g, count) for g in given)).reshape(rows, count)
    else:
        everywhere = free_energy(states)[None]
    log_partition = torch.logsumexp(-beta * everywhere, 1) + log_cell
    loss = (energy + log_partition / beta).mean()
    return loss, {
        "energy": energy.detach().mean(),
        "log-likelihood": -beta * loss.detach(),
        "log partition": log_partition.detach().mean(),
    }


def grid_maximum_likelihood(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    low: Tensor,
    high: Tensor,
    points: int,
    beta: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """:func:`maximum_likelihood` with the integral from ``low`` to ``high``: midpoints of ``points`` cells a side."""
    middle = (torch.arange(points, dtype=y.dtype, device=y.device) + 0.5) / points
    grid = torch.cartesian_prod(*[middle] * low.numel()).reshape(-1, low.numel())
    sides = (high - low).reshape(-1)
    states = (low.reshape(-1) + grid * sides).reshape(-1, *y.shape[1:])
    return maximum_likelihood(free_energy, y, given, states, (sides / points).log().sum(), beta)


def renewed(chains: Tensor, y: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """``chains`` with about ``share`` of them put at rows of ``y``."""
    again = torch.rand(len(chains), generator=generator, device=y.device) < share
    rows = torch.randint(len(y), (len(chains),), generator=generator, device=y.device)
    return torch.where(again.reshape(-1, *[1] * (y.ndim - 1)), y[rows], chains)


def contrast(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    chain: tuple[Tensor, dict[str, Tensor]],
    pull: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """``F(y) - F(ȳ)``: down at the data, up at where a chain has led; ``pull`` times their squares."""
    negatives, moves = chain
    energy, other = free_energy(y, *given), free_energy(negatives, *(g[: len(negatives)] for g in given))
    loss = energy.mean() - other.mean()
    if pull:
        loss = loss + pull * (energy.square().mean() + other.square().mean())
    return loss, {"energy": energy.detach().mean(), "energy of negatives": other.detach().mean(), **moves}


def persistent_contrast(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    chains: Tensor,
    moved: tuple[Tensor, dict[str, Tensor]],
    pull: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """:func:`contrast` with chains, which are left where they have moved to."""
    chains.copy_(moved[0])
    return contrast(free_energy, y, (), moved, pull)


def flips(y: Tensor) -> Tensor:
    """Each row with each entry flipped in turn: ``(B·n, *shape)``."""
    flat = y.flatten(1)
    n = flat.shape[1]
    every = flat[:, None].expand(-1, n, -1)
    eye = torch.eye(n, dtype=y.dtype, device=y.device)
    return (every + eye * (1 - 2 * every)).reshape(-1, *y.shape[1:])


def flip_gaps(free_energy: Callable[..., Tensor], y: Tensor, given: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """``F(y)`` ``(B,)`` and ``F(y) - F(y with one entry flipped)`` ``(B, n)``."""
    energy = free_energy(y, *given)
    n = math.prod(y.shape[1:])
    beside = free_energy(flips(y), *(repeated(g, n) for g in given)).reshape(len(y), n)
    return energy, energy[:, None] - beside


def ratio_matching(
    free_energy: Callable[..., Tensor], y: Tensor, given: tuple[Tensor, ...]
) -> tuple[Tensor, dict[str, Tensor]]:
    """``Σ_d σ(F(y) - F(y_d))²``, entry ``d`` flipped (Hyvärinen 2007)."""
    energy, gaps = flip_gaps(free_energy, y, given)
    return torch.sigmoid(gaps).square().sum(1).mean(), {"energy": energy.detach().mean()}


def minimum_probability_flow(
    free_energy: Callable[..., Tensor], y: Tensor, given: tuple[Tensor, ...]
) -> tuple[Tensor, dict[str, Tensor]]:
    """``Σ_d exp(½ (F(y) - F(y_d)))``, entry ``d`` flipped; straight beyond exp(20), so that it does not overflow."""
    energy, gaps = flip_gaps(free_energy, y, given)
    half = 0.5 * gaps
    flow = torch.where(half < 20, half.clamp_max(20).exp(), math.exp(20) * (half - 19))
    return flow.sum(1).mean(), {"energy": energy.detach().mean()}


def noisy(y: Tensor, generator: torch.Generator, scale: float | Tensor) -> Tensor:
    """``y`` with Gaussian noise of standard deviation ``scale``."""
    return y + scale * torch.randn(y.shape, generator=generator, device=y.device, dtype=y.dtype)


def dropped(y: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """``y`` with about ``share`` of its entries set to zero; the others stay as they are."""
    return y * (torch.rand(y.shape, generator=generator, device=y.device, dtype=y.dtype) >= share)


def uniform_like(y: Tensor, generator: torch.Generator, low: Tensor, high: Tensor) -> Tensor:
    """As many points between ``low`` and ``high``."""
    return low + (high - low) * torch.rand(y.shape, generator=generator, device=y.device, dtype=y.dtype)


def shuffled(y: Tensor, generator: torch.Generator) -> Tensor:
    """Each entry from another row, drawn for itself: the same marginals, no dependence."""
    order = torch.rand(y.shape, generator=generator, device=y.device).argsort(0)
    return y.gather(0, order)


def other_rows(y: Tensor, generator: torch.Generator) -> Tensor:
    """Whole rows in another order."""
    return y[torch.randperm(len(y), generator=generator, device=y.device)]


def margin_contrast(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    negatives: Tensor,
    loss: str,
    margin: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """A loss of LeCun et al. (2006), table 1, of the energies at the data and at as many negative samples.

    ``logistic`` is that of a discriminator whose logit of being data is ``-F`` (Goodfellow et al. 2014).
    """
    low, high = free_energy(y, *given), free_energy(negatives, *given)
    short = torch.relu(margin - high)
    match loss:
        case "hinge":
            each = low + short
        case "square_square":
            each = low.square() + short.square()
        case "square_exponential":
            each = low.square() + torch.exp(-high / margin)
        case "log":
            each = torch.nn.functional.softplus((low - high) / margin)
        case "logistic":
            each = torch.nn.functional.softplus(low) + torch.nn.functional.softplus(-high)
        case _:
            each = torch.relu(margin + low - high)
    active = (low - high > -margin) if loss == "pair_hinge" else short > 0
    return each.mean(), {
        "energy": low.detach().mean(),
        "energy of negatives": high.detach().mean(),
        "active share": active.to(y.dtype).mean(),
    }


def adversary_loss(energy: Tensor, loss: str) -> Tensor:
    """What a generator lowers: the energy of what it makes (Zhao, Mathieu & LeCun 2017, equation 2).

    Against a ``logistic`` loss ``-log σ(-F)``, which does not vanish where the energy is high (Goodfellow et al. 2014).
    """
    return torch.nn.functional.softplus(energy).mean() if loss == "logistic" else energy.mean()


def pulling_away(code: Tensor) -> Tensor:
    """``1/(N(N-1)) Σ_{i≠j} cos²(s_i, s_j)`` over codes ``(N, …)`` (Zhao, Mathieu & LeCun 2017, equation 4)."""
    unit = torch.nn.functional.normalize(code.flatten(1), dim=1)
    n = len(unit)
    return ((unit.T @ unit).square().sum() - unit.square().sum(1).square().sum()) / max(1, n * (n - 1))


def covariance_factor(rows: Tensor) -> Tensor:
    """The Cholesky factor of the covariance of ``(n, d)``, with a little on its diagonal."""
    centred = rows - rows.mean(0)
    matrix = centred.T @ centred / max(1, len(rows) - 1)
    floor = 1e-4 * matrix.diagonal().mean() + torch.finfo(rows.dtype).tiny
    return torch.linalg.cholesky(matrix + floor * torch.eye(len(matrix), dtype=rows.dtype, device=rows.device))


def gaussian_noise(
    y: Tensor, generator: torch.Generator, mean: Tensor, factor: Tensor, ratio: int
) -> tuple[Tensor, Tensor, Tensor]:
    """``ratio`` draws for each row of ``y``, their log densities, and those of the rows."""
    n = torch.randn(ratio * len(y), len(mean), generator=generator, device=y.device, dtype=y.dtype)
    log_volume = factor.diagonal().log().sum() + 0.5 * len(mean) * math.log(2 * math.pi)
    scaled = torch.linalg.solve_triangular(factor, (y.flatten(1) - mean).T, upper=False)
    drawn = (mean + n @ factor.T).reshape(-1, *y.shape[1:])
    return drawn, -0.5 * n.square().sum(1) - log_volume, -0.5 * scaled.square().sum(0) - log_volume


def bernoulli_noise(y: Tensor, generator: torch.Generator, mean: Tensor, ratio: int) -> tuple[Tensor, Tensor, Tensor]:
    """``ratio`` draws for each row of ``y``, their log probabilities, and those of the rows."""
    u = torch.rand(ratio * len(y), *y.shape[1:], generator=generator, device=y.device, dtype=y.dtype)
    drawn = (u < mean).to(y.dtype)

    def log_probability(x: Tensor) -> Tensor:
        return (x * mean.log() + (1 - x) * torch.log1p(-mean)).flatten(1).sum(1)

    return drawn, log_probability(drawn), log_probability(y)


def noise_contrast(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    noise: tuple[Tensor, Tensor, Tensor],
    log_normaliser: Tensor,
    ratio: int,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Logistic loss of ``G = -F - c - log(ν p_n)`` (Gutmann & Hyvärinen 2012, equation 8): ``c`` comes to log Z."""
    drawn, log_drawn, log_data = noise
    energy = free_energy(y)
    data = -energy - log_normaliser - log_data - math.log(ratio)
    other = -free_energy(drawn) - log_normaliser - log_drawn - math.log(ratio)
    softplus = torch.nn.functional.softplus
    loss = softplus(-data).mean() + ratio * softplus(other).mean()
    return loss, {"energy": energy.detach().mean(), "log normaliser": log_normaliser.detach().clone()}


def reconstruction_loss(
    free_energy: Callable[..., Tensor], y: Tensor, given: tuple[Tensor, ...], found: Tensor
) -> tuple[Tensor, dict[str, Tensor]]:
    """``‖y - found‖²``; the energy that is reported is that of the data as they are."""
    with torch.no_grad():
        energy = free_energy(y, *given).mean()
    return (y - found).square().flatten(1).sum(1).mean(), {"energy": energy}


def random_mask(y: Tensor, generator: torch.Generator, share: float) -> Tensor:
    """1 at about ``share`` of the entries of each sample, and at one at least."""
    drawn = torch.rand(y.shape, generator=generator, device=y.device, dtype=y.dtype)
    flat = drawn.flatten(1)
    least = flat.amin(1, keepdim=True)
    return ((flat < share) | (flat <= least)).to(y.dtype).reshape(y.shape)


def masked_loss(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    reconstruct: Callable[[Tensor], Tensor],
    mask: Tensor,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The mean squared error over hidden entries, times as many as a sample has."""
    with torch.no_grad():
        energy = free_energy(y, *given).mean()
    wrong = mask * (y - reconstruct(y * (1 - mask)))
    return wrong.square().sum() / mask.sum() * y[0].numel(), {"energy": energy}


def contractive_loss(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    encoder: Callable[[Tensor], Tensor],
    generator: torch.Generator,
    weight: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """``F(y) + λ‖∂h/∂y‖²`` (Rifai et al. 2011); the norm is that of ``v'∂h/∂y``, ``v = ±1``, in the mean."""
    energy = free_energy(y, *given)
    y = y.detach().requires_grad_(True)
    code = encoder(y)
    v = torch.randint(0, 2, code.shape, generator=generator, device=y.device, dtype=y.dtype) * 2 - 1
    (pulled,) = torch.autograd.grad((code * v).sum(), y, create_graph=True)
    squared = pulled.square().flatten(1).sum(1).mean()
    return energy.mean() + weight * squared, {"energy": energy.detach().mean(), "squared Jacobian": squared.detach()}


def saturating_loss(
    free_energy: Callable[..., Tensor],
    y: Tensor,
    given: tuple[Tensor, ...],
    before: Tensor,
    distance: Callable[[Tensor], Tensor],
    weight: float,
) -> tuple[Tensor, dict[str, Tensor]]:
    """``F(y) + α Σ_j f_c(a_j)``: how far what unit j gets is from where it is flat (Goroshin & LeCun 2013)."""
    energy = free_energy(y, *given)
    far = distance(before).flatten(1).sum(1).mean()
    return energy.mean() + weight * far, {"energy": energy.detach().mean(), "distance to saturation": far.detach()}
