"""Radii of explicit classifiers against optimisers, quadrature and Monte Carlo."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from jaxbias._checks import InputError
from jaxbias.theory import radii

_EXACT = {"xatol": 1e-12}


def _least(function, high):
    """Least value of a function on [0, high]: a grid, then Brent around its best."""
    grid = np.linspace(0, high, 400)
    index = int(np.argmin([function(t) for t in grid]))
    ends = grid[max(index - 1, 0)], grid[min(index + 1, grid.size - 1)]
    found = optimize.minimize_scalar(
        function, bounds=ends, method="bounded", options=_EXACT
    )
    return min(found.fun, function(grid[index]))


def _norm(parts, order):
    return float(np.linalg.norm(np.asarray(parts), ord=order))


def _towards(rivals, exponent, order, ratio=1.0):
    """Least move that fits ``rivals`` equal rivals: own to 1 - s, rivals to t each."""

    def size(s):
        own = ratio * (1 - s) ** exponent
        return _norm([s, *[(own / rivals) ** (1 / exponent)] * rivals], order)

    return _least(size, 1.0)


@pytest.mark.parametrize(
    ("clusters", "positive", "side", "pair"),
    [(5, 3, 1, (3, 2)), (5, 3, -1, (2, 3)), (2, 1, 1, (1, 1)), (9, 2, -1, (7, 2))],
)
def test_own_and_opposite_clusters(clusters, positive, side, pair):
    assert radii.split(clusters, positive, side) == pair


@pytest.mark.parametrize("positive", [0, 5, 6, -1])
def test_both_classes_need_a_cluster(positive):
    with pytest.raises(InputError, match="both classes"):
        radii.split(5, positive)


@pytest.mark.parametrize(
    ("order", "dual"),
    [(1.0, math.inf), (math.inf, 1.0), (2.0, 2.0), (1.5, 3.0), (4.0, 4 / 3)],
)
def test_conjugate_orders(order, dual):
    assert radii.conjugate(order) == pytest.approx(dual)
    assert radii.conjugate(radii.conjugate(order)) == pytest.approx(order)


@pytest.mark.parametrize("clusters", [2, 5, 9])
@pytest.mark.parametrize("order", [1.0, 1.5, 2.0, 3.0, math.inf])
def test_the_radius_of_averages_is_a_distance_to_a_plane(clusters, order):
    """Least |d|_q with the sum of the magnitudes at least 1."""
    if order == 1:
        found = optimize.linprog(
            np.ones(clusters), A_ub=-np.ones((1, clusters)), b_ub=[-1]
        ).fun
    elif math.isinf(order):
        rows = np.hstack([np.eye(clusters), -np.ones((clusters, 1))])
        total = np.append(-np.ones(clusters), 0)[None]
        found = optimize.linprog(
            np.eye(clusters + 1)[-1],
            A_ub=np.vstack([rows, total]),
            b_ub=np.append(np.zeros(clusters), -1),
        ).fun
    else:
        found = optimize.minimize(
            lambda d: np.sum(np.abs(d) ** order),
            np.linspace(0.1, 0.9, clusters),
            constraints={"type": "ineq", "fun": lambda d: d.sum() - 1},
            method="SLSQP",
            options={"ftol": 1e-14, "maxiter": 500},
        ).fun ** (1 / order)
    assert radii.averaged_radius(clusters, order) == pytest.approx(found, rel=1e-6)


@pytest.mark.parametrize("opposite", [1, 2, 4, 7])
@pytest.mark.parametrize("exponent", [1.0, 1.25, 1.5, 2.0, 3.0, 6.0])
@pytest.mark.parametrize("order", [1.0, 1.5, 2.0, 3.0, math.inf])
def test_per_centre_radius_is_the_cheapest_set_of_rivals(opposite, exponent, order):
    """The move goes to m equal rivals for some m: try them all."""
    best = min(_towards(m, exponent, order) for m in range(1, opposite + 1))
    found = radii.per_centre_radius(opposite, exponent, order)
    assert found == pytest.approx(best, abs=1e-7)


@pytest.mark.parametrize(
    ("opposite", "exponent", "order", "value"),
    [
        (4, 1.0, 2.0, 1 / math.sqrt(5)),
        (4, 1.5, 2.0, 1 / math.sqrt(1 + 4 ** (1 / 3))),
        (9, 2.0, 2.0, math.sqrt(0.5)),
        (9, 7.5, 2.0, math.sqrt(0.5)),
        (4, 1.0, math.inf, 1 / 5),
        (4, 2.0, math.inf, 1 / 3),
        (8, 3.0, math.inf, 1 / 3),
        (6, 2.0, 1.0, 1.0),
    ],
)
def test_per_centre_radius_at_quoted_values(opposite, exponent, order, value):
    found = radii.per_centre_radius(opposite, exponent, order)
    assert found == pytest.approx(value, rel=1e-13)


@pytest.mark.parametrize("own", [1, 3, 6])
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (2.0, 0.7), (0.4, 1.9)])
def test_unequal_averages(own, a, b):
    """From (1/sqrt(own), 0) to the line a u = b v in the plane of both averages."""
    u = 1 / math.sqrt(own)
    best = _least(lambda v: math.hypot(u - b * v / a, v), 2.0)
    found = radii.averaged_radius_amplitudes(own, a, b)
    assert found == pytest.approx(best, abs=1e-10)


@pytest.mark.parametrize("exponent", [2.0, 2.5, 3.0, 5.0])
@pytest.mark.parametrize("ratio", [0.3, 1.0, 2.4])
def test_unequal_centres_with_one_rival(exponent, ratio):
    best = _towards(1, exponent, 2.0, ratio)
    found = radii.per_centre_radius_amplitudes(ratio * 1.7, 1.7, exponent)
    assert found == pytest.approx(best, abs=1e-9)


@pytest.mark.parametrize("exponent", [2.0, 3.0, 5.0])
def test_only_the_strongest_rival_matters(exponent):
    """Two weaker rivals beside the strongest do not shorten the way, p >= 2."""
    rivals = np.array([2.0, 1.5, 1.9])

    def size(x):
        own = (rivals @ np.abs(x) ** exponent / 1.2) ** (1 / exponent)
        return math.hypot(1 - own, _norm(x, 2))

    starts = [*np.eye(3) * 0.5, np.full(3, 0.3), *np.eye(3) * 0.4 + 0.1]
    best = min(
        optimize.minimize(
            size, s, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-12}
        ).fun
        for s in starts
    )
    found = radii.per_centre_radius_amplitudes(1.2, 2.0, exponent)
    assert found == pytest.approx(best, abs=1e-6)


def _samples(clusters, positive, noise, dim, count, seed):
    """Projections of positive samples: own cluster first, other class last."""
    spread = noise / math.sqrt(dim)
    x = spread * np.random.default_rng(seed).standard_normal((count, clusters))
    x[:, 0] += 1
    return x[:, :positive], x[:, positive:]


@pytest.mark.parametrize(
    ("radius", "clusters", "positive", "noise", "dim"),
    [
        (0.69, 10, 6, 0.3, 1000),
        (0.70, 10, 6, 0.3, 1000),
        (0.66, 7, 2, 0.5, 400),
        (math.sqrt(0.5), 5, 3, 0.2, 100),
        (0.72, 4, 1, 0.3, 200),
    ],
)
def test_nearest_centre_accuracy_by_monte_carlo(radius, clusters, positive, noise, dim):
    count, found = 100_000, 0.0
    for size in (positive, clusters - positive):
        own, other = _samples(clusters, size, noise, dim, count, size)
        # A rule of two half-spaces per pair of centres: (own - rival)/sqrt(2) away.
        reach = (own.max(axis=1) - other.max(axis=1)) / math.sqrt(2)
        found += size / clusters * np.mean(reach > radius)
    value = radii.nearest_centre_accuracy(radius, clusters, positive, noise, dim)
    assert found == pytest.approx(value, abs=5 * 0.5 / math.sqrt(count))


@pytest.mark.parametrize(("clusters", "positive"), [(10, 6), (5, 4), (2, 1), (9, 3)])
def test_nearest_centre_accuracy_at_the_ceiling(clusters, positive):
    """Exchangeability: own noise is the largest of m + 1 with chance 1/(m + 1)."""
    other = clusters - positive
    expected = (positive / (other + 1) + other / (positive + 1)) / clusters
    found = radii.nearest_centre_accuracy(math.sqrt(0.5), clusters, positive, 0.37, 77)
    assert found == pytest.approx(expected, rel=1e-11)


def test_nearest_centre_accuracy_with_one_rival_is_a_normal_tail():
    """K = 2: the difference of two noises has twice the variance."""
    for radius in (0.6, 0.69, 0.75):
        shift = (1 - math.sqrt(2) * radius) * math.sqrt(300) / 0.4
        found = radii.nearest_centre_accuracy(radius, 2, 1, 0.4, 300)
        assert found == pytest.approx(stats.norm.cdf(shift / math.sqrt(2)), abs=1e-11)


@pytest.mark.parametrize(
    ("margin", "clusters", "noise", "dim", "value"),
    [
        (0.0, 3, 0.5, 40, -5.0),
        (8 * 0.3 * math.sqrt(math.log(20) / 1000), 10, 0.3, 1000, 0.0),
        (8 * 0.2 * math.sqrt(math.log(400) / 500), 2, 0.2, 500, 0.99),
    ],
)
def test_bayes_bound_at_solved_margins(margin, clusters, noise, dim, value):
    found = radii.bayes_accuracy_bound(margin, clusters, noise, dim)
    assert found == pytest.approx(value, abs=1e-12)


@pytest.mark.parametrize("opposite", [1, 4, 9])
def test_the_shift_of_the_tail_bound_is_the_root_mean_square(opposite):
    """The bound is 1 up to sqrt(2) times the quadratic mean of |s(eps_-)|."""
    noise, dim = 0.6, 80
    second = opposite * stats.norm(0, noise / math.sqrt(dim)).expect(
        lambda e: e**2, lb=0
    )
    edge = math.sqrt(2 * second)
    at = [
        radii.per_centre_failure_bound(factor * edge, opposite, noise, dim)
        for factor in (0.5, 0.999, 1.02)
    ]
    assert at[0] == at[1] == 1.0
    assert at[2] < 1


@pytest.mark.parametrize("exponent", [2.0, 3.0, 8.0])
@pytest.mark.parametrize("shortfall", [0.4, 0.5])
def test_failures_per_centre_stay_below_their_bound(exponent, shortfall):
    opposite, noise, dim, count = 4, 0.8, 100, 100_000
    _, other = _samples(5, 1, noise, dim, count, 7)
    own = noise / math.sqrt(dim) * np.random.default_rng(8).standard_normal(count)
    rivals = np.linalg.norm(np.maximum(other, 0), ord=exponent, axis=1)
    # Certified: (1 + own - rivals)/sqrt(2) > (sqrt(2) - shortfall)/2.
    failed = np.mean(rivals - own >= shortfall / math.sqrt(2))
    bound = radii.per_centre_failure_bound(shortfall, opposite, noise, dim)
    assert failed <= bound
    # An exponent four times as large would be refused by the same sample.
    spread = 5 * math.sqrt(failed / count) + 5 / count
    if exponent == 2.0:
        assert failed - spread > bound**4


@pytest.mark.parametrize("excess", [0.0, 0.02, 0.05, 0.1])
@pytest.mark.parametrize(("clusters", "positive"), [(10, 6), (5, 2)])
def test_universal_attack(excess, clusters, positive):
    noise, dim, count = 0.4, 300, 40_000
    own, other = _samples(clusters, positive, noise, dim, count, 3)
    step = (1 + excess) / clusters
    kept = np.mean(
        np.maximum((own - step).sum(axis=1), 0)
        > np.maximum((other + step).sum(axis=1), 0)
    )
    bound = radii.universal_attack_bound(excess, clusters, noise, dim)
    assert kept <= bound + 5 * 0.5 / math.sqrt(count)
    deviations = excess * math.sqrt(dim / clusters) / noise
    tail = stats.norm.sf(deviations)
    assert tail <= bound
    # The density and the tail have one exponent: their ratio is Mills', no more.
    assert tail >= bound * math.sqrt(2 / math.pi) / (deviations + 2)


def _reach(own, other, exponent, rng):
    """Upper bound on the radius of F^(p) at x by SLSQP from several starts."""
    split = own.size

    def score(z):
        powers = np.maximum(z, 0) ** exponent
        return powers[:split].sum() - powers[split:].sum()

    x, best = np.concatenate([own, other]), math.inf
    sense = np.where(np.arange(x.size) < split, -1.0, 1.0)
    for _ in range(6):
        found = optimize.minimize(
            lambda d: d @ d,
            sense * rng.uniform(0.1, 0.7, x.size),
            jac=lambda d: 2 * d,
            constraints={"type": "ineq", "fun": lambda d: -score(x + d)},
            method="SLSQP",
            options={"ftol": 1e-13, "maxiter": 200},
        )
        if found.success and score(x + found.x) < 1e-8:
            best = min(best, math.sqrt(found.fun))
    return best


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_no_attack_goes_below_the_certificate(exponent, seed):
    rng = np.random.default_rng(seed)
    own, other = rng.normal(0.5, 0.4, 3), rng.normal(0.0, 0.3, 2)
    own[0], other[0] = 1.4, 0.1
    claimed = radii.certificate(own[None], other[None], exponent)[0]
    found = _reach(own, other, exponent, rng)
    assert claimed <= found + 1e-6
    if exponent == 2 and min(own) > 0:
        # Exact: both classes move along their own projections.
        assert claimed == pytest.approx(found, abs=1e-5)


@pytest.mark.parametrize(("own", "other"), [(1, 1), (3, 2), (4, 5)])
def test_certificate_of_exponent_one_is_a_half_space(own, other):
    """All projections positive: sum of own minus sum of others over sqrt(K)."""
    x = np.full((1, own), 2.0), np.full((1, other), 0.1)
    found = radii.certificate(*x, 1.0)[0]
    assert found == pytest.approx((2.0 * own - 0.1 * other) / math.sqrt(own + other))


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0, 4.0])
def test_certificate_ignores_inactive_projections_and_is_homogeneous(exponent):
    own, other = np.array([[1.0, -0.4, 0.2]]), np.array([[-0.3, 0.1]])
    still = radii.certificate(np.maximum(own, 0), np.maximum(other, 0), exponent)
    found = radii.certificate(own, other, exponent)
    np.testing.assert_allclose(found, still, rtol=1e-14)
    np.testing.assert_allclose(
        radii.certificate(3 * own, 3 * other, exponent), 3 * found, rtol=1e-13
    )
