"""Claims on averaged and decoupled networks, judged on evidence made by hand."""

import functools
import math

import numpy as np
import pytest
from scipy import stats

from jaxbias.citations import references
from jaxbias.theory import (
    _claim,
    averaged_radii,
    decoupled_radii,
    readout_accuracy,
    readout_radii,
    reported_curves,
)
from jaxbias.theory._claim import Computation
from jaxbias.theory._verdict import decide
from jaxbias.theory.statistics import corrected_alpha

MODULES = averaged_radii, decoupled_radii, readout_accuracy, reported_curves
CLAIMS = {c.id: c for module in MODULES for c in module.CLAIMS}
ALPHA = corrected_alpha(50)
SAMPLES = 40_000

# id: kind, provenance, expected verdict, whether chance enters.
_LEDGER = """
jaxbias/averaged-radius-every-split: certified interval, derived, holds, -
jaxbias/averaged-radius-amplitudes: certified interval, derived, holds, -
jaxbias/averaged-radius-slope: exponent, derived, holds, -
jaxbias/universal-direction: certified interval, derived, holds, -
jaxbias/own-feature-attack: certified interval, derived, holds, -
jaxbias/linf-averaged-random-centres: closed form, derived, holds, chance
jaxbias/radius-cap-at-opposite-centres: inequality, derived, not refuted, chance
jaxbias/decoupled-max-radius: certified interval, derived, holds, -
jaxbias/decoupled-sum-radius: certified interval, derived, holds, -
jaxbias/fine-over-coarse: certified interval, derived, holds, -
jaxbias/decoupled-directions: certified interval, derived, holds, -
jaxbias/threshold-radius: certified interval, derived, holds, -
jaxbias/threshold-radius-strict: certified interval, derived, holds, -
jaxbias/optimal-thresholds: certified interval, derived, holds, -
jaxbias/power-radius: certified interval, derived, holds, -
jaxbias/probability-sum-radius: search, derived, not refuted, -
li-2025-feature-averaging/proposition-4-8-radius: certified interval, reconstructed, \
holds, -
li-2025-feature-averaging/proposition-4-8-margins: identity, reconstructed, holds, -
jaxbias/linf-decoupled-random-centres: closed form, derived, holds, chance
jaxbias/linf-axis-aligned-centres: certified interval, derived, holds, -
jaxbias/averaged-robust-accuracy: closed form, derived, holds, chance
jaxbias/decoupled-robust-accuracy: closed form, derived, holds, chance
jaxbias/robust-accuracy-ceiling: probability, derived, not refuted, chance
jaxbias/summed-logits-masked: closed form, derived, holds, chance
jaxbias/masked-attack-above-ceiling: probability, derived, holds, chance
li-2025-feature-averaging/reported-curve-above-ceiling: probability, reported figure, \
holds, chance
li-2025-feature-averaging/reported-adversarial-training-above-ceiling: probability, \
reported figure, holds, chance
li-2025-feature-averaging/reported-curves-below-optimum: inequality, reported figure, \
holds, chance
jaxbias/reported-curves-shifted-axis: inequality, reported figure, not refuted, chance
"""
_ROWS = [tuple(row.split(": ")) for row in _LEDGER.strip().splitlines()]
_each = pytest.mark.parametrize("claim", CLAIMS.values(), ids=lambda c: c.id)


def _named(*tails):
    return [c for c in CLAIMS.values() if c.id.rpartition("/")[2] in tails]


_RADII = [
    c
    for c in (*averaged_radii.CLAIMS, *decoupled_radii.CLAIMS)
    if c.kind in ("certified interval", "search")
]


@functools.cache
def _predicted(name):
    return CLAIMS[name].predict(CLAIMS[name].setting)


def _judge(claim, arrays, prediction=None):
    prediction = prediction or _predicted(claim.id)
    return claim.judge(arrays, prediction, claim.remainder(claim.setting), ALPHA)


def _verdict(claim, arrays):
    finding = _judge(claim, arrays)
    return decide("met", finding.conclusion, sampled=finding.sampled)


