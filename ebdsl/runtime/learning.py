"""Tensor functions of generated learning code. Torch only; copied into generated files by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


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
            start = torch.addmm(shifts, rest, x.reshape(len(x), -1))
            for k in range(len(slices)):
                free = torch.addmm(start, earlier, slices.reshape(len(slices), -1)).view(slices.shape)
                new = project(free.movedim(0, dim)).movedim(dim, 0)
                settled = k % 3 == 2 and bool((new - slices).abs_().max() <= still)
                slices.copy_(new)
                if settled:
                    break
    return x.movedim(0, dim)


def add_product(rest: Tensor, x: Tensor, w: Tensor, alpha: float = 1.0) -> Tensor:
    """``rest + alpha x w`` for ``x`` ``(n, d)`` and ``w`` ``(d, k)`` or ``(d, k, ...)``, or for ``x`` with more axes.

    Of samples with few numbers the result lies in memory state by state: what follows goes along the states, and so
    through a processor's vector units sample by sample. Of longer ones a product with few columns is up to three times
    as fast by oneDNN as by BLAS, and else with zeros beside them.
    """
    if x.ndim > 2:
        return rest + alpha * (x @ w)
    k, shape = w.shape[1], w.shape[1:]
    if w.ndim > 2:
        lead = (len(x),) if rest.ndim == w.ndim else ()
        w = w.flatten(1)
        rest = rest.expand(*lead, *shape).reshape(*lead, w.shape[1])
    if len(w) <= 64 and not w.is_cuda and not torch.is_grad_enabled():
        rest = rest.T if rest.ndim == 2 else rest[:, None]
        return torch.addmm(rest, w.T, x.T, alpha=alpha).view(*shape, len(x)).movedim(-1, 0)
    if len(shape) == 1 and k <= 128 and not w.is_cuda and not torch.is_grad_enabled():
        plain = x.dtype == w.dtype == rest.dtype == torch.float32 and rest.ndim == 1 and x.is_contiguous()
        if plain and torch.backends.mkldnn.is_available():
            weight = (w if alpha == 1 else alpha * w).T.contiguous()
            return torch.ops.mkldnn._linear_pointwise(x, weight, rest.expand(k).contiguous(), "none", [], "")
        if k < 16:
            rest, w = (nn.functional.pad(t, (0, 16 - k)) for t in (rest.expand(*rest.shape[:-1], k), w))
            return torch.addmm(rest, x, w, alpha=alpha)[:, :k]
    return torch.addmm(rest, x, w, alpha=alpha).view(len(x), *shape)


def square_root(matrix: Tensor) -> Tensor:
    """``L`` with ``L L' = matrix`` for positive semidefinite ``(..., n, n)``: Cholesky's where that exists."""
    factor, info = torch.linalg.cholesky_ex(matrix)
    if not bool(info.any()):
        return factor
    values, vectors = torch.linalg.eigh(matrix)
    return vectors * values.clamp_min(0).sqrt()[..., None, :]


def lowest_state(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The smallest entry of each row of ``(n, k)`` and its place, as ``scores.min(1)``; ``scores`` is overwritten.

    ``min`` with places does not use a processor's vector units. The smallest entry alone does, and so do comparing with
    it and summing the places where it stands; a sum over two places, of a tie, is too large and is noticed.
    """
    k = scores.shape[1]
    short = k < 32 and scores.stride(0) > 1
    if scores.is_cuda or scores.numel() < 1 << 16 or short or k > 1 << 22:
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
    weights = torch.sub(lowest, scores, out=scores).mul_(beta).exp_()
    total = weights.sum(1, keepdim=True)
    weights.div_(total)
    return (lowest - total.log() / beta).squeeze(1), weights


