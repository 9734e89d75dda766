"""Strategy 3 with chosen negatives: margins and noise."""

from __future__ import annotations

from ebdsl.model.finding import Finding
from ebdsl.strategies.core import Argument, Case, Method, No, Use, register
from ebdsl.strategies.needs import encoder

LOSSES = ("hinge", "square_square", "square_exponential", "log", "pair_hinge", "logistic")
NEGATIVES = ("noise", "uniform", "shuffled", "langevin")


def contrastive(case: Case) -> Use | No:
    made = case.model.generated
    kind = "generator" if made is not None else str(case.options["negatives"] or ("noise" if case.real else "shuffled"))
    if kind != "shuffled" and not case.real:
        return No(
            f"{kind} is made for real numbers, and {case.over.name} is in {case.over.domain}", ("negatives = shuffled",)
        )
    if kind == "shuffled" and not case.over.shape:
        return No(f"{case.over.name} is one number: there is nothing to shuffle", ("negatives = noise",))
    calls = {
        "generator": "made",
        "noise": 'noisy({y}, self.generator, {scale} * self.state["spread"])',
        "uniform": 'uniform_like({y}, self.generator, self.state["low"], self.state["high"])',
        "shuffled": "shuffled({y}, self.generator)" if not case.given else "other_rows({y}, self.generator)",
        "langevin": "langevin_chain(free_energy, {y}, {given}, self.generator, {steps}, "
        '0.01 * self.state["spread"].square().mean(), 1.0)[0]',
    }
    scale, steps, margin = case.number("scale"), int(case.number("steps")), case.number("margin")
    said = {
        "generator": "made by a generator, which learns to lower their energy",
        "noise": f"the data with noise of {scale:g} times their spread",
        "uniform": "uniform over twice the extent of the data",
        "shuffled": "entries of other samples" if not case.given else "values that belong to other samples",
        "langevin": f"{steps} steps of Langevin dynamics from the data",
    }[kind]
    zero = "torch.zeros({shape}, dtype=dtype, device=device)"
    state: tuple[tuple[str, str], ...] = ()
    start: tuple[str, ...] = ()
    if kind in ("noise", "langevin"):
        state, start = (("spread", zero),), ('self.state["spread"].copy_(data["{y}"].std(0))',)
    if kind == "uniform":
        state = (("low", zero), ("high", zero))
        start = (
            'low, high = data["{y}"].amin(0), data["{y}"].amax(0)',
            'self.state["low"].copy_(low - 0.5 * (high - low))',
            'self.state["high"].copy_(high + 0.5 * (high - low))',
        )
    negatives = calls[kind].replace("{scale}", repr(scale)).replace("{steps}", str(steps))
    loss = str(case.options["loss"] or ("hinge" if _never_negative(case) else "pair_hinge"))
    adversary = _adversary(case, loss) if made is not None else ""
    if isinstance(adversary, No):
        return adversary
    if case.number("pulling_away") and made is None:
        return No("the pulling-away term spreads what a generator makes, and there is none", ("negatives G(u)",))
    if loss == "hinge" and not _never_negative(case):
        return No(
            "the hinge loss pushes the energy of the data down without end, and this one can be negative",
            ("loss = pair_hinge", "loss = square_square", "a square around the energy"),
        )
    return Use(
        f'margin_contrast(free_energy, {{y}}, {{given}}, {negatives}, "{loss}", {margin!r})',
        (f"negative samples: {said}", _loss_in_words(loss, margin)),
        "one energy of a negative sample a sample",
        start=start,
        state=state,
        adversary=adversary,
        rate=case.number("generator_rate"),
        findings=_unreachable(case, loss, margin),
    )


def _loss_in_words(loss: str, margin: float) -> str:
    return "logistic loss: -F is the logit of being data" if loss == "logistic" else (
        f"{loss.replace('_', '-')} loss, margin {margin:g}"
    )  # fmt: skip


def _adversary(case: Case, loss: str) -> str | No:
    """The generator's loss; where there is a pulling-away term, on the code that an encoder makes of its samples."""
    weight = case.number("pulling_away")
    text = f'adversary_loss(free_energy(made, *{{given}}), "{loss}")'
    if not weight:
        return text
    code = encoder(case)
    if code is None:
        return No(
            f"the pulling-away term spreads codes, and no learned function sees {case.over.name} alone", ("Enc(y)",)
        )
    return f"{text} + {weight!r} * pulling_away({{module:{code.name}}}(made))"


