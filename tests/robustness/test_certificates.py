"""The root certificate: sound on random networks, tight on the explicit ones."""

import numpy as np
import pytest
from plane_nets import forward, make

from jaxbias.networks.activations import LeakyReLU, Power, PReLU, ReLU
from jaxbias.robustness import certificates, closed_form
from jaxbias.robustness._normal_form import normal_form

ACTIVATIONS = [ReLU(), LeakyReLU(0.2), PReLU(1.5), PReLU(2.0), PReLU(3.0), Power(3.0)]


def _certify(weights, activation, x, sign, order, **options):
    form = normal_form(weights, activation)
    return certificates.root_certificate(
        form.rows,
        form.offsets,
        sign * form.amplitudes,
        sign * form.levels(np.zeros(len(x))),
        x,
        activation,
        order,
        **options,
    )


def _random(rng, dim, biased):
    width = 9
    bias = rng.normal(size=width) * 0.4 if biased else None
    constant = rng.normal() * 0.4 if biased else None
    # Amplitudes over many scales, so that every slack set is used.
    output = rng.normal(size=width) * 10.0 ** rng.integers(-8, 1, size=width)
    return make(rng.normal(size=(width, dim)), output, bias, constant)


@pytest.mark.parametrize("biased", [False, True], ids=["plain", "biased"])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_nothing_inside_the_certified_ball_is_broken(activation, biased, order):
    rng = np.random.default_rng(7)
    certified = 0
    for trial in range(30):
        dim = (2, 3)[trial % 2]
        weights = _random(rng, dim, biased)
        x = rng.normal(size=(1, dim))
        sign = 1.0 if forward(weights, activation, x)[0] > 0 else -1.0
        lower = _certify(weights, activation, x, sign, order)[0]
        steps = rng.normal(size=(4000, dim))
        steps /= np.linalg.norm(steps, order, axis=1, keepdims=True)
        if np.isinf(order):
            corners = rng.choice([-1.0, 1.0], size=(200, dim))
            steps = np.concatenate([steps, corners])
        for share in (1.0, 0.7, 0.3):
            f = sign * forward(weights, activation, x + share * lower * steps)
            assert np.all(f > -1e-12 * np.abs(f).max())
        certified += lower > 0
    assert certified >= 20


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0, 3.0], ids="p{:g}".format)
def test_at_least_the_certificate_of_the_per_centre_network(exponent):
    rng = np.random.default_rng(1)
    activation = ReLU() if exponent == 1 else PReLU(exponent)
    signs = np.r_[np.ones(3), -np.ones(2)]
    weights = make(np.eye(5), signs)
    x = np.eye(5)[rng.integers(3, size=20)] + 0.2 * rng.normal(size=(20, 5))
    ours = _certify(weights, activation, x, 1.0, 2)
    known = closed_form.per_centre_certificate(x[:, :3], x[:, 3:], exponent)
    assert known.max() > 0.3
    assert np.all(ours >= known * (1 - 1e-9))


def test_slack_set_pays_for_negligible_opposing_neurons(monkeypatch):
    rng = np.random.default_rng(2)
    hidden = np.concatenate(
        [np.eye(2), -np.eye(2)[:1] + 0.1 * rng.normal(size=(30, 2))]
    )
    output = np.r_[1.0, -1.0, -np.full(30, 1e-6)]
    weights, x = make(hidden, output), np.eye(2)[:1]
    with_slack = _certify(weights, PReLU(3.0), x, 1.0, 2)[0]
    monkeypatch.setattr(certificates, "SLACKS", (0.0,))
    without = _certify(weights, PReLU(3.0), x, 1.0, 2)[0]
    assert with_slack > without + 0.005
    assert with_slack == pytest.approx(np.sqrt(0.5), abs=1e-4)
    assert with_slack < np.sqrt(0.5)


def test_misclassified_points_get_nothing():
    weights = make(np.eye(2), [1.0, -1.0])
    x = np.array([[0.0, 1.0], [-1.0, -1.0]])
    assert np.all(_certify(weights, ReLU(), x, 1.0, 2) == 0)


def test_rounding_slack_keeps_the_lower_end_below_a_tight_truth():
    for exponent in (2.0, 3.0, 5.0):
        for seed in range(20):
            rng = np.random.default_rng(seed)
            rotation = np.linalg.qr(rng.normal(size=(6, 6)))[0]
            weights = make(rotation[:4], [1.0, 1.0, -1.0, -1.0])
            lower = _certify(weights, PReLU(exponent), rotation[:1], 1.0, 2)[0]
            assert np.sqrt(0.5) - 1e-9 < lower <= np.sqrt(0.5)


def test_constants_that_grow_with_the_input_are_bounded():
    rng = np.random.default_rng(3)
    for p in (2.0, 3.0):
        for _ in range(20):
            weights = make(rng.normal(size=(6, 2)), rng.normal(size=6))
            x = rng.normal(size=(1, 2))
            c = rng.normal() * 0.3
            length = np.linalg.norm(x)
            form = normal_form(weights, PReLU(p))
            lower = certificates.root_certificate(
                form.rows,
                form.offsets,
                form.amplitudes,
                np.array([c * length ** (p - 1)]),
                x,
                PReLU(p),
                2,
                constant_grows=True,
            )[0]
            steps = rng.normal(size=(3000, 2))
            steps *= lower / np.linalg.norm(steps, axis=1, keepdims=True)
            moved = x + steps
            lengths = np.linalg.norm(moved, axis=1)
            f = forward(weights, PReLU(p), moved) + c * lengths ** (p - 1)
            assert lower == 0 or np.all(f > 0)