def _refused(claim, arrays):
    prediction = _predicted(claim.id)
    return [
        _judge(claim, arrays, d.alter(claim.setting, prediction)).conclusion != "true"
        for d in claim.decoys
    ]


def test_the_table_names_every_claim():
    assert {name for name, _ in _ROWS} == set(CLAIMS)


@pytest.mark.parametrize(("name", "row"), _ROWS)
def test_a_claim_says_what_kind_it_is_and_what_to_expect(name, row):
    claim = CLAIMS[name]
    kind, provenance, expected, chance = row.split(", ")
    found = claim.kind, claim.provenance, claim.expected, claim.stochastic
    assert found == (kind, provenance, expected, chance == "chance")


@_each
def test_claims_state_norm_tie_and_centres(claim):
    assert claim.study == "feature_averaging"
    assert list(claim.conventions) == list(_claim.CONVENTIONS)
    assert claim.conventions["norm"] == ("l_inf" if "/linf-" in claim.id else "l_2")
    strict = claim.id.endswith("-strict")
    tie = "y f < 0 is an error" if strict else "y f <= 0 is an error"
    assert claim.conventions["tie"] == tie
    assert claim.conventions["centre_norm"] == "sqrt(d)"
    assert claim.hypotheses(claim.setting) == ()
    assert claim.source.key in references()


@_each
def test_only_what_was_seen_is_said_to_be_violated(claim):
    assert claim.provenance != "seen"
    assert claim.expected != "violated"
    if claim.provenance == "derived":
        assert claim.id.startswith("jaxbias/")
    if claim.provenance == "reconstructed":
        assert "reconstructed" in claim.source.place
    if claim.provenance == "reported figure":
        words = claim.statement.split(":")[0]
        assert words.startswith(("Inconsistent with the closed form", "Our inference"))
    assert (claim.grade == "our inference") == (claim.id.endswith("shifted-axis"))


@_each
def test_evidence_is_asked_for_with_the_numbers_of_the_setting(claim):
    quick, paper = (claim.evidence(claim.setting, s) for s in ("quick", "paper"))
    assert isinstance(quick, Computation)
    assert quick.name.partition("/")[0] in (
        "readouts",
        "readout_searches",
        "readout_samples",
        "reported",
    )
    assert claim.setting.items() <= quick.parameters.items()
    if quick.name.startswith("readout_samples"):
        assert paper.parameters["samples"] == 5 * quick.parameters["samples"]


@_each
def test_remainders_are_declared(claim):
    delta, derivation = claim.remainder(claim.setting)
    assert len(derivation) > 10
    exact = claim.kind in ("identity", "probability")
    assert np.all(np.asarray(delta) == 0) if exact else np.all(np.asarray(delta) > 0)


def _around(claim, move=0.0, blur=0.0):
    delta = claim.remainder(claim.setting).delta
    middle = _predicted(claim.id)["value"] + move * delta
    return {"lower": middle - blur * delta, "upper": middle + blur * delta}


@pytest.mark.parametrize("claim", _RADII, ids=lambda c: c.id)
def test_radii_on_their_prediction(claim):
    assert _verdict(claim, _around(claim)) == claim.expected
    assert all(_refused(claim, _around(claim)))
    for move in (2.0, -2.0):
        assert _judge(claim, _around(claim, move)).conclusion == "false"
    blurred = _judge(claim, _around(claim, blur=1.0)).conclusion
    # A search has an upper end only.
    assert blurred == ("true" if claim.kind == "search" else "unresolved")
    lost = {name: np.nan * v for name, v in _around(claim).items()}
    assert _judge(claim, lost).conclusion != "true"


@pytest.mark.parametrize(
    ("slope", "conclusion"),
    [
        ((-0.5 - 1e-8, -0.5 + 1e-8), "true"),
        ((-0.51, -0.51), "unresolved"),
        ((-0.6, -0.4), "unresolved"),
    ],
)
def test_the_slope(slope, conclusion):
    [claim] = _named("averaged-radius-slope")
    assert _judge(claim, {"slope": slope}).conclusion == conclusion
    if conclusion == "true":
        assert all(_refused(claim, {"slope": slope}))


