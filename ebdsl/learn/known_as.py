"""What textbooks call the whole of inference and learning that a plan is made of."""

from __future__ import annotations

from ebdsl.infer.core import Decision

LEAST_SQUARES = ("closed form", "normal equations", "fast transform", "conjugate gradients", "banded solve")
MEANS = ("weighted mean", "mean,", "normalised sum", "weighted median", "weighted quantile")
"""How algorithms that set a centre begin."""


def known_as(schedule: str, inference: tuple[Decision, ...], learning: tuple[Decision, ...]) -> str | None:
    """The name, by the rules alone; None where there is none that is known well."""
    rules = {d.rule for d in learning}
    first = inference[0] if inference else None
    if rules == {"leading subspace"}:
        return "principal component analysis, without centring"
    if schedule == "batches":
        sparse = first is not None and first.rule == "proximal gradient"
        return "online dictionary learning (Mairal et al. 2009)" if sparse and rules == {"exact slices"} else None
    if schedule != "full" or not learning:
        return None
    if first is None:
        return "block coordinate descent" if len(learning) > 1 and rules != {"convex program"} else None
    if first.guarantee in ("exact", "approximate"):
        chain = "forward algorithm" in first.algorithm
        return "expectation-maximisation (EM)" + (", Baum-Welch" if chain else "")
    if first.rule == "enumeration":
        centres = all(d.algorithm.startswith(MEANS) for d in learning)
        return (
            "Lloyd's algorithm, as in K-means"
            if centres
            else "hard EM: the best states, then the parameters given them"
        )
    if first.rule == "variable elimination":
        return "hard EM: the best states, then the parameters given them" + (
            ", Viterbi training" if "Viterbi" in first.algorithm else ""
        )
    squares = first.rule in LEAST_SQUARES and rules <= set(LEAST_SQUARES)
    return "alternating least squares" if squares else "alternating minimisation (block coordinate descent)"


def promised(schedule: str, inference: tuple[Decision, ...], learning: tuple[Decision, ...]) -> str | None:
    """What exact blocks in turn come to."""
    if schedule != "full" or not learning:
        return None
    at_once = max(len(getattr(d.payload, "symbols", ())) for d in learning)
    alone = len(learning) in (1, at_once) and all(d.guarantee == "global" for d in learning)
    if alone and (not inference or learning[0].rule == "leading subspace"):
        return "the global minimum: nothing else is learned or inferred"
    return "the energy never rises, and in the end no block alone lowers it"
