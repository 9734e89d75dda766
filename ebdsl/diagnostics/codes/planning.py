"""EB05xx: planning, and the volume of low energy."""

from ebdsl.diagnostics.catalogue import register

register(
    "EB0501",
    "error",
    "no rule of inference applies",
    """
Every latent variable has to leave the energy: by a minimum or by an average over its values. For this one no
rule
applies; each rule says why not. Usual ways out: make a penalty one that has a proximal operator (|z|, a norm
over a group),
drop a constraint, make the variable finite (onehot[K]) or smaller.
""",
)
register(
    "EB0502",
    "error",
    "nested eliminations",
    """
Some eliminations inside of others have rules: softmins of one β are one softmin, a softmin over finite latents may
hold a minimum over others, and a minimum over others a softmin over finite ones. For this one there is no rule. One
min over all latents, or one softmin, has one more often.
""",
)
register(
    "EB0503",
    "error",
    "the named algorithm does not fit",
    """
`infer z by ista` and its like ask for an algorithm by name: ista, fista, cod, and the learned lista and lcod. They
need a vector latent whose smooth part is a quadratic with one matrix for all samples, as in ||y - W z||^2, and a
penalty with a proximal operator; coordinate steps need one that acts entry by entry.
""",
)
register(
    "EB0504",
    "error",
    "a temperature learned by lowering the energy",
    """
The free energy -1/β log Σ_z exp(-β E) rises with β: its derivative is the entropy of the latents over β². Lowering
it at the data therefore sends β to zero and the energy to minus infinity, whatever the data. Fix β, or choose a
strategy that pushes the energy up elsewhere, as maximum likelihood does.
""",
)
register(
    "EB0505",
    "error",
    "an argmin that cannot be differentiated",
    """
What is learned through `argmin_z E` needs its derivative. At a minimum that is a solution of equations it is that of
an implicit function, beside the kinks that the minimum stands on: those of absolute values, norms of groups, bounds
and simplices. Finitely many values, energies without curvature and kinks of other functions have none. Steps of an
algorithm have one in any case: `infer z by fista(steps = 50)` names them, and learning goes through them.
""",
)
register(
    "EB0510",
    "error",
    "the energy is flat",
    """
Learning pushes the energy down at the data. If the model can reconstruct every point, for example by the
identity function, the energy is
low everywhere and says nothing. The talk names seven strategies against this. The usual ones are: a code
narrower than the data
(strategy 1), a penalised code with a bounded decoder (7), training as a denoiser (6), or pushing up at chosen
places (3).
--allow-flat trains all the same, to see the collapse.
""",
)
register(
    "EB0511",
    "error",
    "nothing pushes the energy up",
    """
The energy is a learned function of the data and training would only lower it at the data, which a constant
does as well. A strategy that pushes up
elsewhere, or shapes the energy around the data, is needed.
""",
)
register(
    "EB0512",
    "error",
    "a scale symmetry voids the penalty",
    """
If a dictionary may grow while the code shrinks, their product stays the same and the penalty on the code goes
to zero: the energy collapses. Measured
on random points, scaling W by 10, 100 and 1000 brings the energy down in the same proportion. Bound the
columns of the dictionary, or penalise it.
""",
)
register(
    "EB0513",
    "error",
    "a log-determinant is missing",
    """
A precision that multiplies the squared distance lowers the energy everywhere by shrinking to zero. The log-
determinant of the Gaussian's
normaliser pays for it: ½ (y-μ)'Λ(y-μ) - ½ log det Λ.
""",
)
register(
    "EB0514",
    "warning",
    "a decoder that may grow",
    """
A contractive penalty keeps the code from changing with the data. Where the decoder's weights are free, the encoder
shrinks, the decoder grows by as much, and the penalty is gone while the reconstruction is as before: bound the decoder
(unit columns), or tie its weights to the encoder's.
""",
)
register(
    "EB0515",
    "warning",
    "a margin out of reach",
    """
The energy is bounded, and the margin asks for more than it can ever be: the loss can not come to rest, and samples
far off the data are pushed up for ever at the cost of those nearby. Make the margin smaller, or the energy unbounded.
""",
)
register(
    "EB0516",
    "error",
    "a code whose noise can be made to say nothing",
    """
Noise on a code limits what it can tell, as long as the codes of different samples have to overlap. Where nothing holds
them together they fly away from each other; where the size of the noise is learned and nothing keeps it up, it
vanishes. Either way what is left is a plain auto-encoder. A spring to the centre, ½‖μ‖², and a size near one,
½(σ² - 1) - log σ for each entry, are the two parts of the Kullback-Leibler divergence of a variational auto-encoder.
`--allow-flat` trains all the same.
""",
)
register(
    "EB0520",
    "error",
    "the strategy does not apply",
    """
A strategy needs something of the energy or of the data: score matching needs a curvature, and data without
edges; ratio matching needs data of entries 0 and 1; maximum likelihood a partition function that can be summed
or integrated. The message says which, and names methods that would do.
""",
)
