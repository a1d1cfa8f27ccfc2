"""Exact and tight radii: closed forms, dense search, and two solvers."""

import itertools
import time
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from plane_nets import activation_of, forward, make
from scipy.optimize import minimize_scalar

from jaxbias import InputError
from jaxbias.networks import PReLU, ReLU, decoupled_network, mixture_network
from jaxbias.networks.readouts import GroupArgmax, ProbabilitySum, SummedLogits
from jaxbias.robustness import Budget, _branching, closed_form, radius
from jaxbias.robustness._lanes import lanes_of
from jaxbias.robustness._normal_form import normal_form
from jaxbias.robustness._reading import combine, undecided

POSITIVE, NEGATIVE = 6, 4
K = POSITIVE + NEGATIVE
CENTRES = np.eye(K)
SIGNS = np.r_[np.ones(POSITIVE), -np.ones(NEGATIVE)]
GROUPS = tuple(int(s) for s in SIGNS)
OPTIMAL = np.sqrt(0.5)


def _exact(net, point, label=1, **options):
    options = {"activation": ReLU(), "effort": "exact"} | options
    found = radius(net, np.atleast_2d(point), [label], **options)
    assert found.status[0] == "exact"
    return found


def _meets(found, truth, within=1e-6):
    np.testing.assert_allclose(found.upper, truth, rtol=within)
    np.testing.assert_allclose(found.lower, truth, rtol=within)


def test_averaged_network_at_and_away_from_centres():
    hidden = np.stack([CENTRES[:POSITIVE].sum(0), CENTRES[POSITIVE:].sum(0)])
    net = make(hidden, np.array([1.0, -1.0]))
    found = radius(net, CENTRES[[0, 9]], [1, -1], activation=ReLU(), effort="exact")
    _meets(found, 1 / np.sqrt(K))
    for opposite in (-1.0, -0.1, 0.3):
        point = np.zeros(K)
        point[[0, POSITIVE]] = 1.0, opposite
        for tie in ("<=", "<"):
            truth = closed_form.averaged_radius(1.0, opposite, POSITIVE, NEGATIVE, tie)
            found = _exact(net, point, tie=tie)
            _meets(found, truth)
            assert found.tie == f"f {tie} 0 is broken"


@pytest.mark.parametrize("power", [1.0, 1.25, 1.5, 2.0, 3.0], ids="p{:g}".format)
def test_summed_logits_of_the_decoupled_network(power):
    net, activation = decoupled_network(jnp.asarray(CENTRES), exponent=power)
    square = min(1.0, NEGATIVE ** (1 - 2 / power))
    options = {"activation": activation, "readout": SummedLogits(GROUPS)}
    found = _exact(net, CENTRES[0], **options)
    _meets(found, np.sqrt(square / (1 + square)))
    assert found.readout == "summed logits"


@pytest.mark.parametrize("beta", [0.0, 0.1, 0.2247448, 0.29, 0.35, 0.5])
def test_thresholds_of_the_decoupled_network(beta):
    net, _ = decoupled_network(jnp.asarray(CENTRES), threshold=beta)
    many = np.arange(1, NEGATIVE + 1)
    spread = ((1 + (many - 1) * beta) ** 2 / (1 + many)).min()
    found = _exact(net, CENTRES[0], readout=SummedLogits(GROUPS))
    _meets(found, np.sqrt(min((1 - beta) ** 2, spread)))
    if beta >= 0.35:
        strict = _exact(net, CENTRES[0], readout=SummedLogits(GROUPS), tie="<")
        _meets(strict, OPTIMAL)


@pytest.mark.parametrize(("classes", "mixing"), [(10, 0), (10, 1), (10, 5), (20, 1)])
def test_mixtures_read_out_by_the_largest_output(classes, mixing):
    side = np.sign(np.arange(classes) - classes / 2 + 0.5)
    net, _ = mixture_network(jnp.eye(classes), jnp.asarray(-side), float(mixing))
    groups = tuple(int(s) for s in -side)
    found = _exact(net, np.eye(classes)[0], readout=GroupArgmax(groups))
    c = mixing
    _meets(found, (1 + c) / np.sqrt(2 * (1 + c) ** 2 + c**2 * (classes - 2)))


