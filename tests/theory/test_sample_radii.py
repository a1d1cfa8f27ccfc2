"""Claims over fresh samples, judged on samples drawn and attacked right here."""

import math

import numpy as np
import pytest
from scipy import special, stats
from synthetic import ALPHA

from jaxbias.theory import _verdict
from jaxbias.theory.sample_radii import CLAIMS

_LEDGER = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}
_COUNT = 40_000


def _blocks(setting, count=_COUNT, seed=11):
    """Projections (own class, other class) of samples of either class.

    The first own centre is the sample's own.
    """
    rng = np.random.default_rng(seed)
    clusters, positive = setting["clusters"], setting["positive"]
    first = round(count * positive / clusters)
    x = setting["noise"] / math.sqrt(setting["dim"])
    x = x * rng.standard_normal((count, clusters))
    x[:, 0] += 1
    other = clusters - positive
    pairs = (x[:first], positive), (x[first:], other)
    return [(rows[:, :own], rows[:, own:]) for rows, own in pairs]


def _over(blocks, function):
    values = np.concatenate([function(own, other) for own, other in blocks])
    return values[None]


def _judge(claim, arrays, prediction=None):
    prediction = prediction or claim.predict(claim.setting)
    return claim.judge(arrays, prediction, claim.remainder(claim.setting), ALPHA)


def _refuses(claim, arrays):
    prediction = claim.predict(claim.setting)
    return all(
        _judge(claim, arrays, d.alter(claim.setting, prediction)).conclusion == "false"
        for d in claim.decoys
    )


def _half_space(own, other):
    """F near a centre is linear: the distance to <x, mu_+ - mu_-> = 0."""
    return (own.sum(axis=1) - other.sum(axis=1)) / math.sqrt(
        own.shape[1] + other.shape[1]
    )


@pytest.mark.parametrize("name", ["radius-law-mean", "radius-law-deviation"])
def test_the_law_of_the_radius_of_averages(name):
    claim = _LEDGER[name]
    radius = _over(_blocks(claim.setting), _half_space)
    arrays = {"lower": radius, "upper": radius}
    assert _judge(claim, arrays).conclusion == "true"
    assert _refuses(claim, arrays)


@pytest.mark.parametrize(
    ("changes", "mean", "deviation"),
    [
        ({}, 0.31623, 0.00949),
        ({"clusters": 4, "dim": 250000, "noise": 1.0}, 0.5, 2e-3),
        ({"clusters": 25, "dim": 100, "noise": 0.2}, 0.2, 0.02),
    ],
)
def test_the_law_at_quoted_numbers(changes, mean, deviation):
    claim = _LEDGER["radius-law-mean"]
    found = claim.predict({**claim.setting, **changes})
    assert found["mean"] == pytest.approx(mean, abs=5e-6)
    assert found["deviation"] == pytest.approx(deviation, abs=5e-6)


def test_the_mean_needs_fewer_deviations_than_the_spread():
    remainders = [
        _LEDGER[f"radius-law-{what}"].remainder(_LEDGER["radius-law-mean"].setting)
        for what in ("mean", "deviation")
    ]
    standard = 0.3 / math.sqrt(1000) / math.sqrt(40000)
    assert remainders[0].delta == pytest.approx(20 * standard)
    assert remainders[1].delta == pytest.approx(20 * standard / math.sqrt(2))


def _nearest(own, other):
    return (own.max(axis=1) - other.max(axis=1)) / math.sqrt(2)


def test_the_nearest_cluster_rule_on_a_sample():
    claim = _LEDGER["nearest-centre-accuracy"]
    radius = _over(_blocks(claim.setting), _nearest)
    assert _judge(claim, {"lower": radius, "upper": radius}).conclusion == "true"
    # An interval of radii as long as their spread decides nothing.
    blurred = {"lower": radius - 0.02, "upper": radius + 0.02}
    assert _judge(claim, blurred).conclusion == "unresolved"


def _roots(p):
    def score(own, other):
        ends = (np.linalg.norm(np.maximum(x, 0), ord=p, axis=1) for x in (own, other))
        return next(ends) - next(ends)

    return score


def _midpoint(own, other):
    """Any rule: halfway to the strongest rival both centres respond alike."""
    return np.maximum(own[:, 0] - other.max(axis=1), 0) / math.sqrt(2)


def test_proposition_1_on_attacks_towards_a_rival():
    claim = _LEDGER["proposition-1"]
    upper = _over(_blocks(claim.setting, 8000), _midpoint)
    upper = np.repeat(upper, len(claim.setting["cases"]), axis=0)
    arrays = {"lower": 0 * upper, "upper": upper}
    finding = _judge(claim, arrays)
    assert (finding.conclusion, finding.sampled) == ("true", True)
    assert finding.predicted.tolist() == [0.4] * 5
    assert finding.measured[0] == pytest.approx(0.823, abs=0.02)
    assert _refuses(claim, {"lower": upper, "upper": upper})


