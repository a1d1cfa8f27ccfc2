"""Orders of Theorem 1 on planted power laws, and its hypotheses."""

import math

import numpy as np
import pytest
from scipy import optimize
from synthetic import judged

from jaxbias.theory import convergence
from jaxbias.theory._claim import weigh
from jaxbias.theory._verdict import decide
from jaxbias.theory.convergence import CLAIMS

CLAIM = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}
NOISE = np.array([0.144338, 0.1, 0.0707107, 0.05])
ORDERS = [
    # Exponent, and the logs that are allowed for.
    ("theorem-1-loss", "loss", 4.0, 2.0),
    ("theorem-1-distance", "distance", 2.0, 1.0),
    ("theorem-1-loss-fixed-sizes", "loss", 4.0, 2.0),
    ("theorem-1-distance-fixed-sizes", "distance", 2.0, 1.0),
    ("corollary-1", "shortfall", 2 / 3, 1 / 3),
    ("distance-scaling-tied-samples", "distance", 2.0, 1.0),
]


def powers(quantity, slope, spread=0.02, logs=0.0, moved=0.0):
    shake = np.exp(spread * np.random.default_rng(0).normal(size=(16, 4)))
    values = 0.5 * NOISE**slope * np.log(1 / NOISE) ** logs * shake
    return {"noise": NOISE, quantity: values, f"{quantity}_moved": moved}


def brute_gap(cosine):
    """1 - sup cos to a tie with the one rival that has all that is left."""
    side = math.sqrt(1 - cosine**2)

    def away(angle):
        # A unit vector with equal first two coordinates, in the plane of both.
        tie = np.array([1.0, 1.0]) / math.sqrt(2) * math.cos(angle)
        return -(cosine * tie[0] + side * tie[1])

    best = optimize.minimize_scalar(away, bounds=(-1, 1), method="bounded")
    return 1 + best.fun


@pytest.mark.parametrize("cosine", [0.8, 0.9, 0.99])
def test_the_gap_of_a_start_is_the_distance_to_the_nearest_tie(cosine):
    assert convergence.initial_gap(cosine) == pytest.approx(brute_gap(cosine), abs=1e-8)


def test_a_start_halfway_between_two_centres_has_no_gap():
    assert convergence.initial_gap(math.sqrt(0.5)) == pytest.approx(0.0, abs=1e-12)
    assert convergence.initial_gap(1.0) == pytest.approx(1 - math.sqrt(0.5))


@pytest.mark.parametrize(("tied", "sizes"), [(True, None), (False, (5, 100))])
def test_cases_are_tied_to_the_noise_or_fixed(tied, sizes):
    name = "theorem-1-distance" + ("" if tied else "-fixed-sizes")
    claim = CLAIM[name]
    quick, paper = (
        claim.evidence(claim.setting, size).parameters["cases"]
        for size in ("quick", "paper")
    )
    assert (len(quick), len(paper)) == (4, 6)
    assert paper[:4] == quick
    for noise, samples, dim, scale in paper:
        assert scale == pytest.approx(noise**24, rel=1e-12)
        assert scale > 1e-150
        if tied:
            assert samples == dim == pytest.approx(noise**-2 / 4)
        else:
            assert (samples, dim) == sizes
    np.testing.assert_allclose([case[0] for case in quick], NOISE, rtol=1e-5)


def test_all_hypotheses_are_weighed_and_one_is_unmet():
    for name, *_ in ORDERS[:5]:
        claim = CLAIM[name]
        found = claim.hypotheses(claim.setting)
        states = [h.status for h in found]
        assert states == ["met"] * 4 + ["unmet", "unverifiable"]
        # t2 ends before t1 begins, by far.
        assert found[4].margin < -10
        assert weigh(found) == "unmet"
    near = {**claim.setting, "cosine": 0.6}
    assert convergence.initial_gap(near["cosine"]) > 0
    assert claim.hypotheses({**claim.setting, "exponent": 2.5})[0].margin == 0.5


@pytest.mark.parametrize(("name", "quantity", "exponent", "logs"), ORDERS)
def test_an_order_is_kept_by_its_own_power_and_by_every_higher_one(
    name, quantity, exponent, logs
):
    claim = CLAIM[name]
    for slope in (exponent, exponent + 0.4):
        found = judged(claim, powers(quantity, slope))
        assert (found.conclusion, found.sampled) == ("true", True)
    # x^s log^q(1/x) is what the rule allows for.
    assert judged(claim, powers(quantity, exponent, logs=logs)).conclusion == "true"


@pytest.mark.parametrize(("name", "quantity", "exponent", "logs"), ORDERS)
def test_a_lower_power_is_never_a_refutation(name, quantity, exponent, logs):
    claim = CLAIM[name]
    # At the middle noise 0.0845: q/ln(1/x) = 0.405 q.
    low = exponent - 0.405 * logs
    assert judged(claim, powers(quantity, low - 0.15)).conclusion == "unresolved"
    shifted = powers(quantity, low - 0.15, moved=0.3)
    assert judged(claim, shifted).conclusion == "true"


@pytest.mark.parametrize(("name", "quantity", "exponent", "logs"), ORDERS)
def test_decoys_need_a_higher_power(name, quantity, exponent, logs):
    claim = CLAIM[name]
    arrays = powers(quantity, exponent)
    for decoy in claim.decoys:
        assert judged(claim, arrays, decoy).conclusion == "unresolved", decoy.name


def test_the_limit_is_the_power_less_the_logs():
    claim = CLAIM["theorem-1-distance"]
    found = judged(claim, powers("distance", 2.0))
    middle = float(np.exp(np.mean(np.log(NOISE))))
    assert found.predicted[0] == pytest.approx(2 - 1 / math.log(1 / middle))


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_runs_that_did_not_finish_leave_everything_open(claim):
    quantity = claim.predict(claim.setting)["quantity"]
    arrays = powers(quantity, claim.predict(claim.setting)["value"])
    arrays[quantity][2, 1] = np.nan
    assert judged(claim, arrays).conclusion == "unresolved"
    arrays[quantity][2, 1] = -1e-3
    assert judged(claim, arrays).conclusion == "unresolved"


@pytest.mark.parametrize(
    ("slope", "conclusion"),
    [(1.1, "true"), (1.25, "true"), (1.4, "true"), (0.9, ""), (1.6, ""), (2.0, "")],
)
def test_slopes_at_fixed_samples_are_between_one_and_three_halves(slope, conclusion):
    claim = CLAIM["distance-scaling-fixed-samples"]
    found = judged(claim, powers("distance", slope))
    assert found.conclusion == (conclusion or "unresolved")
    for decoy in claim.decoys:
        wrong = judged(claim, powers("distance", slope), decoy)
        assert wrong.conclusion == "unresolved" or slope in (0.9, 2.0, 1.6)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_rows_say_what_was_seen_outside_the_hypotheses(claim):
    weighed = weigh(claim.hypotheses(claim.setting))
    verdict = decide(weighed, "true", sampled=True)
    assert verdict == claim.expected
    if claim.provenance == "seen":
        assert claim.source.version == "PMLR 267"
    requests = [claim.evidence(claim.setting, s) for s in ("quick", "full")]
    seeds = [r.parameters["seeds"] for r in requests]
    assert 16 <= seeds[0] < seeds[1]


def test_claims_of_a_family_share_their_runs():
    for tied in ("tied", "fixed"):
        members = [c for c in CLAIMS if c.family.endswith(tied)]
        assert len(members) >= 3
        first = members[0].evidence(members[0].setting, "quick")
        assert all(c.evidence(c.setting, "quick") == first for c in members)
