"""Full-batch descent on clusters, plain and adversarial, against loops in NumPy."""

import functools

import equinox as eqx
import jax
import numpy as np
import pytest

from jaxbias import losses
from jaxbias._checks import InputError
from jaxbias.data import ClusterMixture, OrthonormalClusters, cluster_labelled
from jaxbias.dynamics import (
    AdversarialDescent,
    Descent,
    FixedStep,
    GradientFlow,
    descend,
    descend_adversarially,
    solve,
)
from jaxbias.dynamics.status import Status
from jaxbias.networks import PReLU, ReLU, TwoLayer, unbalanced

KEY = jax.random.key(5)
DATA = ClusterMixture(40, 4, 2, norms=(1.0, 0.8, 1.2, 1.0), rotated=True)
ETA, STEPS = 0.05, 60
SHOWN = {
    "dual": lambda s: s.dual,
    "norms": lambda s: s.norms,
    "share": lambda s: s.hidden_coefficient,
}


def flow(classes=None, bias=True, data=DATA):
    network = TwoLayer(
        8, ReLU(), unbalanced(1e-2), "grouped", classes=classes, hidden_bias=bias
    )
    loss = losses.logistic if classes is None else losses.cross_entropy
    return GradientFlow(network, data, 24, loss)


@functools.cache
def problem(classes=None, bias=True):
    return flow(classes, bias).problem(KEY, dtype="float64")


def signals(inputs, labels, weights, output, bias):
    """Derivative of the mean loss by the scores, with its sign turned."""
    scores = inputs @ weights.T + bias
    f = np.maximum(scores, 0) @ output
    if f.ndim == 1:
        pull = (labels / (1 + np.exp(labels * f)))[:, None] * output
    else:
        shares = np.exp(f) / np.exp(f).sum(1, keepdims=True)
        pull = (np.eye(f.shape[1])[labels] - shares) @ output.T
    return pull * (scores > 0) / len(inputs)


def by_hand(given, moved=lambda t, x, attack: x, steps=STEPS):
    """Descent of rate ETA; ``moved`` says where the rows of epoch t are."""
    inputs, labels = np.asarray(given.dataset.inputs), np.asarray(given.dataset.labels)
    weights, output = np.array(given.initial.hidden), np.asarray(given.initial.output)
    bias, dual = np.zeros(len(weights)), np.zeros((len(inputs), len(weights)))
    for t in range(steps):
        signal = lambda x: signals(x, labels, weights, output, bias)  # noqa: B023
        rows = moved(t, inputs, lambda x: -signal(x) @ weights)  # noqa: B023
        gained = ETA * signal(rows)
        dual += gained
        weights = weights + gained.T @ rows
        if given.initial.hidden_bias is not None:
            bias = bias + gained.sum(0)
    return weights, bias, dual


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("classes", [None, 4])
def test_euler_steps_are_gradient_descent_with_its_dual_coefficients(classes, bias):
    given = problem(classes, bias)
    run = solve(
        given, [ETA, ETA * STEPS], SHOWN, FixedStep("euler", ETA), form="reduced"
    )
    weights, biases, dual = by_hand(given)
    assert run.finished
    assert run.form == "reduced"
    np.testing.assert_array_equal(run.final.output, given.initial.output)
    np.testing.assert_allclose(run.final.hidden, weights, atol=1e-13)
    np.testing.assert_allclose(run.observables["dual"][-1], dual, atol=1e-13)
    np.testing.assert_array_equal(run.observables["share"], 1.0)
    if bias:
        np.testing.assert_allclose(run.final.hidden_bias, biases, atol=1e-14)
        weights = np.concatenate([weights, biases[:, None]], axis=1)
    # A law of the flow, carried along Euler's steps, would be off by a factor here.
    norms = np.linalg.norm(weights, axis=1)
    np.testing.assert_allclose(run.observables["norms"][-1], norms, rtol=1e-12)
    start = np.linalg.norm(given.initial.hidden, axis=1)
    assert np.max(norms / start) > 3


def test_several_classes_of_a_data_model_are_its_clusters():
    given = problem(4)
    np.testing.assert_array_equal(given.dataset.labels, given.dataset.clusters)
    same = flow(4, data=OrthonormalClusters(40, 4, 2, 1.0)).problem(KEY)
    np.testing.assert_array_equal(same.dataset.labels, same.dataset.clusters)
    fixed = GradientFlow(
        flow(4).network,
        cluster_labelled(problem().dataset),
        loss=losses.cross_entropy,
    ).problem(KEY, dtype="float64")
    jax.tree.map(np.testing.assert_array_equal, fixed.dataset, given.dataset)