def sum_by_state(values: Tensor, state: Tensor, count: int) -> Tensor:
    """``Σ_b values_b`` over the samples of each state: ``(n, ...)`` and ``(n,)`` to ``(count, ...)``."""
    if values.is_cuda:  # adding at places has no fixed order there
        picked = values.new_zeros(len(values), count).scatter_(1, state[:, None], 1)
        return (picked.T @ values.flatten(1)).view(count, *values.shape[1:]) if values.ndim > 1 else values @ picked
    return values.new_zeros(count, *values.shape[1:]).index_add_(0, state, values)


def tiles(width: int, *tensors: Tensor) -> zip[tuple[Tensor, ...]]:
    """The tensors ``(n, ...)`` cut along the samples so that ``width`` numbers each fit into the processors' caches."""
    shares = torch.get_num_threads()  # of a tile, one for each thread
    rows = len(tensors[0]) if tensors[0].is_cuda else shares * min(8192, max(256, 2**19 // width))
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


def gram(y: Tensor) -> Tensor:
    """``y'y`` for ``(n, d)``: of many samples the blocks on and above the diagonal, while a tile is in the cache."""
    d = y.shape[1]
    if y.is_cuda or d < 96 or len(y) < 4096:
        return y.T @ y
    found, width = y.new_zeros(d, d), max(48, d // 8)
    for tile in y.split(8192):
        for k in range(0, d, width):
            found[k : k + width, k:].addmm_(tile[:, k : k + width].T, tile[:, k:])
    return found.triu_().add_(found.triu(1).T)


def leading_subspace(second_moment: Tensor, k: int) -> Tensor:
    """The ``k`` leading eigenvectors of a symmetric ``(d, d)`` matrix as orthonormal rows ``(k, d)``.

    A few of a large positive semidefinite one by block Krylov spaces (Golub & Underwood 1977; Musco & Musco 2015)
    until ``‖M v - λ v‖`` is rounding, and by all its eigenvectors where that would take long, as on a GPU. The largest
    entry of each is positive.
    """
    d, few = len(second_moment), second_moment.dtype == torch.float32 and not second_moment.is_cuda
    rows = krylov_subspace(second_moment, k) if few and d >= 512 and 5 * (k + 8) <= d else second_moment[:0]
    if len(rows) < k:
        rows = torch.linalg.eigh(second_moment).eigenvectors[:, -k:].flip(-1).T
    signs = rows.gather(1, rows.abs().argmax(1, keepdim=True)).sign()
    return rows * signs


def krylov_subspace(matrix: Tensor, k: int) -> Tensor:
    """``k`` leading eigenvectors of a positive semidefinite ``(d, d)`` matrix as rows; none where they do not settle.

    Each cycle goes from ``k + 8`` vectors to a basis of four times as many, and to the best ones within it. What the
    first of them leaves above the root of the tolerance, a second will not bring below it.
    """
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(len(matrix), k + 8, generator=generator, dtype=torch.float64).to(matrix)
    x = torch.linalg.qr(matrix @ start).Q
    for power in (0.375, 0.75):
        parts, images = [x], [matrix @ x]
        for _ in range(3):
            basis, new = torch.cat(parts, 1), images[-1]
            for _ in range(2):  # twice is enough (Parlett 1998)
                new = torch.linalg.qr(new - basis @ (basis.T @ new)).Q
            parts.append(new)
            images.append(matrix @ new)
        basis, image = torch.cat(parts, 1), torch.cat(images, 1)
        values, vectors = torch.linalg.eigh(basis.T @ image)
        values, vectors = values[-k - 8 :].flip(0), vectors[:, -k - 8 :].flip(1)
        x = basis @ vectors
        wrong = (image @ vectors - x * values)[:, :k].norm(dim=0).amax() / values[0]
        eps = torch.finfo(matrix.dtype).eps
        if bool(wrong <= eps**0.75):
            return x[:, :k].T
        if not bool(wrong <= eps**power):
            break
    return x[:, :0].T


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


def far_rows(rows: Tensor, count: int) -> list[int]:
    """``count`` of the rows ``(B, d)``, each the one farthest from the span of those before; fewer where all are in it.

    Successive projections: Araújo et al. 2001; Gillis & Vavasis 2014.
    """
    rest = rows.flatten(1).clone()
    least = torch.finfo(rest.dtype).eps * rest.square().sum(1).max()
    found: list[int] = []
    for _ in range(min(count, len(rest))):
        size = rest.square().sum(1)
        place = int(size.argmax())
        if not bool(size[place] > least):
            break
        found.append(place)
        rest = torch.addr(rest, rest @ rest[place], rest[place], alpha=-1 / float(size[place]))
    return found


def symmetric_inverse(matrix: Tensor, floor: float = 1e-6) -> Tensor:
    """Inverse of symmetric ``(..., n, n)`` with eigenvalues kept above ``floor`` times the mean of the largest matrix.

    A matrix of zeros among others, the spread of a single sample, is so given the smallest spread that there can be.
    """
    matrix = (matrix + matrix.mT) / 2
    mean = matrix.diagonal(dim1=-2, dim2=-1).mean(-1).abs().amax()
    factor, info = torch.linalg.cholesky_ex(matrix)
    if not bool(info.any()):
        inverse = torch.cholesky_inverse(factor)
        if bool(inverse.norm(dim=(-2, -1)).amax() * floor * mean < 1):
            return inverse  # no eigenvalue of it is greater than its norm
    values, vectors = torch.linalg.eigh(matrix)
    bound = floor * values.abs().mean(-1).amax().clamp_min(floor * torch.finfo(matrix.dtype).eps)
    return (vectors / values.maximum(bound)[..., None, :]) @ vectors.mT


def lowest_on_spheres(matrix: Tensor, linear: Tensor, old: Tensor) -> Tensor:
    """The ``w`` of norm 1 with the least ``½ w'Q w + b'w``, for ``matrix`` ``(..., n, n)`` and ``linear`` ``(..., n)``.

    In the eigenvectors of Q it is ``-b_i / (q_i + λ)`` with ``λ > -min q`` where its norm is 1 (Gander, Golub & von
    Matt 1989), by bisection, in float64; where even at the end it is shorter, the lowest eigenvector makes up for the
    rest (Moré & Sorensen 1983). What is flat stays as in ``old``, and of two signs that of ``old`` is taken.
    """
    values, vectors = torch.linalg.eigh((matrix.double() + matrix.double().mT) / 2)
    b = (vectors.mT @ linear.double()[..., None])[..., 0]
    values, b = torch.broadcast_tensors(values, b)
    scale = values.abs().amax(-1, keepdim=True).maximum(b.abs().amax(-1, keepdim=True))
    gap = values - values[..., :1]
    low, high = torch.zeros_like(scale), torch.linalg.vector_norm(b, dim=-1, keepdim=True)
    tiny = torch.finfo(b.dtype).tiny
    for _ in range(200):
        middle = (low + high) / 2
        long = (b / (gap + middle).clamp_min(tiny)).square().sum(-1, keepdim=True) > 1
        low, high = torch.where(long, middle, low), torch.where(long, high, middle)
    pulled = b.abs() > 1e-14 * scale  # not by rounding
    x = torch.where(pulled, -b / (gap + high).clamp_min(tiny), 0.0)
    short = (1 - x.square().sum(-1)).clamp_min(0).sqrt()
    before = (vectors[..., 0] * old.double()).sum(-1)
    sign = torch.where(x[..., 0] != 0, x[..., 0].sign(), torch.where(before < 0, -1.0, 1.0))
    lowest = torch.zeros_like(x)
    lowest[..., 0] = torch.where(short > 1e-7, sign * short, 0.0)
    found = (vectors @ (x + lowest)[..., None])[..., 0]
    found = torch.nn.functional.normalize(found, dim=-1).to(old.dtype)
    return torch.where(scale > 0, found, old)
