"""Rows of the ledger on planted claims whose evidence is a handful of numbers."""

import dataclasses
import hashlib
import json
import warnings

import numpy as np
import pytest

from jaxbias._checks import InputError
from jaxbias.theory import _claim as c
from jaxbias.theory._verdict import judge_at_most, judge_interval, searched
from jaxbias.verification import evidence, run

#: The keys of verdicts.md, in its order.
KEYS = (
    "claim source kind quantifier provenance hypotheses conclusion verdict expected "
    "measured predicted interval acceptance numerical_error alpha seeds failed "
    "resolution detectable implied_constant conventions witness seed_root seconds"
).split()
REQUEST = c.Computation("toy/ends", {"lower": [0.9], "upper": [0.95]})
TRAINING = c.Training({}, {}, 4, "squared", "sum", (1.0,), ("loss",), seeds=3)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """A registered computation that hands its parameters back, and counts calls."""
    calls = []

    def ends(parameters, root):
        calls.append((dict(parameters), root))
        return {name: value for name, value in parameters.items() if name != "size"}

    monkeypatch.setitem(evidence._GROUPS, "toy", "json")
    monkeypatch.setitem(
        evidence._COMPUTATIONS, "toy/ends", (ends, c.conventions(clock="sum"))
    )
    return calls


def judge(arrays, prediction, remainder, alpha):
    finding = judge_at_most(arrays["lower"], arrays["upper"], prediction["value"])
    return dataclasses.replace(finding, witness=arrays.get("witness"))


def claim(**changes):
    """``quantity <= 1``, measured by :data:`REQUEST`."""
    about = dict(
        id="toy/bound",
        statement="The quantity is at most 1.",
        source=c.Source("min-vidal-2024", "lemma 0"),
        provenance="derived",
        kind="inequality",
        quantifier="for one number",
        conventions=c.conventions(clock="sum"),
        setting={"bound": 1.0},
        hypotheses=c.no_hypotheses,
        predict=lambda setting: {"value": setting["bound"]},
        remainder=lambda setting: c.Remainder(0.0, "none is needed"),
        evidence=lambda setting, size: REQUEST,
        judge=judge,
        expected="holds",
        decoys=(c.scaled(0.5), c.scaled(0.8)),
    )
    return c.Claim(**{**about, **changes})


def gather(**arrays):
    """Evidence of these arrays, whatever the setting and size."""
    return lambda setting, size: c.Computation("toy/ends", arrays)


def check(teeth=False, **changes):
    [verdict] = run.verify(claim(**changes), teeth=teeth)
    return verdict


# --- the row -------------------------------------------------------------------------


def test_a_row_has_the_keys_of_the_rules_in_their_order():
    row = check().row()
    assert list(row)[: len(KEYS)] == KEYS
    assert list(row)[len(KEYS) :] == ["as_expected", "teeth"]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("claim", "toy/bound"),
        ("source", "min-vidal-2024, lemma 0"),
        ("kind", "inequality"),
        ("quantifier", "for one number"),
        ("provenance", "derived"),
        ("hypotheses", {"status": "met", "each": []}),
        ("conclusion", "true"),
        ("verdict", "holds"),
        ("expected", "holds"),
        ("measured", pytest.approx(0.925)),
        ("predicted", 1.0),
        ("interval", [0.9, 0.95]),
        ("acceptance", [None, 1.0]),
        ("numerical_error", 0.0),
        ("alpha", None),
        ("seeds", 0),
        ("failed", 0),
        ("resolution", None),
        ("detectable", pytest.approx(0.05)),
        ("implied_constant", None),
        ("witness", None),
        ("as_expected", True),
        ("teeth", None),
    ],
)
def test_what_a_row_says_of_a_bound_that_holds(key, value):
    assert check().row()[key] == value


def test_all_eight_conventions_travel_with_the_row():
    stated = check().row()["conventions"]
    assert tuple(stated) == c.CONVENTIONS
    assert stated["clock"] == "sum"
    assert [name for name, value in stated.items() if value] == ["clock"]


@pytest.mark.parametrize(
    "witness",
    [
        np.array([1.0, np.nan]),
        {"point": np.eye(2), "score": np.float64("inf")},
        [np.int32(3), (np.float32(0.5), None)],
        {"nested": {"again": [np.array([np.inf])]}},
    ],
)
def test_rows_are_json_without_nan_whatever_the_witness(witness):
    row = check(evidence=gather(lower=[0.1], upper=[0.2], witness=witness)).row()
    assert json.loads(json.dumps(row, allow_nan=False)) == row
    assert row["witness"] is not None


