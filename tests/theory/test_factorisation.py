"""Incremental learning against the closed form of the whole matrix."""

import math

import numpy as np
import pytest

from jaxbias.theory import factorisation as theory
from jaxbias.theory.conserved import matrix_factorisation
from jaxbias.theory.factorisation import CLAIMS, Constants

_LEDGER = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}
_RANKS = ("incremental-spectral", "incremental-general")


def _whole(target, start, time):
    """W^-1 = S^-1 W0^-1 S^-1 + S^-1 G S^-1: the closed form without large numbers."""
    values, basis = np.linalg.eigh(target)
    values = np.where(np.abs(values) < 1e-12, 0.0, values)
    safe = np.where(values == 0, 1.0, values)
    settled = np.where(values == 0, 2 * time, -np.expm1(-2 * values * time) / safe)
    fade = np.exp(-values * time)
    begin = np.linalg.inv(basis.T @ start @ basis)
    inverse = fade[:, None] * begin * fade[None, :] + np.diag(settled)
    return basis @ np.linalg.inv(inverse) @ basis.T


@pytest.mark.parametrize("time", [0.0, 0.3, 0.9])
def test_two_ways_to_write_the_closed_form(time):
    rng = np.random.default_rng(3)
    half, factor = rng.standard_normal((2, 4, 4))
    target, start = half @ half.T / 4, 0.1 * factor @ factor.T
    found = matrix_factorisation(target, start, time)
    np.testing.assert_allclose(_whole(target, start, time), found, rtol=1e-7)


@pytest.mark.parametrize("time", [0.0, 0.3, 2.0, 20.0, 400.0])
def test_eigenvalues_of_a_commuting_start_by_the_matrix_formula(time):
    values, start = np.array([3.0, 1.0, 0.2, 0.0]), np.array([1e-3, 0.2, 1e-2, 0.5])
    found = theory.eigenvalues_at(np.array([time]), values, start)[0]
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    if time < 100:
        whole = matrix_factorisation(
            (basis * values) @ basis.T, (basis * start) @ basis.T, time
        )
        np.testing.assert_allclose(
            np.diag(basis.T @ whole @ basis), found, rtol=1e-7, atol=1e-12
        )
    else:
        np.testing.assert_allclose(found[:3], values[:3], rtol=1e-12)
        assert found[3] == pytest.approx(0.5 / (1 + time))


def test_eigenvalues_solve_their_equations():
    values, start = np.array([2.0, 0.0]), np.array([0.1, 0.3])
    step = 1e-4
    times = np.array([1.0 - step, 1.0, 1.0 + step])
    path = theory.eigenvalues_at(times, values, start)
    slope = (path[2] - path[0]) / (2 * step)
    np.testing.assert_allclose(slope, 2 * path[1] * (values - path[1]), rtol=1e-6)
    np.testing.assert_allclose(
        theory.eigenvalues_at(np.array([0.0]), values, start)[0], start
    )


def test_intervals_by_hand():
    ends = theory.intervals(
        np.array([4.0, 1.0, 0.0]), 1e-6, Constants(late=1e2, early=1e-2)
    )
    ten = math.log(10)
    np.testing.assert_allclose(ends[:, 0], [8 * ten / 8, 8 * ten / 2])
    np.testing.assert_allclose(ends[0, 1], 4 * ten / 2)
    assert math.isinf(ends[1, 1])
    slow = theory.intervals(np.array([4.0, 1.0]), 1e-6, Constants(1e2, 1e-2), rate=1.0)
    np.testing.assert_allclose(slow[0], 2 * ends[0])
    assert math.isinf(slow[1, 1])


def test_constants_of_a_start_along_the_eigenvectors_are_sharper():
    shape = (0.5, 2.0, 1.0)
    spectral = theory.spectral_constants(shape, 3.0, 1e-2)
    assert spectral == (9 / (1e-2 * 0.5), 1e-2 / 2)
    general = theory.general_constants(np.diag(shape), 3.0, 1e-2)
    assert general.late == pytest.approx(16 * 9 * 4 / 1e-2)
    assert general.early == pytest.approx(1e-2 / 64)
    # M is the larger of both norms.
    flipped = theory.general_constants(np.diag((0.25, 2.0)), 3.0, 1e-2)
    assert flipped.early == pytest.approx(1e-2 / (16 * 16))


