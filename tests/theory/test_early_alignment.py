"""Early-phase laws against the gradient flow of a whole neuron, integrated."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxbias.theory import early_alignment as early
from jaxbias.theory.early_alignment import CLAIMS

_LEDGER = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}
_SIGNS = np.array([1.0, 1.0, -1.0])
_START = np.array([0.5, 0.35, 0.3, -0.2, 0.4])
_TIGHT = {"rtol": 1e-11, "atol": 1e-13, "method": "DOP853"}


def _pull(w, signs, p):
    """``sum_k s_k grad_w |w| s(w_k/|w|)^p``: the gradient of a neuron's output."""
    norm = np.linalg.norm(w)
    c = np.zeros_like(w)
    c[: signs.size] = np.maximum(w[: signs.size], 0) / norm
    gate = np.where(c > 0, np.where(c > 0, c, 1.0) ** (p - 1), 0.0)
    whole = np.zeros_like(w)
    whole[: signs.size] = signs * gate[: signs.size]
    mass = whole @ c
    return p * whole - (p - 1) * mass * w / norm, norm * mass


def _direction(start, signs, p, times):
    """Directions of a balanced positive neuron in weight space at the times."""

    def field(_, y):
        push, rate = _pull(y[:-1], signs, p)
        return np.append(y[-1] * push, rate)

    begin = np.append(start / np.linalg.norm(start), 1.0)
    run = solve_ivp(field, (0, times[-1]), begin, t_eval=times, **_TIGHT)
    return run.y[:-1] / np.linalg.norm(run.y[:-1], axis=0)


@pytest.mark.parametrize("p", [1.5, 2.0, 3.0])
def test_the_pull_is_the_gradient_of_the_output(p):
    """The field used below, by central differences of the network itself."""

    def output(w):
        score = np.maximum(w[:3], 0) ** p / np.linalg.norm(w) ** (p - 1)
        return float(_SIGNS @ score)

    push, rate = _pull(_START, _SIGNS, p)
    steps = 1e-6 * np.eye(5)
    found = [(output(_START + h) - output(_START - h)) / 2e-6 for h in steps]
    np.testing.assert_allclose(push, found, atol=1e-8)
    assert rate == pytest.approx(output(_START))


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0])
@pytest.mark.parametrize("other", [1, 2, 3, 4])
def test_ratio_rates(p, other):
    """Own class, opposite class, and two directions that no sample sees."""
    h = 1e-3
    path = _direction(_START, _SIGNS, p, np.array([0, h, 2 * h, 3 * h, 4 * h]))
    logs = np.log(path[0] / np.abs(path[other]))
    slope = logs @ np.array([-25, 48, -36, 16, -3]) / (12 * h)
    unit = _START / np.linalg.norm(_START)
    found = early.ratio_rates(unit, _SIGNS, p)
    assert found[other - 1] == pytest.approx(slope, abs=1e-6)


@pytest.mark.parametrize("p", [1.0, 1.5, 3.0, 4.0])
def test_an_inactive_own_centre_counts_as_unseen(p):
    start = early.unit_rows([[0.5, -0.35, 0.3]])[0]
    found = early.ratio_rates(start, np.ones(3), p)[0]
    assert found == pytest.approx(p * start[0] ** (p - 2))


def test_the_decoy_sign_only_touches_the_opposite_class():
    start = early.unit_rows([_START])[0]
    right = early.ratio_rates(start, _SIGNS, 3.0)
    wrong = early.ratio_rates(start, _SIGNS, 3.0, same_sign=True)
    np.testing.assert_array_equal(right != wrong, [False, True, False, False])
    assert right[1] - wrong[1] == pytest.approx(6 * start[2])


@pytest.mark.parametrize("start", early._ALL_ACTIVE)
def test_the_tanh_bound_is_below_the_path_of_an_averaging_neuron(start):
    signs, times = np.array(early._SIGNS), np.linspace(0.05, 1.5, 30)
    path = _direction(np.array(start), signs, 1.0, times)
    cosine = path[:3].sum(axis=0) / math.sqrt(3)
    begin = early.unit_rows([start])[0][:3].sum() / math.sqrt(3)
    bound = early.tanh_bound(begin, 3, times)
    assert np.all(cosine >= bound - 1e-8)


def test_the_tanh_bound_is_attained_without_active_opposite_centres():
    start = np.array([0.2, 0.3, 0.1, -0.5, 0.7])
    signs, times = np.array([1.0, 1.0, 1.0, -1.0]), np.linspace(0.1, 1.5, 8)
    path = _direction(start, signs, 1.0, times)
    begin = early.unit_rows([start])[0][:3].sum() / math.sqrt(3)
    found = early.tanh_bound(begin, 3, times)
    np.testing.assert_allclose(path[:3].sum(axis=0) / math.sqrt(3), found, rtol=1e-8)


def _speed(w, signs, p):
    push, _ = _pull(w, signs, p)
    return push[0] - w[0] * (push @ w)


