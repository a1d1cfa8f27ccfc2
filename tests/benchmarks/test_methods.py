"""Every method solves the problem it is timed on."""

import dataclasses
import importlib
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.benchmarks import names
from jaxbias.benchmarks.baselines import diffrax_reduced, diffrax_weights, torch_recipe
from jaxbias.benchmarks.flows import LOSS_TARGET, TARGET, worst_error
from jaxbias.benchmarks.ours import CHOSEN, prepare, tight
from jaxbias.benchmarks.prepared import Trained
from jaxbias.benchmarks.workloads import workload
from jaxbias.dynamics import Descent, descend
from jaxbias.networks import PReLU, ReLU
from jaxbias.networks.weights import predict

SEEDS = (0, 1)


def _outputs(load, prepared):
    answer = prepared.run()
    assert answer.finished
    assert answer.evaluations > 1
    return load.outputs(SEEDS, answer.solution)


def test_ours_errs_less_at_a_tighter_tolerance(small):
    exact = _outputs(small, tight(small, SEEDS))
    default, tighter = (
        prepare(small, SEEDS, {**CHOSEN["a"], "tolerance": times})
        for times in (1.0, 0.1)
    )
    assert default.compile_seconds > 0
    # At these sizes the error is up to twice that of the workloads themselves.
    error = worst_error(_outputs(small, default), exact)
    assert 0 < error < 3 * TARGET
    assert 0 < worst_error(_outputs(small, tighter), exact) < min(error, TARGET)


@pytest.mark.parametrize(
    ("small", "module", "setting"),
    [
        # At p = 1 samples cross kinks: tight tolerances would take too many steps.
        ("S-p1", diffrax_weights, {"solver": "Dopri5", "rtol": 0.03}),
        ("S-p3", diffrax_weights, {"solver": "Dopri5", "rtol": 1e-3}),
        ("S-p1", diffrax_reduced, {"solver": "Bosh3", "rtol": 0.03, "norm": "output"}),
        ("S-p3", diffrax_reduced, {"solver": "Bosh3", "rtol": 1e-3, "norm": "output"}),
        ("S-p3", diffrax_reduced, {"solver": "Tsit5", "rtol": 1e-3, "norm": "all"}),
    ],
    indirect=["small"],
)
def test_diffrax_agrees_with_our_reference(small, module, setting):
    exact = _outputs(small, tight(small, SEEDS))
    found = _outputs(small, module.prepare(small, SEEDS, setting))
    assert worst_error(found, exact) < 3 * TARGET


def test_a_tolerance_out_of_reach_is_told_as_unfinished(small):
    setting = {"solver": "Heun", "rtol": 1e-9}
    assert not diffrax_weights.prepare(small, SEEDS, setting).run().finished


def test_the_torch_recipe_is_gradient_descent_where_a_batch_is_everything(small):
    pytest.importorskip("torch")
    load = dataclasses.replace(small, horizon=4.0)
    answer = torch_recipe.prepare(load, SEEDS, {"rate": 0.2}).run()
    assert answer.finished
    problems = load.problems(SEEDS, "float32")
    for place in range(len(SEEDS)):
        problem = jax.tree.map(lambda leaf, at=place: leaf[at], problems)
        ours = descend(problem, Descent(0.2), [20], key=jax.random.key(0)).final
        scale = float(jnp.max(jnp.abs(ours.hidden)))
        np.testing.assert_allclose(
            answer.solution.hidden[place], ours.hidden, atol=2e-5 * scale
        )


def test_every_method_records_the_loss_of_the_same_flow(small):
    """Ours, the reference and diffrax; under rule b ours keeps its promise."""
    exact = tight(small, SEEDS).run()
    assert exact.losses.shape == (2, len(small.times)) == (2, 50)
    # Of the first saved times the initial loss is known: no output yet, exp(0).
    np.testing.assert_allclose(exact.losses[:, 0], 1.0, atol=1e-4)
    ours = prepare(small, SEEDS, CHOSEN["b"], record=True).run()
    assert small.loss_error(ours.losses, exact.losses) < LOSS_TARGET
    setting = {"solver": "Bosh3", "rtol": 1e-3, "norm": "output"}
    reduced = diffrax_reduced.prepare(small, SEEDS, setting, record=True).run()
    assert small.loss_error(reduced.losses, exact.losses) < 0.05
    # The last loss is that of the weights that are handed back.
    problems = small.problems(SEEDS, "float32")
    for place in range(len(SEEDS)):
        problem = jax.tree.map(lambda leaf, at=place: leaf[at], problems)
        for answer in (ours, reduced):
            hidden, output = (np.asarray(a[place]) for a in answer.solution)
            weights = dataclasses.replace(
                problem.initial, hidden=jnp.asarray(hidden), output=jnp.asarray(output)
            )
            outputs = predict(weights, small.activation, problem.dataset.inputs)
            loss = np.mean(np.exp(-np.asarray(problem.dataset.labels * outputs)))
            np.testing.assert_allclose(answer.losses[place, -1], loss, rtol=1e-3)


