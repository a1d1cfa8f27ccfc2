import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxbias._checks import InputError
from jaxbias.data import OrthonormalClusters

UNIT = OrthonormalClusters(dim=12, clusters=4, positive=3, noise=0.2)
SPHERE = dataclasses.replace(UNIT, scaling="sqrt_dim", noise=1.0)


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("scaling", ["unit", "sqrt_dim"])
def test_centres_are_orthogonal_and_of_the_stated_norm(scaling, rotated, key, dtype):
    clusters = dataclasses.replace(UNIT, scaling=scaling, rotated=rotated)
    centres = clusters.centres(key, dtype)
    square = 1.0 if scaling == "unit" else 12.0
    assert centres.dtype == dtype
    tolerance = 2e-14 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(
        centres @ centres.T, square * np.eye(4), atol=tolerance * square
    )


def test_rotation_is_random_and_moves_the_centres_off_the_axes(key):
    rotated = dataclasses.replace(UNIT, rotated=True)
    first, other = rotated.centres(key), rotated.centres(jax.random.key(1))
    assert float(jnp.max(jnp.abs(first))) < 0.99
    assert not np.allclose(first, other)


def test_rotated_directions_are_uniform():
    rotated = OrthonormalClusters(3, 2, 1, 0.0, rotated=True)
    keys = jax.random.split(jax.random.key(2), 2000)
    centres = jax.vmap(rotated.centres)(keys)
    np.testing.assert_allclose(centres.mean(axis=0), 0.0, atol=0.05)
    np.testing.assert_allclose((centres**2).mean(axis=0), 1 / 3, atol=0.03)


def test_labels_mark_the_first_clusters_positive(key):
    assert UNIT.labels.tolist() == [1, 1, 1, -1]
    data = UNIT.sample(8, key=key)
    assert data.clusters.tolist() == [0, 1, 2, 3] * 2
    np.testing.assert_array_equal(data.labels, UNIT.labels[np.asarray(data.clusters)])
    np.testing.assert_array_equal(data.centre_labels, UNIT.labels)
    assert (data.samples, data.dim, data.binary) == (8, 12, True)


@pytest.mark.parametrize("clusters", [UNIT, SPHERE], ids=["unit", "sqrt_dim"])
def test_noise_has_the_stated_size_around_the_centre(clusters, key):
    data = clusters.sample(4000, key=key)
    noise = np.asarray(data.inputs - data.centres[data.clusters])
    want = clusters.noise * (1 / np.sqrt(12) if clusters is UNIT else 1.0)
    assert clusters.noise * clusters.noise_per_feature == pytest.approx(want)
    np.testing.assert_allclose(noise.std(axis=0), want, rtol=0.05)
    np.testing.assert_allclose(noise.mean(axis=0), 0.0, atol=5 * want / np.sqrt(4000))


def test_the_two_scalings_are_one_problem_rescaled(key):
    unit = dataclasses.replace(SPHERE, scaling="unit").sample(8, key=key)
    sphere = SPHERE.sample(8, key=key)
    np.testing.assert_allclose(
        sphere.inputs / np.sqrt(12), unit.inputs, rtol=1e-13, atol=1e-15
    )


@pytest.mark.parametrize("rotated", [False, True])
def test_both_precisions_draw_the_same_problem(rotated, key):
    clusters = dataclasses.replace(UNIT, rotated=rotated)
    single = clusters.sample(8, key=key, dtype="float32")
    double = clusters.sample(8, key=key, dtype="float64")
    assert (single.inputs.dtype, double.inputs.dtype) == (jnp.float32, jnp.float64)
    assert (single.labels.dtype, double.labels.dtype) == (jnp.float32, jnp.float64)
    np.testing.assert_allclose(single.inputs, double.inputs, atol=1e-6)


@pytest.mark.parametrize("sizes", ["balanced", "random"])
def test_a_sample_does_not_depend_on_how_many_there_are(sizes, key):
    clusters = dataclasses.replace(UNIT, sizes=sizes)
    few, many = clusters.sample(4, key=key), clusters.sample(16, key=key)
    np.testing.assert_array_equal(few.inputs, many.inputs[:4])
    np.testing.assert_array_equal(few.clusters, many.clusters[:4])


