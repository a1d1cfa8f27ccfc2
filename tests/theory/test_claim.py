"""A claim refuses to exist without what makes it judgeable."""

import dataclasses

import pytest

from jaxbias._checks import InputError
from jaxbias.theory import _claim as c
from jaxbias.verification import ledger

CLAIMS = list(ledger().values())


def test_conventions_are_the_eight():
    full = c.conventions(clock="sum")
    assert tuple(full) == c.CONVENTIONS
    assert full["clock"] == "sum"
    assert full["norm"] is None
    with pytest.raises(InputError, match="clock"):
        c.conventions(clocks="sum")


def test_hypotheses_are_weighed_by_the_worst():
    met, unmet = c.requires("a", 0.1), c.requires("b", -0.1)
    blind = c.Hypothesis("c", "unverifiable")
    assert c.weigh(()) == "met"
    assert c.weigh((met,)) == "met"
    assert c.weigh((met, blind)) == "unverifiable"
    assert c.weigh((met, blind, unmet)) == "unmet"


def test_a_claim_without_decoys_is_refused():
    with pytest.raises(InputError, match="two decoys"):
        dataclasses.replace(CLAIMS[0], decoys=CLAIMS[0].decoys[:1])


@pytest.mark.parametrize(
    "change",
    [
        {"provenance": "recalled"},
        {"repaired_by": ()},
        {"second": None},
    ],
)
def test_expected_violated_needs_source_twin_and_second_key(change):
    violated = next(claim for claim in CLAIMS if claim.expected == "violated")
    with pytest.raises(InputError, match="second key"):
        dataclasses.replace(violated, **change)


@pytest.mark.parametrize("field", ["provenance", "kind", "expected", "grade"])
def test_unknown_words_are_refused(field):
    with pytest.raises(InputError):
        dataclasses.replace(CLAIMS[0], **{field: "whatever"})


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_is_complete(claim):
    assert set(claim.conventions) == set(c.CONVENTIONS)
    assert claim.statement.endswith((".", ")"))
    assert claim.quantifier
    assert all(twin in ledger() for twin in claim.repaired_by)
    assert len({decoy.name for decoy in claim.decoys}) == len(claim.decoys)
    if not claim.predict(claim.setting).get("vacuous"):
        assert claim.remainder(claim.setting).derivation


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_every_claim_cites_the_bibliography(claim):
    from jaxbias.citations import cite

    assert claim.source.key in cite(claim.source.key)
