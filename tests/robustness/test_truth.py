"""Random networks in the plane, against a dense polar search."""

import numpy as np
from plane_nets import (
    DIM,
    RUNS,
    WIDTH,
    activation_of,
    batch_radius,
    forward,
    make,
)

from jaxbias.robustness import pgd

NETS, CHECKED = 10, 3


def _plane(seed, dtype="float64"):
    rng = np.random.default_rng(seed)
    cases = []
    for _ in range(NETS):
        w, v = rng.normal(size=(WIDTH, 2)), rng.normal(size=WIDTH)
        w, v = w.astype(dtype).astype(float), v.astype(dtype).astype(float)
        cases.append((w, v, rng.normal(size=(10, 2)), None))
    return cases


def _polar(weights, activation, x, y, order, reach):
    """Distance to the nearest broken point on a fan of rays, bisected along each."""
    angle = np.linspace(0, 2 * np.pi, 900, endpoint=False)
    rays = np.stack([np.cos(angle), np.sin(angle)], 1)
    if np.isinf(order):
        rays /= np.abs(rays).max(1, keepdims=True)
    steps = np.linspace(0, reach, 201)[1:]
    fan = (x + steps[:, None, None] * rays).reshape(-1, 2)
    broken = y * forward(weights, activation, fan).reshape(200, -1) <= 0
    if not broken.any():
        return np.inf
    rays, high = rays[broken.any(0)], steps[broken.argmax(0)[broken.any(0)]]
    low = high - steps[0]
    for _ in range(40):
        middle = (low + high) / 2
        wrong = y * forward(weights, activation, x + middle[:, None] * rays) <= 0
        low, high = np.where(wrong, low, middle), np.where(wrong, middle, high)
    return high.min()


def test_ends_enclose_the_truth(exponent, order, dtype):
    activation = activation_of(exponent)
    cases = []
    for w, v, x, _ in _plane(int(10 * exponent), dtype):
        f = forward(make(w, v), activation, x)
        cases.append((w, v, x, np.where(f >= 0, 1.0, -1.0)))
    found = batch_radius(cases, exponent, order, dtype)
    tightness = []
    for i, (w, v, x, y) in enumerate(cases):
        for j in range(CHECKED):
            lower, upper = found.lower[i, j], found.upper[i, j]
            reach = min(1.02 * upper, 30.0) + 1e-3
            truth = _polar(make(w, v), activation, x[j], y[j], order, reach)
            # f(0) = 0 is a tie, and no ray of the fan need pass through the origin.
            truth = min(truth, np.linalg.norm(x[j], order))
            # A fan of finitely many rays lies above the truth, never below.
            assert lower <= truth
            if np.isfinite(upper):
                tightness.append(truth / upper)
                witness = found.witness[i, j]
                reached = np.linalg.norm(witness[:2] - x[j], order)
                assert reached <= upper
                assert np.all(witness[2:] == 0)
                f = forward(make(w, v), activation, witness[None, :2])[0]
                assert y[j] * f <= 1e-12
    assert np.median(tightness) > 0.999
    assert np.mean(np.asarray(tightness) > 0.95) > 0.9
    # The fan misses corners by a few per cent at most.
    assert np.max(tightness) < 1.03


def test_pgd_never_breaks_what_the_attack_calls_unbroken(exponent):
    activation = activation_of(exponent)
    epsilons = np.linspace(0.05, 1.5, 12)
    cases = []
    for w, v, x, _ in _plane(5)[:4]:
        f = forward(make(w, v), activation, x)
        cases.append((w, v, x, np.where(f >= 0, 1.0, -1.0)))
    found = batch_radius(cases, exponent, 2)
    ours, theirs = [], []
    for i, (w, v, x, y) in enumerate(cases):
        hidden, points = np.zeros((WIDTH, DIM)), np.zeros((10, DIM))
        hidden[:, :2], points[:, :2] = w, x
        weights = make(hidden, v)
        theirs.append(
            pgd.robust_accuracy(weights, activation, points, y, epsilons, steps=200)
        )
        ours.append(found.attacked(epsilons)[i])
    assert found.lower.shape == (RUNS, 10)
    # Not one point broken within a radius on the grid that we call unbroken.
    assert np.all(np.asarray(ours) <= np.asarray(theirs) + 1e-9)
