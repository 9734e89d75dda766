"""The factor graph of a model: variables, deterministic functions and energy terms.

The convention is LeCun's (``A Path Towards Autonomous Machine Intelligence``, 2022, section 3): variables
are circles, functions are modules with a direction, each addend of the energy is a factor.

Nodes are keyed by kind and name (``"variable y"``, ``"parameter W"``, ``"function 0"``, ``"energy 1"``) and carry
``kind`` in ``variable parameter function energy`` and ``label``; besides

* a variable: ``role`` in ``observed latent noise``, ``dims``, ``domain``, ``mark`` (``min``, ``softmin``, … where
  it is eliminated, ``argmin`` where it is an answer, else None) and ``beta`` (text, for a softmin);
* a parameter: ``dims`` and ``domain``;
* a function: ``form`` in ``module linear elementwise tensor``, ``detail`` (the module's layers), ``dims`` of its value;
* an energy: ``term``, its place in ``model.terms``.

Edges go from what is read to what reads it and carry ``dims``; ``relation`` is ``value``, ``parameter``, or
``infers`` for the edge from an encoder to the latent that a trained model answers with, and from a generator to what it
makes negative samples of.
"""

from __future__ import annotations

import networkx as nx

from ebdsl.graph.functions import Reader
from ebdsl.graph.text import number_text
from ebdsl.model.ir import Dim, Node, Symbol
from ebdsl.model.model import Elimination, Model


def factor_graph(model: Model) -> nx.MultiDiGraph:
    """The graph of ``model``, its nodes in order of declaration and of the terms."""
    graph = nx.MultiDiGraph(
        name=model.name, energy=model.energy_name, free_energy=model.free_energy_name, caption=caption(model)
    )
    answers_within = (Elimination("argmin", (a.latent,)) for a in model.answers)
    marks = {s.name: e for e in (*model.eliminations, *answers_within) for s in e.latents}
    for s in model.role("observed", "latent", "noise"):
        by = marks.get(s.name)
        graph.add_node(
            f"variable {s.name}",
            kind="variable",
            label=s.name,
            role=s.role,
            dims=dims_text(model, s.shape),
            domain=domain_text(s),
            mark=by.kind if by else None,
            beta=temperature_text(by.beta) if by and by.beta is not None else None,
        )
    for s in model.role("param"):
        graph.add_node(
            f"parameter {s.name}",
            kind="parameter",
            label=s.name,
            dims=dims_text(model, s.shape),
            domain=domain_text(s),
        )
    reader = Reader(graph, lambda shape: dims_text(model, shape))
    for i, term in enumerate(model.terms):
        graph.add_node(f"energy {i}", kind="energy", label=term.text, term=i)
        reader.connect(f"energy {i}", term.node)
    answers = dict(model.amortised)
    if model.generated is not None and model.shaped is not None:
        answers[model.shaped.name] = model.generated  # negative samples of what is observed
    for name, encoder in answers.items():
        for source, shape in reader.feeds(encoder).inputs.items():
            graph.add_edge(source, f"variable {name}", relation="infers", dims=dims_text(model, shape))
    for a in model.answers:
        for s in (s for s in model.role("observed") if s in a.energy.symbols):
            graph.add_edge(
                f"variable {s.name}", f"variable {a.latent.name}", relation="infers", dims=dims_text(model, s.shape)
            )
    return graph


def dims_text(model: Model, shape: tuple[Dim, ...]) -> str:
    """``M = 144``, ``K × 28 × 28``; empty for a number."""
    if len(shape) == 1:
        (d,) = shape
        size = model.size(d)
        return str(d) if isinstance(d, int) or size is None else f"{d} = {size}"
    return " × ".join(str(d if isinstance(d, int) or model.size(d) is None else model.size(d)) for d in shape)


def domain_text(symbol: Symbol) -> str:
    """The domain in the shortest words that say it; empty for real numbers."""
    domain = symbol.domain
    if domain.kind == "real":
        return ""
    signs = [s for s in domain.row.spellings if s[0] in "{>"]
    if signs:
        return signs[0].replace(">=", "≥")
    return str(domain)


def temperature_text(beta: Node) -> str:
    """``β = 1``; ``β = 2`` as well where a constant of that name stands there."""
    text = number_text(beta)
    return text if text.startswith("β") else f"β = {text}"


def caption(model: Model) -> str:
    """``F(y) = min_z E(y, z)``: what the picture's energies add up to."""
    observed = [s.name for s in model.role("observed")]
    held = {s for t in model.terms for s in t.node.symbols}
    rest = [s.name for s in model.role("latent", "noise") if s.role == "latent" or s in held]
    energy = f"{model.energy_name}({', '.join(observed + rest)})"
    if model.answers:
        answers = (
            f"{a.latent.name} = argmin_{a.latent.name} {' + '.join(t.text for t in a.terms)}" for a in model.answers
        )
        return f"{energy}, {', '.join(answers)}".replace("+ -", "- ")
    if not model.eliminations:
        return energy if rest or not observed else f"{model.free_energy_name}({', '.join(observed)})"
    words = []
    for e in model.eliminations:
        beta = f"[{temperature_text(e.beta)}]" if e.beta is not None else ""
        words.append(f"{e.kind}_{','.join(s.name for s in e.latents)}{beta}")
    return f"{model.free_energy_name}({', '.join(observed)}) = {' '.join(words)} {energy}"