@pytest.mark.parametrize(
    ("positive", "clusters", "bound"), [(6, 10, 0.4), (1, 5, 0.2), (7, 8, 0.125)]
)
def test_proposition_1_speaks_of_the_smaller_class(positive, clusters, bound):
    claim = _LEDGER["proposition-1"]
    found = claim.predict({"positive": positive, "clusters": clusters})
    assert found == {"bound": bound, "radius": math.sqrt(2) / 2}


def test_proposition_2_on_the_bayes_score():
    """(1/heat) logsumexp(heat x) is 1-Lipschitz: its gap over sqrt(2) certifies."""
    claim = _LEDGER["proposition-2"]
    heat = claim.setting["dim"] / claim.setting["noise"] ** 2

    def certified(own, other):
        ends = (special.logsumexp(heat * x, axis=1) / heat for x in (own, other))
        return (next(ends) - next(ends)) / math.sqrt(2)

    radius = _over(_blocks(claim.setting, 20_000), certified)
    arrays = {"lower": radius, "upper": radius}
    assert _judge(claim, arrays).conclusion == "true"
    assert _refuses(claim, arrays)


@pytest.mark.parametrize(
    ("margins", "statuses"),
    [
        ((0.16, 0.2), ("met", "met")),
        ((1e-4, 0.2), ("unmet", "met")),
        ((0.16, 1.5), ("met", "unmet")),
    ],
)
def test_proposition_2_has_a_range_of_margins(margins, statuses):
    claim = _LEDGER["proposition-2"]
    found = claim.hypotheses({**claim.setting, "margins": margins})
    assert tuple(h.status for h in found) == statuses
    least = 2 * math.sqrt(2) * 0.09 * math.log(10) / 1000
    assert found[0].margin == pytest.approx(margins[0] - least)
    assert found[1].margin == pytest.approx(math.sqrt(2) - margins[1])


@pytest.mark.parametrize(
    ("noise", "closeness", "dim", "vacuous"),
    [
        (0.6, 5e-3, 1000, True),  # 4 exp(-3/(8 alpha^2)) > 1 already
        (0.3, 5e-3, 1000, True),  # the dimension is too small
        (0.2, 5e-3, 1000, False),
        (0.1, 5e-3, 100_000, False),
    ],
)
def test_proposition_3_is_vacuous_at_the_paper_sizes(noise, closeness, dim, vacuous):
    claim = _LEDGER["proposition-3"]
    changes = {"noise": noise, "closeness": closeness, "dim": dim}
    found = claim.predict({**claim.setting, **changes})
    first = 20 * math.exp(-dim * closeness ** (2 / 3) / (200 * noise**2))
    expected = 1 - first - 4 * math.exp(-3 / (8 * noise**2))
    assert found["vacuous"] is vacuous
    assert found["bound"] == pytest.approx(expected)
    assert found["radius"] == pytest.approx(
        (math.sqrt(2) - 8 * closeness ** (1 / 3)) / 2
    )
    assert all(h.status == "met" for h in claim.hypotheses(claim.setting))


def test_vacuous_is_decided_whatever_the_evidence():
    claim = _LEDGER["proposition-3"]
    assert claim.predict(claim.setting)["vacuous"]
    assert _verdict.decide("met", "true", vacuous=True) == claim.expected
    assert _verdict.decide("met", "false", vacuous=True) == claim.expected


@pytest.mark.parametrize(
    ("changes", "failing"),
    [({"exponent": 1.5}, 0), ({"closeness": 0.02}, 1)],
)
def test_proposition_3_fails_its_hypotheses_with_a_negative_margin(changes, failing):
    claim = _LEDGER["proposition-3"]
    found = claim.hypotheses({**claim.setting, **changes})
    assert found[failing].status == "unmet"
    assert found[failing].margin < 0


def test_the_tail_bound_on_certified_samples():
    claim = _LEDGER["per-centre-tail-bound"]
    [(own, other), _] = _blocks(claim.setting)
    cases = [_roots(p)(own, other) / math.sqrt(2) for p in (2.0, 3.0)]
    arrays = {"lower": np.array(cases), "upper": np.array(cases)}
    finding = _judge(claim, arrays)
    assert finding.conclusion == "true"
    assert finding.measured.shape == (6,)
    assert _refuses(claim, arrays)


@pytest.mark.parametrize("p", [2.0, 3.0, 6.0])
def test_the_certificate_claim_compares_attack_and_certificate(p):
    claim = _LEDGER["certificate-ideal"]
    [(own, other), _] = _blocks({**claim.setting, "dim": 50}, 2000)
    lower = np.maximum(_roots(p)(own, other), 0) / math.sqrt(2)
    rival = np.argmax(other, axis=1)
    low, high = np.zeros(len(own)), np.full(len(own), 2.0)
    for _ in range(45):
        middle = (low + high) / 2
        a, b = own.copy(), other.copy()
        a[:, 0] -= middle / math.sqrt(2)
        b[np.arange(len(b)), rival] += middle / math.sqrt(2)
        right = _roots(p)(a, b) > 0
        low, high = np.where(right, middle, low), np.where(right, high, middle)
    arrays = {"lower": lower[None], "upper": high[None]}
    assert _judge(claim, arrays).conclusion == "true"
    # sqrt(2) too large a certificate is above the attack everywhere.
    prediction = {"value": math.sqrt(2)}
    assert _judge(claim, arrays, prediction).conclusion == "false"


