"""Strategies 5 and 6: learned functions that undo noise and masks, or change little with their input."""

from __future__ import annotations

from ebdsl.model.algebra import modules_in
from ebdsl.model.finding import Finding
from ebdsl.model.ir import Module, Mul, Node, Symbol
from ebdsl.strategies.core import Argument, Case, Method, No, Use, register
from ebdsl.strategies.needs import encoder


def _auto_encoder(case: Case) -> No | None:
    """F(y) = ‖y - G(y)‖² with nothing else in it."""
    from ebdsl.facts.reconstruction import reconstruction

    y = case.over
    found = reconstruction(case.model)
    if found is None or found[0] != y or y not in found[1].symbols:
        return No(
            f"the energy is not a distance of {y.name} from what a function makes of {y.name}",
            ("||y - Dec(Enc(y))||^2",),
        )
    if case.model.role("latent") or len(case.model.terms) > 1:
        return No(
            "besides that distance the energy has other terms or latent variables", ("||y - Dec(Enc(y))||^2 alone",)
        )
    return None


def _wanted(case: Case) -> str:
    """Arguments of ``reconstruct`` besides the corrupted variable: those in it, in order."""
    from ebdsl.facts.reconstruction import reconstruction

    found = reconstruction(case.model)
    assert found is not None
    return ", ".join(
        "{corrupt}" if s == case.over else "{given:" + s.name + "}"
        for s in case.model.role("observed")
        if s in found[1].symbols
    )


def denoising(case: Case) -> Use | No:
    refused = _auto_encoder(case)
    if refused:
        return refused
    start: tuple[str, ...] = ()
    state: tuple[tuple[str, str], ...] = ()
    if case.options["noise"] == "dropout":
        share = case.number("share")
        corrupt = f"dropped({{y}}, self.generator, {share!r})"
        fact = f"the data with {share:g} of their entries set to zero, anew in every step, have to give it back"
    elif not case.real and case.over.domain.kind != "box":
        return No(f"noise leads out of {case.over.domain}", ("noise = dropout", "masking"))
    else:
        sigma = case.options["sigma"]
        if sigma is None:
            start = ('self.state["sigma"].copy_(0.1 * data["{y}"].std(0).mean())',)
            state = (("sigma", "torch.tensor(0.1, dtype=dtype, device=device)"),)
        noise = repr(sigma) if sigma is not None else 'self.state["sigma"]'
        corrupt = f"noisy({{y}}, self.generator, {noise})"
        fact = "the data with fresh noise have to give the data back: G(y) - y then points up the density"
    made = f"model.reconstruct({_wanted(case).replace('{corrupt}', corrupt)})"
    loss = f"reconstruction_loss(free_energy, {{y}}, {{given}}, {made})"
    return Use(loss, (fact,), "one reconstruction a sample", start=start, state=state)


def masking(case: Case) -> Use | No:
    refused = _auto_encoder(case)
    if refused:
        return refused
    share = case.number("share")
    made = f"lambda {{y}}: model.reconstruct({_wanted(case).replace('{corrupt}', '{y}')})"
    mask = f"random_mask({{y}}, self.generator, {share!r})"
    return Use(
        f"masked_loss(free_energy, {{y}}, {{given}}, {made}, {mask})",
        (f"{share:g} of the entries are hidden, and only these count", "at least one entry of every sample is hidden"),
        "one reconstruction a sample",
    )


def contractive(case: Case) -> Use | No:
    if not case.real:
        return No(f"{case.over.name} is in {case.over.domain}: there is no derivative with respect to it")
    code = encoder(case)
    if code is None:
        return No(f"no learned function sees {case.over.name} alone: there is no code to keep constant", ("Enc(y)",))
    weight = case.number("weight")
    return Use(
        f"contractive_loss(free_energy, {{y}}, {{given}}, {{module:{code.name}}}, self.generator, {weight!r})",
        (f"{weight:g} times the squared Jacobian of {code.name}, estimated along one random direction a sample",),
        "one product with the Jacobian a sample",
        findings=_untied(case, code),
    )


