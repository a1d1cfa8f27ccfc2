"""An own activation is what it says: refused where degree or slope are not its own."""

import dataclasses
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data.clusters import OrthonormalClusters
from jaxbias.dynamics.flow import GradientFlow
from jaxbias.networks import (
    LeakyReLU,
    Power,
    PReLU,
    ReLU,
    TwoLayer,
    TwoLayerNetwork,
    Weights,
    balanced,
    read,
)
from jaxbias.networks._own_activation import POINTS
from jaxbias.networks.activations import Activation
from jaxbias.robustness import radius
from jaxbias.sweeps import sweep


@dataclasses.dataclass(frozen=True)
class Own(Activation):
    """An activation made of its parts."""

    value_: Any
    slope_: Any
    degree: float = 1.0
    normalised: bool = False

    def value(self, c):
        return self.value_(c)

    def slope(self, c):
        return self.slope_(c)


def step(c):
    return (c > 0).astype(c.dtype)


def half(p):
    """Two powers of degree p, steeper on the right, and their slope."""
    value = lambda c: jnp.abs(c) ** p * jnp.where(c > 0, 1.0, 0.25)
    slope = lambda c: p * jnp.abs(c) ** (p - 1) * jnp.where(c > 0, 1.0, -0.25)
    return value, slope


def wobbling(c):
    """Homogeneous for the factor 2, and for no other."""
    safe = jnp.where(c > 0, c, 1.0)
    wave = jnp.sin(2 * jnp.pi * jnp.log2(safe))
    return jnp.where(c > 0, safe * (1 + 0.05 * wave), 0.0)


def guarded(c, p):
    return jnp.where(c > 0, jnp.where(c > 0, c, 1.0) ** p, 0.0)


def build(activation):
    return TwoLayer(4, activation, balanced(1e-2))


def weights():
    return Weights(jnp.eye(2), jnp.ones(2), None, None, jnp.ones(2, bool))


GOOD = {
    "relu": Own(jax.nn.relu, step),
    "cancels": Own(lambda c: 0.5 * (c + jnp.abs(c)), step),
    "absolute": Own(jnp.abs, jnp.sign),
    "tiny leak": Own(
        lambda c: jnp.where(c > 0, c, 1e-5 * c),
        lambda c: jnp.where(c > 0, 1.0, 1e-5).astype(c.dtype),
    ),
    "root": Own(
        lambda c: guarded(c, 1.5), lambda c: 1.5 * jnp.sqrt(jax.nn.relu(c)), 1.5
    ),
    "two powers": Own(*half(2.5), 2.5, True),
    "high power": Own(lambda c: guarded(c, 12.0), lambda c: 12 * guarded(c, 11.0), 12),
    "zero": Own(jnp.zeros_like, jnp.zeros_like),
    # Right almost everywhere: at the kink any finite slope is one of the inclusion's.
    "one at the kink": Own(jax.nn.relu, lambda c: (c >= 0).astype(c.dtype)),
    "any at the kink": Own(jax.nn.relu, lambda c: jnp.where(c == 0, 7.0, step(c))),
    "compiled": Own(jax.jit(jax.nn.relu), jax.jit(step)),
    "branches": Own(lambda c: jax.lax.cond(True, jax.nn.relu, jnp.zeros_like, c), step),
}
BAD = {
    "declares 2": (Own(jax.nn.relu, step, 2), "value.*degree 2 says .*Try degree=1"),
    "declares 2.9": (
        Own(lambda c: guarded(c, 3), lambda c: 3 * guarded(c, 2), 2.9),
        r"value.*degree 2.9 says value\(2c\) = 2\*\*2.9 value\(c\).*Try degree=3\.",
    ),
    "no degree": (Own(jax.nn.relu, step, float("nan")), "value.*degree nan says"),
    "soft": (
        Own(jax.nn.softplus, jax.nn.sigmoid),
        r"value\(.*degree 1 says .* which fails. Try a value that is pos",
    ),
    "clipped far out": (
        Own(lambda c: jnp.clip(c, 0.0, 50.0), lambda c: step(c) * step(50 - c)),
        r"value\(60\)=50",
    ),
    "shifted": (Own(lambda c: jax.nn.relu(c) + 1e-3, step), r"value.*degree 1 says"),
    "slope of the square": (
        Own(lambda c: guarded(c, 2), lambda c: guarded(c, 1), 2),
        r"slope\(0.0711\)=0.071141: the derivative of its value there is 0.14228",
    ),
    "slope without its leak": (
        Own(lambda c: jnp.where(c > 0, c, 1e-3 * c), step),
        r"slope\(-.*=0: the derivative of its value there is 0.001",
    ),
    "slope wrong near 0": (
        Own(jax.nn.relu, lambda c: step(c) * step(jnp.abs(c) - 0.035)),
        r"slope\(0.03\)=0: the derivative of its value there is 1,",
    ),
    "slope of another sign": (Own(jnp.abs, lambda c: -jnp.sign(c)), "slope"),
    "not differentiable at 0": (
        Own(*half(1.0)[:1], lambda c: c / jnp.abs(c) * half(1.0)[0](jnp.sign(c))),
        r"slope\(0\)=nan",
    ),
    "branch not taken": (
        Own(
            lambda c: jnp.where(c > 0, c**1.5, 0.0),
            lambda c: 1.5 * jnp.sqrt(jax.nn.relu(c)),
            1.5,
        ),
        r"derivative .* is nan, as JAX finds it. Try a value without 0/0",
    ),
    "wobbling": (Own(wobbling, step), "slope"),
    "sums": (Own(jnp.sum, step), r"whose value of float64\[51\] is float64\[\]"),
    "half precision": (
        Own(lambda c: jax.nn.relu(c).astype(jnp.float16), step),
        r"whose value of float64\[51\] is float16",
    ),
}


