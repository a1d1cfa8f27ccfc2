"""The largest margin on orthonormal centres against programs that know no formula."""

import math

import numpy as np
import pytest
from scipy.optimize import linprog

from jaxbias.theory import largest_margin as theory
from jaxbias.theory.largest_margin import CLAIMS

_LEDGER = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}
_SIZES = [(1, 1), (2, 1), (3, 2), (4, 4)]


def _grid(count):
    """Unit vectors of the orthant with coordinates sqrt(i/4): vertices and averages."""
    steps = np.stack(np.meshgrid(*[np.arange(5)] * count), axis=-1).reshape(-1, count)
    rows = np.sqrt(steps[steps.sum(axis=1) > 0])
    return rows / np.linalg.norm(rows, axis=1)[:, None]


def _program(p, own, other):
    """Best amplitudes over a grid of directions: at most the largest margin."""
    blocks = [np.pad(_grid(own), ((0, 0), (0, other))) ** p]
    blocks.append(np.pad(_grid(other), ((0, 0), (own, 0))) ** p)
    columns = np.vstack(blocks).T
    count = columns.shape[1]
    solved = linprog(
        np.append(np.zeros(count), -1.0),
        A_ub=np.hstack([-columns, np.ones((own + other, 1))]),
        b_ub=np.zeros(own + other),
        A_eq=np.append(np.full(count, 2.0), 0.0)[None],
        b_eq=[1.0],
    )
    return -solved.fun


@pytest.mark.parametrize("p", [1.0, 1.3, 2.0, 2.5, 4.0])
@pytest.mark.parametrize("sizes", _SIZES)
def test_the_largest_margin_is_the_value_of_a_linear_program(p, sizes):
    found = theory.largest_margin(p, *sizes)
    assert found == pytest.approx(_program(p, *sizes), rel=1e-9)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize("sizes", _SIZES)
def test_no_network_drawn_at_random_is_better(p, sizes):
    own, other = sizes
    rng = np.random.default_rng(own)
    labels = np.repeat([1.0, -1.0], sizes)
    best = -math.inf
    for _ in range(300):
        w = np.abs(rng.standard_normal((6, own + other)))
        w[:3, own:] *= -rng.random()
        w[3:, :own] *= -rng.random()
        v = np.repeat([1.0, -1.0], 3) * rng.random(6)
        norms = np.linalg.norm(w, axis=1)
        f = (v * norms) @ np.maximum(w / norms[:, None], 0) ** p
        best = max(best, np.min(labels * f) / (np.sum(w**2) + np.sum(v**2)))
    assert 0 < best < theory.largest_margin(p, *sizes)


@pytest.mark.parametrize(
    ("args", "value"),
    [
        ((1.0, 1, 1, "averages"), 1 / 4),
        ((1.0, 4, 9, "averages"), 1 / 10),
        ((3.0, 4, 9, "averages"), 1 / 70),
        ((3.0, 4, 9, "centres"), 1 / 26),
        ((2.0, 4, 9, "orthant"), 1 / 26),
        ((2.0, 4, 9, "averages"), 1 / 26),
    ],
)
def test_margins_of_constructions_by_hand(args, value):
    assert theory.construction_margin(*args) == pytest.approx(value)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 2.5, 3.0])
def test_who_attains_it_changes_at_two(p):
    best = theory.largest_margin(p, 3, 2)
    averages = theory.construction_margin(p, 3, 2, "averages")
    centres = theory.construction_margin(p, 3, 2, "centres")
    assert best == pytest.approx(max(averages, centres))
    assert (averages > centres) == (p < 2)
    assert (averages == pytest.approx(centres)) == (p == 2)


def _arrays(claim):
    value = claim.predict(claim.setting)["value"]
    return {"measured": value, "error": np.full(value.shape, 1e-12)}


@pytest.mark.parametrize(
    "name",
    ["largest-margin-attained", "smaller-margin-elsewhere", "largest-margin-search"],
)
def test_exact_evidence_is_accepted_and_decoys_refused(name):
    claim = _LEDGER[name]
    prediction, remainder = claim.predict(claim.setting), claim.remainder(claim.setting)
    arrays = _arrays(claim)
    assert claim.judge(arrays, prediction, remainder, 1e-3).conclusion == "true"
    for decoy in claim.decoys:
        wrong = decoy.alter(claim.setting, prediction)
        found = claim.judge(arrays, wrong, remainder, 1e-3).conclusion
        assert found == "false", decoy.name
    moved = {**arrays, "measured": 1.01 * arrays["measured"]}
    assert claim.judge(moved, prediction, remainder, 1e-3).conclusion == "false"


def test_the_search_may_stay_below_but_an_identity_may_not():
    below = {name: 0.9 for name in ("largest-margin-attained", "largest-margin-search")}
    found = {}
    for name, factor in below.items():
        claim = _LEDGER[name]
        arrays = {**_arrays(claim), "measured": factor * _arrays(claim)["measured"]}
        prediction = claim.predict(claim.setting)
        remainder = claim.remainder(claim.setting)
        finding = claim.judge(arrays, prediction, remainder, 1e-3)
        found[name] = finding.conclusion, finding.sampled
    assert found["largest-margin-attained"] == ("false", False)
    assert found["largest-margin-search"] == ("true", True)


def test_strictly_smaller_margins_are_not_the_largest():
    claim = _LEDGER["smaller-margin-elsewhere"]
    value = claim.predict(claim.setting)["value"]
    cases = claim.setting["cases"]
    largest = np.array([theory.largest_margin(*case[:3]) for case in cases])
    # Of a single centre a class the two constructions are the same network.
    assert np.all(value < largest * (1 - 1e-3))


def _trained(share):
    claim = _LEDGER["largest-margin-trained"]
    cases = len(claim.setting["cases"])
    size = np.full((cases, 3, 2), 40.0)
    bound = np.zeros((cases, 1, 1))
    for i, (p, _, count) in enumerate(claim.setting["cases"]):
        bound[i] = theory.largest_margin(p, count // 2, count // 2)
    return claim, {"size": size, "least": share * bound * size}


@pytest.mark.parametrize(
    ("share", "conclusion"),
    [(0.99, "true"), (1.001, "false"), (math.nan, "unresolved")],
)
def test_trained_networks_are_held_against_the_bound_at_exact_centres(
    share, conclusion
):
    claim, arrays = _trained(share)
    other = [i for i, c in enumerate(claim.setting["cases"]) if c[1] != "centres"]
    # Margins on other rows may be larger: the bound is for centres.
    arrays["least"][other] *= 10
    prediction, remainder = claim.predict(claim.setting), claim.remainder(claim.setting)
    assert claim.judge(arrays, prediction, remainder, 1e-3).conclusion == conclusion
    if conclusion == "true":
        for decoy in claim.decoys:
            wrong = decoy.alter(claim.setting, prediction)
            assert claim.judge(arrays, wrong, remainder, 1e-3).conclusion == "false"
