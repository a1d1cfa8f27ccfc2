"""Witnesses inside a box: what no step outside it can teach."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plane_nets import forward, make
from scipy.optimize import linprog
from sklearn.datasets import load_digits

from jaxbias.networks import ReLU
from jaxbias.robustness import apgd, radius
from jaxbias.robustness._boxes import shortest

EFFORTS = ("attack", "bounds", "tight", "exact")


def _one_neuron():
    """relu(x1 + ... + x9 - x10 + 2) - 1.2: only the last input can be moved."""
    rows = np.r_[np.ones(9), -1.0][None]
    with jax.enable_x64(True):
        return make(rows, [1.0], [2.0], -1.2), np.r_[np.zeros(9), 0.5][None]


@pytest.mark.parametrize("effort", EFFORTS)
def test_the_one_way_that_the_box_leaves_is_found(order, effort):
    net, x = _one_neuron()
    found = radius(
        net, x, [1], activation=ReLU(), order=order, effort=effort, box=(0, 1)
    )
    np.testing.assert_allclose(found.upper, 0.3, rtol=1e-9)
    np.testing.assert_allclose(found.witness, [[0.0] * 9 + [0.8]], atol=1e-9)
    assert found.lower[0] <= 0.3
    if effort == "exact":
        assert found.status[0] == "exact"
        np.testing.assert_allclose(found.lower, 0.3, rtol=2e-6)


def test_linear_programming_agrees():
    """The least t with |d| <= t, d in the box, where the network is linear."""
    net, x = _one_neuron()
    slope = np.asarray(net.hidden)[0]
    sides = np.concatenate(
        [np.c_[np.eye(10), -np.ones(10)], np.c_[-np.eye(10), -np.ones(10)]]
    )
    least = linprog(
        np.r_[np.zeros(10), 1.0],
        A_ub=np.concatenate([sides, np.r_[slope, 0.0][None]]),
        b_ub=np.r_[np.zeros(20), -0.3],
        bounds=[(-v, 1 - v) for v in x[0]] + [(0, None)],
    )
    assert least.fun == pytest.approx(0.3, rel=1e-9)


def test_a_shortest_step_in_a_box_is_a_bound(order):
    rng = np.random.default_rng(0)
    for _ in range(20):
        slope, cap = np.abs(rng.normal(size=(2, 6)))
        target = 0.7 * float(slope @ cap)
        with jax.enable_x64(True):
            bound = float(shortest(*map(jnp.asarray, (slope, cap, target)), order))
            more = float(shortest(*map(jnp.asarray, (slope, cap, 2 * target)), order))
        assert np.isinf(more)
        # Of the steps that reach the target none is shorter, and one is as short.
        sizes = np.geomspace(1e-3, 1e3, 200_001)[:, None]
        steps = np.minimum(sizes * slope if order == 2 else sizes, cap)
        enough = steps[np.argmax(steps @ slope >= target)]
        length = np.linalg.norm(enough, order)
        assert length * (1 - 1e-4) <= bound <= length


def test_images_are_never_further_than_boxed_apgd():
    data: Any = load_digits()
    rng = np.random.default_rng(0)
    x, y = data.data / 16, np.where(data.target % 2 == 0, 1.0, -1.0)
    hidden = rng.normal(size=(40, 64))
    output = np.linalg.lstsq(np.maximum(x @ hidden.T, 0), y, rcond=None)[0]
    x, y = x[:40], y[:40]
    with jax.enable_x64(True):
        net = make(hidden, output)
        found = radius(
            net, x, y, activation=ReLU(), order="inf", effort="attack", box=(0, 1)
        )
        right = found.upper > 0
        grid = np.geomspace(0.1, 4.0, 12) * np.median(found.upper[right])
        broken = apgd.broken(
            net, ReLU(), x, y, grid, key=jax.random.key(0), order="inf", box=(0, 1)
        )
    assert right.sum() >= 30
    first = np.where(broken.any(0), grid[broken.argmax(0)], np.inf)
    assert np.isfinite(first[right]).sum() >= 30
    assert np.all(found.upper <= first)
    assert np.all((found.witness >= 0) & (found.witness <= 1))
    assert np.all(y * forward(net, ReLU(), found.witness) <= 1e-12)
