"""Reduced and raw forms are the same flow; diffrax agrees with both."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest
from problems import CLUSTERS, NETWORKS, problem, relative

from jaxbias._checks import InputError
from jaxbias.dynamics import Adaptive, FixedStep, GradientFlow, solve
from jaxbias.dynamics.reference import reference
from jaxbias.networks import PReLU, ReLU, TwoLayer, balanced
from jaxbias.networks.weights import predict

TIME = 30.0


def end(problem, form, step=0.05, time=TIME):
    run = jax.jit(lambda p: solve(p, [time], {}, FixedStep("rk4", step), form))(problem)
    assert run.finished
    assert run.form == form
    return run.final, predict(run.final, run.activation, problem.dataset.inputs)


@pytest.mark.parametrize("name", NETWORKS)
def test_reduced_equals_raw_on_the_same_steps(name, dtype):
    given = problem(name, dtype)
    reduced, f_reduced = end(given, "reduced")
    raw, f_raw = end(given, "raw")
    # At degree 1 and for powers the reduction commutes with every Runge-Kutta step;
    # otherwise it uses a conserved law, kept to the integrator's error (order 4).
    exact = given.activation.degree == 1 or not given.activation.normalised
    tolerance = 1e-10 if exact else 1e-5
    if dtype == "float32":
        # 2,400 evaluations of rounding 6e-8 each.
        tolerance = 2e-4
    assert relative(f_reduced, f_raw) < tolerance
    assert relative(reduced.hidden, raw.hidden) < 100 * tolerance
    if given.initial.hidden_bias is not None:
        assert relative(reduced.hidden_bias, raw.hidden_bias) < 100 * tolerance
        assert float(jnp.abs(raw.hidden_bias).max()) > 1e-3


@pytest.mark.parametrize(("exponent", "bound"), [(1, 1e-10), (3, 1e-8)])
def test_reduced_equals_raw_at_workload_size(exponent, bound):
    activation = ReLU() if exponent == 1 else PReLU(exponent)
    clusters = dataclasses.replace(CLUSTERS, dim=120, clusters=10, positive=6)
    flow = GradientFlow(TwoLayer(60, activation, balanced(1e-7)), clusters, 100)
    given = flow.problem(jax.random.key(0))
    _, f_reduced = end(given, "reduced", step=0.1, time=120.0)
    _, f_raw = end(given, "raw", step=0.1, time=120.0)
    assert float(jnp.abs(f_raw).max()) > 1e-5
    assert relative(f_reduced, f_raw) < bound


def test_the_gap_of_the_balance_law_closes_at_fourth_order():
    given = problem("prelu3")
    gaps = []
    for step in (0.2, 0.1):
        _, f_reduced = end(given, "reduced", step=step)
        _, f_raw = end(given, "raw", step=step)
        gaps.append(relative(f_reduced, f_raw))
    assert gaps[0] / gaps[1] > 10


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("prelu3", "raw"),
        ("prelu2.5", "reduced"),
        ("prelu3-unbalanced", "reduced"),
        ("prelu3-frozen", "reduced"),
        ("prelu3-biases", "reduced"),
        ("prelu3-classes", "reduced"),
    ],
)
def test_diffrax_agrees(name, form):
    given = problem(name)
    oracle = jax.tree.map(lambda a: a[0], reference(given, [TIME]))
    expected = predict(oracle, given.activation, given.dataset.inputs)
    run = jax.jit(lambda p: solve(p, [TIME], {}, Adaptive(1e-5), form))(given)
    assert run.finished
    outputs = predict(run.final, given.activation, given.dataset.inputs)
    assert relative(outputs, expected) < 2e-4


def test_diffrax_refuses_a_kink():
    with pytest.raises(InputError, match="order 1"):
        reference(problem("relu"), [1.0])


def test_noiseless_duplicates_are_harmless():
    clusters = dataclasses.replace(CLUSTERS, noise=0.0)
    flow = GradientFlow(TwoLayer(20, PReLU(3), balanced(1e-3)), clusters, 40)
    given = flow.problem(jax.random.key(1))
    reduced, f_reduced = end(given, "reduced")
    _, f_raw = end(given, "raw")
    assert bool(jnp.all(jnp.isfinite(reduced.hidden)))
    assert relative(f_reduced, f_raw) < 1e-8


def test_many_rows_run_raw():
    for rows, form in ((16, "reduced"), (20, "raw")):
        flow = GradientFlow(TwoLayer(4), dataclasses.replace(CLUSTERS, dim=8), rows)
        run = solve(flow.problem(jax.random.key(0)), [1.0], {})
        assert run.form == form


def test_padding_changes_no_number():
    flow = GradientFlow(TwoLayer(12, PReLU(3), balanced(1e-3)), CLUSTERS, 40)
    key = jax.random.key(2)
    plain = solve(flow.problem(key), [TIME], {})
    padded = solve(flow.problem(key, padded=20), [TIME], {})
    assert relative(padded.final.hidden[:12], plain.final.hidden) < 1e-12
    assert float(jnp.abs(padded.final.hidden[12:]).max()) == 0.0
    assert int(padded.statistics["accepted"]) == int(plain.statistics["accepted"])
