from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ebdsl.run.batched import free_energies, inferences
from ebdsl.run.batches import Batches, batches, fingerprint, permutation, read, split
from tests.run.toy_generated import Inference

CPU = torch.device("cpu")


@given(st.integers(1, 200), st.integers(0, 2**40), st.integers(0, 1000))
@settings(deadline=None, max_examples=50)
def test_an_epochs_order_is_a_permutation_and_a_function_of_seed_and_epoch(n: int, seed: int, epoch: int) -> None:
    order = permutation(n, seed, epoch)
    assert sorted(order.tolist()) == list(range(n))
    assert torch.equal(order, permutation(n, seed, epoch))


def test_epochs_and_seeds_differ() -> None:
    orders = {tuple(permutation(50, seed, epoch).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


@given(st.integers(1, 300), st.floats(0, 0.9), st.integers(0, 100))
@settings(deadline=None, max_examples=50)
def test_split_parts_the_samples(n: int, share: float, seed: int) -> None:
    train, held = split(n, share, seed)
    assert sorted([*train.tolist(), *held.tolist()]) == list(range(n))
    assert len(held) == (0 if share == 0 else max(1, round(share * n)))


@pytest.mark.parametrize("kind", ["uint8", "float16", "float64", ">f4", ">i2", "uint16", "uint32", "int64", "bool"])
def test_reading_keeps_order_whatever_the_type(tmp_path, kind: str) -> None:
    values = (np.arange(24).reshape(8, 3) % 2).astype(kind)
    np.save(tmp_path / "y.npy", values)
    mapped = np.load(tmp_path / "y.npy", mmap_mode="r")
    rows = np.array([5, 0, 5, 7])
    got = read({"y": mapped}, rows, CPU, torch.float32)["y"]
    assert got.dtype == torch.float32
    assert np.array_equal(got.numpy(), values[rows].astype(np.float32))


def test_mapped_and_resident_samples_are_the_same(monkeypatch) -> None:
    arrays = {"y": np.random.default_rng(0).normal(size=(30, 4)), "x": np.arange(30.0).reshape(30, 1)}
    rows = torch.arange(0, 30, 2)
    resident = batches(arrays, rows, CPU, torch.float64)
    assert resident.tensors is not None
    monkeypatch.setattr("ebdsl.run.batches.free_memory", lambda device: 0)
    mapped = batches(arrays, rows, CPU, torch.float64)
    assert mapped.tensors is None
    index = permutation(len(rows), 1, 1)[:7]
    for a, b in ((resident.take(index), mapped.take(index)), (resident.all(), mapped.all())):
        assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    parts = [len(b["y"]) for b in mapped.slices(4)]
    assert parts == [4, 4, 4, 3]


def test_a_changed_sample_changes_the_fingerprint() -> None:
    values = np.zeros((10, 2))
    before = fingerprint({"y": values})
    assert fingerprint({"y": values.copy()}) == before
    values[7, 1] = 1e-9
    assert fingerprint({"y": values}) != before


def test_batches_len() -> None:
    assert len(Batches(torch.arange(3), CPU, torch.float32, {})) == 3


def test_who_is_given_answers_may_differentiate() -> None:
    """What certifies sums over states takes the derivative of their free energy."""
    data = batches({"y": np.ones((5, 2))}, torch.arange(5), CPU, torch.float64)
    network = SimpleNamespace(
        infer=lambda y: Inference({}, y.sum(1), y[:, 0], y[:, 0], y[:, 0] > 0), free_energy=lambda y: y.sum(1)
    )
    for _ in inferences(network, data, 2):
        assert torch.is_grad_enabled()
    for _ in free_energies(network, data, 2):
        assert torch.is_grad_enabled()
