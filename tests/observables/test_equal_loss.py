"""States at equal loss, on paths where they are known."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.observables.equal_loss import at_loss, relative_difference

TIMES = np.linspace(0.1, 8.0, 60)


def path(delay, rate=1.0):
    """Loss exp(-rate (t - delay)), and values that are a function of the loss."""
    progress = rate * (TIMES - delay)
    values = np.stack([progress, 2 - progress], axis=1)
    return jnp.asarray(np.exp(-progress)), jnp.asarray(values)


@pytest.mark.parametrize(("delay", "rate"), [(0.0, 1.0), (2.0, 1.0), (1.0, 3.0)])
def test_the_clock_does_not_matter(delay, rate):
    found = at_loss(*path(delay, rate), 0.3)
    expected = -np.log(0.3)
    np.testing.assert_allclose(found, [expected, 2 - expected], rtol=1e-12)


def test_a_level_outside_the_run_is_not_a_number():
    loss, values = path(0.0)
    assert np.isnan(at_loss(loss, values, 1e-9)).all()
    assert np.isnan(at_loss(loss, values, 10.0)).all()
    assert np.isfinite(at_loss(loss, values, float(loss[-1]))).all()


def test_relative_difference_is_relative_to_the_second():
    a, b = jnp.asarray([3.0, 4.0]), jnp.asarray([0.0, 4.0])
    assert float(relative_difference(a, b)) == pytest.approx(0.75)
    assert float(relative_difference(b, a)) == pytest.approx(0.6)
