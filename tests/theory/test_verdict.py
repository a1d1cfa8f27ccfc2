"""The table of verdicts, cell by cell, and the rules that fill it."""

import math

import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.theory import _verdict as v

_TABLE = {
    ("met", "true"): "holds",
    ("met", "false"): "violated",
    ("met", "unresolved"): "inconclusive",
    ("unmet", "true"): "not applicable",
    ("unmet", "false"): "not applicable",
    ("unmet", "unresolved"): "not applicable",
    ("unverifiable", "true"): "not applicable",
    ("unverifiable", "false"): "not applicable",
    ("unverifiable", "unresolved"): "not applicable",
}


@pytest.mark.parametrize("cell", _TABLE)
def test_every_cell_of_the_table(cell):
    assert v.decide(*cell, second_key=True) == _TABLE[cell]


@pytest.mark.parametrize("cell", _TABLE)
def test_vacuous_comes_before_everything(cell):
    assert v.decide(*cell, second_key=True, vacuous=True) == "vacuous"


def test_a_sampled_truth_is_only_not_refuted():
    assert v.decide("met", "true", sampled=True) == "not refuted"


def test_a_violation_needs_its_second_key():
    assert v.decide("met", "false") == "inconclusive"
    assert v.decide("met", "false", second_key=True) == "violated"


def test_evidence_outside_the_hypotheses_is_shown():
    assert v.remark("unmet", "true") == "true outside its hypotheses"
    assert v.remark("unverifiable", "false") == "fails outside its hypotheses"
    assert v.remark("met", "false") == "false"


@pytest.mark.parametrize("bad", [("maybe", "true"), ("met", "perhaps")])
def test_unknown_words_are_refused(bad):
    with pytest.raises(InputError):
        v.decide(*bad)


@pytest.mark.parametrize(
    ("low", "high", "conclusion"),
    [
        (0.99, 1.01, "true"),
        (0.85, 0.95, "unresolved"),
        (0.95, 1.06, "unresolved"),  # inside, but longer than delta
        (0.80, 0.89, "false"),
        (1.11, 1.20, "false"),
        (0.80, 1.20, "unresolved"),
        (math.nan, math.nan, "unresolved"),
    ],
)
def test_intervals(low, high, conclusion):
    assert v.judge_interval(low, high, 1.0, 0.1).conclusion == conclusion


def test_one_bad_case_decides():
    finding = v.judge_interval([0.99, 1.3], [1.01, 1.4], 1.0, 0.1)
    assert finding.conclusion == "false"
    assert finding.deviation == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("measured", "error", "conclusion"),
    [
        (1 + 1e-9, 1e-8, "true"),
        (1 + 1e-7, 1e-8, "false"),
        (1.0, 1e-3, "unresolved"),
        (1.5, 1e-3, "unresolved"),
        (1.0, math.inf, "unresolved"),
    ],
)
def test_identities(measured, error, conclusion):
    assert v.judge_identity(measured, error, 1.0).conclusion == conclusion


@pytest.mark.parametrize(
    ("low", "high", "conclusion"),
    [(0.8, 0.9, "true"), (0.9, 1.1, "unresolved"), (1.1, 1.2, "false")],
)
def test_inequalities_both_ways(low, high, conclusion):
    assert v.judge_at_most(low, high, 1.0).conclusion == conclusion
    assert v.judge_at_least(-high, -low, -1.0).conclusion == conclusion


def test_the_worst_case_decides_an_inequality_and_its_slack_is_told():
    finding = v.judge_at_most([0.1, 0.7], [0.2, 0.8], 1.0)
    assert finding.detectable == pytest.approx(0.2)
    least = v.judge_at_least([2.0], [3.0], 1.0)
    assert least.acceptance.tolist() == [[1.0, math.inf]]


@pytest.mark.parametrize(
    ("sure", "possible", "bound", "conclusion", "sampled"),
    [
        (990, 990, 0.95, "true", False),
        (900, 900, 0.95, "false", False),
        (960, 960, 0.95, "unresolved", False),
        (1000, 1000, 0.9999, "true", True),  # finer than the sample resolves
        (999, 1000, 0.9999, "unresolved", False),
        (900, 1000, 0.95, "unresolved", False),  # ambiguous runs count both ways
    ],
)
def test_probabilities(sure, possible, bound, conclusion, sampled):
    finding = v.judge_probability(sure, possible, 1000, bound, 1e-3)
    assert (finding.conclusion, finding.sampled) == (conclusion, sampled)
    assert finding.resolution == pytest.approx(math.log(1000) / 1000)


def test_a_finite_range_cannot_refute_an_asymptotic():
    assert v.judge_exponent(0.98, 1.02, 1.0, 0.1).conclusion == "true"
    assert v.judge_exponent(1.48, 1.52, 1.0, 0.1).conclusion == "unresolved"
    order = v.judge_order(1.6, 2.0, logs=1.0, x_mid=0.1)
    assert (order.conclusion, order.sampled) == ("true", True)
    assert v.judge_order(1.2, 2.0, logs=1.0, x_mid=0.1).conclusion == "unresolved"


def test_there_is_a_constant_prints_it_and_watches_the_slopes():
    flat = v.judge_constant([1.0, 1.3, 1.1], [(-0.1, 0.1), (-0.3, -0.1)])
    assert (flat.conclusion, flat.sampled) == ("true", True)
    assert flat.implied_constant == 1.3
    rising = v.judge_constant([1.0, 1.3], [(0.2, 0.4)])
    assert rising.conclusion == "unresolved"


def test_a_failure_is_confirmed_only_if_its_size_stays():
    first = v.judge_at_most(2.0, 2.0, 1.0)
    assert v.confirms(first, v.judge_at_most(2.05, 2.05, 1.0))
    assert not v.confirms(first, v.judge_at_most(2.2, 2.2, 1.0))
    assert not v.confirms(first, v.judge_at_most(0.5, 0.5, 1.0))


def test_searched_findings_are_sampled():
    assert v.searched(v.judge_interval(1.0, 1.0, 1.0, 0.1)).sampled


def test_shapes_may_differ_as_long_as_they_broadcast():
    finding = v.judge_interval(np.ones((2, 3)), np.ones((2, 3)), 1.0, 0.1)
    assert finding.interval.shape == (6, 2)
