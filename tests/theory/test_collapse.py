"""Limits and laws of neural collapse against programs, ODEs and cases known by hand."""

import math

import numpy as np
import pytest
from scipy import special
from scipy.integrate import solve_ivp
from scipy.optimize import minimize

from jaxbias._checks import InputError
from jaxbias.theory import _collapse_data as data
from jaxbias.theory import _collapse_laws as laws
from jaxbias.theory import _collapse_limits as limits
from jaxbias.theory.collapse import CLAIMS

_LEDGER = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}
_BOTH = pytest.mark.parametrize("setting", [data.TWO, data.THREE], ids=["two", "three"])


def _class(seed, count=3, dim=5):
    rows = np.random.default_rng(seed).standard_normal((count, dim)) / 3
    rows[:, 0] += 1
    return rows


def _equicorrelated(count, correlation, norm=1.0):
    gram = np.full((count, count), correlation) + (1 - correlation) * np.eye(count)
    return norm * np.linalg.cholesky(gram)


@pytest.mark.parametrize("seed", range(5))
def test_the_largest_margin_by_quadratic_programming(seed):
    rows = _class(seed, count=6)
    solved = minimize(
        lambda b: b @ b,
        rows.mean(axis=0),
        constraints={"type": "ineq", "fun": lambda b: rows @ b - 1},
        method="SLSQP",
        options={"ftol": 1e-13, "maxiter": 500},
    )
    margin, direction, weights = limits.max_margin(rows)
    size = np.linalg.norm(solved.x)
    assert margin == pytest.approx(1 / size, rel=1e-6)
    np.testing.assert_allclose(direction, solved.x / size, atol=1e-5)
    # Duality: the multipliers' mixture is the nearest point of the hull.
    assert np.all(weights >= 0)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(weights @ rows, margin * direction, atol=1e-12)
    beyond = rows @ direction > margin + 1e-9
    assert np.all(weights[beyond] == 0)


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("correlation", [0.0, 0.4])
def test_equal_rows_have_a_closed_margin_and_no_tilt(count, correlation):
    rows = _equicorrelated(count, correlation, norm=2.0)
    found = limits.class_limit(rows)
    expected = 2 * math.sqrt((1 + (count - 1) * correlation) / count)
    assert found.margin == pytest.approx(expected)
    assert found.entropy == pytest.approx(math.log(count), abs=1e-12)
    np.testing.assert_allclose(found.offsets, 0, atol=1e-10)
    assert found.tilt == pytest.approx(0, abs=1e-9)


def test_two_rows_by_hand():
    # Multipliers (1, 4)/5 of orthogonal rows of norms 2 and 1.
    found = limits.class_limit(np.array([[2.0, 0.0], [0.0, 1.0]]))
    assert found.margin == pytest.approx(2 / math.sqrt(5))
    np.testing.assert_allclose(found.direction, [1 / math.sqrt(5), 2 / math.sqrt(5)])
    spread = math.log(5) - 0.8 * math.log(4)
    assert found.entropy == pytest.approx(spread)
    r = np.array([math.log(5) - spread, math.log(5 / 4) - spread])
    np.testing.assert_allclose(found.offsets, r)
    assert found.tilt == pytest.approx(found.margin * math.hypot(r[0] / 2, r[1]))
    shift = 0.8 * r / np.array([4, 1]) / np.array([0.2, 0.8])
    assert found.next_order == pytest.approx(abs(shift).max() / abs(r).max())