@pytest.mark.parametrize(
    ("share", "conclusion"), [(0.99, "true"), (1 + 1e-8, "true"), (1.001, "false")]
)
def test_the_cap_on_pairs(share, conclusion):
    [claim] = _named("radius-cap-at-opposite-centres")
    value = share * math.sqrt(3072 / 2) * np.array([0.7, 1.0])
    finding = _judge(claim, {"lower": value, "upper": value})
    assert (finding.conclusion, finding.sampled) == (conclusion, True)
    assert all(_refused(claim, {"lower": value, "upper": value}))


@pytest.mark.parametrize(
    "claim",
    _named("linf-averaged-random-centres", "linf-decoupled-random-centres"),
    ids=lambda c: c.id,
)
def test_means_over_random_centres(claim):
    dim, draws = claim.setting["dim"], claim.setting["draws"]
    grid = stats.norm.ppf((np.arange(draws) + 0.5) / draws)
    spread = readout_radii.linf_spread(dim)
    value = float(claim.predict(claim.setting)["value"])
    values = value * (1 + spread * grid)
    assert _verdict(claim, {"values": values}) == "holds"
    assert all(_refused(claim, {"values": values}))
    assert _judge(claim, {"values": 1.1 * values}).conclusion == "false"
    wide = value * (1 + 10 * spread * grid)
    assert _judge(claim, {"values": wide}).conclusion == "unresolved"


def test_the_least_of_several_rivals_stays_inside_the_remainder():
    [claim] = _named("linf-decoupled-random-centres")
    rng = np.random.default_rng(0)
    spread = readout_radii.linf_spread(claim.setting["dim"])
    shape = (claim.setting["draws"], claim.setting["opposite"])
    least = (1 + spread * rng.standard_normal(shape)).min(axis=1)
    values = readout_radii.linf_decoupled() * least
    assert _judge(claim, {"values": values}).conclusion == "true"


def test_margins_between_classes():
    [claim] = _named("proposition-4-8-margins")
    value = claim.predict(claim.setting)["value"]
    arrays = {"measured": value, "error": np.full(value.shape, 1e-10)}
    assert _verdict(claim, arrays) == "holds"
    assert all(_refused(claim, arrays))
    moved = {**arrays, "measured": value - 1e-3}
    assert _judge(claim, moved).conclusion == "false"
    assert np.all(value[:, 0] == 1)
    assert np.all(value[:, 1] >= 1)


def _survivors(at, shares):
    """Radii of a sample of which these shares lie above these radii."""
    order = np.argsort(at)
    edges = np.concatenate([[0.0], np.asarray(at)[order], [99.0]])
    kept = np.round(SAMPLES * np.asarray(shares)[order]).astype(int)
    counts = -np.diff(np.concatenate([[SAMPLES], kept, [0]]))
    return np.repeat((edges[1:] + edges[:-1]) / 2, counts)


@pytest.mark.parametrize(
    "claim",
    _named("averaged-robust-accuracy", "decoupled-robust-accuracy"),
    ids=lambda c: c.id,
)
def test_accuracy_curves(claim):
    prediction = claim.predict(claim.setting)
    rows = [
        _survivors(at, value)
        for at, value in zip(prediction["radii"], prediction["value"], strict=True)
    ]
    arrays = {"lower": np.array(rows), "upper": np.array(rows)}
    finding = _judge(claim, arrays)
    assert finding.conclusion == "true"
    assert finding.measured.shape == (len(rows) * 5,)
    assert all(_refused(claim, arrays))
    further = {name: value + 0.6 for name, value in arrays.items()}
    assert _judge(claim, further).conclusion == "false"
    open_ = {"lower": 0 * arrays["lower"], "upper": arrays["upper"]}
    assert _judge(claim, open_).conclusion == "unresolved"


def test_the_ceiling_counts_what_is_surely_robust():
    [claim] = _named("robust-accuracy-ceiling")
    radius = math.sqrt(3072 / 2)
    assert claim.predict(claim.setting) == {
        "radius": pytest.approx(radius),
        "bound": pytest.approx(1 / 3),
    }
    rows = np.array([_survivors([0.95 * radius, radius], [0.9, 0.3])])
    finding = _judge(claim, {"lower": rows, "upper": rows})
    assert (finding.conclusion, finding.sampled) == ("true", True)
    assert all(_refused(claim, {"lower": rows, "upper": rows}))
    rows = np.array([_survivors([radius], [0.7])])
    assert _judge(claim, {"lower": rows, "upper": rows}).conclusion == "false"


