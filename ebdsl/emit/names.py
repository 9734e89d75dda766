"""Names of the spec made safe for Python, predictably: ``λ`` becomes ``lam``, ``class`` becomes ``class_``."""

from __future__ import annotations

import builtins
import keyword
import re
import unicodedata
from collections.abc import Iterable

GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "eps", "ζ": "zeta", "η": "eta", "θ": "theta",
    "ι": "iota", "κ": "kappa", "λ": "lam", "μ": "mu", "ν": "nu", "ξ": "xi", "ο": "omicron", "π": "pi", "ρ": "rho",
    "σ": "sigma", "ς": "sigma", "τ": "tau", "υ": "upsilon", "φ": "phi", "χ": "chi", "ψ": "psi", "ω": "omega",
    "ϵ": "eps", "ϕ": "phi", "ϑ": "theta", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta", "Λ": "Lam", "Ξ": "Xi",
    "Π": "Pi", "Σ": "Sigma", "Φ": "Phi", "Ψ": "Psi", "Ω": "Omega",
}  # fmt: skip

# names that generated files use themselves: a symbol called so gets an underscore
OWN = [
    "torch",
    "nn",
    "math",
    "self",
    "model",
    "batch",
    "seed",
    "dtype",
    "energy",
    "terms",
    "infer",
    "free_energy",
    "start",
    "tolerance",
    "max_steps",
    "data",
    "T",
    "Tensor",
    "F",
    "lr",
    "fit",
    "build",
    "main",
    "forward",
    "parameters",
    "modules",
    "buffers",
    "train",
    "eval",
    "children",
    "state_dict",
    "load_state_dict",
    "to",
    "type",
    "Learner",
    "Inference",
    "NAME",
    "DEFAULTS",
    "gradients",
    "reconstruct",
    "posterior",
    "Any",
    "NamedTuple",
    "Callable",
    "rng",
    "energies",
    "state",
    "places",
    "weights",
    "log_weights",
    "residual",
    "iterations",
    "gram",
    "linear",
    "begin",
    "goal",
    "probes",
    "cold",
    "count",
    "best",
    "smooth",
    "prox",
    "gradient",
    "point",
    "step",
    "found",
    "samples",
    "rate",
    "loss",
    "metrics",
    "number",
    "sample",
    "few",
    "distance",
    "fitted",
    "exact",
    "minimum",
    "curvature",
    "matrix",
    "moment",
    "slope",
    "update",
    "epochs",
    "report",
    "learner",
    "optimizer",
    "statistics",
    "steps",
    "last",
    "value",
    "unknown",
    "observed",
    "latents",
    "device",
    "training",
    "half",
    "double",
    "float",
    "cpu",
    "cuda",
    "apply",
    "generator",
    "name",
    "term",
    "constant",
    "every",
    "rows",
    "row",
    "adjoint_residual",
    "free",
    "back",
    "bands",
    "basis",
    "bend",
    "bound",
    "chosen",
    "curve",
    "curved",
    "drift",
    "drive",
    "dual",
    "each",
    "error",
    "firm",
    "high",
    "kernel",
    "kinks",
    "left",
    "low",
    "nodes",
    "prices",
    "price",
    "rho",
    "right",
    "shares",
    "size",
    "sizes",
    "slack",
    "solve",
    "square",
    "sums",
    "tables",
    "ways",
]
MODULE = [
    "T_destination",
    "add_module",
    "bfloat16",
    "call_super_init",
    "compile",
    "dump_patches",
    "extra_repr",
    "get_buffer",
    "get_extra_state",
    "get_parameter",
    "get_submodule",
    "ipu",
    "mtia",
    "named_buffers",
    "named_children",
    "named_modules",
    "named_parameters",
    "register_backward_hook",
    "register_buffer",
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
    "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook",
    "register_module",
    "register_parameter",
    "register_state_dict_post_hook",
    "register_state_dict_pre_hook",
    "requires_grad_",
    "set_extra_state",
    "set_submodule",
    "share_memory",
    "to_empty",
    "xpu",
    "zero_grad",
]
"""What else torch's modules call their own: a parameter of that name would take its place."""

RESERVED = frozenset([*keyword.kwlist, *keyword.softkwlist, *dir(builtins), *OWN, *MODULE])


def python_name(name: str) -> str:
    """One name: Greek spelled out, other letters kept where Python allows them, the rest ``_``."""
    text = unicodedata.normalize("NFKD", "".join(GREEK.get(c, c) for c in unicodedata.normalize("NFC", name)))
    text = re.sub(r"\W", "_", "".join(c for c in text if not unicodedata.combining(c)))
    text = re.sub(r"[^0-9A-Za-z_]", lambda m: f"u{ord(m[0]):x}", text)
    if not text or text[0].isdigit() or text.startswith("_"):
        text = "v" + text
    return text + "_" if text in RESERVED else text


def python_names(names: Iterable[str]) -> dict[str, str]:
    """Distinct Python names for distinct names, in order: a clash gets a number."""
    taken: set[str] = set()
    result: dict[str, str] = {}
    for name in names:
        base = new = python_name(name)
        count = 2
        while new in taken:
            new = f"{base}{count}"
            count += 1
        taken.add(new)
        result[name] = new
    return result


def class_name(name: str) -> str:
    """``sparse_coding`` becomes ``SparseCoding``."""
    words = [w for w in re.split(r"[^0-9A-Za-z]+", python_name(name)) if w]
    text = "".join(w[0].upper() + w[1:] for w in words) or "Model"
    return f"Model{text}" if text[0].isdigit() or text in {"Learner", "Inference", "Tensor", "Any"} else text