@pytest.mark.parametrize(
    ("classes", "data", "samples", "message"),
    [
        (8, DATA, 24, "classes=4"),
        (4, problem().dataset, None, "cluster_labelled"),
    ],
    ids=["other number", "two labels"],
)
def test_labels_that_are_no_classes_are_refused(classes, data, samples, message):
    network = TwoLayer(8, output="grouped", classes=classes)
    with pytest.raises(InputError, match=message):
        GradientFlow(network, data, samples, losses.cross_entropy)


def attacked(descent, t, inputs, uphill):
    """Where the attack leaves the rows in epoch t, with every coordinate in sight."""
    delta = np.zeros_like(inputs)

    def unit(rows):
        lengths = np.linalg.norm(rows, axis=1, keepdims=True)
        return rows / np.where(lengths > 0, lengths, 1.0)

    if descent.start == "sphere":
        gauss = jax.random.normal(jax.random.fold_in(KEY, t), inputs.shape, "float64")
        delta = descent.radius * unit(np.asarray(gauss))
    for _ in range(descent.inner_steps):
        delta = delta + descent.inner_step * unit(uphill(inputs + delta))
        lengths = np.linalg.norm(delta, axis=1, keepdims=True)
        delta = np.where(lengths > descent.radius, descent.radius * unit(delta), delta)
    return inputs + delta


@pytest.mark.parametrize("start", ["sphere", "point"])
@pytest.mark.parametrize("classes", [None, 4])
def test_adversarial_descent_is_that_of_explicit_displacements(start, classes):
    given = problem(classes)
    descent = AdversarialDescent(ETA, 1.5, 0.5, 5, start)
    run = descend_adversarially(given, descent, [STEPS], key=KEY)
    weights, biases, _ = by_hand(given, functools.partial(attacked, descent))
    assert run.status == Status.FINISHED
    np.testing.assert_allclose(run.final.hidden, weights, atol=1e-12)
    np.testing.assert_allclose(run.final.hidden_bias, biases, atol=1e-13)
    np.testing.assert_array_equal(run.final.output, given.initial.output)
    assert not np.allclose(weights, by_hand(given)[0], atol=1e-3)


@pytest.mark.parametrize("start", ["sphere", "point"])
def test_in_a_ball_of_radius_zero_it_is_gradient_descent(start):
    given = problem()
    descent = AdversarialDescent(ETA, 0.0, 1.0, 3, start)
    shown = {"norms": lambda s: s.norms}
    run = descend_adversarially(given, descent, [5, 20], shown, key=KEY)
    plain = descend(given, Descent(ETA), [5, 20], shown, key=KEY)
    np.testing.assert_allclose(run.final.hidden, plain.final.hidden, atol=1e-14)
    np.testing.assert_allclose(
        run.observables["norms"], plain.observables["norms"], rtol=1e-12
    )
    np.testing.assert_allclose(run.times, plain.times)
    assert float(run.statistics["evaluations"]) == 80


def test_rates_radii_and_lengths_ride_in_one_program():
    given = problem()
    rides = np.array([[0.05, 1.5, 0.5], [0.02, 0.7, 0.3]])

    def run(rate, radius, length):
        attack = AdversarialDescent(rate, radius, length, 5)
        return descend_adversarially(given, attack, [STEPS], key=KEY)

    together = jax.vmap(run)(*rides.T)
    for lane, numbers in enumerate(rides.tolist()):
        alone = run(*numbers)
        np.testing.assert_allclose(
            together.final.hidden[lane], alone.final.hidden, atol=1e-13
        )
        np.testing.assert_allclose(together.times[lane], alone.times)


def test_a_run_that_is_not_finite_says_so():
    start = problem().initial.hidden.at[2, 3].set(np.inf)
    given = eqx.tree_at(lambda p: p.initial.hidden, problem(), start)
    descent = AdversarialDescent(ETA, 1.5, 0.5, 5, "point")
    run = descend_adversarially(given, descent, [STEPS], key=KEY)
    assert run.status == Status.NON_FINITE
    assert not run.finished


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0.0}, "rate=1e-3"),
        ({"radius": -1.0}, "radius=-1.0"),
        ({"inner_step": float("nan")}, "inner_step=nan"),
        ({"inner_steps": 0}, "inner_steps=0"),
        ({"start": "centre"}, "known are 'sphere', 'point'"),
    ],
)
def test_bad_attacks_say_what_would_work(options, message):
    with pytest.raises(InputError, match=message):
        AdversarialDescent(**{"rate": 0.1, "radius": 1.0, "inner_step": 1.0, **options})


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (TwoLayer(8, ReLU()), "output='grouped'"),
        (TwoLayer(8, PReLU(3), output="grouped"), "activation=ReLU"),
    ],
    ids=["trained", "normalised"],
)
def test_networks_it_cannot_train_are_refused(network, message):
    given = GradientFlow(network, DATA, 24, losses.logistic).problem(KEY)
    with pytest.raises(InputError, match=message):
        descend_adversarially(given, AdversarialDescent(0.1, 1.0, 1.0), [5], key=KEY)
