import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias import losses
from jaxbias._checks import InputError

BINARY = [losses.exponential, losses.logistic, losses.squared]
OUTPUTS = jnp.asarray([-2.0, -0.3, 0.0, 0.7, 3.0])
LABELS = jnp.asarray([1.0, -1.0, 1.0, -1.0, 1.0])


@pytest.mark.parametrize("loss", BINARY, ids=lambda loss: loss.name)
def test_slope_is_the_derivative_of_the_value(loss):
    derivative = jax.grad(lambda f: jnp.sum(loss.value(f, LABELS)))(OUTPUTS)
    np.testing.assert_allclose(loss.slope(OUTPUTS, LABELS), derivative, rtol=1e-13)


@pytest.mark.parametrize("loss", BINARY, ids=lambda loss: loss.name)
def test_slope_at_zero_is_measured_by_the_slope(loss):
    slopes = loss.slope(jnp.zeros(5), LABELS)
    np.testing.assert_allclose(slopes, -LABELS * loss.slope_at_zero, rtol=1e-15)


@pytest.mark.parametrize(
    ("loss", "value"),
    [
        (losses.exponential, np.exp(0.6)),
        (losses.logistic, np.log1p(np.exp(0.6))),
        (losses.squared, 0.5 * 1.6**2),
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_value_is_the_printed_formula(loss, value):
    got = loss.value(jnp.asarray([0.6]), jnp.asarray([-1.0]))
    np.testing.assert_allclose(got, [value], rtol=1e-14)


def test_logistic_stays_finite_where_the_exponential_overflows():
    outputs = jnp.asarray([-1e4], jnp.float32)
    got = losses.logistic.value(outputs, jnp.ones(1, jnp.float32))
    np.testing.assert_allclose(got, [1e4])
    slope = losses.logistic.slope(outputs, jnp.ones(1, jnp.float32))
    np.testing.assert_allclose(slope, [-1.0])


def test_cross_entropy_of_two_classes_is_logistic_in_the_difference():
    outputs = jnp.asarray([[0.2, 1.5], [-3.0, 2.0]])
    labels = jnp.asarray([1, 0], jnp.int32)
    signs = jnp.asarray([1.0, -1.0])
    want = losses.logistic.value(outputs[:, 1] - outputs[:, 0], signs)
    got = losses.cross_entropy.value(outputs, labels)
    np.testing.assert_allclose(got, want, rtol=1e-14)


def test_cross_entropy_slope_is_its_derivative_and_sums_to_zero():
    outputs = jnp.asarray([[0.2, 1.5, -1.0], [-3.0, 2.0, 0.0]])
    labels = jnp.asarray([2, 0], jnp.int32)
    want = jax.grad(lambda f: jnp.sum(losses.cross_entropy.value(f, labels)))(outputs)
    got = losses.cross_entropy.slope(outputs, labels)
    np.testing.assert_allclose(got, want, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(got.sum(axis=1), 0.0, atol=1e-15)


def test_cross_entropy_has_no_single_slope_at_zero():
    with pytest.raises(InputError, match="number of classes"):
        losses.cross_entropy.slope_at_zero  # noqa: B018


@pytest.mark.parametrize("name", sorted(losses.LOSSES))
def test_a_name_leads_to_its_loss(name):
    assert losses.named(name) is losses.LOSSES[name]
    assert losses.named(losses.LOSSES[name]).name == name
    assert hash(losses.LOSSES[name]) == hash(type(losses.LOSSES[name])())


def test_an_unknown_name_offers_the_closest():
    with pytest.raises(InputError, match="exponential"):
        losses.named("exponentail")


def test_a_tie_is_an_error_and_classes_compare_by_the_largest_output():
    outputs = jnp.asarray([1.0, 0.0, -2.0])
    got = losses.correct(outputs, jnp.asarray([1.0, 1.0, -1.0]))
    assert got.tolist() == [True, False, True]
    scores = jnp.asarray([[0.0, 2.0], [3.0, 1.0]])
    assert losses.correct(scores, jnp.asarray([1, 1], jnp.int32)).tolist() == [1, 0]
