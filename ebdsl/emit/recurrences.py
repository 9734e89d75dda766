"""Recurrences as methods: a loop over the steps, all samples at once."""

from __future__ import annotations

from ebdsl.emit.context import Context
from ebdsl.emit.names import python_names
from ebdsl.model.algebra import recurrences_in, with_batch
from ebdsl.model.ir import BATCH, Recurrence


def recurrence_lines(c: Context) -> list[str]:
    """A method for each recurrence of the energy."""
    found: list[str] = []
    for r in recurrences_in(c.plan.energy):
        found += [*_method(c, r), ""]
    return found


def _method(c: Context, r: Recurrence) -> list[str]:
    several = len(r.sequences) > 1
    firsts = [f"{name}_{k}" for name in r.sequences for k in range(r.order)]
    inputs = [g.name.rstrip("~") for g in r.given]
    taken = ["t" if "t" not in r.sequences else "k", *r.sequences, *firsts]
    names = list(python_names([*taken, *(f"{i}~{k}" if i in taken else i for k, i in enumerate(inputs))]).values())
    step, rest = names[0], names[1:]
    sequences, rest = rest[: len(r.sequences)], rest[len(r.sequences) :]
    starts, inputs = rest[: r.starts], rest[r.starts :]
    renamed = {
        s.name: f"{name}[-{k + 1}]" for name, w in zip(sequences, r.windows, strict=True) for k, s in enumerate(w)
    }
    for g, timed, name in zip(r.given, r.timed, inputs, strict=True):
        renamed[g.name] = name if not timed else f"{name}[:, {step}]" if g.per_sample else f"{name}[{step}]"
    scope = c.scope(batch=f"{starts[0]}.shape[0]", renamed=renamed)
    scope.like = starts[0]
    scope.taken |= set(names)
    bodies = [with_batch(b.body) for b in r.bodies]
    scope.count(*bodies)
    values = [scope.tensor(n, (BATCH, *b.axes)).code for n, b in zip(bodies, r.bodies, strict=True)]
    typed = ", ".join(f"{n}: Tensor" for n in (*starts, *inputs))
    what = "tuple[Tensor, ...]" if several else "Tensor"
    lines = [f"    def {c.name(r)}(self, {typed}) -> {what}:"]
    lines.append(f'        """The states {", ".join(r.sequences)}, ``(B, steps, …)``: {"; ".join(r.texts)}."""')
    for k, name in enumerate(sequences):
        lines.append(f"        {name} = [{', '.join(starts[k * r.order : (k + 1) * r.order])}]")
    lines.append(f"        for {step} in range({scope.dim(r.steps)}):")
    lines += ["            " + x for x in scope.lines]
    if several:
        made = [scope.name(f"next_{name}") for name in sequences]
        lines += [f"            {m} = {v}" for m, v in zip(made, values, strict=True)]
        lines += [f"            {name}.append({m})" for name, m in zip(sequences, made, strict=True)]
    else:
        lines.append(f"            {sequences[0]}.append({values[0]})")
    stacked = ", ".join(f"torch.stack({name}, 1)" for name in sequences)
    return [*lines, f"        return {stacked}"]
