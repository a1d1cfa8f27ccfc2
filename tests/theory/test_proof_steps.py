"""Lemmas of the proof: their constants by hand, and what refuses them."""

import math

import numpy as np
import pytest
from scipy import stats
from synthetic import judged

from jaxbias.theory import proof_steps
from jaxbias.theory.proof_steps import CLAIMS

CLAIM = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}


@pytest.mark.parametrize(
    ("gap", "cosine", "share"),
    [
        (0.0, 0.0, 1.0),
        (0.02, 0.143584, 0.8),
        (0.08, 0.301226, 0.6),
        (0.18, 0.493564, 0.4),
    ],
)
def test_lemma_5_by_hand(gap, cosine, share):
    assert proof_steps.least_cosine(gap) == pytest.approx(cosine, abs=1e-6)
    assert proof_steps.largest_share(gap) == pytest.approx(share)


def test_beyond_the_largest_gap_the_first_bound_of_lemma_5_can_fail():
    # Cosines 0.8 and -0.34: the nearest boundary point has neither centre.
    gap = 1 - math.sqrt(1 - 0.8**2)
    assert gap == pytest.approx(0.4)
    assert (0.8 + 0.34) ** 2 / 2 > 0.8**2
    assert gap > proof_steps._LARGEST_GAP
    assert proof_steps.least_cosine(gap) > 0.8
    # At the limit itself it still holds: D1 = 1/sqrt(2), 1 - gap = 1/sqrt(2).
    limit = proof_steps.least_cosine(proof_steps._LARGEST_GAP)
    assert limit == pytest.approx(math.sqrt(0.5))
    claim = CLAIM["lemma-5"]
    assert claim.hypotheses({**claim.setting, "largest": 0.4})[0].status == "unmet"


def starts(best, rival):
    """A start with one rival: gap by the nearest tie, or no centre at all."""
    best, rival = np.asarray(best, float), np.asarray(rival, float)
    empty = best**2 + np.maximum(rival, 0) ** 2
    gap = 1 - np.sqrt(1 - np.minimum((best - rival) ** 2 / 2, empty))
    return {"gap": gap, "cosine": best, "share": np.maximum(rival, 0) / best}


def test_lemma_5_holds_on_the_extreme_starts_and_its_decoys_do_not():
    claim = CLAIM["lemma-5"]
    arrays = starts([0.7, 0.999, 0.6, 0.3], [-0.29, 0.95, 0.0, 0.2])
    assert np.all(arrays["gap"] <= claim.setting["largest"])
    found = judged(claim, arrays)
    assert (found.conclusion, found.sampled) == ("true", True)
    for decoy in claim.decoys:
        assert judged(claim, arrays, decoy).conclusion == "false", decoy.name


@pytest.mark.parametrize("key", ["cosine", "share"])
def test_one_start_beyond_lemma_5_is_seen(key):
    arrays = starts([0.7, 0.5], [0.1, 0.2])
    arrays[key][1] = 0.05 if key == "cosine" else 0.9
    assert judged(CLAIM["lemma-5"], arrays).conclusion == "false"


def test_lemma_8_is_asked_until_its_own_time():
    claim = CLAIM["lemma-8"]
    asked = claim.evidence(claim.setting, "quick").parameters
    h, k = claim.setting["width"], claim.setting["clusters"]
    for scale, end in zip(asked["scales"], asked["ends"], strict=True):
        assert scale <= 1 / (4 * math.sqrt(h))
        expected = math.log(1 / (4 * math.sqrt(h) * scale)) / (32 * k)
        assert end == pytest.approx(expected, abs=1e-12)
    assert asked["ends"][0] == 0.0
    assert claim.hypotheses({**claim.setting, "shares": (1.01,)})[1].status == "unmet"


def test_lemma_8_judges_the_worst_start():
    claim = CLAIM["lemma-8"]
    # All neurons on one centre give h eps^2 = (sqrt(h) eps) eps sqrt(h).
    worst = np.tile([[0.25], [0.075], [0.0075]], (1, 5))
    arrays = {"measured": worst}
    assert judged(claim, arrays).conclusion == "true"
    for decoy in claim.decoys:
        assert judged(claim, arrays, decoy).conclusion == "false", decoy.name
    arrays["measured"][1, 3] = 2.1
    assert judged(claim, arrays).conclusion == "false"


def exact_time(start, left, drag):
    """z' = (1 - q - z) z is a logistic curve."""
    top = 1 - drag
    end = top - left
    odds = lambda z: math.log(z / (top - z))
    return (odds(end) - odds(start)) / top