def test_points_are_fifty_of_either_sign_and_no_two_in_the_ratio_of_the_test():
    assert len(POINTS) == 50 == len(set(np.abs(POINTS))) * 2
    ratios = np.abs(POINTS)[:, None] / np.abs(POINTS)[None]
    assert np.abs(ratios - 2.0).min() > 1e-3


@pytest.mark.parametrize("double", [True, False])
@pytest.mark.parametrize("activation", GOOD.values(), ids=GOOD.keys())
def test_a_good_one_is_built(activation, double):
    with jax.enable_x64(double):
        fresh = dataclasses.replace(activation, value_=lambda c: activation.value(c))
        assert build(fresh).activation is fresh
        assert jax.config.jax_enable_x64 is double


@pytest.mark.parametrize(("activation", "says"), BAD.values(), ids=BAD.keys())
def test_a_bad_one_is_refused_by_the_property_that_fails(activation, says):
    for _ in range(2):  # what was refused once is not remembered as seen
        with pytest.raises(InputError, match=says):
            build(activation)


@pytest.mark.parametrize("name", ["declares 2", "slope without its leak"])
def test_single_precision_finds_the_same_faults(name):
    activation, says = BAD[name]
    with jax.enable_x64(False), pytest.raises(InputError, match=says):
        build(activation)


@pytest.mark.parametrize(
    "construct",
    [
        build,
        lambda activation: TwoLayerNetwork(weights(), activation),
        lambda activation: radius(
            weights(), np.eye(2), np.ones(2), activation=activation
        ),
    ],
    ids=["specification", "network", "radius"],
)
def test_every_way_into_a_network_tests_it(construct):
    with pytest.raises(InputError, match="degree 2 says"):
        construct(Own(jax.nn.relu, step, 2))


def test_a_file_is_read_into_a_network_that_tests_it(tmp_path):
    np.savez(tmp_path / "net.npz", hidden=np.eye(2), output=np.ones(2))
    with pytest.raises(InputError, match="degree 2 says"):
        read(tmp_path / "net.npz", Own(jax.nn.relu, step, 2))


@pytest.mark.parametrize("name", ["declares 2", "slope of the square", None])
@pytest.mark.parametrize(
    "transform",
    [jax.jit, jax.vmap, lambda f: jax.jit(jax.vmap(jax.grad(f)))],
    ids=["jit", "vmap", "jit of vmap of grad"],
)
def test_it_is_tested_inside_traced_functions(name, transform):
    original = GOOD["root"] if name is None else BAD[name][0]
    fresh = dataclasses.replace(original, value_=lambda c: original.value(c))

    def traced(x):
        return x * build(fresh).width

    if name is None:
        assert transform(traced)(jnp.ones(3)).shape == (3,)
    else:
        with pytest.raises(InputError, match="says" if "2" in name else "slope"):
            transform(traced)(jnp.ones(3))


def test_it_is_tested_once_and_the_packages_own_never():
    calls = []

    def counted(c):
        calls.append(c.shape)
        return jax.nn.relu(c)

    activation = Own(counted, step)
    build(activation)
    first = len(calls)
    assert first > 0
    for _ in range(50):
        build(Own(counted, step))
    assert len(calls) == first
    start = time.process_time()
    for activation in (ReLU(), LeakyReLU(0.1), PReLU(3), Power(2)) * 250:
        build(activation)
    assert time.process_time() - start < 0.5, "half a millisecond each, seen: 0.007"


def test_a_subclass_of_the_packages_own_is_ones_own():
    class Doubled(PReLU):
        def value(self, c):
            return 2 * super().value(c)

    with pytest.raises(InputError, match="slope"):
        build(Doubled(2))


def test_without_a_hash_it_is_tested_every_time():
    @dataclasses.dataclass
    class Mutable(Activation):
        degree: float = 1.0
        normalised: bool = False
        value = staticmethod(jax.nn.relu)
        slope = staticmethod(step)

    assert build(Mutable()).activation == Mutable()
    with pytest.raises(InputError, match="degree 3 says"):
        build(Mutable(3.0))


# --- sweeps of flows ----------------------------------------------------------------


def _flow(activation):
    data = OrthonormalClusters(dim=12, clusters=4, positive=2, noise=0.1)
    return GradientFlow(TwoLayer(8, activation, balanced(1e-2)), data, samples=8)


@dataclasses.dataclass(frozen=True)
class Leaky(Activation):
    """The package's leaky unit written again, by name, as a sweep wants it."""

    degree: float = 1.0
    normalised: bool = False

    def value(self, c):
        return jnp.where(c > 0, c, 0.1 * c)

    def slope(self, c):
        return jnp.where(c > 0, jnp.ones_like(c), jnp.full_like(c, 0.1))


def test_leaky_and_ones_own_are_swept_over_width():
    own, leaky = (
        sweep(_flow(a), {"width": [6, 8]}, 2, times=(2.0, 8.0), observe=("loss",))
        for a in (Leaky(), LeakyReLU(0.1))
    )
    np.testing.assert_allclose(own.loss, leaky.loss, rtol=1e-12)
    assert (leaky.loss[:, 1] < leaky.loss[:, 0]).all()
