"""EB076x: chains that cannot start, that run off, or that do not agree."""

from __future__ import annotations

from ebdsl.diagnostics.catalogue import register

register(
    "EB0760",
    "error",
    "no chain of that kind moves there",
    """
Chains that follow slopes (hmc, mala, langevin) are for real numbers and boxes; entries 0 and 1 and choices are
drawn one after the other (gibbs). On spheres, simplices and other curved domains no chain moves yet.
""",
)
register(
    "EB0761",
    "error",
    "the energy is not finite where chains start",
    """
Chains start at samples of the data, moved by noise of the data's spread. The energy has to be finite there: a
logarithm of something negative, or a division by zero, is the usual cause. `ebdsl eval RUN` tells
whether it is finite at the data.
""",
)
register(
    "EB0762",
    "error",
    "chains ran off",
    """
Langevin dynamics refuses no step: where the energy is steep, a step that is too large throws a chain ever farther out.
Take a smaller step, or a method that refuses bad steps (hmc, mala).
""",
)
register(
    "EB0763",
    "warning",
    "the chains have not mixed",
    """
R-hat compares how much the halves of all chains differ from each other with how much each of them varies (Vehtari,
Gelman, Simpson, Carpenter & Bürkner 2021). It is 1 where all tell of the same distribution. Above 1.05 some chains
are still where they started, or in valleys between which none crosses: run them longer, or take the samples as
from several valleys whose shares are not known.
""",
)
register(
    "EB0764",
    "warning",
    "chains far off the data",
    """
exp(-β F) is a distribution only if the energy grows far away. This one lets chains go a hundred times as far as
the data reach: it may be flat or falling out there. Strategies that look at uniform points or at chains during training
push such places up; a weak penalty on far values bounds them.
""",
)
register(
    "EB0765",
    "warning",
    "hardly any proposal was accepted",
    """
The chains stayed where they were nearly all of the time, so that their samples repeat each other. A smaller step
helps, or a longer warm-up in which the step is found.
""",
)
register(
    "EB0766",
    "error",
    "what is given does not fit",
    """
`--given NAME=VALUE` holds an observed variable of the spec, other than the one that is sampled, at numbers
(`--given x=0.3,1.2`) or at the rows of a `.npy` file, one for each chain in turn.
""",
)
register(
    "EB0767",
    "error",
    "no partition function to be had",
    """
A log-likelihood is -β F less the logarithm of the partition function, which is a sum over all values of one variable,
or an integral estimated by annealed importance sampling. The variable lies in R[…], in a box or in {0,1}[…], and
nothing is given beside it.
""",
)
register(
    "EB0768",
    "warning",
    "an estimate that few chains bear",
    """
Annealed importance sampling weighs chains. Where few of them have all the weight, the others ended where next to no
probability is, and the partition function can be far larger than estimated: the log-likelihood is then too high. More
temperatures let the chains follow.
""",
)
