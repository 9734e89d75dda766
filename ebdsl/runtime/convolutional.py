"""Sparse codes by convolutions, ``½ weight ‖Σ_k D_k * z_k‖² + ½ ridge ‖z‖² + linear'z + R(z)``. Torch only."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ebdsl.runtime.convolution import placed
from ebdsl.runtime.inference import quadratic_proximal_gradient


def fast_length(n: int) -> int:
    """The least length from ``n`` on that an FFT falls into factors 2, 3 and 5."""
    while True:
        left = n
        for p in (2, 3, 5):
            while left % p == 0:
                left //= p
        if left == 1:
            return n
        n += 1


def curvature_of_modes(kernel: Tensor, size: tuple[int, ...]) -> Tensor:
    """``Σ_k |D̂_k(ω)|²`` on maps ``(1, 1, *size)`` that go on at their other end.

    The greatest is the largest eigenvalue of ``D'D``; if the ring is longer than the maps by a kernel less one, none of
    maps with ends is larger, since these are some of its entries.
    """
    return torch.fft.fftn(placed(kernel, size), dim=tuple(range(-len(size), 0))).abs().square().sum(0)[None, None]


def convolutional_splitting(
    kernel: Tensor,
    weight: Tensor | float,
    ridge: Tensor | float,
    linear: Tensor,
    prox: Callable[[Tensor, Tensor], Tensor],
    start: Tensor,
    size: tuple[int, ...],
    circular: bool,
    straight: bool,
    goal: Tensor,
    max_steps: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """The minimiser for each row ``(B, K · size)``, the largest entry of a subgradient of the energy there, steps.

    ADMM whose quadratic step falls apart by frequency, where ``D'D`` has rank 1 (Bristow, Eriksson & Lucey 2013;
    Sherman-Morrison: Wohlberg 2014). Maps with ends lie on a larger ring, and the picture gets a copy of its own, so
    that what is cut off it costs nothing (Heide, Heidrich & Wetzstein 2015). Two maps make one complex signal, since
    complex transforms are quicker than twice the real ones. Over-relaxed by 1.7; ρ of each row is balanced between both
    residuals (Boyd et al. 2011, section 3.4.1), at most forty times. Where R is made of ``straight`` pieces, what is
    left after 400 steps (60 with ends) is solved on the entries that are not 0, and kept where it lowers the residual.
    Rows that have reached ``goal`` ``(B,)`` leave; the others go on by accelerated proximal gradient.
    """
    if not start.numel():
        return start.clone(), start.new_zeros(len(start)), torch.zeros(len(start), dtype=torch.int64)
    ndim, maps = len(size), kernel.shape[0]
    half = (maps + 1) // 2
    axes = tuple(range(-ndim, 0))
    around = size if circular else tuple(fast_length(n + k - 1) for n, k in zip(size, kernel.shape[1:], strict=True))
    window = (slice(None), slice(None), *(slice(0, n) for n in size))

    def paired(x: Tensor, sign: float = 1.0) -> Tensor:
        """The spectra of ``x_k ± i x_{k + half}``."""
        second = x[:, half:]
        if maps % 2:
            second = torch.cat((second, torch.zeros_like(x[:, :1])), 1)
        return torch.fft.fftn(torch.complex(x[:, :half], sign * second), dim=axes)

    def parted(spectra: Tensor) -> Tensor:
        both = torch.fft.ifftn(spectra, dim=axes)
        return torch.cat((both.real, both.imag[:, : maps - half]), 1)

    def real(spectrum: Tensor) -> Tensor:
        """The spectrum of twice the real part of a signal."""
        return spectrum + spectrum.flip(axes).roll((1,) * ndim, axes).conj()

    half_kernel = paired(placed(kernel, around)[None], -1.0) / 2
    adjoint = 2 * half_kernel.conj()
    bend = curvature_of_modes(kernel, around)
    weight, ridge = (torch.as_tensor(w, dtype=linear.dtype, device=linear.device) for w in (weight, ridge))

    beside = [side for n, m in zip(size[::-1], around[::-1], strict=True) for side in (0, m - n)]

    def whole(x: Tensor) -> Tensor:
        """Rows as maps on the ring."""
        return torch.nn.functional.pad(x.reshape(-1, maps, *size), beside)

    def rows_of(x: Tensor) -> Tensor:
        return x[window].flatten(1)

    def squared(v: Tensor) -> Tensor:
        """``weight D'D v``, the picture cut off at its ends."""
        picture = real((paired(v) * half_kernel).sum(1, keepdim=True))
        if not circular:
            seen = torch.fft.ifftn(picture, dim=axes).real[window]
            picture = torch.fft.fftn(torch.nn.functional.pad(seen, beside), dim=axes)
        return weight * parted(adjoint * picture)

    short = 1 / (weight * bend.max() + ridge)  # no eigenvalue is larger, cut off or not

    def finished_on_support(
        v: Tensor, w: Tensor, linear: Tensor, goal: Tensor, most: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Conjugate gradients on the entries that are not 0, a proximal step: v, w and the residual there."""
        held, along = v != 0, tuple(range(1, ndim + 2))
        r = -(squared(v) + w) * held
        p, new, square = r, v, r.square().sum(along, keepdim=True)
        for k in range(most):
            if k % 10 == 0 and not bool((r.flatten(1).abs().amax(1) > 0.1 * goal).any()):
                break
            bent = (squared(p) + ridge * p) * held
            bend_p = (p * bent).sum(along, keepdim=True)
            length = torch.where(bend_p > 0, square / bend_p, 0)
            new, r = torch.addcmul(new, length, p), torch.addcmul(r, length, bent, value=-1)
            before, square = square, r.square().sum(along, keepdim=True)
            p = torch.addcmul(r, square / before.clamp_min(torch.finfo(r.dtype).tiny), p)
        new = torch.where(new * v > 0, new, 0)
        slope = rows_of(squared(new) + ridge * new) + linear
        flat = rows_of(new)
        moved = prox(flat - short * slope, short.expand(len(flat), 1))
        w = whole((flat - moved) / short - slope + ridge * moved + linear)
        return whole(moved), w, rows_of(squared(whole(moved)) + w).abs().amax(1)

    rows = torch.arange(len(start), device=start.device)
    answer = start.clone()
    residuals = torch.full((len(start),), torch.inf, dtype=start.dtype, device=start.device)
    steps = torch.full((len(start),), max_steps, dtype=torch.int64, device=start.device)
    v, w = whole(start), whole(linear)  # w is ρ times the scaled multiplier: an element of the subdifferential at v
    t = q = torch.zeros_like(v[:, :1])
    tie = weight if circular else 0.1 * weight
    rho = (weight * bend.mean() / 8).clamp_min(1e-12).expand(len(start), 1)
    linear_of_all, wanted = linear, goal
    first = min(max_steps, 400 if circular else 60)
    for step in range(1, first + 1):
        each = rho.reshape(-1, *[1] * (ndim + 1))
        spectra = paired(v - w / each)
        picture = real((spectra * half_kernel).sum(1, keepdim=True))
        aim = -picture if circular else torch.fft.fftn(t - q / tie, dim=axes) - picture
        change = tie * aim / (each + tie * bend)
        x = parted(torch.addcmul(spectra, adjoint, change))
        before = v
        ahead = torch.lerp(v, x, 1.7)
        inside = rows_of(each * ahead + w) - linear
        v = whole(prox(inside / (rho + ridge), 1 / (rho + ridge)))
        w = w + each * (ahead - v)
        if not circular:
            ahead = torch.lerp(t, torch.fft.ifftn(picture + bend * change, dim=axes).real, 1.7)
            t = ahead + q / tie
            t[window] *= tie / (weight + tie)
            q = q + tie * (ahead - t)
        if step % 10 == 0 or step == first:
            residual = rows_of(squared(v) + w).abs().amax(1)
            if straight and step == first < max_steps:
                at, slope, less = finished_on_support(v, w, linear, goal, 100)
                lower = (less < residual).reshape(-1, *[1] * (ndim + 1))
                v, w = torch.where(lower, at, v), torch.where(lower, slope, w)
                residual = torch.minimum(less, residual)
            done = residual <= goal if step < first else torch.ones_like(residual, dtype=torch.bool)
            finished = int(done.sum())
            if finished == len(done) or finished > len(done) // 4:
                answer[rows[done]], residuals[rows[done]], steps[rows[done]] = rows_of(v)[done], residual[done], step
                if finished == len(done):
                    break
            if step <= 400:
                apart = (x - v).flatten(1).norm(dim=1) / torch.maximum(
                    x.flatten(1).norm(dim=1), v.flatten(1).norm(dim=1)
                )
                moved = rho[:, 0] * (v - before).flatten(1).norm(dim=1) / (w - whole(linear)).flatten(1).norm(dim=1)
                ratio = (apart / moved).sqrt().nan_to_num(1.0).clamp(0.2, 5)[:, None]
                rho = torch.where((ratio > 2) | (ratio < 0.5), rho * ratio, rho)
            if finished > len(done) // 4:
                keep = ~done
                rows, v, w, t, q, rho, linear, goal = (a[keep] for a in (rows, v, w, t, q, rho, linear, goal))
    late = (residuals > wanted).nonzero()[:, 0]
    if len(late) and max_steps > first:
        number = float(short)

        def forward(x: Tensor, shift: Tensor) -> Tensor:
            return x - number * (rows_of(squared(whole(x))) + ridge * x) + shift

        answer[late], residuals[late], more = quadratic_proximal_gradient(
            forward,
            lambda x, t: prox(x, torch.full_like(x[:, :1], t)),
            answer[late],
            number,
            -number * linear_of_all[late],
            wanted[late],
            max_steps - first,
        )
        steps[late] = first + more
    return answer, residuals, steps