def test_the_staircase_of_a_blind_attack():
    [claim] = _named("summed-logits-masked")
    value = claim.predict(claim.setting)["value"]
    np.testing.assert_allclose(value, [0.5, 0.1875, 0.03125, 0.0], atol=1e-12)
    # Its steps lie between sqrt(d/(1+m)): 31.99 and 27.71, 39.19 and 31.99, ...
    steps = [math.sqrt(3072 / (1 + m)) for m in range(5)]
    for radius, above in zip(claim.setting["radii"], (3, 2, 1), strict=True):
        assert steps[above] < radius < steps[above - 1]
    count = np.round(SAMPLES * value).astype(int)
    arrays = {"count": count, "trials": SAMPLES}
    assert _verdict(claim, arrays) == "holds"
    assert all(_refused(claim, arrays))
    seen = {**arrays, "count": np.array([0, 0, 0, 0])}
    assert _judge(claim, seen).conclusion == "false"
    few = {"count": np.round(40 * value).astype(int), "trials": 40}
    assert _judge(claim, few).conclusion == "unresolved"


@pytest.mark.parametrize(
    ("shares", "conclusion"),
    [
        ((1.0, 0.97, 0.49, 0.49), "true"),
        ((1.0, 0.4, 0.49, 0.49), "false"),
        ((1.0, 0.5, 0.49, 0.49), "unresolved"),
    ],
)
def test_an_attack_that_leaves_more_than_is_possible(shares, conclusion):
    [claim] = _named("masked-attack-above-ceiling")
    arrays = {"count": np.round(500 * np.array(shares)).astype(int), "trials": 500}
    assert _judge(claim, arrays).conclusion == conclusion
    assert all(_refused(claim, arrays))


def _counts(percent):
    count = np.round(10 * np.array(percent)).astype(int)
    return {"count": count, "trials": np.full(len(percent), 1000)}


_ABOVE = _named(
    "reported-curve-above-ceiling", "reported-adversarial-training-above-ceiling"
)


@pytest.mark.parametrize("claim", _ABOVE, ids=lambda c: c.id)
def test_published_accuracies_above_the_ceiling(claim):
    [radii] = claim.setting["radii"]
    assert min(radii) > math.sqrt(3072 / 2)
    assert claim.predict(claim.setting) == {"bound": 0.5}
    assert _verdict(claim, _counts([95, 90, 70])) == "holds"
    assert all(_refused(claim, _counts([95, 90, 70])))
    # One entry that the size of the sample does not tell from the ceiling.
    assert _judge(claim, _counts([95, 90, 51])).conclusion == "unresolved"
    assert _judge(claim, _counts([95, 90, 30])).conclusion == "false"


@pytest.mark.parametrize(
    ("percent", "conclusion"),
    [
        ([91.2, 31.3, 2.4, 86.6, 34.9], "true"),
        # Entries that a perfect attack could have left.
        ([98.5, 31.3, 2.4, 86.6, 34.9], "unresolved"),
        ([91.2, 31.3, 2.4, 86.6, 60.0], "false"),
    ],
)
def test_published_accuracies_below_the_optimum(percent, conclusion):
    [claim] = _named("reported-curves-below-optimum")
    assert _judge(claim, _counts(percent)).conclusion == conclusion
    if conclusion == "true":
        assert all(_refused(claim, _counts(percent)))


def test_the_optimum_of_networks_trained_on_a_hundred_points():
    [claim] = _named("reported-curves-below-optimum")
    bound = claim.predict(claim.setting)["bound"]
    expected = [0.9997, 0.9251, 0.2878, 0.9899, 0.4779]
    np.testing.assert_allclose(bound, expected, atol=6e-5)


