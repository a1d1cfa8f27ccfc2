"""Lemma 1 of the separable setting on a network integrated here."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from jaxbias.theory.separable import CLAIMS, lemma_1_bounds

[_LEMMA] = CLAIMS


def _data(samples, correlation, dim, rng):
    """Equicorrelated x_i y_i by the symmetric root of the Gram matrix, rotated."""
    gram = np.full((samples, samples), correlation) + (1 - correlation) * np.eye(
        samples
    )
    values, vectors = np.linalg.eigh(gram)
    basis, _ = np.linalg.qr(rng.standard_normal((dim, samples)))
    y = np.where(np.arange(samples) % 2, -1.0, 1.0)
    return y[:, None] * ((vectors * np.sqrt(values)) @ vectors.T @ basis.T), y


def _worst(samples, width, dim, correlation, scale, seed=0):
    """Sup over [0, T] of direction error, squared norm and output."""
    rng = np.random.default_rng(seed)
    x, y = _data(samples, correlation, dim, rng)
    shape = rng.standard_normal((width, dim))
    hidden = scale * shape / np.linalg.norm(shape, axis=1)[:, None]
    sense = np.where(np.arange(width) % 2, -1.0, 1.0)

    def parts(state):
        w, v = state[:-width].reshape(width, dim), state[-width:]
        scores = np.maximum(w @ x.T, 0)
        return w, v, scores, v @ scores

    def field(_, state):
        w, v, scores, f = parts(state)
        pull = y * np.exp(-y * f)
        push = v[:, None] * ((scores > 0) * pull @ x)
        return np.concatenate([push.ravel(), scores @ pull])

    end = math.log(1 / (math.sqrt(width) * scale)) / (4 * samples)
    times = np.linspace(0, end, 15)
    start = np.concatenate([hidden.ravel(), scale * sense])
    run = solve_ivp(field, (0, end), start, t_eval=times, rtol=1e-9, atol=1e-9 * scale)
    worst = np.zeros(3)
    for state in run.y.T:
        w, v, scores, f = parts(state)
        norms = np.linalg.norm(w, axis=1)
        unit = w / norms[:, None]
        turn = field(0, state)[:-width].reshape(width, dim) / norms[:, None]
        error = turn - sense[:, None] * ((scores > 0) * y @ x)
        error -= np.sum(error * unit, axis=1)[:, None] * unit
        now = np.linalg.norm(error, axis=1).max(), norms.max() ** 2, np.abs(f).max()
        worst = np.maximum(worst, now)
    return worst


@pytest.fixture(scope="module")
def measured():
    s = _LEMMA.setting
    sizes = s["samples"], s["width"], s["dim"], s["correlation"]
    return np.array([_worst(*sizes, scale) for scale in s["scales"]]).T


def _judge(measured, prediction):
    return _LEMMA.judge({"measured": measured}, prediction, None, 0.01)


def test_the_lemma_holds_on_a_network_and_its_decoys_do_not(measured):
    prediction = _LEMMA.predict(_LEMMA.setting)
    assert prediction["bound"].shape == measured.shape == (3, 3)
    finding = _judge(measured, prediction)
    assert (finding.conclusion, finding.sampled) == ("true", True)
    for decoy in _LEMMA.decoys:
        wrong = decoy.alter(_LEMMA.setting, prediction)
        assert _judge(measured, wrong).conclusion == "false"


def test_norms_start_at_the_square_of_the_scale(measured):
    """The bound on norms is not loose by an order in eps alone: eps^2 <= eps."""
    scales = np.array(_LEMMA.setting["scales"])
    assert np.all(measured[1] >= scales**2)
    bound = _LEMMA.predict(_LEMMA.setting)["bound"]
    np.testing.assert_allclose(bound[1], 2 * scales / math.sqrt(50))


@pytest.mark.parametrize(("samples", "width", "dim"), [(2, 8, 4), (4, 20, 6)])
def test_the_lemma_at_other_sizes(samples, width, dim):
    found = _worst(samples, width, dim, 0.2, 1e-3, seed=5)
    assert np.all(found <= lemma_1_bounds(samples, width, 1e-3))


@pytest.mark.parametrize(
    ("samples", "width", "scale", "bounds"),
    [
        (6, 50, 1e-3, (0.1697, 2.828e-4, 0.01414)),
        (6, 50, 1e-6, (1.697e-4, 2.828e-7, 1.414e-5)),
        (10, 4, 1e-2, (0.8, 0.01, 0.04)),
        (1, 1, 0.25, (1.0, 0.5, 0.5)),
    ],
)
def test_bounds_by_hand(samples, width, scale, bounds):
    assert lemma_1_bounds(samples, width, scale) == pytest.approx(bounds, rel=1e-3)


def test_at_the_largest_scale_outputs_stay_below_one_half():
    """The hypothesis eps <= 1/(4 sqrt(h)) makes the third bound 1/2."""
    for width in (1, 9, 400):
        edge = 1 / (4 * math.sqrt(width))
        assert lemma_1_bounds(3, width, edge)[2] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("scales", "status"), [((1e-3, 0.03), "met"), ((1e-6, 0.04), "unmet")]
)
def test_the_largest_scale_decides_the_hypothesis(scales, status):
    [found] = _LEMMA.hypotheses({**_LEMMA.setting, "scales": scales})
    assert found.status == status
    assert found.margin == pytest.approx(0.25 / math.sqrt(50) - max(scales))


def test_an_unfinished_run_is_no_support(measured):
    lost = measured.copy()
    lost[0, 0] = math.nan
    found = _judge(lost, _LEMMA.predict(_LEMMA.setting))
    assert found.conclusion == "unresolved"
