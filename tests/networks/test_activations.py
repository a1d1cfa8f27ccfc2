import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxbias._checks import InputError
from jaxbias.networks import LeakyReLU, Power, PReLU, ReLU

EXPONENTS = [1, 1.5, 2, 2.5, 3, 3.7, 4, 6]
ALL = [
    ReLU(),
    LeakyReLU(0.1),
    *(PReLU(p) for p in EXPONENTS),
    *(Power(p) for p in EXPONENTS),
]
POINTS = jnp.asarray([-2.0, -1e-3, 0.0, 1e-3, 0.5, 2.0])


@pytest.mark.parametrize("activation", ALL, ids=str)
def test_slope_is_the_derivative_also_at_the_kink(activation):
    slopes = activation.slope(POINTS)
    derivative = jax.vmap(jax.grad(activation.value))(POINTS)
    np.testing.assert_allclose(slopes, derivative, rtol=1e-13)
    left = 0.1 if isinstance(activation, LeakyReLU) else 0.0
    assert float(slopes[2]) == left


@pytest.mark.parametrize("activation", ALL, ids=str)
def test_homogeneous_of_the_declared_degree(activation):
    scaled = activation.value(1.7 * POINTS)
    np.testing.assert_allclose(
        scaled, 1.7**activation.degree * activation.value(POINTS), rtol=1e-13
    )
    assert activation.degree == activation.exponent
    assert activation.smoothness == activation.degree - 1


@pytest.mark.parametrize("exponent", [p for p in EXPONENTS if p > 1])
def test_the_value_is_the_power_of_the_positive_part(exponent):
    want = np.where(POINTS > 0, np.abs(POINTS) ** exponent, 0.0)
    np.testing.assert_allclose(PReLU(exponent).value(POINTS), want, rtol=1e-14)
    np.testing.assert_allclose(Power(exponent).value(POINTS), want, rtol=1e-14)


@pytest.mark.parametrize("exponent", [1, 2, 3, 4])
def test_small_integer_powers_call_no_pow(exponent):
    for function in (PReLU(exponent).value, PReLU(exponent).slope):
        assert "pow" not in str(jax.make_jaxpr(function)(POINTS))
    assert "pow" in str(jax.make_jaxpr(PReLU(2.5).value)(POINTS))


@given(
    st.sampled_from(EXPONENTS),
    st.floats(1e-3, 1e3),
    st.integers(0, 2**31 - 1),
)
def test_normalised_responses_have_degree_one_in_the_weights(exponent, factor, seed):
    rows = jax.random.normal(jax.random.key(seed), (4, 3))
    inputs = jax.random.normal(jax.random.key(seed + 1), (5, 3))
    norms = jnp.linalg.norm(rows, axis=1)
    activation = PReLU(exponent)
    once = activation.response(inputs @ rows.T, norms)
    scaled = activation.response(factor * inputs @ rows.T, factor * norms)
    np.testing.assert_allclose(scaled, factor * once, rtol=1e-10)
    longer = activation.response(factor * inputs @ rows.T, norms)
    np.testing.assert_allclose(longer, factor**exponent * once, rtol=1e-10)


def test_response_of_the_regular_power_ignores_the_norms():
    scores = POINTS[:, None]
    got = Power(3).response(scores, jnp.asarray([7.0]))
    np.testing.assert_array_equal(got, Power(3).value(scores))


@pytest.mark.parametrize("activation", ALL, ids=str)
def test_a_neuron_of_norm_zero_gives_zero_and_a_finite_derivative(activation):
    def total(scores, norms):
        return jnp.sum(activation.response(scores, norms))

    zeros = (jnp.zeros((3, 2)), jnp.zeros(2))
    assert float(total(*zeros)) == 0.0
    for derivative in jax.grad(total, argnums=(0, 1))(*zeros):
        assert np.isfinite(derivative).all()


@pytest.mark.parametrize("exponent", [1, 2, 3, 4, 5.5, 8])
def test_weights_of_size_1e_15_survive_float32(exponent):
    scores = jnp.asarray([[3e-15, -2e-15, 1e-16]])
    norms = jnp.asarray([4e-15, 5e-15, 1e-15])
    want = PReLU(exponent).response(scores, norms)
    got = PReLU(exponent).response(
        scores.astype(jnp.float32), norms.astype(jnp.float32)
    )
    np.testing.assert_allclose(got, want, rtol=1e-5)
    assert float(got[0, 0]) > 0


def test_prelu_of_exponent_one_is_relu():
    scores, norms = POINTS[:, None], jnp.asarray([0.3])
    np.testing.assert_array_equal(
        PReLU(1).response(scores, norms), ReLU().response(scores, norms)
    )


def test_leaky_relu_keeps_its_leak():
    np.testing.assert_allclose(LeakyReLU(0.1).value(POINTS)[:2], [-0.2, -1e-4])


def test_equal_objects_hash_equally():
    assert PReLU(3) == PReLU(3.0)
    assert hash(PReLU(3)) == hash(PReLU(3.0))
    assert PReLU(3) != Power(3)
    assert [PReLU(3).normalised, Power(3).normalised] == [True, False]


@pytest.mark.parametrize("kind", [PReLU, Power])
@pytest.mark.parametrize("exponent", [0.99, 0, -1.0, float("nan"), float("inf")])
def test_exponents_below_one_are_refused(kind, exponent):
    with pytest.raises(InputError, match="exponent="):
        kind(exponent)


@pytest.mark.parametrize("leak", [-0.1, 1.5, float("nan")])
def test_leaks_outside_the_unit_interval_are_refused(leak):
    with pytest.raises(InputError, match="leak="):
        LeakyReLU(leak)
