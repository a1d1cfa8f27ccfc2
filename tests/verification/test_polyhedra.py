"""Distances to regions of error against dense searches and general solvers."""

import itertools
import math

import numpy as np
import pytest
from scipy import optimize

from jaxbias.verification._polyhedra import Piece, largest, nearest, summed

ORDERS = pytest.mark.parametrize("order", [2.0, math.inf], ids=["l2", "linf"])


def _unit(rows, limits):
    lengths = np.linalg.norm(rows, axis=1)
    return Piece(rows / lengths[:, None], limits / lengths)


def _by_solver(piece, point, order):
    """The same distance over every set of tight rows, or by a linear program."""
    slack = piece.limits - piece.rows @ point
    if order == 2:
        # The shortest step is the least-norm solution of its own tight rows.
        subsets = itertools.product((False, True), repeat=slack.size)
        tight = map(np.array, subsets)
        steps = [np.linalg.pinv(piece.rows[s]) @ slack[s] for s in tight]
        feasible = [t for t in steps if np.all(piece.rows @ t <= slack + 1e-12)]
        return min(map(np.linalg.norm, feasible), default=math.inf)
    count = point.size
    # step = plus - minus, both in [0, t].
    rows = np.hstack([piece.rows, -piece.rows, np.zeros((len(slack), 1))])
    box = np.hstack([np.eye(2 * count), -np.ones((2 * count, 1))])
    found = optimize.linprog(
        np.append(np.zeros(2 * count), 1.0),
        A_ub=np.vstack([rows, box]),
        b_ub=np.append(slack, np.zeros(2 * count)),
    )
    return found.fun if found.success else math.inf


@ORDERS
@pytest.mark.parametrize("seed", range(8))
def test_the_distance_to_a_polyhedron(seed, order):
    rng = np.random.default_rng(seed)
    piece = _unit(rng.standard_normal((4, 5)), rng.standard_normal(4))
    point = 2 * rng.standard_normal(5)
    distance, step = nearest([piece], point, order)
    assert distance == pytest.approx(_by_solver(piece, point, order), abs=1e-6)
    assert np.linalg.norm(step, ord=order) == pytest.approx(distance, abs=1e-12)
    assert np.all(piece.rows @ (point + step) <= piece.limits + 1e-9)


@ORDERS
def test_the_nearest_of_several_is_no_farther_than_any(order):
    rng = np.random.default_rng(11)
    pieces = [
        _unit(rng.standard_normal((3, 4)), rng.standard_normal(3) - 1) for _ in range(9)
    ]
    for point in rng.standard_normal((3, 4)):
        each = [nearest([piece], point, order)[0] for piece in pieces]
        assert nearest(pieces, point, order)[0] == pytest.approx(min(each), abs=1e-12)


@ORDERS
def test_a_point_inside_has_distance_0(order):
    piece = _unit(np.eye(3), np.ones(3))
    distance, step = nearest([piece], np.zeros(3), order)
    assert distance == 0
    assert np.all(step == 0)


@ORDERS
def test_a_piece_without_points_is_infinitely_far(order):
    empty = _unit(np.array([[1.0, 0.0], [-1.0, 0.0]]), np.array([-1.0, -1.0]))
    distance, step = nearest([empty], np.array([0.3, 0.2]), order)
    assert math.isinf(distance)
    assert np.all(np.isnan(step))
    other = _unit(np.array([[0.0, 1.0]]), np.array([-1.0]))
    assert nearest([empty, other], np.array([0.3, 0.2]), order)[0] == pytest.approx(1.2)


def _rays(order, count=6_001):
    angle = np.linspace(-math.pi, math.pi, count)
    rays = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return rays / np.linalg.norm(rays, ord=order, axis=1)[:, None]


def _first_break(score, point, order, strict, reach=6.0):
    """Least length at which a fan of rays meets the errors, by bisection."""
    rays = _rays(order)
    lengths = np.linspace(0, reach, 121)[1:]
    wrong = (lambda f: f < -1e-12) if strict else (lambda f: f <= 1e-12)
    fan = (point + lengths[:, None, None] * rays).reshape(-1, 2)
    broken = wrong(score(fan)).reshape(len(lengths), -1)
    rays, first = rays[broken.any(0)], broken[:, broken.any(0)].argmax(0)
    high = lengths[first]
    low = high - lengths[0]
    for _ in range(40):
        middle = (low + high) / 2
        now = wrong(score(point + middle[:, None] * rays))
        low, high = np.where(now, low, middle), np.where(now, middle, high)
    return float(high.min())


@ORDERS
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_summed_scores_in_the_plane(seed, order, strict):
    rng = np.random.default_rng(seed)
    hidden = np.array([[1.0, 0.2], [-0.3, 1.0]]) + 0.2 * rng.standard_normal((2, 2))
    bias, amplitudes = -rng.uniform(0, 0.4, 2), np.array([1.0, -rng.uniform(0.6, 2)])
    point = np.array([1.5, 0.1]) + 0.1 * rng.standard_normal(2)
    score = lambda x: np.maximum(x @ hidden.T + bias, 0) @ amplitudes
    assert score(point) > 0
    found, _ = nearest(summed(hidden, bias, amplitudes, strict=strict), point, order)
    expected = _first_break(score, point, order, strict)
    assert found == pytest.approx(expected, abs=2e-3)
    assert found <= expected + 1e-9


@ORDERS
@pytest.mark.parametrize("strict", [False, True])
def test_largest_outputs_in_the_plane(order, strict):
    hidden = np.array([[1.0, 0.3], [0.2, 1.0], [-1.0, 0.4], [0.3, -0.9]])
    own = np.array([True, False, True, False])
    point = np.array([1.2, 0.1])

    def score(x):
        active = np.maximum(x @ hidden.T, 0)
        return active[:, own].max(1) - active[:, ~own].max(1)

    found, _ = nearest(largest(hidden, own, strict=strict), point, order)
    assert found == pytest.approx(_first_break(score, point, order, strict), abs=2e-3)


def test_a_tie_on_a_region_counts_only_where_it_is_asked_to():
    # f = s(x_0 - 1/2): 0 from 1/2 down, never negative.
    hidden, bias, amplitudes = np.eye(2)[:1], np.array([-0.5]), np.ones(1)
    point = np.array([1.0, 0.0])
    loose = summed(hidden, bias, amplitudes, strict=False)
    assert nearest(loose, point, 2)[0] == pytest.approx(0.5)
    assert summed(hidden, bias, amplitudes, strict=True) == []
    rows, own = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([True, False])
    assert len(largest(rows, own, strict=False)) == 2
    [piece] = largest(rows, own, strict=True)
    assert nearest([piece], point, 2)[0] == pytest.approx(0.5**0.5)