def _distance(setting, general, time, rank):
    """|W(t) - best rank k| by the closed form."""
    target, shape = theory._start(setting, general)
    whole = _whole(target, setting["smallness"] * shape, time)
    values, basis = np.linalg.eigh(target)
    values[: len(values) - rank] = 0
    return np.linalg.norm(whole - (basis * values) @ basis.T, ord=2)


@pytest.mark.parametrize("general", [False, True])
@pytest.mark.parametrize("draw", range(4))
def test_the_rank_is_k_throughout_interval_k(general, draw):
    setting = {**theory._SETTING, "draw": draw}
    ends = theory._predict(setting, general)["ends"]
    for k, (begin, end) in enumerate(ends, start=1):
        last = end if math.isfinite(end) else 1.2 * begin
        for time in np.linspace(begin, last, 7):
            found = _distance(setting, general, time, k)
            assert found <= setting["tolerance"] * (1 + 1e-6)


def test_the_spectral_constants_leave_nothing_away():
    """At the ends of the first interval the distance is the tolerance itself."""
    begin, end = theory._predict(theory._SETTING, False)["ends"][0]
    for time in (begin, end):
        found = _distance(theory._SETTING, False, time, 1)
        assert found == pytest.approx(1e-2, rel=0.01)
    assert _distance(theory._SETTING, False, begin - math.log(2) / 8, 1) > 1.5e-2
    assert _distance(theory._SETTING, False, end + math.log(2) / 2.4, 1) > 1.5e-2


def _evidence(general, scale=1.0):
    """The closed form at the claim's own times, its distance to Y scaled."""
    setting = theory._SETTING
    target, shape = theory._start(setting, general)
    start = setting["smallness"] * shape
    times = theory._times(setting, general)
    found = np.array([_whole(target, start, t) for t in times])
    found = target + scale * (found - target)
    return {"measured": found.ravel(), "error": np.full(found.size, 1e-9)}


def _judged(claim, arrays, decoy=None):
    prediction = claim.predict(claim.setting)
    if decoy is not None:
        prediction = decoy.alter(claim.setting, prediction)
    return claim.judge(arrays, prediction, claim.remainder(claim.setting), 1e-3)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_closed_form_is_accepted_and_decoys_refused(claim):
    general = claim.id.endswith("general")
    arrays = _evidence(general)
    assert _judged(claim, arrays).conclusion == "true"
    assert _judged(claim, _evidence(general, 1.05)).conclusion == "false"
    lost = {**arrays, "error": np.full(arrays["error"].shape, math.inf)}
    assert _judged(claim, lost).conclusion == "unresolved"
    for decoy in claim.decoys:
        assert _judged(claim, arrays, decoy).conclusion == "false", decoy.name


@pytest.mark.parametrize("name", _RANKS)
def test_only_times_inside_the_intervals_count(name):
    claim = _LEDGER[name]
    prediction = claim.predict(claim.setting)
    arrays = _evidence(claim.id.endswith("general"))
    times, ends = prediction["times"], prediction["ends"]
    inside = np.any(
        [(times >= b * (1 - 1e-9)) & (times <= e * (1 + 1e-9)) for b, e in ends], axis=0
    )
    assert inside.sum() >= 3 * claim.setting["points"]
    assert (~inside).sum() >= 5
    found = arrays["measured"].reshape(times.size, -1).copy()
    found[~inside] = 100.0
    assert _judged(claim, {**arrays, "measured": found.ravel()}).conclusion == "true"


@pytest.mark.parametrize("name", _RANKS)
def test_hypotheses_by_margin(name):
    claim = _LEDGER[name]
    assert {h.status for h in claim.hypotheses(claim.setting)} == {"met"}
    coarse = {**claim.setting, "smallness": 1e-4}
    assert claim.hypotheses(coarse)[1].status == "unmet"
    equal = {**claim.setting, "values": (4.0, 1.2, 1.2, 0.0, 0.0)}
    assert claim.hypotheses(equal)[0].margin == pytest.approx(0)
    large = {**claim.setting, "smallness": 0.5}
    assert claim.hypotheses(large)[2].status == "unmet"
