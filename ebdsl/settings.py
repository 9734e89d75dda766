"""The settings that a plan runs with, and where each comes from: the spec, or a default."""

from __future__ import annotations

from ebdsl.model.model import Setting, Word
from ebdsl.plan import Plan

LOCAL = ("descent with restarts", "alternating minimisation")
"""Rules that go down from several starts."""
ITERATIVE = (
    "proximal gradient", "splitting", "conjugate gradients", "convolutional splitting", "Newton",
    "banded interior point", "coordinate descent", "interior points",
)  # fmt: skip
"""Rules whose answers are certified to a tolerance, which learning asks for less strictly."""


def setting(plan: Plan, key: str, default: float) -> float:
    """A number of the ``train`` block, or the default."""
    found = plan.model.setting(key)
    return float(found.value) if found is not None and isinstance(found.value, int | float) else default


def epochs(plan: Plan) -> int:
    return int(setting(plan, "epochs", {"full": 200, "together": 1000}.get(plan.schedule, 10)))


def batch(plan: Plan) -> int:
    return int(setting(plan, "batch", 256))


def seed(plan: Plan) -> int:
    return int(setting(plan, "seed", 0))


TRIES, MOST_STATES = 8, 32
"""Starts that are tried without being asked for, where a finite latent takes no more values than that."""


def starts(plan: Plan) -> int:
    """Starts of learning, of which the lowest goes on: several where states can settle on the wrong samples."""
    return int(setting(plan, "starts", TRIES if _states_settle(plan) else 1))


def _states_settle(plan: Plan) -> bool:
    if plan.schedule != "full" or plan.strategy is not None:
        return False
    values = [
        2 if z.domain.kind in ("binary", "spin") else plan.model.shape(z)[-1] or 1
        for e in plan.model.eliminations
        for z in e.latents
        if z.domain.row.finite
    ]
    return bool(values) and max(values) <= MOST_STATES


def tolerances(plan: Plan) -> tuple[float, float]:
    """Residual at which inference stops, relative to the largest entry of the gradient: float32, float64."""
    one = setting(plan, "tolerance", 0.0)
    return (one, one) if one > 0 else (1e-4, 1e-9)


def training_accuracy(plan: Plan) -> tuple[float, int | None] | None:
    """Tolerance and most steps of inference inside a learning step; None where inference is exact anyway.

    The envelope theorem's gradient is off by no more than the answer is, and the next step moves the parameters
    further than that; a descent through learned functions is cut short.
    """
    if plan.answers or plan.schedule == "together":
        return None  # a derivative through an answer is off by as much as the answer, and so are steps along a line
    rule = inference_rule(plan)
    if rule == "coordinate descent":
        return (max(1e-3, tolerances(plan)[0]), min(30, max_steps(plan)))
    if rule in ITERATIVE:
        split = getattr(plan.inference[0].payload, "split", False)  # answers lie closer than their residuals say
        if any(n.chosen.algorithm.learned for n in plan.named):
            return None  # steps that learn from answers cannot come closer to the truth than these
        looser = 300 if split else 100 if rule == "proximal gradient" else 10  # by a dictionary's held-out energy
        return (looser * tolerances(plan)[0], None) if plan.model.setting("tolerance") is None else None
    if rule in LOCAL:
        return (max(1e-2, tolerances(plan)[0]), min(30, max_steps(plan)))
    return None


def keeps_answers(plan: Plan) -> bool:
    """Whether learning from batches starts inference at each sample's last answer, where those of all can be kept.

    It iterates, to one minimum whatever the start, and no encoder says where to start.
    """
    if plan.schedule != "batches" or plan.strategy is not None or plan.answers or plan.model.answers_otherwise:
        return False
    decided = plan.inference[0] if len(plan.inference) == 1 else None
    once = getattr(decided and decided.payload, "kind", "") == "once"
    return decided is not None and decided.rule in ITERATIVE and decided.guarantee == "global" and not once


def inference_rule(plan: Plan) -> str:
    """The rule that finds the continuous latents, inside an enumeration too."""
    if not plan.inference:
        return ""
    inner = getattr(plan.inference[0].payload, "inner", plan.inference[0])
    return str(inner.rule)


def max_steps(plan: Plan) -> int:
    """Steps after which inference gives up."""
    rule = inference_rule(plan)
    return int(setting(plan, "steps", 500 if rule in LOCAL else 5000))


def optimizer(plan: Plan) -> tuple[str, dict[str, object]]:
    """Name and keywords of the optimiser for blocks that go by gradient."""
    found = plan.model.setting("optimizer")
    head, keywords = "adam", {}
    if found is not None and isinstance(found.value, Word):
        head, keywords = found.value.head, dict(found.value.keywords)
    elif found is not None and isinstance(found.value, str):
        head = found.value
    rate = plan.model.setting("lr")
    if rate is not None and isinstance(rate.value, int | float):
        keywords["lr"] = float(rate.value)
    keywords.setdefault("lr", 1e-2 if head == "sgd" else 1e-3)
    return head, keywords


def defaults(plan: Plan) -> list[tuple[str, str, str]]:
    """Name, value and origin (``spec`` or ``default``) of all that a run depends on."""
    rows: list[tuple[str, object]] = [("data", _said(plan.model.setting("data")) or "none: give --data")]
    if plan.schedule == "batches":
        rows.append(("batch", batch(plan)))
    rows += [("epochs", epochs(plan)), ("seed", seed(plan))]
    if starts(plan) > 1:
        rows.append(("starts", starts(plan)))
    single, double = tolerances(plan)
    accuracy = ("tolerance", f"{single:g} in float32, {double:g} in float64")
    if plan.schedule == "together":
        rows.append(accuracy)
    if inference_rule(plan) in (*ITERATIVE, *LOCAL):
        rows += [accuracy, ("steps", max_steps(plan))]
        loose = training_accuracy(plan)
        if loose is not None and plan.schedule == "batches":
            most = f", at most {loose[1]} steps" if loose[1] else ""
            rows.append(("in training", f"tolerance {loose[0]:g}{most}"))
    by_gradient = (
        bool(plan.modules)
        or any(n.chosen.algorithm.learned for n in plan.named)
        or any(d.rule == "stochastic gradient" for _, d in plan.learning)
    )
    if by_gradient:
        head, keywords = optimizer(plan)
        rows.append(("optimizer", f"{head}({', '.join(f'{k} = {v}' for k, v in keywords.items())})"))
    return [(name, str(value), _origin(plan, name)) for name, value in rows]


def _origin(plan: Plan, name: str) -> str:
    keys = ("optimizer", "lr") if name == "optimizer" else (name,)
    return "spec" if any(plan.model.setting(k) is not None for k in keys) else "default"


def _said(found: Setting | None) -> str | None:
    if found is None:
        return None
    return _word(found.value)


def _word(value: object) -> str:
    if isinstance(value, Word):
        inside = [_word(a) for a in value.args] + [f"{k} = {_word(v)}" for k, v in value.keywords]
        return f"{value.head}({', '.join(inside)})"
    return f"{value:g}" if isinstance(value, float) else str(value)
