"""EB073x: answers of inference that do not hold."""

from ebdsl.diagnostics.catalogue import register

register(
    "EB0731",
    "error",
    "answers are not at the tolerance",
    """
`ebdsl infer --check` takes every answer, puts it back into the energy and measures in float64 how far it is
from optimal: for continuous latents the smallest element of the subdifferential, for finite ones the energy
above the lowest state, for averages the distance from the means of the posterior. Some are further away than the
tolerance allows, or came with an energy that is not theirs. More steps (--steps) or an exact answer (--exact) help.
The exit code is 3.
""",
)
register(
    "EB0732",
    "warning",
    "answers could not be checked",
    """
There is no certificate for this kind of answer yet; the message says why. Nothing is claimed about them.
""",
)