def _unreachable(case: Case, loss: str, margin: float) -> tuple[Finding, ...]:
    """A margin beyond the highest value that the energy can have."""
    from ebdsl.facts.convexity import bounds

    known = bounds(case.energy)
    reach = known.high - known.low if loss in ("pair_hinge", "log") else known.high
    if loss not in ("hinge", "square_square", "pair_hinge") or reach >= margin:
        return ()
    what = "differs by" if loss == "pair_hinge" else "is"
    term = case.model.terms[0]
    help = (f"a margin below {reach:g}: strategy contrastive(margin = {reach / 2:g})", "or an energy without a ceiling")
    return (
        Finding(
            "EB0515", f"a margin of {margin:g} is out of reach: the energy {what} at most {reach:g}", term, None, help
        ),
    )


def _never_negative(case: Case) -> bool:
    from ebdsl.facts.convexity import sign

    return sign(case.energy) in ("nonnegative", "positive")


def noise_contrastive(case: Case) -> Use | No:
    if case.given:
        return No("the normaliser would have to be learned for every value of what is given", ("contrastive",))
    ratio = int(case.number("ratio"))
    state: tuple[tuple[str, str], ...]
    start: tuple[str, ...]
    if case.binary:
        state = (("mean", "torch.zeros({shape}, dtype=dtype, device=device)"),)
        start = ('self.state["mean"].copy_(data["{y}"].mean(0).clamp(0.02, 0.98))',)
        call = f'bernoulli_noise({{y}}, self.generator, self.state["mean"], {ratio})'
        said = "independent entries with the data's means"
    elif case.real:
        size = case.size()
        if size is None:
            return No(f"the size of {case.over.name} is open, and the noise has a covariance", ("give dim a number",))
        if size > 256:
            return No(
                f"Gaussian noise in {size} dimensions covers no data",
                ("contrastive_divergence", "denoising_score_matching"),
            )
        state = (
            ("mean", f"torch.zeros({size}, dtype=dtype, device=device)"),
            ("factor", f"torch.eye({size}, dtype=dtype, device=device)"),
        )
        start = (
            'self.state["mean"].copy_(data["{y}"].flatten(1).mean(0))',
            'self.state["factor"].copy_(covariance_factor(data["{y}"].flatten(1)))',
        )
        call = f'gaussian_noise({{y}}, self.generator, self.state["mean"], self.state["factor"], {ratio})'
        said = "a Gaussian with the data's mean and covariance"
    else:
        return No(f"there is no noise with a density on {case.over.domain}", ("contrastive",))
    return Use(
        f"noise_contrast(free_energy, {{y}}, {call}, self.log_normaliser, {ratio})",
        (f"noise: {said}, {ratio} for each sample", "the logarithm of the normaliser is learned with the energy"),
        f"{ratio} energies of noise a sample",
        start=start,
        state=state,
        learned=(("log_normaliser", "torch.zeros((), dtype=dtype, device=device)"),),
    )


register(
    Method(
        "contrastive",
        3,
        "push down at the data, up at negative samples, as far as a margin",
        contrastive,
        (
            Argument("margin", 1, "how far apart the energies have to be", above=True),
            Argument("loss", None, "how the two energies are compared", words=LOSSES),
            Argument("negatives", None, "where the energy is pushed up", words=NEGATIVES),
            Argument("scale", 1, "noise, in units of the data's spread", above=True),
            Argument("steps", 10, "steps of Langevin dynamics", low=1, count=True),
            Argument("generator_rate", 1, "step size of a generator, in units of the energy's", above=True),
            Argument("pulling_away", 0, "weight of the term that keeps what a generator makes apart"),
        ),
        "LeCun et al., A tutorial on energy-based learning, 2006, table 1; with a generator Zhao, Mathieu & LeCun, "
        "ICLR 2017, or with the logistic loss Goodfellow et al., NIPS 2014",
        generator=True,
    )
)
register(
    Method(
        "noise_contrastive",
        3,
        "tell the data from noise whose density is known; the normaliser is learned",
        noise_contrastive,
        (Argument("ratio", 1, "noise samples for each sample", low=1, count=True),),
        "Gutmann & Hyvärinen, JMLR 13, 2012",
    )
)
