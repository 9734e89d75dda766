"""The Python interface: what the command line does, on arrays.

    spec = ebdsl.load("sparse_coding.ebm", N=64)
    print(spec.explain())
    spec.fit(Y, epochs=20)
    codes = spec.infer(Y)["z"]

Arrays go in as numpy or torch and come out as what they were; samples are rows.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ebdsl.diagnostics import Diagnostic, Source, SpecError

if TYPE_CHECKING:
    from ebdsl.model.model import Model
    from ebdsl.run.observations import Observations
    from ebdsl.run.prepare import Ready
    from ebdsl.run.sampling.sampler import Sampled
    from ebdsl.run.session import Session
    from ebdsl.run.trained import Trained

__all__ = ["Inferred", "Spec", "load"]


@contextmanager
def _rendered(source: Source | None = None) -> Iterator[None]:
    """The text of an error is what the command line would print."""
    try:
        yield
    except SpecError as error:
        from ebdsl.diagnostics import render

        error.args = ("\n" + render.text(error.diagnostics, error.source or source).rstrip(),)
        raise error from None


def load(what: str | os.PathLike[str], *, allow_python: bool = False, **settings: Any) -> Spec:
    """A spec from a file, from its text (anything with a line break), by the name of a shipped one, or a trained run.

    ``settings`` give constants, dimensions and settings of the ``train`` block other values, as
    ``--set`` does: ``load("kmeans", K=5)``, ``load(path, λ=0.3)`` or ``lam=0.3``. A run folder comes with its
    parameters. ``allow_python`` lets the spec use ``python("package.module:Class")``, which runs
    its author's code.

    Raises :class:`~ebdsl.SpecError`, whose text is what ``ebdsl check`` prints.
    """
    text = os.fspath(what)
    with _rendered():
        from ebdsl.run.files import read_source, refuse
        from ebdsl.run.folder import is_run

        if "\n" not in text and is_run(Path(text)):
            if settings:
                names = ", ".join(settings)
                raise refuse("EB0708", f"{text} is a trained run: {names} cannot be set any more", "load its spec.ebm")
            from ebdsl.run.trained import trained

            found = trained(Path(text), allow_python=allow_python)
            return Spec(found.program.model, found.warnings, allow_python=allow_python, _trained=found)
        from ebdsl.run.program import checked_model

        source = Source("text", text) if "\n" in text else read_source(text)
        given = {name: str(value) for name, value in settings.items()}
        model, warnings = checked_model(source, given, allow_python=allow_python)
        return Spec(model, tuple(warnings), allow_python=allow_python)


class Inferred(Mapping[str, Any]):
    """Latent variables by name, ``(n, *shape)`` each, and how they were found.

    ``energy`` (n,) at the latents; ``residual`` (n,), 0 at an optimum, NaN where it is not known;
    ``iterations`` (n,) and ``converged`` (n,). Of a softmin the latents are posterior means, and ``posterior`` has what
    else is known of the posterior by the generated file's names, ``(n, ...)`` each, such as ``z_covariance``.
    """

    def __init__(
        self, latents: Mapping[str, Any], energy: Any, residual: Any, iterations: Any, converged: Any,
        posterior: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self._latents = dict(latents)
        self.posterior = dict(posterior or {})
        self.energy, self.residual, self.iterations, self.converged = energy, residual, iterations, converged

    def __getitem__(self, name: str) -> Any:
        return self._latents[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._latents)

    def __len__(self) -> int:
        return len(self._latents)

    def __repr__(self) -> str:
        shapes = ", ".join(f"{name} {tuple(values.shape)}" for name, values in self._latents.items())
        return f"Inferred({shapes})"


class Spec:
    """A checked spec, and after :meth:`fit` its trained model. Made by :func:`ebdsl.load`.

    ``name`` and ``text`` are the spec's; ``warnings`` what its check and its training found; ``history`` the
    metrics of training, a dictionary a step: ``step``, ``epoch``, ``seconds``, ``energy``, ``energy/TERM``.
    """

    def __init__(
        self,
        model: Model,
        warnings: tuple[Diagnostic, ...] = (),
        *,
        allow_python: bool = False,
        _trained: Trained | None = None,
    ) -> None:
        self._model, self._trained = model, _trained
        self._session: Session | None = None
        self._ready: Ready | None = None
        self._allow_python = allow_python
        self.warnings = warnings
        self.history: list[dict[str, Any]] = []

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def text(self) -> str:
        return self._model.source.text

    def __repr__(self) -> str:
        return f"Spec({self.name}, {'trained' if self._trained else 'not trained'})"

    # ------------------------------------------------------------------ what needs no torch

    def check(self) -> tuple[Diagnostic, ...]:
        """All that ``ebdsl check`` says: warnings, and errors of the plan. Raises nothing."""
        from ebdsl import driver

        found = [*self.warnings, *driver.plan(self._model).diagnostics]
        return tuple(dict.fromkeys(found))

    def explain(self) -> str:
        """What follows from the energy: facts, the rules chosen, their guarantees, and the refused ones."""
        from ebdsl import explain

        return explain.text(self._plan())

    def draw(self, path: str | os.PathLike[str] | None = None, format: str | None = None) -> str | bytes:
        """The factor graph, also written to ``path``: ``svg`` (the default), ``png``, ``pdf``, ``dot`` or ``mmd``."""
        from ebdsl import graph

        with _rendered(self._model.source):
            return graph.draw(self._model, path, format)

    def _repr_svg_(self) -> str:
        return str(self.draw(format="svg"))

    def source(self, *, target: str = "eager", **sizes: int) -> str:
        """The generated PyTorch file. ``sizes`` are those of dimensions that only data tells.

        For the ``target`` ``inductor`` the plan's loops are functions that Inductor compiles when they are first used,
        for ``native`` what has a kernel in C++ runs that.
        """
        from ebdsl import driver

        return driver.emit(self._plan(sizes), target)

    def _plan(self, sizes: Mapping[str, int] | None = None, allow_flat: bool = False) -> Any:
        from ebdsl import driver
        from ebdsl.run.program import value_or_raise

        with _rendered(self._model.source):
            model = self._model.bind(dict(sizes)) if sizes else self._model
            return value_or_raise(driver.plan(model, allow_flat), model.source, [])

    # ------------------------------------------------------------------ training

    def module(self, *, seed: int = 0, dtype: Any = None, **sizes: int) -> Any:
        """The model as an ``nn.Module``: the trained one after :meth:`fit`, else a fresh one.

        ``sizes`` are those of dimensions that only data tells, or other ones than the spec's; with
        any of them the module is fresh. ``dtype`` is torch's, ``torch.float32`` without it.
        """
        import torch

        from ebdsl.run.program import program

        with _rendered(self._model.source):
            if self._trained is not None and not sizes:
                return self._trained.network
            built = program(self._model, sizes, allow_flat=True)
            return built.namespace.build(seed=seed, dtype=dtype or torch.float32)

    def fit(
        self,
        Y: Any = None,
        *,
        epochs: int | None = None,
        batch: int | None = None,
        lr: float | None = None,
        seed: int | None = None,
        dtype: str | None = None,
        device: str | None = None,
        holdout: float | None = None,
        target: str | None = None,
        out: str | os.PathLike[str] | None = None,
        force: bool = False,
        progress: bool = False,
        allow_flat: bool = False,
    ) -> Spec:
        """Train on ``Y`` and return ``self``.

        ``Y`` is (n, *shape), or a dictionary of such by the names of the observed variables; a
        string is what ``--data`` takes; None is the data of the spec's ``train`` block. What is not given is the
        spec's, or the learner's own default. With ``out`` a run folder is left there, as by
        ``ebdsl train``; ``target`` (``eager``, ``inductor``, ``native`` or ``auto``) says
        how the plan is compiled; ``progress`` shows a bar. Ctrl-C ends training early, and what was learned is kept.

        Raises :class:`~ebdsl.SpecError` for data that does not fit, an energy that is nowhere kept
        from being flat (unless ``allow_flat``), and an energy that became NaN or ran away.
        """
        from ebdsl.run import train
        from ebdsl.run.metrics import History
        from ebdsl.run.prepare import ready
        from ebdsl.run.progress import progress as bar
        from ebdsl.run.report import Report
        from ebdsl.run.trained import Trained

        given = {
            "epochs": epochs, "batch": batch, "lr": lr, "seed": seed, "dtype": dtype, "device": device,
            "holdout": holdout, "target": target,
        }  # fmt: skip
        with _rendered(self._model.source):
            seen = self._observations(Y, given)
            history = History()
            found = list(self.warnings)
            report = Report(
                warn=lambda more, source: found.extend(d for d in more if d not in found),
                progress=lambda *about: history.beside(bar(*about) if progress else None),
            )
            word = Y if isinstance(Y, str) else None
            prepared = ready(self._model, seen, given, [], data=word, allow_flat=allow_flat)
            if out is None:
                outcome = train.go(train.session_of(prepared, report), None, report, fresh=True)
            else:
                outcome = train.train_ready(prepared, os.fspath(out), force=force, report=report)
        live = outcome.session
        live.network.eval()
        self.history, self.warnings = history.rows, tuple(found)
        self._session, self._ready = live, prepared
        self._trained = Trained(self._model, live.program, live.network, live.options, live.data.device, outcome.folder)
        return self

    def save(self, path: str | os.PathLike[str], *, force: bool = False) -> Path:
        """Leave a run folder, as ``ebdsl train`` does, that :func:`ebdsl.load` and the command line read.

        Raises :class:`~ebdsl.SpecError` before :meth:`fit`, and where ``path`` holds something else.
        """
        from ebdsl.run import checkpoint, folder, session, train
        from ebdsl.run.files import refuse, write_atomically
        from ebdsl.run.metrics import to_lines

        with _rendered(self._model.source):
            if self._session is None or self._ready is None:
                what = "was loaded from a folder: copy that" if self._trained else "is not trained yet: fit it first"
                raise refuse("EB0718", f"{self.name} {what}")
            live = self._session
            new, _ = folder.fresh(os.fspath(path), folder.folder_name(self.name), force=force)
            train.found_folder(new, live, self._ready)
            rows = to_lines(self.history)
            write_atomically(new.metrics, rows)
            facts = {**session.facts(live), "metrics": len(rows.encode())}
            checkpoint.write(new.checkpoints, live.position.step, session.tensors(live), facts)
            new.update(status="finished", step=live.position.step, energy=live.position.energy)
            return new.path

    # ------------------------------------------------------------------ answers

    def infer(self, Y: Any, *, steps: int | None = None, tolerance: float | None = None) -> Inferred:
        """The latent variables of each sample: those that minimise the energy, or what ``infer z by …`` answers.

        ``Y`` as for :meth:`fit`. ``steps`` and ``tolerance`` bound iterative inference.
        Raises :class:`~ebdsl.SpecError` before :meth:`fit` and for an energy without latent variables.
        """
        from ebdsl.run.arrays import back
        from ebdsl.run.batched import inferences
        from ebdsl.run.infer import SIZE, require_latents

        with self._answering("inference") as model:
            require_latents(model.program)
            join, arrays = back(Y), self._arrays(Y)
            model = model.fit(arrays)
            data = model.batches(arrays)
            parts = [found for _, found in inferences(model.network, data, SIZE, max_steps=steps, tolerance=tolerance)]
            latents = {name: join([p.latents[python] for p in parts]) for name, python in model.program.latent.items()}
            about = [join([getattr(p, k) for p in parts]) for k in ("energy", "residual", "iterations", "converged")]
            energy, residual, iterations, converged = about
            names = getattr(parts[0], "posterior", {}) if parts else {}
            more = {name: join([p.posterior[name] for p in parts]) for name in names}
            return Inferred(latents, energy, residual, iterations, converged, more)

    def free_energy(self, Y: Any) -> Any:
        """The free energy of each sample, (n,): latents minimised or marginalised out. ``Y`` as for :meth:`fit`."""
        from ebdsl.run.arrays import back
        from ebdsl.run.batched import free_energies
        from ebdsl.run.infer import SIZE

        with self._answering("evaluation") as model:
            arrays = self._arrays(Y)
            model = model.fit(arrays)
            return back(Y)(list(free_energies(model.network, model.batches(arrays), SIZE)))

    def sample(self, n: int = 1000, *, given: Mapping[str, Any] | None = None, **options: Any) -> Sampled:
        """``n`` samples of exp(-β F) by chains that start near the data of :meth:`fit`, and whether these have mixed.

        ``given`` holds other observed variables at values ``(1 or more, *shape)``; without it they are the data's.
        ``options`` are those of :class:`~ebdsl.run.sampling.sampler.Plan`: method, chains, warmup, steps, step_size,
        beta, seed. Raises :class:`~ebdsl.SpecError` before :meth:`fit`, and where no chain moves or the energy is not
        finite.
        """
        import numpy as np

        from ebdsl.run.sampling.sampler import Plan, sample

        with self._answering("sampling") as model:
            seen = self._ready.seen if self._ready is not None else model.samples(None)
            held = {k: np.atleast_1d(np.asarray(v, np.float64)) for k, v in (given or {}).items()}
            shapes = {k: tuple(d or 1 for d in model.program.model.shape(model.program.model.symbol(k))) for k in held}
            held = {k: v.reshape(-1, *shapes[k]) for k, v in held.items()}
            found = sample(model, seen.arrays, held, Plan(n, **options))
            self.warnings = (*self.warnings, *(w for w in found.warnings if w not in self.warnings))
            return found

    def energy(self, *values: Any, **by_name: Any) -> Any:
        """The energy of each sample, (n,), at given latents: ``energy(Y, Z)`` in the spec's order, or by name."""
        terms = self.terms(*values, **by_name)
        return sum(terms.values())

    def terms(self, *values: Any, **by_name: Any) -> dict[str, Any]:
        """The energy term by term: the spec's text of each -> (n,). Arguments as for :meth:`energy`."""
        import torch

        from ebdsl.run.arrays import as_tensor, back, named, shown, unfit
        from ebdsl.run.evaluate import terms_of

        with self._answering("evaluation") as model:
            order = {**model.program.observed, **model.program.latent}
            given = named(order, values, by_name)
            dtype = getattr(torch, model.options.dtype)
            raw = {name: as_tensor(name, value) for name, value in given.items()}
            model = model.fit({name: raw[name] for name in model.program.observed})
            tensors = {}
            for name, tensor in raw.items():
                shape = model.program.model.shape(model.program.model.symbol(name))
                wanted = (len(tensor) if tensor.ndim else 0, *shape)
                if tuple(tensor.shape) != wanted:
                    raise unfit(f"{name} is {shown(tensor)}, and has to be {shown(wanted)}: samples are rows")
                tensors[order[name]] = tensor.to(model.where, dtype)
            lengths = {len(t) for t in tensors.values()}
            if len(lengths) > 1:
                raise unfit(f"the variables have different numbers of samples: {sorted(lengths)}")
            join = back(next(iter(given.values())))
            with torch.no_grad():
                return {text: join([value]) for text, value in terms_of(model.network, tensors, {}).items()}

    # ------------------------------------------------------------------ inside

    @contextmanager
    def _answering(self, what: str) -> Iterator[Trained]:
        """The trained model; failures inside are told in the terms of the spec."""
        with _rendered(self._model.source):
            from ebdsl.run.files import refuse
            from ebdsl.run.use import using

            if self._trained is None:
                raise refuse("EB0718", f"{self.name} is not trained yet", "fit it, or load a run folder")
            with using(self._trained.program.model, f"during {what}"):
                yield self._trained

    def _observations(self, Y: Any, given: Mapping[str, Any]) -> Observations:
        from ebdsl.run.observations import Observations, observations, sizes
        from ebdsl.run.options import options

        if Y is None or isinstance(Y, str):
            return observations(self._model, Y, options(self._model, {}, given).seed)
        arrays = self._arrays(Y)
        return Observations(arrays, sizes(self._model, arrays), "arrays")

    def _arrays(self, Y: Any) -> dict[str, Any]:
        """Observed variables by the spec's names, as numpy arrays (n, *shape)."""
        from ebdsl.run.arrays import array, named, shown, unfit

        observed = self._model.role("observed")
        if isinstance(Y, Mapping):
            given = named({s.name: s.name for s in observed}, (), Y)
        elif len(observed) == 1:
            given = {observed[0].name: Y}
        else:
            names = ", ".join(s.name for s in observed)
            raise unfit(f"the observed variables are {names}: pass a dictionary that has an array for each")
        arrays = {name: array(name, value) for name, value in given.items()}
        for symbol in observed:
            shape = arrays[symbol.name].shape
            if len(shape) == len(symbol.shape):
                raise unfit(f"{symbol.name} is {shown(shape)}, one sample: samples are rows, {shown((1, *shape))}")
        return arrays
