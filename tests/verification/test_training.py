"""Training evidence end to end at a size that costs little."""

import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.theory._claim import Training
from jaxbias.verification.evidence import execute
from jaxbias.verification.evidence_training import build


def request(**changes):
    fields = {
        "data": {"dim": 8, "clusters": 2, "positive": 1, "noise": 0.05},
        "network": {"width": 16, "exponent": 3.0, "scale": 1e-2},
        "samples": 6,
        "loss": "squared",
        "clock": "per_cluster_mean",
        "times": (1.0, 25.0),
        "observe": ("loss", "contributions"),
        "seeds": 2,
        "tolerance": 1e-2,
    }
    return Training(**{**fields, **changes})


@pytest.fixture(scope="module")
def evidence():
    return execute(request(), 7)


def test_every_seed_is_reported_with_its_conventions(evidence):
    assert (evidence.seeds, evidence.failed) == (2, 0)
    assert evidence.arrays["contributions"].shape == (2, 16)
    assert evidence.conventions["clock"] == "per_cluster_mean"
    assert evidence.conventions["loss_scale"] == "(y - f)^2 / 2"


def test_three_tolerances_approach_each_other(evidence):
    a = evidence.arrays
    coarse, middle = a["coarse"]["contributions"], a["middle"]["contributions"]
    first = np.abs(middle - coarse).max()
    second = np.abs(a["contributions"] - middle).max()
    assert 0 < second < first < 1e-2


def test_the_flow_learns(evidence):
    loss = evidence.arrays["loss"]
    # One class may still be turning; neither starts below 1.
    assert loss.max() < 0.6
    assert loss.min() < 0.01


def test_the_flow_is_the_one_asked_for():
    flow = build(request())
    assert flow.network.width == 16
    assert flow.network.activation.exponent == 3.0
    assert flow.data.noise == 0.05
    assert flow.clock == "per_cluster_mean"
    relu = build(request(network={"width": 4, "exponent": 1.0, "scale": 1e-2}))
    assert relu.network.activation.exponent == 1


def test_an_unknown_loss_is_refused():
    with pytest.raises(InputError, match="squared"):
        build(request(loss="square"))
