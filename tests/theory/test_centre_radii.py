"""Predictions at centres, case by case, against radii found without the formulas."""

import math

import numpy as np
import pytest
from scipy import optimize

from jaxbias.theory.centre_radii import CLAIMS

_LEDGER = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}


def _plane(a, slope, order, spread):
    """Least l_q norm of s on ``spread[0]`` centres, slope (a - s) on ``spread[1]``."""

    def norm(s):
        t = max(slope * (a - s), 0.0)
        sizes = [s] * spread[0] + [t] * spread[1]
        return float(np.linalg.norm(sizes, ord=order))

    grid = np.linspace(0, a, 301)
    values = [norm(s) for s in grid]
    i = int(np.argmin(values))
    ends = grid[max(i - 1, 0)], grid[min(i + 1, 300)]
    found = optimize.minimize_scalar(
        norm, bounds=ends, method="bounded", options={"xatol": 1e-12}
    )
    return min(found.fun, values[i])


def _averaged(own, opposite, order):
    """F at a centre: own coordinates down by s, others up by t, 1 - own s = opp t."""
    return _plane(1 / own, own / opposite, order, (own, opposite))


def _per_centre(opposite, exponent, order):
    """F^(p): the own coordinate down by s, m rivals up by t, the best m."""
    return min(
        _plane(1.0, m ** (-1 / exponent), order, (1, m)) for m in range(1, opposite + 1)
    )


def _cases(claim):
    """(own, opposite, exponent, order) in the order that the evidence has."""
    s = claim.setting
    return [
        (own, other, exponent, order)
        for clusters, positive in s["splits"]
        for exponent in s["exponents"]
        for order in s["orders"]
        for own, other in [
            (positive, clusters - positive),
            (clusters - positive, positive),
        ]
    ]


_AVERAGES = ("averaged", "averaged-prelu", "linf-averaged", "lq-averaged")
_CENTRES = (
    "per-centre",
    "low-exponent",
    "exponent-one",
    "linf-per-centre",
    "lq-per-centre",
)


@pytest.mark.parametrize("name", _AVERAGES)
def test_averages(name):
    claim = _LEDGER[f"radius-at-centre-{name}"]
    found = [_averaged(own, other, q) for own, other, _, q in _cases(claim)]
    value = claim.predict(claim.setting)["value"]
    np.testing.assert_allclose(value, found, atol=1e-6)


@pytest.mark.parametrize("name", _CENTRES)
def test_per_centre(name):
    claim = _LEDGER[f"radius-at-centre-{name}"]
    found = [_per_centre(other, p, q) for _, other, p, q in _cases(claim)]
    value = claim.predict(claim.setting)["value"]
    np.testing.assert_allclose(value, found, atol=1e-6)


def test_unequal_averages():
    claim, found = _LEDGER["radius-unequal-averages"], []
    pairs = zip(claim.setting["splits"], claim.setting["amplitudes"], strict=True)
    for (clusters, positive), (a, b) in pairs:
        for own, mine, theirs in ((positive, a, b), (clusters - positive, b, a)):
            u = 1 / math.sqrt(own)
            found.append(_plane(u, mine / theirs, 2.0, (1, 1)))
    value = claim.predict(claim.setting)["value"]
    np.testing.assert_allclose(value, found, atol=1e-6)


def test_unequal_centres():
    claim, found = _LEDGER["radius-unequal-centres"], []
    for p in claim.setting["exponents"]:
        for positive, negative in claim.setting["amplitudes"]:
            for own, rivals in ((positive, negative), (negative, positive)):
                for a in own:
                    # One rival at a time: for p >= 2 nothing is won by more.
                    slopes = [(a / b) ** (1 / p) for b in rivals]
                    found.append(min(_plane(1.0, k, 2.0, (1, 1)) for k in slopes))
    value = claim.predict(claim.setting)["value"]
    np.testing.assert_allclose(value, found, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "decoy", "network"),
    [
        ("averaged", "K -> K + 1", lambda o, c, p, q: _averaged(o, c + 1, q)),
        ("low-exponent", "K2 -> K2 + 1", lambda o, c, p, q: _per_centre(c + 1, p, q)),
        (
            "low-exponent",
            "p -> p + 0.25",
            lambda o, c, p, q: _per_centre(c, p + 0.25, q),
        ),
        ("per-centre", "another network: F", lambda o, c, p, q: _averaged(o, c, q)),
    ],
)
def test_decoys_are_other_networks_and_not_noise(name, decoy, network):
    claim = _LEDGER[f"radius-at-centre-{name}"]
    [wrong] = [d for d in claim.decoys if d.name == decoy]
    found = [network(*case) for case in _cases(claim)]
    value = wrong.alter(claim.setting, claim.predict(claim.setting))["value"]
    np.testing.assert_allclose(value, found, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "classifier", "norm"),
    [
        ("radius-at-centre-averaged", "averaged", "l_2"),
        ("radius-at-centre-averaged-prelu", "averaged_prelu", "l_2"),
        ("radius-at-centre-exponent-one", "piecewise_linear", "l_2"),
        ("radius-at-centre-linf-per-centre", "per_centre", "l_q"),
        ("radius-at-centre-lq-averaged", "averaged", "l_q"),
        ("radius-unequal-averages", "unequal_averages", "l_2"),
        ("radius-unequal-centres", "unequal_centres", "l_2"),
    ],
)
def test_the_evidence_is_about_the_network_of_the_statement(name, classifier, norm):
    claim = _LEDGER[name]
    request = claim.evidence(claim.setting, "quick")
    assert request.parameters["classifier"] == classifier
    assert claim.conventions["norm"] == norm
    assert claim.conventions["readout"] == "sign"
    assert claim.hypotheses(claim.setting) == ()


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_an_open_lower_end_counts_only_where_the_upper_is_a_search(claim):
    """A witness above, nothing below: enough for a search, not for an interval."""
    prediction, remainder = claim.predict(claim.setting), claim.remainder(claim.setting)
    arrays = {"lower": 0 * prediction["value"], "upper": prediction["value"]}
    finding = claim.judge(arrays, prediction, remainder, 0.01)
    searched = claim.kind == "search"
    assert finding.conclusion == ("true" if searched else "unresolved")
    assert finding.sampled == searched


def test_exponents_and_sides_stay_on_their_side_of_the_kink():
    low = _LEDGER["radius-at-centre-low-exponent"]
    high = _LEDGER["radius-at-centre-per-centre"]
    assert max(low.setting["exponents"]) < 2 <= min(high.setting["exponents"])
    assert np.all(low.predict(low.setting)["value"] <= math.sqrt(0.5))
    assert np.all(high.predict(high.setting)["value"] == math.sqrt(0.5))