def test_a_run_that_did_not_finish_is_null_and_decides_nothing():
    verdict = check(evidence=gather(lower=[0.1, np.nan], upper=[0.2, np.nan], failed=1))
    row = verdict.row()
    assert row["verdict"] == "inconclusive"
    assert row["interval"][1] == [None, None]
    assert row["failed"] == 1
    assert verdict.worst == 1
    json.dumps(row, allow_nan=False)


@pytest.mark.parametrize(
    ("lower", "upper", "worst"),
    [
        ([0.1, 0.5, 0.3], [0.2, 0.6, 0.4], 1),
        ([0.1, 0.5, 1.3], [0.2, 0.6, 1.4], 2),
        ([0.9, 0.5, 0.3], [0.95, 0.6, 0.4], 0),
        ([0.9, np.nan, 1.3], [0.95, 0.6, 1.4], 1),
    ],
)
def test_the_worst_case_is_nearest_to_failing_or_failing_most(lower, upper, worst):
    assert check(evidence=gather(lower=lower, upper=upper)).worst == worst


def test_several_cases_stay_lists_and_one_case_is_a_number():
    several = check(evidence=gather(lower=[0.1, 0.2], upper=[0.1, 0.3])).row()
    assert several["measured"] == pytest.approx([0.1, 0.25])
    assert several["predicted"] == [1.0, 1.0]
    assert several["interval"] == [[0.1, 0.1], [0.2, 0.3]]
    assert isinstance(check().row()["measured"], float)


def test_margins_of_hypotheses_are_in_the_row_and_infinite_ones_are_null():
    hypotheses = c.requires("wide", 3.0), c.requires("free", np.inf)
    row = check(hypotheses=lambda setting: hypotheses).row()
    assert row["hypotheses"] == {
        "status": "met",
        "each": [
            {"name": "wide", "status": "met", "margin": 3.0},
            {"name": "free", "status": "met", "margin": None},
        ],
    }


@pytest.mark.parametrize(
    ("hypothesis", "upper", "conclusion"),
    [
        (c.requires("h", -0.5), 0.95, "true outside its hypotheses"),
        (c.Hypothesis("h", "unverifiable"), 0.95, "true outside its hypotheses"),
        (c.requires("h", -0.5), 1.5, "fails outside its hypotheses"),
    ],
)
def test_outside_its_hypotheses_evidence_is_shown(hypothesis, upper, conclusion):
    ends = gather(lower=[upper - 0.05], upper=[upper])
    row = check(hypotheses=lambda _: (hypothesis,), evidence=ends).row()
    assert (row["verdict"], row["conclusion"]) == ("not applicable", conclusion)
    assert row["interval"][1] == upper


def test_a_vacuous_claim_measures_nothing(toy):
    row = check(predict=lambda _: {"vacuous": True}, expected="vacuous").row()
    assert (row["verdict"], row["as_expected"]) == ("vacuous", True)
    measured = "measured interval acceptance conclusion witness alpha".split()
    assert [row[name] for name in measured] == [None] * 6
    assert toy == []


def test_only_a_stochastic_claim_states_a_level():
    assert check().row()["alpha"] is None
    stochastic = check(stochastic=True)
    assert stochastic.row()["alpha"] == pytest.approx(run.level())


def test_counts_of_seeds_are_not_judged_as_arrays():
    def strict(arrays, prediction, remainder, alpha):
        assert set(arrays) == {"lower", "upper"}
        return judge(arrays, prediction, remainder, alpha)

    ends = gather(lower=[0.1], upper=[0.2], seeds=7, failed=2)
    row = check(evidence=ends, judge=strict).row()
    assert (row["seeds"], row["failed"]) == (7, 2)


@pytest.mark.parametrize(
    ("verdict", "expected", "teeth", "as_expected"),
    [
        ("holds", "holds", None, True),
        ("holds", "holds", True, True),
        ("holds", "holds", False, False),
        ("not refuted", "holds", None, False),
        ("inconclusive", "holds", True, False),
        ("vacuous", "vacuous", None, True),
    ],
)
def test_as_expected(verdict, expected, teeth, as_expected):
    found = check(expected=expected)
    changed = dataclasses.replace(found, verdict=verdict, teeth=teeth)
    assert changed.as_expected is as_expected
    assert changed.row()["as_expected"] is as_expected


# --- the second key ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("again", "verdict"),
    [
        (1.40, "violated"),
        (1.43, "violated"),
        (1.37, "violated"),
        (1.50, "inconclusive"),  # another size: a quarter more
        (1.30, "inconclusive"),
        (0.90, "inconclusive"),  # the second computation denies it
        (None, "inconclusive"),  # there is none
    ],
)
def test_a_violation_needs_a_second_key_of_the_same_size(again, verdict):
    second = None if again is None else gather(lower=[again], upper=[again])
    found = check(evidence=gather(lower=[1.4], upper=[1.4]), second=second)
    assert found.verdict == verdict
    assert found.row()["conclusion"] == "false"
    assert found.row()["measured"] == 1.4


