"""The text of convolutional sparse coding: kernels, weights and the proximal operator; the call."""

from __future__ import annotations

from ebdsl.emit.modes import ModesBody
from ebdsl.emit.proximal import ProximalBody
from ebdsl.emit.text import tuple_text
from ebdsl.emit.values import bracket
from ebdsl.infer.rules.convolutional import Maps
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH


class ConvolutionalBody(ProximalBody, ModesBody):
    """What the rule ``convolutional splitting`` writes."""

    def convolutional(self, p: Maps) -> None:
        form, z = p.form, p.form.op.symbol
        self.context.runtime.add("convolutional_splitting")
        self.scope.taken |= {"linear", "kernel", "begin", "goal", "point", "size"}
        start = self._start((z,))
        channel = (form.channel,) if form.channel is not None else ()
        kernel = self.scope.tensor(form.kernel.body, (*channel, *form.kernel.axes)).code
        weight, ridge = (self.scope.emit(n).code for n in (form.weight, form.ridge))
        self.line(f"kernel = {kernel}{'' if channel else '[None]'}")
        linear = self.scope.tensor(with_batch(form.op.linear), (BATCH, *form.op.at))
        rows = linear.code if len(z.shape) == 1 else f"{bracket(linear.code)}.reshape(-1, {self._numel(z)})"
        self.line(f"linear = {rows}")
        self.line("")
        prox = self._prox_lines(p.penalties, (z,))
        assert prox is not None
        self.line(f"begin = {start}")
        self.line(f"size = {tuple_text([self.context.dim(d) for d in z.shape[len(channel) :]])}")
        self._goal("linear")
        straight = z.domain.kind in ("real", "nonnegative") and all(q.kind == "l1" for q in p.penalties[0][1])
        self.line("point, residual, iterations = convolutional_splitting(")
        self.line(
            f"    kernel, {weight}, {ridge}, linear, {prox}, begin, size, {form.circular}, {straight}, goal, max_steps"
        )
        self.line(")")
        self._found((z,))
