"""The sup distance of one tilted neuron, where it is known."""

import math

import numpy as np
import pytest

from jaxbias.verification import evidence_closeness as closeness


def asked(exponents=(3.0,), misalignments=(1e-3,), excesses=(0.0,), grid=20_001):
    return {
        "exponents": exponents,
        "misalignments": misalignments,
        "excesses": excesses,
        "grid": grid,
    }


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
@pytest.mark.parametrize("excess", [-0.2, 0.01, 0.3])
def test_an_aligned_neuron_differs_by_its_excess(exponent, excess):
    found = closeness.tilted(asked((exponent,), (1e-24,), (excess,), 2001), 0)
    assert found["lower"][0] == pytest.approx(abs(excess), rel=1e-9)
    assert found["upper"][0] >= abs(excess)


@pytest.mark.parametrize("misalignment", [1e-4, 1e-2, 0.2])
def test_at_exponent_one_the_distance_is_the_sine_of_the_tilt(misalignment):
    # The sup is reached where one of the two has just become inactive.
    sine = math.sqrt(1 - (1 - misalignment) ** 2)
    found = closeness.tilted(asked((1.0,), (misalignment,)), 0)
    assert found["lower"][0] <= sine * (1 + 1e-9) <= found["upper"][0]
    assert found["upper"][0] - found["lower"][0] < 1e-3


def test_at_exponent_three_the_distance_is_of_the_order_of_the_root():
    # p sqrt(2 delta) max cos^2 sin = 2/sqrt(3) sqrt(2 delta) to leading order.
    deltas = (1e-6, 1e-4)
    found = closeness.tilted_weights(asked(misalignments=deltas), 0)
    leading = [2 / math.sqrt(3) * math.sqrt(2 * delta) for delta in deltas]
    np.testing.assert_allclose(found["lower"], leading, rtol=1e-3)


@pytest.mark.parametrize("exponent", [1.0, 2.5, 3.0])
def test_the_grid_and_the_forward_pass_agree(exponent):
    cases = asked((exponent,), (1e-4, 1e-2), (-0.05, 0.0, 0.05))
    grid, searched = closeness.tilted(cases, 0), closeness.tilted_weights(cases, 0)
    assert grid["lower"].shape == searched["lower"].shape == (6,)
    assert np.all(grid["lower"] <= searched["upper"])
    assert np.all(searched["lower"] <= grid["upper"])


def test_a_finer_grid_narrows_the_interval_around_the_same_value():
    coarse, fine = (closeness.tilted(asked(grid=n), 0) for n in (2001, 20_001))
    widths = [float(f["upper"][0] - f["lower"][0]) for f in (coarse, fine)]
    assert widths[0] == pytest.approx(10 * widths[1], rel=1e-2)
    assert coarse["lower"][0] <= fine["upper"][0]
    assert fine["lower"][0] <= coarse["upper"][0]


def test_the_witness_reaches_the_value_that_is_worst_for_the_shape():
    cases = asked((2.0, 3.0), (1e-3, 1e-2), (0.0,))
    found = closeness.tilted(cases, 0)
    witness = found["witness"]
    w, x = np.array(witness["hidden"]), np.array(witness["point"])
    norm, p = np.linalg.norm(w), witness["exponent"]
    score = witness["output"] * max(float(w @ x), 0.0) ** p / norm ** (p - 1)
    reached = abs(score - max(x[0], 0.0) ** p)
    shares = found["lower"] / np.array([2e-3, 2e-2, 2e-3, 2e-2])
    assert reached == pytest.approx(found["lower"][np.argmax(shares)], rel=1e-9)
    assert norm**2 == pytest.approx(1.0)
