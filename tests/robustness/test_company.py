"""The interval of a point does not depend on the points beside it."""

import jax
import numpy as np
import pytest
from plane_nets import activation_of, make

from jaxbias.robustness import Budget, radius
from jaxbias.robustness._blocks import HEIGHT, blocks, product

POINTS = HEIGHT + 5
FIELDS = ("lower", "upper", "witness", "method", "status", "nodes")


def _case(power, classes=None, width=8):
    rng = np.random.default_rng(1)
    shape = (width,) if classes is None else (width, classes)
    hidden, bias = rng.normal(size=(width, 5)), rng.normal(size=width)
    output, x = rng.normal(size=shape), rng.normal(size=(POINTS, 5))
    heights = np.maximum(x @ hidden.T + bias, 0) ** power @ output
    y = np.where(heights > 0, 1, -1) if classes is None else heights.argmax(1)
    with jax.enable_x64(True):
        return make(hidden, output, bias), x, y


def _same(net, x, y, power, **options):
    """All points, then some of them in another order and twice, and each alone."""
    call = lambda index: radius(
        net, x[index], y[index], activation=activation_of(power), **options
    )
    every = call(np.arange(POINTS))
    shuffled = np.random.default_rng(2).permutation(POINTS)
    for index in (shuffled, shuffled[:9], np.r_[3, 3, 7], *([i] for i in range(6))):
        index = np.asarray(index)
        some = call(index)
        for name in FIELDS:
            np.testing.assert_array_equal(
                getattr(some, name), getattr(every, name)[index], err_msg=name
            )


@pytest.mark.parametrize("power", [1.0, 3.0], ids="p{:g}".format)
def test_company_changes_no_bit(order, power):
    _same(*_case(power), power, order=order)


def test_nor_in_an_exact_search():
    # No second counts, so that the budget is one of nodes.
    budget = Budget(nodes=60, seconds=1e6, gap=1e-4, solver="tree")
    _same(*_case(1.0), 1.0, effort="exact", budget=budget)


def test_nor_with_several_classes(order):
    _same(*_case(1.0, 3, 10), 1.0, order=order)


def test_rows_of_products_are_the_same_in_any_block():
    rng = np.random.default_rng(0)
    left, right = rng.normal(size=(2 * HEIGHT + 3, 17)), rng.normal(size=(17, 12))
    every = product(left, right)
    np.testing.assert_allclose(every, left @ right, rtol=1e-12)
    for row in range(0, len(left), 5):
        np.testing.assert_array_equal(
            product(left[row : row + 1], right)[0], every[row]
        )
        picked = np.asfortranarray(left)[row : row + 9]
        np.testing.assert_array_equal(product(picked, right), every[row : row + 9])
    where = [index.tolist() for _, index in blocks(HEIGHT + 1)]
    assert where == [list(range(HEIGHT)), [HEIGHT] * HEIGHT]