def saturating(case: Case) -> Use | No:
    from ebdsl.atoms import SCALARS

    if not case.real:
        return No(f"{case.over.name} is in {case.over.domain}: there is no derivative with respect to it")
    code = encoder(case)
    if code is None:
        return No(f"no learned function sees {case.over.name} alone: there is no code to saturate", ("Enc(y)",))
    row = SCALARS.get(code.layers[-1].name)
    flat = row.saturation if row is not None else None
    if flat is None or len(code.layers) < 2:
        known = ", ".join(r.name for r in SCALARS.values() if r.saturation)
        last = code.layers[-1].name
        return No(
            f"{code.name} ends in {last}, and not in an activation that is flat somewhere",
            (f"a code that saturates: linear >> {known}",),
        )
    weight = case.number("weight")
    before = "{module:" + code.name + "}[:-1]({y})"
    return Use(
        f"saturating_loss(free_energy, {{y}}, {{given}}, {before}, lambda a: {flat.format('a')}, {weight!r})",
        (f"{weight:g} times how far the units of {code.name} are from where {code.layers[-1].name} is flat",),
        "one code a sample",
        findings=_untied(case, code),
    )


def _multiplies(node: Node, w: Symbol, y: Symbol) -> bool:
    """Whether w stands in a product with something of y: what is added to it cannot grow in its stead."""
    if isinstance(node, Mul):
        held = [f for f in node.factors if w in f.symbols]
        if held and any(y in f.symbols for f in node.factors if f not in held):
            return True
    return any(_multiplies(c, w, y) for c in node.children)


def _untied(case: Case, encoder: Module) -> tuple[Finding, ...]:
    """What may grow as the code shrinks: another learned function, or a free matrix without a penalty."""
    penalised = {w for t in case.model.terms for w in t.node.symbols if not any(s.per_sample for s in t.node.symbols)}
    free = [
        w
        for w in case.model.role("param")
        if w.domain.kind == "real" and w in case.energy.symbols - penalised and _multiplies(case.energy, w, case.over)
    ]
    names = [m.name for m in modules_in(case.energy) if m != encoder] + [w.name for w in free]
    if not names:
        return ()
    name = names[0]
    message = (
        f"nothing bounds {name}: with the code of {encoder.name} c times as small and {name} c times as large, "
        "the energy stays as it is and the penalty on the Jacobian vanishes"
    )
    y = case.over.name
    help = (f"a decoder that cannot grow: param W : R[…], unit columns, with ||{y} - W {encoder.name}({y})||^2",)
    symbol = next((w for w in free if w.name == name), None)
    return (Finding("EB0514", message, case.model.terms[0], symbol, help),)


register(
    Method(
        "denoising",
        6,
        "give the data back from the data with noise",
        denoising,
        (
            Argument("sigma", None, "standard deviation of the noise", above=True),
            Argument("noise", None, "what corrupts the data", words=("gaussian", "dropout")),
            Argument("share", 0.3, "share of the entries that dropout sets to zero", high=0.95, above=True),
        ),
        "Vincent, Larochelle, Bengio & Manzagol, ICML 2008",
    )
)
register(
    Method(
        "masking",
        6,
        "fill in what is hidden",
        masking,
        (Argument("share", 0.3, "share of the entries that is hidden", high=0.95, above=True),),
        "Devlin, Chang, Lee & Toutanova, 2018",
    )
)
register(
    Method(
        "contractive",
        5,
        "the code changes little with the data",
        contractive,
        (Argument("weight", 0.1, "weight of the squared Jacobian", above=True),),
        "Rifai, Vincent, Muller, Glorot & Bengio, ICML 2011",
    )
)
register(
    Method(
        "saturating",
        5,
        "the units of the code are driven to where they do not change",
        saturating,
        (Argument("weight", 0.1, "weight of the distance to the nearest flat place", above=True),),
        "Goroshin & LeCun, ICLR 2013",
    )
)
