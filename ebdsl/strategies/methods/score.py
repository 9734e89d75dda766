"""Strategy 4: small slope and large curvature of the energy at the data."""

from __future__ import annotations

from ebdsl.strategies.core import BETA, Argument, Case, Method, No, Use, register
from ebdsl.strategies.needs import bends, real

MOST_EXACT = 20


def exact(case: Case) -> Use | No:
    refused = real(case) or bends(case)
    if refused:
        return refused
    size = case.size()
    traced = case.options["trace"]
    if traced is None:
        traced = "exact" if size is not None and size <= MOST_EXACT else "hutchinson"
    beta = case.number("beta")
    if traced == "hutchinson":
        return Use(
            f"sliced_score_matching(free_energy, {{y}}, {{given}}, self.generator, 1, {beta!r})",
            ("the trace of the curvature is estimated: v'Hv with v = ±1 (Hutchinson)",),
            "one derivative of the slope a sample",
        )
    return Use(
        f"score_matching(free_energy, {{y}}, {{given}}, {beta!r})",
        (f"{case.over.name} has {size} numbers: the trace of the curvature is taken exactly",),
        f"{size} derivatives of the slope a sample",
    )


def sliced(case: Case) -> Use | No:
    refused = real(case) or bends(case)
    if refused:
        return refused
    count, beta = int(case.number("projections")), case.number("beta")
    return Use(
        f"sliced_score_matching(free_energy, {{y}}, {{given}}, self.generator, {count}, {beta!r})",
        ("the trace of the curvature is that along random directions v = ±1, whose v v' is the identity in the mean",),
        f"{count} derivatives of the slope a sample",
    )


def denoising(case: Case) -> Use | No:
    refused = real(case)
    if refused:
        return refused
    sigma = case.options["sigma"]
    beta = case.number("beta")
    start = () if sigma is not None else ('self.state["sigma"].copy_(0.1 * data["{y}"].std(0).mean())',)
    noise = repr(sigma) if sigma is not None else 'self.state["sigma"]'
    return Use(
        f"denoising_score_matching(free_energy, {{y}}, {{given}}, self.generator, {noise}, {beta!r})",
        (
            f"noise of standard deviation {f'{sigma:g}' if sigma is not None else 'a tenth of that of the data'}: "
            "what is learned is the energy of the data with that noise",
        ),
        "one slope of the energy a sample",
        start=start,
        state=() if sigma is not None else (("sigma", "torch.tensor(0.1, dtype=dtype, device=device)"),),
    )


register(
    Method(
        "score_matching",
        4,
        "half the squared slope less the curvature, at the data",
        exact,
        (Argument("trace", None, "how the trace is taken", words=("exact", "hutchinson")), BETA),
        "Hyvärinen, JMLR 6, 2005",
    )
)
register(
    Method(
        "sliced_score_matching",
        4,
        "score matching along random directions",
        sliced,
        (Argument("projections", 1, "directions for each sample", low=1, count=True), BETA),
        "Song, Garg, Shi & Ermon, UAI 2019",
    )
)
register(
    Method(
        "denoising_score_matching",
        4,
        "the slope at a noisy sample points back to the sample",
        denoising,
        (Argument("sigma", None, "standard deviation of the noise", above=True), BETA),
        "Vincent, Neural Computation 23, 2011",
    )
)
