"""Margins under exponential loss: trained, explicit and searched networks.

The loss is the sum of ``exp(-q_i)`` with margins ``q_i = y_i f(x_i)``. Statements on a
trajectory do not depend on its clock; here every unit of it brings at most one unit of
``log |theta|`` arc and of ``log(1/L)`` together, so that any loss is reached.
"""

import math
from typing import NamedTuple

import numpy as np

from jaxbias.theory.statistics import refined
from jaxbias.verification.evidence import computation
from jaxbias.verification.evidence_early import powers

_STATED = {"loss_scale": "exp(-y f)", "output_layer": "trained, balanced"}


class Nets(NamedTuple):
    """Networks trained side by side, or their velocities.

    Attributes:
        hidden: (run, neuron, feature).
        output: (run, neuron).
        path: (run,), an integral along the trajectory.
    """

    hidden: np.ndarray
    output: np.ndarray
    path: np.ndarray

    def moved(self, step: float, way: "Nets") -> "Nets":
        """These weights a step along velocities."""
        return Nets(*(a + step * b for a, b in zip(self, way)))

    def scaled(self, factor: np.ndarray) -> "Nets":
        """All weights of each run times a number of its own."""
        hidden = factor[:, None, None] * self.hidden
        return Nets(hidden, factor[:, None] * self.output, factor * self.path)

    def size(self) -> np.ndarray:
        """Squared norm of all weights, (run,)."""
        return (self.hidden**2).sum(axis=(1, 2)) + (self.output**2).sum(axis=1)


class Rows(NamedTuple):
    """Training rows of every run: inputs (run, sample, feature), labels (sample,)."""

    inputs: np.ndarray
    labels: np.ndarray


def responses(nets: Nets, rows: Rows, exponent: float):
    """Norms, cosines' powers p and p-1 (run, neuron, sample), and margins q."""
    norms = np.linalg.norm(nets.hidden, axis=2)
    scores = nets.hidden @ rows.inputs.transpose(0, 2, 1)
    whole, gate = powers(scores / norms[:, :, None], exponent)
    outputs = ((nets.output * norms)[:, None] @ whole)[:, 0]
    return norms, whole, gate, rows.labels * outputs


def pull(nets: Nets, rows: Rows, exponent: float, shares=None):
    """``sum_i r_i grad q_i`` with r = e^-q (divided by L unless given), and q.

    Returns:
        The pull as `Nets` with path 0, the margins (run, sample).
    """
    norms, whole, gate, margins = responses(nets, rows, exponent)
    if shares is None:
        least = margins.min(axis=1, keepdims=True)
        shares = np.exp(least - margins)
        shares = shares / shares.sum(axis=1, keepdims=True)
    signed = shares * rows.labels
    push = exponent * ((gate * signed[:, None]) @ rows.inputs)
    mass = (whole * signed[:, None]).sum(axis=2)
    push = push - ((exponent - 1) * mass / norms)[:, :, None] * nets.hidden
    way = Nets(nets.output[:, :, None] * push, norms * mass, np.zeros(len(mass)))
    return way, margins


def depth(margins: np.ndarray) -> np.ndarray:
    """``log(1/L)``, safe for losses below the smallest float."""
    least = margins.min(axis=1)
    return least - np.log(np.exp(least[:, None] - margins).sum(axis=1))


def _velocity(nets: Nets, rows: Rows, exponent: float) -> Nets:
    """In the clock of the module; the path is ``tan^2 d log |theta|`` once L < 1."""
    way, margins = pull(nets, rows, exponent)
    speed, size = way.size(), nets.size()
    # At a critical point, where a row is seen by no neuron, nothing moves.
    rate = 1 / np.maximum(np.sqrt(speed / size) + speed, 1e-200)
    least = margins.min(axis=1, keepdims=True)
    shares = np.exp(least - margins)
    mean = (shares * margins).sum(axis=1) / shares.sum(axis=1)
    late = depth(margins) > 0
    safe = np.where(late, mean, 1.0)
    # tan^2 = |pull|^2 |theta|^2/(2 mean)^2 - 1 and (log |theta|)' = 2 mean/|theta|^2.
    turn = np.where(late, speed / (2 * safe) - 2 * safe / size, 0.0)
    return way._replace(path=turn).scaled(rate)


