"""What a gradient flow conserves, and flows that are solved in closed form."""

import dataclasses
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem, relative

from jaxbias import losses
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.data.dataset import Dataset
from jaxbias.dynamics import Adaptive, FixedStep, GradientFlow, Problem, solve
from jaxbias.networks import Power, PReLU, ReLU, TwoLayer, balanced
from jaxbias.networks.weights import Weights, predict
from jaxbias.theory import solvable


def conserved(weights, factor):
    norms = jnp.linalg.norm(weights.hidden, axis=1)
    return factor * weights.output**2 - norms**2


def unseen(given, weights):
    """P w |w|^(p-1) with P the projector off the span of the rows."""
    _, _, basis = jnp.linalg.svd(given.dataset.inputs, full_matrices=False)
    off = weights.hidden - (weights.hidden @ basis.T) @ basis
    p = given.activation.degree if given.activation.normalised else 1.0
    norms = jnp.linalg.norm(weights.hidden, axis=1)
    return off * (norms ** (p - 1))[:, None]


def drifts(name, integrator, time=25.0):
    given = problem(name)
    # From 1e-3, what no row sees ends at 1e-9 of the weights: rounding, not the flow.
    scale = 10 if given.activation.normalised else 1
    larger = lambda a: a if a.dtype == bool else scale * a
    given = dataclasses.replace(given, initial=jax.tree.map(larger, given.initial))
    run = jax.jit(lambda p: solve(p, [time], {}, integrator, "raw"))(given)
    assert run.finished
    p = given.activation.degree
    factor = 1.0 if given.activation.normalised else p
    change = conserved(run.final, factor) - conserved(given.initial, factor)
    size = run.final.output**2 + jnp.sum(run.final.hidden**2, axis=1)
    law = relative(unseen(given, run.final), unseen(given, given.initial))
    return float(jnp.max(jnp.abs(change) / size)), law


@pytest.mark.parametrize("name", ["prelu3", "prelu2.5", "power3", "prelu3-unbalanced"])
def test_conserved_quantities_at_tight_tolerance(name):
    balance, law = drifts(name, Adaptive(2e-11, max_steps=400_000))
    assert balance < 1e-8
    assert law < 1e-8


@pytest.mark.parametrize("exponent", [1.0, 1.5])
def test_below_two_the_drift_falls_at_least_first_order(exponent):
    given = problem("relu")
    activation = ReLU() if exponent == 1 else PReLU(exponent)
    given = Problem(
        given.dataset,
        given.sample_weights,
        given.initial,
        activation,
        given.loss,
        output_trained=True,
        balanced=True,
    )
    values = []
    for step in (0.2, 0.025):
        integrator = FixedStep("rk4", step)
        run = jax.jit(lambda p, i=integrator: solve(p, [20.0], {}, i, "raw"))(given)
        change = conserved(run.final, 1.0)
        values.append(float(jnp.abs(change).max() / jnp.max(run.final.output**2)))
    assert np.log(values[0] / values[1]) / np.log(8) > 0.9


#: Tolerances that each precision can keep.
TIGHT = {"float32": 1e-5, "float64": 1e-7}


def one_datum(activation, loss, w, v, dtype="float64"):
    array = functools.partial(jnp.array, dtype=dtype)
    first = jnp.array([0], jnp.int32)
    dataset = Dataset(array([[1.0, 0.0]]), array([1.0]), first, None, None)
    hidden, output = array([[w, 0.0]]), array([v])
    weights = Weights(hidden, output, None, None, jnp.array([True]))
    return Problem(
        dataset,
        array([1.0]),
        weights,
        activation,
        loss,
        output_trained=True,
        balanced=bool(w == v),
    )


@pytest.mark.parametrize("form", ["reduced", "raw"])
@pytest.mark.parametrize("activation", [ReLU(), PReLU(3), PReLU(1.5)])
def test_aligned_neuron_square_loss(activation, form, dtype):
    given = one_datum(activation, losses.squared, 1e-3, 1e-3, dtype)
    run = solve(given, [9.0], {}, Adaptive(TIGHT[dtype]), form)
    assert run.final.output.dtype == dtype
    u = float(run.final.output[0] * run.final.hidden[0, 0])
    exact = solvable.balanced_product(9.0, 1.0, 1e-6)
    assert abs(u - exact) < 10 * TIGHT[dtype]


