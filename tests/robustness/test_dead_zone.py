"""Where every own neuron is off and the network is flat: a polyhedron's distance."""

import jax
import numpy as np
import pytest
from plane_nets import make

from jaxbias.networks import Power, ReLU
from jaxbias.robustness import radius


@pytest.mark.parametrize("effort", ["attack", "bounds"])
@pytest.mark.parametrize("boxed", [False, True], ids=["free", "boxed"])
@pytest.mark.parametrize("activation", [ReLU(), Power(3)], ids=["p1", "p3"])
def test_the_nearest_corner_of_a_dead_zone_is_found(order, boxed, effort, activation):
    """x1+^p + 3 (x1 + 2 x2)+^p is 0 only where both are off."""
    rows = np.array([[1.0, 0.0, 0.0], [1.0, 2.0, 0.0]])
    x = np.array([[1.0, 1.0, 0.3], [0.2, 3.0, -1.0], [2.0, 0.5, 0.3]])
    box = (np.array([-0.1, -9.0, -1.0]), np.array([9.0, 9.0, 1.0])) if boxed else None
    with jax.enable_x64(True):
        net = make(rows, [1.0, 3.0], [0.0, 0.0])
        found = radius(
            net,
            x,
            [1, 1, 1],
            activation=activation,
            order=order,
            effort=effort,
            box=box,
        )
    if order == 2:
        # (1, 1) and (2, .5) go to the corner (0, 0); (.2, 3) to the plane's foot,
        # which is (-.8, .4)'s side of it unless the box ends at -.1.
        foot = x[1, :2] - (x[1, 0] + 2 * x[1, 1]) / 5 * np.array([1.0, 2.0])
        near = max(foot[0], -0.1) if boxed else foot[0]
        second = np.hypot(x[1, 0] - near, x[1, 1] + near / 2)
        expected = [np.sqrt(2), second, np.hypot(2, 0.5)]
    else:
        # One step t down in both: x1 - t <= 0, x1 + 2 x2 - 3 t <= 0.
        # The box stops the first at -.1, where the second input has to go to .05.
        expected = [1.0, 2.95 if boxed else 6.2 / 3, 2.0]
    np.testing.assert_allclose(found.upper, expected, rtol=1e-6)
    assert np.all(found.lower <= found.upper)
