"""Radii are lengths: they scale with the unit of the inputs and with nothing else."""

import jax
import numpy as np
import pytest
from plane_nets import make

from jaxbias.networks import Power, ReLU
from jaxbias.robustness import radius

RNG = np.random.default_rng(3)
HIDDEN, BIAS, OUTPUT = RNG.normal(size=(8, 5)), RNG.normal(size=8), RNG.normal(size=8)
X = RNG.normal(size=(40, 5))


def _radius(power, order, unit=1.0, layer=1.0, out=1.0, biased=True):
    activation = ReLU() if power == 1 else Power(power)
    heights = np.maximum(X @ HIDDEN.T + biased * BIAS, 0) ** power @ OUTPUT
    labels = np.where(heights > 0, 1, -1)
    with jax.enable_x64(True):
        net = make(
            layer * HIDDEN / unit, out * OUTPUT, layer * BIAS if biased else None
        )
        return radius(net, unit * X, labels, activation=activation, order=order)


@pytest.mark.parametrize("unit", [1 / 255, 255.0, 1e3, 1e5])
def test_another_unit_of_the_inputs_is_another_unit_of_the_radii(order, unit):
    plain, other = _radius(1, order), _radius(1, order, unit)
    assert np.isfinite(plain.upper).sum() >= 30
    np.testing.assert_allclose(other.upper / unit, plain.upper, rtol=1e-6)
    np.testing.assert_allclose(other.lower / unit, plain.lower, rtol=1e-6)


@pytest.mark.parametrize("power", [1, 1.5, 3])
def test_powers_of_two_change_no_bit(order, power):
    plain = _radius(power, order)
    for changed, unit in (
        (_radius(power, order, unit=2.0**13), 2.0**13),
        (_radius(power, order, layer=2.0**-21, out=2.0**90), 1.0),
    ):
        np.testing.assert_array_equal(changed.upper, unit * plain.upper)
        np.testing.assert_array_equal(changed.lower, unit * plain.lower)


@pytest.mark.parametrize(
    "scales", [{"layer": 1e160}, {"layer": 1e-300}, {"out": 1e160}, {"unit": 1e-200}]
)
def test_extreme_scales_are_ordinary_problems(order, scales):
    biased = "unit" not in scales
    plain, other = (_radius(3, order, biased=biased, **s) for s in ({}, scales))
    unit = scales.get("unit", 1.0)
    assert np.isfinite(plain.upper).sum() >= 30
    np.testing.assert_allclose(other.upper / unit, plain.upper, rtol=1e-6)
    np.testing.assert_allclose(other.lower / unit, plain.lower, rtol=1e-6)


def test_a_neuron_that_reads_nothing_is_a_constant():
    with jax.enable_x64(True):
        with_it = make([[1.0, 0.0], [0.0, 0.0]], [1.0, -2.0], [0.0, 0.25])
        without = make([[1.0, 0.0]], [1.0], [0.0], -0.5)
        x = np.array([[2.0, 1.0], [1e3, -1.0]])
        ends = [radius(n, x, [1, 1], activation=ReLU()) for n in (with_it, without)]
    for found in ends:
        np.testing.assert_allclose(found.upper, x[:, 0] - 0.5, rtol=1e-12)
        np.testing.assert_allclose(found.lower, x[:, 0] - 0.5, rtol=1e-6)
