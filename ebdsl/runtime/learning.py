"""Tensor functions of generated learning code. Torch only; copied into generated files by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def minimise_slices(
    x: Tensor, matrix: Tensor, linear: Tensor, project: Callable[[Tensor], Tensor], dim: int, passes: int = 1
) -> Tensor:
    """Lower ``½ Σ x_k Q_kl x_l + Σ b_k x_k`` over the slices ``x_k`` of ``x`` along ``dim``, each projected.

    With the others fixed the problem in one slice is isotropic, so that its minimiser is the projection of the
    free one; the energy never rises (block coordinate descent as in Mairal et al. 2010, algorithm 2). Slices
    that nothing uses stay as they are. ``matrix`` ``(n, n)`` with n the extent of ``dim``; ``linear`` as ``x``.

    What one slice after the other gives, 64 at a time, is also where repeated updates of all 64 from the newest
    earlier and the old later ones come to rest: after 64 of them at most, of which few are needed.
    """
    x = x.detach().movedim(dim, 0).clone(memory_format=torch.contiguous_format)
    curvature = matrix.diagonal()
    used = curvature > curvature.max() * 1e-6
    scale = torch.where(used, -1 / curvature, 0)[:, None]
    pull, shift = scale * matrix, scale * linear.movedim(dim, 0).reshape(len(x), -1)
    pull.diagonal().copy_(~used)  # the free minimisers, each given the others: pull @ x + shift
    groups = []
    for k in range(0, len(x), 64):
        group = slice(k, k + 64)
        earlier, rest = pull[group, group].tril(), pull[group].clone()
        rest[:, group] -= earlier
        groups.append((x[group], shift[group], earlier, rest))
    still = 8 * torch.finfo(x.dtype).eps * x.abs().max()
    for _ in range(passes):
        for slices, shifts, earlier, rest in groups:
            start = torch.addmm(shifts, rest, x.flatten(1))
            for k in range(len(slices)):
                free = torch.addmm(start, earlier, slices.flatten(1)).view(slices.shape)
                new = project(free.movedim(0, dim)).movedim(dim, 0)
                settled = k % 3 == 2 and bool((new - slices).abs_().max() <= still)
                slices.copy_(new)
                if settled:
                    break
    return x.movedim(0, dim)


def add_product(rest: Tensor, x: Tensor, w: Tensor, alpha: float = 1.0) -> Tensor:
    """``rest + alpha x w`` for ``x`` ``(n, d)`` and ``w`` ``(d, k)``.

    A product with a few columns is twice as fast where these lie in memory one after the other.
    """
    if w.shape[1] <= 16 and not w.is_cuda:
        w = w.T.contiguous().T
    return torch.addmm(rest, x, w, alpha=alpha)


def lowest_state(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest entry of each row of ``(n, k)`` and its place, as ``scores.min(1)``; ``scores`` is overwritten.

    ``min`` with places does not use a processor's vector units. The smallest entry alone does, and so do comparing with
    it and summing the places where it stands; a sum over two places, of a tie, is too large and is noticed.
    """
    k = scores.shape[1]
    if scores.is_cuda or k < 32 or k > 1 << 22:
        value, state = scores.min(1)
        return value, state
    value = scores.amin(1)
    places = torch.arange(k, 2 * k, dtype=scores.dtype, device=scores.device)
    lowest = scores.le_(value[:, None])
    state = (lowest @ places).sub_(k).long()
    if bool(((state < 0) | (state >= k)).any()):
        state = lowest.argmax(1)
    return value, state


def soft_states(scores: Tensor, beta: float | Tensor = 1.0) -> tuple[Tensor, Tensor]:
    """``-1/β log Σ exp(-β scores)`` of each row of ``(n, k)`` and the share of each entry. Overwrites ``scores``."""
    lowest = scores.amin(1, keepdim=True)
    weights = scores.sub_(lowest).mul_(-beta).exp_()
    total = weights.sum(1, keepdim=True)
    weights.div_(total)
    return (lowest - total.log() / beta).squeeze(1), weights


def sum_by_state(values: Tensor, state: Tensor, count: int) -> Tensor:
    """``Σ_b values_b`` over the samples of each state: ``(n, ...)`` and ``(n,)`` to ``(count, ...)``."""
    if values.is_cuda:  # adding at places has no fixed order there
        picked = torch.nn.functional.one_hot(state, count).to(values.dtype)
        return (picked.T @ values.flatten(1)).view(count, *values.shape[1:]) if values.ndim > 1 else values @ picked
    return values.new_zeros(count, *values.shape[1:]).index_add_(0, state, values)


def tiles(width: int, *tensors: Tensor) -> zip[tuple[Tensor, ...]]:
    """The tensors ``(n, ...)`` cut along the samples so that ``width`` numbers each fit into a processor's cache."""
    rows = len(tensors[0]) if tensors[0].is_cuda else min(8192, max(256, 2**19 // width))
    return zip(*(t.split(max(1, rows)) for t in tensors), strict=True)


def worst_samples(count: int, *parts: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Of samples ``(energy, *data)``, each ``(n, ...)``, the ``count`` of highest energy, the highest first."""
    energy, *data = (torch.cat(x) for x in zip(*(p for p in parts if p), strict=True))
    worst = energy.topk(min(count, len(energy))).indices
    return tuple(x[worst] for x in (energy, *data))


def precise_sum(values: Tensor) -> Tensor:
    """The sum in float64, where the device has that."""
    return values.sum() if values.device.type == "mps" else values.sum(dtype=torch.float64)


def same_tensors(held: tuple[tuple[Tensor, int], ...], now: tuple[Tensor, ...]) -> bool:
    """Whether these are the tensors that ``held`` remembers, unchanged since."""
    return len(held) == len(now) and all(
        a is b and not b.is_inference() and version == b._version for (a, version), b in zip(held, now, strict=True)
    )


def remembered(now: tuple[Tensor, ...]) -> tuple[tuple[Tensor, int], ...]:
    """Tensors with the number of times each has been written to."""
    return tuple((t, -1 if t.is_inference() else t._version) for t in now)


def leading_subspace(second_moment: Tensor, k: int) -> Tensor:
    """The ``k`` leading eigenvectors of a symmetric ``(d, d)`` matrix as orthonormal rows ``(k, d)``.

    The sign of each is fixed: its largest entry is positive.
    """
    _, vectors = torch.linalg.eigh(second_moment)
    rows = vectors[:, -k:].flip(-1).T
    signs = rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()
    return rows * signs


def draw_far_points(distance: Tensor, generator: torch.Generator) -> Tensor:
    """One index of ``distance`` ``(n,)``, drawn with probability proportional to it.

    k-means++: Arthur & Vassilvitskii 2007.
    """
    weights = distance.clamp_min(0).double().cpu()
    if not bool(weights.sum() > 0):
        weights = torch.ones_like(weights)
    total = weights.cumsum(0)
    mark = torch.rand((), generator=generator, dtype=torch.float64) * total[-1]
    return torch.searchsorted(total, mark).clamp_max(len(total) - 1)


def symmetric_inverse(matrix: Tensor, floor: float = 1e-6) -> Tensor:
    """Inverse of symmetric ``(..., n, n)`` with eigenvalues kept above ``floor`` times the mean of the largest matrix.

    A matrix of zeros among others, the spread of a single sample, is so given the smallest spread that there can be.
    """
    values, vectors = torch.linalg.eigh((matrix + matrix.mT) / 2)
    bound = floor * values.abs().mean(-1).amax().clamp_min(floor * torch.finfo(matrix.dtype).eps)
    return (vectors / values.maximum(bound)[..., None, :]) @ vectors.mT
