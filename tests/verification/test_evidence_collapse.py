"""Collapse evidence against autodiff, optax and networks that have collapsed."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import special

from jaxbias.theory import collapse, factorisation, multiclass_early
from jaxbias.verification import evidence_collapse as evidence
from jaxbias.verification import verify


def _problem(classes, seed=0):
    rng = np.random.default_rng(seed)
    inputs, hidden = rng.standard_normal((6, 4)), rng.standard_normal((5, 4))
    output = rng.standard_normal((5, 1 if classes == 2 else classes))
    if classes == 2:
        labels = np.where(np.arange(6) % 2 == 0, 1.0, -1.0)
    else:
        labels = np.arange(6) % classes
    return hidden, output, inputs, labels


def _loss(hidden, output, inputs, labels):
    scores = jax.nn.relu(inputs @ hidden.T) @ output
    if output.shape[1] == 1:
        return jnp.sum(jnp.exp(-labels * scores[:, 0]))
    losses = optax.losses.softmax_cross_entropy_with_integer_labels
    return jnp.sum(losses(scores, labels))


_GRADIENT = jax.jit(jax.grad(_loss, argnums=(0, 1)))


@pytest.mark.parametrize("classes", [2, 4])
def test_velocities_are_gradients_by_autodiff(classes):
    hidden, output, inputs, labels = _problem(classes)
    args = jnp.asarray(inputs), jnp.asarray(labels)
    expected = _GRADIENT(jnp.asarray(hidden), jnp.asarray(output), *args)
    found = evidence.velocity(hidden, output, inputs, labels)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, -theirs, rtol=1e-9, atol=1e-12)


def test_pulls_of_confident_networks_keep_their_digits():
    outputs = np.array([[200.0, 0.0, -50.0], [0.0, 150.0, 0.0]])
    found = evidence.pulls(outputs, np.array([0, 1]))
    expected = [math.exp(-200), 2 * math.exp(-150)]
    np.testing.assert_allclose([found[0, 0], found[1, 1]], expected, rtol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 0, atol=1e-80)


@pytest.mark.parametrize("classes", [2, 3])
def test_margins_lead_the_best_other_output(classes):
    _, _, _, labels = _problem(classes)
    rng = np.random.default_rng(2)
    scores = rng.standard_normal((6, 1 if classes == 2 else classes))
    found = evidence._margins(scores, labels)
    for row, label, margin in zip(scores, labels, found, strict=True):
        if classes == 2:
            assert margin == pytest.approx(label * row[0])
        else:
            others = [v for k, v in enumerate(row) if k != label]
            assert margin == pytest.approx(row[label] - max(others))


def test_separators_maximise_the_least_product():
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((8, 3)) / 3
    inputs[:4, 0] += 1
    inputs[4:, 0] -= 1
    groups = np.repeat([0, 1], 4)
    found = evidence._separators(inputs, groups)
    tries = rng.standard_normal((20_000, 3))
    tries = tries / np.linalg.norm(tries, axis=1)[:, None]
    for k, direction in enumerate(found):
        assert np.linalg.norm(direction) == pytest.approx(1)
        rows = inputs[groups == k]
        margin = np.min(rows @ direction)
        assert margin >= np.max(np.min(tries @ rows.T, axis=1))


def _collapsed(spread=0.0):
    """Two features a class along its own axis, ``spread`` apart; aligned readout."""
    groups = np.repeat([0, 1, 2], 2)
    features = np.eye(3)[groups] * (2 + spread * np.tile([1.0, -1.0], 3))[:, None]
    output = np.eye(3) - 1 / 3
    return features, output, groups


def test_metrics_vanish_on_a_collapsed_network():
    np.testing.assert_allclose(evidence.metrics(*_collapsed()), 0, atol=1e-15)


def test_metrics_by_hand():
    features, output, groups = _collapsed(spread=0.5)
    # Variance 1/4 in each of three classes; means at 2 along the axes.
    found = evidence.metrics(features, output, groups)
    assert found[0] == pytest.approx(0.75 / (3 * 4 * (1 - 1 / 3)))
    np.testing.assert_allclose(found[1:], 0, atol=1e-15)
    # Two classes with one direction: the Gram matrix has norm sqrt(5).
    features = np.eye(3)[[0, 0, 0, 0, 2, 2]]
    gram = np.array([[1.0, 1, 0], [1, 1, 0], [0, 0, 1]]) / math.sqrt(5)
    expected = np.linalg.norm(gram - np.eye(3) / math.sqrt(3))
    found = evidence.metrics(features, output, groups)
    assert found[1] == pytest.approx(expected)
    # A readout that takes the means to themselves.
    found = evidence.metrics(_collapsed()[0], np.eye(3), groups)
    ideal = (np.eye(3) - 1 / 3) / math.sqrt(2)
    expected = np.linalg.norm(np.eye(3) / math.sqrt(3) - ideal)
    assert found[2] == pytest.approx(expected)


def test_one_output_has_two_metrics_and_any_scale_is_the_same():
    features, output, groups = _collapsed(spread=0.3)
    both = [evidence.metrics(c * features, c**3 * output, groups) for c in (1.0, 1e-3)]
    np.testing.assert_allclose(both[0], both[1], rtol=1e-9, atol=1e-15)
    assert len(evidence.metrics(features, output[:, :1], groups)) == 2


def _single(time, classes):
    """One row a class along the column it should have, one neuron for each."""
    if classes == 2:
        inputs, labels = np.array([[2.0, 0.0], [-0.5, 1.0]]), np.array([1.0, -1.0])
        output = np.array([[1.0], [-1.0]])
        loss = "exp(-y f)"
    else:
        inputs = np.eye(classes) - 1 / classes
        labels, output, loss = np.arange(classes), inputs.copy(), "cross entropy"
    hidden = inputs / np.linalg.norm(inputs, axis=1)[:, None]
    size = np.linalg.norm(output, axis=1)[:, None]
    return {
        "inputs": inputs.tolist(),
        "labels": labels.tolist(),
        "hidden": (1e-2 * hidden).tolist(),
        "output": (1e-2 * output / size).tolist(),
        "time": time,
        "loss_scale": loss,
    }


def test_single_rows_of_two_classes_follow_the_exponential_integral():
    """m = |x| z with z' = 2 z |x| e^-m, class by class."""
    found = evidence.late(_single(1e20, 2), 0)
    for norm, size, error in zip(
        (2.0, math.sqrt(1.25)), found["sizes"], found["error_sizes"], strict=True
    ):
        travelled = special.expi(norm * size) - special.expi(norm * 1e-4)
        assert travelled == pytest.approx(2 * norm * 1e20, rel=norm * 3 * error + 1e-3)
    np.testing.assert_allclose(found["tilts"], 0, atol=1e-7)
    expected = np.array([2.0, math.sqrt(1.25)]) * found["sizes"]
    np.testing.assert_allclose(found["least"], expected, rtol=1e-9)
    assert found["conventions"] == {"loss_scale": "exp(-y f)"}
    np.testing.assert_array_equal(found["between"], 0)


