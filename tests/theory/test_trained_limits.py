"""Judging ranks, mixtures, levels and scaling laws, on arrays made by hand."""

import numpy as np
import pytest
from synthetic import judged

from jaxbias.theory.trained_limits import CLAIMS
from jaxbias.verification import run
from jaxbias.verification.evidence import Evidence

CLAIM = {claim.id.rpartition("jaxbias/")[2]: claim for claim in CLAIMS}
SEEDS = 16


def judge(name, arrays, decoy=None):
    return judged(CLAIM[name], arrays, decoy)


def levels(table):
    """Three tolerances whose differences settle."""
    few = {name: value[:4] for name, value in table.items()}
    return {**table, "coarse": few, "middle": few}


def ranks(weights, features):
    finished = np.ones(SEEDS, bool)
    return levels(
        {
            "weight_stable_rank": np.full(SEEDS, weights),
            "feature_stable_rank": np.full(SEEDS, features),
            "finished": finished,
        }
    )


@pytest.mark.parametrize(
    ("name", "rank"),
    # K1 = 3, K2 = 2: 1 + sqrt(2/3), and 5.
    [
        ("trained-averages/stable-rank", 1.81650),
        ("trained-centres/stable-rank", 5.0),
    ],
)
def test_stable_ranks(name, rank):
    assert judge(name, ranks(rank, 0.99 * rank)).conclusion == "true"
    assert judge(name, ranks(rank, 0.97 * rank)).conclusion == "false"
    assert judge(name, ranks(1.03 * rank, rank)).conclusion == "false"
    for decoy in CLAIM[name].decoys:
        assert judge(name, ranks(rank, rank), decoy).conclusion == "false"


def mixture(best, stray=0.1):
    """Dominant neurons at this cosine to their best centre, one weak one elsewhere."""
    cosines = np.full((SEEDS, 5, 4), 0.05)
    cosines[:, 0, :3], cosines[:, 1, 3] = best, stray
    size = np.tile([1.0, 0.8, 0.5, 1e-5], (SEEDS, 1))
    return levels(
        {
            "centre_cosines": cosines,
            "contributions": size,
            "finished": np.ones(SEEDS, bool),
        }
    )


def test_at_two_mixtures_are_told_from_centres():
    name = "trained-quadratic/mixtures"
    assert judge(name, mixture(0.7)).conclusion == "true"
    assert judge(name, mixture(0.97)).conclusion == "false"
    one = mixture(0.7)
    for table in (one, one["coarse"], one["middle"]):
        table["centre_cosines"][3, 0, :3] = 0.99
    assert judge(name, one).conclusion == "false", "every run, not the average one"


def test_at_two_neurons_stay_in_their_cone():
    name = "trained-quadratic/inside-the-class"
    # 1/sqrt(3) = .577 is the least cosine to the best of three centres.
    assert judge(name, mixture(0.58)).conclusion == "true"
    assert judge(name, mixture(0.55)).conclusion == "false"


def quantised(shares, stray=0.99):
    """Cosines to the class average, sqrt(m/4) and sqrt(m/3), and a weak neuron."""
    cosines = np.full((SEEDS, 2, 4), -0.1)
    cosines[:, 0, :2], cosines[:, 1, 2] = np.sqrt(shares[:2]), np.sqrt(shares[2])
    cosines[:, 0, 3] = stray
    size = np.tile([1.0, 1.0, 1.0, 1e-6], (SEEDS, 1))
    return levels(
        {
            "class_cosines": cosines,
            "contributions": size,
            "finished": np.ones(SEEDS, bool),
        }
    )


def test_levels_of_a_class_are_its_own():
    name = "quantised-cosines"
    assert judge(name, quantised([1 / 4, 3 / 4, 2 / 3])).conclusion == "true"
    assert judge(name, quantised([1 / 4, 1 / 3, 2 / 3])).conclusion == "false"
    assert judge(name, quantised([1 / 4, 3 / 4, 3 / 4])).conclusion == "false"
    for decoy in CLAIM[name].decoys:
        found = judge(name, quantised([1 / 4, 3 / 4, 2 / 3]), decoy)
        assert found.conclusion == "false", decoy


def bounded(distance, delta=1e-4, sums=1.01, stray=0.0):
    cosines = np.zeros((SEEDS, 5, 6))
    for neuron in range(5):
        cosines[:, neuron, neuron] = 1 - delta
    size = np.ones((SEEDS, 6)) * sums
    size[:, 5] = stray
    return levels(
        {
            "centre_cosines": cosines,
            "contributions": size,
            "cluster_amplitudes": np.full((SEEDS, 5), sums),
            "distance": np.full(SEEDS, distance),
            "finished": np.ones(SEEDS, bool),
        }
    )


def test_lemma_17_bounds_by_what_the_run_itself_measured():
    name = "trained-centres/lemma-17"
    # K (1 + nu) p sqrt(2 delta) + K nu + zeta at K = 5, p = 3, nu = 0.01.
    bound = 5 * 1.01 * 3 * np.sqrt(2e-4) + 5 * 0.01
    assert judge(name, bounded(0.99 * bound)).conclusion == "true"
    assert judge(name, bounded(0.99 * bound)).sampled, "a supremum found by search"
    assert judge(name, bounded(1.05 * bound)).conclusion == "false"
    # What is weak counts once as missing from the sums, once for what it adds.
    wider = bounded(1.05 * bound, stray=1e-3 * 0.9)
    assert judge(name, wider).conclusion == "false"
    wider = bounded(bound + 1.8e-4, stray=1e-4)
    assert judge(name, wider).conclusion == "true"


def scaling(slope, spread=0.02, seeds=32):
    noise = np.array([0.025, 0.05, 0.1, 0.2])
    shake = np.exp(spread * np.random.default_rng(0).normal(size=(seeds, 4)))
    return {"noise": noise, "distance": 0.3 * noise**slope * shake, "slope_error": 0.0}


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("distance-scaling-averages", (0.95, 1.05, 1.15), (0.8, 1.3, 1.6)),
        ("distance-scaling-centres", (1.05, 1.6, 1.95), (0.9, 2.1)),
    ],
)
def test_slopes_in_the_declared_range_are_not_refuted(name, inside, outside):
    for slope in inside:
        assert judge(name, scaling(slope)).conclusion == "true"
        assert judge(name, scaling(slope)).sampled
    for slope in outside:
        assert judge(name, scaling(slope)).conclusion == "unresolved"
    wide = scaling(inside[0]) | {"slope_error": 0.2}
    assert judge(name, wide).conclusion == "unresolved"
    lost = scaling(inside[0])
    lost["distance"][3, 2] = np.nan
    assert judge(name, lost).conclusion == "unresolved"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_settings_are_all_that_the_evidence_needs(claim):
    request = claim.evidence(claim.setting, "quick")
    assert claim.evidence(claim.setting, "paper") != request
    assert len(claim.decoys) >= 2
    assert claim.study == "foundations"
    if claim.id.startswith("min-vidal"):
        # min(K1, K2)/K at sqrt(2)/2.
        assert claim.predict(claim.setting)["bound"] == pytest.approx(2 / 5)
        assert claim.predict(claim.setting)["radius"] == pytest.approx(np.sqrt(0.5))


def test_a_verdict_comes_of_these_arrays(monkeypatch):
    told = Evidence(scaling(1.0), CLAIM["distance-scaling-averages"].conventions, 32)
    monkeypatch.setattr(run, "execute", lambda request, root: told)
    [found] = run.verify("jaxbias/distance-scaling-averages", teeth=True)
    assert (found.verdict, found.teeth) == ("not refuted", True)