def test_random_sizes_are_uniform_and_need_no_multiple(key):
    data = dataclasses.replace(UNIT, sizes="random").sample(4001, key=key)
    counts = np.bincount(data.clusters, minlength=4)
    assert np.ptp(counts) > 0
    np.testing.assert_allclose(counts, 1000, atol=5 * np.sqrt(750))


def test_traced_noise_equals_separate_draws(key):
    noises = jnp.asarray([0.0, 0.1, 0.4])
    batch = jax.vmap(lambda s: UNIT.sample(8, key=key, noise=s).inputs)(noises)
    for noise, inputs in zip(noises, batch, strict=True):
        alone = UNIT.sample(8, key=key, noise=float(noise)).inputs
        np.testing.assert_allclose(inputs, alone, rtol=1e-15)
    np.testing.assert_array_equal(batch[0, :4], UNIT.centres())


def test_a_test_set_can_share_the_rotated_centres(key):
    rotated = dataclasses.replace(UNIT, rotated=True, noise=0.0)
    train = rotated.sample(4, key=key)
    fresh = rotated.sample(8, key=jax.random.key(7), centres=train.centres)
    np.testing.assert_array_equal(fresh.inputs[:4], train.inputs)


@given(st.integers(0, 2**31 - 1), st.sampled_from([1, 2, 5]))
def test_keys_in_a_batch_draw_what_they_draw_alone(seed, other):
    keys = jnp.stack([jax.random.key(seed), jax.random.key(seed + other)])
    batch = jax.vmap(lambda k: UNIT.sample(4, key=k).inputs)(keys)
    np.testing.assert_array_equal(batch[0], UNIT.sample(4, key=keys[0]).inputs)
    assert not np.array_equal(batch[0], batch[1])


def test_the_object_is_its_own_configuration():
    same = OrthonormalClusters(12, 4, 3, np.float64(0.5))
    assert same == OrthonormalClusters(12, 4, 3, 0.5)
    assert hash(same) == hash(OrthonormalClusters(12, 4, 3, 0.5))
    assert type(same.noise) is float
    assert type(OrthonormalClusters(12, 4, 3, 0).noise) is float


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dim": 0}, "dim=0"),
        ({"dim": 3}, "at least one dimension each"),
        ({"clusters": 0}, "clusters=0"),
        ({"clusters": 1, "positive": 1}, "both classes"),
        ({"positive": 0}, "both classes"),
        ({"positive": 4}, "both classes"),
        ({"noise": -0.1}, "noise=-0.1"),
        ({"noise": float("nan")}, "noise=nan"),
        ({"noise": float("inf")}, "noise=inf"),
        ({"scaling": "sqrt"}, "sqrt_dim"),
        ({"sizes": "equal"}, "balanced"),
    ],
)
def test_bad_clusters_say_what_would_work(change, message):
    with pytest.raises(InputError, match=message) as error:
        dataclasses.replace(UNIT, **change)
    assert error.value.fix


@pytest.mark.parametrize(
    ("samples", "options", "message"),
    [
        (0, {}, "samples=0"),
        (10, {}, "samples=12 or sizes='random'"),
        (8, {"noise": -1.0}, "noise=-1.0"),
        (8, {"noise": float("nan")}, "noise=nan"),
        (8, {"dtype": "float16"}, "float32"),
    ],
)
def test_bad_samples_say_what_would_work(samples, options, message, key):
    with pytest.raises(InputError, match=message):
        UNIT.sample(samples, key=key, **options)


def test_rotated_centres_ask_for_a_key():
    with pytest.raises(InputError, match="key"):
        dataclasses.replace(UNIT, rotated=True).centres()


def test_float64_is_refused_where_jax_would_store_float32(key):
    with jax.enable_x64(False), pytest.raises(InputError, match="enable_x64"):
        UNIT.sample(4, key=key, dtype="float64")