@pytest.mark.parametrize("form", ["reduced", "raw"])
@pytest.mark.parametrize("activation", [ReLU(), PReLU(3)])
def test_aligned_neuron_exponential_loss(activation, form, dtype):
    given = one_datum(activation, losses.exponential, 1e-2, 1e-2, dtype)
    run = solve(given, [10.0], {}, Adaptive(TIGHT[dtype]), form)
    u = float(run.final.output[0] * run.final.hidden[0, 0])
    exact = solvable.growth_exponential(10.0, 1e-4)
    assert abs(u - exact) < 100 * TIGHT[dtype]


@pytest.mark.parametrize("form", ["reduced", "raw"])
@pytest.mark.parametrize("activation", [ReLU(), PReLU(3)])
def test_orthogonal_data_with_a_neuron_each(activation, form):
    labels = jnp.array([1.0, -1.0, 1.0])
    sizes = np.array([0.3, 0.2, 0.1])
    hidden = jnp.asarray(np.diag(sizes)[:, [2, 0, 1]])
    rows = jnp.asarray(np.eye(3)[:, [2, 0, 1]])
    weights = Weights(hidden, labels * sizes, None, None, jnp.ones(3, bool))
    given = one_datum(activation, losses.squared, 1.0, 1.0)
    given = eqx.tree_at(
        lambda p: (p.dataset, p.sample_weights, p.initial),
        given,
        (Dataset(rows, labels, jnp.arange(3)), jnp.full(3, 1 / 3), weights),
    )
    times = [1.0, 4.0, 9.0]
    outputs = {"f": lambda s: s.activation.response(s.scores, s.norms) @ s.output}
    run = solve(given, times, outputs, Adaptive(1e-9), form)
    starts = np.asarray(labels) * sizes**2
    exact = solvable.orthogonal_outputs(times, np.asarray(labels), starts, np.ones(3))
    np.testing.assert_allclose(run.observables["f"], exact, atol=1e-6)


@pytest.mark.parametrize(("w", "v"), [(0.3, 0.01), (0.01, 0.3)])
def test_unbalanced_neuron_square_loss(w, v):
    given = one_datum(PReLU(3), losses.squared, w, v)
    run = solve(given, [1.5], {}, Adaptive(1e-8), "reduced")
    u = float(run.final.output[0] * run.final.hidden[0, 0])
    assert abs(u - solvable.unbalanced_product(1.5, 1.0, w, v)) < 1e-7


def test_regular_power_on_one_datum():
    # f = v w^2, conserved 2 v^2 - w^2 = 0: w' = 2 v w (1 - f) with w = sqrt(2) v.
    v0 = 0.1
    given = one_datum(Power(2), losses.squared, np.sqrt(2) * v0, v0)
    run = solve(given, [3.0], {}, FixedStep("rk4", 1e-3))
    v = np.array(v0)
    step = 1e-4
    for _ in range(30000):
        rate = lambda x: 2 * x**2 * (1 - 2 * x**3)
        middle = v + step / 2 * rate(v)
        v = v + step * rate(middle)
    assert abs(float(run.final.output[0]) - v) < 1e-6


@pytest.mark.parametrize("exponent", [1, 3])
@pytest.mark.parametrize("scale", [1e-3, 1e-7, 1e-15])
def test_float32_follows_float64_at_every_scale(exponent, scale):
    clusters = OrthonormalClusters(dim=200, clusters=5, positive=3, noise=0.1)
    activation = ReLU() if exponent == 1 else PReLU(3)
    flow = GradientFlow(TwoLayer(50, activation, balanced(scale)), clusters, 60)
    time = (100.0 if exponent == 1 else 200.0) + 12 * np.log(1e-3 / scale)
    fresh = clusters.sample(100, key=jax.random.key(99), dtype="float64").inputs
    predictions = []
    for dtype in ("float32", "float64"):
        given = flow.problem(jax.random.key(5), dtype=dtype)
        run = jax.jit(lambda p: solve(p, [time], {}))(given)
        assert run.finished
        final = jax.tree.map(
            lambda a: a.astype("float64") if a.dtype == jnp.float32 else a, run.final
        )
        predictions.append(predict(final, activation, fresh))
    assert float(jnp.abs(predictions[1]).max()) > 1.0
    assert relative(*predictions) < 1.2e-3
