"""The early multi-class equation against differences of the cross entropy itself."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp

from jaxbias.theory import multiclass_early as theory
from jaxbias.theory._collapse_data import rows_of
from jaxbias.theory.multiclass_early import CLAIMS

_CLAIM = CLAIMS[0]


def _loss(theta, shape, classes, inputs, labels):
    hidden = theta[: math.prod(shape)].reshape(shape)
    output = theta[math.prod(shape) :].reshape(shape[0], classes)
    scores = np.maximum(inputs @ hidden.T, 0) @ output
    own = scores[np.arange(len(labels)), labels]
    return np.sum(logsumexp(scores, axis=1) - own)


def _slopes(hidden, output, inputs, labels):
    """Velocities of the directions, by central differences of the loss."""
    theta = np.concatenate([hidden.ravel(), output.ravel()])
    size = 1e-3 * np.abs(theta).max()
    args = hidden.shape, output.shape[1], inputs, labels
    steps = size * np.eye(theta.size)
    pull = np.array([_loss(theta - h, *args) - _loss(theta + h, *args) for h in steps])
    pull = pull / (2 * size)
    found = []
    for layer, force in (
        (hidden, pull[: hidden.size].reshape(hidden.shape)),
        (output, pull[hidden.size :].reshape(output.shape)),
    ):
        norms = np.linalg.norm(layer, axis=1)[:, None]
        unit = layer / norms
        along = (force * unit).sum(axis=1)[:, None]
        found.append((force - along * unit) / norms)
    return found


@pytest.mark.parametrize("classes", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_directions_turn_as_the_cross_entropy_pulls(classes, seed):
    rng = np.random.default_rng(seed)
    inputs, labels = rng.standard_normal((7, 4)), rng.integers(classes, size=7)
    hidden, output = rng.standard_normal((3, 4)), rng.standard_normal((3, classes))
    for layer in (hidden, output):
        layer *= 1e-3 / np.linalg.norm(layer, axis=1)[:, None]
    expected = _slopes(hidden, output, inputs, labels)
    found = theory.turning(hidden, output, inputs, labels)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_turning_is_across_each_direction_and_linear_in_its_factor():
    hidden, output = theory._start(_CLAIM.setting)
    rows, labels = rows_of(_CLAIM.setting)
    for factor in (1.0, 2.5):
        both = theory.turning(hidden, output, rows, labels, factor)
        for layer, velocity in zip((hidden, output), both, strict=True):
            across = (layer * velocity).sum(axis=1) / _CLAIM.setting["scale"]
            np.testing.assert_allclose(across, 0, atol=1e-12)
    single = theory.turning(hidden, output, rows, labels)
    np.testing.assert_allclose(both[0], 2.5 * single[0])


def test_an_inactive_neuron_stands_still():
    inputs = np.array([[1.0, 0.0], [0.8, 0.1]])
    hidden, output = np.array([[-1.0, 0.0]]), np.array([[0.6, 0.8]])
    for velocity in theory.turning(hidden, output, inputs, np.array([0, 1])):
        np.testing.assert_array_equal(velocity, 0)


@pytest.mark.parametrize("scale", [1e-1, 3e-2, 1e-3])
def test_the_remainder_bounds_what_a_finite_scale_adds(scale):
    """Softmax at outputs of order scale^2 instead of the uniform distribution."""
    setting = {**_CLAIM.setting, "scale": scale}
    hidden, output = theory._start(setting)
    rows, labels = rows_of(setting)
    expected = np.concatenate(
        [layer.ravel() for layer in _slopes(hidden, output, rows, labels)]
    )
    gap = np.max(np.abs(_CLAIM.predict(setting)["value"] - expected))
    delta = _CLAIM.remainder(setting).delta
    assert gap <= delta + 2e-5
    if scale == 0.1:
        # Not by orders of magnitude: the widths add up at worst.
        assert gap > delta / 200


def _judged(arrays, decoy=None):
    setting = _CLAIM.setting
    prediction = _CLAIM.predict(setting)
    if decoy is not None:
        prediction = decoy.alter(setting, prediction)
    return _CLAIM.judge(arrays, prediction, _CLAIM.remainder(setting), 1e-3)


def test_exact_evidence_is_accepted_and_decoys_refused():
    value = _CLAIM.predict(_CLAIM.setting)["value"]
    arrays = {"measured": value, "error": np.full(value.shape, 1e-9)}
    assert _judged(arrays).conclusion == "true"
    for decoy in _CLAIM.decoys:
        assert _judged(arrays, decoy).conclusion == "false", decoy.name
    moved = {**arrays, "measured": value + 1e-3}
    assert _judged(moved).conclusion == "false"
    lost = {**arrays, "error": np.full(value.shape, math.inf)}
    assert _judged(lost).conclusion == "unresolved"


def test_large_outputs_are_no_early_phase():
    assert [h.status for h in _CLAIM.hypotheses(_CLAIM.setting)] == ["met"]
    large = {**_CLAIM.setting, "scale": 0.1}
    assert [h.status for h in _CLAIM.hypotheses(large)] == ["unmet"]