@pytest.mark.parametrize("p", [2.25, 2.5, 3.0, 4.0, 6.0])
@pytest.mark.parametrize("cosine", [0.72, 0.8, 0.9, 0.96, 0.99])
def test_cone_speed_is_the_slowest_configuration(p, cosine):
    signs, side = np.array([1.0, 1.0, 1.0, -1.0, -1.0]), math.sqrt(1 - cosine**2)
    bound = early.cone_speed(cosine, p)
    assert bound > 0
    rest = np.random.default_rng(0).standard_normal((300, 7))
    speeds = [
        _speed(np.append(cosine, side * r), signs, p) for r in early.unit_rows(rest)
    ]
    assert min(speeds) >= bound - 1e-12
    # All of the rest on one rival of the same class is the slowest.
    rival = np.append(cosine, side * np.eye(7)[0])
    assert _speed(rival, signs, p) == pytest.approx(bound, rel=1e-10)


@pytest.mark.parametrize("p", [2.5, 3.0, 4.0])
def test_cone_speed_changes_sign_at_45_degrees(p):
    edge = math.sqrt(0.5)
    assert early.cone_speed(edge + 1e-3, p) > 0 > early.cone_speed(edge - 1e-3, p)


@pytest.mark.parametrize(
    ("name", "p"),
    [("averages", 1.0), ("averages", 1.5), ("centres", 3.0), ("neutral", 2.0)],
)
def test_the_limit_that_a_phase_claims(name, p):
    """One neuron of each phase, integrated to time 60 (p = 2: ratios at 5)."""
    claim = _LEDGER[f"phase-transition-{name}"]
    own = claim.setting["positive"]
    signs = np.where(np.arange(claim.setting["clusters"]) < own, 1.0, -1.0)
    start = np.array([0.35, 0.5, -0.1, 0.3, -0.2, 0.4, 0.2])
    end = _direction(start, signs, p, np.array([5.0 if p == 2 else 60.0]))[:own, 0]
    target = claim.predict(claim.setting)["target"]
    delta = claim.remainder(claim.setting).delta
    if target == "average":
        assert end @ [1, 1, 0] / math.sqrt(2) >= 1 - delta
    elif target == "centre":
        assert end[1] >= 1 - delta
    else:
        assert end[0] / end[1] == pytest.approx(0.35 / 0.5, rel=delta)
        assert end[0] < 0.9


@pytest.mark.parametrize("index", range(4))
@pytest.mark.parametrize("place", range(5))
def test_the_closed_path_is_a_direction_on_the_flow(index, place):
    """The predicted direction lies on the trajectory of the neuron itself."""
    claim = _LEDGER["closed-path"]
    p = claim.setting["exponents"][place]
    start = np.array(claim.setting["starts"][index])
    target = claim.predict(claim.setting)["value"][place, index]
    times = np.linspace(0, 0.3, 6001)
    path = _direction(start, np.array(claim.setting["signs"]), p, times)
    distance = np.linalg.norm(path - target[:, None], axis=0)
    # A grid of step 5e-5 passes within half a step times the speed, below 6.
    assert distance.min() < 3e-4
    assert 0 < np.argmin(distance) < times.size - 1


@pytest.mark.parametrize(
    ("name", "changes", "shape"),
    [
        ("ratio-law", {}, (5, 4, 6)),
        ("closed-path", {}, (5, 4, 7)),
        ("averaging-tanh-bound", {}, (10, 3)),
        ("centre-cone", {}, (27,)),
    ],
)
def test_predictions_cover_every_case(name, changes, shape):
    claim = _LEDGER[name]
    prediction = claim.predict({**claim.setting, **changes})
    [values] = prediction.values()
    assert values.shape == shape
    assert np.all(np.isfinite(values))


@pytest.mark.parametrize(
    ("name", "lead", "met"),
    [("averages", 1.0, True), ("centres", 1.1, True), ("centres", 0.9, False)],
)
def test_hypotheses_ask_for_a_lead(name, lead, met):
    claim = _LEDGER[f"phase-transition-{name}"]
    found = claim.hypotheses({**claim.setting, "lead": lead})
    assert [h.status for h in found] == ["met", "met" if met else "unmet"]
    assert found[1].margin == pytest.approx(lead - 1)


@pytest.mark.parametrize("name", ["averages", "centres", "neutral"])
def test_one_neuron_that_strays_fails_a_phase(name):
    claim = _LEDGER[f"phase-transition-{name}"]
    prediction = claim.predict(claim.setting)
    arrays = {k: np.array([1.0, 1.0]) for k in ("average", "centre", "frozen")}
    remainder = claim.remainder(claim.setting)
    good = claim.judge(arrays, prediction, remainder, 0.01)
    assert (good.conclusion, good.sampled) == ("true", True)
    arrays[prediction["target"]] = np.array([1.0, 1 - 3 * remainder.delta])
    assert claim.judge(arrays, prediction, remainder, 0.01).conclusion == "false"


def test_numerical_error_widens_a_bound_and_is_told():
    claim = _LEDGER["averaging-tanh-bound"]
    prediction = claim.predict(claim.setting)
    value = prediction["bound"] - 1e-5
    remainder = claim.remainder(claim.setting)
    sharp = {"measured": value, "error": np.full(value.shape, 1e-7)}
    blunt = {"measured": value, "error": np.full(value.shape, 2e-5)}
    assert claim.judge(sharp, prediction, remainder, 0.01).conclusion == "false"
    found = claim.judge(blunt, prediction, remainder, 0.01)
    assert found.conclusion == "true"
    assert found.numerical_error == pytest.approx(2e-5, rel=1e-3)
