"""``W_k`` where ``k`` is a bound index and ``W_k`` is no name of its own."""

from __future__ import annotations

from ebdsl.check.scope import Env
from ebdsl.check.words import key


def split(name: str, env: Env, indices: set[str]) -> tuple[str, tuple[str, ...]] | None:
    """``W_k`` -> ``("W", ("k",))``, ``W_mn`` -> ``("W", ("m", "n"))``: base and index names, or None.

    The base is a variable or a bound value; each subscript is one of ``indices``.
    """
    for cut in range(len(name) - 1, 0, -1):
        if name[cut] != "_":
            continue
        base, tail = name[:cut], name[cut + 1 :].strip("{}")
        if key(base) not in env.values and not env.ctx.is_variable(key(base)):
            continue
        for parts in ((tail,), tuple(p.strip() for p in tail.split(",")), tuple(tail)):
            if parts and all(key(p) in indices for p in parts):
                return base, tuple(parts)
    return None
