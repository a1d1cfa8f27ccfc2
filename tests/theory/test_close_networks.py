"""Closeness: Proposition 3 by hand, and the conjecture on runs of another claim."""

import math

import numpy as np
import pytest
from synthetic import judged

from jaxbias.theory import close_networks, trained_limits
from jaxbias.theory.close_networks import CLAIMS
from jaxbias.verification.run import seed_root

CLAIM = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}
CLOSE = CLAIM["proposition-3-repaired"]


def test_bound_and_radius_by_hand():
    found = CLOSE.predict(CLOSE.setting)
    # nu^(1/3) = 0.1, nu^(2/3) = 0.01, alpha^2 = 0.01: D/(2 K^2) = 8 each time.
    expected = [1 - 2 * k * math.exp(-8.0) for k in (2, 3, 4)]
    np.testing.assert_allclose(found["bound"][:, 0], expected, rtol=1e-9)
    assert found["radius"] == pytest.approx((math.sqrt(2) - 0.8) / 2)
    assert not found["vacuous"]


@pytest.mark.parametrize("noise", [0.5, 0.6])
def test_at_large_noise_the_bound_is_vacuous(noise):
    # 4 exp(-3/(8 alpha^2)) alone is 0.89 at 0.5 and 1.4 at 0.6.
    found = CLOSE.predict({**CLOSE.setting, "noise": noise})
    assert found["vacuous"]


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"exponent": 1.9}, 0),
        ({"misalignment": 1e-6}, 1),
        ({"closeness": 6e-3}, 2),
    ],
)
def test_each_hypothesis_can_fail(changes, place):
    assert all(h.status == "met" for h in CLOSE.hypotheses(CLOSE.setting))
    found = CLOSE.hypotheses({**CLOSE.setting, **changes})
    assert found[place].status == "unmet"


def test_the_tilt_of_the_setting_is_a_third_of_nu():
    # p sqrt(2 delta) with p = 3, up to (1 + sqrt(2 K delta))^2.
    leading = 3 * math.sqrt(2 * CLOSE.setting["misalignment"])
    margin = CLOSE.hypotheses(CLOSE.setting)[1].margin
    assert CLOSE.setting["closeness"] - margin == pytest.approx(leading, rel=2e-3)


def ends(lower, upper):
    return {
        "lower": np.tile(lower, (3, 20000)),
        "upper": np.tile(upper, (3, 20000)),
    }


def test_radii_above_the_promised_one_hold_and_the_decoys_fail():
    arrays = ends(0.69, 0.70)
    assert judged(CLOSE, arrays).conclusion == "true"
    for decoy in CLOSE.decoys:
        assert judged(CLOSE, arrays, decoy).conclusion == "false", decoy.name
    assert judged(CLOSE, ends(0.1, 0.2)).conclusion == "false"
    assert judged(CLOSE, ends(0.1, 0.7)).conclusion == "unresolved"


@pytest.mark.parametrize(
    ("name", "shared"),
    [
        ("conjecture-averages", "distance-scaling-averages"),
        ("conjecture-centres", "distance-scaling-centres"),
    ],
)
def test_the_conjecture_is_judged_on_the_runs_of_the_scaling(name, shared):
    claim = CLAIM[name]
    [runs] = [c for c in trained_limits.CLAIMS if c.id == f"jaxbias/{shared}"]
    assert seed_root(claim) == seed_root(runs)
    for size in ("quick", "paper"):
        assert claim.evidence(claim.setting, size) == runs.evidence(runs.setting, size)
    assert (claim.provenance, claim.expected) == ("recalled", "not refuted")
    assert claim.statement != runs.statement


@pytest.mark.parametrize("name", ["conjecture-averages", "conjecture-centres"])
def test_one_noise_at_which_every_seed_is_close_is_enough(name):
    claim = CLAIM[name]
    distance = np.full((16, 4), 0.3)
    distance[:, 0] = np.linspace(0.01, 0.04, 16)
    found = judged(claim, {"distance": distance})
    assert (found.conclusion, found.sampled) == ("true", True)
    assert found.detectable == pytest.approx(0.01)
    for decoy in claim.decoys:
        assert judged(claim, {"distance": distance}, decoy).conclusion == "false"
    distance[5, 0] = 0.06
    assert judged(claim, {"distance": distance}).conclusion == "false"
    distance[5, 0] = np.nan
    assert judged(claim, {"distance": distance}).conclusion == "unresolved"


def test_deltas_are_a_decade_of_closeness():
    assert min(close_networks._DELTAS) <= 0.05 < max(close_networks._DELTAS)
