"""A module's layers as text of ``torch.nn``."""

from __future__ import annotations

from collections.abc import Callable

from ebdsl.atoms import LAYERS
from ebdsl.model.ir import Dim, Module


def module_text(module: Module, text: Callable[[Dim], str]) -> tuple[str, set[str], list[str]]:
    """The constructor's text, the runtime classes it needs, and lines for the top of the file."""
    texts: dict[Dim, str] = {}

    def named(dim: Dim) -> str:
        return texts.get(dim, text(dim) if dim not in texts else "")

    single = len(module.inputs) == 1
    shape: tuple[Dim, ...] = module.inputs[0] if single else (_joined(module.inputs, text, texts),)
    needs: set[str] = set()
    imports: list[str] = []
    stages: list[str] = []
    last = max((k for k, layer in enumerate(module.layers) if LAYERS[layer.name].sets_shape), default=-1)
    for k, layer in enumerate(module.layers):
        row = LAYERS[layer.name]
        out = row.shape(shape, module.output if k == last else None, layer.args, layer.keywords)
        stage = row.torch(tuple(map(named, shape)), tuple(map(named, out)), layer.args, layer.keywords)
        needs |= set(row.needs)
        imports += list(row.imports(layer.args)) if row.imports else []
        stages.append(stage)
        shape = out
    flat = [s for stage in stages for s in _flatten(stage)]
    body = flat[0] if len(flat) == 1 else "nn.Sequential(\n" + "".join(f"    {s},\n" for s in flat) + ")"
    if len(module.inputs) > 1:
        needs.add("Joined")
        inner = body.replace("\n", "\n    ")
        body = f"Joined(\n    {inner}\n)" if "\n" in body else f"Joined({body})"
    return body, needs, imports


def _joined(inputs: tuple[tuple[Dim, ...], ...], text: Callable[[Dim], str], texts: dict[Dim, str]) -> Dim:
    """The width of all inputs side by side."""
    parts: list[str] = []
    total = 0
    for shape in inputs:
        if all(isinstance(d, int) for d in shape):
            count = 1
            for d in shape:
                count *= d if isinstance(d, int) else 1
            total += count
        else:
            parts.append(" * ".join(text(d) for d in shape))
    if not parts:
        return total
    name = " + ".join([*parts, *([str(total)] if total else [])])
    texts[name] = name
    return name


def _flatten(stage: str) -> list[str]:
    """The stages of a text that is itself a sequence."""
    prefix = "nn.Sequential("
    if not (stage.startswith(prefix) and stage.endswith(")")):
        return [stage]
    parts, depth, begin = [], 0, len(prefix)
    for k in range(len(prefix), len(stage) - 1):
        c = stage[k]
        depth += c in "([{"
        depth -= c in ")]}"
        if c == "," and depth == 0:
            parts.append(stage[begin:k].strip())
            begin = k + 1
    parts.append(stage[begin:-1].strip())
    return [p for p in parts if p]
