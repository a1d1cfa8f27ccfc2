"""Smaller lanes are below the true ones, wherever they are valid."""

import numpy as np
import pytest
from plane_nets import activation_of, make

from jaxbias.robustness._lanes import lanes_of
from jaxbias.robustness._normal_form import normal_form
from jaxbias.robustness._reduction import reduce

GROUPS, EACH, DIM, POINTS = 4, 5, 3, 6


def _lanes(rng, power, apart):
    """Groups of neurons with nearly equal directions and amplitudes of one sign."""
    hidden = np.repeat(rng.normal(size=(GROUPS, DIM)), EACH, axis=0)
    hidden = hidden + apart * rng.normal(size=hidden.shape)
    signs = np.repeat(np.array([1.0, -1.0, 1.0, -1.0]), EACH)
    output = signs * rng.uniform(0.5, 1.5, size=len(signs))
    form = normal_form(make(hidden, output), activation_of(power))
    points = rng.normal(size=(POINTS, DIM))
    return lanes_of(form, points, np.arange(POINTS), np.ones(POINTS, int), None)


@pytest.mark.parametrize("apart", [1e-4, 1e-2], ids="{:g}".format)
def test_nothing_is_promised_that_the_network_does_not_keep(exponent, order, apart):
    rng = np.random.default_rng(int(10 * exponent))
    merged = 0
    for _ in range(6):
        lanes = _lanes(rng, exponent, apart)
        reach = np.full(POINTS, 0.7)
        parts = reduce(lanes, reach, order, 0.5)
        numbers = np.concatenate([index for index, _ in parts])
        assert np.array_equal(np.sort(numbers), np.arange(POINTS))
        for index, small in parts:
            whole = lanes.take(index)
            merged += len(small.rows) < len(whole.rows)
            for _ in range(300):
                steps = rng.normal(size=(len(index), DIM))
                steps /= np.linalg.norm(steps, order, axis=1, keepdims=True)
                steps *= 0.7 * rng.uniform(size=(len(index), 1))
                inside = steps if small.basis is None else steps @ small.basis.T
                at = small.scores + inside @ small.rows.T
                promised = small.values(inside) - small.charged(at, at)
                assert np.all(promised <= whole.values(steps) + 1e-12)
    # Not where no point is right: there is nothing to certify.
    assert merged >= 4


def test_a_price_of_nothing_would_promise_too_much():
    # So that the test above could fail: the same without the price.
    rng = np.random.default_rng(0)
    worst = 0.0
    for _ in range(20):
        lanes = _lanes(rng, 1.0, 1e-2)
        for index, small in reduce(lanes, np.full(POINTS, 0.7), 2, 0.5):
            for _ in range(300):
                steps = rng.normal(size=(len(index), DIM))
                steps *= 0.7 / np.linalg.norm(steps, axis=1, keepdims=True)
                inside = steps if small.basis is None else steps @ small.basis.T
                gap = small.values(inside) - lanes.take(index).values(steps)
                worst = max(worst, np.max(gap))
    assert worst > 1e-5
