"""Algorithms asked for by name as text: the answer of ``infer``, the encoder and what it learns from."""

from __future__ import annotations

from ebdsl.emit.bodies import InferBody
from ebdsl.emit.context import Context
from ebdsl.emit.fused import fused_named
from ebdsl.infer.loops import loop_of
from ebdsl.infer.named import Named


def encoder_name(c: Context, n: Named) -> str:
    """The attribute of the model that holds the encoder, a name that the spec does not use."""
    name = f"{c.name(n.symbol)}_encoder"
    while name in c.names.values():
        name += "_"
    return name


def encoder_init_lines(c: Context) -> list[str]:
    """The encoder's weights, in the constructor."""
    lines = []
    for n in c.plan.named:
        if not n.chosen.algorithm.learned:
            continue
        c.runtime.add("UnrolledEncoder")
        sizes = [" * ".join(c.dim(d).removeprefix("self.") for d in s.shape) or "1" for s in n.inputs]
        code = c.dim(n.symbol.shape[0]).removeprefix("self.")
        layers = 1 if n.chosen.weights == "shared" else (n.chosen.steps or 0) + 1
        arguments = f"{' + '.join(sizes)}, {code}, {layers}, {code if n.entrywise else 1}, dtype"
        lines.append(f"        self.{encoder_name(c, n)} = UnrolledEncoder({arguments})")
    return lines


def _pieces(c: Context, n: Named, measured: bool = False, through: bool = False) -> tuple[InferBody, list[str]]:
    """A body that has ``gram``, ``linear`` and, for proximal steps, ``step``, ``matrix`` and ``shift``.

    ``measured``: what a residual is made of, ``gram``, ``linear`` and ``step``. ``through``: of a step that is
    differentiated, whose length is taken for a constant.
    """
    detached = ".detach()" if through else ""
    body = InferBody(c)
    loop = loop_of(n)
    assert loop is not None
    body.scope.taken |= {"step", "matrix", "shift", "prox", "inputs", "goal"}
    body._once(loop, "gram")
    body._once(loop, "linear")
    if n.chosen.algorithm.kind == "proximal" or measured:
        c.runtime.add("largest_eigenvalue")
        body.line(f"step = 1 / float(largest_eigenvalue(gram{detached}))")
    if n.chosen.algorithm.kind == "proximal" and not measured:
        body.line("matrix = torch.eye(gram.shape[0], dtype=gram.dtype, device=gram.device) - step * gram")
        body.line("shift = -step * linear")
    lines = list(body.lines)
    body.lines.clear()
    if body._prox_lines(n.proximal.penalties, (n.symbol,)) is None:
        body.line("def prox(point: Tensor, step: Tensor) -> Tensor:")
        body.line("    return point")
        body.line("")
    return body, lines


def encode_lines(c: Context, through: bool = False) -> list[str]:
    """``encode``: what the learned encoder says, differentiable in its weights; ``through``: the steps of any
    algorithm, differentiable in all that they hold.
    """
    for n in c.plan.named:
        row = n.chosen.algorithm
        if not row.learned and not through:
            continue
        body, pieces = _pieces(c, n, through=through)
        z = c.name(n.symbol)
        what = "matrix, shift, step" if row.kind == "proximal" else "gram, linear"
        own = "" if through else "; differentiable in the encoder's weights alone"
        begin = pieces if through else ["with torch.no_grad():", *("    " + x for x in pieces)]
        head = [
            f"    def {c.method('encode')}(self, {c.typed(c.observed)}) -> dict[str, Tensor]:",
            f'        """{n.chosen}: {row.doc}{own}."""',
            *("        " + x if x else "" for x in [*begin, "", *body.lines]),
        ]
        if row.learned:
            flat = [f"{c.name(s)}.flatten(1)" if len(s.shape) > 1 else c.name(s) if s.shape else f"{c.name(s)}[:, None]"
                    for s in n.inputs]  # fmt: skip
            inputs = flat[0] if len(flat) == 1 else f"torch.cat(({', '.join(flat)}), 1)"
            call = f"self.{encoder_name(c, n)}.{row.kind}(prox, {what}, {inputs}, {n.chosen.steps})"
        else:
            name = "proximal_steps" if row.kind == "proximal" else "coordinate_steps"
            c.runtime.add(name)
            momentum = f", {row.momentum}" if row.kind == "proximal" else ""
            call = f"{name}(prox, {what}, torch.zeros_like(linear), None, {n.chosen.steps}{momentum})[0]"
        return [*head, f"        {z} = {call}", f'        return {{"{z}": {z}}}']
    return []


