"""The flow of small networks, the search and the certificate, each by another way."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize
from scipy.integrate import solve_ivp

from jaxbias.networks import PReLU
from jaxbias.networks.weights import Weights, predict
from jaxbias.verification import evidence_convergence as convergence

TOLD = {
    "clusters": 3,
    "positive": 2,
    "width": 6,
    "exponent": 3.0,
    "cosine": 0.9,
    "after": (6.0, 8.0),
    "step": 0.2,
    "points": 20,
    "seeds": 2,
}
CASES = ((0.2, 6, 8, 1e-3), (0.1, 20, 25, 1e-4))


def runs(case=CASES[0], seeds=2, root=0, **changes):
    told = {**TOLD, "cases": CASES, **changes}
    return convergence.start(told, case, root, seeds)


def test_starts_have_the_cosine_the_norm_and_the_sign_of_their_centre():
    made = runs()
    assert made.inputs.shape == (2, 18, 8)
    norms = np.linalg.norm(made.hidden, axis=-1)
    np.testing.assert_allclose(norms, 1e-3)
    owners = np.arange(6) % 3
    cosines = made.hidden[:, np.arange(6), owners] / norms
    np.testing.assert_allclose(cosines, 0.9)
    np.testing.assert_array_equal(np.sign(made.output[0]), [1, 1, -1, 1, 1, -1])
    np.testing.assert_array_equal(made.labels, [1.0] * 12 + [-1.0] * 6)


def test_smaller_problems_share_the_draws_of_larger_ones():
    small, large = runs(CASES[0]), runs(CASES[1])
    noise = lambda made, case: (
        (
            made.inputs.reshape(2, 3, case[1], -1)[:, :, :6, :8]
            - np.eye(3, 8)[None, :, None]
        )
        * (math.sqrt(case[2]) / case[0])
    )
    np.testing.assert_allclose(noise(small, CASES[0]), noise(large, CASES[1]))
    assert not np.allclose(small.inputs[0], small.inputs[1])


def package(made, seed, exponent=3.0):
    return Weights(
        jnp.asarray(made.hidden[seed]),
        jnp.asarray(made.output[seed]),
        None,
        None,
        jnp.ones(made.output.shape[1], bool),
    ), PReLU(exponent)


@pytest.mark.parametrize("exponent", [2.0, 3.0])
def test_outputs_are_those_of_the_package(exponent):
    made = runs()
    found, _, _ = convergence.forward(made, exponent)
    for seed in range(2):
        weights, unit = package(made, seed, exponent)
        expected = predict(weights, unit, jnp.asarray(made.inputs[seed]))
        np.testing.assert_allclose(found[seed], np.asarray(expected), rtol=1e-10)


@pytest.mark.parametrize("exponent", [2.0, 3.0])
def test_the_velocity_is_minus_the_gradient(exponent):
    made = runs()
    made = made._replace(hidden=1e3 * made.hidden, output=700 * made.output)
    dw, dv = convergence.velocity(made, exponent, 6)

    def loss(shift, place):
        hidden, output = made.hidden[1].copy(), made.output[1].copy()
        if len(place) == 2:
            hidden[place] += shift
        else:
            output[place] += shift
        norms = np.linalg.norm(hidden, axis=1)
        active = np.maximum(made.inputs[1] @ (hidden / norms[:, None]).T, 0)
        gap = active**exponent @ (output * norms) - made.labels
        return np.sum(gap**2) / 12

    for place in ((0, 0), (1, 3), (5, 7), (4, 2), (2,), (5,)):
        slope = (loss(1e-6, place) - loss(-1e-6, place)) / 2e-6
        moved = dw[1][place] if len(place) == 2 else dv[1][place]
        assert moved == pytest.approx(-slope, abs=1e-8)


def test_the_path_is_the_one_of_an_adaptive_solver():
    made = runs(seeds=1)
    shape = made.hidden.shape

    def field(_, y):
        hidden, output = y[:48].reshape(shape), y[48:][None]
        dw, dv = convergence.velocity(
            made._replace(hidden=hidden, output=output), 3.0, 6
        )
        return np.concatenate([dw.ravel(), dv.ravel()])

    start = np.concatenate([made.hidden.ravel(), made.output.ravel()])
    run = solve_ivp(field, (0, 12), start, method="DOP853", rtol=1e-8, atol=1e-12)
    mine = convergence.advance(made, 3.0, 6, 12.0, 0.05)
    # By then the network has fitted: weights are of size 1.
    assert np.max(np.abs(mine.hidden)) > 0.5
    np.testing.assert_allclose(mine.hidden.ravel(), run.y[:48, -1], atol=1e-4)
    np.testing.assert_allclose(mine.output.ravel(), run.y[48:, -1], atol=1e-4)


@pytest.mark.parametrize("tilt", [0.0, 0.02, 0.2])
def test_the_searched_distance_is_found_by_another_search(tilt):
    rng = np.random.default_rng(2)
    signs = np.array([1.0, 1.0, -1.0])
    hidden = np.eye(3, 12) + tilt * rng.standard_normal((3, 12)) / math.sqrt(12)
    output = signs * (1 + tilt)
    found = convergence.sup_distance(hidden, output, signs, 3.0)
    norms = np.linalg.norm(hidden, axis=1)

    def gap(x):
        x = x / np.linalg.norm(x)
        f = (output * norms) @ np.maximum(hidden @ x / norms, 0) ** 3
        return -abs(f - signs @ np.maximum(x[:3], 0) ** 3)

    starts = [*np.eye(12)[:3], *hidden, *rng.standard_normal((8, 12))]
    best = -min(optimize.minimize(gap, x, method="BFGS").fun for x in starts)
    assert found == pytest.approx(best, rel=1e-3, abs=1e-12)


def test_one_tilted_neuron_is_at_the_known_distance():
    # p sqrt(2 delta) max cos^2 sin = (2/sqrt(3)) sin(tilt), to leading order.
    tilt = 1e-3
    hidden = np.array([[math.cos(tilt), math.sin(tilt), 0.0]])
    found = convergence.sup_distance(hidden, np.ones(1), np.ones(1), 3.0)
    assert found == pytest.approx(2 / math.sqrt(3) * tilt, rel=5e-3)


def test_certificates_are_tight_at_centres_and_below_a_line_elsewhere():
    signs = np.array([1.0, 1.0, -1.0])
    centres = np.eye(3, 5)
    exact = convergence.certified(centres, signs, centres, signs, 3.0)
    np.testing.assert_allclose(exact, math.sqrt(0.5))
    rng = np.random.default_rng(0)
    hidden = centres + 0.1 * rng.standard_normal((3, 5))
    x = centres + 0.05 * rng.standard_normal((3, 5))
    lower = convergence.certified(x, signs, hidden, signs, 3.0)

    def score(z):
        norms = np.linalg.norm(hidden, axis=1)
        return (signs * norms) @ np.maximum(hidden @ z / norms, 0) ** 3

    for point, label, radius in zip(x, signs, lower, strict=True):
        assert radius > 0.4
        for move in rng.standard_normal((200, 5)):
            step = 0.999 * radius * move / np.linalg.norm(move)
            assert label * score(point + step) > 0


def test_a_wrong_sample_has_no_radius():
    signs = np.array([1.0, -1.0])
    found = convergence.certified(np.eye(2), -signs, np.eye(2), signs, 3.0)
    assert np.all(found < 0)


def test_small_runs_are_told_by_seed_and_noise():
    found = convergence.window({**TOLD, "cases": CASES, "seeds": 3}, 0)
    assert found["seeds"] == 3
    assert found["failed"] == 0
    np.testing.assert_array_equal(found["noise"], [0.2, 0.1])
    for name in ("loss", "distance", "shortfall"):
        values = found[name]
        assert values.shape == (3, 2)
        assert np.all(values > 0)
        assert np.all(values[:, 1] < values[:, 0])
        assert found[f"{name}_moved"] < 0.05
    # K p^2 alpha^2/(2D) for the loss, within the scatter and what was fitted.
    leading = [13.5 * noise**2 / dim for noise, _, dim, _ in CASES]
    assert np.all(found["loss"].mean(axis=0) < 1.6 * np.array(leading))
    assert np.all(found["loss"].mean(axis=0) > 0.3 * np.array(leading))
    again = convergence.window({**TOLD, "cases": CASES, "seeds": 3}, 0)
    np.testing.assert_array_equal(found["loss"], again["loss"])
