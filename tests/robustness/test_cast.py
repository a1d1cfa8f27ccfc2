"""Witnesses that flip the network in its own precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plane_nets import activation_of, forward, make

from jaxbias import InputError
from jaxbias.robustness import radius


def _case(power, seed=1):
    rng = np.random.default_rng(seed)
    hidden, bias = rng.normal(size=(8, 5)), rng.normal(size=8)
    arrays = (a.astype("float32") for a in (hidden, rng.normal(size=8), bias))
    net = make(*arrays)
    x = rng.normal(size=(60, 5)).astype("float32")
    y = np.where(forward(net, activation_of(power), x) > 0, 1, -1)
    return net, x, y


def _flipped(net, power, found, labels):
    """Of the points with a witness, in float32 and in another order of the sums."""
    right = np.isfinite(found.upper) & (found.upper > 0)
    points = found.witness.astype("float32")
    turned = make(*(np.asarray(a)[::-1] for a in (net.hidden, net.output)))
    turned = make(
        turned.hidden[:, ::-1], turned.output, np.asarray(net.hidden_bias)[::-1]
    )
    one = forward(net, activation_of(power), points)
    other = forward(turned, activation_of(power), points[:, ::-1])
    assert one.dtype == np.float32
    assert right.sum() >= 40
    return ((labels * one <= 0) & (labels * other <= 0))[right]


@pytest.mark.parametrize("power", [1.0, 3.0], ids="p{:g}".format)
def test_every_witness_flips_the_network_it_is_meant_for(order, power):
    net, x, y = _case(power)
    found = radius(net, x, y, activation=activation_of(power), order=order)
    assert found.witness_dtype == "float32"
    assert _flipped(net, power, found, y).all()
    held = found.witness.astype("float32").astype("float64")
    np.testing.assert_array_equal(held, found.witness)
    bare = radius(
        net,
        x,
        y,
        activation=activation_of(power),
        order=order,
        witness_dtype="float64",
    )
    # The price is stated, and small; without it a good part would not flip.
    known = np.isfinite(bare.upper)
    np.testing.assert_allclose(
        (found.upper - found.margin)[known], bare.upper[known], rtol=1e-12
    )
    right = known & (bare.upper > 0)
    assert np.median(found.margin[right] / bare.upper[right]) < 1e-5
    assert not _flipped(net, power, bare, y).all()
    assert not bare.margin.any()


def _in_order(net, power, point, inputs, neurons):
    """One output in float32, every sum one term after the other, in an order."""
    one = np.float32
    hidden, bias = np.asarray(net.hidden), np.asarray(net.hidden_bias)
    size = np.sqrt((hidden.astype(float) ** 2).sum(1) + bias.astype(float) ** 2)
    total = one(0)
    for neuron in neurons:
        score = one(0)
        for term in inputs:
            last = term == len(point)
            part = bias[neuron] if last else hidden[neuron, term] * point[term]
            score = one(score + one(part))
        if score > 0:
            shrink = one(size[neuron]) ** one(1 - power)
            response = score if power == 1 else one(one(score**power) * shrink)
            total = one(total + one(response * np.asarray(net.output)[neuron]))
    return total


@pytest.mark.parametrize("power", [1.0, 3.0], ids="p{:g}".format)
def test_a_witness_flips_in_whatever_order_sums_are_taken(order, power):
    net, x, y = _case(power)
    found = radius(net, x, y, activation=activation_of(power), order=order)
    assert not np.char.count(found.status, "none was found").any()
    rng = np.random.default_rng(5)
    right = np.flatnonzero(np.isfinite(found.upper) & (found.upper > 0))
    for row in right[:20]:
        point = found.witness[row].astype("float32")
        for _ in range(20):
            orders = rng.permutation(6), rng.permutation(8)
            assert y[row] * _in_order(net, power, point, *orders) <= 0


def test_a_witness_in_a_dead_zone_is_pushed_behind_its_kinks():
    # Of this network the nearest broken point of row 47 lies where all are off.
    net, x, y = _case(3.0)
    found = radius(net, x[47:48], y[47:48], activation=activation_of(3.0))
    assert 0.64 < found.upper[0] < 0.68
    assert "none was found" not in found.status[0]
    assert _in_order(net, 3.0, found.witness[0].astype("f4"), range(6), range(8)) == 0


def test_a_network_in_float64_pays_nothing():
    net, x, y = _case(1.0)
    with jax.enable_x64(True):
        net = jax.tree.map(
            lambda a: a if a.dtype == bool else jnp.asarray(np.asarray(a), "float64"),
            net,
        )
        found = radius(net, x, y, activation=activation_of(1.0))
    assert found.witness_dtype == "float64"
    assert not found.margin.any()


def test_witnesses_of_a_box_whose_ends_the_type_does_not_hold():
    net, x, y = _case(1.0)
    low, high = x.min() - 0.1, x.max() + 0.1
    found = radius(net, x, y, activation=activation_of(1.0), box=(low, high))
    held = found.witness.astype("float32").astype("float64")
    assert (held >= np.float64(low)).all()
    assert (held <= np.float64(high)).all()


def test_a_type_without_fractions_is_refused():
    net, x, y = _case(1.0)
    with pytest.raises(InputError, match="witness_dtype='int32'"):
        radius(net, x, y, activation=activation_of(1.0), witness_dtype="int32")
