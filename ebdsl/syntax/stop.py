"""Where reading stopped, and what a line of each kind looks like."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from lark import Token

from ebdsl.diagnostics import Span
from ebdsl.syntax.tokens import end, span

SHAPES = {
    "MODEL": "`model sparse_coding`",
    "DIM": "`dim M = 144, N`",
    "INDEX": "`index k in 1..K`",
    "ROLE": "`latent z : R[N]`",
    "time": "`time t in 0..T`",
    "noise": "`noise u ~ normal(0, 1) : R[N]`",
    "CONST": "`const λ = 0.5`",
    "MODULE": "`module Enc : R[M] -> R[N] = linear >> sh`",
    "infer": "`infer z by Enc`",
    "plan": "`plan a by min_a E`",
    "KEY": "`epochs 10`",
}


@dataclass(frozen=True)
class Stop:
    """Where reading stopped: the statement's tokens, the index of the one that cannot stand there (or their
    number, for a line that ends too early), and the terminals that could."""

    tokens: Sequence[Token]
    at: int
    accepts: Collection[str]

    @property
    def token(self) -> Token | None:
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    @property
    def kind(self) -> str:
        return self.token.type if self.token is not None else "$END"

    @property
    def before(self) -> Token | None:
        return self.tokens[self.at - 1] if self.at else None

    @property
    def where(self) -> Span:
        return span(self.token) if self.token is not None else after(self.tokens[-1])

    @property
    def opening(self) -> str:
        """The terminal of the statement's first word."""
        return self.tokens[0].type


def after(token: Token) -> Span:
    return Span(end(token), end(token) + 1)
