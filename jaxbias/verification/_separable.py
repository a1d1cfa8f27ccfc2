"""Networks on orthogonally separable data, many at a time, in NumPy.

Clock: the loss exp(-y f) is summed over samples.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float


class Networks(NamedTuple):
    """Problems and weights of all runs, stacked; hidden rows are neurons."""

    inputs: Float[np.ndarray, "run sample feature"]
    labels: Float[np.ndarray, "run sample"]
    hidden: Float[np.ndarray, "run neuron feature"]
    output: Float[np.ndarray, "run neuron"]

    @property
    def matching(self) -> Bool[np.ndarray, "run neuron sample"]:
        """Where the sign of a neuron is the label of a sample."""
        return self.output[:, :, None] * self.labels[:, None, :] > 0


class State(NamedTuple):
    """Weights of all runs at one time, their outputs and activation patterns."""

    time: float
    hidden: Float[np.ndarray, "run neuron feature"]
    output: Float[np.ndarray, "run neuron"]
    values: Float[np.ndarray, "run sample"]
    active: Bool[np.ndarray, "run neuron sample"]


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows divided by their norms."""
    return rows / np.linalg.norm(rows, axis=-1)[..., None]


def separable_data(
    case: tuple[float, int, float], samples: int, dim: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs (sample, feature) and labels; the least cosine of y_i x_i is exact.

    Args:
        case: correlation mu, number of positive samples, and the spread of the norms
            over ``[1/spread, spread]``. At spread 1 all cosines are mu, above they
            are random from mu on.
        samples: how many.
        dim: input dimension, at least ``samples``.
        rng: draws norms and cosines.
    """
    correlation, positive, spread = case
    labels = np.where(np.arange(samples) < positive, 1.0, -1.0)
    gram = np.eye(samples)
    norms = np.ones(samples)
    if spread > 1:
        rows = np.abs(rng.standard_normal((samples, samples)))
        # Two rows without a common support keep the least cosine at mu.
        rows[0, ::2] = 0.0
        rows[1, 1::2] = 0.0
        gram = unit(rows) @ unit(rows).T
        norms = rng.permutation(np.linspace(1 / spread, spread, samples))
    gram = correlation + (1 - correlation) * gram
    inputs = np.zeros((samples, dim))
    inputs[:, :samples] = (labels * norms)[:, None] * np.linalg.cholesky(gram)
    return inputs, labels


def senses(width: int) -> Float[np.ndarray, " neuron"]:
    """Signs of the output weights: +1 and -1 in turn."""
    return np.where(np.arange(width) % 2, -1.0, 1.0)


def random_networks(parameters, scale: float, rng: np.random.Generator) -> Networks:
    """Balanced networks, rows uniform on the sphere of radius ``scale``.

    Runs are ordered by case, then by draw.
    """
    cases = [c for c in parameters["cases"] for _ in range(parameters["draws"])]
    drawn = [
        separable_data(case, parameters["samples"], parameters["dim"], rng)
        for case in cases
    ]
    width = parameters["width"]
    shape = unit(rng.standard_normal((len(cases), width, parameters["dim"])))
    return Networks(
        np.array([x for x, _ in drawn]),
        np.array([y for _, y in drawn]),
        scale * shape,
        np.tile(scale * senses(width), (len(cases), 1)),
    )


def aligned_networks(parameters, scale: float, rng: np.random.Generator) -> Networks:
    """The same with every neuron in the cone that matches its sign."""
    nets = random_networks(parameters, scale, rng)
    wanted = np.where(nets.matching, 1.0, -1.0) * rng.uniform(
        0.1, 1.0, nets.matching.shape
    )
    # Independent inputs: any pattern of scores is that of one vector of their span.
    inverse = np.linalg.pinv(nets.inputs)
    inside = wanted @ inverse.swapaxes(1, 2)
    beyond = nets.hidden / scale
    beyond = beyond - beyond @ (inverse @ nets.inputs).swapaxes(1, 2)
    return nets._replace(hidden=scale * unit(unit(inside) + 0.2 * beyond))


def velocity(nets: Networks, hidden, output, *, outputs: bool = True):
    """Gradient flow of all runs: dw/dt, dv/dt, the outputs and the patterns.

    Args:
        nets: the problems.
        hidden: (run, neuron, feature).
        output: (run, neuron).
        outputs: whether the network's outputs enter the residuals; without them it is
            the limit of small initialisation.
    """
    # A transposed view would be multiplied without BLAS.
    scores = hidden @ np.ascontiguousarray(nets.inputs.swapaxes(1, 2))
    active = scores > 0
    units = np.maximum(scores, 0.0)
    values = (output[:, None, :] @ units)[:, 0]
    pull = nets.labels * np.exp(-nets.labels * values) if outputs else nets.labels
    force = (active * pull[:, None, :]) @ nets.inputs
    return (
        output[:, :, None] * force,
        (units @ pull[:, :, None])[..., 0],
        values,
        active,
    )


def march(nets: Networks, times: np.ndarray, *, outputs: bool = True):
    """RK4 of all runs from one time to the next.

    Yields:
        The `State` at each of ``times``, the start included.
    """
    w, v = nets.hidden, nets.output

    def field(hidden, output):
        return velocity(nets, hidden, output, outputs=outputs)

    for time, step in zip(times, np.diff(times, append=times[-1]), strict=True):
        a, p, values, active = field(w, v)
        yield State(float(time), w, v, values, active)
        b, q, *_ = field(w + step / 2 * a, v + step / 2 * p)
        c, r, *_ = field(w + step / 2 * b, v + step / 2 * q)
        d, s, *_ = field(w + step * c, v + step * r)
        w = w + step / 6 * (a + 2 * b + 2 * c + d)
        v = v + step / 6 * (p + 2 * q + 2 * r + s)
