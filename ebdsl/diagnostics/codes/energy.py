"""EB03xx: the energy itself, and how latent variables leave it."""

from __future__ import annotations

from ebdsl.diagnostics.catalogue import register

register(
    "EB0301",
    "error",
    "no energy",
    """
A spec defines an energy: a number for each sample, low where the sample is likely. `F(y) = ||y - W' W y||^2`,
or with a latent variable `E(y, z) = ||y - W z||^2` and `F(y) = min_z E(y, z)`.
""",
)
register(
    "EB0302",
    "error",
    "more than one free energy",
    """
The free energy is the definition that no other one uses. Where several are left, the one called `F` is taken;
where none is, rename one.
""",
)
register(
    "EB0303",
    "error",
    "an energy that is not a number",
    """
An energy is one number for each sample. A vector becomes one through a norm: `||y - W z||^2`, `|z|`, or a
sum: `Σ_k z[k]`.
""",
)
register(
    "EB0304",
    "error",
    "a free energy that holds nothing observed",
    """
The energy must depend on the data, or there is nothing to learn: some `observed` variable stands in it.
""",
)
register(
    "EB0305",
    "error",
    "a minimum over something that is not latent",
    """
`min_z`, `softmin_z[β]`, `∫ … dz` and `Σ_z exp(…)` are over latent variables. Observed ones are given;
parameters are learned by training, which needs no `min`. An index is summed over: for the best of K, declare
`latent z : onehot[K]`.
""",
)
register(
    "EB0306",
    "error",
    "a minimum in a place where it cannot be moved out",
    """
A free energy is `min_z` (or `softmin_z[β]`) of an energy. Terms without z may stand beside it, and positive
factors before it; inside a square, a logarithm or a sum over indices it would be another problem for each
value, which this version does not solve.
""",
)
register(
    "EB0307",
    "error",
    "a log-sum-exp with the wrong sign",
    """
The free energy at inverse temperature β is `-1/β log Σ_z exp(-β E(y, z))`: a minus outside and a minus
inside. With one of them missing, high energies win.
""",
)
register(
    "EB0308",
    "error",
    "a log-sum-exp with two temperatures",
    """
In `-1/β log ∫ exp(-β E(y, z)) dz` the β outside and the β inside are the same number: otherwise the energy is
rescaled, and with it the learning rates and the weights of all other terms. `softmin_z[β] E(y, z)` says the
same and cannot disagree with itself.
""",
)
register(
    "EB0309",
    "error",
    "a latent variable that is used twice in different senses",
    """
Once `min_z` has taken a minimum over z, z has no value outside; and it can be minimised only once. Bracket
what belongs under the minimum: `min_z (A + B)`.
""",
)
register(
    "EB0310",
    "error",
    "a minimum with a factor that is not positive",
    """
`c min_z E` is `min_z c E` for c > 0 only. With a minus, the minimum becomes a maximum.
""",
)
register(
    "EB0311",
    "error",
    "a sum where an integral belongs, or the other way round",
    """
`Σ_z` runs over the members of a finite set (`onehot[K]`, `{0,1}[N]`), `∫ … dz` over a continuous space
(`R[N]`).
""",
)
register(
    "EB0312",
    "error",
    "an inverse temperature that is not a positive number",
    """
β in `softmin_z[β]` is a number above zero and the same for all samples: a number, a constant or a parameter.
β → ∞ is `min_z`.
""",
)
register(
    "EB0313",
    "error",
    "an expectation over something that is not random",
    """
`E_u[…]` averages over noise, `noise u ~ normal(0, 1) : R[N]`, and `E[…]` over all noise that stands under it. Over a
latent variable, what is wanted is a softmin: `softmin_z[β] E`.
""",
)
register(
    "EB0314",
    "error",
    "noise that nothing is averaged over",
    """
An energy is one number for each sample, the same each time. Where noise stands in it, the energy is the mean over it:
`F(y) = E_u[||y - Dec(Enc(y) + u)||^2]`. Outside the brackets of an expectation its noise has no value.
""",
)
register(
    "EB0315",
    "error",
    "an argmin that cannot stand here",
    """
`argmin_z E(y, z)` is the code at which the energy E is least, and another energy may hold it: what E is made of is then
learned through it, as in task-driven dictionary learning (Mairal, Bach & Ponce 2012). It is over one latent variable,
E holds that variable and the data and neither noise nor other latent variables, and the variable stands nowhere else:
two argmins of two energies are over two variables.
""",
)