def test_the_worst_time_of_the_worst_seed_decides_of_the_loss(small):
    exact = np.array([[1.0, 0.5], [1.0, 1e-3]])
    moved = exact * np.array([[1.0, 1.01], [1.0, 0.98]])
    assert small.loss_error(moved, exact) == pytest.approx(0.02)
    assert small.loss_error(moved[:1], exact) == pytest.approx(0.01)
    assert small.loss_error(np.full((2, 2), np.nan), exact) == math.inf


def test_the_recipe_is_scaled_by_seeds_and_steps(small):
    pytest.importorskip("torch")
    load = dataclasses.replace(small, horizon=20.0, seeds=4)
    seeds = tuple(range(4))
    whole = torch_recipe.prepare(load, seeds, {"rate": 0.2}, record=True)
    timed = torch_recipe.prepare(load, seeds, {"rate": 0.2})
    slow = torch_recipe.prepare(load, seeds, {"rate": 0.05})
    assert (whole.share, timed.share, slow.share) == pytest.approx((0.5, 0.5, 0.125))
    assert timed.scaled == "scaled from 2 of 4 seeds"
    assert slow.scaled == "scaled from 2 of 4 seeds and the steps at rate 0.2"
    found = whole.run()
    assert found.losses.shape == (2, 50)
    fast = torch_recipe.prepare(load, seeds, {"rate": 0.3}, record=True)
    assert fast.run().losses.shape == (2, 50), "steps need not end at saved times"
    assert slow.run().evaluations == 4 * timed.run().evaluations
    np.testing.assert_allclose(found.losses[:, 0], 1.0, atol=1e-4)


def test_single_precision_solves_the_problem_of_the_reference(small):
    low, high = (small.problems(SEEDS, dtype) for dtype in ("float32", "float64"))
    rows = low.dataset.inputs, high.dataset.inputs
    np.testing.assert_allclose(*rows, atol=1e-6)
    np.testing.assert_allclose(low.initial.hidden, high.initial.hidden, rtol=1e-5)
    assert not np.allclose(rows[1][0], rows[1][1]), "seeds share their data"


def test_outputs_are_the_network_on_rows_it_was_not_trained_on(small):
    problems = small.problems(SEEDS, "float64")
    weights = jax.tree.map(lambda leaf: leaf[0], problems.initial)
    found = small.outputs(SEEDS[:1], Trained([weights.hidden], [weights.output]))
    assert found.shape == (1, 1000)
    key = jax.random.key(10_000)
    fresh = small.clusters.sample(1000, key=key, dtype="float64")
    unit = ReLU() if small.exponent == 1 else PReLU(small.exponent)
    np.testing.assert_allclose(found[0], predict(weights, unit, fresh.inputs))


def test_the_worst_seed_decides():
    exact = np.array([[3.0, 4.0], [1.0, 0.0]])
    moved = exact + np.array([[0.0, 0.5], [0.02, 0.0]])
    assert worst_error(moved, exact) == pytest.approx(0.1)
    assert worst_error(moved[1:], exact[1:]) == pytest.approx(0.02)
    assert worst_error(np.full((2, 2), np.nan), exact) == math.inf


def test_settings_are_not_chosen_where_they_are_measured():
    for name in names.FLOWS:
        load = workload(name)
        assert len(load.tuning_seeds) == len(load.seeds_measured) == load.seeds
        assert not set(load.tuning_seeds) & set(load.seeds_measured)


def test_the_names_lead_to_methods():
    assert set(names.METHODS) == set(names.BENCHMARKS)
    used = {method for methods in names.METHODS.values() for method in methods}
    assert used == {"ours", *names.BASELINES}
    for name, methods in names.METHODS.items():
        assert workload(name).name == name
        assert next(iter(methods)) == "ours"
        for path in methods.values():
            module = importlib.import_module(path)
            assert callable(module.prepare)
            tuned = module.CHOSEN is None
            if name in names.RADII:
                assert module.CHOSEN
                continue
            for rule in workload(name).rules:
                settings = sum(module.LADDERS, ()) if tuned else module.SETTINGS[rule]
                assert tuned or module.CHOSEN[rule] in settings
                assert len(settings) >= 3


def test_a_ladder_goes_from_loose_to_tight():
    for module in (torch_recipe, diffrax_weights, diffrax_reduced):
        name = "rate" if module is torch_recipe else "rtol"
        for ladder in module.LADDERS:
            tolerances = [setting[name] for setting in ladder]
            assert tolerances == sorted(tolerances, reverse=True)


def test_a_typo_offers_the_name_that_was_meant():
    with pytest.raises(InputError, match="S-p1"):
        workload("S-p-1")
