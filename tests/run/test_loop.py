from __future__ import annotations

import json
import os
import signal
import threading

import numpy as np
import pytest
import torch

from ebdsl.diagnostics import SpecError
from ebdsl.run import checkpoint, train
from ebdsl.run.batches import permutation
from ebdsl.run.folder import Folder
from ebdsl.run.health import EARLY, RUNAWAY, Record, Watch
from ebdsl.run.loop import Position, to_host
from ebdsl.run.metrics import read_lines
from ebdsl.run.options import Options
from ebdsl.run.session import session

OPTIONS = Options(epochs=4, batch=16, device="cpu")


class Scripted:
    """A learner whose energies are known beforehand; ``seen`` are the batches it got."""

    def __init__(self, energies, full_batch: bool = False, hook=lambda step: None) -> None:
        self.energies, self.full_batch, self.hook = energies, full_batch, hook
        self.seen: list[torch.Tensor] = []
        self.converged = False

    def start(self, data) -> None: ...

    def step(self, batch):
        self.seen.append(batch["y"].clone())
        at = len(self.seen)
        self.hook(at)
        value = torch.tensor(float(self.energies(at)))
        return {"energy": value, "energy/||y - W z||^2": value - 1, "energy/λ|z|": torch.tensor(1.0)}

    def state_dict(self):
        return {}

    def load_state_dict(self, state) -> None: ...


def scripted(program, arrays, learner, options=OPTIONS):
    live = session(program, arrays, options)
    live.learner = learner
    return live


def test_an_epoch_sees_every_sample_once_in_the_order_of_the_seed(program, arrays) -> None:
    learner = Scripted(lambda step: 1.0)
    train.go(scripted(program, arrays, learner), None, train.Report())
    assert [len(b) for b in learner.seen] == [16, 16, 16, 16, 6] * 4
    for epoch in range(4):
        got = torch.cat(learner.seen[5 * epoch : 5 * epoch + 5])
        assert np.array_equal(got.numpy(), arrays["y"][permutation(70, 0, epoch).numpy()])


def test_full_batch_sees_all_samples_in_their_order_and_stops_when_it_converged(program, arrays) -> None:
    def settle(step: int) -> None:
        learner.converged = step == 8

    learner = Scripted(lambda step: max(5 - step, 0), full_batch=True, hook=settle)
    live = scripted(program, arrays, learner, Options(epochs=100, device="cpu"))
    outcome = train.go(live, None, train.Report())
    assert outcome.ending == "converged"
    assert len(learner.seen) == live.position.step == 8
    assert all(np.array_equal(b.numpy(), arrays["y"]) for b in learner.seen)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_an_energy_that_is_no_number_stops_the_run_and_names_the_term(tmp_path, program, arrays, value) -> None:
    folder = Folder(tmp_path)
    folder.write_facts({})
    live = scripted(program, arrays, Scripted(lambda step: value if step == 8 else 1.0))
    with pytest.raises(SpecError) as error:
        train.go(live, folder, train.Report(), fresh=True)
    (found,) = error.value.diagnostics
    assert found.code == "EB0703"
    assert "||y - W z||^2" in found.message and "step 8 of epoch 2" in found.message
    text = program.source.text
    assert text[found.labels[0].span.start : found.labels[0].span.end] == "||y - W z||^2"
    assert "step-0000000" in found.help[-1]
    assert [c.name for c in checkpoint.found(folder.checkpoints)] == ["step-0000000.safetensors"]
    assert folder.facts()["status"] == "failed"
    rows = read_lines(folder.metrics)
    assert rows[-1]["step"] == 8 and rows[-1]["energy"] is None
    for line in folder.metrics.read_text().split("\n")[:-1]:
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_parameter_that_is_no_number_is_never_saved(tmp_path, program, arrays) -> None:
    folder = Folder(tmp_path)
    folder.write_facts({})
    live = scripted(program, arrays, Scripted(lambda step: 1.0))

    def poison(step: int) -> None:
        if step == 20:
            live.network.W.data[0, 0] = float("nan")

    live.learner.hook = poison
    with pytest.raises(SpecError) as error:
        train.go(live, folder, train.Report(), fresh=True)
    assert error.value.diagnostics[0].code == "EB0703" and "W" in error.value.diagnostics[0].message
    assert torch.isfinite(checkpoint.newest(folder.checkpoints)[0].tensors["model.W"]).all()


@pytest.mark.parametrize(("sign", "word"), [(1, "grew"), (-1, "fell")])
def test_an_energy_that_runs_away_stops_the_run_though_it_is_finite(program, arrays, sign, word) -> None:
    live = scripted(
        program, arrays, Scripted(lambda step: sign * 3.0**step), Options(epochs=40, batch=16, device="cpu")
    )
    with pytest.raises(SpecError) as error:
        train.go(live, None, train.Report())
    (found,) = error.value.diagnostics
    assert found.code == "EB0704" and word in found.message and "||y - W z||^2" in found.message


