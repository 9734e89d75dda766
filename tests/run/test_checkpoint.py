from __future__ import annotations

import errno
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from ebdsl.diagnostics import SpecError
from ebdsl.run import checkpoint, files

STATE = {
    "model.W": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
    "learner.count": torch.tensor(7),
    "rng.cpu": torch.get_rng_state(),
    "model.empty": torch.zeros(0, 2),
    "model.flag": torch.tensor([True, False]),
    "model.double": torch.randn(2, dtype=torch.float64),
}


def test_what_is_written_is_read_to_the_bit(tmp_path) -> None:
    path = checkpoint.write(tmp_path / "c", 3, STATE, {"spec": "λ|z|", "position": {"step": 3}})
    back = checkpoint.read(path)
    assert back.facts == {"spec": "λ|z|", "position": {"step": 3}}
    assert back.tensors.keys() == STATE.keys()
    assert all(torch.equal(back.tensors[k], v) and back.tensors[k].dtype == v.dtype for k, v in STATE.items())
    assert set(back.part("model")) == {"W", "empty", "flag", "double"}


def test_shared_and_transposed_tensors_can_be_written(tmp_path) -> None:
    w = torch.randn(3, 4)
    back = checkpoint.read(checkpoint.write(tmp_path, 0, {"model.a": w, "model.b": w, "model.t": w.T}, {}))
    assert torch.equal(back.tensors["model.t"], w.T) and torch.equal(back.tensors["model.b"], w)


def test_the_last_two_are_kept_and_nothing_else_is_left(tmp_path) -> None:
    for step in (0, 5, 12, 9_999_999, 10_000_000):
        checkpoint.write(tmp_path, step, STATE, {})
    assert [p.name for p in checkpoint.found(tmp_path)] == ["step-10000000.safetensors", "step-9999999.safetensors"]
    assert len(list(tmp_path.iterdir())) == 2


def damage(path, how: str) -> None:
    data = path.read_bytes()
    body = 8 + int.from_bytes(data[:8], "little")
    flipped = bytearray(data)
    flipped[body + 5] ^= 1
    path.write_bytes(
        {
            "empty": b"",
            "one byte": data[:1],
            "half": data[: len(data) // 2],
            "one byte short": data[:-1],
            "bit flipped": bytes(flipped),
            "junk": bytes(range(256)) * 40,
            "text": b"hello",
        }[how]
    )


@pytest.mark.parametrize("how", ["empty", "one byte", "half", "one byte short", "bit flipped", "junk", "text"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(tmp_path, how: str) -> None:
    checkpoint.write(tmp_path, 1, STATE, {"n": 1})
    damage(checkpoint.write(tmp_path, 2, STATE, {"n": 2}), how)
    found, warnings = checkpoint.newest(tmp_path)
    assert found is not None and found.facts == {"n": 1}
    assert [w.code for w in warnings] == ["EB0706"] and "step-0000002" in warnings[0].message
    damage(tmp_path / "step-0000001.safetensors", how)
    with pytest.raises(SpecError) as error:
        checkpoint.newest(tmp_path)
    assert error.value.diagnostics[0].code == "EB0705"


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"format": "other"},
        {"format": checkpoint.FORMAT},
        {"format": checkpoint.FORMAT, "facts": "[]", "checksums": "{}"},
        {"format": checkpoint.FORMAT, "facts": "[" * 100_000, "checksums": "{}"},
        {"format": checkpoint.FORMAT, "facts": "{}", "checksums": json.dumps({"a": 1, "b": 2})},
    ],
)
def test_a_strangers_safetensors_file_is_refused(tmp_path, header) -> None:
    save_file({"a": torch.zeros(2)}, tmp_path / "step-0000001.safetensors", metadata=header)
    with pytest.raises(SpecError) as error:
        checkpoint.newest(tmp_path)
    assert error.value.diagnostics[0].code == "EB0705"


def test_no_checkpoint_is_no_error(tmp_path) -> None:
    assert checkpoint.newest(tmp_path) == (None, ())
    (tmp_path / "step-abc.safetensors").touch()
    (tmp_path / ".step-0000007.safetensors.12.part").touch()
    assert checkpoint.newest(tmp_path) == (None, ())


@pytest.mark.parametrize(
    ("number", "code"), [(errno.ENOSPC, "EB0808"), (errno.EACCES, "EB0807"), (errno.EROFS, "EB0807")]
)
def test_a_failing_disk_keeps_what_was_there(tmp_path, monkeypatch, number: int, code: str) -> None:
    checkpoint.write(tmp_path, 1, STATE, {"n": 1})

    def full(path) -> None:
        raise OSError(number, "the system says so")

    monkeypatch.setattr(files, "sync", full)
    with pytest.raises(SpecError) as error:
        checkpoint.write(tmp_path, 2, STATE, {"n": 2})
    assert error.value.diagnostics[0].code == code
    assert [p.name for p in tmp_path.iterdir()] == ["step-0000001.safetensors"]
    assert checkpoint.newest(tmp_path)[0].facts == {"n": 1}


def test_restoring_checks_names_shapes_and_types(tmp_path) -> None:
    target = {"W": torch.zeros(3, 4)}
    checkpoint.restore({"W": torch.ones(3, 4)}, target, tmp_path, "model")
    typed = [{"W": torch.ones(3, 4, dtype=d)} for d in (torch.complex64, torch.int32, torch.float64)]
    for wrong in ({}, {"W": torch.ones(4, 3)}, {"W": torch.ones(3, 4), "V": torch.ones(1)}, *typed):
        with pytest.raises(SpecError) as error:
            checkpoint.restore(wrong, target, tmp_path, "model")
        assert error.value.diagnostics[0].code == "EB0705"


def test_checksum_sees_every_byte() -> None:
    values = np.zeros(100, dtype=np.float32)
    sums = set()
    for i in range(400):
        raw = bytearray(values.tobytes())
        raw[i] = 1
        sums.add(checkpoint.checksum(torch.frombuffer(raw, dtype=torch.float32)))
    assert len(sums) == 400
