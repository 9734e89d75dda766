"""EB075x: training that went on with numbers, and lost the data all the same."""

from __future__ import annotations

from ebdsl.diagnostics.catalogue import register

register(
    "EB0750",
    "error",
    "the energy is flat",
    """
The energy was measured on samples of the data and at as many points off it (uniform, noise, shuffled, neighbouring).
Twice in a row, or at the end, the difference was less than a thousandth of what it was before training.
Such an energy says nothing about where the data is. Training stopped, and the last good checkpoint is
kept. What usually does it:

  - nothing keeps the energy high off the data: a dictionary or a weight that may shrink or grow at will, a
    reconstruction that copies its input. `ebdsl explain SPEC` shows what the volume check says;
  - a margin that is met at once, so that nothing is pushed up any more: make it larger;
  - a code that is the same for every sample: a penalty that is too heavy, units that saturated;
  - a step that is too large: `--lr` ten times smaller.
""",
)
register(
    "EB0751",
    "error",
    "a code died",
    """
A latent variable, or what a learned function makes of the data, is the same for every sample. The energy then
cannot tell samples apart through it. What usually does it:

  - a penalty on the code that costs more than the code saves: make its weight smaller;
  - a step so large that all units were pushed to where they are flat (relu at zero, tanh at its ends):
    `--lr` ten times smaller;
  - data on quite another scale than the weights of the energy: standardise it.
""",
)
register(
    "EB0752",
    "warning",
    "the energy collapsed, as it was bound to",
    """
The volume check had refused this energy and --allow-flat overrode it. Training went as foretold: the energy is flat, or
a code died. `ebdsl eval RUN` shows the measured contrast.
""",
)
register(
    "EB0753",
    "error",
    "chains at temperature zero",
    """
The negative samples come from chains that no longer move at random: of the moves of Langevin dynamics less than a
thousandth is noise, or of the entries that Gibbs sampling visits hardly any is flipped. Such chains only go downhill,
all to the same few points, and what they push up is not what the model believes. What usually does it:

  - an inverse temperature that is too large: `beta = 1`;
  - energies that have grown very large: a smaller `--lr`, or more of `pull`;
  - a step of the chains that is too large for the energy: a smaller `step_size`.
""",
)
