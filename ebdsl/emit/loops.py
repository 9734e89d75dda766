"""Iterations over latents packed as one tensor: packing, starting points, what is computed before the loop."""

from __future__ import annotations

from ebdsl.emit.body import Body
from ebdsl.emit.context import called
from ebdsl.emit.tensors import Scope
from ebdsl.emit.text import tuple_text, words
from ebdsl.emit.values import Value, bracket, number
from ebdsl.infer.loops import Loop
from ebdsl.model.algebra import transform, with_batch
from ebdsl.model.domains import REAL
from ebdsl.model.ir import BATCH, Apply, Get, Lit, Node, Size, Sum, Symbol


class LoopBody(Body):
    """A body whose rule iterates: all latents of a sample are one row ``point``."""

    def _flat(self, latents: tuple[Symbol, ...]) -> bool:
        return len(latents) == 1 and len(latents[0].shape) == 1

    def _numel(self, s: Symbol) -> str:
        return " * ".join(bracket(self.context.dim(d)) for d in s.shape) or "1"

    def _pack(self, latents: tuple[Symbol, ...], texts: list[str]) -> str:
        """One ``(B, n)`` tensor of all latents."""
        if self._flat(latents):
            return texts[0]
        flat = [f"{t}.reshape(-1, {self._numel(s)})" for s, t in zip(latents, texts, strict=True)]
        return flat[0] if len(flat) == 1 else f"torch.cat(({', '.join(flat)}), 1)"

    def _unpack(self, latents: tuple[Symbol, ...], x: str) -> list[str]:
        """The latents' texts from a packed tensor."""
        if self._flat(latents):
            return [x]
        texts, begin = [], "0"
        for k, s in enumerate(latents):
            end = f"{begin} + {self._numel(s)}" if begin != "0" else self._numel(s)
            part = x if len(latents) == 1 else f"{x}[:, {begin}:{end if k + 1 < len(latents) else ''}]"
            sizes = ", ".join(self.context.dim(d) for d in s.shape)
            texts.append(f"{part}.reshape(-1{', ' + sizes if sizes else ''})" if len(s.shape) != 1 else part)
            begin = end
        return texts

    def _start(self, latents: tuple[Symbol, ...]) -> str:
        """Text of the packed starting point; the lines that make it."""
        names = []
        for s in latents:
            name = self.name(s)
            shape = tuple_text([f"{self.like}.shape[0]", *(self.context.dim(d) for d in s.shape)])
            row = s.domain.row
            options = f"dtype={self.like}.dtype, device={self.like}.device"
            n = self.context.dim(s.shape[-1]) if s.shape else "1"
            centre = row.centre.format(
                *map(number, s.domain.args), shape=shape, options=options, n=n, ndim=len(s.shape)
            )
            self.context.runtime |= called(centre)
            self.line(f'{name} = (start or {{}}).get("{name}")')
            self.line(f"if {name} is None:")
            self.line(f"    {name} = {centre}")
            names.append(name)
        return self._pack(latents, names)

    def _once(self, loop: Loop, name: str) -> Value:
        """A variable for what the plan's loop computes once under this name; it is computed where there is none yet."""
        let = loop.let(name)
        lead = (BATCH,) if let.symbol.per_sample else ()
        if name not in self.once:
            value = self.scope.tensor(with_batch(let.value) if lead else let.value, (*lead, *let.axes))
            self.once[name] = self.scope.assign(name, value).code
        return Value(self.once[name], (*lead, *let.axes))

    def _hoist(self, node: Node, latents: frozenset[Symbol]) -> tuple[Node, dict[Symbol, str], list[Symbol]]:
        """The node with parts that do not change in the loop replaced by symbols computed before it.

        Gives also the texts of those symbols and the per-sample symbols that the loop has to be given.
        """
        hoisted: dict[Node, Symbol] = {}
        texts: dict[Symbol, str] = {}

        def constant(n: Node) -> bool:
            return not (n.symbols & latents)

        def worthy(n: Node) -> bool:
            if isinstance(n, Get | Lit | Size) or (BATCH in n.free and len(n.free) > 3):
                return False
            return isinstance(n, Apply) or (isinstance(n, Sum) and not isinstance(n.body, Get))

        def leaf(n: Node) -> Node | None:
            if not constant(n):
                return None
            if not worthy(n):
                return None
            axes = tuple(sorted(n.free - {BATCH}, key=lambda a: a.name))
            per_sample = any(s.per_sample for s in n.symbols)
            if n not in hoisted:
                value = self.scope.tensor(with_batch(n), ((BATCH, *axes) if per_sample else axes))
                name = self.scope.assign("constant", value).code if not value.code.isidentifier() else value.code
                symbol = Symbol(name, "observed" if per_sample else "const", tuple(a.dim for a in axes), REAL)
                hoisted[n] = symbol
                texts[symbol] = name
            return Get(hoisted[n], axes)

        node = transform(node, leaf)
        given = sorted((s for s in node.symbols if s.per_sample and s not in latents), key=lambda s: s.name)
        return node, texts, given

    def _loop_scope(self, texts: dict[Symbol, str], latents: tuple[Symbol, ...], parts: list[str]) -> Scope:
        local = {s.name: t for s, t in texts.items()} | {s.name: p for s, p in zip(latents, parts, strict=True)}
        inner = self.context.scope(batch="point.shape[0]", renamed=local)
        inner.taken |= self.scope.taken
        inner.like = "point"
        return inner

    def _closure(self, name: str, given: list[str], latents: tuple[Symbol, ...], lines: list[str]) -> None:
        """Define a function of the packed latents and of the per-sample tensors that go with them."""
        if self.lines[-1:] != [""]:
            self.line("")
        self.line(f"def {name}({', '.join(f'{n}: Tensor' for n in ['point', *given])}) -> Tensor:")
        for s, part in zip(latents, self._unpack(latents, "point"), strict=True):
            if self.name(s) in words("\n".join(lines)):
                self.line(f"    {self.name(s)} = {part}")
        self.lines.extend("    " + x for x in lines)
        self.line("")
