"""Printed lines and their repairs, on numbers taken by hand."""

import math

import numpy as np
import pytest
from synthetic import judged

from jaxbias.theory import _claim, late_phase, printed_steps
from jaxbias.theory.printed_steps import CLAIMS

CLAIM = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}
RATES = ["f-19-as-printed", "f-19-repaired", "f-19-shortfall"]


def left_side(setting):
    return np.array(
        [
            [p * c ** (p - 1) * (1 - 2 ** (2 - p)) for c in setting["cosines"]]
            for p in setting["exponents"]
        ]
    )


def exact(claim):
    value = left_side(claim.setting)
    return {"measured": value, "error": 1e-14 * value, "witness": "here"}


@pytest.mark.parametrize(
    ("exponent", "printed", "safe"),
    [(3.0, 6.0, 1.2), (4.0, 24.0, 2.146625), (5.0, 70.0, 2.8)],
)
def test_rates_by_hand(exponent, printed, safe):
    assert printed_steps.printed_rate(exponent) == pytest.approx(printed)
    assert printed_steps.safe_rate(exponent) == pytest.approx(safe, abs=1e-6)


@pytest.mark.parametrize("exponent", [2.001, 2.5, 3.0, 6.0])
@pytest.mark.parametrize("cosine", [0.9, 1.0])
def test_the_left_side_is_below_p_and_the_printed_one_is_not(exponent, cosine):
    left = exponent * cosine ** (exponent - 1) * (1 - 2 ** (2 - exponent))
    assert left < exponent
    ratio = left / printed_steps.printed_rate(exponent)
    assert ratio == pytest.approx((cosine / 2) ** (exponent - 1), rel=1e-9)
    assert left >= printed_steps.safe_rate(exponent)


@pytest.mark.parametrize(
    ("name", "conclusion"),
    [(RATES[0], "false"), (RATES[1], "true"), (RATES[2], "true")],
)
def test_the_three_claims_on_f_19(name, conclusion):
    claim = CLAIM[name]
    found = judged(claim, exact(claim))
    assert found.conclusion == conclusion
    assert found.witness == "here"
    for decoy in claim.decoys:
        assert judged(claim, exact(claim), decoy).conclusion == "false", decoy.name


@pytest.mark.parametrize("name", RATES)
def test_a_left_side_half_as_large_repairs_nothing(name):
    claim = CLAIM[name]
    arrays = exact(claim)
    arrays["measured"] = arrays["measured"] / 2
    assert judged(claim, arrays).conclusion == "false"


def test_hypotheses_of_f_19():
    claim = CLAIM["f-19-repaired"]
    assert all(h.status == "met" for h in claim.hypotheses(claim.setting))
    near = {**claim.setting, "cosines": (0.85,)}
    assert claim.hypotheses(near)[1].status == "unmet"


def logistic(times, start, pace):
    rise = np.exp(2 * pace * np.asarray(times))
    return start * rise / (1 - start + start * rise)


def grown(claim, pace):
    value = logistic(claim.setting["times"], claim.setting["start"], pace)
    return {
        "measured": value,
        "error": np.full(value.shape, 1e-9),
        "settled": np.ones(value.shape, bool),
    }


def test_equation_14_is_half_as_fast_as_growth():
    claim = CLAIM["equation-14-as-printed"]
    s = claim.setting
    found = claim.predict(s)["value"]
    np.testing.assert_allclose(found, logistic(s["times"], s["start"], 0.5), rtol=1e-9)
    assert judged(claim, grown(claim, 1.0)).conclusion == "false"
    assert judged(claim, grown(claim, 0.5)).conclusion == "true"
    for decoy in claim.decoys:
        assert judged(claim, grown(claim, 1.0), decoy).conclusion == "false"
    arrays = grown(claim, 0.5)
    arrays["settled"][0] = False
    assert judged(claim, arrays).conclusion == "unresolved"


def test_its_repair_is_the_lemma_of_the_appendix():
    [twin] = [c for c in late_phase.CLAIMS if c.id.endswith("lemma-13-noise-free")]
    assert CLAIM["equation-14-as-printed"].repaired_by == (twin.id,)
    setting = CLAIM["equation-14-as-printed"].setting
    both = twin.predict(setting)["value"]
    expected = logistic(setting["times"], setting["start"], 1.0)
    np.testing.assert_allclose(both, expected, rtol=1e-9)


def degrees(claim, power):
    rows = np.repeat([[p] for p in claim.setting["exponents"]], 2, axis=0) ** power
    value = np.tile(rows, (1, len(claim.setting["factors"])))
    return {"measured": value, "error": np.full(value.shape, 1e-10), "witness": 1}


@pytest.mark.parametrize(
    ("name", "power", "conclusion"),
    [
        ("degree-one-as-printed", 1.0, "false"),
        ("degree-one-as-printed", 0.0, "true"),
        ("degree-p", 1.0, "true"),
        ("degree-p", 0.0, "false"),
    ],
)
def test_claims_on_the_degree(name, power, conclusion):
    claim = CLAIM[name]
    found = judged(claim, degrees(claim, power))
    assert found.conclusion == conclusion
    for decoy in claim.decoys:
        assert judged(claim, degrees(claim, 1.0), decoy).conclusion == "false"


def test_the_largest_departure_from_degree_one_is_reported():
    claim = CLAIM["degree-one-as-printed"]
    found = judged(claim, degrees(claim, 1.0))
    assert found.deviation == pytest.approx(max(claim.setting["exponents"]) - 1)
    assert found.witness == 1


@pytest.mark.parametrize(
    "claim", [c for c in CLAIMS if c.expected == "violated"], ids=lambda c: c.id
)
def test_a_violation_is_of_a_line_seen_and_has_a_second_key(claim):
    assert claim.provenance == "seen"
    assert claim.source.version
    assert claim.grade in _claim.GRADES
    first = claim.evidence(claim.setting, "quick")
    assert claim.second(claim.setting, "quick").name != first.name
    assert math.isclose(float(np.max(claim.remainder(claim.setting).delta)), 0.0)
    twins = {c.id for c in (*CLAIMS, *late_phase.CLAIMS) if c.expected == "holds"}
    assert set(claim.repaired_by) <= twins