@pytest.mark.parametrize(
    ("percent", "conclusion"),
    [
        ([91.2, 31.3, 2.4, 86.6, 34.9], "true"),
        ([85.0, 31.3, 2.4, 86.6, 34.9], "false"),
        ([91.2, 20.0, 2.4, 86.6, 34.9], "false"),
    ],
)
def test_a_shift_of_the_axis(percent, conclusion):
    [claim] = _named("reported-curves-shifted-axis")
    finding = _judge(claim, _counts(percent))
    assert (finding.conclusion, finding.sampled) == (conclusion, True)
    if conclusion == "true":
        assert all(_refused(claim, _counts(percent)))
    ideal = [0.9366, 0.3182, 0.0067, 0.5718, 0.0110]
    bound = claim.predict(claim.setting)["bound"]
    np.testing.assert_allclose(bound, ideal, atol=6e-5)


@pytest.mark.parametrize(
    ("name", "decoy", "value"),
    [
        # (k_-, beta) = (5, 0.35), the last but two of the cases.
        ("threshold-radius", "f = 0 is right", math.sqrt(0.5)),
        ("threshold-radius-strict", "f = 0 is broken", 0.65),
    ],
)
def test_the_decoys_of_ties_are_the_other_tie(name, decoy, value):
    [claim] = _named(name)
    [wrong] = [d for d in claim.decoys if d.name == decoy]
    index = claim.setting["cases"].index((2, 5, 0.35))
    found = wrong.alter(claim.setting, claim.predict(claim.setting))["value"][index]
    assert found == pytest.approx(math.sqrt(3072) * value)


def test_ratios_are_those_of_the_table():
    [claim] = _named("fine-over-coarse")
    value = claim.predict(claim.setting)["value"]
    np.testing.assert_allclose(value[:, 0], np.sqrt([2, 3, 5]))
    np.testing.assert_allclose(value[:, 1], np.sqrt([4 / 3, 6 / 4, 10 / 6]))
    assert np.all(value[:, 1] < math.sqrt(2))


# By claim: some of its values, the indices in front, in units of sqrt(d).
_VALUES = {
    "averaged-radius-every-split": ([0, 1, -1], [2**-0.5, 5**-0.5, 10**-0.5]),
    "universal-direction": ([0, 1, -1], [2**-0.5, 5**-0.5, 10**-0.5]),
    # The last split is nine own centres of ten.
    "own-feature-attack": ([0, 1, -1], [1.0, 1.0, 1 / 3]),
    # (2, 8) and (8, 2) at amplitudes (1, 2), (2, 1), (1, 0.3).
    "averaged-radius-amplitudes": (
        [0, 1, 2, -3],
        [34**-0.5, 2 / 16**0.5, 2.72**-0.5, 16**-0.5],
    ),
    "decoupled-max-radius": ([0, 1, 2], [0.5**0.5] * 3),
    "decoupled-sum-radius": ([0, 1, 2, 3], [0.5**0.5, 6**-0.5, 1 / 3, 3**-0.5]),
    "decoupled-directions": ([0, 1, 2, 3], [0.5**0.5, 6**-0.5, 1 / 3, 3**-0.5]),
    # k_- = 1 at 0 and 1/2, then 5 at 0, 0.35 and 1/2.
    "threshold-radius": ([0, 7, 16, 21, 23], [0.5**0.5, 0.5, 6**-0.5, 0.65, 0.5]),
    "threshold-radius-strict": (
        [0, 7, 16, 21, 23],
        [0.5**0.5, 0.5**0.5, 6**-0.5, 0.5**0.5, 0.5**0.5],
    ),
    "power-radius": (
        [0, 1, 2, 3, 5, 6],
        [0.40825, 0.5251, 0.6075, 0.70711, 0.70711, 1 / 3],
    ),
    "probability-sum-radius": ([0, 1, 2, 4], [0.7028, 0.597, 0.7485, 0.0]),
    "proposition-4-8-radius": ([0, 1, 2, 4], [0.7071, 0.5, 0.3638, 0.3922]),
    "linf-axis-aligned-centres": ([0, 1], [0.1, 0.5]),
}