def named_lines(c: Context) -> list[str]:
    """The beginning of ``infer`` where the spec names the algorithm: its answer, unless ``exact``."""
    lines: list[str] = []
    for n in c.plan.named:
        row, steps = n.chosen.algorithm, n.chosen.steps
        z = c.name(n.symbol)
        lines.append(f"if not exact:  # {n.chosen}")
        if row.learned:
            lines.append(f'    {z} = self.{c.method("encode")}({c.args(c.observed)})["{z}"]')
            lines += ["    " + x if x else "" for x in measured_lines(c, n, steps or 0)]
            continue
        many = f" * {c.dim(n.symbol.shape[0])}" if row.kind == "coordinate" else ""
        fused = fused_named(c, n)
        if fused is not None:
            body = InferBody(c)
            body.iterations = f"torch.full_like(iterations, {steps})" if steps is not None else "iterations"
            fused.call_lines(body, f"max_steps{many}")
            lines += ["    " + x if x else "" for x in body.lines]
            continue
        body, pieces = _pieces(c, n)
        start = InferBody(c)
        begin = start._start((n.symbol,))
        call = "proximal_steps" if row.kind == "proximal" else "coordinate_steps"
        c.runtime |= {call, "residual_goals"}
        what = "matrix, shift, step" if row.kind == "proximal" else "gram, linear"
        how = f"None, {steps}" if steps is not None else f"goal, max_steps{many}"
        momentum = f", {row.momentum}" if row.kind == "proximal" else ""
        inner = [
            *pieces, "", *body.lines, *start.lines,
            "goal = residual_goals(linear, tolerance)",
            f"{z}, residual, iterations = {call}(prox, {what}, {begin}, {how}{momentum})",
            f"energy = self.{c.energy}({c.args((*c.observed, *c.latents))})",
            f'return Inference({{"{z}": {z}}}, energy, residual, iterations, residual <= goal)',
        ]  # fmt: skip
        lines += ["    " + x if x else "" for x in inner]
    return lines


def measured_lines(c: Context, n: Named, steps: int) -> list[str]:
    """Return an encoder's answer with its certificate: how far one step of the energy itself would move it."""
    body, pieces = _pieces(c, n, measured=True)
    z = c.name(n.symbol)
    c.runtime |= {"proximal_residual", "residual_goals"}
    return [
        *pieces, "", *body.lines,
        f"residual = proximal_residual(prox, gram, linear, {z}, step)",
        "goal = residual_goals(linear, tolerance)",
        f"energy = self.{c.energy}({c.args((*c.observed, *c.latents))})",
        f"steps = torch.full_like(energy, {steps}, dtype=torch.int64)",
        f'return Inference({{"{z}": {z}}}, energy, residual, steps, residual <= goal)',
    ]  # fmt: skip


def encoder_step_lines(c: Context) -> list[str]:
    """The encoder's gradient, put where the optimiser looks; the energy's own parameters do not feel it."""
    for n in c.plan.named:
        if not n.chosen.algorithm.learned:
            continue
        z = c.name(n.symbol)
        code = f'model.{c.method("encode")}({c.args(c.observed)})["{z}"]'
        loss = (
            f"(code - {z}).square().sum(1).mean()" if n.chosen.on == "code"
            else f"model.{c.energy}({', '.join([*(c.name(s) for s in c.observed), 'code'])}).mean()"
        )  # fmt: skip
        return [
            f"code = {code}",
            f"encoder = tuple(model.{encoder_name(c, n)}.parameters())",
            f"slopes = torch.autograd.grad({loss}, encoder)",
            "for weight, slope in zip(encoder, slopes, strict=True):",
            "    weight.grad = slope.contiguous()",
        ]
    return []


__all__ = ["encode_lines", "encoder_init_lines", "encoder_name", "encoder_step_lines", "measured_lines", "named_lines"]