def test_single_rows_of_three_classes_have_collapsed():
    found = evidence.late(_single(1e20, 3), 0)
    np.testing.assert_allclose(found["metrics"], 0, atol=1e-9)
    np.testing.assert_allclose(found["sizes"], found["sizes"][0], rtol=1e-6)
    # |x| = sqrt(2/3) and kappa = sqrt(3/2): a margin of z.
    np.testing.assert_allclose(found["least"], found["sizes"], rtol=1e-9)
    # m' = 2 m kappa |x| 2 e^-m with kappa |x| = 1.
    travelled = special.expi(found["least"][0])
    assert travelled == pytest.approx(4e20, rel=1e-2)
    assert found["within"][0] == pytest.approx(1)
    assert found["inputs"][0] == pytest.approx(0.5)


def test_a_run_that_fails_is_no_number(monkeypatch):
    solve = evidence.solve_ivp

    def failing(*args, **options):
        found = solve(*args, **options)
        found.success = False
        return found

    monkeypatch.setattr(evidence, "solve_ivp", failing)
    hidden, output = evidence._run(
        *(np.array(_single(1.0, 2)[k]) for k in ("hidden", "output", "inputs")),
        np.array([1.0, -1.0]),
        1.0,
        1e-3,
    )
    assert np.all(np.isnan(hidden))
    assert np.all(np.isnan(output))


@pytest.mark.parametrize("classes", [2, 3])
def test_networks_report_margins_and_layers(classes):
    hidden, output, inputs, labels = _problem(classes, seed=1)
    told = {"hidden": hidden, "output": output, "inputs": inputs, "labels": labels}
    found = evidence.network(told, 0)["measured"]
    scores = np.maximum(inputs @ hidden.T, 0) @ output
    marks = [1.0, -1.0] if classes == 2 else range(classes)
    margins = evidence._margins(scores, labels)
    expected = [margins[labels == mark].min() for mark in marks]
    np.testing.assert_allclose(found[:-2], expected)
    np.testing.assert_allclose(found[-2:], [np.sum(hidden**2), np.sum(output**2)])


@pytest.mark.parametrize("classes", [2, 3])
def test_early_velocities_are_those_of_directions(classes):
    """By autodiff: the pull across each row over its norm."""
    hidden, output, inputs, labels = _problem(classes, seed=3)
    told = {"hidden": hidden, "output": output, "inputs": inputs, "labels": labels}
    found = evidence.early({**told, "loss_scale": "any"}, 0)
    args = jnp.asarray(inputs), jnp.asarray(labels)
    pulls = _GRADIENT(jnp.asarray(hidden), jnp.asarray(output), *args)
    expected = []
    for layer, pull in zip((hidden, output), pulls, strict=True):
        norms = np.linalg.norm(layer, axis=1)[:, None]
        unit, force = layer / norms, -np.asarray(pull)
        across = force - (force * unit).sum(axis=1)[:, None] * unit
        expected.append((across / norms).ravel())
    expected = np.concatenate(expected)
    np.testing.assert_allclose(found["measured"], expected, atol=1e-4)
    assert np.all(np.abs(found["measured"] - expected) <= found["error"] + 1e-9)
    assert found["conventions"] == {"loss_scale": "any"}


def _elsewhere(module, draw, **changes):
    """Claims of a module at another draw."""
    claims = []
    for claim in module.CLAIMS:
        setting = {**claim.setting, "draw": draw, **changes}
        claims.append(dataclasses.replace(claim, setting=setting))
    return claims


def test_claims_hold_at_a_draw_that_they_were_not_made_for():
    claims = _elsewhere(collapse, 3) + _elsewhere(multiclass_early, 3)
    for found in verify(claims, teeth=True):
        assert found.as_expected, (found.claim.id, found.decoys)


def test_claims_hold_at_other_times_with_their_remainders():
    for found in verify(_elsewhere(collapse, 0, time=1e40)):
        assert found.verdict == found.expected, found.claim.id


def test_incremental_learning_at_another_draw():
    for found in verify(_elsewhere(factorisation, 5), teeth=True):
        assert found.as_expected, (found.claim.id, found.decoys)