@pytest.mark.parametrize("name", _VALUES)
def test_values_quoted_or_by_hand(name):
    [claim] = _named(name)
    index, expected = _VALUES[name]
    value = _predicted(claim.id)["value"] / math.sqrt(3072)
    np.testing.assert_allclose(value[index], expected, atol=6e-5)


@pytest.mark.parametrize(
    ("name", "decoy", "expected"),
    [
        ("averaged-radius-every-split", "k -> k + 1", [3**-0.5, 6**-0.5]),
        ("averaged-radius-every-split", "k -> k_s", [1.0, 1.0]),
        ("averaged-radius-amplitudes", "a_s and a_-s exchanged", [0.5, 34**-0.5]),
        ("own-feature-attack", "k_s -> k", [2**-0.5, 5**-0.5]),
        ("decoupled-max-radius", "another network: averaged", [10**-0.5] * 2),
        ("decoupled-sum-radius", "k_- -> k_- + 1", [3**-0.5, 7**-0.5]),
        (
            "decoupled-sum-radius",
            "another read-out: the largest output",
            [0.5**0.5, 0.5**0.5],
        ),
        ("power-radius", "p -> p + 0.25", [0.5251, 0.6075]),
        ("power-radius", "k_- -> k_- + 1", [7**-0.5]),
        ("probability-sum-radius", "k_+ and k_- exchanged", [0.7028, 0.7485, 0.597]),
        ("probability-sum-radius", "s -> infinity", [0.5**0.5] * 2),
        ("proposition-4-8-radius", "k -> k + 1", [0.5**0.5, 2 / 17**0.5]),
        ("proposition-4-8-radius", "another network: decoupled", [0.5**0.5] * 2),
        ("linf-axis-aligned-centres", "k -> k + 1", [1 / 11, 0.5]),
    ],
)
def test_decoys_are_other_networks_and_not_noise(name, decoy, expected):
    [claim] = _named(name)
    [wrong] = [d for d in claim.decoys if d.name == decoy]
    found = wrong.alter(claim.setting, _predicted(claim.id))["value"]
    found = found[: len(expected)] / math.sqrt(3072)
    np.testing.assert_allclose(found, expected, atol=6e-5)


def test_the_cap_and_its_decoy_are_half_a_distance_and_the_averaged_radius():
    [claim] = _named("radius-cap-at-opposite-centres")
    assert _predicted(claim.id)["value"] == pytest.approx(39.1918, abs=1e-4)
    [wrong] = [d for d in claim.decoys if d.name == "sqrt(d/k)"]
    found = wrong.alter(claim.setting, {})["value"]
    assert found == pytest.approx(math.sqrt(3072 / 6))


@pytest.mark.parametrize(
    ("name", "decoy", "expected"),
    [
        # At sqrt(3072/10), of which 17.53 - sqrt(3072/11) = 0.816 is gone.
        ("averaged-robust-accuracy", "k -> k + 1", stats.norm.cdf(-0.8156)),
        ("averaged-robust-accuracy", "r -> 1.1 r", stats.norm.cdf(-1.7527)),
    ],
)
def test_decoys_of_the_curve_at_its_middle(name, decoy, expected):
    [claim] = _named(name)
    [wrong] = [d for d in claim.decoys if d.name == decoy]
    assert _predicted(claim.id)["value"][0, 2] == pytest.approx(0.5)
    found = wrong.alter(claim.setting, _predicted(claim.id))["value"][0, 2]
    assert found == pytest.approx(expected, abs=1e-4)


def test_curves_at_half_the_distance_are_fractions():
    [claim] = _named("decoupled-robust-accuracy")
    value = _predicted(claim.id)["value"]
    # The fourth offset is 0: own cluster nearest of six, or of nine and of three.
    np.testing.assert_allclose(value[:3, 3], 1 / 6, rtol=1e-9)
    assert value[3, 3] == pytest.approx(0.2 / 9 + 0.8 / 3)
    [wrong] = [d for d in claim.decoys if d.name == "k_- -> 1"]
    found = wrong.alter(claim.setting, _predicted(claim.id))["value"]
    np.testing.assert_allclose(found[:, 3], 0.5, rtol=1e-9)