@pytest.mark.parametrize("start", [0.25, 1e-3, 1e-8])
@pytest.mark.parametrize("left", [0.2, 1e-2, 1e-5])
@pytest.mark.parametrize("drag", [1e-3, 0.2, 0.249])
def test_lemma_15_is_above_the_logistic_curve_by_less_than_a_factor_of_four(
    start, left, drag
):
    found = proof_steps.travel_bound(start, left)
    exact = exact_time(start, left, drag)
    assert exact <= found
    assert found < 2 * exact + 8


def times(claim, error=1e-9):
    cases = claim.evidence(claim.setting, "quick").parameters["cases"]
    measured = np.array([exact_time(*case) for case in cases])
    return {
        "measured": measured,
        "error": np.full(measured.shape, error),
        "settled": np.ones(measured.shape, bool),
    }


def test_lemma_15_and_its_decoys_on_the_logistic_curve():
    claim = CLAIM["lemma-15"]
    assert judged(claim, times(claim)).conclusion == "true"
    for decoy in claim.decoys:
        assert judged(claim, times(claim), decoy).conclusion == "false", decoy.name
    arrays = times(claim)
    arrays["settled"][4] = False
    assert judged(claim, arrays).conclusion == "unresolved"


@pytest.mark.parametrize(
    ("changes", "place"), [({"drags": (0.3,)}, 0), ({"starts": (0.3,)}, 1)]
)
def test_lemma_15_asks_for_a_small_drag_and_a_small_start(changes, place):
    claim = CLAIM["lemma-15"]
    assert claim.hypotheses({**claim.setting, **changes})[place].status == "unmet"


def test_limits_of_the_good_event_by_hand():
    found = proof_steps.good_event_limits(4, 20, 0.1)
    logs = [math.log(12800), math.log(25600), math.log(640)]
    expected = [
        math.sqrt(8 * logs[0]),
        math.sqrt(2 * logs[1]),
        math.sqrt(8 * logs[2]),
        8 * logs[2],
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    alone = proof_steps.good_event_limits(4, 20, 0.1, union=False)
    assert np.all(alone[:2] < found[:2])
    assert np.all(alone[2:] < found[2:]) or np.all(alone[2:] == found[2:])


def maxima(sets=3000, seed=0):
    """The four maxima for standard normal noise in 30 dimensions."""
    claim = CLAIM["good-event"]
    s, rng = claim.setting, np.random.default_rng(seed)
    shape = s["clusters"], s["samples"], s["dim"]
    rows = []
    for _ in range(sets):
        e = rng.standard_normal(shape) / math.sqrt(s["dim"])
        inner = np.abs(e[:, :, : s["clusters"]]).max() * math.sqrt(s["dim"])
        total = np.linalg.norm(e.sum(1), axis=1).max() / math.sqrt(s["samples"])
        squares = (e**2).sum(2)
        rows.append((math.sqrt(squares.max()), inner, total, squares.mean(1).max()))
    return np.array(rows)


def test_the_good_event_is_likely_and_its_decoys_are_not():
    claim = CLAIM["good-event"]
    arrays = {"maxima": maxima()}
    found = judged(claim, arrays)
    assert found.conclusion == "true"
    # The inner products are what fails first: 320 of them, beyond sqrt(2 log 25600).
    tail = 2 * stats.norm.sf(math.sqrt(2 * math.log(25600)))
    assert found.measured[0] == pytest.approx((1 - tail) ** 320, abs=0.01)
    for decoy in claim.decoys:
        assert judged(claim, arrays, decoy).conclusion == "false", decoy.name


def test_each_of_the_four_events_counts():
    claim = CLAIM["good-event"]
    for column in range(4):
        table = np.zeros((2000, 4))
        table[::5, column] = 1e3
        assert judged(claim, {"maxima": table}).conclusion == "false"


def test_alignment_is_locked_to_growth_at_twice_the_exponent():
    claim = CLAIM["alignment-locked-to-growth"]
    found = claim.predict(claim.setting)["value"]
    assert found.shape == (10, 3)
    np.testing.assert_array_equal(found[:, 0], np.repeat([-2, -3, -4, -6, -8], 2))
    arrays = {
        "measured": found + 1e-8,
        "error": np.full(found.shape, 1e-7),
        "settled": np.ones(found.shape, bool),
    }
    assert judged(claim, arrays).conclusion == "true"
    for decoy in claim.decoys:
        assert judged(claim, arrays, decoy).conclusion == "false", decoy.name
    arrays["settled"][0, 0] = False
    assert judged(claim, arrays).conclusion == "unresolved"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_sources_are_as_they_should_be(claim):
    assert (claim.provenance == "seen") == (claim.source.key == "min-vidal-2025")
    quick, paper = (claim.evidence(claim.setting, s) for s in ("quick", "paper"))
    assert quick.name == paper.name
    assert (quick != paper) == claim.stochastic
    assert len(claim.remainder(claim.setting).derivation) > 10