def _runge_kutta(nets: Nets, step: float, field) -> Nets:
    a = field(nets)
    b = field(nets.moved(step / 2, a))
    c = field(nets.moved(step / 2, b))
    d = field(nets.moved(step, c))
    nets = nets.moved(step / 6, a).moved(step / 3, b)
    return nets.moved(step / 3, c).moved(step / 6, d)


def _case(parameters, case, root) -> tuple[Nets, Rows]:
    """Data and balanced starts of one case, all runs."""
    exponent, kind, samples = case
    rng = np.random.default_rng([root, samples, round(10 * exponent)])
    runs, dim, width = (parameters[k] for k in ("runs", "dim", "width"))
    labels = np.where(np.arange(samples) % 2 == 0, 1.0, -1.0)
    noise = rng.standard_normal((runs, samples, dim)) / math.sqrt(dim)
    if kind == "separable":
        # All y_i x_i lean to one side, so that no neuron slides along a kink.
        noise[:, :, 0] = 2 + np.abs(noise[:, :, 0])
        inputs = labels[:, None] * noise
        inputs = inputs / np.linalg.norm(inputs, axis=2, keepdims=True)
    else:
        spread = parameters["noise"] if kind == "clusters" else 0.0
        inputs = np.eye(samples, dim) + spread * noise
    hidden = rng.standard_normal((runs, width, dim)) / math.sqrt(dim)
    # A neuron of its sign near every row, so that every run is fitted.
    hidden[:, :samples] += 2 * inputs
    hidden *= parameters["scale"]
    sense = np.where(np.arange(width) % 2 == 0, 1.0, -1.0)
    output = sense * np.linalg.norm(hidden, axis=2)
    return Nets(hidden, output, np.zeros(runs)), Rows(inputs, labels)


def _told(nets: Nets, rows: Rows, exponent: float) -> dict[str, np.ndarray]:
    """What the claims ask of networks on the way, each (run,)."""
    way, margins = pull(nets, rows, exponent)
    size, speed, least = nets.size(), way.size(), margins.min(axis=1)
    # Asked for where every margin is positive, hence nothing below is 0.
    fitted = least > 0
    least, speed = np.where(fitted, least, np.nan), np.where(fitted, speed, np.nan)
    along = (nets.hidden * way.hidden).sum(axis=(1, 2))
    along = along + (nets.output * way.output).sum(axis=1)
    # The rescaled point theta/sqrt(min q) with multipliers |theta| e^-q/|grad L|.
    factor = np.sqrt(size / speed)
    shares = np.exp(least[:, None] - margins)
    weights = factor[:, None] * shares / shares.sum(axis=1, keepdims=True)
    gap = nets.moved(-1.0, way.scaled(factor))
    return {
        "depth": depth(margins),
        "size": size,
        "path": nets.path,
        "least": least,
        "tangent": size * speed / along**2 - 1,
        "stationarity": gap.size() / least,
        "slackness": (weights * (margins / least[:, None] - 1)).sum(axis=1),
    }


def _trajectory(parameters, case, root, steps: int) -> dict[str, np.ndarray]:
    """The same at every save, (save, run)."""
    nets, rows = _case(parameters, case, root)
    saves = []
    for _ in range(parameters["saves"]):
        for _ in range(steps):
            nets = _runge_kutta(
                nets, parameters["arc"] / steps, lambda n: _velocity(n, rows, case[0])
            )
        saves.append(_told(nets, rows, case[0]))
    return {name: np.array([save[name] for save in saves]) for name in saves[0]}


