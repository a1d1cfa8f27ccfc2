"""The image experiments' attack: the published algorithm, and never too strong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plane_nets import forward, make

from jaxbias._checks import InputError
from jaxbias.networks.activations import PReLU, ReLU
from jaxbias.robustness import apgd, radius

KEY = jax.random.key(3)


def _network(seed=0, width=8, dim=4):
    rng = np.random.default_rng(seed)
    weights = make(rng.normal(size=(width, dim)), rng.normal(size=width))
    x = rng.normal(size=(12, dim))
    return weights, x


def _right(weights, activation, x):
    return np.where(forward(weights, activation, x) > 0, 1.0, -1.0)


def _line(slope, bias=0.0):
    """f(x) = slope . x + bias as two opposing rectifiers."""
    rows = np.stack([slope, -slope])
    return make(rows, np.array([1.0, -1.0]), None, np.array(bias))


def test_checkpoints_are_those_of_the_paper():
    assert apgd.checkpoints(100) == (22, 41, 57, 70, 80, 87, 93, 99)
    assert apgd.checkpoints(1) == (1,)
    # ceil(0.22 N), ceil(0.41 N), ... for another N.
    assert apgd.checkpoints(30)[:3] == (7, 13, 18)


def _published(loss, slope, wrong, x0, start, budget, steps, places):
    """Algorithm 1 of croce-hein-2020 for one point, in the l_inf ball."""
    clip = lambda z: np.clip(z, x0 - budget, x0 + budget)
    size, seen = 2 * budget, wrong(start)
    before, now = start, clip(start + size * np.sign(slope(start)))
    trail = [loss(start), loss(now)]
    best = max((start, now), key=loss)
    seen |= wrong(now)
    checks, last, halved_at, best_at = places, 0, size, trail[0]
    halved = None
    for k in range(1, steps + 1):
        if k in checks:
            rises = sum(trail[i + 1] > trail[i] for i in range(last, k))
            first = rises < 0.75 * (k - last)
            second = size == halved_at and loss(best) == best_at
            last, halved_at, best_at = k, size, loss(best)
            if first or second:
                size, now = size / 2, best
                # The climb goes on from the best point, whose loss is then the last.
                trail[-1] = loss(best)
        if k == steps:
            break
        step = clip(now + size * np.sign(slope(now)))
        new = clip(now + 0.75 * (step - now) + 0.25 * (now - (halved or before)))
        before, now, halved = now, new, None
        trail.append(loss(now))
        best = max((best, now), key=loss)
        seen |= wrong(now)
    return seen


@pytest.mark.parametrize("activation", [ReLU(), PReLU(3.0)], ids=str)
@pytest.mark.parametrize("budget", [0.1, 0.25, 0.4])
def test_the_same_as_the_published_algorithm(activation, budget):
    weights, x = _network()
    y = _right(weights, activation, x)
    steps = 40
    ours = apgd.broken(weights, activation, x, y, [budget], key=KEY, steps=steps)[0]
    [start_key] = jax.random.split(KEY, 1)
    noise = jax.random.uniform(start_key, x.shape, jnp.float64, minval=-1, maxval=1)
    starts = x + budget * np.asarray(noise)

    theirs = []
    for x0, y0, start in zip(x, y, starts, strict=True):
        value = lambda z, y0=y0: y0 * float(forward(weights, activation, z[None])[0])
        loss = lambda z, value=value: np.logaddexp(0.0, -value(z))
        wrong = lambda z, value=value: value(z) <= 0

        def slope(z, loss=loss):
            grid = 1e-6 * np.eye(len(z))
            return np.array([loss(z + h) - loss(z - h) for h in grid])

        places = apgd.checkpoints(steps)
        theirs.append(_published(loss, slope, wrong, x0, start, budget, steps, places))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(("order", "dual"), [("inf", 1), (2, 2)])
def test_a_half_space_is_broken_exactly_beyond_its_distance(order, dual):
    slope = np.array([3.0, -1.0, 0.5])
    x = np.random.default_rng(1).normal(size=(40, 3))
    f = x @ slope + 0.3
    y = np.where(f > 0, 1.0, -1.0)
    distance = np.abs(f) / np.linalg.norm(slope, dual)
    radii = [0.0, 0.2, 0.5, 1.0]
    broken = apgd.broken(
        _line(slope, 0.3), ReLU(), x, y, radii, key=KEY, order=order, steps=30
    )
    clear = np.abs(distance[None, :] - np.array(radii)[:, None]) > 1e-6
    expected = distance[None, :] < np.array(radii)[:, None]
    np.testing.assert_array_equal(broken[clear], expected[clear])
    assert 0 < expected.mean() < 1


@pytest.mark.parametrize("activation", [ReLU(), PReLU(2.0)], ids=str)
def test_nothing_certified_is_broken_and_what_is_broken_was_found(order, activation):
    weights, x = _network(4)
    y = _right(weights, activation, x)
    found = radius(weights, x, y, activation=activation, order=order)
    radii = np.linspace(0.0, 1.5, 16)
    broken = apgd.broken(
        weights, activation, x, y, radii, key=KEY, order=order, restarts=3
    )
    safe = radii[:, None] < np.asarray(found.lower)[None, :]
    assert not (broken & safe).any()
    reachable = radii[:, None] > 1.02 * np.asarray(found.upper)[None, :]
    assert reachable.sum() > 20
    assert broken[reachable].mean() > 0.95


def test_a_point_once_broken_stays_broken():
    weights, x = _network(5)
    y = _right(weights, ReLU(), x)
    y[:2] *= -1
    broken = apgd.broken(weights, ReLU(), x, y, [0.0, 0.1, 0.3, 2.0], key=KEY, steps=5)
    assert (np.diff(broken.astype(int), axis=0) >= 0).all()
    np.testing.assert_array_equal(broken[0], np.arange(12) < 2)
    share = apgd.robust_accuracy(
        weights, ReLU(), x, y, [0.0, 0.1, 0.3, 2.0], key=KEY, steps=5
    )
    np.testing.assert_allclose(share, 1 - broken.mean(axis=1))


def test_the_box_binds_except_where_a_point_lies_outside_it():
    x = np.array([[0.5, 0.5], [1.5, 0.5]])
    y = np.ones(2)
    network = _line(np.array([-1.0, 0.0]), 1.6)
    attack = lambda box: apgd.broken(
        network, ReLU(), x, y, [0.05, 1.2], key=KEY, steps=20, box=box
    )
    np.testing.assert_array_equal(attack(None), [[False, False], [True, True]])
    # In the box f is at least 0.6; the second point starts at 0.1 and may not leave
    # its own coordinate for a larger one.
    np.testing.assert_array_equal(attack((0.0, 1.0)), [[False, False]] * 2)
    wider = attack((-np.ones(2), np.array([2.0, 1.0])))
    np.testing.assert_array_equal(wider, [[False, False], [True, True]])


def test_classes_and_normalised_inputs_are_attacked_as_trained():
    rng = np.random.default_rng(7)
    weights = make(rng.normal(size=(20, 6)), rng.normal(size=(20, 3)))
    x = 3 * rng.normal(size=(30, 6))
    unit = PReLU(2.0)
    outputs = forward(weights, unit, x / np.linalg.norm(x, axis=1, keepdims=True))
    best = outputs.argmax(axis=1)
    labels = np.where(np.arange(30) < 24, best, (best + 1) % 3)
    broken = apgd.broken(
        weights, unit, x, labels, [0.0, 3.0], key=KEY, steps=40, normalise_inputs=True
    )
    np.testing.assert_array_equal(broken[0], np.arange(30) >= 24)
    assert broken[1].mean() > 0.8


@pytest.mark.parametrize(
    ("more", "helps"),
    [
        ({"radii": [0.2, 0.1]}, "increase"),
        ({"radii": [-0.1, 0.1]}, "increase"),
        ({"radii": [0.1, np.nan]}, "increase"),
        ({"radii": []}, "increase"),
        ({"order": 3}, "order"),
        ({"steps": 0}, "steps=1"),
        ({"restarts": 0}, "restarts=1"),
    ],
)
def test_bad_attacks_are_refused(more, helps):
    weights, x = _network()
    options = {"radii": [0.1], **more}
    radii = options.pop("radii")
    with pytest.raises(InputError, match=helps):
        apgd.broken(weights, ReLU(), x, np.ones(12), radii, key=KEY, **options)
