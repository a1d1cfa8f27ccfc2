"""Growth to the end of training against whole networks and quadrature."""

import math

import numpy as np
import pytest
from scipy import special
from scipy.integrate import quad, solve_ivp

from jaxbias.theory import solvable
from jaxbias.theory.late_phase import CLAIMS

_LEDGER = {claim.id.rpartition("/")[2]: claim for claim in CLAIMS}
_PULL = {
    "squared": lambda f: 1 - f,
    "exponential": lambda f: np.exp(-f),
    "logistic": lambda f: 1 / (1 + np.exp(f)),
}
_LOSSES = {
    "squared": lambda f: 0.5 * (1 - f) ** 2,
    "exponential": lambda f: np.exp(-f),
    "logistic": lambda f: np.log(1 + np.exp(-f)),
}
_NAMES = [
    ("lemma-13-noise-free", "squared"),
    ("growth-exponential", "exponential"),
    ("growth-logistic", "logistic"),
]


def _network(loss, hidden, output, times, p):
    """Output at the first centre of a positive network trained on its centres.

    Gradient flow of the summed loss in (w, v) with central differences: no formula
    for growth enters.
    """
    shape = hidden.shape

    def total(theta):
        w, v = theta[: hidden.size].reshape(shape), theta[hidden.size :]
        norms = np.linalg.norm(w, axis=1)
        f = (v * norms) @ np.maximum(w / norms[:, None], 0) ** p
        return np.sum(_LOSSES[loss](f)), f[0]

    def field(_, theta):
        steps = 1e-5 * np.eye(theta.size) * max(np.abs(theta).max(), 1e-2)
        size = steps[0, 0]
        ends = [total(theta - h)[0] - total(theta + h)[0] for h in steps]
        return np.array(ends) / (2 * size)

    start = np.concatenate([hidden.ravel(), output])
    run = solve_ivp(field, (0, times[-1]), start, t_eval=times, rtol=1e-7, atol=1e-9)
    return np.array([total(theta)[1] for theta in run.y.T])


@pytest.mark.parametrize(("name", "loss"), _NAMES)
def test_an_aligned_network_grows_as_predicted(name, loss):
    """Two clusters, each with its own neuron, p = 3."""
    claim = _LEDGER[name]
    start, times = 0.05, np.array([0.5, 1.5, 3.0, 5.0])
    value = claim.predict({**claim.setting, "start": start, "times": times})["value"]
    root = math.sqrt(start)
    found = _network(loss, root * np.eye(2), np.full(2, root), times, 3.0)
    np.testing.assert_allclose(value, found, rtol=2e-5)


@pytest.mark.parametrize("centres", [1, 2, 3])
def test_an_averaging_neuron_grows_with_the_root_of_its_clusters(centres):
    """u is the output at a centre: the amplitude over sqrt(m)."""
    claim = _LEDGER["growth-averaged"]
    start, times = 0.05, np.array([0.5, 1.5, 3.0])
    setting = {**claim.setting, "centres": centres, "start": start, "times": times}
    size = math.sqrt(start) * centres**0.25
    hidden = np.full((1, centres), size / math.sqrt(centres))
    found = _network("exponential", hidden, np.array([size]), times, 1.0)
    np.testing.assert_allclose(claim.predict(setting)["value"], found, rtol=2e-5)


@pytest.mark.parametrize(("name", "loss"), _NAMES)
def test_times_are_the_integral_of_the_inverse_rate(name, loss):
    claim = _LEDGER[name]
    value = claim.predict(claim.setting)["value"]
    times, start = claim.setting["times"], claim.setting["start"]
    for z, t in zip(value, times, strict=True):
        if loss == "squared" and 1 - z < 1e-6:
            continue
        found, _ = quad(
            # In the logarithm of z, whose rate is 2 pull(z).
            lambda q: 0.5 / _PULL[loss](math.exp(q)),
            math.log(start),
            math.log(z),
            epsabs=1e-12,
        )
        assert found == pytest.approx(t, rel=1e-8)


@pytest.mark.parametrize(
    ("law", "phi"),
    [
        (solvable.growth_exponential, special.expi),
        (solvable.growth_logistic, lambda z: special.expi(z) + np.log(z)),
    ],
)
def test_closed_forms_by_the_exponential_integral(law, phi):
    times = np.array([0.5, 2.0, 7.0, 40.0, 1e3])
    np.testing.assert_allclose(phi(law(times, 0.02)) - phi(0.02), 2 * times, rtol=1e-9)


@pytest.mark.parametrize(("name", "loss"), _NAMES)
def test_half_the_speed_is_another_equation(name, loss):
    claim = _LEDGER[name]
    right = claim.predict(claim.setting)["value"]
    half = claim.decoys[0].alter(claim.setting, claim.predict(claim.setting))["value"]
    doubled = {**claim.setting, "times": tuple(t / 2 for t in claim.setting["times"])}
    np.testing.assert_allclose(half, claim.predict(doubled)["value"])
    assert np.all(half < right)


def test_classes_of_unequal_size_never_meet():
    """Ei(u_+)/sqrt(K1) - Ei(u_-)/sqrt(K2) is constant: u_+ - u_- tends to a half log.

    At MV24's end (t per cluster = 1604, K1 = 6, K2 = 4) u is 11.28 and 11.06.
    """
    claim = _LEDGER["growth-averaged"]
    ends = []
    for centres in (6, 4):
        setting = {**claim.setting, "centres": centres, "start": 1e-9}
        ends.append(claim.predict({**setting, "times": (1604.0,)})["value"][0])
    assert ends == pytest.approx([11.28, 11.06], abs=0.01)
    late = []
    for centres in (6, 4):
        setting = {**claim.setting, "centres": centres, "times": (1e12,)}
        late.append(claim.predict(setting)["value"][0])
    assert late[0] - late[1] == pytest.approx(0.5 * math.log(1.5), rel=0.05)


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_the_loss_of_a_claim_is_written_out(claim):
    request = claim.evidence(claim.setting, "quick")
    scale = {
        "squared": "(y - f)^2 / 2",
        "exponential": "exp(-y f)",
        "logistic": "log(1 + exp(-y f))",
    }[claim.setting["loss"]]
    assert claim.conventions["loss_scale"] == scale
    assert request.parameters["loss_scale"] == scale
    assert request.parameters.get("average", False) == ("averaged" in claim.id)
