"""Sparse coding by hand: ``||y - W z||² + λ|z|`` with columns of norm 1, as fast as eager PyTorch allows.

The mathematics is that of the generated file: accelerated proximal gradient on the Gram matrix with gradient restart
for each sample (Beck & Teboulle 2009; O'Donoghue & Candes 2015), stopped for each sample by its optimality residual,
checked every ``CHECK`` steps, finished samples leaving the batch; then one pass of block coordinate descent
over the columns from running statistics (Mairal et al. 2010, algorithm 2). What is done for speed:

* ``z - ∇/L`` is one ``addmm``: the step is folded into the Gram matrix. It is affine, so its value at the extrapolated
  point is the extrapolation of its values, and the optimality residual costs no product;
* the soft threshold and the extrapolation are one kernel each; the restart test needs no extrapolated point;
* tensors that are read no more are written over, so that fewer have to fit the cache;
* the largest eigenvalue is that of the smaller Gram matrix;
* the columns are rows in memory; the influence of a column on itself is left out, so that a column's update is one
  product; what columns of other blocks contribute is one product for a block.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import softshrink

CHECK = 5
BLOCK = 32


@torch.no_grad()
def codes(
    W: Tensor, y: Tensor, lam: float, tolerance: float, max_steps: int = 5000, each: bool = False
) -> tuple[Tensor, Tensor]:
    """``argmin_z`` for each row of ``y`` ``(B, m)``: ``(B, n)``, and steps ``(B,)``.

    ``tolerance`` is relative to the largest entry of ``2 y W``, for ``each`` sample to that of its own.
    """
    small = W @ W.T if W.shape[0] < W.shape[1] else W.T @ W
    L = 2 * float(torch.linalg.eigvalsh(small)[-1]) * (1 + 1e-6)
    shift = (y @ W).mul_(2 / L)
    matrix = (W.T @ W).mul_(-2 / L)
    matrix.diagonal().add_(1)
    size = shift.abs().amax(1)
    goal = tolerance * (size if each else size.max()).clamp_min(1 / L).expand(len(y))
    threshold = lam / L

    rows = torch.arange(len(y), device=y.device)
    answer, steps = torch.zeros_like(shift), torch.full_like(rows, max_steps)
    z, move = torch.zeros_like(shift), torch.zeros_like(shift)
    since = momentum = shift.new_zeros(len(shift), 1)
    down, ahead = shift.clone(), shift
    for step in range(1, max_steps + 1):
        new = softshrink(ahead, threshold)
        down_new = torch.addmm(shift, new, matrix)
        check = step % CHECK == 0 or step == max_steps
        if check:
            residual = (ahead - down_new).abs_().amax(1)
        move, before = torch.sub(new, z, out=z), move
        uphill = torch.addcmul(move, momentum, before, value=-1, out=before).mul_(move).sum(1, keepdim=True) < 0
        since = since.masked_fill(uphill, 0)
        momentum = since / (since + 3)
        since += 1
        ahead = torch.lerp(down, down_new, momentum + 1, out=down)
        z, down = new, down_new
        if check:
            busy = (residual > goal).nonzero()[:, 0]
            last = not len(busy) or step == max_steps
            if last or len(rows) - len(busy) >= max(1, len(rows) // 8):
                answer.index_copy_(0, rows, z)
                steps.index_fill_(0, rows, step)
                if last:
                    break
                rows, goal, shift, z, move, since, momentum, down, ahead = (
                    a.index_select(0, busy) for a in (rows, goal, shift, z, move, since, momentum, down, ahead)
                )
    return answer, steps


@torch.no_grad()
def update_columns(W: Tensor, second: Tensor, first: Tensor) -> None:
    """One pass over the columns of ``W`` ``(m, n)``: ``second`` is ``E[z z']``, ``first`` ``E[z y']`` ``(n, m)``.

    Columns that nothing uses stay.
    """
    D = W.T.contiguous()
    use = second.diagonal()
    used = (use > 1e-6 * use.max()).tolist()
    apart = second - torch.diag(use)
    for k in range(0, len(D), BLOCK):
        block = D[k : k + BLOCK]
        inside = apart[k : k + BLOCK, k : k + BLOCK].clone()
        apart[k : k + BLOCK, k : k + BLOCK] = 0
        base = torch.addmm(first[k : k + BLOCK], apart[k : k + BLOCK], D, alpha=-1)
        columns = block.T
        for j, (column, start, weights) in enumerate(zip(block.unbind(), base.unbind(), inside.unbind(), strict=True)):
            if used[k + j]:
                free = torch.addmv(start, columns, weights, alpha=-1)
                torch.div(free, torch.linalg.vector_norm(free), out=column)
    W.copy_(D.T)


class Learner:
    """Online dictionary learning. ``W`` ``(m, n)`` is changed in place."""

    def __init__(self, W: Tensor, lam: float, tolerance: float, each: bool = False) -> None:
        self.W, self.lam, self.tolerance, self.each = W, lam, tolerance, each
        self.steps = 0
        self.second = W.new_zeros(W.shape[1], W.shape[1])
        self.first = W.new_zeros(W.shape[1], W.shape[0])

    @torch.no_grad()
    def step(self, y: Tensor) -> dict[str, Tensor]:
        """One update from a batch ``(B, m)``: the mean energy before it, and that of both terms."""
        z, _ = codes(self.W, y, self.lam, self.tolerance, each=self.each)
        self.steps += 1
        squared = (y - z @ self.W.T).square_().sum() / len(y)
        sparse = z.abs().sum() * (self.lam / len(y))
        rate = max(self.steps**-0.6, 0.02)
        self.second.addmm_(z.T, z, beta=1 - rate, alpha=rate / len(y))
        self.first.addmm_(z.T, y, beta=1 - rate, alpha=rate / len(y))
        update_columns(self.W, self.second, self.first)
        return {"energy": squared + sparse, "squared": squared, "sparse": sparse}
