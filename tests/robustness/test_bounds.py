"""The radius verbs: what they accept, how they fail, and what must not matter."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plane_nets import forward, make

from jaxbias import InputError
from jaxbias.networks import PReLU, ReLU, TwoLayer, Weights, balanced
from jaxbias.robustness import Radius, radius, radius_batch
from jaxbias.robustness._normal_form import normal_form
from jaxbias.robustness._relinearised import relinearised

RNG = np.random.default_rng(0)
NET = make(RNG.normal(size=(8, 3)), RNG.normal(size=8))
X = RNG.normal(size=(6, 3))
Y = np.where(forward(NET, PReLU(3.0), X) > 0, 1.0, -1.0)


def _radius(net=NET, x=X, y=Y, **options):
    return radius(net, x, y, **({"activation": PReLU(3.0)} | options))


def test_a_wrong_or_tied_point_has_radius_zero():
    net = make([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0])
    x = [[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, -1.0]]
    found = radius(net, x, [1, 1, 1, 1], activation=ReLU())
    assert found.upper[0] == pytest.approx(np.sqrt(0.5))
    np.testing.assert_array_equal(found.upper[1:], 0.0)
    np.testing.assert_array_equal(found.lower[1:], 0.0)
    assert list(found.status) == ["bounds"] + 3 * ["broken when clean"]
    assert found.tie == "f <= 0 is broken"
    assert found.attacked([0.0])[0] == 0.25


def test_an_attack_alone_ends_where_the_interval_does():
    alone, both = _radius(effort="attack"), _radius()
    np.testing.assert_array_equal(alone.upper, both.upper)
    np.testing.assert_array_equal(alone.lower, 0.0)
    assert np.any(both.lower > 0)
    assert set(alone.status) == {"attack"}


@pytest.mark.parametrize("power", [1.0, 3.0], ids="p{:g}".format)
def test_merging_neurons_does_not_lengthen_the_attack(power, order):
    # The attack sees one neuron for each of three bundles; its ends are the network's.
    rng = np.random.default_rng(8)
    bundles = np.repeat(rng.normal(size=(3, 30)), 10, axis=0)
    hidden = bundles + 5e-3 * rng.normal(size=bundles.shape)
    net = make(hidden, np.repeat([1.0, 1.0, -1.0], 10) / 10)
    activation = PReLU(power)
    x = rng.normal(size=(5, 30)) + bundles[0]
    y = np.where(forward(net, activation, x) > 0, 1.0, -1.0)
    attack = radius(net, x, y, activation=activation, order=order, effort="attack")
    # A shorter witness in the tangent plane of the network at ours would show.
    again = relinearised(
        normal_form(net, activation), x, y.astype(int), attack.witness - x, order
    )
    lengths = np.linalg.norm(again, order, axis=1)
    # At a kink the tangent may lead to where nothing is broken.
    broken = y * forward(net, activation, x + (1 + 1e-9) * again) <= 0
    assert broken.sum() >= 2
    np.testing.assert_allclose(attack.upper[broken], lengths[broken], rtol=1e-6)
    assert np.all(np.linalg.norm(attack.witness - x, order, axis=1) <= attack.upper)


def test_no_witness_where_there_is_none():
    net = make([[1.0, 0.0]], [1.0], None, 0.5)
    found = radius(net, [[1.0, 0.0]], [1], activation=ReLU())
    assert np.isinf(found.upper[0])
    assert found.status[0] == "no witness"
    np.testing.assert_array_equal(found.witness, [[1.0, 0.0]])


def test_every_witness_is_confirmed_by_the_network_itself():
    found = _radius()
    f = forward(NET, PReLU(3.0), found.witness)
    assert np.all(Y * f <= 1e-15)
    reached = np.linalg.norm(found.witness - X, axis=1)
    assert np.all(reached <= found.upper)
    np.testing.assert_allclose(reached, found.upper, rtol=1e-12)


def test_flax_module_and_single_precision_weights():
    spec = TwoLayer(8, activation=PReLU(3.0), init=balanced(1.0))
    network = spec.build(jax.random.key(0), 3, dtype="float32")
    y = np.where(np.asarray(network(jnp.asarray(X, jnp.float32))) > 0, 1, -1)
    found = radius(network, jnp.asarray(X, jnp.float32), y)
    assert found.lower.dtype == found.witness.dtype == np.float64
    assert np.all(found.lower <= found.upper)
    same = radius(network.weights(), np.float32(X), y, activation=PReLU(3.0))
    np.testing.assert_array_equal(found.upper, same.upper)


def test_a_batch_is_its_runs_and_padding_is_inert():
    nets = [make(RNG.normal(size=(8, 3)), RNG.normal(size=8)) for _ in range(2)]
    labels = [np.where(forward(n, PReLU(3.0), X) > 0, 1.0, -1.0) for n in nets]

    def padded(net):
        pad = lambda a: jnp.pad(a, [(0, 3)] + [(0, 0)] * (a.ndim - 1))
        return Weights(pad(net.hidden), pad(net.output), None, None, pad(net.mask))

    stack = jax.tree.map(lambda *a: jnp.stack(a), *map(padded, nets))
    together = radius_batch(stack, PReLU(3.0), X, np.stack(labels))
    assert together.lower.shape == (2, 6)
    for i, (net, y) in enumerate(zip(nets, labels, strict=True)):
        alone = _radius(net, y=y)
        np.testing.assert_allclose(together.upper[i], alone.upper, rtol=2e-4)
        # Bisected to a share of the upper ends, which differ by rounding.
        np.testing.assert_allclose(together.lower[i], alone.lower, rtol=2e-3)


@settings(max_examples=10, deadline=None)
@given(st.permutations(range(8)), st.floats(0.1, 10.0))
def test_order_of_neurons_and_scale_of_outputs_do_not_matter(order, scale):
    order = list(order)
    plain = _radius()
    shuffled = make(NET.hidden[jnp.array(order)], scale * NET.output[jnp.array(order)])
    other = _radius(shuffled)
    np.testing.assert_allclose(other.lower, plain.lower, rtol=2e-3)
    np.testing.assert_allclose(other.upper, plain.upper, rtol=2e-3)


def test_tiny_networks_of_early_training():
    net = make(1e-12 * np.eye(3), 1e-12 * np.array([1.0, -1.0, -1.0]))
    found = radius(net, np.eye(3), [1, -1, -1], activation=PReLU(3.0))
    np.testing.assert_allclose(found.upper, np.sqrt(0.5), rtol=1e-6)
    np.testing.assert_allclose(found.lower, np.sqrt(0.5), rtol=1e-6)


def _classes(order, bias):
    """A three-class network in the plane and its radii by dense search."""
    rng = np.random.default_rng(4)
    v = rng.normal(size=(8, 3))
    b = rng.normal(size=3) * 0.2 if bias else None
    net = make(rng.normal(size=(8, 2)), v, None, b)
    x = rng.normal(size=(5, 2))
    f = forward(net, ReLU(), x)
    angle = np.linspace(0, 2 * np.pi, 720, endpoint=False)
    rays = np.stack([np.cos(angle), np.sin(angle)], 1)
    rays /= np.linalg.norm(rays, order, axis=1, keepdims=True)
    steps = np.linspace(0, 6, 1201)[1:]
    truth = []
    for point, label in zip(x, f.argmax(1), strict=True):
        fan = point + steps[:, None, None] * rays
        values = forward(net, ReLU(), fan.reshape(-1, 2)).reshape(1200, 720, 3)
        rival = np.delete(values, label, axis=2).max(2)
        broken = (values[..., label] <= rival).any(1)
        truth.append(steps[broken.argmax()] if broken.any() else np.inf)
    return net, x, f.argmax(1), np.array(truth)


@pytest.mark.parametrize("bias", [False, True], ids=["plain", "output bias"])
def test_several_classes_against_dense_search(order, bias):
    net, x, labels, truth = _classes(order, bias)
    found = radius(net, x, labels, activation=ReLU(), order=order)
    assert found.readout == "argmax"
    assert np.all(found.lower <= truth)
    assert np.all(found.lower > 0)
    finite = np.isfinite(truth)
    assert finite.sum() >= 3
    assert np.all(found.upper[finite] >= truth[finite] - 0.006)
    assert np.median(truth[finite] / found.upper[finite]) > 0.97


def test_normalised_inputs_with_an_output_bias():
    spec = TwoLayer(
        8,
        activation=PReLU(3.0),
        init=balanced(1.0),
        output_bias=True,
        normalise_inputs=True,
    )
    network = spec.build(jax.random.key(1), 3, dtype="float64")
    network.output_bias[...] = jnp.asarray(0.2)
    y = np.where(np.asarray(network(jnp.asarray(X))) > 0, 1, -1)
    found = radius(network, X, y)
    assert np.all(found.lower <= found.upper)
    finite = np.isfinite(found.upper)
    f = np.asarray(network(jnp.asarray(found.witness)))
    assert np.all((y * f)[finite] <= 1e-12)
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(2000, 3))
    steps /= np.linalg.norm(steps, axis=1, keepdims=True)
    for i in range(6):
        inside = np.asarray(network(jnp.asarray(X[i] + found.lower[i] * steps)))
        assert np.all(y[i] * inside > 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": 1}, "l_2 or l_inf"),
        ({"effort": "most"}, "effort='most'.*'bounds'"),
        ({"certify_dtype": "float32"}, "rounding in it"),
        ({"x": X[:, :2]}, "rows of 3 features"),
        ({"x": np.full((6, 3), np.nan)}, "NaN or infinite"),
        ({"x": X[:0], "y": Y[:0]}, "inputs of shape"),
        ({"y": Y[:2]}, "there are 6 points"),
        ({"y": np.arange(6)}, r"tells \+1 from -1"),
        ({"activation": None}, "Weights without an activation"),
        ({"net": "net"}, "two-layer networks"),
        ({"centres": np.eye(2)}, "centres of shape"),
    ],
)
def test_bad_input_is_explained(options, words):
    with pytest.raises(InputError, match=words):
        _radius(**options)


def test_weights_that_are_not_finite_are_refused():
    broken = make(np.full((8, 3), np.nan), np.ones(8))
    with pytest.raises(InputError, match="hidden weights with 24"):
        _radius(broken)


def test_classes_out_of_range_are_refused():
    net = make(np.eye(3), np.eye(3))
    with pytest.raises(InputError, match="3 outputs"):
        radius(net, np.eye(3), [0, 1, 3], activation=ReLU())


def test_a_radius_whose_ends_cross_is_a_bug_not_a_result():
    one = np.ones(1)
    with pytest.raises(ValueError, match="exceeds a witnessed upper end"):
        Radius(
            lower=2 * one,
            upper=one,
            witness=np.ones((1, 2)),
            order=2.0,
            readout="score",
            tie="f <= 0 is broken",
            method=np.array(["x"]),
            status=np.array(["bounds"]),
            nodes=np.zeros(1, int),
        )
