"""The phase: ``ast.Spec -> Model``, with every error of the phase at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePath

from ebdsl.check.declare import declare
from ebdsl.check.free_energy import FreeEnergy, free_energy, report_circles
from ebdsl.check.generators import generated
from ebdsl.check.infer_by import amortised
from ebdsl.check.lints import lint
from ebdsl.check.modules import declare_module
from ebdsl.check.recurrences import recurrences
from ebdsl.check.report import Report
from ebdsl.check.scope import Context
from ebdsl.check.settings import SETTINGS
from ebdsl.check.timed import plain
from ebdsl.check.train import settings as train_settings
from ebdsl.check.words import key, listed, nearest
from ebdsl.diagnostics import Checked, Source
from ebdsl.model.algorithms import Chosen
from ebdsl.model.ir import Node
from ebdsl.model.model import Model, Setting
from ebdsl.syntax import ast
from ebdsl.syntax.spellings import ascii_name


def check(
    spec: ast.Spec,
    source: Source,
    settings: Mapping[str, float | int | str] | None = None,
    *,
    allow_python: bool = False,
) -> Checked[Model]:
    """The model of a spec, or all that is wrong with it.

    ``settings`` are those of ``--set``: values for constants, dimensions and the ``train`` block.
    ``allow_python`` lets modules be the user's own classes.
    """
    given = {key(k): v for k, v in (settings or {}).items()}
    report = Report()
    spec = plain(spec)  # s[0] and a[t] in declarations, plans, s_t = …
    numbers = {k: v for k, v in given.items() if isinstance(v, int | float)}
    ctx = declare(spec, source, numbers, report)  # dims, constants, variables, indices, definitions
    for s in spec.statements:
        if isinstance(s, ast.ModuleDecl) and ctx.declarations.get(key(s.name.id)) is s:
            declare_module(s, ctx, allow_python)  # layers and their shapes
    recurrences(spec, ctx)  # states that follow step by step
    report_circles(ctx)
    answers = amortised(spec, ctx)  # infer z by …
    energy = free_energy(ctx)  # terms and eliminations
    train = train_settings(spec, given, ctx)
    _unknown_settings(given, ctx)
    model = _model(spec, ctx, energy, answers, train) if energy is not None else None
    if model is not None:
        model = replace(model, generated=generated(spec, model, ctx))
    if model is not None and not report.has_errors:
        lint(model, spec, ctx)
        model = replace(model, notes=tuple(ctx.notes))
    return Checked(None if report.has_errors else model, report.sorted())


def _model(
    spec: ast.Spec,
    ctx: Context,
    energy: FreeEnergy,
    answers: dict[str, Node | Chosen],
    train: tuple[Setting, ...],
) -> Model:
    dims = {d: n for d, n in ctx.dims.items() if d not in ctx.aliases}
    return Model(
        name=spec.name or PurePath(ctx.source.name).stem or "model",
        source=ctx.source,
        symbols=tuple(ctx.symbols.values()),
        modules=tuple(ctx.modules.values()),
        dims=dims,
        terms=energy.terms,
        eliminations=energy.eliminations,
        energy_name=energy.energy_name,
        free_energy_name=energy.name,
        amortised={k: v for k, v in answers.items() if isinstance(v, Node)},
        algorithms={k: v for k, v in answers.items() if isinstance(v, Chosen)},
        answers=energy.answers,
        train=train,
        laws=dict(ctx.laws),
        notes=tuple(ctx.notes),
    )


def _unknown_settings(given: Mapping[str, object], ctx: Context) -> None:
    """EB0228 for names of ``--set`` that name nothing, or a thing that has no number."""
    constants = {k for k, s in ctx.symbols.items() if s.role == "const"}
    can = [*constants, *ctx.dims, *SETTINGS]
    for k, value in given.items():
        if k in constants or k in ctx.dims:
            whole = isinstance(value, int | float) and value == int(value) and value >= 1
            if not isinstance(value, int | float) or (k in ctx.dims and not whole):
                what = "a dimension is a whole number above zero" if k in ctx.dims else "a constant is a number"
                ctx.report.add("EB0228", f"--set {k}={value}: {what}")
        elif ascii_name(k).replace("-", "_") not in SETTINGS:
            near = nearest(k, can)
            kind = "there is no such name"
            if k in ctx.symbols:
                kind = f"{k} is {'learned' if ctx.symbols[k].role == 'param' else ctx.symbols[k].role}, and no constant"
            ctx.report.add(
                "EB0228",
                f"--set {k}: {kind}",
                help=f"did you mean {near} ?" if near else f"what can be set: {listed(sorted(can))}",
            )
