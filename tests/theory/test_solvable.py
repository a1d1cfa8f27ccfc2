"""Every solvable flow against scipy's integrator at 1e-9."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxbias._checks import InputError
from jaxbias.theory import solvable

TIMES = np.array([0.3, 1.0, 2.5, 6.0])
_EXACT = {"rtol": 3e-14, "atol": 1e-24, "method": "DOP853"}


def _solve(field, start, times=TIMES):
    start = np.atleast_1d(np.asarray(start, float))
    run = solve_ivp(field, (0, times[-1]), start, t_eval=times, **_EXACT)
    return run.y


@pytest.mark.parametrize("start", [1e-14, 1e-3, 0.5, 2.0])
@pytest.mark.parametrize("target", [1.0, 0.7, 0.0])
def test_balanced_product(start, target):
    a, b = _solve(
        lambda _, y: [y[1] * (target - y[0] * y[1]), y[0] * (target - y[0] * y[1])],
        [math.sqrt(start)] * 2,
    )
    found = solvable.balanced_product(TIMES, target, start)
    np.testing.assert_allclose(found, a * b, rtol=1e-9)


@pytest.mark.parametrize("ends", [(0.1, 1.0), (-0.3, 0.8), (1.5, 0.9), (1e-4, 2e-4)])
@pytest.mark.parametrize("target", [1.0, 0.0, -0.5])
def test_unbalanced_product(ends, target):
    a, b = _solve(
        lambda _, y: [y[1] * (target - y[0] * y[1]), y[0] * (target - y[0] * y[1])],
        ends,
    )
    found = solvable.unbalanced_product(TIMES, target, *ends)
    np.testing.assert_allclose(found, a * b, rtol=1e-9, atol=1e-12)


def test_equal_factors_fall_back_to_the_balanced_formula():
    both = solvable.unbalanced_product(TIMES, 1.0, 0.1, 0.1)
    balanced = solvable.balanced_product(TIMES, 1.0, 0.01)
    np.testing.assert_allclose(both, balanced, rtol=1e-14)


def test_orthogonal_data_follow_one_logistic_law_each():
    targets, norms = np.array([1.0, -0.5, 2.0]), np.array([1.0, 0.5, 2.0])
    first = np.array([0.1, 0.2, 0.05])

    def field(_, y):
        w, v = y.reshape(2, 3)
        pull = (targets - v * w * norms) / 3
        return np.concatenate([pull * v * norms, pull * w * norms])

    signs = np.sign(targets)
    path = _solve(field, np.concatenate([first, signs * first])).reshape(2, 3, -1)
    starts = signs * first**2 * norms
    found = solvable.orthogonal_outputs(TIMES, targets, starts, norms)
    np.testing.assert_allclose(found.T, path[0] * path[1] * norms[:, None], rtol=1e-9)
    with pytest.raises(InputError, match="sign"):
        solvable.orthogonal_outputs(TIMES, targets, -starts, norms)


@pytest.mark.parametrize("scale", [1e-3, 0.1, 1.0, 10.0])
def test_a_diagonal_network_ends_at_the_least_entropy(scale):
    rng = np.random.default_rng(1)
    x, beta = rng.normal(size=(4, 9)), np.zeros(9)
    beta[[1, 6]] = 1.0, -2.0
    y = x @ beta
    found = solvable.diagonal_limit(x, y, scale)
    np.testing.assert_allclose(x @ found, y, atol=1e-10)

    def field(_, z):
        u, v = z.reshape(2, 9)
        pull = 2 * x.T @ (y - x @ (u**2 - v**2))
        return np.concatenate([pull * u, -pull * v])

    run = solve_ivp(
        field,
        (0, 300 / scale),
        np.full(18, scale),
        rtol=1e-10,
        atol=1e-14,
        method="LSODA",
    )
    u, v = run.y[:, -1].reshape(2, 9)
    np.testing.assert_allclose(u**2 - v**2, found, atol=1e-6)


def test_a_diagonal_network_lies_between_the_two_least_norms():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(4, 9))
    y = x[:, 1] - 2 * x[:, 6]
    least = np.linalg.pinv(x) @ y
    np.testing.assert_allclose(solvable.diagonal_limit(x, y, 1e3), least, atol=1e-5)
    norms = [
        np.abs(solvable.diagonal_limit(x, y, a)).sum() for a in (1e-6, 1e-2, 1.0, 9.0)
    ]
    assert np.all(np.diff(norms) > 0)
    assert norms[-1] <= np.abs(least).sum() + 1e-9
    with pytest.raises(InputError, match="rank 3"):
        solvable.diagonal_limit(np.vstack([x[:3], x[:1]]), y, 0.1)


def test_linear_margin():
    [m] = _solve(lambda _, y: 4.0 * np.exp(-y), 0.3)
    np.testing.assert_allclose(solvable.linear_margin(TIMES, 0.3, 2.0), m, rtol=1e-9)


@pytest.mark.parametrize("start", [1e-6, 1e-2, 1.5])
@pytest.mark.parametrize(
    ("law", "field"),
    [
        (solvable.growth_squared, lambda _, z: 2 * z * (1 - z)),
        (solvable.growth_exponential, lambda _, z: 2 * z * np.exp(-z)),
        (solvable.growth_logistic, lambda _, z: 2 * z / (1 + np.exp(z))),
        (
            lambda t, z: solvable.growth_exponential(t, z, 2 * math.sqrt(3)),
            lambda _, z: 2 * math.sqrt(3) * z * np.exp(-z),
        ),
    ],
)
def test_growth(law, field, start):
    [z] = _solve(field, start)
    np.testing.assert_allclose(law(TIMES, start), z, rtol=1e-9)


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0, 2.5, 3.0, 3.7, 4.0, 5.0])
def test_alignment_time_is_the_inverse_of_its_equation(exponent):
    rate = lambda _, c: exponent * c ** (exponent - 1) * (1 - c**2)
    times = np.array([0.2, 0.7, 1.5])
    [c] = _solve(rate, 0.3, times)
    begin = solvable.alignment_time(0.3, exponent)
    passed = solvable.alignment_time(c, exponent) - begin
    np.testing.assert_allclose(passed, times, rtol=1e-9)


def test_quoted_travel_times():
    quoted = {1.0: 3.69987, 2.0: 2.70206, 3.0: 4.23295, 4.0: 13.72578}
    for exponent, time in quoted.items():
        found = solvable.alignment_time(0.999, exponent) - solvable.alignment_time(
            0.1, exponent
        )
        assert found == pytest.approx(time, abs=5e-6)


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0, 3.0, 4.0, 5.0])
def test_locked_time_is_the_limit(exponent):
    c = 1 - 1e-9
    limit = (
        solvable.alignment_time(c, exponent)
        + math.log(1 - c**2) / (2 * exponent)
        - solvable.alignment_time(0.2, exponent)
    )
    assert solvable.locked_time(0.2, exponent) == pytest.approx(limit, abs=1e-7)


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_half_fit_time_of_one_neuron(exponent):
    """(1-c^2) |w|^(2p) is constant: integrate z and c together."""
    scale, start = 1e-3, 0.4

    def field(_, y):
        c, log_z = y
        left = 1 - math.exp(log_z) * c**exponent
        turn = exponent * c ** (exponent - 1) * (1 - c**2) * left
        return [turn, 2 * c**exponent * left]

    def half(_, y):
        return math.exp(y[1]) * y[0] ** exponent - 0.5

    half.terminal = True
    run = solve_ivp(field, (0, 60), [start, 2 * math.log(scale)], events=half, **_EXACT)
    found = solvable.half_fit_time([start, -0.3], [scale, scale], exponent)
    # What is left of the turn when the fit sets in: order scale^(2/p).
    assert found == pytest.approx(run.t_events[0][0], abs=2 * scale ** (2 / exponent))


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0, 3.0, 4.0])
def test_early_path(exponent):
    start, signs = np.array([0.5, 0.3, 0.4, -0.2]), np.array([1.0, 1.0, -1.0, 1.0])

    def field(_, u):
        gate = np.where(u > 0, np.maximum(u, 1e-300) ** (exponent - 1), 0.0)
        return exponent * signs * gate

    end = _solve(field, start, np.array([0.1]))[:, 0]
    found = solvable.early_path(start, signs, exponent, 0.1)
    np.testing.assert_allclose(found, end, rtol=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda: solvable.alignment_time(1.2, 3.0),
        lambda: solvable.alignment_time(0.2, 6.0),
        lambda: solvable.half_fit_time([-0.1], [1.0], 3.0),
        lambda: solvable.growth_squared([1.0], 0.0),
        lambda: solvable.growth_logistic([1.0], -1.0),
        lambda: solvable.early_path(np.array([0.5]), np.array([1.0]), 3.0, 5.0),
    ],
)
def test_what_has_no_solution_is_refused(call):
    with pytest.raises(InputError):
        call()
