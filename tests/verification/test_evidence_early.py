"""Early-phase evidence against derivatives of the loss and flows solved by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad, solve_ivp

from jaxbias.verification import evidence_early as early

SIGNS = np.array([1.0, 1.0, -1.0])
EXPONENTS = (1.0, 1.5, 2.0, 3.0)


def network(seed, neurons=4, dim=5):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((neurons, dim)), rng.standard_normal(neurons)


def gain(hidden, output, pulls, exponent):
    """``sum_k pull_k f(mu_k)``, the quantity that the early phase climbs."""
    total = 0.0
    for w, v in zip(hidden, output, strict=True):
        norm = math.sqrt(w @ w)
        for k, pull in enumerate(pulls):
            total += pull * v * norm * max(w[k] / norm, 0.0) ** exponent
    return total


@pytest.mark.parametrize(
    ("cosine", "exponent", "whole", "gate"),
    [
        (0.5, 1.0, 0.5, 1.0),
        (0.5, 3.0, 0.125, 0.25),
        (0.25, 1.5, 0.125, 0.5),
        (0.0, 1.0, 0.0, 0.0),  # at the kink the derivative is the left one
        (-0.5, 1.0, 0.0, 0.0),
        (-0.5, 1.5, 0.0, 0.0),
        (-1.0, 3.0, 0.0, 0.0),
    ],
)
def test_powers_vanish_where_a_neuron_is_inactive(cosine, exponent, whole, gate):
    found = early.powers(np.array([cosine]), exponent)
    assert [float(part[0]) for part in found] == [whole, gate]


@pytest.mark.parametrize("exponent", EXPONENTS)
@pytest.mark.parametrize("seed", range(3))
def test_the_velocity_is_the_gradient_of_the_gain(exponent, seed):
    hidden, output = network(seed)
    dw, dv = early.velocity(hidden, output, SIGNS, exponent)
    step = 1e-6
    for j in range(len(output)):
        for d in range(hidden.shape[1]):
            nudge = np.zeros_like(hidden)
            nudge[j, d] = step
            up = gain(hidden + nudge, output, SIGNS, exponent)
            down = gain(hidden - nudge, output, SIGNS, exponent)
            assert dw[j, d] == pytest.approx((up - down) / (2 * step), abs=1e-7)
        nudge = step * (np.arange(len(output)) == j)
        up = gain(hidden, output + nudge, SIGNS, exponent)
        down = gain(hidden, output - nudge, SIGNS, exponent)
        assert dv[j] == pytest.approx((up - down) / (2 * step), abs=1e-7)


@given(
    seed=st.integers(0, 1000),
    exponent=st.sampled_from(EXPONENTS),
    factor=st.floats(0.01, 100),
)
def test_symmetries_of_the_velocity(seed, exponent, factor):
    hidden, output = network(seed)
    dw, dv = early.velocity(hidden, output, SIGNS, exponent)
    # Balance: |w|^2 - v^2 is conserved.
    np.testing.assert_allclose((hidden * dw).sum(axis=1), output * dv, atol=1e-10)
    order = np.random.default_rng(seed).permutation(len(output))
    moved = early.velocity(hidden[order], output[order], SIGNS, exponent)
    np.testing.assert_array_equal(moved[0], dw[order])
    np.testing.assert_array_equal(moved[1], dv[order])
    # w -> c w, v -> v / c.
    scaled = early.velocity(factor * hidden, output / factor, SIGNS, exponent)
    np.testing.assert_allclose(scaled[0], dw / factor, rtol=1e-9, atol=1e-12 / factor)
    np.testing.assert_allclose(scaled[1], dv * factor, rtol=1e-9, atol=1e-12 * factor)
    flipped = early.velocity(hidden, -output, -SIGNS, exponent)
    np.testing.assert_allclose(flipped[0], dw, atol=1e-12)
    np.testing.assert_allclose(flipped[1], -dv, atol=1e-12)


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_a_neuron_at_a_centre_grows_exponentially(exponent):
    # w' = v, v' = |w| along the centre, whatever p is.
    start = np.eye(1, 4)
    w, v = early.advance(start, np.ones(1), np.ones(1), exponent, 2.0, 200)
    np.testing.assert_allclose(w, math.exp(2.0) * start, rtol=1e-8)
    np.testing.assert_allclose(v, math.exp(2.0), rtol=1e-8)


def test_a_clock_rescales_time():
    # dt = ds / |w|: w' = v / |w| = 1, so the norm is 1 + s.
    clock = lambda norms: 1 / norms
    start = np.eye(1, 3)
    w, v = early.advance(start, np.ones(1), np.ones(1), 3.0, 1.5, 40, clock)
    np.testing.assert_allclose([w[0, 0], v[0]], 2.5, rtol=1e-12)


def test_the_integrator_is_of_fourth_order():
    hidden, output = np.array([[0.5, 0.6, 0.3, 0.2]]), np.ones(1)
    signs = np.ones(2)
    exact, _ = early.advance(hidden, output, signs, 3.0, 1.0, 640)
    errors = [
        np.abs(early.advance(hidden, output, signs, 3.0, 1.0, n)[0] - exact).max()
        for n in (10, 20)
    ]
    assert 12 < errors[0] / errors[1] < 20


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_the_rates_of_cosine_ratios_by_hand(exponent):
    # d/dt log(c_0/|c_l|) = p (c_0^(p-2) - s_l relu(c_l)^(p-1)/c_l) for v = |w| = 1.
    start = np.array([0.6, 0.4, 0.3, -0.5, 0.2])
    unit = start / np.linalg.norm(start)
    own = unit[0] ** (exponent - 2)
    signs = [1.0, 1.0, -1.0]
    pull = [signs[k] * unit[k] ** (exponent - 2) if k < 3 else 0.0 for k in range(1, 5)]
    expected = exponent * (own - np.array(pull))
    found = early.rates({"signs": signs, "starts": [start], "exponents": [exponent]}, 0)
    assert np.all(found["settled"])
    gap = np.abs(found["measured"][0, 0] - expected)
    assert np.all(gap <= found["error"][0, 0] + 1e-9)
    assert np.max(found["error"]) < 1e-6 * np.max(np.abs(expected))


def test_paths_at_exponent_two_freeze_ratios_of_own_active_centres():
    start, time = np.array([0.6, 0.3, -0.4, 0.5]), 0.7
    found = early.paths(
        {"signs": [1.0, 1.0], "starts": [start], "exponents": [2.0], "path_time": time},
        0,
    )
    end = found["measured"][0, 0]
    # Path time is time here: own active coordinates gain e^(2 t) on all others.
    expected = start * np.array([math.exp(2 * time)] * 2 + [1.0, 1.0])
    np.testing.assert_allclose(end, expected / np.linalg.norm(expected), atol=1e-8)


def test_random_starts_obey_the_hypothesis_and_the_root():
    asked = dict(dim=6, positive=3, neurons=25, least=0.3, lead=1.3)
    starts = early._random_starts(asked, 7)
    assert starts.shape == (25, 6)
    np.testing.assert_allclose(np.linalg.norm(starts, axis=1), 1.0)
    own = np.sort(starts[:, :3], axis=1)
    assert np.all(own[:, -1] >= 0.3)
    assert np.all(own[:, -1] >= 1.3 * own[:, -2])
    np.testing.assert_array_equal(early._random_starts(asked, 7), starts)
    assert not np.array_equal(early._random_starts(asked, 8), starts)


@pytest.mark.parametrize(
    ("exponent", "near", "far"),
    [
        (1.0, "average", "centre"),
        (2.0, "frozen", "centre"),
        (3.0, "centre", "average"),
    ],
)
def test_directions_change_their_limit_at_exponent_two(exponent, near, far):
    found = early.directions(
        dict(
            dim=6,
            positive=3,
            clusters=5,
            neurons=20,
            least=0.3,
            lead=1.3,
            exponents=[exponent],
            time=12.0,
            steps=400,
        ),
        3,
    )
    assert found["seeds"] == 20
    assert found[near].min() > 0.999
    assert found[far].min() < 0.99


def test_one_centre_at_exponent_one_follows_the_hyperbolic_tangent():
    starts = np.array([[0.2, 0.9, 0.1], [0.5, -0.3, 0.6]])
    times = [0.5, 1.0, 2.0]
    found = early.tanh_path({"signs": [1.0], "starts": starts, "times": times}, 0)
    cosines = starts[:, 0] / np.linalg.norm(starts, axis=1)
    expected = np.tanh(np.arctanh(cosines)[None, :] + np.array(times)[:, None])
    np.testing.assert_allclose(found["measured"], expected, atol=1e-6)
    assert np.all(np.abs(found["measured"] - expected) <= found["error"])


@pytest.mark.parametrize("exponent", [2.0, 2.5, 3.0])
@pytest.mark.parametrize("cosine", [0.5, 0.8, 0.95])
def test_the_slowest_speed_towards_a_centre_is_with_all_the_rest_on_a_rival(
    exponent, cosine
):
    # c_0' = p (c_0^(p-1) - c_0 m) with m = sum_k s_k relu(c_k)^p.
    mass = cosine**exponent + (1 - cosine**2) ** (exponent / 2)
    slowest = exponent * (cosine ** (exponent - 1) - cosine * mass)
    asked = dict(clusters=5, positive=3, dim=6, draws=200)
    found = early.cone(asked | {"exponents": [exponent], "cosines": [cosine]}, 0)
    assert found["measured"][0] == pytest.approx(slowest, abs=1e-12)
    assert found["seeds"] == 201


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0, 4.0])
@pytest.mark.parametrize(("start", "end"), [(0.1, 0.9), (0.3, 0.99)])
def test_travel_times_are_integrals_of_the_inverse_speed(exponent, start, end):
    # c' = p c^(p-1) (1 - c^2).
    inverse = lambda c: 1 / (exponent * c ** (exponent - 1) * (1 - c * c))
    expected, _ = quad(inverse, start, end, epsabs=1e-12, epsrel=1e-12)
    found = early.times({"exponents": [exponent], "travels": [(start, end)]}, 0)
    assert np.all(found["settled"])
    assert found["measured"][0] == pytest.approx(expected, rel=1e-7)
    assert found["error"][0] <= 1e-6 * expected


def test_a_cosine_that_is_never_reached_takes_no_time_at_all():
    begin = np.array([0.5, math.sqrt(0.75), 1.0])
    assert math.isnan(early._travel(begin, -np.ones(1), 3.0, 0.9, 1e-6))


def test_the_window_is_that_of_the_two_leading_cosines():
    gap, exponent, left = 0.05, 3.0, 0.05
    best = math.sqrt(((1 - gap) ** -2 - 1) / 2)
    rival = best * (1 - math.sqrt(2 * gap))

    def field(_, c):
        return exponent * (c ** (exponent - 1) - c * np.sum(c**exponent))

    reached = lambda _, c: c[0] - (1 - left)
    reached.terminal = True
    run = solve_ivp(
        field, (0, 1e3), [best, rival], "Radau", events=reached, rtol=1e-9, atol=1e-12
    )
    asked = {"gap": gap, "exponent": exponent, "alignment": left}
    found = early.window(asked, 0)
    assert found["measured"][0] == pytest.approx(run.t_events[0][0], rel=1e-6)
    assert 0 < found["error"][0] < 1e-4


def test_smaller_scales_stay_closer_to_the_early_phase():
    scales = [1e-2, 1e-3, 1e-4]
    asked = dict(samples=4, width=5, dim=7, correlation=0.2, scales=scales)
    found = early.separable(asked, 1)
    error, norms, outputs = found["measured"]
    assert found["seeds"] == 5
    for row in (error, norms, outputs):
        assert np.all(row[1:] < row[:-1])
    # Norms start at the scale and outputs are at most h |v| |w| max|x|.
    assert np.all(norms >= np.array(scales) ** 2 * (1 - 1e-12))
    assert np.all(outputs <= 5 * norms)
    again = early.separable(asked, 2)["measured"]
    assert not np.allclose(again, found["measured"])
