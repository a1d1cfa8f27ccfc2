"""Every claim of explicit networks, judged on evidence made for it."""

import math

import numpy as np
import pytest
import synthetic
from synthetic import CLAIMS, evidence, judge, verdict

from jaxbias.citations import references
from jaxbias.theory import _claim
from jaxbias.theory._claim import Computation

# id: kind, provenance, expected verdict, whether chance enters.
_LEDGER = """
min-vidal-2024/radius-at-centre-averaged: certified interval, derived, holds, -
min-vidal-2024/radius-at-centre-per-centre: certified interval, derived, holds, -
jaxbias/radius-at-centre-low-exponent: certified interval, derived, holds, -
jaxbias/radius-at-centre-exponent-one: certified interval, derived, holds, -
jaxbias/radius-at-centre-averaged-prelu: certified interval, derived, holds, -
jaxbias/radius-at-centre-linf-averaged: certified interval, derived, holds, -
jaxbias/radius-at-centre-linf-per-centre: certified interval, derived, holds, -
jaxbias/radius-at-centre-lq-averaged: search, derived, not refuted, -
jaxbias/radius-at-centre-lq-per-centre: search, derived, not refuted, -
jaxbias/radius-unequal-averages: certified interval, derived, holds, -
jaxbias/radius-unequal-centres: certified interval, derived, holds, -
jaxbias/radius-law-mean: closed form, derived, holds, chance
jaxbias/radius-law-deviation: closed form, derived, holds, chance
jaxbias/nearest-centre-accuracy: closed form, derived, holds, chance
min-vidal-2025/proposition-1: probability, seen, not refuted, chance
min-vidal-2025/proposition-2: probability, seen, holds, chance
min-vidal-2025/proposition-3: probability, seen, vacuous, chance
jaxbias/per-centre-tail-bound: probability, derived, holds, chance
jaxbias/certificate-ideal: inequality, derived, not refuted, chance
min-vidal-2024/one-direction-as-printed: inequality, seen, violated, -
min-vidal-2024/one-direction-per-label: probability, derived, not refuted, chance
jaxbias/blind-descent-plateau: closed form, derived, holds, chance
jaxbias/blind-descent-gap: closed form, derived, holds, chance
min-vidal-2025/lemma-17-as-printed: inequality, seen, violated, -
min-vidal-2025/lemma-17-corrected: inequality, derived, holds, -
min-vidal-2025/lemma-17-sharper: inequality, derived, holds, -
jaxbias/tilted-neuron-distance: closed form, derived, holds, -
jaxbias/ratio-law: identity, derived, holds, -
jaxbias/closed-path: identity, derived, holds, -
jaxbias/averaging-tanh-bound: inequality, derived, not refuted, -
jaxbias/centre-cone: inequality, derived, not refuted, chance
jaxbias/phase-transition-averages: search, derived, not refuted, chance
jaxbias/phase-transition-centres: search, derived, not refuted, chance
jaxbias/phase-transition-neutral: search, derived, not refuted, chance
min-mallada-vidal-2024/lemma-1: inequality, seen, not refuted, chance
jaxbias/alignment-time: identity, derived, holds, -
jaxbias/half-fit-time: closed form, derived, holds, -
min-vidal-2025/proposition-4: inequality, seen, not applicable, -
min-vidal-2025/lemma-13-noise-free: identity, seen, holds, -
jaxbias/growth-exponential: identity, derived, holds, -
jaxbias/growth-logistic: identity, derived, holds, -
jaxbias/growth-averaged: identity, derived, holds, -
"""
_ROWS = [tuple(row.split(": ")) for row in _LEDGER.strip().splitlines()]
_SETTLED = ("_identity", "_relative")
_JUDGED = [c for c in CLAIMS.values() if c.expected != "vacuous"]
# Failing inequalities and searches without a numerical error have no blur to show.
_BLURRED = [
    c
    for c in _JUDGED
    if c.kind in ("certified interval", "identity")
    or c.id.endswith(("tilted-neuron-distance", "half-fit-time"))
]


def _each(claims):
    return pytest.mark.parametrize("claim", claims, ids=lambda c: c.id)


def test_the_table_names_every_claim():
    assert {name for name, _ in _ROWS} == set(CLAIMS)


@pytest.mark.parametrize(("name", "row"), _ROWS)
def test_a_claim_says_what_kind_it_is_and_what_to_expect(name, row):
    claim = CLAIMS[name]
    kind, provenance, expected, chance = row.split(", ")
    found = claim.kind, claim.provenance, claim.expected, claim.stochastic
    assert found == (kind, provenance, expected, chance == "chance")


@_each(CLAIMS.values())
def test_conventions_and_sources_are_complete(claim):
    assert list(claim.conventions) == list(_claim.CONVENTIONS)
    assert all(v is None or v for v in claim.conventions.values())
    assert any(claim.conventions.values())
    assert claim.source.key in references()
    assert claim.source.place
    # What was derived here is not attributed to the text of another paper.
    if claim.provenance == "seen":
        assert claim.source.key != "jaxbias"
        assert claim.source.version


