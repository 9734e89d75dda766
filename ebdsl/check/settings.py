"""The settings of the ``train`` block: a row each, with kind, range, default and a line of documentation."""

from __future__ import annotations

from dataclasses import dataclass, field

from ebdsl import strategies

INF = float("inf")


@dataclass(frozen=True)
class Key:
    """``kind``: ``count`` (whole number), ``number``, ``word`` (one of ``words``), ``source`` (a name, a call or a
    file). Numbers lie in ``[low, high]``, without ``low`` itself where ``above``. ``words`` maps what may be written
    to the names of the arguments that it takes. ``default`` is text, for people.
    """

    name: str
    kind: str
    default: str
    doc: str
    low: float = -INF
    high: float = INF
    above: bool = False
    words: dict[str, tuple[str, ...]] = field(default_factory=dict)


SETTINGS: dict[str, Key] = {}


def register(row: Key) -> Key:
    """Add one row. Raises ``ValueError`` for a name that is taken."""
    if row.name in SETTINGS:
        raise ValueError(f"setting {row.name} is registered twice")
    SETTINGS[row.name] = row
    return row


OPTIMIZERS = {
    "adam": ("lr", "weight_decay", "eps", "beta1", "beta2"),
    "adamw": ("lr", "weight_decay", "eps", "beta1", "beta2"),
    "sgd": ("lr", "momentum", "weight_decay", "nesterov"),
}
INFERRED = "chosen by the inference rule"
LEARNED = "chosen by the learning rule"

register(
    Key(
        "data",
        "source",
        "given with --data",
        "where the samples come from: a name, a call such as patches(natural, size = 12), or a file",
    )
)
register(Key("epochs", "count", "10", "how often training goes through the data", low=1))
register(Key("batch", "count", "256", "samples for each step, where learning does not want all of them", low=1))
register(Key("lr", "number", LEARNED, "step size of gradient descent", low=0, above=True))
register(Key("optimizer", "word", "adam", "how gradients become steps", words=OPTIMIZERS))
register(
    Key(
        "strategy",
        "word",
        "what the energy decides",
        "what keeps the energy high off the data; ebdsl explain lists those that apply",
        words=strategies.words(),
    )
)
register(
    Key(
        "differentiate",
        "word",
        "implicit, or through the steps that infer names",
        "how learning sees an argmin: implicitly at the minimum, or unrolled through the steps that infer names",
        words={"implicit": (), "unrolled": ()},
    )
)
register(Key("seed", "count", "0", "what all random choices start from", low=0))
register(Key("dtype", "word", "float32", "the numbers of training", words={"float32": (), "float64": ()}))
register(Key("device", "word", "auto", "where training runs", words={"auto": (), "cpu": (), "cuda": (), "mps": ()}))
register(Key("holdout", "number", "0", "share of the samples that is kept for evaluation", low=0, high=0.9))
register(Key("starts", "count", INFERRED, "starts of learning that are tried for ten steps; the lowest goes on", low=1))
register(Key("steps", "count", INFERRED, "most steps of one inference", low=1))
register(Key("tolerance", "number", INFERRED, "residual at which inference stops", low=0, above=True))
register(Key("restarts", "count", INFERRED, "starts of a search that can end in a local minimum", low=1))
register(Key("checkpoint_steps", "count", "by time", "steps between two checkpoints", low=1))
register(Key("checkpoint_seconds", "number", "15", "seconds between two checkpoints", low=0, above=True))

LATER = {
    "schedule": "schedules of the step size",
}
"""Words that have their place and come later."""
