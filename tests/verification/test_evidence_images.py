"""The protocol of the image experiments, at a size of seconds."""

import os
from pathlib import Path

import numpy as np
import pytest

from jaxbias.theory._claim import Computation
from jaxbias.verification.evidence import execute

pytestmark = pytest.mark.skipif(
    not (Path(os.environ.get("JAXBIAS_DATA", "")) / "mnist").is_dir(),
    reason="JAXBIAS_DATA names no folder of MNIST",
)
SMALL = {
    "exponents": (1.0, 3.0),
    "width": 40,
    "epochs": 2,
    "batch": 1000,
    "rate": 5e-3,
    "points": 60,
    "radii": (0.0, 0.02, 0.2),
    "attack_steps": 20,
}


@pytest.fixture(scope="module")
def found():
    asked = {
        what: execute(Computation(f"images/{what}", SMALL), 0)
        for what in ("accuracy", "apgd", "best")
    }
    return {what: one.arrays[what] for what, one in asked.items()}


def test_networks_learn_and_are_tested_on_all_validation_images(found):
    accuracy = found["accuracy"]
    assert accuracy.shape == (2,)
    assert ((accuracy > 0.7) & (accuracy < 1)).all()
    # A share of 10,000 images.
    np.testing.assert_allclose(accuracy * 10_000, np.round(accuracy * 10_000))


def test_flags_are_of_every_exponent_radius_and_point(found):
    for what in ("apgd", "best"):
        assert found[what].shape == (2, 3, 60)
        assert (np.diff(found[what].astype(int), axis=1) <= 0).all()
    clean = found["apgd"][:, 0].mean(axis=1)
    np.testing.assert_allclose(clean, found["accuracy"], atol=0.2)
    assert found["apgd"][:, 2].mean() < 0.2


def test_the_best_attack_is_at_least_as_strong(found):
    assert not (found["best"] & ~found["apgd"]).any()
    # At radius 0 there is nothing to search.
    np.testing.assert_array_equal(found["best"][:, 0], found["apgd"][:, 0])