@_each(CLAIMS.values())
def test_radii_state_their_norm_and_tie(claim):
    if "radius" in claim.id or "accuracy" in claim.id:
        assert claim.conventions["norm"] in ("l_2", "l_q")
        assert claim.conventions["tie"] == "y f <= 0 is an error"
    if claim.id.endswith("time") or "growth" in claim.id:
        assert claim.conventions["clock"] == "per_cluster_mean"


@_each(_JUDGED)
def test_the_remainder_is_declared_and_positive_unless_exact(claim):
    delta, derivation = claim.remainder(claim.setting)
    assert len(derivation) > 10
    exact = claim.kind in ("identity", "probability")
    bound = claim.kind == "inequality"
    if exact:
        assert np.all(np.asarray(delta) == 0)
    elif bound:
        assert np.all(np.asarray(delta) >= 0)
        assert np.all(np.asarray(delta) <= 1e-9)
    else:
        assert np.all(np.asarray(delta) > 0)


@_each(_JUDGED)
def test_exact_evidence_gives_the_expected_verdict(claim):
    finding = judge(claim, evidence(claim))
    assert verdict(claim, finding) == claim.expected
    assert finding.interval.shape == finding.acceptance.shape


@_each(_JUDGED)
def test_every_decoy_is_refused(claim):
    arrays, prediction = evidence(claim), claim.predict(claim.setting)
    assert len(claim.decoys) >= 2
    for decoy in claim.decoys:
        wrong = decoy.alter(claim.setting, prediction)
        assert judge(claim, arrays, wrong).conclusion != "true", decoy.name


# The evidence of a violation fails without being moved.
@_each([c for c in _JUDGED if c.expected != "violated"])
def test_moved_evidence_does_not_pass(claim):
    finding = judge(claim, evidence(claim, move=2.0))
    assert finding.conclusion != "true"
    if claim.kind in ("identity", "certified interval", "inequality"):
        assert finding.conclusion == "false"
        assert finding.deviation > 0


@_each([c for c in _JUDGED if c.expected == "holds" and c.kind != "probability"])
def test_a_move_the_other_way_is_seen_where_equality_is_claimed(claim):
    other = judge(claim, evidence(claim, move=-2.0))
    one_sided = claim.kind == "inequality" or claim.id.endswith("gap")
    assert (other.conclusion == "true") == one_sided


@_each(_BLURRED)
def test_an_error_wider_than_the_remainder_decides_nothing(claim):
    finding = judge(claim, evidence(claim, blur=1.0))
    assert finding.conclusion == "unresolved"


@_each([c for c in _JUDGED if c.id != "min-vidal-2025/proposition-1"])
def test_unfinished_runs_are_no_support(claim):
    arrays = synthetic.unfinished(evidence(claim))
    if "count" in arrays:
        arrays["count"] = 0 * np.asarray(arrays["count"])
    with np.errstate(invalid="ignore"):
        if claim.id.startswith("jaxbias/radius-law"):
            with pytest.raises(ValueError, match="finite"):
                judge(claim, arrays)
            return
        assert judge(claim, arrays).conclusion != "true"


@_each([c for c in _JUDGED if synthetic.builder(c).__name__ in _SETTLED])
def test_runs_that_do_not_settle_are_unresolved(claim):
    arrays = evidence(claim)
    arrays["settled"].flat[0] = False
    finding = judge(claim, arrays)
    assert finding.conclusion == "unresolved"
    assert math.isinf(finding.numerical_error)


@_each(CLAIMS.values())
def test_more_evidence_is_asked_of_larger_sizes(claim):
    requests = [claim.evidence(claim.setting, s) for s in ("quick", "paper", "full")]
    assert all(isinstance(r, Computation) for r in requests)
    assert len({r.name for r in requests}) == 1
    for name in ("samples", "draws", "neurons", "starts"):
        sizes = [r.parameters.get(name, 0) for r in requests]
        if name not in claim.setting:
            assert sizes == sorted(sizes)
    # The evidence is asked about the setting, not about some other problem.
    for key in ("clusters", "exponents", "noise", "splits", "start"):
        if key in claim.setting:
            assert requests[0].parameters[key] == claim.setting[key]


@_each([c for c in CLAIMS.values() if c.expected == "violated"])
def test_a_violation_has_a_grade_a_twin_and_another_computation(claim):
    assert claim.grade in _claim.GRADES
    assert all(CLAIMS[twin].expected != "violated" for twin in claim.repaired_by)
    first = claim.evidence(claim.setting, "quick")
    second = claim.second(claim.setting, "quick")
    assert first.name != second.name


@pytest.mark.parametrize("name", sorted({c.family for c in CLAIMS.values()} - {None}))
def test_a_family_shares_its_evidence(name):
    members = [c for c in CLAIMS.values() if c.family == name]
    assert len(members) >= 2
    first = members[0].evidence(members[0].setting, "quick")
    assert all(m.evidence(m.setting, "quick") == first for m in members)
