"""Radii of the explicit classifiers at their centres, against the closed forms."""

import math

import numpy as np
import pytest
from plane_nets import batch_radius, classifier

from jaxbias.robustness import closed_form

SPLITS = [(1, 1), (3, 2), (6, 4), (2, 7)]


def _amplitudes(count):
    return 1.0 + 0.7 * np.arange(count) / count


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0, 3.0, 6.0], ids="p{:g}".format)
def test_both_ends_meet_at_centres(exponent, order, dtype):
    cases, predicted = [], []
    for positive, negative in SPLITS:
        total = positive + negative
        for averaged in (False, True) if exponent == 1 else (False,):
            w, v, centres, signs = classifier(positive, negative, averaged=averaged)
            # As single precision rounds the entries of the averages, by 3e-8.
            w, v = w.astype(dtype).astype(float), v.astype(dtype).astype(float)
            cases.append((w, v, centres, signs))
            opposite = np.where(signs > 0, negative, positive)
            at = [
                closed_form.averaged_at_centre(total, order)
                if averaged
                else closed_form.per_centre_at_centre(exponent, int(k), order)
                for k in opposite
            ]
            predicted.append(np.resize(at, 10))
    found = batch_radius(cases, exponent, order, dtype)
    for i, truth in enumerate(predicted):
        np.testing.assert_allclose(found.upper[i], truth, atol=1e-4)
        np.testing.assert_allclose(found.lower[i], truth, atol=1e-4)
    assert np.all(found.status == "bounds")


@pytest.mark.parametrize("exponent", [2.0, 3.0, 6.0], ids="p{:g}".format)
def test_unequal_amplitudes_of_the_per_centre_network(exponent):
    cases, predicted = [], []
    for positive, negative in SPLITS:
        total = positive + negative
        a = _amplitudes(total)
        w, v, centres, signs = classifier(positive, negative, a)
        cases.append((w, v, centres, signs))
        most = np.where(signs > 0, a[signs < 0].max(), a[signs > 0].max())
        at = [
            closed_form.per_centre_amplitudes_at_centre(exponent, own, other)
            for own, other in zip(a, most, strict=True)
        ]
        predicted.append(np.resize(at, 10))
    found = batch_radius(cases, exponent, 2)
    for i, truth in enumerate(predicted):
        np.testing.assert_allclose(found.upper[i], truth, atol=1e-4)
        assert np.all(found.lower[i] <= truth * (1 + 1e-12))


def test_unequal_amplitudes_of_the_averaged_network():
    cases, predicted = [], []
    for (positive, negative), pair in zip(
        SPLITS, [(1.0, 1.0), (2.0, 1.5), (1.3, 2.4), (1.0, 0.7)], strict=True
    ):
        w, v, centres, signs = classifier(positive, negative, pair, averaged=True)
        cases.append((w, v, centres, signs))
        at = closed_form.averaged_amplitudes_at_centre(positive, negative, pair)
        predicted.append(np.resize(np.where(signs > 0, *at), 10))
    found = batch_radius(cases, 1.0, 2)
    for i, truth in enumerate(predicted):
        np.testing.assert_allclose(found.upper[i], truth, atol=1e-4)
        np.testing.assert_allclose(found.lower[i], truth, atol=1e-4)


def test_averaged_classifier_away_from_the_centres():
    positive, negative = 6, 4
    rng = np.random.default_rng(0)
    w, v, centres, _ = classifier(positive, negative, averaged=True)
    x = np.abs(rng.normal(size=(10, 10))) * 0.3 + centres[0]
    x[5:, positive:] *= -1.0
    found = batch_radius([(w, v, x, np.ones(10))], 1.0, 2)
    own, opposite = x[:, :positive].sum(1), x[:, positive:].sum(1)
    exact = closed_form.averaged_radius(own, opposite, positive, negative)
    assert (exact < (own - opposite) / math.sqrt(10) - 1e-3).any()
    np.testing.assert_allclose(found.upper[0], exact, atol=1e-9)
    assert np.all(found.lower[0] <= exact)
