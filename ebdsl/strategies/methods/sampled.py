"""Strategy 3 with samples of the model: contrastive divergence and its persistent kind."""

from __future__ import annotations

from ebdsl.model.algebra import modules_in
from ebdsl.strategies.core import BETA, Argument, Case, Method, No, Use, register

STEPS = Argument("steps", 10, "steps of each chain, or sweeps over all entries of binary data", low=1, count=True)
SIZE = Argument("step_size", None, "step of Langevin dynamics, in units of y squared over energy", above=True)
CHAIN = Argument("chain", None, "how a chain of real numbers moves", words=("langevin", "mala", "hmc"))
PULL = Argument("pull", None, "weight of the squared energies of data and samples, which keeps them from drifting off")


def _moves(case: Case) -> tuple[str, tuple[str, ...], tuple[tuple[str, str], ...], str] | No:
    """Keywords of the chain, what it needs at the start, its state, and its name."""
    steps, beta = int(case.number("steps")), case.number("beta")
    if case.binary:
        if case.options["chain"]:
            return No(
                f"{case.options['chain']} follows slopes, and {case.over.name} is made of 0 and 1", ("no chain: Gibbs",)
            )
        return (
            f"gibbs_chain(free_energy, {{where}}, {{given}}, self.generator, {steps}, {beta!r})",
            (),
            (),
            "Gibbs sweeps",
        )
    if not case.real:
        return No(f"no chain moves in {case.over.domain} yet", ("maximum_likelihood", "noise_contrastive"))
    size = case.options["step_size"]
    start: tuple[str, ...] = ()
    state: tuple[tuple[str, str], ...] = ()
    step = repr(size)
    if size is None:
        start = ('self.state["step_size"].copy_(0.01 * data["{y}"].var(0).mean())',)
        state = (("step_size", "torch.tensor(0.01, dtype=dtype, device=device)"),)
        step = 'self.state["step_size"]'
    kind = str(case.options["chain"] or "langevin")
    call = f"{kind}_chain(free_energy, {{where}}, {{given}}, self.generator, {steps}, {step}, {beta!r})"
    return call, start, state, NAMES[kind]


NAMES = {
    "langevin": "steps of Langevin dynamics",
    "mala": "steps of Langevin dynamics, accepted or refused,",
    "hmc": "moves of Hamiltonian dynamics",
}


def _pull(case: Case) -> float:
    return case.number("pull", 0.1 if modules_in(case.energy) else 0.0)


def divergence(case: Case) -> Use | No:
    moves = _moves(case)
    if isinstance(moves, No):
        return moves
    call, start, state, name = moves
    chain = call.replace("{where}", "{y}")
    steps, pull = int(case.number("steps")), _pull(case)
    return Use(
        f"contrast(free_energy, {{y}}, {{given}}, {chain}, {pull!r})",
        (f"negative samples: {steps} {name} from the data", *_said(pull)),
        f"{steps} slopes of the energy a sample",
        start=start,
        state=state,
    )


def persistent(case: Case) -> Use | No:
    if case.given:
        names = ", ".join(s.name for s in case.given)
        return No(f"a chain that goes on from step to step belongs to one {names}", ("contrastive_divergence",))
    moves = _moves(case)
    if isinstance(moves, No):
        return moves
    call, start, state, name = moves
    steps, pull, count = int(case.number("steps")), _pull(case), int(case.number("chains"))
    renew = case.number("restart")
    chain = call.replace("{where}", f'renewed(self.state["chains"], {{y}}, self.generator, {renew!r})')
    first = 'self.state["chains"].copy_(data["{y}"][torch.arange(len(self.state["chains"])) % len(data["{y}"])])'
    return Use(
        f'persistent_contrast(free_energy, {{y}}, self.state["chains"], {chain}, {pull!r})',
        (f"negative samples: {count} chains, {steps} {name} on from where they were", *_said(pull)),
        f"{steps} slopes of the energy a chain",
        start=(*start, first),
        state=(*state, ("chains", f"torch.zeros(({count}, *{{shape}}), dtype=dtype, device=device)")),
    )


def _said(pull: float) -> tuple[str, ...]:
    return (f"{pull:g} times the squared energies keeps them from drifting off",) if pull else ()


register(
    Method(
        "contrastive_divergence",
        3,
        "push down at the data, up at where short chains of the model lead from there",
        divergence,
        (STEPS, SIZE, BETA, CHAIN, PULL),
        "Hinton, Neural Computation 14, 2002",
    )
)
register(
    Method(
        "persistent_contrastive_divergence",
        3,
        "contrastive divergence with chains that go on from step to step",
        persistent,
        (
            STEPS,
            SIZE,
            BETA,
            CHAIN,
            PULL,
            Argument("chains", 256, "how many chains", low=1, count=True),
            Argument("restart", 0.05, "share of the chains that start again at data in each step", high=1),
        ),
        "Tieleman, ICML 2008",
    )
)
