"""Noise as text: fresh draws for training, fixed ones for the free energy."""

from __future__ import annotations

from ebdsl.emit.body import Body
from ebdsl.emit.context import Context
from ebdsl.emit.text import tuple_text
from ebdsl.facts.noisy_code import NoisyCode, decoded, noisy_code
from ebdsl.facts.reconstruction import reconstruction
from ebdsl.infer.rules.monte_carlo import DRAWS, MonteCarlo
from ebdsl.model.algebra import with_batch
from ebdsl.model.domains import REAL
from ebdsl.model.ir import BATCH, Symbol


def monte_carlo(c: Context) -> MonteCarlo | None:
    """The expectation of the plan, if it has one that is drawn."""
    payload = c.plan.inference[0].payload if c.plan.inference else None
    return payload if isinstance(payload, MonteCarlo) else None


def fresh_draw(c: Context, noise: Symbol, count: str, like: str, generator: str, owner: str = "self") -> str:
    """A draw of ``noise`` for each of ``count`` samples, of the dtype and on the device of ``like``."""
    law = c.model.laws[noise.name]
    shape = tuple_text([count, *(c.dim(d, owner) for d in noise.shape)])
    word = "rand" if law.row.uniform else "randn"
    base = f"torch.{word}({shape}, generator={generator}, dtype={like}.dtype, device={like}.device)"
    return law.row.torch(base, *law.args)


def draws_init_lines(c: Context) -> list[str]:
    """Buffers with the values of the noise that expectations are taken over."""
    found = monte_carlo(c)
    if found is None:
        return []
    lines = ["        drawn = torch.Generator().manual_seed(0)  # the same for all models: energies can be compared"]
    for s, law in zip(found.noise, found.laws, strict=True):
        word = "mirrored_uniform" if law.row.uniform else "mirrored_normal"
        c.runtime.add(word)
        shape = tuple_text([str(DRAWS), *(c.dim(d, "self").removeprefix("self.") for d in s.shape)])
        draws = law.row.torch(f"{word}({shape}, drawn, dtype)", *law.args)
        lines.append(f'        self.register_buffer("{c.name(s)}_draws", {draws}, persistent=False)')
    return lines


def draws_lines(c: Context) -> list[str]:
    """The methods ``noise`` and ``draws``."""
    found = monte_carlo(c)
    if found is None:
        return []
    names = [c.name(s) for s in found.noise]
    arguments = c.typed(c.observed)
    at = [f"{n}.expand({tuple_text([f'{c.like}.shape[0]', *['-1'] * len(s.shape)])[1:-1].rstrip(',')})"
          for n, s in zip(names, found.noise, strict=True)]  # fmt: skip
    each = ", ".join(names)
    drawn = ", ".join(f"self.{n}_draws" for n in names)
    loop = f"for {each} in {drawn}" if len(names) == 1 else f"for {each} in zip({drawn}, strict=True)"
    return [
        f"    def noise(self, {c.like}: Tensor, generator: torch.Generator | None = None) -> dict[str, Tensor]:",
        f'        """A fresh draw of {", ".join(s.name for s in found.noise)} for each sample, ``(B, *shape)``."""',
        "        return {",
        *(f'            "{n}": {fresh_draw(c, s, f"{c.like}.shape[0]", c.like, "generator")},'
          for n, s in zip(names, found.noise, strict=True)),
        "        }",
        "",
        f"    def draws(self, {arguments}) -> Tensor:",
        f'        """The energy of each sample at the same {DRAWS} values of the noise, ``(B, {DRAWS})``."""',
        f"        each = [self.energy({c.args(c.observed)}, {', '.join(at)}) {loop}]",
        "        return torch.stack(each, 1)",
        "",
        f"    def mean_terms(self, {arguments}) -> dict[str, Tensor]:",
        '        """The energy of each sample, ``(B,)``, term by term, in the mean over these values of the noise."""',
        f"        each = [self.terms({c.args(c.observed)}, {', '.join(at)}) {loop}]",
        "        return {name: torch.stack([terms[name] for terms in each]).mean(0) for name in each[0]}",
    ]  # fmt: skip


def code_lines(c: Context) -> list[str]:
    """``code``: where a code with noise is, and how wide."""
    found = noisy_code(c.model)
    held = [] if found is None else [found.mean, *([found.spread] if found.spread is not None else [])]
    if found is None or any(s.role in ("latent", "noise") for node in held for s in node.symbols):
        return []
    scope = c.scope()
    nodes = [with_batch(node) for node in held]
    scope.count(*nodes)
    values = [scope.tensor(node, (BATCH, *found.axes)).code for node in nodes]
    spread = f"({values[1]}).expand_as(mean)" if found.spread is not None else "torch.full_like(mean, torch.nan)"
    return [
        f"    def code(self, {c.typed(c.observed)}) -> tuple[Tensor, Tensor]:",
        f'        """Mean and standard deviation of the code that ``{c.name(found.decoder)}`` reads."""',
        *("        " + x for x in scope.lines),
        f"        mean = {values[0]}",
        f"        return mean, {spread}",
        *_decode_lines(c, found),
    ]


def _decode_lines(c: Context, code: NoisyCode) -> list[str]:
    """``decode``: what the energy compares the data with, by the code alone."""
    made = reconstruction(c.model)
    if made is None:
        return []
    dims = tuple(a.dim for a in code.axes)
    symbol = Symbol("code", "latent", dims, REAL)
    node = decoded(made[1], code, symbol)
    if symbol not in node.symbols or any(s.role == "noise" for s in node.symbols):
        return []
    scope = c.scope(renamed={"code": "code"})
    scope.like = "code"
    scope.count(with_batch(node))
    value = scope.tensor(with_batch(node), (BATCH, *made[2]))
    given = tuple(s for s in c.observed if s in node.symbols)
    more = "".join(f", {c.name(s)}: Tensor" for s in given)
    return [
        "",
        f"    def decode(self, code: Tensor{more}) -> Tensor:",
        f'        """What the energy compares ``{c.name(made[0])}`` with, by the code ``(B, *shape)``."""',
        *("        " + x for x in scope.lines),
        f"        return {value.code}",
    ]


class NoiseBody(Body):
    """What the rule for expectations asks for."""

    def monte_carlo(self) -> None:
        self.line(f"each = self.draws({self.observed_args})")
        self.line(f"spread = each.std(1) / {DRAWS}**0.5  # the error of the mean, if the draws were independent")
        self.line("steps = torch.zeros_like(spread, dtype=torch.int64)")
        self.line("return Inference({}, each.mean(1), spread, steps, torch.isfinite(spread))")
