"""Trained networks over noises: at a size where the arithmetic is seen, not the law."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxbias.networks import averaged_classifier
from jaxbias.theory.trained_limits import CLAIMS
from jaxbias.verification import evidence_scaling as scaling
from jaxbias.verification.evidence import execute

SMALL = {
    "dim": 30,
    "clusters": 4,
    "positive": 2,
    "samples": 60,
    "width": 16,
    "scale": 1e-3,
    "time": 25.0,
    "exponent": 1.0,
    "radius_at": None,
}
CLAIM = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}


def _request(name, **more):
    claim = CLAIM[name]
    request = claim.evidence({**claim.setting, **SMALL, **more}, "quick")
    parameters = {**request.parameters, **more}
    return dataclasses.replace(request, parameters=parameters)


def test_distances_grow_with_the_noise_they_are_measured_at():
    request = _request("distance-scaling-averages", noises=(0.05, 0.4), seeds=3)
    found = execute(request, 0)
    distance = found.arrays["distance"]
    assert distance.shape == (3, 2)
    assert (found.seeds, found.failed) == (3, 0)
    assert (distance[:, 0] < 0.2).all()
    assert (distance[:, 1] > 2 * distance[:, 0]).all()
    assert 0 <= found.arrays["slope_error"] < 0.2
    again = execute(request, 0).arrays["distance"]
    np.testing.assert_array_equal(distance, again)
    assert not np.array_equal(distance, execute(request, 1).arrays["distance"])


def test_a_run_that_does_not_finish_is_nan_and_counted(monkeypatch):
    real = scaling._train

    def stopped(*arguments):
        weights, flow, finished = real(*arguments)
        return weights, flow, finished & (np.arange(len(finished)) != 1)

    monkeypatch.setattr(scaling, "_train", stopped)
    request = _request("distance-scaling-averages", noises=(0.05, 0.4), seeds=3)
    found = execute(request, 0)
    assert found.failed == 1
    np.testing.assert_array_equal(
        np.isnan(found.arrays["distance"]).all(axis=1), [False, True, False]
    )


def test_the_lemma_is_given_what_it_speaks_of():
    request = _request("lemma-17", exponent=3.0, noise=0.05, seeds=2)
    arrays = execute(request, 0).arrays
    for level in (arrays, arrays["coarse"], arrays["middle"]):
        assert level["centre_cosines"].shape == (2, 4, 16)
        assert level["cluster_amplitudes"].shape == (2, 4)
        assert level["distance"].shape == (2,)
        assert level["finished"].all()
    # Amplitudes are sums of contributions, the neurons of each centre its own.
    total = arrays["contributions"].sum(axis=1)
    assert (arrays["cluster_amplitudes"].sum(axis=1) <= total + 1e-9).all()
    assert (arrays["distance"] > 0).all()


def test_without_a_fit_a_rescaled_network_is_at_a_distance():
    flow = scaling.build(scaling.training({**SMALL, "noise": 0.1}, "quick"))
    centres = flow.data.centres(dtype="float64")

    weights, _ = averaged_classifier(centres, jnp.asarray(flow.data.labels))
    twice = dataclasses.replace(weights, output=2 * weights.output)
    doubled = jax.tree.map(lambda leaf: leaf[None], twice)
    found = lambda fitted: scaling._distances(doubled, flow, np.array([True]), fitted)
    assert found(True)[0] == pytest.approx(0.0, abs=1e-8)
    # sup |F| = sqrt(2), along the average of two centres.
    assert found(False)[0] == pytest.approx(np.sqrt(2), rel=1e-6)


def test_fresh_samples_get_intervals_of_each_network():
    request = _request(
        "proposition-1-trained", noise=0.05, exponents=(1.0, 3.0), points=12
    )
    found = execute(request, 0)
    lower, upper = found.arrays["lower"], found.arrays["upper"]
    assert lower.shape == upper.shape == (2, 12)
    assert (lower <= upper + 1e-12).all()
    assert np.isfinite(upper).all()
    assert found.seeds == 12
