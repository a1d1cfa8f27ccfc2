"""Growth in weight space: networks at the centres, noise 0, to the end of training."""

import math

import numpy as np
from scipy.integrate import solve_ivp

from jaxbias.theory.statistics import refined
from jaxbias.verification.evidence import computation
from jaxbias.verification.evidence_early import powers, velocity

#: -dl/dyhat of the three losses, at label y and output f.
_PULL = {
    "squared": lambda y, f: y - f,
    "exponential": lambda y, f: y * np.exp(-y * f),
    "logistic": lambda y, f: y / (1 + np.exp(y * f)),
}
_STATED = {
    "clock": "per_cluster_mean",
    "centre_norm": "1",
    "output_layer": "trained, balanced",
}


def outputs(hidden, output, centres: int, exponent: float) -> np.ndarray:
    """Network outputs at the centres, which are the first coordinates."""
    norms = np.linalg.norm(hidden, axis=1)
    whole, _ = powers(hidden[:, :centres] / norms[:, None], exponent)
    return (output * norms) @ whole


@computation("growth/half_fit", loss_scale="(y - f)^2 / 2", **_STATED)
def half_fit(parameters, root):
    """Half-fit time of the positive centre: one centre a class, squared loss.

    Every neuron is inactive at the opposite centre. The cosines to the own centre
    are given; all shapes have norm 1.
    """
    del root
    labels = np.array([1.0, -1.0])
    values = []
    for tolerance in (1e-6, 1e-6 / 3, 1e-6 / 9):
        row = []
        for exponent in parameters["exponents"]:
            for scale in parameters["scales"]:
                start = _one_centre_start(parameters, scale)
                row.append(_half_time(*start, labels, exponent, tolerance))
        values.append(row)
    found = refined(*values, floor=1e-5)
    return {"measured": found.value, "error": found.error, "settled": found.converged}


def _one_centre_start(parameters, scale) -> tuple[np.ndarray, np.ndarray]:
    cosines = np.array(parameters["cosines"], float)
    width, dim = 2 * len(cosines), parameters["dim"]
    # What is left of each neuron goes to the opposite side and out of the span.
    hidden = np.zeros((width, dim))
    away = 1 / math.sqrt(dim)
    for half in range(2):
        rows = slice(half * len(cosines), (half + 1) * len(cosines))
        hidden[rows, half] = cosines
        hidden[rows, 1 - half] = -away
        rest = np.sqrt(1 - cosines**2 - away**2)
        hidden[rows, 2 + np.arange(len(cosines)) % (dim - 2)] = 0.0
        for j, length in enumerate(rest):
            hidden[half * len(cosines) + j, 2 + j % (dim - 2)] = length
    sense = np.repeat([1.0, -1.0], len(cosines))
    return scale * hidden, scale * sense


def _half_time(hidden, output, labels, exponent, tolerance) -> float:
    shape = hidden.shape

    def unpack(y):
        return y[: hidden.size].reshape(shape), y[hidden.size :]

    def field(_, y):
        w, v = unpack(y)
        pull = labels - outputs(w, v, 2, exponent)
        dw, dv = velocity(w, v, pull, exponent)
        return np.concatenate([dw.ravel(), dv])

    def half(_, y):
        return outputs(*unpack(y), 2, exponent)[0] - 0.5

    half.terminal = True
    run = solve_ivp(
        field,
        (0, 200),
        np.concatenate([hidden.ravel(), output]),
        method="DOP853",
        rtol=tolerance,
        atol=1e-13,
        events=half,
    )
    return float(run.t_events[0][0]) if run.t_events[0].size else math.nan


@computation("growth/aligned", **_STATED)
def aligned(parameters, root):
    """Output at a centre of a network that starts aligned, at the times asked.

    One neuron per centre, or (``average``) one neuron on the average of all centres
    of its class. RK4 in weight space.
    """
    del root
    centres, exponent = parameters["centres"], parameters["exponent"]
    pull = _PULL[parameters["loss"]]
    labels = np.ones(centres)
    if parameters.get("average"):
        hidden = np.full((1, centres), 1 / math.sqrt(centres))
    else:
        hidden = np.eye(centres)
    values = []
    for steps in (100, 300, 900):
        w = hidden * math.sqrt(parameters["start"])
        v = np.full(len(hidden), math.sqrt(parameters["start"]))
        if parameters.get("average"):
            # z is the output at a centre: the amplitude over sqrt(centres).
            w, v = w * centres**0.25, v * centres**0.25
        row, before = [], 0.0
        for time in parameters["times"]:
            share = (time - before) / parameters["times"][-1]
            count = max(1, round(steps * share))
            w, v = _fit(w, v, labels, pull, exponent, time - before, count)
            row.append(outputs(w, v, centres, exponent)[0])
            before = time
        values.append(row)
    found = refined(*values)
    return {
        "measured": found.value,
        "error": found.error,
        "settled": found.converged,
        "conventions": {"loss_scale": parameters["loss_scale"]},
    }


def _fit(w, v, labels, pull, exponent, time, steps):
    h = time / steps

    def field(a, b):
        force = pull(labels, outputs(a, b, labels.size, exponent))
        return velocity(a, b, force, exponent)

    for _ in range(steps):
        a, p = field(w, v)
        b, q = field(w + h / 2 * a, v + h / 2 * p)
        c, r = field(w + h / 2 * b, v + h / 2 * q)
        d, s = field(w + h * c, v + h * r)
        w = w + h / 6 * (a + 2 * b + 2 * c + d)
        v = v + h / 6 * (p + 2 * q + 2 * r + s)
    return w, v
