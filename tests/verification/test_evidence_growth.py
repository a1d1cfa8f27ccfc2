"""Growth evidence against scalar equations solved by integrals."""

import math

import numpy as np
import pytest
from scipy.special import expi

from jaxbias.verification import evidence_growth as growth

TIMES = (0.5, 1.0, 2.0)


def logistic_curve(start, time):
    """z' = 2 z (1 - z)."""
    return start * math.exp(2 * time) / (1 - start + start * math.exp(2 * time))


def clock(loss, z):
    """t(z) of ``z' = 2 z g(z)`` up to a constant, g the pull of the loss."""
    return {
        "exponential": lambda: expi(z) / 2,
        "logistic": lambda: (math.log(z) + expi(z)) / 2,
        "squared": lambda: (math.log(z) - math.log(1 - z)) / 2,
    }[loss]()


def asked(**changes):
    return {
        "centres": 3,
        "exponent": 3.0,
        "loss": "squared",
        "loss_scale": "(y - f)^2 / 2",
        "start": 0.01,
        "times": TIMES,
    } | changes


@pytest.mark.parametrize("exponent", [1.0, 2.0, 3.0])
def test_outputs_are_sums_over_neurons(exponent):
    rng = np.random.default_rng(0)
    hidden, output = rng.standard_normal((4, 5)), rng.standard_normal(4)
    for k, found in enumerate(growth.outputs(hidden, output, 3, exponent)):
        by_hand = 0.0
        for w, v in zip(hidden, output, strict=True):
            norm = math.sqrt(float(w @ w))
            by_hand += v * max(w[k], 0.0) ** exponent / norm ** (exponent - 1)
        assert found == pytest.approx(by_hand, rel=1e-12)


@pytest.mark.parametrize(
    ("loss", "output", "pull"),
    [
        ("squared", 0.25, 0.75),
        ("exponential", 0.5, math.exp(-0.5)),
        ("logistic", 0.0, 0.5),
        ("logistic", 1.0, 1 / (1 + math.e)),
    ],
)
def test_pulls_are_minus_the_slope_of_the_loss(loss, output, pull):
    assert growth._PULL[loss](1.0, output) == pytest.approx(pull)
    assert growth._PULL[loss](-1.0, -output) == pytest.approx(-pull)


@pytest.mark.parametrize(
    ("loss", "exponent"),
    [("squared", 2.5), ("exponential", 1.0), ("exponential", 3.0), ("logistic", 3.0)],
)
def test_an_aligned_neuron_solves_its_scalar_equation(loss, exponent):
    told = {"loss": loss, "loss_scale": f"{loss} as it is"}
    found = growth.aligned(asked(exponent=exponent) | told, 0)
    assert found["conventions"] == {"loss_scale": f"{loss} as it is"}
    z = [0.01, *found["measured"]]
    assert np.all(found["settled"])
    travelled = [clock(loss, end) - clock(loss, z[0]) for end in z[1:]]
    np.testing.assert_allclose(travelled, TIMES, atol=1e-7)


@pytest.mark.parametrize(("start", "centres"), [(1e-4, 1), (0.3, 5)])
def test_the_squared_loss_gives_the_logistic_curve_at_any_centre(start, centres):
    found = growth.aligned(asked(start=start, centres=centres), 0)
    expected = [logistic_curve(start, time) for time in TIMES]
    np.testing.assert_allclose(found["measured"], expected, rtol=1e-8)
    assert np.all(np.abs(found["measured"] - expected) <= found["error"])


@pytest.mark.parametrize("centres", [1, 4])
def test_an_average_learns_faster_by_the_root_of_its_centres(centres):
    found = growth.aligned(asked(centres=centres, exponent=1.0, average=True), 0)
    expected = [logistic_curve(0.01, math.sqrt(centres) * time) for time in TIMES]
    np.testing.assert_allclose(found["measured"], expected, rtol=1e-6)


def test_starts_have_the_cosines_asked_and_are_blind_to_the_other_centre():
    cosines = [0.3, 0.5, 0.7]
    hidden, output = growth._one_centre_start({"cosines": cosines, "dim": 8}, 1e-3)
    norms = np.linalg.norm(hidden, axis=1)
    np.testing.assert_allclose(norms, 1e-3, rtol=1e-12)
    np.testing.assert_allclose(np.abs(output), norms, rtol=1e-12)
    for half, sense in ((0, 1.0), (1, -1.0)):
        rows = slice(3 * half, 3 * half + 3)
        np.testing.assert_allclose(hidden[rows, half] / norms[rows], cosines)
        assert np.all(hidden[rows, 1 - half] < 0)
        assert np.all(np.sign(output[rows]) == sense)


@pytest.mark.parametrize("exponent", [1.0, 3.0])
def test_a_tenth_of_the_scale_waits_for_the_logarithm_of_ten(exponent):
    # Aligned and far from fitted, the output grows like e^(2 t) from scale^2.
    found = growth.half_fit(
        {
            "cosines": [0.5, 0.7],
            "dim": 6,
            "exponents": [exponent],
            "scales": [1e-4, 1e-5],
        },
        0,
    )
    assert np.all(found["settled"])
    waited = found["measured"][1] - found["measured"][0]
    assert waited == pytest.approx(math.log(10), abs=1e-3)


def test_half_fit_of_a_nearly_aligned_network_is_known():
    # One neuron almost at its centre: 1/2 = z/(1-z) e^(2t) reached at ln(1/z - 1)/2.
    dim, scale = 10_000, 1e-3
    cosine = math.sqrt(1 - 1.01 / dim)
    found = growth.half_fit(
        {"cosines": [cosine], "dim": dim, "exponents": [2.0], "scales": [scale]}, 0
    )
    expected = math.log(1 / scale**2 - 1) / 2
    assert found["measured"][0] == pytest.approx(expected, abs=2e-3)
