"""Which claims a word means: ids, prefixes, studies, claims of one's own."""

import dataclasses
import hashlib

import pytest

import jaxbias
from jaxbias._checks import InputError
from jaxbias.theory import centre_radii
from jaxbias.theory.statistics import LEDGER_ALPHA, LEDGER_CLAIMS
from jaxbias.verification import registry
from jaxbias.verification.run import seed_root

LEDGER = registry.ledger()
IDS = list(LEDGER)


@pytest.mark.parametrize("name", IDS)
def test_a_full_id_finds_its_claim(name):
    found = [claim.id for claim in registry.select(name)]
    assert found == [name]


@pytest.mark.parametrize(
    "prefix",
    [
        "jaxbias/",
        "min-vidal-2024/",
        "min-vidal-2025/lemma-17",
        "jaxbias/radius-at-centre-linf",
        "jaxbias/phase-transition",
        "min-mallada",
    ],
)
def test_a_prefix_finds_all_that_begin_with_it_in_order(prefix):
    found = [claim.id for claim in registry.select(prefix)]
    assert found == [name for name in IDS if name.startswith(prefix)]
    assert found


def test_targets_are_answered_in_the_order_of_the_ledger_and_once():
    pair = [IDS[5], IDS[2]]
    assert [claim.id for claim in registry.select(pair)] == [IDS[2], IDS[5]]
    assert len(registry.select([IDS[2], IDS[2]])) == len(registry.select(IDS[2]))
    assert registry.select([]) == []


def test_one_unknown_word_among_good_ones_is_refused():
    with pytest.raises(InputError, match="no-such-thing"):
        registry.select([IDS[0], "no-such-thing"])


def test_a_claim_of_ones_own_comes_last():
    mine = dataclasses.replace(LEDGER[IDS[0]], id="mine/first")
    found = registry.select([mine, IDS[3]])
    assert [claim.id for claim in found] == [IDS[3], "mine/first"]
    assert found[1] is mine
    assert registry.select(mine) == [mine]


def test_a_changed_claim_replaces_the_one_of_its_name():
    mine = dataclasses.replace(LEDGER[IDS[0]], expected="inconclusive")
    assert registry.select([IDS[0], mine]) == [mine]


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("min-vidal-2024/radius-at-center-averaged", "radius-at-centre-averaged"),
        ("jaxbias/alignment-tmie", "jaxbias/alignment-time"),
        ("alignment-times", "jaxbias/alignment-time"),
        ("lemma-17-corected", "min-vidal-2025/lemma-17-corrected"),
        ("neuron-alignment", "neuron_alignment"),
    ],
)
def test_typos_offer_the_call_that_was_meant(typo, meant):
    with pytest.raises(InputError) as caught:
        registry.select(typo)
    assert meant in caught.value.fix
    assert caught.value.fix.startswith("verify(")
    assert repr(typo) in caught.value.got


def test_nothing_close_offers_the_studies():
    with pytest.raises(InputError) as caught:
        registry.select("###")
    studies = ("feature_averaging", "foundations", "mnist", "neuron_alignment")
    assert caught.value.fix == " or ".join(f"verify({s!r})" for s in studies)
    assert f"({len(IDS)} claims)" in str(caught.value)


def test_two_claims_of_one_name_are_refused(monkeypatch):
    monkeypatch.setattr(registry, "_MODULES", (centre_radii, centre_radii))
    registry.ledger.cache_clear()
    try:
        with pytest.raises(InputError, match="two claims named"):
            registry.ledger()
    finally:
        registry.ledger.cache_clear()


def test_stochastic_claims_stay_within_the_budget_of_the_release():
    stochastic = [claim for claim in LEDGER.values() if claim.stochastic]
    assert 1 < len(stochastic) <= LEDGER_CLAIMS == 512
    assert registry.level() == 0.01 / 512 == LEDGER_ALPHA / LEDGER_CLAIMS


def test_a_new_version_of_the_package_moves_no_root(monkeypatch):
    claim = LEDGER["min-vidal-2024/radius-at-centre-averaged"]
    before = seed_root(claim)
    monkeypatch.setattr(jaxbias, "__version__", "9.9.9")
    assert seed_root(claim) == before
    text = f"{claim.family or claim.id}@0.1.0"
    digest = hashlib.sha256(text.encode()).digest()
    assert before == int.from_bytes(digest[:4], "big")


def test_claims_of_one_family_ask_for_the_same_evidence():
    families = {}
    for claim in LEDGER.values():
        if claim.family is not None:
            request = repr(claim.evidence(claim.setting, "quick"))
            families.setdefault(claim.family, set()).add(request)
    assert len(families) >= 2
    # These share networks and runs, of which each claim asks another number.
    shared = {
        "jaxbias/descent": 3,
        "min-vidal-2024/mnist": 3,
        "lyu-li-2020/margins": 2,
        "min-zhu-vidal-2025/2": 2,
        "min-zhu-vidal-2025/3": 2,
    }
    counts = {name: len(requests) for name, requests in families.items()}
    assert counts == dict.fromkeys(families, 1) | shared


def test_the_catalogue_says_what_the_claims_say():
    for row in registry.catalogue():
        claim = LEDGER[row["id"]]
        assert row["statement"] == claim.statement
        assert row["source"] == str(claim.source)
        assert (row["kind"], row["expected"]) == (claim.kind, claim.expected)
        assert all(isinstance(value, str) for value in row.values())
