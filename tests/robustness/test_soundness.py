"""Nothing is broken below a certified end: `scripts/soundness.py` at small size.

Hypothesis chooses degenerate networks of the plane; a fan of rays looks inside the ball
that is said to be safe, in NumPy alone.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plane_nets import WIDTH, activation_of, batch_radius, forward, make

from jaxbias.networks.readouts import GroupArgmax, ProbabilitySum, SummedLogits
from jaxbias.robustness import radius

NETS, POINTS, ANGLES = 16, 10, 240
KINDS = ("generic", "duplicates", "near duplicates", "dead zones", "one class", "tiny")
ANGLE = np.linspace(0, 2 * np.pi, ANGLES, endpoint=False)
SHARES = np.append(np.linspace(0.05, 1, 16), 1 - 1e-9)


def _network(rng, kind):
    hidden, output = rng.normal(size=(WIDTH, 2)), rng.normal(size=WIDTH)
    half = WIDTH // 2
    if kind == "duplicates":
        hidden[half:] = hidden[:half] * np.exp(rng.normal(size=(half, 1)))
    elif kind == "near duplicates":
        apart = 10.0 ** rng.uniform(-8, -2)
        hidden[half:] = hidden[:half] + apart * rng.normal(size=(half, 2))
        output[half:] = np.abs(output[half:]) * np.sign(output[:half])
    elif kind == "dead zones":
        hidden = np.abs(hidden)
    elif kind == "one class":
        output = -np.abs(output)
    elif kind == "tiny":
        output[half:] *= 1e-11
    return hidden, output


def _points(rng, net, activation):
    """The origin, a point on the boundary and a wrong label among them."""
    points = rng.normal(size=(POINTS, 2))
    points[0] = 0.0
    low, high = points[1], points[2]
    for _ in range(60):
        middle = (low + high) / 2
        signs = np.sign(forward(net, activation, np.stack([low, middle])))
        low, high = (middle, high) if signs[0] == signs[1] else (low, middle)
    points[1] = low
    labels = np.where(forward(net, activation, points) > 0, 1.0, -1.0)
    labels[3] *= -1
    return points, labels


def _broken_inside(net, activation, order, point, label, radius):
    rays = np.stack([np.cos(ANGLE), np.sin(ANGLE)], 1)
    rays = np.concatenate([rays, np.asarray(net.hidden), -np.asarray(net.hidden)])
    rays /= np.linalg.norm(rays, order, axis=1, keepdims=True)
    inside = point + (SHARES * radius)[:, None, None] * rays
    values = label * forward(net, activation, inside.reshape(-1, 2))
    return bool(np.any(values <= -1e-13 * np.abs(np.asarray(net.output)).sum()))


def _count(exponent, order, kind, seed, raised):
    """Points with something broken below ``raised`` times the certified end."""
    rng = np.random.default_rng(seed)
    activation = activation_of(exponent)
    cases, nets = [], []
    for _ in range(NETS):
        hidden, output = _network(rng, kind)
        nets.append(make(hidden, output))
        cases.append((hidden, output, *_points(rng, nets[-1], activation)))
    found = batch_radius(cases, exponent, order)
    wrong = 0
    for run, (_, _, x, y) in enumerate(cases):
        for row in np.flatnonzero(found.lower[run] > 0):
            radius = raised * found.lower[run, row]
            wrong += _broken_inside(
                nets[run], activation, order, x[row], y[row], radius
            )
        witness = found.witness[run][:, :2]
        there = np.isfinite(found.upper[run])
        values = y * forward(nets[run], activation, witness)
        assert np.all(values[there] <= 1e-12 * np.abs(np.asarray(output)).sum() + 1e-13)
        reached = np.linalg.norm(witness - x, order, axis=1)
        assert np.all(reached[there] <= found.upper[run][there])
    return wrong


@pytest.mark.parametrize("norm", [2, np.inf], ids=["l2", "linf"])
@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 3.0], ids="p{:g}".format)
@settings(max_examples=2, deadline=None)
@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 2**32 - 1))
def test_nothing_is_broken_below_a_certified_end(power, norm, kind, seed):
    assert _count(power, norm, kind, seed, 1.0) == 0


def test_the_search_would_notice_ends_that_are_too_high(exponent, order):
    # Of 160 points of generic networks, some ends are within 5 % of the truth.
    assert _count(exponent, order, "generic", 0, 1.05) >= 1


def _margin(name, outputs, labels):
    """Read-outs over groups (1, 1, -1, -1), written out again."""
    first, second = outputs[:, :2], outputs[:, 2:]
    totals = {
        "group argmax": lambda part: part.max(1),
        "summed logits": lambda part: part.sum(1),
        "probability sum": lambda part: np.log(np.exp(part).sum(1)),
    }
    total = totals[name]
    return labels * (total(first) - total(second))


@pytest.mark.parametrize(
    "readout", [GroupArgmax, SummedLogits, ProbabilitySum], ids=lambda r: r.name
)
@pytest.mark.parametrize(
    ("power", "biased", "order"),
    [(1.0, True, np.inf), (3.0, False, 2)],
    ids=["p1-biased-linf", "p3-plain-l2"],
)
def test_read_outs_over_groups_keep_what_they_promise(readout, power, biased, order):
    rng = np.random.default_rng(4)
    hidden, output = rng.normal(size=(WIDTH, 2)), rng.normal(size=(WIDTH, 4))
    biases = (0.3 * rng.normal(size=WIDTH), 0.5 * rng.normal(size=4))
    net = make(hidden, output, *(biases if biased else (None, None)))
    activation = activation_of(power)
    value = lambda x, y: _margin(readout.name, forward(net, activation, x), y)
    x = rng.normal(size=(24, 2))
    y = np.where(value(x, np.ones(24)) > 0, 1, -1)
    found = radius(
        net, x, y, activation=activation, order=order, readout=readout((1, 1, -1, -1))
    )
    assert np.all(value(found.witness, y)[np.isfinite(found.upper)] <= 1e-10)
    assert np.mean(found.lower > 0) > 0.4
    rays = np.stack([np.cos(ANGLE), np.sin(ANGLE)], 1)
    rays /= np.linalg.norm(rays, order, axis=1, keepdims=True)
    for point, label, lower in zip(x, y, found.lower, strict=True):
        inside = (point + (SHARES * lower)[:, None, None] * rays).reshape(-1, 2)
        if lower > 0:
            assert np.all(value(inside, np.full(len(inside), label)) > -1e-12)
