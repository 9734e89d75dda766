"""Elimination of finite latents as text: the tables of the parts, their sites, and the answers."""

from __future__ import annotations

from ebdsl.emit.context import Context
from ebdsl.emit.gaussian import GaussianBody
from ebdsl.emit.text import quoted, tuple_text
from ebdsl.infer.rules.elimination import Ahead, Elimination, Part, lead_of, site_count
from ebdsl.model.algebra import with_batch
from ebdsl.model.ir import BATCH, ZERO, Axis, Dim, Symbol


def part_lines(c: Context, e: Elimination) -> list[str]:
    """The method ``parts``: a table of energies for each kind of part, and the sites of its places."""
    scope = c.scope()
    nodes = [with_batch(p.node) for p in e.parts]
    scope.count(*nodes)
    tables, places = [], []
    for p, node in zip(e.parts, nodes, strict=True):
        value = scope.tensor(node, ((BATCH, *p.axes) if BATCH in node.free else p.axes))
        code = value.code if BATCH in node.free else f"{value.atom}[None]"
        if not p.lead:
            code = f"({code})[:, None]"
        elif len(p.lead) > 1:
            code = f"({code}).flatten(1, {len(p.lead)})"
        tables.append(scope.assign("part", type(value)(code)).code)
        places.append(_places(c, p))
    like = f"dtype={c.like}.dtype, device={c.like}.device"
    for s in e.latents:  # every site alone as well: its own posterior is read there
        lead = " * ".join(scope.dim(d) for d in lead_of(s)) or "1"
        tables.append(f"torch.zeros({c.like}.shape[0], {lead}, {scope.dim(site_count(s))}, {like})")
        places.append(_own_places(c, s))
    return [
        f"    def parts(self, {c.typed(c.observed)}) -> tuple[list[Tensor], list[list[tuple[tuple, ...]]]]:",
        '        """Energies part by part, ``(B, places, *states)``, and the latents that each place holds."""',
        *("        " + x for x in scope.lines),
        f"        tables = [{', '.join(tables)}]",
        "        places: list[list[tuple[tuple, ...]]] = [",
        *(f"            {p}," for p in places),
        "        ]",
        "        return tables, places",
    ]


def _places(c: Context, p: Part) -> str:
    names = {a: f"i{k}" for k, a in enumerate(p.lead)}

    def entry(i: Axis | int | Ahead, d: Dim) -> str:
        if isinstance(i, Ahead):
            return f"{names[i.axis]} + {i.offset}" if i.offset else names[i.axis]
        if isinstance(i, Axis):
            return names[i]
        return str(i) if i >= 0 else f"{c.dim(d)} - {-i}"

    sites = []
    for s in p.sites:
        at = [entry(i, d) for i, d in zip(s.place, lead_of(s.latent), strict=True)]
        sites.append(tuple_text([quoted(c.name(s.latent)), *at]))
    loops = " ".join(f"for {names[a]} in range({c.dim(a.dim)})" for a in p.lead)
    return f"[{tuple_text(sites)}{' ' + loops if loops else ''}]"


def _own_places(c: Context, s: Symbol) -> str:
    names = [f"i{k}" for k in range(len(lead_of(s)))]
    loops = " ".join(f"for {n} in range({c.dim(d)})" for n, d in zip(names, lead_of(s), strict=True))
    return f"[({tuple_text([quoted(c.name(s)), *names])},){' ' + loops if loops else ''}]"


class EliminationBody(GaussianBody):
    """A body that eliminates finite latents."""

    def eliminate(self, e: Elimination) -> None:
        c = self.context
        self.line(f"tables, places = self.parts({self.observed_args})")
        finals = []
        for s in e.latents:
            sizes = "".join(f", {c.dim(d)}" for d in lead_of(s))
            finals.append((s, sizes))
        if e.kind == "min":
            c.runtime.add("eliminate")
            self.line("_, chosen = eliminate(tables, places, None)")
            for k, (s, sizes) in enumerate(finals):
                at = k - len(e.latents)
                self.line(f"state = torch.stack([chosen[site] for (site,) in places[{at}]], 1)")
                if s.domain.kind == "onehot":
                    code = f"nn.functional.one_hot(state, {c.dim(site_count(s))}).to({self.like}.dtype)"
                    self.answer(s, f"{code}.reshape({self.like}.shape[0]{sizes}, {c.dim(site_count(s))})")
                else:
                    self.answer(s, f"self.{c.name(s)}_points[state].reshape({self.like}.shape[0]{sizes})")
            self.line(f"energy = {self.energy_call()}")
        else:
            c.runtime.add("part_posteriors")
            beta = self.beta_code(e.beta)
            self.line(f"energy, shares = part_posteriors(tables, places, {beta})")
            for k, (s, sizes) in enumerate(finals):
                at = k - len(e.latents)
                if s.domain.kind == "onehot":
                    self.answer(s, f"shares[{at}].reshape({self.like}.shape[0]{sizes}, {c.dim(site_count(s))})")
                else:
                    self.answer(s, f"(shares[{at}] @ self.{c.name(s)}_points).reshape({self.like}.shape[0]{sizes})")
            rest = rest_lines(self, e)
            if rest:
                self.line(f"energy = energy + {rest}")
            entries = []
            for k, p in enumerate(e.parts):
                assert p.weights is not None
                sizes = ", ".join(c.dim(a.dim) for a in p.axes)
                entries.append(f'"{c.name(p.weights)}": shares[{k}].reshape({self.like}.shape[0], {sizes})')
            self.line(f"posterior = {{{', '.join(entries)}}}")
        self.finish(
            energy="energy", residual="torch.zeros_like(energy)",
            iterations="torch.ones_like(energy, dtype=torch.int64)",
            posterior="" if e.kind == "min" else "posterior",
        )  # fmt: skip


def rest_lines(body: EliminationBody, e: Elimination) -> str:
    """Text of the energy that holds no latent, after the lines that it needs; empty where there is none."""
    if e.rest == ZERO:
        return ""
    return body.scope.tensor(with_batch(e.rest), (BATCH,)).atom


def free_elimination_lines(c: Context, e: Elimination) -> list[str]:
    """The body of ``free_energy``: the same elimination, through which autograd goes."""
    body = EliminationBody(c)
    c.runtime.add("eliminate")
    beta = body.beta_code(e.beta)
    rest = rest_lines(body, e)
    body.line(f"tables, places = self.parts({body.observed_args})")
    body.line(f"return eliminate(tables, places, {beta})[0]{' + ' + rest if rest else ''}")
    return ["        " + x for x in body.lines]
