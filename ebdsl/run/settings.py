"""``--set λ=0.3``: an edit of the spec's text.

The edited text is what is compiled, saved with the run and shown in messages, so that a run's copy
of the spec is the whole truth about it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ebdsl.check.declare import bracketed
from ebdsl.check.settings import SETTINGS
from ebdsl.check.words import nearest
from ebdsl.diagnostics import Checked, Diagnostic, Source, Span
from ebdsl.emit.names import python_name
from ebdsl.syntax import ast
from ebdsl.syntax.spellings import canonical


def places(spec: ast.Spec) -> Iterator[tuple[str, Span, str]]:
    """Everything that can be set: its name, the text to replace, and what goes before the new value."""
    for statement in spec.statements:
        match statement:
            case ast.ConstDecl(name=name, value=value):
                yield name.id, value.span, ""
            case ast.DimDecl(name=name, size=size):
                yield (name.id, size.span, "") if size else (name.id, Span(name.span.end, name.span.end), " = ")
            case ast.Train(settings=settings):
                yield from _settings(settings)


def _settings(settings: tuple[ast.Setting, ...]) -> Iterator[tuple[str, Span, str]]:
    for setting in settings:
        end = setting.key.span.end
        yield (setting.key.id, setting.value.span, "") if setting.value else (setting.key.id, Span(end, end), " ")
        yield from _settings(setting.children)


def free_dimensions(spec: ast.Spec) -> list[str]:
    """Names in the brackets of types that no statement declares: the data tells their sizes, or ``--set`` does."""
    found = [d.id for s in spec.statements for d in bracketed(s) if isinstance(d, ast.Name)]
    declared = {
        canonical(s.name.id) for s in spec.statements if isinstance(s, ast.DimDecl | ast.IndexDecl | ast.ConstDecl)
    }
    return [name for name in dict.fromkeys(found) if canonical(name) not in declared]


def applied(source: Source, spec: ast.Spec, settings: Mapping[str, str]) -> Checked[Source]:
    """``source`` with other values. A name that cannot be set, or an empty value, is EB0716."""
    can = list(places(spec))
    free = free_dimensions(spec)
    end = len(source.text)
    names = {canonical(name): name for name in [*(n for n, _, _ in can), *free]}
    edits: list[tuple[Span, str]] = []
    found: list[Diagnostic] = []
    for name, value in settings.items():
        value = value.strip()
        if not value or any(c in value for c in "\n\r#"):
            found.append(Diagnostic("EB0716", f"{name} is set to {value!r}, which is no value", (), _example()))
            continue
        hits = [(span, before + value) for known, span, before in can if same(known, name)]
        hits += [(Span(end, end), f"\ndim {known} = {value}\n") for known in free if same(known, name)]
        if not hits and name in SETTINGS:
            hits = [(Span(end, end), f"\ntrain\n    {name} {value}\n")]
        if not hits:
            near = nearest(name, [*names.values(), *SETTINGS])
            listed = ", ".join(dict.fromkeys([*names.values(), *SETTINGS]))
            help = (f"did you mean {near} ?",) if near else (f"what can be set: {listed}",)
            found.append(Diagnostic("EB0716", f"the spec has no constant, dimension or setting {name}", (), help))
        edits += hits
    text = source.text
    for span, new in sorted(edits, reverse=True):
        text = text[: span.start] + new + text[span.end :]
    return Checked(None if found else Source(source.name, text), tuple(found))


def same(known: str, name: str) -> bool:
    """Whether ``name`` means ``known``: ``λ``, ``lambda``, and ``lam``, as the generated file calls it."""
    return canonical(known) == canonical(name) or python_name(known) == name


def _example() -> tuple[str, ...]:
    return ("as in --set λ=0.3 or --set K=20",)
