"""Constants and bounds on clean accuracy, against normal laws and planted counts."""

import dataclasses
import math

import numpy as np
import pytest
from scipy import integrate, stats
from synthetic import judged

from jaxbias.theory import clean_accuracy
from jaxbias.theory.clean_accuracy import CLAIMS

CLAIM = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}
CONSTANTS = [
    "averaged-clean-accuracy",
    "per-centre-clean-accuracy",
    "per-centre-robust-accuracy",
]
ERRORS = ["averaged-clean-error", "per-centre-clean-error"]


def averaged_error(own, other, noise, dim):
    """P(a <= 0 or a <= b), a and b the two independent sums, by quadrature."""
    spread = noise / math.sqrt(dim)
    a = stats.norm(1, spread * math.sqrt(own))
    b = stats.norm(0, spread * math.sqrt(other))
    density = lambda z: a.pdf(z) * b.sf(z)
    beyond, _ = integrate.quad(density, 0, 1 + 12 * a.std(), epsabs=1e-13, limit=200)
    return float(a.cdf(0)) + beyond


@pytest.mark.parametrize(("own", "other"), [(1, 1), (3, 2), (1, 9), (6, 4)])
@pytest.mark.parametrize("noise", [0.5, 1.0, 2.0])
def test_the_bound_on_averages_is_above_the_error_by_less_than_its_first_term(
    own, other, noise
):
    bound = clean_accuracy.averaged_failure_bound(own, own + other, noise, 16)
    exact = averaged_error(own, other, noise, 16)
    first = stats.norm.cdf(-4 / math.sqrt(own) / noise)
    assert exact <= bound
    # What is counted twice lies in both events.
    assert bound - exact <= first + 1e-12


@pytest.mark.parametrize(
    ("args", "value"),
    [
        ((1, 1, 1.0, 4), 2 * 0.0227501),
        ((1, 4, 1.0, 4), 0.0227501 + 0.1586553),
        ((4, 16, 0.5, 16), 0.0000317 + 0.0227501),
    ],
)
def test_bounds_by_the_normal_table(args, value):
    found = clean_accuracy.averaged_failure_bound(*args)
    assert found == pytest.approx(value, abs=2e-7)


