"""Finding claims, and what the ledger says of each that needs no training."""

import json
import subprocess
import sys

import pytest

from jaxbias import verification
from jaxbias._checks import InputError
from jaxbias.theory._claim import Training
from jaxbias.verification import registry

KEYS = (
    "claim source kind quantifier provenance hypotheses conclusion verdict expected "
    "measured predicted interval acceptance numerical_error alpha seeds failed "
    "resolution detectable implied_constant conventions witness seed_root seconds"
).split()


def without_training(claim) -> bool:
    request = claim.evidence(claim.setting, "quick")
    return not isinstance(request, Training) and request.name.partition("/")[0] not in (
        "scaling",
        "images",
    )


UNTRAINED = [
    name for name, claim in registry.ledger().items() if without_training(claim)
]


@pytest.fixture(scope="module")
def verdicts():
    return {v.claim.id: v for v in verification.verify(UNTRAINED, teeth=True)}


@pytest.mark.parametrize("name", UNTRAINED)
def test_the_verdict_is_the_expected_one(verdicts, name):
    assert verdicts[name].verdict == verdicts[name].expected


@pytest.mark.parametrize("name", UNTRAINED)
def test_every_decoy_is_refused(verdicts, name):
    found = verdicts[name]
    if found.verdict == "vacuous":
        assert found.teeth is None
    else:
        assert len(found.decoys) >= 2
        assert found.teeth, found.decoys


@pytest.mark.parametrize("name", UNTRAINED)
def test_rows_are_plain_json_with_the_agreed_keys(verdicts, name):
    row = verdicts[name].row()
    assert set(KEYS) <= set(row)
    assert set(row) - set(KEYS) == {"as_expected", "teeth"}
    assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_every_kind_of_verdict_is_exercised(verdicts):
    found = {v.verdict for v in verdicts.values()}
    expected = {"holds", "not refuted", "violated", "not applicable", "vacuous"}
    assert found == expected


def test_violations_carry_a_witness_that_can_be_checked_by_hand(verdicts):
    witness = verdicts["min-vidal-2025/lemma-17-as-printed"].finding.witness
    p, (w0, w1), v = witness["exponent"], witness["hidden"], witness["output"]
    x0, x1 = witness["point"]
    norm = (w0**2 + w1**2) ** 0.5
    score = v * max(w0 * x0 + w1 * x1, 0) ** p / norm ** (p - 1)
    cosine, nu = w0 / norm, norm * v - 1
    printed = (1 + nu) * (2**p - 1) * 2 * (1 - cosine) + abs(nu)
    assert abs(score - max(x0, 0) ** p) > 3 * printed


def test_repaired_twins_hold_on_the_same_data(verdicts):
    for found in verdicts.values():
        for twin in found.claim.repaired_by:
            assert verdicts[twin].verdict in ("holds", "not refuted")


def test_selection_by_id_prefix_study_and_nothing():
    one = "min-vidal-2025/proposition-2"
    assert [c.id for c in registry.select(one)] == [one]
    some = registry.select(["min-vidal-2025", one])
    assert len(some) > 4
    assert all(c.id.startswith("min-vidal-2025") for c in some)
    assert len(registry.select("neuron_alignment")) >= 30


def test_without_a_target_all_claims_but_those_on_request_are_meant():
    unasked = registry.select()
    left_out = [c for c in registry.ledger().values() if c not in unasked]
    assert {c.study for c in unasked} == {"neuron_alignment", "foundations"}
    assert [c for c in left_out if c.on_request] == left_out
    assert registry.select("mnist") == left_out
    assert registry.select(left_out[0].id) == [left_out[0]]


@pytest.mark.parametrize(
    ("typo", "meant"),
    [
        ("min-vidal-2025/proposition2", "min-vidal-2025/proposition-2"),
        ("neuron_aligment", "neuron_alignment"),
        ("ratio-laws", "jaxbias/ratio-law"),
    ],
)
def test_typos_are_answered_with_the_name_that_was_meant(typo, meant):
    with pytest.raises(InputError) as caught:
        verification.verify(typo)
    assert meant in str(caught.value)


def test_an_empty_target_is_not_a_prefix_of_everything():
    with pytest.raises(InputError):
        registry.select("")


def test_the_catalogue_is_plain_and_needs_no_jax():
    rows = verification.catalogue()
    assert [row["id"] for row in rows] == list(registry.ledger())
    assert all(
        set(row) == {"id", "statement", "source", "kind", "expected", "study"}
        for row in rows
    )
    code = (
        "import sys; from jaxbias.verification import catalogue; catalogue();"
        "sys.exit('jax' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