def test_the_universal_attack_on_samples():
    claim = _LEDGER["one-direction-per-label"]
    counts = []
    for noise in claim.setting["noises"]:
        blocks = _blocks({**claim.setting, "noise": noise})
        for rho in claim.setting["excesses"]:
            step = (1 + rho) / claim.setting["clusters"]
            score = [
                np.maximum((own - step).sum(axis=1), 0)
                - np.maximum((other + step).sum(axis=1), 0)
                for own, other in blocks
            ]
            counts.append(int(np.sum(np.concatenate(score) <= 0)))
    arrays = {"count": np.array(counts), "trials": np.full(8, _COUNT)}
    finding = _judge(claim, arrays)
    assert (finding.conclusion, finding.sampled) == ("true", True)
    assert _refuses(claim, arrays)
    assert counts[:4] == [_COUNT] * 4


def test_one_direction_for_both_labels_loses_only_one_class():
    """At rho = 0.1 the worst d0 flips one class and saves the other: 0.4 is left."""
    claim = _LEDGER["one-direction-as-printed"]
    clusters, own = claim.setting["clusters"], claim.setting["positive"]
    radius = (1 + claim.setting["excess"]) / math.sqrt(clusters)
    angle = np.linspace(0, 2 * math.pi, 20_001)
    s = radius * math.sqrt(own) * np.cos(angle)
    t = radius * math.sqrt(clusters - own) * np.sin(angle)
    first = np.maximum(1 + s, 0) > np.maximum(t, 0)
    second = np.maximum(1 + t, 0) > np.maximum(s, 0)
    least = np.min(0.6 * first + 0.4 * second)
    assert least == pytest.approx(0.4)
    arrays = {"lower": [least], "upper": [least], "witness": {"angle": 0.0}}
    finding = _judge(claim, arrays)
    assert (finding.conclusion, finding.deviation) == ("false", pytest.approx(0.4))
    assert finding.witness == {"angle": 0.0}
    assert _refuses(claim, arrays)


@pytest.mark.parametrize(
    ("clusters", "positive", "value"),
    [(10, 6, 0.04375), (2, 1, 0.5), (5, 4, 0.8 / 2 + 0.2 / 16)],
)
def test_the_plateau_counts_samples_without_an_active_rival(clusters, positive, value):
    claim = _LEDGER["blind-descent-plateau"]
    setting = {**claim.setting, "clusters": clusters, "positive": positive}
    found = claim.predict(setting)["value"]
    assert found == pytest.approx(value, rel=1e-12)
    dead = _over(_blocks(setting), lambda own, other: np.all(other < 0, axis=1))
    assert found == pytest.approx(dead.mean(), abs=5 * 0.5 / math.sqrt(_COUNT))


@pytest.mark.parametrize("name", ["blind-descent-plateau", "blind-descent-gap"])
@pytest.mark.parametrize(
    ("shift", "passes"), [(0.0, True), (0.004, True), (0.03, False)]
)
def test_counts_of_the_blind_descent(name, shift, passes):
    claim = _LEDGER[name]
    share = claim.predict(claim.setting)["value"] - shift
    arrays = {"count": [round(_COUNT * share)], "trials": [_COUNT]}
    assert (_judge(claim, arrays).conclusion == "true") is passes
    # The same share of too few samples settles nothing.
    few = {"count": [round(40 * share)], "trials": [40]}
    assert _judge(claim, few).conclusion == "unresolved"


@pytest.mark.parametrize("name", ["proposition-2", "per-centre-tail-bound"])
def test_samples_that_are_neither_robust_nor_broken_count_both_ways(name):
    claim = _LEDGER[name]
    shape = (len(claim.setting["cases"]), 1000)
    arrays = {"lower": np.zeros(shape), "upper": np.ones(shape)}
    assert _judge(claim, arrays).conclusion == "unresolved"
    arrays = {"lower": np.zeros(shape), "upper": np.zeros(shape)}
    assert _judge(claim, arrays).conclusion == "false"


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
@pytest.mark.parametrize(("size", "factor"), [("paper", 5), ("full", 20)])
def test_samples_grow_with_the_size(claim, size, factor):
    quick, more = (claim.evidence(claim.setting, s).parameters for s in ("quick", size))
    if "samples" in quick:
        assert more["samples"] == factor * quick["samples"] >= factor * 4000


@pytest.mark.parametrize("count", [30, 250, 999])
def test_the_interval_of_a_count_is_two_sided(count):
    claim = _LEDGER["blind-descent-plateau"]
    finding = _judge(claim, {"count": [count], "trials": [1000]})
    ends = stats.binomtest(count, 1000).proportion_ci(1 - ALPHA, method="exact")
    np.testing.assert_allclose(finding.interval[0], ends, rtol=1e-9)