@pytest.mark.parametrize("name", CONSTANTS[:2])
def test_cases_have_the_heats_of_the_setting(name):
    claim = CLAIM[name]
    cases = claim.evidence(claim.setting, "quick").parameters["cases"]
    heats = [claim.setting["dim"] / (noise**2 * k) for k, _, noise in cases]
    assert heats == pytest.approx(
        list(claim.setting["heats"]) * len(claim.setting["clusters"])
    )
    assert [k // 2 for k, _, _ in cases] == [own for _, own, _ in cases]


def test_robust_cases_have_the_heats_of_the_setting():
    claim = CLAIM[CONSTANTS[2]]
    cases = claim.evidence(claim.setting, "quick").parameters["cases"]
    heats = [claim.setting["dim"] * d**2 / (n * k) ** 2 for k, _, n, d in cases]
    assert heats == pytest.approx(list(claim.setting["heats"]) * 3)
    assert {d for *_, d in cases} == {claim.setting["shortfall"]}


@pytest.mark.parametrize(
    ("name", "case", "bound"),
    [
        # 2 exp(-C s/4), 2(K+1) exp(-C s), 2(K+1) exp(-C s/2).
        (CONSTANTS[0], (4, 2.0), 2 * math.exp(-1.0)),
        (CONSTANTS[0], (16, 6.0), 2 * math.exp(-3.0)),
        (CONSTANTS[1], (4, 1.5), 10 * math.exp(-0.75)),
        (CONSTANTS[1], (8, 2.0), 18 * math.exp(-1.0)),
        (CONSTANTS[2], (3, 1.0), 8 * math.exp(-0.5)),
        (CONSTANTS[2], (2, 2.0), 6 * math.exp(-1.0)),
    ],
)
def test_printed_bounds_by_hand(name, case, bound):
    claim = CLAIM[name]
    prediction, s = claim.predict(claim.setting), claim.setting
    place = list(s["clusters"]).index(case[0]) * len(s["heats"])
    place += list(s["heats"]).index(case[1])
    rate = prediction["constant"] * prediction["rate"][place]
    assert prediction["prefactor"][place] * math.exp(-rate) == pytest.approx(bound)


def planted(claim, constant, seed=0, trials=20000, share=0.05, growth=None):
    """Failures of probability ``share`` of the bound at this constant, batch by batch.

    ``growth`` multiplies each case by a function of (K, heat).
    """
    prediction = claim.predict(claim.setting)
    p = share * prediction["prefactor"] * np.exp(-constant * prediction["rate"])
    if growth is not None:
        grid = [
            growth(k, h)
            for k in claim.setting["clusters"]
            for h in claim.setting["heats"]
        ]
        p = p * np.array(grid)
    count = np.random.default_rng(seed).binomial(trials, p, size=(16, p.size))
    return {"possibly": count, "surely": count, "trials": trials}


@pytest.mark.parametrize("name", CONSTANTS)
def test_failures_that_fall_faster_than_the_bound_do_not_refute_it(name):
    claim = CLAIM[name]
    tried = claim.predict(claim.setting)["constant"]
    found = judged(claim, planted(claim, 1.25 * tried))
    assert (found.conclusion, found.sampled) == ("true", True)
    for decoy in claim.decoys:
        wrong = judged(claim, planted(claim, 1.25 * tried), decoy)
        assert wrong.conclusion == "unresolved", decoy.name


@pytest.mark.parametrize("name", CONSTANTS)
def test_failures_that_fall_more_slowly_are_seen_along_the_exponent(name):
    claim = CLAIM[name]
    tried = claim.predict(claim.setting)["constant"]
    found = judged(claim, planted(claim, 0.5 * tried))
    assert found.conclusion == "unresolved"
    assert found.deviation > 0


@pytest.mark.parametrize("name", CONSTANTS)
def test_failures_that_grow_with_k_alone_are_seen(name):
    claim = CLAIM[name]
    tried = claim.predict(claim.setting)["constant"]
    arrays = planted(
        claim, 1.25 * tried, share=0.02, growth=lambda k, _: (k / 2) ** 0.5
    )
    assert judged(claim, arrays).conclusion == "unresolved"


def test_the_implied_constant_is_what_the_worst_case_leaves():
    claim = CLAIM[CONSTANTS[0]]
    # Failures of 2 exp(-3 s/4) exactly: nothing above C = 3 is left, up to the limit
    # of a proportion.
    prediction = claim.predict(claim.setting)
    p = 2 * np.exp(-3 * prediction["rate"])
    keep = p < 1
    trials = 10**7
    count = np.where(keep, np.round(trials * p), 1).astype(int)
    arrays = {"possibly": np.tile(count, (16, 1)), "trials": trials}
    found = judged(claim, arrays)
    assert found.implied_constant == pytest.approx(3.0, abs=0.01)
    assert found.implied_constant < 3.0


def test_a_batch_without_failures_decides_nothing():
    claim = CLAIM[CONSTANTS[1]]
    arrays = planted(claim, 0.7)
    arrays["possibly"][3, 5] = 0
    assert judged(claim, arrays).conclusion == "unresolved"


@pytest.mark.parametrize("name", ERRORS)
def test_bounds_weigh_the_classes_by_their_clusters(name):
    claim = CLAIM[name]
    one = dataclasses.replace(
        claim, setting={**claim.setting, "splits": ((3, 1),), "noises": (1.5,)}
    )
    [found] = 1 - one.predict(one.setting)["bound"]
    if name == ERRORS[0]:
        tails = [stats.norm.cdf(-4 / math.sqrt(m) / 1.5) for m in (1, 2, 3)]
        expected = (1 * (tails[0] + tails[2]) + 2 * (tails[1] + tails[2])) / 3
    else:
        means = [1.5 * math.sqrt(m / 32) for m in (2, 1)]
        tails = [math.exp(-16 * (1 - m) ** 2 / (4 * 1.5**2)) for m in means]
        expected = (tails[0] + 2 * tails[1]) / 3
    assert found == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("noise", [0.8, 1.0, 1.4])
def test_one_centre_a_class_errs_less_than_the_bound(noise):
    # K1 = K2 = 1: F^(p) is wrong iff x_1 <= max(x_2, 0), for every p.
    exact = averaged_error(1, 1, noise, 16)
    claim = CLAIM[ERRORS[1]]
    setting = {**claim.setting, "splits": ((2, 1),), "noises": (noise,)}
    [bound] = claim.predict(setting)["bound"]
    assert 1 - exact >= bound


@pytest.mark.parametrize("name", ERRORS)
def test_counts_decide_the_explicit_bounds(name):
    claim = CLAIM[name]
    bound = claim.predict(claim.setting)["bound"]
    trials = 40000

    def arrays(share):
        wrong = np.round(trials * share).astype(int)[None]
        return {"surely": wrong, "possibly": wrong, "trials": trials}

    assert judged(claim, arrays(0.8 * (1 - bound))).conclusion == "true"
    assert judged(claim, arrays(1.2 * (1 - bound))).conclusion == "false"
    near = arrays(1 - bound)
    assert judged(claim, near).conclusion == "unresolved"
    # Uncertified samples are failures for the lower limit only.
    open_ = arrays(0.8 * (1 - bound))
    open_["possibly"] = arrays(1.2 * (1 - bound))["possibly"]
    assert judged(claim, open_).conclusion == "unresolved"


def test_decoys_of_the_averages_fail_on_the_exact_error():
    claim = CLAIM[ERRORS[0]]
    trials, s = 40000, claim.setting
    wrong = [
        round(
            trials
            * (
                own * averaged_error(own, k - own, noise, s["dim"])
                + (k - own) * averaged_error(k - own, own, noise, s["dim"])
            )
            / k
        )
        for k, own in s["splits"]
        for noise in s["noises"]
    ]
    count = np.array([wrong])
    arrays = {"surely": count, "possibly": count, "trials": trials}
    assert judged(claim, arrays).conclusion == "true"
    for decoy in claim.decoys:
        assert judged(claim, arrays, decoy).conclusion == "false", decoy.name


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: c.id)
def test_more_samples_are_asked_of_larger_sizes(claim):
    requests = [claim.evidence(claim.setting, s) for s in ("quick", "paper", "full")]
    sizes = [r.parameters["samples"] for r in requests]
    assert sizes == sorted(set(sizes))
    assert {r.name.partition("/")[0] for r in requests} == {"clean"}
    assert claim.stochastic
    if claim.provenance == "seen":
        assert claim.source.version