@pytest.mark.parametrize(
    ("first", "calls"),
    [([0.9, 0.95], 1), ([0.9, 1.1], 1), ([1.4, 1.4], 2)],
)
def test_the_second_key_is_turned_only_after_a_failure(first, calls, toy):
    second = gather(lower=[1.4], upper=[1.41])
    check(evidence=gather(lower=first[:1], upper=first[1:]), second=second)
    assert len(toy) == calls


def test_a_violation_outside_the_hypotheses_stays_not_applicable():
    ends = gather(lower=[1.4], upper=[1.4])
    unmet = lambda _: (c.requires("h", -1.0),)
    assert check(evidence=ends, second=ends, hypotheses=unmet).verdict == (
        "not applicable"
    )


# --- teeth ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("factors", "teeth"),
    [
        ((0.5, 0.8), True),  # both bounds are passed
        ((0.5, 0.92), True),  # the second one is undecided
        ((0.5, 1.1), False),  # a weaker bound still holds
        ((1.0, 1.0), False),
    ],
)
def test_every_decoy_must_be_refused(factors, teeth):
    found = check(teeth=True, decoys=tuple(map(c.scaled, factors)))
    assert (found.verdict, found.teeth) == ("holds", teeth)
    assert found.as_expected is teeth
    assert [name for name, _ in found.decoys] == [f"value x {f:g}" for f in factors]


def test_a_decoy_that_is_only_not_refuted_has_passed_too():
    sampled = lambda *a: searched(judge(*a))
    found = check(
        teeth=True, judge=sampled, decoys=(c.scaled(0.5), c.scaled(2.0, "value"))
    )
    assert found.verdict == "not refuted"
    assert dict(found.decoys) == {
        "value x 0.5": "inconclusive",
        "value x 2": "not refuted",
    }
    assert found.teeth is False


def test_teeth_use_the_evidence_that_was_gathered(toy):
    assert check(teeth=True).teeth is True
    assert len(toy) == 1
    assert check().decoys == ()


def test_decoys_may_change_what_the_setting_says():
    altered = c.Decoy("K + 1", lambda s, p: {"value": p["value"] / (2 * s["bound"])})
    assert check(teeth=True, decoys=(altered, c.scaled(0.5))).teeth is True


# --- evidence: shared, seeded, of the right conventions ------------------------------


@pytest.mark.parametrize(
    ("families", "requests", "calls"),
    [
        (("f", "f"), (REQUEST, REQUEST), 1),
        (("f", "g"), (REQUEST, REQUEST), 2),  # another root of seeds
        ((None, None), (REQUEST, REQUEST), 2),
        (("f", "f"), (REQUEST, gather(lower=[0.1], upper=[0.2])({}, "")), 2),
    ],
)
def test_evidence_is_shared_within_a_family(families, requests, calls, toy):
    pair = [
        claim(id=f"toy/{n}", family=family, evidence=lambda s, z, r=request: r)
        for n, (family, request) in enumerate(zip(families, requests, strict=True))
    ]
    verdicts = run.verify(pair)
    assert [v.claim.id for v in verdicts] == ["toy/0", "toy/1"]
    assert len(toy) == calls


def test_a_second_call_computes_afresh(toy):
    run.verify(claim())
    run.verify(claim())
    assert len(toy) == 2


@pytest.mark.parametrize("size", ["quick", "paper", "full"])
def test_the_size_reaches_the_evidence(size, toy):
    ends = lambda s, size: c.Computation("toy/ends", {**REQUEST.parameters, "size": 1})
    told = []
    asked = lambda s, size: told.append(size) or ends(s, size)
    run.verify(claim(evidence=asked), size=size)
    assert told == [size]


@pytest.mark.parametrize(
    ("identity", "family", "text"),
    [
        ("toy/bound", None, "toy/bound@1.2.3"),
        ("toy/bound", "toy/family", "toy/family@1.2.3"),
    ],
)
def test_the_root_is_a_hash_of_name_and_release(
    identity, family, text, monkeypatch, toy
):
    monkeypatch.setattr(run, "LEDGER_RELEASE", "1.2.3")
    expected = int(hashlib.sha256(text.encode()).hexdigest()[:8], 16)
    verdict = check(id=identity, family=family)
    assert verdict.row()["seed_root"] == expected == toy[0][1]


@pytest.mark.parametrize(("asked", "got"), [(None, 3), (5, 5), (64, 64)])
def test_seeds_are_those_of_the_claim_unless_asked(asked, got, monkeypatch):
    requests = []

    def execute(request, root):
        requests.append(request)
        ends = {"lower": [0.9], "upper": [0.95]}
        return evidence.Evidence(ends, {}, request.seeds, 0)

    monkeypatch.setattr(run, "execute", execute)
    trained = claim(evidence=lambda s, size: TRAINING)
    [verdict] = run.verify(trained, seeds=asked)
    assert requests == [dataclasses.replace(TRAINING, seeds=got)]
    assert verdict.seeds == got


