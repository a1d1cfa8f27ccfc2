"""The machinery around a claim: planted slips, conventions, second keys, seeds."""

import dataclasses

import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.theory._claim import Computation, Decoy, requires
from jaxbias.theory._verdict import judge_at_most
from jaxbias.verification import evidence, registry, run

NAME = "min-vidal-2024/radius-at-centre-averaged"


@pytest.fixture
def plant(monkeypatch):
    """Replace the ledger by one altered claim and verify it."""

    def planted(name=NAME, **changes):
        claim = dataclasses.replace(registry.ledger()[name], **changes)
        monkeypatch.setattr(registry, "ledger", lambda: {claim.id: claim})
        [verdict] = run.verify(claim.id, teeth=True)
        return verdict

    return planted


def test_a_planted_violation_is_caught_with_its_second_key(plant):
    claim = registry.ledger()[NAME]
    wrong = lambda s: {"value": 1.05 * claim.predict(s)["value"]}
    verdict = plant(predict=wrong, second=claim.evidence)
    assert verdict.verdict == "violated"
    assert not verdict.as_expected
    assert verdict.row()["conclusion"] == "false"


def test_without_a_second_key_it_is_inconclusive(plant):
    claim = registry.ledger()[NAME]
    wrong = lambda s: {"value": 1.05 * claim.predict(s)["value"]}
    assert plant(predict=wrong).verdict == "inconclusive"


def test_a_decoy_that_passes_is_told(plant):
    right = Decoy("the prediction itself", lambda _, p: p)
    verdict = plant(decoys=(right, right))
    assert verdict.verdict == "holds"
    assert verdict.teeth is False
    assert not verdict.as_expected


def test_unmet_hypotheses_make_it_not_applicable_with_its_evidence(plant):
    verdict = plant(hypotheses=lambda s: (requires("never", -1.0),))
    assert verdict.verdict == "not applicable"
    row = verdict.row()
    assert row["conclusion"] == "true outside its hypotheses"
    assert row["hypotheses"]["each"] == [
        {"name": "never", "status": "unmet", "margin": -1.0}
    ]
    assert row["measured"] is not None


def test_vacuous_is_decided_before_measuring(plant):
    def never(setting, size):
        raise AssertionError("measured although vacuous")

    verdict = plant(predict=lambda _: {"vacuous": True}, evidence=never)
    assert verdict.verdict == "vacuous"
    assert verdict.row()["measured"] is None


def test_other_conventions_are_not_judged(plant):
    stated = {**registry.ledger()[NAME].conventions, "tie": "y f < 0 is an error"}
    with pytest.raises(InputError, match="tie"):
        plant(conventions=stated)


def test_a_missing_computation_names_its_kin(plant):
    with pytest.raises(InputError, match="radii/centres"):
        plant(evidence=lambda s, size: Computation("radii/centers", s))


def test_unfinished_runs_are_never_a_success():
    finding = judge_at_most([0.1, np.nan], [0.2, np.nan], 1.0)
    assert finding.conclusion == "unresolved"


def test_roots_are_a_hash_of_claim_and_release():
    claims = registry.ledger()
    roots = {run.seed_root(claim) for claim in claims.values()}
    families = {claim.family or claim.id for claim in claims.values()}
    assert len(roots) == len(families)
    other = dataclasses.replace(claims[NAME], id="x/y")
    assert run.seed_root(other) != run.seed_root(claims[NAME])
    later = dataclasses.replace(claims[NAME], edition=2)
    assert run.seed_root(later) != run.seed_root(claims[NAME])


def test_shared_evidence_is_computed_once(monkeypatch):
    calls = []
    real = evidence.execute
    monkeypatch.setattr(
        run, "execute", lambda request, root: calls.append(1) or real(request, root)
    )
    run.verify("jaxbias/radius-law")
    assert len(calls) == 1


def test_progress_is_told_before_each_claim():
    told = []
    run.verify("jaxbias/radius-at-centre-linf", progress=lambda *a: told.append(a))
    assert [t[:2] for t in told] == [(0, 2), (1, 2)]
    assert told[0][2].startswith("jaxbias/")


@pytest.mark.parametrize("bad", [{"size": "huge"}, {"seeds": 0}])
def test_bad_arguments_are_refused(bad):
    with pytest.raises(InputError):
        run.verify(NAME, **bad)


def test_the_worst_case_is_the_one_nearest_to_failing():
    [verdict] = run.verify("min-vidal-2025/lemma-17-as-printed")
    finding = verdict.finding
    slack = finding.acceptance[:, 1] - finding.interval[:, 1]
    assert verdict.worst == int(np.argmin(slack))
