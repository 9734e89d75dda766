"""A hand-written file that follows the interface of the generated ones: sparse coding, and k-means.

The tests of the training loop use its text where they want a learner that is known to the last line.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

NAME = "toy"
DEFAULTS = {"epochs": 3, "batch": 16, "lr": 0.05}


class Inference(NamedTuple):
    latents: dict[str, Tensor]
    energy: Tensor
    residual: Tensor
    iterations: Tensor
    converged: Tensor


class Toy(nn.Module):
    """||y - W z||^2 + λ|z|, ten steps of ISTA."""

    OBSERVED: ClassVar = {"y": ("M",)}
    LATENT: ClassVar = {"z": ("N",)}
    PARAMS = ("W",)

    def __init__(self, *, M: int = 6, N: int = 9, lam: float = 0.1, seed: int = 0, dtype: torch.dtype = torch.float32):
        super().__init__()
        self.lam = lam
        generator = torch.Generator().manual_seed(seed)
        self.W = nn.Parameter(torch.randn(M, N, generator=generator, dtype=dtype))
        self.project()

    @torch.no_grad()
    def project(self) -> None:
        self.W /= self.W.norm(dim=0, keepdim=True)

    def terms(self, y: Tensor, z: Tensor) -> dict[str, Tensor]:
        return {"||y - W z||^2": (y - z @ self.W.T).square().sum(1), "λ|z|": self.lam * z.abs().sum(1)}

    def energy(self, y: Tensor, z: Tensor) -> Tensor:
        return sum(self.terms(y, z).values())

    @torch.no_grad()
    def infer(self, y: Tensor, *, start=None, tolerance=None, max_steps=None) -> Inference:
        z = y.new_zeros(len(y), self.W.shape[1])
        step = 1 / (2 * torch.linalg.matrix_norm(self.W, 2).square())
        for _ in range(10 if max_steps is None else max_steps):
            v = z - step * 2 * (z @ self.W.T - y) @ self.W
            z = v.sign() * (v.abs() - self.lam * step).clamp_min(0)
        done = torch.ones(len(y), dtype=torch.bool)
        return Inference({"z": z}, self.energy(y, z), y.new_zeros(len(y)), torch.full((len(y),), 10), done)

    def free_energy(self, y: Tensor) -> Tensor:
        return self.energy(y, self.infer(y).latents["z"])


class Learner:
    """Gradient descent with momentum and noise: three kinds of state that resuming must bring back."""

    full_batch = False
    converged = False

    def __init__(self, model: Toy, *, lr: float | None = None, seed: int = 0):
        self.model, self.lr = model, DEFAULTS["lr"] if lr is None else lr
        self.velocity = torch.zeros_like(model.W)
        self.generator = torch.Generator().manual_seed(seed)

    def start(self, data: dict[str, Tensor]) -> None:
        with torch.no_grad():
            self.model.W += 0.01 * data["y"].mean(0)[:, None]
        self.model.project()

    def step(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        z = self.model.infer(batch["y"]).latents["z"]
        terms = {f"energy/{k}": v.mean() for k, v in self.model.terms(batch["y"], z).items()}
        energy = sum(terms.values())
        (gradient,) = torch.autograd.grad(energy, [self.model.W])
        with torch.no_grad():
            noise = torch.randn(gradient.shape, generator=self.generator, dtype=gradient.dtype)
            self.velocity.mul_(0.9).sub_(self.lr * (gradient + 1e-3 * noise + 1e-3 * torch.randn_like(gradient)))
            self.model.W += self.velocity
        self.model.project()
        return {"energy": energy.detach(), **{k: v.detach() for k, v in terms.items()}}

    def state_dict(self) -> dict[str, Tensor]:
        return {"velocity": self.velocity, "generator": self.generator.get_state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.velocity.copy_(state["velocity"])
        self.generator.set_state(state["generator"].to(torch.uint8))


def build(**keywords) -> Toy:
    return Toy(**keywords)
