"""Sweeps over all data with codes that are kept: for few samples, codes that are exact at each step cost too much.

The energy is a function of all codes and all parameters. Where one matrix is the curvature of every sample and all else
falls apart by entry, an entry of every code goes to its minimum given the others in a few operations, and each
block of parameters does given the codes: block coordinate descent (Tseng 2001), that is EM with a partial first step
(Neal & Hinton 1998). With nonnegative codes and parts it is HALS (Cichocki & Phan 2009), with several passes over the
codes in each sweep, since their products with the data are used again (Gillis & Glineur 2012).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from ebdsl import learn
from ebdsl.infer.core import Decision
from ebdsl.infer.loops.cost import operations
from ebdsl.infer.rules.proximal_gradient import Proximal
from ebdsl.learn.core import RULES, Block
from ebdsl.learn.sums import Sums, sums
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, Axis, Symbol

KEPT = 2**24
"""Numbers in the answers that a learner keeps at most: 64 MB in float32, in memory and in each checkpoint."""
SWEEPS = 4
"""Sweeps in a step, which counts as an epoch."""
PASSES = 3
"""Most passes over the entries of the codes in a sweep."""
BATCH_SIZE, STEPS_A_SWEEP = 256, 4
"""As many steps from batches of so many samples lower the energy as a sweep over all data does."""
EXACT_STEPS, FINISH = 14, 200_000
"""What codes in a step from batches take: steps with the whole matrix, and what goes for as many operations besides,
as measured on a processor."""


@dataclass(frozen=True)
class Sweeps:
    """``codes``: how the codes' problem looks. ``learning``: the rule of each block, which asks for ``sums`` over all
    samples. ``passes``: over the entries of a code in a sweep. ``samples``: the most for which this pays.
    """

    codes: Proximal
    learning: tuple[tuple[Symbol, Decision], ...]
    sums: Sums
    passes: int
    samples: int


def sweeps(blocks: list[Block], inference: tuple[Decision, ...]) -> Sweeps | None:
    """How all blocks are learned in sweeps, or None where they are not."""
    payload = inference[0].payload if len(inference) == 1 else None
    if not isinstance(payload, Proximal) or not blocks or not _entrywise(payload):
        return None
    model, learned = blocks[0].model, [b.symbol for b in blocks]
    if model.setting("batch") is not None or not set(model.role("param")) <= set(learned):
        return None
    found = sums(blocks[0].total, learned)
    if found is None:
        return None
    allowed = [name for name, rule in RULES.items() if rule.streams or not rule.exact]
    learning = tuple((b.symbol, learn.decide(replace(b, total=found.block(b.symbol)), allowed)) for b in blocks)
    if not all(RULES[d.rule].exact for _, d in learning):
        return None
    return Sweeps(payload, learning, found, *_price(blocks[0], payload, found))


def _entrywise(p: Proximal) -> bool:
    """Whether an entry of the codes has a minimum of its own given the others, by one formula for all entries."""
    return p.finish and p.together is None and all(not q.weight.free for _, found in p.penalties for q in found)


def _price(block: Block, p: Proximal, found: Sums) -> tuple[int, int]:
    """Passes over the codes for which the products with the data pay, and the samples up to which sweeps do."""
    model, (z,) = block.model, p.latents
    assert p.form is not None
    extents = {d: e for s in model.symbols for d, e in zip(s.shape, model.shape(s), strict=True)}
    row = extents[z.shape[-1]] or 16

    def size(axes: Iterable[Axis]) -> int:
        return math.prod(1 if a == BATCH else extents.get(a.dim) or 4 * row for a in axes)

    nodes = [with_batch(p.form.linear), *(h.node for h in found.held if not h.fixed)]
    products = sum(operations(n, size)[0] for n in nodes)
    square = 2 * row * size(p.form.at)
    passes = max(1, min(PASSES, products // square))
    exact, warm = products + EXACT_STEPS * square + FINISH, products + passes * square
    most = BATCH_SIZE * STEPS_A_SWEEP * exact / warm
    return passes, int(float(f"{min(most, KEPT / size(p.form.at)):.1g}"))
