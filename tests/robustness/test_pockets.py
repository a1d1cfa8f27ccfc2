"""Places that no tangent at a point reaches: deep, narrow and far away."""

import itertools
import pathlib

import jax
import numpy as np
import pytest
from plane_nets import make

from jaxbias.networks import LeakyReLU, Power, ReLU
from jaxbias.robustness import Budget, radius

# Which network of `scripts/tightness.py biased` at p = 3 in l_inf.
NUMBER, LONGER = 415, 1.02
POCKET = Power(3.0)


def _network():
    """One opposing neuron of amplitude 0.001 against seven own ones, with 4 points."""
    rng = np.random.default_rng(0)
    draw = lambda: (
        rng.normal(size=(8, 5)),
        rng.normal(size=8),
        rng.normal(size=8),
        0.3 * rng.normal(),
        rng.normal(size=(4, 5)),
    )
    hidden, bias, output, constant, x = next(
        itertools.islice(iter(draw, None), NUMBER, None)
    )
    f = np.maximum(x @ hidden.T + bias, 0) ** 3 @ output + constant
    return hidden, bias, output, constant, x, np.where(f > 0, 1, -1)


HIDDEN, BIAS, OUTPUT, CONSTANT, X, Y = _network()


def _radius(x=X, y=Y, *, unit=1.0, layer=1.0, classes=False, **options):
    output, constant = OUTPUT, np.array(CONSTANT)
    if classes:
        output, constant = (
            np.stack([0 * part, part], axis=-1) for part in (output, constant)
        )
        y = (y > 0).astype(int)
    with jax.enable_x64(True):
        arrays = layer * HIDDEN / unit, output, layer * BIAS, layer**3 * constant
        net = make(*arrays)
        options = {"activation": POCKET, "order": np.inf} | options
        return radius(net, unit * x, y, **options)


@pytest.mark.parametrize("effort", ["attack", "bounds"])
def test_a_deep_narrow_pocket_is_found(effort):
    exact = _radius(effort="exact", budget=Budget(nodes=1000, gap=1e-5, seconds=20))
    assert np.isfinite(exact.upper).all()
    assert (exact.lower >= (1 - 1e-4) * exact.upper).all()
    assert (_radius(effort=effort).upper <= LONGER * exact.upper).all()


def test_what_was_exact_is_still_found():
    np.testing.assert_allclose(
        _radius().upper[[0, 3]], [11.5222731, 8.3287052], rtol=1e-6
    )


@pytest.mark.parametrize("order", [2, np.inf])
def test_neither_company_nor_powers_of_two_change_a_bit(order):
    plain = _radius(order=order)
    assert np.isfinite(plain.upper).all()
    for rows in ([2], [3, 0, 0, 1]):
        some = _radius(X[rows], Y[rows], order=order)
        for name in ("lower", "upper", "witness", "method"):
            np.testing.assert_array_equal(
                getattr(some, name), getattr(plain, name)[rows]
            )
    other = _radius(order=order, unit=2.0**9, layer=2.0**-5)
    np.testing.assert_array_equal(other.upper, 2.0**9 * plain.upper)
    np.testing.assert_array_equal(other.lower, 2.0**9 * plain.lower)


def test_other_units_and_two_outputs_are_the_same_problem():
    plain = _radius()
    for other, unit in (
        (_radius(unit=1 / 255), 1 / 255),
        (_radius(classes=True), 1.0),
        (_radius(tie="<"), 1.0),
    ):
        np.testing.assert_allclose(other.upper / unit, plain.upper, rtol=1e-6)


@pytest.mark.parametrize("order", [2, np.inf])
def test_a_pocket_in_a_box_is_reached_inside_it(order):
    free = _radius(order=order)
    for size in (30.0, 10.0, 6.0):
        found = _radius(order=order, box=(-size, size))
        assert (np.abs(found.witness) <= size).all()
        assert (found.upper >= (1 - 1e-6) * free.upper).all()
        # The smallest one has no pocket in it.
        assert np.isfinite(found.upper).all() == (size > 6)


@pytest.mark.parametrize("activation", [ReLU(), LeakyReLU(0.1), Power(1.5)])
def test_places_are_found_at_every_power(activation):
    """A cone that only one opposing neuron of amplitude 1e-3 sees."""
    rows = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, -1.0], [0.0, 1.0]])
    with jax.enable_x64(True):
        net = make(rows, [1.0, 1.0, 1.0, -1e-3], np.full(4, 0.5), 0.2)
        x = np.array([[0.3, -0.4], [1.0, 0.2]])
        found = radius(net, x, [1, 1], activation=activation, effort="exact")
        default = radius(net, x, [1, 1], activation=activation)
    assert np.isfinite(found.upper).all()
    assert (default.upper <= LONGER * found.upper).all()


def test_script_draws_the_same_network(monkeypatch):
    """The recipe here is that of the script."""
    monkeypatch.syspath_prepend(str(pathlib.Path(__file__).parents[2] / "scripts"))
    before = jax.config.jax_enable_x64  # pyright: ignore[reportAttributeAccessIssue]
    import tightness  # pyright: ignore[reportMissingImports]

    jax.config.update("jax_enable_x64", before)
    with jax.enable_x64(True):
        cases = tightness.random_biased(3.0, np.inf, NUMBER + 1)
        net, x, y, _ = next(itertools.islice(cases, NUMBER, None))
    np.testing.assert_array_equal(np.asarray(net.hidden), HIDDEN)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(y, Y)
