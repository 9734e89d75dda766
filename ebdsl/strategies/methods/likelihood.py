"""Strategy 2: push down at the data, pull up everywhere, by the partition function itself."""

from __future__ import annotations

from ebdsl.strategies.core import BETA, Argument, Case, Method, No, Use, register

MOST_STATES = 4096
POINTS = {1: 512, 2: 64, 3: 24}


def consider(case: Case) -> Use | No:
    y, beta = case.over, case.number("beta")
    size = case.size()
    row = y.domain.row
    if row.finite:
        if size is None:
            return No(
                f"the size of {y.name} is open: the sum over its values cannot be counted", ("give dim a number",)
            )
        count = size if y.domain.kind == "onehot" and len(y.shape) == 1 else 2**size if case.binary else None
        if count is None or count > MOST_STATES:
            return No(
                f"{y.name} has {f'{count:,}' if count and size < 64 else 'too many'} values, more than {MOST_STATES:,}",
                ("ratio_matching", "minimum_probability_flow", "contrastive_divergence"),
            )
        states = "one_hot_states" if y.domain.kind == "onehot" else "binary_states"
        return Use(
            f"maximum_likelihood(free_energy, {{y}}, {{given}}, {states}({{y}}), 0.0, {beta!r})",
            (f"the partition function is a sum over the {count:,} values of {y.name}: exact",),
            f"{count:,} energies a step" + (" and sample" if case.given else ""),
        )
    if y.domain.kind not in ("real", "box"):
        return No(f"there is no grid over {y.domain}", ("contrastive_divergence",))
    if size is None or size not in POINTS:
        return No(
            f"{y.name} has {size if size is not None else 'an open number of'} dimensions: a grid fills at most three",
            ("score_matching", "contrastive_divergence", "noise_contrastive"),
        )
    points = int(case.number("points", POINTS[size]))
    if y.domain.kind == "box":
        low, high = y.domain.args[0], y.domain.args[1]
        box = f"torch.full_like({{y}}[0], {low!r}), torch.full_like({{y}}[0], {high!r})"
        state: tuple[tuple[str, str], ...] = ()
        start: tuple[str, ...] = ()
        where = f"the box of {y.name}"
    else:
        box = 'self.state["low"], self.state["high"]'
        state = tuple((n, "torch.zeros({shape}, dtype=dtype, device=device)") for n in ("low", "high"))
        start = (
            'low, high = data["{y}"].amin(0), data["{y}"].amax(0)',
            'self.state["low"].copy_(low - 0.5 * (high - low))',
            'self.state["high"].copy_(high + 0.5 * (high - low))',
        )
        where = f"twice the extent of the data in each of {size} dimension{'s' * (size > 1)}"
    return Use(
        f"grid_maximum_likelihood(free_energy, {{y}}, {{given}}, {box}, {points}, {beta!r})",
        (f"the partition function is an integral over {where}, on {points} points a side",),
        f"{points**size:,} energies a step" + (" and sample" if case.given else ""),
        guarantee="approximate",
        start=start,
        state=state,
    )


register(
    Method(
        "maximum_likelihood",
        2,
        "push down at the data, pull up everywhere in proportion to exp(-β F)",
        consider,
        (BETA, Argument("points", None, "points of the grid a side", low=2, high=4096, count=True)),
        "LeCun et al., A tutorial on energy-based learning, 2006, section 2.2.4",
    )
)
