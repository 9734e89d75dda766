"""Several latents as one vector: their second derivative as one matrix, their slope as one row."""

from __future__ import annotations

from collections.abc import Sequence

from ebdsl.emit.systems import count_text
from ebdsl.emit.tensors import Scope
from ebdsl.emit.values import Value, bracket
from ebdsl.facts.second import Second
from ebdsl.model.ir import BATCH, Axis, Node


def stacked_matrix(scope: Scope, second: Second, blocks: Sequence[Node], shared: bool) -> str:
    """The text of ``(n, n)`` where ``shared``, else ``(B, n, n)``; ``blocks`` in the order of ``second.blocks``."""
    lead: tuple[Axis, ...] = () if shared else (BATCH,)
    count, queue = len(second.at), iter(blocks)
    found: dict[tuple[int, int], str] = {}
    for i in range(count):
        for j in range(i + 1):
            left, right = second.at[i], second.twin[j]
            value = scope.tensor(next(queue), (*lead, *left, *right))
            code = value.code if value.axes else scope.constant(value)
            if len(left) != 1 or len(right) != 1:
                head = "" if shared else "-1, "
                code = f"{bracket(code)}.reshape({head}{count_text(scope, left)}, {count_text(scope, right)})"
            if count > 1:
                code = scope.assign("block", Value(code)).code
            found[i, j] = code
            found.setdefault((j, i), f"{code}.mT")
    if count == 1:
        return found[0, 0]
    rows = [f"torch.cat(({', '.join(found[i, j] for j in range(count))}), -1)" for i in range(count)]
    return f"torch.cat(({', '.join(rows)}), -2)"


def stacked_row(scope: Scope, at: Sequence[tuple[Axis, ...]], parts: Sequence[Node]) -> str:
    """The text of ``(B, n)``: a part for each latent."""
    texts = []
    for own, node in zip(at, parts, strict=True):
        code = scope.tensor(node, (BATCH, *own)).code
        texts.append(code if len(own) == 1 else f"{bracket(code)}.reshape(-1, {count_text(scope, own)})")
    return texts[0] if len(texts) == 1 else f"torch.cat(({', '.join(texts)}), 1)"
