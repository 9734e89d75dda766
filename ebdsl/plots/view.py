"""A trained model as pictures want it: numpy in, numpy out, by the spec's names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ebdsl.emit.names import python_name
from ebdsl.model.ir import Dim, Part, Symbol
from ebdsl.model.model import Model
from ebdsl.run.mapped import taken

if TYPE_CHECKING:
    from torch import Tensor

Arrays = dict[str, np.ndarray]
AT_A_TIME = 2048


class View:
    """``network`` is the generated module, ``spec`` its checked spec, ``data`` its samples ``(n, *shape)`` by name.

    ``image_shapes`` are those of observed symbols that are pictures; ``folder`` is the run's, for its metrics. ``beta``
    is the model's inverse temperature; ``sampler`` gives samples of a variable, with its name and a note;
    ``drawn_anew`` the run's data by another seed.
    """

    def __init__(
        self,
        network: Any,
        spec: Model,
        data: Mapping[str, np.ndarray],
        image_shapes: Mapping[str, tuple[int, ...]],
        folder: Path,
        beta: float = 1.0,
        sampler: Callable[[int], tuple[str, np.ndarray, str]] | None = None,
        drawn_anew: Callable[[], Mapping[str, np.ndarray]] | None = None,
    ) -> None:
        self.network, self.spec, self.data, self.folder = network, spec, data, folder
        self.beta, self.sampler, self._drawn_anew = beta, sampler, drawn_anew
        self.image_shapes = {k: tuple(v) for k, v in image_shapes.items()}
        self.observed = dict(zip((s.name for s in spec.role("observed")), network.OBSERVED, strict=True))
        self.latent = dict(zip((s.name for s in spec.role("latent")), network.LATENT, strict=True))

    @cached_property
    def params(self) -> Arrays:
        """The spec's parameters by name."""
        names = zip((s.name for s in self.spec.role("param")), self.network.PARAMS, strict=True)
        return {name: _numpy(getattr(self.network, python)) for name, python in names}

    def layers(self) -> Iterator[tuple[str, np.ndarray]]:
        """Matrices ``(outputs, inputs)`` inside modules, each with its module's name in the spec."""
        names = {python_name(m.name): m.name for m in self.spec.modules}
        for path, x in self.network.named_parameters():
            owner = path.split(".")[0]
            if owner in names and x.ndim == 2:
                yield names[owner], _numpy(x)

    def sizes(self, symbol: Symbol) -> tuple[int, ...]:
        """A symbol's shape in numbers: the data's for what is observed."""
        if symbol.name in self.data:
            return self.data[symbol.name].shape[1:]
        return tuple(self._size(d) for d in symbol.shape)

    def _size(self, dim: Dim) -> int:
        known = self.spec.size(dim)
        if known is None and isinstance(dim, Part):
            return self._size(dim.whole) - dim.less
        return known if known is not None else int(getattr(self.network, str(dim)))

    @cached_property
    def n(self) -> int:
        return len(next(iter(self.data.values())))

    def some(self, count: int, seed: int = 0) -> Arrays:
        """At most ``count`` samples, picked at random by ``seed``, in the data's order; float32."""
        rows = np.arange(self.n)
        if self.n > count:
            rows = np.sort(np.random.default_rng(seed).choice(self.n, count, replace=False))
        return {name: np.asarray(taken(self.data[name], rows), np.float32) for name in self.observed}

    def unseen(self, count: int) -> tuple[Arrays, bool]:
        """At most ``count`` samples that are not among ``data``, and True; else some of it, and False."""
        fresh = self._drawn_anew() if self._drawn_anew is not None else {}
        if fresh:
            known = {_bytes(self.data, k) for k in range(self.n)}
            rows = np.random.default_rng(0).permutation(len(next(iter(fresh.values()))))
            new = [k for k in rows[: 4 * count] if _bytes(fresh, k) not in known][:count]
            if len(new) >= min(count, 100):
                return {name: np.asarray(taken(fresh[name], np.sort(new)), np.float32) for name in self.observed}, True
        return self.some(count), False

    # ------------------------------------------------------------------ the model's answers

    def free_energy(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """``(n,)`` in float64."""
        return np.concatenate([_numpy(self.network.free_energy(**b)) for b in self._batches(arrays)]).astype(np.float64)

    def infer(self, arrays: Mapping[str, np.ndarray]) -> Arrays:
        """Latents ``(n, *shape)`` by the spec's names."""
        found = [self.network.infer(**b).latents for b in self._batches(arrays)]
        return {name: np.concatenate([_numpy(f[p]) for f in found]) for name, p in self.latent.items()}

    @cached_property
    def reconstructed(self) -> Symbol | None:
        """The observed symbol that ``reconstruct`` answers for, None where the energy compares nothing."""
        if not hasattr(self.network, "reconstruct"):
            return None
        one = self.some(2)
        shape = self._reconstruct(one, self.infer(one) if self.latent else {}).shape[1:]
        inputs = set(inspect.signature(self.network.reconstruct).parameters)
        fits = [s for s in self.spec.role("observed") if self.sizes(s) == shape]
        free = [s for s in fits if self.observed[s.name] not in inputs]
        return next(iter(free or fits), None)

    @property
    def inputs(self) -> tuple[str, ...]:
        """What ``reconstruct`` is a function of, by the spec's names."""
        names = {python: name for name, python in (*self.observed.items(), *self.latent.items())}
        return tuple(names[p] for p in inspect.signature(self.network.reconstruct).parameters)

    def code(self, arrays: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
        """Mean and standard deviation of a code with noise, ``(n, *shape)``; None where there is none."""
        if not hasattr(self.network, "code"):
            return None
        import torch

        with torch.no_grad():
            found = [self.network.code(**b) for b in self._batches(arrays)]
        mean, spread = (np.concatenate([_numpy(x) for x in part]) for part in zip(*found, strict=True))
        return mean, spread

    def decode(self, codes: np.ndarray, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the energy compares :attr:`reconstructed` with, by the code; ``arrays`` are what else it reads."""
        import torch

        wanted = list(inspect.signature(self.network.decode).parameters)[1:]
        given = {self.observed[k]: v for k, v in arrays.items()}
        with torch.no_grad():
            return _numpy(self.network.decode(self.tensor(codes), **{k: self.tensor(given[k]) for k in wanted}))

    def reconstruct(self, arrays: Mapping[str, np.ndarray], latents: Mapping[str, np.ndarray]) -> np.ndarray:
        """What the energy compares :attr:`reconstructed` with, ``(n, *shape)``."""
        return self._reconstruct(arrays, latents)

    def _reconstruct(self, arrays: Mapping[str, np.ndarray], latents: Mapping[str, np.ndarray]) -> np.ndarray:
        import torch

        given = {self.observed[k]: v for k, v in arrays.items()} | {self.latent[k]: v for k, v in latents.items()}
        wanted = inspect.signature(self.network.reconstruct).parameters
        with torch.no_grad():
            return _numpy(self.network.reconstruct(**{k: self.tensor(given[k]) for k in wanted}))

    def _batches(self, arrays: Mapping[str, np.ndarray]) -> list[dict[str, Tensor]]:
        n = len(next(iter(arrays.values())))
        return [
            {python: self.tensor(arrays[name][i : i + AT_A_TIME]) for name, python in self.observed.items()}
            for i in range(0, n, AT_A_TIME)
        ]

    def tensor(self, x: np.ndarray) -> Tensor:
        """As the network takes it."""
        import torch

        like = next(self.network.parameters(), torch.zeros(()))
        return torch.as_tensor(np.ascontiguousarray(x), dtype=like.dtype, device=like.device)


def _bytes(arrays: Mapping[str, np.ndarray], k: int) -> bytes:
    return b"".join(np.ascontiguousarray(a[k]).tobytes() for a in arrays.values())


def _numpy(x: Any) -> np.ndarray:
    return x.detach().cpu().numpy()
