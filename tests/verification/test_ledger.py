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
        "convergence",
        "descent",
        "averaging",
        "trained_readouts",
    )


def untrained_families() -> list[list[str]]:
    """Names of claims that share their evidence, one list a test: each runs once."""
    found: dict[str, list[str]] = {}
    for name, claim in registry.ledger().items():
        if without_training(claim):
            found.setdefault(claim.family or name, []).append(name)
    return list(found.values())


@pytest.mark.parametrize("names", untrained_families(), ids=lambda names: names[0])
def test_claims_are_as_expected_refuse_their_decoys_and_make_plain_rows(names):
    found = {v.claim.id: v for v in verification.verify(names, teeth=True)}
    assert list(found) == names
    assert {n: v.verdict for n, v in found.items()} == {
        n: v.expected for n, v in found.items()
    }
    for verdict in found.values():
        if verdict.verdict == "vacuous":
            assert verdict.teeth is None
        else:
            assert len(verdict.decoys) >= 2
            assert verdict.teeth, verdict.decoys
        row = verdict.row()
        assert set(KEYS) <= set(row)
        assert set(row) - set(KEYS) == {"as_expected", "teeth"}
        assert json.loads(json.dumps(row, allow_nan=False)) == row


def test_every_kind_of_verdict_is_expected_somewhere():
    expected = {claim.expected for claim in registry.ledger().values()}
    assert expected == {
        "holds",
        "not refuted",
        "violated",
        "not applicable",
        "vacuous",
    }


def test_violations_carry_a_witness_that_can_be_checked_by_hand():
    [verdict] = verification.verify("min-vidal-2025/lemma-17-as-printed")
    witness = verdict.finding.witness
    p, (w0, w1), v = witness["exponent"], witness["hidden"], witness["output"]
    x0, x1 = witness["point"]
    norm = (w0**2 + w1**2) ** 0.5
    score = v * max(w0 * x0 + w1 * x1, 0) ** p / norm ** (p - 1)
    cosine, nu = w0 / norm, norm * v - 1
    printed = (1 + nu) * (2**p - 1) * 2 * (1 - cosine) + abs(nu)
    assert abs(score - max(x0, 0) ** p) > 3 * printed


def test_repaired_twins_are_expected_to_hold():
    # That they do is tested with all the others.
    ledger = registry.ledger()
    twins = [t for claim in ledger.values() for t in claim.repaired_by]
    assert len(twins) >= 5
    assert {ledger[twin].expected for twin in twins} <= {"holds", "not refuted"}


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
    studies = {"neuron_alignment", "feature_averaging", "foundations"}
    assert {c.study for c in unasked} == studies
    assert [c for c in left_out if c.on_request] == left_out
    on_images = [c for c in left_out if c.study == "feature_averaging"]
    assert registry.select("mnist") + on_images == left_out
    assert on_images
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
