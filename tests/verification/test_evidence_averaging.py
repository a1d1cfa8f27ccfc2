"""Runs behind the claims on averaging, small, against their own definitions."""

import numpy as np
import pytest

from jaxbias.experiments.averaging import Averaging
from jaxbias.verification import verify
from jaxbias.verification._averaging_runs import SCORES, descend
from jaxbias.verification.evidence_averaging import (
    decomposition,
    first_step,
    growth,
    shapes,
    starts,
    without_noise,
)
from jaxbias.verification.evidence_least_norm import least_norm
from jaxbias.verification.evidence_trained_readouts import centres, curves, directions

TINY = {"dim": 64, "clusters": 4, "samples_per_cluster": 10, "neurons_per_class": 3}
SINGLE = {"neurons_per_class": 1, "trained_on": "clusters"}
ONE = {"common": TINY, "cells": ({},)}


@pytest.fixture(scope="module")
def grown():
    return growth({**ONE, "times": (5, 40), "seeds": 3}, 1)


def test_margins_and_coefficients_agree_up_to_noise(grown):
    # The mean over a class of a sum_r relu(<w_r, mu_j> + b_r), a = 1/m.
    assert grown["margin"].shape == (1, 3, 2, 2)
    margin = grown["margin"].mean(axis=2)
    assert np.all(np.abs(margin / grown["coefficient"] - 1) < 0.2)
    assert np.all(np.diff(margin, axis=-1) > 0)
    assert np.all((grown["first"] > 0) & (grown["first"] <= 1))
    assert np.all((grown["cosine"] > 0.5) & (grown["cosine"] < 1))


def test_of_classes_the_own_output_is_the_margin():
    cell = {**TINY, "trained_on": "clusters"}
    found = growth({"cells": (cell,), "times": (40,), "seeds": 2}, 1)
    runs = descend(Averaging(**cell, steps=(1, 40)), 1, 2, SCORES)
    own = np.maximum(runs[SCORES.name][:, -1], 0) * runs.own / TINY["neurons_per_class"]
    np.testing.assert_allclose(
        found["margin"][0, :, 0, 0], own.sum(axis=-1).mean(axis=-1), rtol=1e-12
    )


def test_shares_of_the_first_step_count_samples():
    shares = first_step({**ONE, "seeds": 2}, 1)["shares"]
    counts = shares * TINY["samples_per_cluster"]
    assert np.all(np.abs(counts - counts.round()) < 1e-3)
    assert 0 <= shares.min() <= shares.max() <= 1 + 1e-4


def test_two_descents_tell_the_same_weights():
    found = decomposition({**ONE, "time": 20, "seeds": 2}, 1)
    scale = np.abs(found["summed"]).max()
    np.testing.assert_allclose(found["projected"], found["summed"], atol=1e-10 * scale)
    np.testing.assert_allclose(found["bias"], found["biases"], atol=1e-12 * scale)
    assert np.abs(found["cross"]).max() > 0.1


def test_without_noise_neurons_keep_their_centres():
    found = without_noise({**ONE, "times": (5, 40), "seeds": 3}, 1)
    assert np.array_equal(found["on"], found["learned"])
    assert 0 < found["on"].mean() < 1
    assert found["apart"].size > 0
    assert found["apart"].max() < 1e-12
    assert found["others"] < 1e-12 < found["pushed"]


def test_the_larger_of_two_clusters_leads_in_margin_and_late_in_no_cosine():
    cell = {"shares": (5.0, 15.0) * 2}
    found = shapes({"common": TINY, "cells": (cell,), "times": (5, 200), "seeds": 3}, 1)
    assert found["margins"].shape == found["cosines"].shape == (1, 3, 2, 2)
    assert np.all(found["margins"][..., 1] > found["margins"][..., 0])
    gap = np.diff(found["cosines"].mean(axis=1)[0], axis=-1)[:, 0]
    assert gap[0] > gap[1]


def test_larger_starts_have_smaller_cosines():
    cells = ({"init_scale": 1e-5}, {"init_scale": 1e-2})
    found = starts({"common": TINY, "cells": cells, "times": (20,), "seeds": 2}, 1)
    small, large = found["cosine"].mean(axis=1)
    assert large < small
    assert np.all(found["formula"][1] < found["bare"][1])
    np.testing.assert_allclose(found["formula"][0], found["bare"][0], rtol=1e-3)


def test_the_least_norm_of_two_centres():
    # One centre a class: each of m neurons is e_j/m^0, so the sum is m k/d = m.
    assert least_norm(2, 2, 4, 0) == pytest.approx(2.0, abs=1e-3)


@pytest.fixture(scope="module")
def radii():
    cells = (
        {"readout": "sign"},
        {**SINGLE, "readout": "max"},
        {**SINGLE, "readout": "sum"},
    )
    return centres({"common": TINY, "cells": cells, "time": 60, "seeds": 2}, 1)


def test_read_outs_in_the_order_of_their_radii(radii):
    assert np.all(radii["upper"] - radii["lower"] < 1e-5)
    averaged, largest, summed = radii["upper"].mean(axis=2)
    assert np.all(averaged < summed)
    assert np.all(summed < largest)
    assert np.all(largest < 1 / np.sqrt(2))


def test_a_curve_falls_and_is_known_from_both_sides():
    found = curves(
        {
            "cell": {**TINY, "readout": "sign"},
            "time": 60,
            "points": 16,
            "seeds": 2,
            "radii": (0.0, 3.0, 9.0),
        },
        1,
    )
    assert np.all(found["kept"] <= found["open"])
    assert found["open"][0] > found["open"][1] >= found["open"][2] == 0
    assert found["trials"] == 32


def test_longer_steps_leave_fewer_points_right():
    found = directions(
        {
            "cell": {**TINY, "readout": "sign"},
            "time": 60,
            "points": 32,
            "seeds": 2,
            "radii": (1.0, 4.0, 12.0),
        },
        1,
    )
    for name in ("left", "both"):
        assert np.all(np.diff(found[name]) <= 0)
        assert found[name][-1] == 0
    assert np.all(found["both"] <= found["left"])
    assert found["right"] >= found["left"][0]


def test_the_quicker_claims_are_as_expected_and_refuse_their_decoys():
    names = ("first-step-uniform", "weight-decomposition", "bias-decomposition")
    names += ("no-averaging-without-noise", "frozen-differences")
    found = verify([f"jaxbias/{name}" for name in names], teeth=True)
    assert {v.claim.id: v.verdict for v in found if not v.as_expected} == {}
    assert all(v.teeth for v in found)