@pytest.mark.parametrize(("own", "opposite"), [(5, 5), (8, 2)])
def test_probability_sum_of_the_decoupled_network(own, opposite):
    scale, count = 5.43, own + opposite
    net, _ = decoupled_network(jnp.eye(count), logit=scale)
    groups = tuple([1] * own + [-1] * opposite)
    budget = Budget(nodes=60_000)
    found = _exact(net, np.eye(count)[0], readout=ProbabilitySum(groups), budget=budget)

    def radius_of(step):
        """For one opposing centre approached by step, the shortest way."""
        spread = minimize_scalar(
            lambda b: _way(b, step), bounds=(0, step), options={"xatol": 1e-13}
        )
        return spread.fun

    def _way(rest, step):
        against = np.exp(scale * step) + (opposite - 1) * np.exp(scale * rest)
        back = 1 - np.log(max(against - (own - 1), 1e-300)) / scale
        return np.sqrt(max(back, 0) ** 2 + step**2 + (opposite - 1) * rest**2)

    truth = minimize_scalar(radius_of, bounds=(0.01, 1), options={"xatol": 1e-13}).fun
    _meets(found, truth)


def _random(rng, dim, width, count, power, bias=False):
    hidden = rng.normal(size=(width, dim))
    offsets = 0.3 * rng.normal(size=width) if bias else None
    net = make(hidden, rng.normal(size=width), offsets, 0.1 if bias else None)
    points = rng.normal(size=(count, dim))
    values = forward(net, activation_of(power), points)
    return net, points, np.where(values > 0, 1, -1)


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0], ids="p{:g}".format)
def test_every_effort_is_an_interval_inside_the_last(power, order):
    rng = np.random.default_rng(int(10 * power))
    net, points, labels = _random(rng, 2, 10, 6, power, bias=True)
    budget = Budget(gap=1e-4)
    by_effort = [
        radius(
            net,
            points,
            labels,
            activation=activation_of(power),
            order=order,
            effort=effort,
            budget=budget,
        )
        for effort in ("bounds", "tight", "exact")
    ]
    for loose, closer in itertools.pairwise(by_effort):
        assert np.all(closer.lower >= loose.lower * (1 - 1e-9))
        assert np.all(closer.upper <= loose.upper * (1 + 1e-9))
    exact = by_effort[-1]
    assert set(exact.status) <= {"exact", "no witness", "broken when clean"}
    assert (exact.status == "exact").sum() >= 4
    # Nothing on a fan of rays just inside the lower ends is broken.
    angle = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    rays = np.stack([np.cos(angle), np.sin(angle)], 1)
    rays /= np.linalg.norm(rays, order, axis=1, keepdims=True)
    for point, label, lower in zip(points, labels, exact.lower, strict=True):
        for share in (0.999999, 0.8, 0.5):
            inside = forward(net, activation_of(power), point + share * lower * rays)
            assert np.all(label * inside > 0)


def test_two_solvers_of_the_same_radius():
    rng = np.random.default_rng(3)
    net, points, labels = _random(rng, 6, 14, 5, 1.0)
    found = [
        radius(
            net,
            points,
            labels,
            activation=ReLU(),
            order="inf",
            effort="exact",
            budget=Budget(solver=solver, gap=1e-5),
        )
        for solver in ("tree", "milp")
    ]
    for one in found:
        np.testing.assert_array_equal(one.status, "exact")
    np.testing.assert_allclose(found[0].upper, found[1].upper, rtol=1e-5)
    assert any("MILP" in name for name in found[1].method)
    # HiGHS goes no further than its tolerances, and says exact there.
    options = {"activation": ReLU(), "order": "inf", "effort": "exact"}
    assert set(radius(net, points, labels, **options).status) == {"exact"}
    with pytest.raises(InputError, match="ReLU networks"):
        radius(
            net,
            points,
            labels,
            activation=PReLU(3.0),
            order="inf",
            effort="exact",
            budget=Budget(solver="milp"),
        )


def test_a_spent_budget_leaves_a_sound_interval():
    rng = np.random.default_rng(3)
    net, points, labels = _random(rng, 2, 12, 6, 3.0)
    options = {"activation": PReLU(3.0), "effort": "exact"}
    short = radius(net, points, labels, budget=Budget(nodes=1), **options)
    long = radius(net, points, labels, budget=Budget(gap=1e-3), **options)
    assert "gap" in set(short.status)
    assert np.all(short.lower <= long.upper)
    assert np.all(long.lower <= short.upper)
    assert np.all(long.nodes[short.status == "gap"] > 1)