@computation("margins/flow", **_STATED)
def flow(parameters, root):
    """Trajectories of every case at equal places of the module's clock.

    Returns:
        (case, save, run): ``depth`` = log(1/L), ``size`` = |theta|^2, ``least`` margin,
        ``tangent`` = tan^2 of the angle between theta and -grad L, ``stationarity``
        (squared) and ``slackness``, the residuals of the KKT conditions; between
        successive saves, (case, save - 1, run): ``deeper`` and ``wider``, increments of
        log depth and log size, and ``turned``, the integral of tangent d log |theta|.
        ``error_*`` bounds each; ``late`` is false where the loss is at least 1.
    """
    every = []
    for steps in (parameters["steps"], 3 * parameters["steps"]):
        cases = [_trajectory(parameters, c, root, steps) for c in parameters["cases"]]
        found = {name: np.array([c[name] for c in cases]) for name in cases[0]}
        safe = np.where(found["depth"] > 0, found["depth"], 1.0)
        found["deeper"] = np.diff(np.log(safe), axis=1)
        found["wider"] = np.diff(np.log(found["size"]), axis=1)
        found["turned"] = np.diff(found.pop("path"), axis=1)
        every.append(found)
    coarse, fine = every
    # Steps across kinks converge irregularly; the difference bounds the error.
    errors = {f"error_{k}": np.abs(fine[k] - coarse[k]) + 1e-12 for k in fine}
    return {
        **fine,
        **errors,
        # An unfinished run is late, and no number.
        "late": ~((fine["depth"] <= 0) | (coarse["depth"] <= 0)),
        "samples": np.array([case[2] for case in parameters["cases"]]),
        "seeds": parameters["runs"],
    }


@computation("margins/rates", **_STATED)
def rates(parameters, root):
    """Finite differences of the flow at networks of loss below 1, (case, run).

    Returns:
        ``size_rate`` of |theta|^2 and ``margin_rate`` of log(log(1/L)/|theta|^2), their
        errors, and what stands on the other side: ``margins`` (case, run, sample),
        ``size`` and ``tangent``.
    """
    starts, values = [], []
    for case in parameters["cases"]:
        nets, rows = _case(parameters, case, root)
        field = lambda n, r=rows, p=case[0]: _velocity(n, r, p)
        for _ in range(3 * parameters["steps"]):
            nets = _runge_kutta(nets, parameters["arc"] / parameters["steps"], field)
        starts.append((case[0], nets, rows))
    for width in (9e-5, 3e-5, 1e-5):
        rows_of = [_slopes(nets, rows, p, width) for p, nets, rows in starts]
        values.append(np.array(rows_of))
    # A kink within a step costs the order there, far below this floor.
    by_rate = [refined(*(v[:, k] for v in values), floor=1e-7) for k in (0, 1)]
    size_rate, margin_rate = by_rate
    told = [_told(nets, rows, p) for p, nets, rows in starts]
    return {
        "size_rate": size_rate.value,
        "size_error": np.where(size_rate.converged, size_rate.error, np.inf),
        "margin_rate": margin_rate.value,
        "margin_error": np.where(margin_rate.converged, margin_rate.error, np.inf),
        "margins": np.array([responses(nets, rows, p)[3] for p, nets, rows in starts]),
        "size": np.array([t["size"] for t in told]),
        "tangent": np.array([t["tangent"] for t in told]),
        "seeds": parameters["runs"],
    }


def _slopes(nets: Nets, rows: Rows, exponent: float, width: float) -> np.ndarray:
    """d|theta|^2/dt and d log(log(1/L)/|theta|^2)/dt, (2, run), t times L at the start.

    Fourth-order central differences; the factor of the clock keeps late rates of
    order one.
    """
    at = depth(responses(nets, rows, exponent)[3])[:, None]

    def field(n):
        _, margins = pull(n, rows, exponent)
        return pull(n, rows, exponent, np.exp(at - margins))[0]

    slopes = np.zeros((2, len(at)))
    for node, weight in ((1, 8), (-1, -8), (2, -1), (-2, 1)):
        moved = _runge_kutta(nets, node * width, field)
        size = moved.size()
        level = depth(responses(moved, rows, exponent)[3]) / size
        slopes += weight * np.array([size, np.log(level)]) / (12 * width)
    return slopes
