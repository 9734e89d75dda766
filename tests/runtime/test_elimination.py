"""Elimination against all states tried, on random graphs of few variables; its time on a long chain."""

from __future__ import annotations

import cProfile
import itertools
import math

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ebdsl.runtime.elimination import eliminate, elimination_order, part_posteriors


@st.composite
def graphs(draw):
    """Numbers of states, scopes of one to three variables (perhaps one twice), β and a seed."""
    counts = draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    sites = st.integers(0, len(counts) - 1)
    scopes = draw(st.lists(st.lists(sites, min_size=1, max_size=3), min_size=1, max_size=6))
    return counts, scopes, draw(st.floats(0.2, 3)), draw(st.integers(0, 999))


@settings(max_examples=60, deadline=None)
@given(graphs())
def test_against_all_states(graph) -> None:
    counts, scopes, beta, seed = graph
    rng = np.random.default_rng(seed)
    scopes = [*scopes, *([k] for k in range(len(counts)))]
    tables = [torch.as_tensor(rng.standard_normal((2, 1, *(counts[s] for s in scope)))) for scope in scopes]
    places = [[tuple((s,) for s in scope)] for scope in scopes]
    states = list(itertools.product(*map(range, counts)))
    energies = np.array(
        [[sum(float(t[(b, 0, *(x[s] for s in c))]) for t, c in zip(tables, scopes, strict=True)) for x in states]
         for b in range(2)]
    )  # fmt: skip
    low, chosen = eliminate(tables, places, None)
    free, shares = part_posteriors(tables, places, beta)
    for b in range(2):
        best = states[int(energies[b].argmin())]
        assert math.isclose(float(low[b]), energies[b].min(), rel_tol=1e-9, abs_tol=1e-9)
        assert tuple(int(chosen[s,][b]) for s in range(len(counts))) == best
        total = np.logaddexp.reduce(-beta * energies[b])
        assert math.isclose(float(free[b]), -total / beta, rel_tol=1e-9, abs_tol=1e-9)
        weights = np.exp(-beta * energies[b] - total)
        for scope, share in zip(scopes, shares, strict=True):
            expected = np.zeros(share[b, 0].shape)
            for x, w in zip(states, weights, strict=True):
                expected[tuple(x[s] for s in scope)] += w
            np.testing.assert_allclose(share[b, 0].numpy(), expected, atol=1e-9)


def chain(length: int) -> tuple[list[torch.Tensor], list]:
    generator = torch.Generator().manual_seed(1)
    pairs = torch.rand(1, length - 1, 4, 4, generator=generator, dtype=torch.float64)
    alone = torch.rand(3, length, 4, generator=generator, dtype=torch.float64)
    return [pairs, alone], [[((t,), (t + 1,)) for t in range(length - 1)], [((t,),) for t in range(length)]]


def test_a_chain_takes_time_in_proportion_to_its_length() -> None:
    """One variable after the other, in small tables: 16 times the length, about 16 times the calls."""
    spent = []
    for length in (250, 4000):
        tables, places = chain(length)
        with cProfile.Profile() as profile:
            eliminate(tables, places, 1.0)
        spent.append(sum(entry.callcount for entry in profile.getstats()))
    assert spent[1] < 20 * spent[0]


def test_leaves_go_first() -> None:
    star = [((0,), (k,)) for k in range(1, 6)]
    order = elimination_order(star)
    assert order.index((0,)) >= 4 and len(order) == 6