def test_a_spent_budget_leaves_no_less_than_the_relaxations():
    rng = np.random.default_rng(3)
    for power in (1.0, 3.0):
        net, points, labels = _random(rng, 2, 12, 6, power)
        options = {"activation": PReLU(power)}
        tight = radius(net, points, labels, effort="tight", **options)
        short = radius(
            net, points, labels, effort="exact", budget=Budget(nodes=1), **options
        )
        # Seven halvings of the first bracket, which ends at the witness.
        halved = (tight.upper - tight.lower) / 2**7
        assert np.all(short.lower >= tight.lower - halved)
        assert np.all(short.nodes <= 1)


def test_what_is_left_of_a_budget():
    began = time.monotonic() - 5
    left = Budget(nodes=10, seconds=60.0, gap=1e-4).less(4, began)
    assert left.nodes == 6
    assert 54 < left.seconds <= 55
    assert left.gap == 1e-4
    spent = Budget(nodes=10, seconds=1.0).less(99, began)
    assert (spent.nodes, spent.seconds) == (1, 0.0)


def test_one_own_class_is_asked_for_each_rival():
    net, points, labels = _random(np.random.default_rng(0), 2, 4, 2, 1.0)
    form = normal_form(net, PReLU(1.0))
    point = np.array([0, 0, 0, 0, 1, 1])
    rival = np.array([2, 2, 3, 3, 2, 2])
    lanes = lanes_of(form, points[:2], point, np.ones(6, int), None)
    lanes = replace(lanes, rival=rival)
    lower = np.array([0.1, 0.5, 0.9, 0.2, 0.3, 0.4])
    enough = np.where(point == 0, 0.8, 0.4)
    ask = lambda leaders: undecided(lanes, lower, enough, leaders).tolist()
    assert ask(True) == [False, True, False, False, False, False]
    assert ask(False) == [True, True, False, False, False, False]
    assert np.array_equal(combine(lanes, lower)[0], [0.5, 0.4])


def test_a_tree_with_nothing_left_to_split_is_done(monkeypatch):
    # At the origin all outputs are 0, and near it a power is too small to tell from 0.
    expand, calls = _branching._expand, itertools.count()

    def counted(*arguments):
        assert next(calls) < 2000
        expand(*arguments)

    monkeypatch.setattr(_branching, "_expand", counted)
    net, points, labels = _random(np.random.default_rng(3), 2, 12, 6, 3.0)
    options = {"activation": PReLU(3.0), "effort": "exact"}
    found = radius(net, points, labels, budget=Budget(gap=1e-3, seconds=1e6), **options)
    assert list(found.status) == ["gap"] + 5 * ["exact"]
    np.testing.assert_allclose(found.upper[0], np.linalg.norm(points[0]), rtol=1e-12)
    np.testing.assert_array_equal(found.witness[0], 0.0)
    assert found.lower[0] > 0.998 * found.upper[0]


def test_witnesses_keep_to_the_box():
    rng = np.random.default_rng(5)
    net, points, _ = _random(rng, 3, 10, 6, 1.0)
    points = np.clip(points, -0.5, 0.5)
    labels = np.where(forward(net, ReLU(), points) > 0, 1, -1)
    for order in (2, np.inf):
        options = {"activation": ReLU(), "order": order, "effort": "exact"}
        free = radius(net, points, labels, **options)
        boxed = radius(net, points, labels, box=(-0.5, 0.5), **options)
        assert np.all(np.abs(boxed.witness) <= 0.5)
        assert np.all(boxed.upper >= free.lower)
        assert np.isfinite(boxed.upper).sum() >= 3
    with pytest.raises(InputError, match="outside the box"):
        radius(net, points, labels, box=(0.0, 1.0), activation=ReLU())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"readout": GroupArgmax((1, -1))}, "groups for 2 classes"),
        ({"readout": SummedLogits((1, 1, -1)), "labels": [0]}, r"tells \+1 from -1"),
        ({"tie": ">"}, "tie"),
        ({"box": (0.0, [1.0, 2.0])}, "lowest and a highest"),
    ],
)
def test_bad_readouts_are_explained(options, words):
    options = {"labels": [1], "activation": ReLU()} | options
    with pytest.raises(InputError, match=words):
        radius(make(np.eye(3), np.eye(3)), np.eye(3)[:1], **options)
