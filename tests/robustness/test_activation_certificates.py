"""Activations of the user's own: a Lipschitz constant that they state, or a word."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from plane_nets import make

from jaxbias.networks import LeakyReLU, ReLU
from jaxbias.networks.activations import Activation
from jaxbias.robustness import radius


@dataclass(frozen=True)
class Tent(Activation):
    """|c|: homogeneous of degree 1, and no steeper than 1."""

    degree = 1.0
    normalised = False

    def value(self, c):
        return jnp.abs(c)

    def slope(self, c):
        return jnp.sign(c)


@dataclass(frozen=True)
class Stated(Tent):
    """The same, which says so."""

    lipschitz = 1.0


def _case(classes=None):
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(6, 3))
    output = rng.normal(size=6 if classes is None else (6, classes))
    x = rng.normal(size=(20, 3))
    f = np.abs(x @ hidden.T) @ output
    y = np.where(f > 0, 1, -1) if classes is None else f.argmax(1)
    with jax.enable_x64(True):
        return make(hidden, output), x, y, hidden, output, f


@pytest.mark.parametrize("effort", ["bounds", "exact"])
def test_without_a_constant_the_status_says_so(effort):
    net, x, y, *_ = _case()
    found = radius(net, x, y, activation=Tent(), effort=effort)
    right = found.upper > 0
    assert not found.lower.any()
    assert all("no certificate for Tent" in s for s in found.status[right])
    assert all("no Lipschitz constant" in s for s in found.status[right])


@pytest.mark.parametrize("classes", [None, 3])
def test_a_stated_constant_gives_a_lower_end(order, classes):
    net, x, y, hidden, output, f = _case(classes)
    found = radius(net, x, y, activation=Stated(), order=order)
    sizes = np.linalg.norm(hidden, 1 if order == np.inf else 2, axis=1)
    if classes is None:
        truth = np.abs(f) / (np.abs(output) @ sizes)
    else:
        rows = np.arange(len(x))
        gaps = f[rows, y][:, None] - f
        steep = np.abs(output[:, y].T[:, None] - output.T[None]) @ sizes
        steep[rows, y], gaps[rows, y] = 1.0, np.inf
        truth = (gaps / steep).min(1)
    np.testing.assert_allclose(found.lower, truth, rtol=1e-10)
    assert np.all(found.lower <= truth)
    assert set(found.status) == {"bounds"}
    assert all(m.startswith("Lipschitz constant") for m in found.method)
    # And nothing on the sphere just inside is broken.
    rng = np.random.default_rng(1)
    steps = rng.normal(size=(500, 1, 3))
    steps /= np.linalg.norm(steps, order, axis=2, keepdims=True)
    inside = np.abs((x + steps * found.lower[None, :, None]) @ hidden.T) @ output
    if classes is None:
        assert np.all(y * inside > 0)
    else:
        assert np.all(inside.argmax(2) == y)


def test_leaky_units_have_a_certificate_of_their_own():
    net, x, _, hidden, output, _ = _case()
    scores = x @ hidden.T
    y = np.where(np.where(scores > 0, scores, 0.2 * scores) @ output > 0, 1, -1)
    found = radius(net, x, y, activation=LeakyReLU(0.2), effort="exact")
    assert set(found.status) == {"exact"}
    assert np.all(found.lower > 0)
    assert LeakyReLU(0.2).lipschitz == ReLU().lipschitz == 1.0