@pytest.mark.parametrize("among", [1, 3])
def test_seeds_for_claims_that_train_nothing_are_refused(among, toy):
    which = "toy/0" if among == 1 else "3 claims"
    vacuous = claim(id="toy/2", predict=lambda s: {"vacuous": True}, expected="vacuous")
    chosen = [claim(id="toy/0"), claim(id="toy/1"), vacuous][:among]
    with pytest.raises(InputError, match=rf"seeds=9 for {which}: only .* trains"):
        run.verify(chosen, seeds=9)
    assert toy == []


def test_where_seeds_act_on_some_claims_the_number_of_others_is_told(monkeypatch, toy):
    ends = evidence.Evidence({"lower": [0.9], "upper": [0.95]}, {}, 9)
    both = lambda request, root: (
        ends if isinstance(request, c.Training) else evidence.execute(request, root)
    )
    monkeypatch.setattr(run, "execute", both)
    trained = claim(id="toy/trained", evidence=lambda s, z: TRAINING)
    chosen = [claim(id="toy/0"), trained, claim(id="toy/1")]
    with pytest.warns(UserWarning, match="seeds=9 has no effect on 2 of the 3"):
        verdicts = run.verify(chosen, seeds=9)
    assert [v.seeds for v in verdicts] == [0, 9, 0]
    assert [parameters for parameters, _ in toy] == 2 * [REQUEST.parameters]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run.verify(chosen)
        run.verify(trained, seeds=9)


def test_arrays_that_differ_in_their_middle_are_other_evidence(toy):
    """NumPy's repr of a long array leaves out what the two differ in."""
    first = np.linspace(0.0, 0.5, 5000)
    second = first.copy()
    second[2500] = 1.5
    assert repr(first) == repr(second)
    pair = [
        claim(id=f"toy/{n}", family="f", evidence=gather(lower=ends, upper=ends))
        for n, ends in enumerate((first, second, first.copy()))
    ]
    verdicts = run.verify(pair)
    assert [v.finding.conclusion for v in verdicts] == ["true", "false", "true"]
    assert len(toy) == 2, "equal arrays share"


@pytest.mark.parametrize(
    ("stated", "used", "refused"),
    [
        ({"clock": "sum"}, {"clock": "sum"}, False),
        ({"clock": "sum"}, {"clock": "mean"}, True),
        ({"clock": "sum"}, {}, False),  # it did not enter
        ({}, {"clock": "mean"}, False),  # the statement does not depend on it
        ({"tie": "a"}, {"tie": "b"}, True),
        ({"clock": "sum", "norm": "l_2"}, {"clock": "sum", "norm": "l_inf"}, True),
    ],
)
def test_evidence_under_other_conventions_is_refused(stated, used, refused):
    one = claim(conventions=c.conventions(**stated))
    found = evidence.Evidence({}, c.conventions(**used))
    if refused:
        with pytest.raises(InputError, match="cannot judge"):
            evidence.check_conventions(one, found)
    else:
        evidence.check_conventions(one, found)


def test_a_computation_may_state_conventions_that_depend_on_its_parameters():
    request = c.Computation("toy/ends", {"conventions": {"loss_scale": "half"}})
    found = evidence.execute(request, 0)
    assert found.conventions == c.conventions(clock="sum", loss_scale="half")
    assert dict(found.arrays) == {}


@pytest.mark.parametrize(
    ("name", "meant"),
    [("toys/ends", "toy"), ("toy/end", "toy/ends"), ("samplings/radii", "sampling")],
)
def test_a_typo_in_a_computation_names_what_was_meant(name, meant):
    with pytest.raises(InputError) as caught:
        evidence.execute(c.Computation(name), 0)
    assert meant in caught.value.fix


def test_a_convention_of_no_name_is_refused_when_registered():
    with pytest.raises(InputError, match="clock"):
        evidence.computation("toy/other", clocks="sum")(dict)


def test_intervals_longer_than_the_tolerance_do_not_hold():
    wide = lambda a, p, r, alpha: judge_interval(
        a["lower"], a["upper"], p["value"], r.delta
    )
    tolerance = lambda s: c.Remainder(0.1, "stated")
    ends = gather(lower=[0.94], upper=[1.06])
    found = check(judge=wide, remainder=tolerance, evidence=ends)
    assert found.verdict == "inconclusive"
    assert found.remainder == (0.1, "stated")
    narrow = gather(lower=[0.96], upper=[1.04])
    assert check(judge=wide, remainder=tolerance, evidence=narrow).verdict == "holds"
