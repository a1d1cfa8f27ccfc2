"""Distances of tilted networks, searched on the sphere, against Lemma 17's bounds."""

import math

import numpy as np
import pytest
from scipy import optimize

from jaxbias.theory import closeness
from jaxbias.theory.closeness import CLAIMS

_LEDGER = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}


def _tilt(delta):
    return 2 * math.asin(math.sqrt(delta / 2))


def _distance(p, delta, nu=0.0):
    """Sup over unit points of |(1+nu) cos^p(angle - tilt) - cos^p(angle)|."""
    tilt = _tilt(delta)
    angles = np.linspace(-math.pi, math.pi, 200_001)
    own = (1 + nu) * np.maximum(np.cos(angles - tilt), 0) ** p
    return float(np.abs(own - np.maximum(np.cos(angles), 0) ** p).max())


@pytest.mark.parametrize("p", [2.0, 2.5, 3.0, 4.0, 6.0, 9.0])
@pytest.mark.parametrize("delta", [1e-3, 1e-5, 1e-7])
def test_single_neuron_distance_to_first_order(p, delta):
    found = closeness.single_neuron_distance(p, delta)
    # Second order in the tilt: |(cos^p)''| <= p^2, halved, times 2 delta.
    assert found == pytest.approx(_distance(p, delta), abs=p * p * delta + 1e-9)


@pytest.mark.parametrize("p", [1.5, 2.0, 3.0, 4.0, 7.0])
def test_its_constant_is_the_maximum_over_the_angle(p):
    best = optimize.minimize_scalar(
        lambda th: -(math.cos(th) ** (p - 1)) * math.sin(th),
        bounds=(0, math.pi / 2),
        method="bounded",
        options={"xatol": 1e-10},
    )
    found = closeness.single_neuron_distance(p, 0.5)
    assert found == pytest.approx(-p * best.fun, rel=1e-9)


def _network_distance(p, delta, nu, zeta, clusters):
    """The same for K tilted neurons and a stray one, by ascent on the sphere.

    Every neuron leans towards its neighbour's centre, alternately signed.
    """
    signs = np.where(np.arange(clusters) % 2, -1.0, 1.0)
    lean = np.roll(np.eye(clusters + 1), 1, axis=1)[:clusters]
    tilt = _tilt(delta)
    hidden = math.cos(tilt) * np.eye(clusters + 1)[:clusters] + math.sin(tilt) * lean
    stray = np.ones(clusters + 1) / math.sqrt(clusters + 1)

    def gap(x):
        x = x / np.linalg.norm(x)
        f = (1 + nu) * signs @ np.maximum(hidden @ x, 0) ** p
        f += zeta * max(stray @ x, 0) ** p
        return -abs(f - signs @ np.maximum(x[:clusters], 0) ** p)

    rng = np.random.default_rng(0)
    starts = [*rng.standard_normal((6, clusters + 1)), *np.eye(clusters + 1)]
    return -min(optimize.minimize(gap, s, method="BFGS").fun for s in starts)


@pytest.mark.parametrize(
    ("p", "delta", "nu", "zeta", "clusters"),
    [
        (3.0, 1e-3, 0.0, 0.0, 1),
        (3.0, 1e-3, 1e-2, 0.0, 3),
        (3.0, 1e-4, 0.0, 2e-2, 4),
        (4.0, 1e-2, 5e-2, 1e-2, 2),
        (5.0, 1e-2, 0.0, 0.0, 5),
    ],
)
def test_corrected_and_sharper_bounds_hold_on_networks(p, delta, nu, zeta, clusters):
    found = _network_distance(p, delta, nu, zeta, clusters)
    assert found > 0
    assert found <= closeness.corrected_bound(p, delta, nu, zeta, clusters)
    assert found <= closeness.sharper_bound(p, delta, nu, zeta, clusters)


@pytest.mark.parametrize(
    ("bound", "args", "value"),
    [
        (closeness.printed_bound, (3, 1e-4, 0.0, 0.0, 1), 1.4e-3),
        (closeness.printed_bound, (3, 1e-4, 0.0, 0.0, 10), 1.4e-2),
        (closeness.printed_bound, (4, 0.0, 0.2, 0.3, 5), 1.3),
        (closeness.printed_bound, (4, 0.1, 1.0, 0.0, 2), 14.0),
        (closeness.corrected_bound, (3, 0.02, 0.0, 0.0, 1), 0.6),
        (closeness.corrected_bound, (3, 0.02, 0.5, 0.1, 4), 5.7),
        (closeness.corrected_bound, (5, 0.0, 0.2, 0.3, 5), 1.3),
        (closeness.sharper_bound, (3, 0.02, 0.0, 0.0, 1), 0.6 * 1.44),
        (closeness.sharper_bound, (3, 0.02, 0.5, 0.1, 4), 0.9 * 1.96 + 0.6),
        (closeness.sharper_bound, (5, 0.0, 0.2, 0.3, 5), 0.5),
    ],
)
def test_bounds_by_hand(bound, args, value):
    assert bound(*args) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("clusters", [2, 10, 100])
def test_the_sharper_bound_forgets_the_number_of_clusters_as_delta_shrinks(clusters):
    one, many = (closeness.sharper_bound(3, 1e-12, 0, 0, k) for k in (1, clusters))
    assert many / one == pytest.approx(1, abs=5e-5)
    one, many = (closeness.corrected_bound(3, 1e-12, 0, 0, k) for k in (1, clusters))
    assert many / one == pytest.approx(clusters)


def _cases(claim):
    s = claim.setting
    return [
        (p, delta, nu)
        for p in s["exponents"]
        for delta in s["misalignments"]
        for nu in s["excesses"]
    ]


@pytest.mark.parametrize(
    ("name", "verdict"),
    [
        ("lemma-17-as-printed", "false"),
        ("lemma-17-corrected", "true"),
        ("lemma-17-sharper", "true"),
        ("tilted-neuron-distance", "true"),
    ],
)
def test_claims_on_the_distance_itself(name, verdict):
    claim = _LEDGER[name]
    found = np.array([_distance(*case) for case in _cases(claim)])
    arrays = {"lower": found - 1e-8, "upper": found + 1e-8, "witness": "here"}
    prediction, remainder = claim.predict(claim.setting), claim.remainder(claim.setting)
    finding = claim.judge(arrays, prediction, remainder, 0.01)
    assert finding.conclusion == verdict
    if "lemma" in name:
        assert finding.witness == "here"
    for decoy in claim.decoys:
        wrong = decoy.alter(claim.setting, prediction)
        refused = claim.judge(arrays, wrong, remainder, 0.01)
        assert refused.conclusion == "false", decoy.name


@pytest.mark.parametrize(
    ("exponents", "margin", "status"),
    [((3.0, 4.0), 1.0, "met"), ((2.5,), 0.5, "met"), ((1.5, 3.0), -0.5, "unmet")],
)
def test_the_lemma_needs_an_exponent_above_two(exponents, margin, status):
    claim = _LEDGER["lemma-17-as-printed"]
    first, _ = claim.hypotheses({**claim.setting, "exponents": exponents})
    assert (first.status, first.margin) == (status, pytest.approx(margin))


def test_the_second_key_is_the_same_question_by_weights():
    claim = _LEDGER["lemma-17-as-printed"]
    second = claim.second(claim.setting, "quick")
    assert second.name == "closeness/tilted_weights"
    assert second.parameters == claim.setting
    assert claim.setting["clusters"] == 1
