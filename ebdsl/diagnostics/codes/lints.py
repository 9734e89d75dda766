"""EB04xx: legal, and probably not what was meant."""

from __future__ import annotations

from ebdsl.diagnostics.catalogue import register

register(
    "EB0401",
    "warning",
    "declared and never used",
    """
A variable, parameter, constant, module, dimension or function that the free energy does not use changes
nothing. Use it or delete the line.
""",
)
register(
    "EB0402",
    "warning",
    "a latent variable that no term holds",
    """
The minimum over a variable that the energy does not depend on is the energy itself: any value does.
""",
)
register(
    "EB0403",
    "warning",
    "a penalty with a negative weight",
    """
`-λ|z|` rewards large codes without bound: the minimum over z is minus infinity unless another term grows
faster. A penalty has a positive weight.
""",
)
register(
    "EB0404",
    "warning",
    "an energy that is not minimal at the prototypes",
    """
`Σ_i ||y - W_i z_i||^2` with a one-hot z adds, for each of the K-1 prototypes that are not chosen, ||y||^2: it
equals `||y - W_k||^2 + (K-1)||y||^2`. The choice of k is right, but the lowest energy is at W_k / K, not at
W_k. What was meant is `||y - W z||^2`: with one-hot z, `W z` is the chosen column.
""",
)
register(
    "EB0405",
    "warning",
    "an energy that is flat along directions",
    """
A linear code without a penalty reconstructs everything in a subspace: the energy is zero all along it, at any
distance. This is what principal components are, and as a reconstruction error it is fine. But ∫ exp(-βF(y))
dy diverges, so the energy has no likelihood at any β. To bound it, penalise or constrain the code: `+
λ||z||^2`, `z : sphere[K]`.
""",
)
register(
    "EB0406",
    "warning",
    "a penalty that is constant",
    """
Every one-hot vector has the norm 1, and so has every point of a sphere (and `|z|` of the simplex): the
penalty adds a constant and changes nothing.
""",
)
register(
    "EB0407",
    "warning",
    "two dimensions that agree by chance",
    """
Two dimensions with different names have the same size in this spec, and a formula relies on it. It breaks as
soon as one of them is changed. Use one name, or say that they are equal: `dim P = N`.
""",
)
register(
    "EB0408",
    "warning",
    "an argument that the minimum has removed",
    """
`F(y, z) = min_z E(y, z)` does not depend on z any more.
""",
)