def test_an_ordinary_descent_does_not_alarm(program) -> None:
    watch = Watch(program.model)
    for step in range(1, 200):
        watch.look(Record(step, 0, 0.0, {"energy": 1e4 * 0.9**step}))
        watch.look(Record(step, 0, 0.0, {"energy": -(RUNAWAY / 2) if step > EARLY else 1e4}))


def test_interrupting_finishes_the_step_and_keeps_it(tmp_path, program, arrays) -> None:
    folder = Folder(tmp_path)
    folder.write_facts({})

    def press(step: int) -> None:
        if step == 7:
            signal.raise_signal(signal.SIGINT)

    live = scripted(program, arrays, Scripted(lambda step: 1.0, hook=press))
    before = signal.getsignal(signal.SIGINT)
    outcome = train.go(live, folder, train.Report(), fresh=True)
    assert outcome.ending == "interrupted" and outcome.signal == signal.SIGINT
    assert checkpoint.found(folder.checkpoints)[0].name == "step-0000007.safetensors"
    assert folder.facts()["status"] == "interrupted"
    assert signal.getsignal(signal.SIGINT) is before
    assert [row["step"] for row in read_lines(folder.metrics) if "energy" in row] == list(range(1, 8))


def test_a_second_interrupt_is_obeyed_at_once(program, arrays) -> None:
    def press(step: int) -> None:
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    live = scripted(program, arrays, Scripted(lambda step: 1.0, hook=press))
    with pytest.raises(KeyboardInterrupt):
        train.go(live, None, train.Report())


def test_training_runs_outside_the_main_thread(program, arrays) -> None:
    endings = []
    live = session(program, arrays, OPTIONS)
    thread = threading.Thread(target=lambda: endings.append(train.go(live, None, train.Report(), fresh=True).ending))
    thread.start()
    thread.join()
    assert endings == ["finished"]


def test_held_out_samples_are_not_trained_on_and_leave_no_trace(tmp_path, program, arrays) -> None:
    learner = Scripted(lambda step: 1.0)
    live = scripted(program, arrays, learner, Options(epochs=1, batch=100, holdout=0.2, device="cpu"))
    state = torch.get_rng_state()
    train.go(live, None, train.Report())
    assert torch.equal(torch.get_rng_state(), state)
    seen = {tuple(row.tolist()) for row in learner.seen[0]}
    held = {tuple(row.tolist()) for row in live.held_out.all()["y"]}
    assert len(seen) == 56 and len(held) == 14 and not seen & held
    expected = live.network.free_energy(live.held_out.all()["y"]).mean().item()
    assert live.position.held_out == pytest.approx(expected, rel=1e-6)


def test_too_few_samples(program) -> None:
    for n, share in ((0, 0.0), (1, 0.5)):
        with pytest.raises(SpecError) as error:
            session(program, {"y": np.zeros((n, 6))}, Options(holdout=share, device="cpu"))
        assert error.value.diagnostics[0].code == "EB0720"


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("raise torch.linalg.LinAlgError('singular')", "EB0713"),
        ("raise MemoryError", "EB0712"),
        ("torch.zeros(2) + torch.zeros(3)", "EB0722"),
    ],
)
def test_what_torch_throws_is_told_in_the_terms_of_the_spec(program, arrays, fault, code) -> None:
    from tests.run.toy import toy

    text = program.text.replace(
        "        z = self.model.infer(batch",
        f"        # ||y - W z||^2\n        {fault}\n        z = self.model.infer(batch",
    )
    assert text != program.text
    live = session(toy(text), arrays, OPTIONS)
    with pytest.raises(SpecError) as error:
        train.go(live, None, train.Report(), fresh=True)
    (found,) = error.value.diagnostics
    assert found.code == code and "step 1" in found.message
    span = found.labels[0].span
    assert program.source.text[span.start : span.end] == "||y - W z||^2"


def test_a_fault_of_ours_is_not_dressed_up(program, arrays) -> None:
    class Broken(Scripted):
        def step(self, batch):
            raise ZeroDivisionError("in the test")

    with pytest.raises(ZeroDivisionError):
        train.go(scripted(program, arrays, Broken(None)), None, train.Report())


def test_metrics_come_over_together() -> None:
    rows = [(step, 0, 0.5, {"energy": torch.tensor(step * 1.5), "energy/a": torch.tensor(0.25)}) for step in (1, 2)]
    assert [r.values for r in to_host(rows)] == [{"energy": 1.5, "energy/a": 0.25}, {"energy": 3.0, "energy/a": 0.25}]
    assert to_host([]) == []


def test_a_finished_run_has_nothing_more_to_do(program, arrays) -> None:
    live = session(program, arrays, OPTIONS)
    live.position = Position(step=20)
    assert train.go(live, None, train.Report()).ending == "finished"
    assert live.position.step == 20
