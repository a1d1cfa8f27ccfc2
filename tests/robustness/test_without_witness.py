"""Points that nothing breaks: certified as such, or a length of the network's own."""

import jax
import numpy as np
import pytest
from plane_nets import make

from jaxbias.networks import Power, ReLU
from jaxbias.robustness import radius

RNG = np.random.default_rng(5)
X, ROWS, BIAS = RNG.normal(size=(6, 3)), RNG.normal(size=(4, 3)), RNG.normal(size=4)
EFFORTS = ("bounds", "exact")


def _activation(power):
    return ReLU() if power == 1 else Power(power)


def _ends(output, constant, power=1.0, order=2, effort="bounds", tie="<=", **changed):
    unit, layer = changed.get("unit", 1.0), changed.get("layer", 1.0)
    pick = changed.get("pick", [0, 1, 2, 3])
    rows, bias, output = ROWS[pick] / unit, BIAS[pick], np.asarray(output, float)
    if changed.get("dead"):
        # Without output, and off wherever one looks.
        rows = np.concatenate([rows, 9 * rows[:1], 0 * rows[:1]])
        bias, output = np.r_[bias, 1e3, -1.0], np.r_[output, 0.0, 1.7]
    if changed.get("classes"):
        output, constant = np.stack([0 * output, output], 1), np.array([0.0, constant])
    with jax.enable_x64(True):
        net = make(layer * rows, output, layer * bias, layer**power * constant)
        found = radius(
            net,
            unit * X,
            np.ones(len(X), int),
            activation=_activation(power),
            order=order,
            effort=effort,
            tie=tie,
        )
    assert set(found.status) == {"no witness"}
    return found.lower / unit


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("output", [[0, 0, 0, 0], [1, 2, 0, 1]], ids=["0", "own"])
def test_what_cannot_fall_has_no_radius(order, effort, output):
    for changed in ({}, {"dead": True}, {"classes": True}):
        lower = _ends(output, 0.3, order=order, effort=effort, **changed)
        np.testing.assert_array_equal(lower, np.inf)
    # At 0 it is broken only where ties break.
    np.testing.assert_array_equal(_ends(output, 0.0, tie="<"), np.inf)


def test_a_difference_that_rounds_to_nothing_is_one():
    """An amplitude of -1e-17 beside 1: the margin falls, if far away."""
    low = 1 - 2.0**-53
    with jax.enable_x64(True):
        net = make([[3.0, 0.1]], [[low, 1.0]], [0.0], [1e-3, 0.0])
        found = radius(net, [[1.0, 1.0]], [0], activation=_activation(1.0))
    assert np.isfinite(found.lower).all()


@pytest.mark.parametrize("power", [1.0, 2.0])
def test_what_is_only_out_of_sight_has_a_length_of_its_own(order, power):
    """(s)+ - .5 (s)+ is never negative, and the certificate does not see it."""
    twice = {"pick": [0, 1, 0, 1]}
    ends = lambda **changed: _ends(
        [1.0, 1.0, -0.5, -0.5], 0.25, power, order, **twice, **changed
    )
    plain = ends()
    assert np.isfinite(plain).all()
    for changed in (
        {"dead": True},
        {"classes": True},
        {"unit": 1 / 255},
        {"layer": 3.7},
    ):
        np.testing.assert_allclose(ends(**changed), plain, rtol=1e-6)
    for changed in ({"unit": 2.0**9}, {"layer": 2.0**-5}):
        np.testing.assert_array_equal(ends(**changed), plain)


@pytest.mark.parametrize("number", [3.0, 4.0])
def test_rounding_of_a_flat_crossing_crosses_no_ends(number):
    """Two classes (s, s + a z^p): s rounds a z^p away before z is 0."""
    rows, bias = np.r_[RNG.normal(size=(3, 3)), [[1.0, 0.0, 0.0]]], np.r_[BIAS[:3], 0.0]
    both = RNG.normal(size=3)
    output = np.c_[np.r_[both, 0.0], np.r_[both, 1.0]]
    x = np.c_[np.full(4, 0.5), RNG.normal(size=(4, 2))]
    with jax.enable_x64(True):
        net = make(rows, output, bias)
        found = radius(net, x, np.ones(4, int), activation=_activation(number))
    np.testing.assert_allclose(found.upper, 0.5, rtol=1e-3)
    np.testing.assert_allclose(found.lower, 0.5, rtol=1e-3)
    assert np.all(found.lower <= found.upper)
