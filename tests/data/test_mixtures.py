"""The mixture against the model it extends, and each departure by itself."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.data import ClusterMixture, OrthonormalClusters, cluster_labelled

PLAIN = ClusterMixture(dim=12, clusters=4, positive=3)


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("noise", [0.0, 1.0, 0.3])
def test_without_departures_the_draws_are_those_of_orthonormal_clusters(
    rotated, noise, key
):
    mixture = dataclasses.replace(PLAIN, noise=noise, rotated=rotated)
    known = OrthonormalClusters(12, 4, 3, noise, scaling="sqrt_dim", rotated=rotated)
    for dtype in ("float32", "float64"):
        one, other = (d.sample(12, key=key, dtype=dtype) for d in (mixture, known))
        jax.tree.map(np.testing.assert_array_equal, one, other)
    assert mixture.labels.tolist() == known.labels.tolist()
    assert mixture.noise_per_feature == pytest.approx(known.noise_per_feature)


@pytest.mark.parametrize("rotated", [False, True])
@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.7])
def test_centres_have_the_stated_norms_and_angles(overlap, rotated, key, dtype):
    norms = (0.6, 0.87, 1.13, 1.4)
    mixture = dataclasses.replace(PLAIN, norms=norms, overlap=overlap, rotated=rotated)
    centres = np.asarray(mixture.centres(key, dtype), float)
    lengths = np.sqrt(12) * np.asarray(norms)
    tolerance = 1e-13 if dtype == "float64" else 2e-6
    np.testing.assert_allclose(mixture.centre_norms, lengths, rtol=1e-15)
    cosines = centres @ centres.T / np.outer(lengths, lengths)
    want = np.where(np.eye(4, dtype=bool), 1.0, overlap)
    np.testing.assert_allclose(cosines, want, atol=tolerance)


def test_the_noise_is_that_of_one_feature_around_any_centre(key):
    mixture = dataclasses.replace(PLAIN, noise=0.5, norms=2.0, overlap=0.3)
    data = mixture.sample(4000, key=key)
    noise = np.asarray(data.inputs - data.centres[data.clusters])
    np.testing.assert_allclose(noise.std(axis=0), 0.5, rtol=0.05)
    plain = PLAIN.sample(4000, key=key)
    same = np.asarray(plain.inputs - plain.centres[plain.clusters]) / 2
    np.testing.assert_allclose(noise, same, atol=1e-12)


@pytest.mark.parametrize(
    ("shares", "samples", "counts"),
    [
        (None, 12, [3, 3, 3, 3]),
        (None, 10, [3, 3, 2, 2]),
        ((20, 40, 80, 160), 300, [20, 40, 80, 160]),
        ((1, 2, 4, 8), 30, [2, 4, 8, 16]),
        ((0.1, 0.2, 0.3, 0.4), 10, [1, 2, 3, 4]),
        ((1, 1, 1, 3), 10, [2, 2, 1, 5]),
    ],
)
def test_sizes_follow_the_shares(shares, samples, counts, key):
    mixture = dataclasses.replace(PLAIN, shares=shares)
    data = mixture.sample(samples, key=key)
    assert mixture.counts(samples).tolist() == counts
    assert np.bincount(data.clusters).tolist() == counts
    np.testing.assert_array_equal(
        data.labels, mixture.labels[np.asarray(data.clusters)]
    )


def test_clusters_are_dealt_out_evenly_along_the_samples(key):
    mixture = dataclasses.replace(PLAIN, shares=(1, 2, 4, 8))
    found = np.asarray(mixture.sample(120, key=key).clusters)
    for half in (found[:60], found[60:]):
        np.testing.assert_allclose(np.bincount(half), [4, 8, 16, 32], atol=1)


def test_traced_noise_equals_separate_draws(key):
    noises = jnp.asarray([0.1, 2.0])
    batch = jax.vmap(lambda s: PLAIN.sample(8, key=key, noise=s).inputs)(noises)
    for noise, inputs in zip(noises, batch, strict=True):
        alone = PLAIN.sample(8, key=key, noise=float(noise)).inputs
        np.testing.assert_allclose(inputs, alone, rtol=1e-15)


def test_a_test_set_shares_the_centres_of_its_training_set(key):
    mixture = dataclasses.replace(PLAIN, noise=0.0, overlap=0.2, rotated=True)
    train = mixture.sample(4, key=key)
    fresh = mixture.sample(8, key=jax.random.key(7), centres=train.centres)
    np.testing.assert_array_equal(fresh.inputs[:4], train.inputs)


def test_cluster_labels_replace_the_two_labels_and_nothing_else(key):
    coarse = PLAIN.sample(8, key=key)
    fine = cluster_labelled(coarse)
    assert (coarse.binary, fine.binary) == (True, False)
    assert fine.labels.dtype == jnp.int32
    np.testing.assert_array_equal(fine.labels, coarse.clusters)
    for name in ("inputs", "clusters", "centres", "centre_labels"):
        np.testing.assert_array_equal(getattr(fine, name), getattr(coarse, name))


def test_the_mixture_is_its_own_configuration():
    one = ClusterMixture(12, 4, 3, 1, norms=(1, 1, 1, 2), shares=(1, 2, 3, 4))
    other = ClusterMixture(
        12, 4, 3, 1.0, norms=(1.0, 1.0, 1.0, 2.0), shares=(1.0, 2.0, 3.0, 4.0)
    )
    assert one == other
    assert hash(one) == hash(other)
    assert {type(n) for n in (one.noise, one.overlap, *one.norms)} == {float}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dim": 3}, "at least one dimension each"),
        ({"positive": 4}, "both classes"),
        ({"noise": -1.0}, "noise=-1.0"),
        ({"norms": 0.0}, "off the origin"),
        ({"norms": -1.0}, "norms=-1.0"),
        ({"norms": (1.0, 2.0)}, r"norms=\(1.0,\) \* 4"),
        ({"norms": (1.0, 1.0, 1.0, float("nan"))}, "norms=nan"),
        ({"shares": (1, 2)}, "one for each cluster"),
        ({"shares": (1, 2, 0, 1)}, "some samples"),
        ({"overlap": -0.1}, "overlap=-0.1"),
        ({"overlap": 1.0}, "overlap=0.1"),
    ],
)
def test_bad_mixtures_say_what_would_work(change, message):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(PLAIN, **change)


@pytest.mark.parametrize(
    ("shares", "samples", "options", "message"),
    [
        (None, 0, {}, "samples=0"),
        (None, 3, {}, "samples=4"),
        ((1, 1, 1, 97), 20, {}, "samples=100"),
        (None, 8, {"noise": -1.0}, "noise=-1.0"),
        (None, 8, {"dtype": "float16"}, "float32"),
    ],
)
def test_bad_samples_say_what_would_work(shares, samples, options, message, key):
    with pytest.raises(InputError, match=message):
        dataclasses.replace(PLAIN, shares=shares).sample(samples, key=key, **options)


def test_rotated_centres_ask_for_a_key():
    with pytest.raises(InputError, match="key"):
        dataclasses.replace(PLAIN, rotated=True).centres()
