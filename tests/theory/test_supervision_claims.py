"""Judging ratios of median radii, on radii made by hand."""

import numpy as np
import pytest
from synthetic import judged

from jaxbias.theory._claim import Computation
from jaxbias.theory.supervision import CLAIMS, PROTOCOL

CLAIM = {claim.id.removeprefix("jaxbias/digits-"): claim for claim in CLAIMS}
RADII = {"class": 0.4, "max": 0.6, "sum": 0.5}
SEEDS = np.array([0.97, 1.0, 1.03])


def arrays(**changes):
    """Medians of three seeds; certified ones are two thirds of the witnessed ones."""
    radii = RADII | changes
    return {
        f"{task} {readout} {end}": share * radius * SEEDS
        for task in ("parity", "halves")
        for readout, radius in radii.items()
        for end, share in (("upper", 1.0), ("certified", 2 / 3))
    }


def test_each_task_is_asked_at_both_ends_and_against_both_others():
    tasks = ("parity", "halves")
    names = ("max-upper", "max-certified", "max-over-sum")
    assert set(CLAIM) == {f"{task}-{name}" for task in tasks for name in names}
    for claim in CLAIMS:
        assert (claim.expected, claim.kind) == ("not refuted", "search")
        assert claim.study == "feature_averaging"
        assert claim.on_request


@pytest.mark.parametrize("name", CLAIM)
def test_a_larger_radius_is_not_refuted_and_a_smaller_one_is(name):
    good = judged(CLAIM[name], arrays())
    assert (good.conclusion, good.sampled) == ("true", True)
    other = "sum" if name.endswith("sum") else "class"
    bad = judged(CLAIM[name], arrays(**{other: 0.7}))
    assert bad.conclusion == "false"


@pytest.mark.parametrize("name", CLAIM)
def test_decoys_are_refused(name):
    assert len(CLAIM[name].decoys) == 2
    for decoy in CLAIM[name].decoys:
        assert judged(CLAIM[name], arrays(), decoy).conclusion == "false"


def test_the_ratio_of_orthogonal_clusters_would_pass_if_it_were_measured():
    [_, decoy] = CLAIM["parity-max-upper"].decoys
    found = judged(CLAIM["parity-max-upper"], arrays(max=0.9), decoy)
    assert found.conclusion == "true"
    assert decoy.alter({}, {})["value"] == pytest.approx(np.sqrt(5))


def test_the_worst_seed_decides():
    found = arrays()
    found["parity max upper"] = found["parity max upper"] * [1, 0.6, 1]
    assert judged(CLAIM["parity-max-upper"], found).conclusion == "false"
    assert judged(CLAIM["parity-max-certified"], found).conclusion == "true"
    assert judged(CLAIM["halves-max-upper"], found).conclusion == "true"
    np.testing.assert_allclose(
        judged(CLAIM["parity-max-upper"], found).measured, [1.5, 0.9, 1.5]
    )


def test_both_ends_are_held_against_the_sum():
    found = arrays()
    found["halves sum certified"] = found["halves sum certified"] * 1.5
    assert len(judged(CLAIM["halves-max-over-sum"], found).measured) == 6
    assert judged(CLAIM["halves-max-over-sum"], found).conclusion == "false"
    assert judged(CLAIM["parity-max-over-sum"], found).conclusion == "true"


def test_a_missing_radius_is_no_support():
    found = arrays()
    found["parity max upper"] = np.full(3, np.nan)
    assert judged(CLAIM["parity-max-upper"], found).conclusion != "true"


def test_larger_sizes_have_more_seeds_of_one_protocol():
    requests = [
        CLAIMS[0].evidence(CLAIMS[0].setting, s) for s in ("quick", "paper", "full")
    ]
    asked = [r.parameters for r in requests if isinstance(r, Computation)]
    seeds = [parameters["seeds"] for parameters in asked]
    assert len(seeds) == 3
    assert seeds[0] >= 3
    assert seeds == sorted(set(seeds))
    for parameters in asked:
        assert {**parameters, "seeds": 0} == {**PROTOCOL, "seeds": 0}
