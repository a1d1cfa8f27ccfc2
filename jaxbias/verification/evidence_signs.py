"""Output weights from an unbalanced start: their path, and whether they change sign."""

import math
from typing import Any

import numpy as np

from jaxbias.theory.statistics import refined
from jaxbias.verification.evidence import computation
from jaxbias.verification.evidence_convergence import Runs, velocity
from jaxbias.verification.evidence_early import advance, powers

_FLOW = {
    "clock": "per_cluster_mean",
    "centre_norm": "1",
    "output_layer": "trained, all entries N(0, eps^2)",
}


def _unbalanced(parameters, rng) -> Runs:
    clusters, dim = parameters["clusters"], parameters["dim"]
    samples, width = parameters["samples"], parameters["width"]
    signs = np.where(np.arange(clusters) < parameters["positive"], 1.0, -1.0)
    cloud = rng.standard_normal((1, clusters, samples, dim)) / math.sqrt(dim)
    inputs = np.eye(clusters, dim)[:, None] + parameters["noise"] * cloud
    return Runs(
        inputs.reshape(1, -1, dim),
        np.repeat(signs, samples),
        parameters["scale"] * rng.standard_normal((1, width, dim)),
        parameters["scale"] * rng.standard_normal((1, width)),
    )


def _follow(runs: Runs, exponent: float, samples: int, time: float, steps: int):
    """RK4 of the weights and of int S; records (int S, v) after every step."""
    h = time / steps

    def field(shift: float = 0.0, dw: Any = 0.0, dv: Any = 0.0):
        moved = runs._replace(
            hidden=runs.hidden + shift * dw, output=runs.output + shift * dv
        )
        dw, dv = velocity(moved, exponent, samples)
        return dw, dv, dv / np.linalg.norm(moved.hidden, axis=-1)

    pulled, records = np.zeros(runs.output.shape), []
    for _ in range(steps):
        first = field()
        second = field(h / 2, *first[:2])
        third = field(h / 2, *second[:2])
        last = field(h, *third[:2])
        rows = zip(first, second, third, last, strict=True)
        dw, dv, ds = (h / 6 * (a + 2 * b + 2 * c + d) for a, b, c, d in rows)
        runs = runs._replace(hidden=runs.hidden + dw, output=runs.output + dv)
        pulled = pulled + ds
        records.append((pulled[0], runs.output[0]))
    return np.moveaxis(np.array(records), 1, 0)


@computation(
    "signs/law",
    loss_scale="(y - f)^2 / 2",
    noise_unit="alpha/sqrt(D) per coordinate",
    **_FLOW,
)
def law(parameters, root):
    """``asinh(v/sqrt(c))`` at the end, at the start, and int S, neuron by neuron.

    ``mismatched`` counts neurons and steps at which v has another sign than
    ``asinh(v(0)/sqrt(c)) + int S``; ``changed`` the neurons whose sign changes.
    """
    found = {name: [] for name in ("measured", "error", "settled", "start", "pulled")}
    mismatched = changed = 0
    for place, p in enumerate(parameters["exponents"]):
        runs = _unbalanced(parameters, np.random.default_rng([root, place]))
        v = runs.output[0]
        gap = (runs.hidden[0] ** 2).sum(axis=1) - v**2
        kept, ends = gap > 0, []
        root_of = np.sqrt(gap[kept])
        begin = np.arcsinh(v[kept] / root_of)
        for steps in (200, 600, 1800):
            pulled, path = _follow(
                runs, p, parameters["samples"], parameters["time"], steps
            )
            ends.append((np.arcsinh(path[-1, kept] / root_of), pulled[-1, kept]))
        angle = begin + pulled[:, kept]
        # Within the numerical error of 0 there is no sign.
        clear = np.abs(angle) > 1e-6
        mismatched += int(np.sum(clear & (np.sign(angle) != np.sign(path[:, kept]))))
        changed += int(np.sum(np.sign(path[-1, kept]) != np.sign(v[kept])))
        sides = [refined(*side, floor=1e-7) for side in zip(*ends, strict=True)]
        found["measured"].append(sides[0].value)
        found["pulled"].append(sides[1].value)
        found["start"].append(begin)
        found["error"].append(sides[0].error + sides[1].error)
        found["settled"].append(sides[0].converged & sides[1].converged)
    arrays = {name: np.concatenate(parts) for name, parts in found.items()}
    return {
        **arrays,
        "mismatched": float(mismatched),
        "changed": changed,
        "seeds": arrays["start"].size,
    }


@computation("signs/share", **_FLOW)
def share(parameters, root):
    """Neurons of a network whose output is still zero: how many change sign.

    One positive and one negative centre, p = 1. Whoever is inactive everywhere, or
    has v and its pull of one sign, keeps its sign for ever; the others are open.
    """
    rng = np.random.default_rng(root)
    count, pulls = parameters["neurons"], np.array([1.0, -1.0])
    hidden = rng.standard_normal((count, parameters["dim"]))
    # What no centre sees does not move at p = 1: one coordinate stands for it.
    rest = np.linalg.norm(hidden[:, 2:], axis=1, keepdims=True)
    hidden, output = np.hstack([hidden[:, :2], rest]), rng.standard_normal(count)
    steps = round(parameters["time"] / 0.1)
    end, final = advance(hidden, output, pulls, 1.0, parameters["time"], steps)
    pull = powers(end[:, :2], 1.0)[0] @ pulls
    changed = np.sign(final) != np.sign(output)
    still = (final * pull <= 0) & np.any(end[:, :2] > 0, axis=1)
    return {
        "changed": int(np.sum(changed & ~still)),
        "open": int(np.sum(still)),
        "trials": count,
        "seeds": count,
    }
