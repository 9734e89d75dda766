"""Kernels of generated files broken on purpose, one fault each: the differential tests have to catch them all.

A mutant is a spec of the corpus, a piece of its generated text, and what stands there instead. The tests of
``tests/emit`` run on the broken file; a mutant that passes all of them is a hole in these tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from tests.emit import compiled, test_averages, test_inference, test_learning, test_values

MODULES = (test_values, test_averages, test_inference, test_learning)
ENERGY = (test_values.test_terms_and_energy,)
STATES = (test_values.test_energies_of_all_states, test_values.test_responsibilities)
INFERENCE = (
    test_inference.test_answer_is_in_its_domain_and_nothing_near_is_lower,
    test_inference.test_converged,
    test_inference.test_certified,
    test_inference.test_samples_do_not_touch_each_other,
    test_inference.test_residuals_of_splitting_are_no_smaller_than_the_truth,
    test_inference.test_residuals_are_measured,
    test_inference.test_parameters_may_change,
)
LEARNING = (
    test_learning.test_exact_learning_lowers_the_energy,
    test_learning.test_first_exact_step_on_a_batch,
    test_learning.test_the_first_exact_step_is_all_but_a_minimum,
    test_learning.test_learning_comes_to_rest,
    test_learning.test_a_global_minimum_is_one,
    test_learning.test_gradients,
)
INTEGRALS = (test_averages.test_gaussian_integrals, test_averages.test_gradient_of_the_free_energy)
Tests = tuple[Callable[[str], None], ...]


@dataclass(frozen=True)
class Mutant:
    """In the file of ``spec``, the ``place``-th ``old`` reads ``new``."""

    fault: str
    spec: str
    old: str
    new: str
    tests: Tests
    place: int = 0

    @property
    def id(self) -> str:
        return f"{self.spec}-{self.fault}".replace(" ", "_")

    def text(self, sound: str) -> str:
        places = [m.start() for m in re.finditer(re.escape(self.old), sound)]
        assert len(places) > self.place, f"{self.old!r} stands nowhere in the file of {self.spec}: choose another place"
        at = places[self.place]
        return sound[:at] + self.new + sound[at + len(self.old) :]


MUTANTS = [
    # energies
    Mutant("a step too long", "lasso", "inverse.mul_(-rho)", "inverse.mul_(-0.6 * rho)", INFERENCE),
    Mutant(
        "a residual of another sample",
        "lasso",
        "torch.where(better, residual, previous)",
        "torch.where(better, residual.flip(0), previous)",
        INFERENCE,
    ),
    Mutant(
        "an answer of another sample",
        "lasso",
        "answer[kept], residuals[kept], state[kept] = x[better],",
        "answer[kept], residuals[kept], state[kept] = x[better].flip(0),",
        INFERENCE,
    ),
    Mutant(
        "a gap not measured", "lasso", "residual = slope.abs().amax(1)", "residual = slope.abs().amin(1)", INFERENCE
    ),
    Mutant(
        "a gap after a try not measured",
        "lasso",
        "residual = slope.abs().amax(1)",
        "residual = slope.abs().amin(1)",
        INFERENCE,
        1,
    ),
    Mutant("a penalty that the gap lacks", "lasso", "add_(v - x, alpha=rho)", "add_(v - x, alpha=0)", INFERENCE),
    Mutant("a dropped 2", "two_codes", "0.1 * u.square()", "0.05 * u.square()", ENERGY),
    Mutant("a flipped sign", "two_codes", "- s).square()", "+ s).square()", ENERGY),
    Mutant("a wrong axis", "groups", "z.square().sum(-1).sqrt()", "z.square().sum(-2).sqrt()", ENERGY),
    Mutant("a root that is missing", "groups", "z.square().sum(-1).sqrt()", "z.square().sum(-1)", ENERGY),
    Mutant("a shift by two", "steps", "x[:, 1:] - x[:, :-1]", "x[:, 1:] - x[:, 1:]", ENERGY),
    # functions of sizes
    Mutant("a linear part halved", "counted", "linear = -2 *", "linear = -1 *", INFERENCE),
    Mutant("an answer of another sample", "counted", "found[0].append(x)", "found[0].append(x.flip(0))", INFERENCE),
    Mutant(
        "an answer of another sample", "roots_masked", "found[0].append(x)", "found[0].append(x.flip(0))", INFERENCE
    ),
    Mutant(
        "curvature of another sample", "roots_masked", "matrix[k : k + tile]", "matrix[k : k + tile].flip(0)", INFERENCE
    ),
    Mutant(
        "slopes with the wrong sign",
        "roots_masked",
        "torch.where(held, (slope + first)",
        "torch.where(held, (slope - first)",
        INFERENCE,
    ),
    # proximal gradient
    Mutant("a dropped 2", "elastic", "gram = 2 * (", "gram = (", INFERENCE),
    Mutant("a flipped sign", "elastic", "linear = -2 *", "linear = 2 *", INFERENCE),
    Mutant("a ridge that is missing", "elastic", "z = point\n", "z = 0.999 * point\n", INFERENCE),
    Mutant(
        "a stale invariant",
        "lasso",
        "gram = self.W.T @ self.W",
        'gram = self.__dict__.setdefault("kept", self.W.T @ self.W)',
        INFERENCE,
    ),
    Mutant(
        "a residual of another sample",
        "matrix_lasso",
        "residuals.index_copy_(0, rows, residual)",
        "residuals.index_copy_(0, rows, residual.flip(0))",
        INFERENCE,
    ),
    Mutant(
        "an answer of another sample",
        "matrix_lasso",
        "answer.index_copy_(0, rows, x)",
        "answer.index_copy_(0, rows.flip(0), x)",
        INFERENCE,
    ),
    Mutant("a residual too small", "matrix_lasso", ".amax(-1).div_(step)", ".amin(-1).div_(step)", INFERENCE),
    Mutant(
        "a threshold without its step",
        "matrix_lasso",
        "step[(...,) + (None,) * 1] * 0.3",
        "0.3",
        INFERENCE,
    ),
    Mutant(
        "a threshold of another sign",
        "lasso",
        "nn.functional.softshrink(v, t)",
        "nn.functional.hardshrink(v, t)",
        INFERENCE,
    ),
    Mutant("a step too long", "matrix_lasso", "step = 1 / float(largest", "step = 3 / float(largest", INFERENCE),
    Mutant("a dropped 2", "two_codes", "torch.cat((-2 * (y", "torch.cat((-1 * (y", INFERENCE),
    Mutant(
        "latents in each other's place",
        "two_codes",
        "s = point[:, self.K:]\n        return",
        "s = point[:, :-self.K]\n        return",
        INFERENCE,
    ),
    Mutant(
        "a wrong axis",
        "groups",
        "step[(...,) + (None,) * 1] * self.lam, (-1,)",
        "step[(...,) + (None,) * 1] * self.lam, (-2,)",
        INFERENCE,
    ),
    Mutant("a flipped sign", "groups", "linear = (-2 *", "linear = (2 *", INFERENCE),
    Mutant(
        "a filter that is not turned", "filters", "correlate(self.D, (-2", "correlate(self.D.flip(-1), (-2", INFERENCE
    ),
    Mutant(
        "a boundary forgotten", "steps", "gram = 2 * torch.eye(self.T_", "gram = 2.1 * torch.eye(self.T_", INFERENCE
    ),
    # finite latents
    Mutant("a dropped root", "full_mixture_min", "square_root(self.S)", "self.S", STATES[:1]),
    Mutant("a dropped 2", "prototypes_soft", "constant1.T, alpha=-2)", "constant1.T, alpha=-1)", STATES),
    Mutant("a wrong axis", "prototypes_soft", "self.W.square().sum(0)", "self.W.square().sum(0).flip(0)", STATES),
    Mutant(
        "a temperature forgotten",
        "prototypes_soft",
        "soft_states(scores, self.beta)",
        "soft_states(scores, 1.0)",
        STATES,
    ),
    Mutant(
        "a half", "diagonal_mixture", "-(0.5 * torch.log(self.tau).sum(-1))", "-torch.log(self.tau).sum(-1)", STATES
    ),
    # integrals
    Mutant("a flipped sign", "factor_model", "log_det + self.K", "-log_det + self.K", INTEGRALS),
    Mutant("an identity forgotten", "factor_model", "+ torch.eye(self.K", "+ 0 * torch.eye(self.K", INTEGRALS),
    # learning
    Mutant("a dropped 2", "elastic", "lerp_(2 * (z.T @ z)", "lerp_((z.T @ z)", LEARNING),
    Mutant(
        "a wrong axis", "elastic", "lambda x: normalise_columns(x), 1", "lambda x: normalise_columns(x), 0", LEARNING
    ),
    Mutant("a code of another sample", "elastic", "lerp_(-2 * (y.T @ z)", "lerp_(-2 * (y.flip(0).T @ z)", LEARNING),
    Mutant(
        "a term of the curvature forgotten",
        "steps",
        'self.statistics["w_linear"]).reshape',
        'self.statistics["w_linear"] * 0.5).reshape',
        LEARNING,
    ),
    Mutant("a flipped sign", "groups", "W_slope = (-2", "W_slope = (2", LEARNING),
    Mutant("samples not counted", "groups", ".permute(2, 0, 1) / samples", ".permute(2, 0, 1)", LEARNING),
    Mutant(
        "a flipped sign",
        "gaussian",
        "mu_before @ model.A) * samples) - 0.5",
        "mu_before @ model.A) * samples) + 0.5",
        LEARNING,
    ),
    Mutant("a mean not taken off", "gaussian", "residual.T @ residual", "y.T @ y", LEARNING),
    Mutant("a wrong axis", "projection", "leading_subspace(sums", "leading_subspace(-sums", LEARNING),
    Mutant(
        "slices pushed uphill",
        "lasso",
        "torch.where(used, -1 / curvature, 0)",
        "torch.where(used, 1 / curvature, 0)",
        LEARNING,
    ),
    Mutant(
        "a projection forgotten",
        "lasso",
        "return x / torch.linalg.vector_norm(x, dim=-2, keepdim=True)",
        "return x",
        LEARNING,
    ),
]


def caught(mutant: Mutant, patch: pytest.MonkeyPatch) -> str | None:
    """The first test that fails on the mutant."""
    sound = compiled.case(mutant.spec)
    text = mutant.text(sound.text)
    broken = replace(sound, text=text, module=compiled.load(text))
    for module in MODULES:
        patch.setattr(module, "case", lambda name: broken if name == mutant.spec else compiled.case(name))
    for test in mutant.tests:
        try:
            test(mutant.spec)
        except Exception:  # a crash is noticed too
            return test.__name__
    return None


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: m.id)
def test_mutants_are_caught(mutant: Mutant, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caught(mutant, monkeypatch) is not None


@pytest.mark.parametrize("spec", sorted({m.spec for m in MUTANTS}))
def test_the_same_tests_pass_on_sound_files(spec: str) -> None:
    for test in {t: None for m in MUTANTS if m.spec == spec for t in m.tests}:
        test(spec)