def test_rows_without_a_separator_or_off_the_margin_are_refused():
    with pytest.raises(InputError, match="origin"):
        limits.max_margin(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    with pytest.raises(InputError, match="beyond the margin"):
        limits.class_limit(np.array([[1.0, 0.0], [3.0, 0.1]]))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("classes", [2, 3, 5])
def test_the_law_of_m_is_exact_for_equal_rows(count, classes):
    """beta along u: z' = 2 z gamma sum_i of the loss's slope, by an ODE."""
    rows = _equicorrelated(count, 0.3)
    limit = limits.class_limit(rows)
    kappa = math.sqrt(classes / (classes - 1)) if classes > 2 else 1.0
    others = classes - 1 if classes > 2 else 1

    def field(tau, y):
        m = kappa * limit.margin * math.exp(y[0])
        # -dl/dm of log(1 + (K-1) e^-m), or of e^-m for one output.
        slope = others * math.exp(-m)
        slope = slope / (1 + slope) if classes > 2 else slope
        return [2 * limit.margin * kappa * count * slope * math.exp(tau)]

    end = math.log(1e12)
    run = solve_ivp(field, (0, end), [math.log(1e-3)], method="LSODA", rtol=1e-9)
    found = limits.late_margin(limit, 1e12, classes)
    assert found == pytest.approx(
        kappa * limit.margin * math.exp(run.y[0, -1]), abs=1e-4
    )
    rate = 2 * limit.margin * count * kappa * others
    assert special.expi(found) == pytest.approx(rate * 1e12, rel=1e-9)


def test_the_offsets_of_unequal_rows_are_what_a_linear_class_tends_to():
    """Deep linear flow beta' = |beta| (G + b b^T G), G = sum_i e^-q_i x_i."""
    rows = data.by_class(data.TWO)[0]
    limit = limits.class_limit(rows)

    def field(tau, beta):
        size = np.linalg.norm(beta)
        pull = np.exp(tau - rows @ beta) @ rows
        return size * pull + beta * (beta @ pull) / size

    start = 1e-3 * rows.mean(axis=0)
    end = math.log(1e40)
    run = solve_ivp(field, (0, end), start, method="LSODA", rtol=1e-9, atol=1e-12)
    beta = run.y[:, -1]
    m = limits.late_margin(limit, 1e40)
    assert limit.margin * np.linalg.norm(beta) == pytest.approx(m, abs=1 / m)
    off = beta - (beta @ limit.direction) * limit.direction
    slow = 2 * limit.next_order / m
    share = np.linalg.norm(off) / np.linalg.norm(beta)
    assert share == pytest.approx(limit.tilt / m, rel=slow)
    np.testing.assert_allclose(
        rows @ beta - m, limit.offsets, atol=1.5 * slow * abs(limit.offsets).max()
    )


@pytest.mark.parametrize("classes", [2, 3, 4, 7])
def test_columns_are_unit_and_equally_apart(classes):
    found = limits.columns(classes)
    gram = found.T @ found
    np.testing.assert_allclose(np.diag(gram), 1)
    off = gram[~np.eye(classes, dtype=bool)]
    np.testing.assert_allclose(off, -1 / (classes - 1))
    # Along a column the own output leads any other by kappa.
    lead = found[0, 0] - found[0, 1]
    expected = math.sqrt(classes / (classes - 1))
    assert lead == pytest.approx(expected)
    if classes > 2:
        assert limits.stretch(classes) == pytest.approx(expected)


def test_shares_make_margins_equal_and_layers_halves():
    margins = np.array([0.3, 1.0, 2.5])
    shares = limits.layer_shares(margins)
    assert np.sum(shares**2) == pytest.approx(0.5)
    np.testing.assert_allclose(shares**2 * margins, (shares**2 * margins)[0])
    assert shares[0] ** 2 * 0.3 == pytest.approx(1 / (2 * np.sum(1 / margins)))


def test_no_other_shares_have_a_larger_margin():
    """Same directions, random positive sizes of the same total norm."""
    rows = data.by_class(data.TWO)
    margins = np.array([limits.max_margin(block)[0] for block in rows])
    best = limits.layer_shares(margins)
    value = np.min(best**2 * margins)
    for seed in range(50):
        squares = np.random.default_rng(seed).random(2)
        squares = squares / (2 * squares.sum())
        assert np.min(squares * margins) <= value + 1e-12


@_BOTH
def test_rows_are_separable_and_every_hypothesis_is_met(setting):
    rows, labels = data.rows_of(setting)
    products = rows @ rows.T
    same = labels[:, None] == labels[None, :]
    assert products[same].min() > 0 > products[~same].max()
    found = data.hypotheses(setting)
    assert [h.status for h in found] == ["met"] * len(found)
    assert sum(len(block) for block in data.by_class(setting)) == len(rows)


def test_hypotheses_notice_what_they_ask_for():
    wide = {**data.THREE, "norms": (1.0, 1.0, 1.3)}
    unmet = [h.name for h in data.hypotheses(wide) if h.status == "unmet"]
    assert unmet == ["X_max^2/(X_min^2 mu_d mu_s) < 2K - 3"]
    far = {**data.THREE, "spread": 5.0}
    unmet = [h.name for h in data.hypotheses(far) if h.status == "unmet"]
    assert unmet == ["every neuron sees its own class only"]
    mixed = [list(row) for row in data.TWO["correlations"]]
    mixed[0][4] = mixed[4][0] = -0.1
    found = data.hypotheses({**data.TWO, "correlations": tuple(map(tuple, mixed))})
    assert found[1].status == "unmet"
    assert found[1].margin == pytest.approx(-0.1)


@_BOTH
def test_starts_are_balanced_and_small(setting):
    hidden, output = data.start_of(setting)
    norms = np.linalg.norm(hidden, axis=1)
    np.testing.assert_allclose(norms, setting["scale"])
    np.testing.assert_allclose(np.linalg.norm(output, axis=1), norms)
    request = data.late(setting, "quick")
    np.testing.assert_array_equal(request.parameters["hidden"], hidden)
    assert request.parameters["time"] == setting["time"]


@_BOTH
def test_the_limit_network_attains_its_margins(setting):
    hidden, output = laws.limit_network(setting)
    rows, labels = data.rows_of(setting)
    scores = np.maximum(rows @ hidden.T, 0) @ output
    if setting["classes"] == 2:
        margins = labels * scores[:, 0]
    else:
        own = scores[np.arange(len(rows)), labels]
        scores[np.arange(len(rows)), labels] = -math.inf
        margins = own - scores.max(axis=1)
    value = laws.limit_margins(setting)["value"]
    np.testing.assert_allclose(margins, value[0], rtol=1e-9)
    assert np.sum(hidden**2) == pytest.approx(value[-2])
    assert np.sum(output**2) == pytest.approx(value[-1])


@_BOTH
def test_first_order_metrics_are_those_of_features_with_the_offsets(setting):
    """Class k's features q_i sqrt(gamma_k/m_k) along an axis of its own."""
    classes = setting["classes"]
    sizes = laws.late_margins(setting)
    found = data.limits_of(setting)
    blocks = []
    for k, (limit, m) in enumerate(zip(found, sizes, strict=True)):
        block = np.zeros((limit.offsets.size, classes))
        block[:, k] = (m + limit.offsets) * math.sqrt(limit.margin / m)
        blocks.append(block)
    means = np.array([block.mean(axis=0) for block in blocks])
    within = sum(block.var(axis=0).sum() for block in blocks)
    between = np.sum((means - means.mean(axis=0)) ** 2)
    value = laws.collapse_metrics(setting)["value"]
    assert value[0] == pytest.approx(within / between, rel=1e-9)
    assert value[1] == 0
    if classes > 2:
        # The readout sqrt(m/gamma) columns takes the mean feature to m columns.
        readout = limits.columns(classes) * np.sqrt(
            sizes / np.array([limit.margin for limit in found])
        )
        taken = readout @ means.T
        ideal = limits.columns(classes) / math.sqrt(classes)
        gap = np.linalg.norm(taken / np.linalg.norm(taken) - ideal)
        assert value[2] == pytest.approx(gap, rel=1e-6)


def _arrays(setting, move=0.0, error=0.0):
    """What the laws say, moved by ``move`` of each value."""
    units = laws.norm_law(setting)["unit"]
    sizes = laws.late_margins(setting)
    least = [np.min(limit.offsets) for limit in data.limits_of(setting)]
    # The first class alone, so that ratios move, too.
    first = 1 + move * (np.arange(sizes.size) == 0)
    arrays = {
        "sizes": first * sizes / units,
        "least": first * (sizes + np.array(least)),
        "tilts": (1 + move) * laws.tilts(setting)["value"],
        "metrics": (1 + move) * laws.collapse_metrics(setting)["value"],
        "between": np.array([max(move, 0.0)]),
        "within": np.array([0.99]),
        "inputs": np.array([0.5]),
        "measured": (1 + move) * laws.limit_margins(setting)["value"],
        "error": np.full(sizes.size + 2, 1e-12),
    }
    names = ("sizes", "least", "tilts", "metrics")
    return {**arrays, **{f"error_{n}": np.full_like(arrays[n], error) for n in names}}


def _judged(claim, arrays, decoy=None):
    prediction = claim.predict(claim.setting)
    if decoy is not None:
        prediction = decoy.alter(claim.setting, prediction)
    return claim.judge(arrays, prediction, claim.remainder(claim.setting), 1e-3)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_laws_are_their_own_evidence_and_decoys_are_refused(claim):
    exact = _arrays(claim.setting)
    assert _judged(claim, exact).conclusion == "true"
    for decoy in claim.decoys:
        assert _judged(claim, exact, decoy).conclusion == "false", decoy.name


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_moved_evidence_is_refused(claim):
    """By 1 % where ratios or m are concerned; the first orders are known to 50 %."""
    move = 1.0 if "rank-one" in claim.id or "collapse" in claim.id else 0.01
    assert _judged(claim, _arrays(claim.setting, move)).conclusion == "false"


@pytest.mark.parametrize(
    "claim", [c for c in CLAIMS if c.kind == "closed form"], ids=lambda claim: claim.id
)
def test_errors_above_the_remainder_leave_it_open(claim):
    found = _judged(claim, _arrays(claim.setting, error=math.inf))
    assert found.conclusion == "unresolved"


@pytest.mark.parametrize(
    ("name", "value"), [("norm-ratio", 0.5098), ("norm-ratio-multiclass", 1.0087)]
)
def test_ratios_in_numbers(name, value):
    claim = _LEDGER[name]
    assert claim.predict(claim.setting)["value"][-1] == pytest.approx(value, abs=1e-4)
    # The remainder is 1/log t and some 1/log^2 t.
    early = {**claim.setting, "time": 1e50}
    ratio = claim.remainder(early).delta / claim.remainder(claim.setting).delta
    assert np.all((ratio > 1.9) & (ratio < 4))


def test_claims_say_which_loss_they_are_about():
    for claim in CLAIMS:
        several = claim.setting["classes"] > 2
        assert claim.id.endswith("-multiclass") == several
        loss = "cross entropy" if several else "exp(-y f)"
        assert claim.conventions["loss_scale"] == loss
        assert claim.provenance == "derived"
